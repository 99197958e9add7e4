"""The training files of the published code of LMME3DHF.

Stages 1 and 2 read ``datasets/{text,numerical}/{train,eval}_{quality,authenticity}.json``: an array of
objects with `messages` and `videos`, which is a string. Stage 3 reads folders `image` and `sal_map` with
equal file names.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.files import atomic_write, write_text
from theval_datasets.utils.text import some_of

from .examples import Example, Examples, file_names, rows_of
from .formats import ByPart, TrainerFormat
from .media import ExportedMedia

_FOLDERS: Final = {
    "instruct_text": "text",
    "instruct_numeric": "numerical",
    "instruct_distortions": "text",
}
_NEEDED: Final = ("instruct_text", "instruct_numeric")
_LOW, _HIGH = 0.0, 100.0
_OTHER_SCALE: Final = 5.0  # maximum of the sliders in the paper's study
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class Lmme3dhf(TrainerFormat):
    """Folders for the three stages of LMME3DHF."""

    def check(self, examples: Examples) -> None:
        """Refuse datasets with another scale or without the configs that the trainer needs.

        Raises:
            InputError: Configs are missing, or scores are not on a scale from 0 to 100.
        """
        lacking = [name for name in _NEEDED if name not in examples.info.configs]
        if lacking:
            raise InputError(
                f"LMME3DHF is trained on theval/gen3dhf: {examples.info.dataset} lacks the configs "
                f"{', '.join(lacking)}"
            )
        scores = {(e.clip_id, e.topic): e.score for e in examples.rows if e.score is not None}
        outside = [
            f"{clip}: {topic} {score}"
            for (clip, topic), score in sorted(scores.items())
            if not _LOW <= score <= _HIGH
        ]
        if outside:
            raise InputError(
                f"LMME3DHF expects scores from 0 to 100, got {len(outside)} outside: {some_of(outside)}"
            )
        if scores and max(scores.values()) <= _OTHER_SCALE:
            raise InputError(
                "LMME3DHF expects scores on a scale from 0 to 100, got none above "
                f"{max(scores.values()):g}: these are on a scale from 0 to 5. Build the dataset from ratings "
                "(--with ratings=FILE), or from scores on the scale 100(z + 3)/6"
            )

    def write(self, out: Path, examples: ByPart, media: ExportedMedia) -> None:
        """Write the JSON of stages 1 and 2."""
        for (config, part), rows in examples.items():
            folder = out / "datasets" / _FOLDERS[config]
            for topic in sorted({row.topic for row in rows}):
                listed = [_row(row, media) for row in rows if row.topic == topic]
                write_text(folder / f"{part}_{topic}.json", json.dumps(listed))

    def write_saliency(self, out: Path, examples: Examples) -> dict[str, int]:
        """Write stills and maps of stage 3 as ``saliency/{train,eval}/{image,sal_map}/NAME.png``.

        Returns:
            Number of pairs by part; videos without a still are left out.
        """
        counts: dict[str, int] = {}
        if "saliency" not in examples.info.configs:
            return counts
        names = file_names(examples.part_of)
        columns = ["clip_id", "image", "map"]
        for row in rows_of(examples.folder, examples.info, "saliency", columns, at_once=1):
            if row["image"] is None:
                continue
            part = examples.part_of[row["clip_id"]]
            for folder, column in (("image", "image"), ("sal_map", "map")):
                path = out / "saliency" / part / folder / f"{names[row['clip_id']]}.png"
                with atomic_write(path) as stream:
                    stream.write(_png(row[column]["bytes"]))
            counts[part] = counts.get(part, 0) + 1
        return counts

    def advice(self, out: Path, examples: ByPart) -> list[str]:
        """Paths to pass to the trainer."""
        folders = dict.fromkeys(out / "datasets" / _FOLDERS[config] for config, _ in examples)
        lines = [
            f"{'stage 1' if place.name == 'text' else 'stage 2'}: {place}" for place in folders
        ]
        return [*lines, f"stage 3: {out / 'saliency'}"] if (out / "saliency").is_dir() else lines


def _row(example: Example, media: ExportedMedia) -> dict[str, Any]:
    return {
        "messages": [{"role": m["role"], "content": m["content"]} for m in example.messages],
        "videos": media.videos[example.clip_id],
    }


def _png(data: bytes) -> bytes:
    """A picture as PNG; a PNG is returned unchanged."""
    from PIL import Image

    if data.startswith(_PNG):
        return data
    stream = io.BytesIO()
    Image.open(io.BytesIO(data)).save(stream, "PNG")
    return stream.getvalue()
