"""JSON lines for ms-swift: `messages` and `videos`; the sound is read from the video."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from theval_datasets.utils.files import write_text

from .examples import Example
from .formats import ByPart, TrainerFormat, asks_for_sound, names_by_use
from .media import ExportedMedia


class MsSwift(TrainerFormat):
    """JSON lines for ms-swift."""

    def write(self, out: Path, examples: ByPart, media: ExportedMedia) -> None:
        """Write ``CONFIG-PART.jsonl`` for each config and part."""
        for (config, part), rows in examples.items():
            lines = (json.dumps(_row(row, media), ensure_ascii=False) for row in rows)
            write_text(out / f"{config}-{part}.jsonl", "".join(f"{line}\n" for line in lines))

    def advice(self, out: Path, examples: ByPart) -> list[str]:
        """A command that starts a training with the files."""
        train, held_out = (
            [str(out / f"{name}.jsonl") for name in names] for names in names_by_use(examples)
        )
        words = ["swift", "sft", "--model", "Qwen/Qwen2.5-Omni-7B", "--dataset", *train]
        words += ["--val_dataset", *held_out] if held_out else []
        sound = "USE_AUDIO_IN_VIDEO=true " if asks_for_sound(examples) else ""
        return [sound + shlex.join(words)]


def _row(example: Example, media: ExportedMedia) -> dict[str, object]:
    messages = [
        {"role": m["role"], "content": m["content"].replace("<audio>", "")}
        for m in example.messages
    ]
    return {"messages": messages, "videos": [media.videos[example.clip_id]]}
