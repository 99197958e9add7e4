"""Change of a clip's metrics when it is encoded again, scaled, mirrored, cropped or resampled.

Each value is the median over clips of the absolute relative change in percent, against a lossless
encoding of the same seconds; the note states the largest change. A metric that is not affected has 0.
Metrics whose weights are not on this machine are left out.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks._media import SHARED, clips
from benchmarks._rows import Row
from theval_datasets.commands.score import ClipScore, score
from theval_datasets.evaluation.theval import METRICS, SCALE_INVARIANT
from theval_datasets.media import ffmpeg_binary

SECONDS: Final = 8
CLIPS: Final = (
    "latentsync_demo1", "sadtalker_aoc", "sadtalker_katiehill",
    "mead_M030_front_neutral_level1_001", "mead_W011_front_happy_level3_001", "vexpress_rdradio10",
)  # fmt: skip
_LOSSLESS: Final = ("-qp", "0")
CHANGES: Final[Mapping[str, tuple[str, ...]]] = {
    "crf 28": ("-crf", "28"),
    "crf 35": ("-crf", "35"),
    "half size": ("-vf", "scale=2*trunc(iw/4):2*trunc(ih/4)", *_LOSSLESS),
    "mirrored": ("-vf", "hflip", *_LOSSLESS),
    "25 to 30 fps": ("-vf", "fps=30", *_LOSSLESS),
    "5 % crop": ("-vf", "crop=2*trunc(iw*0.475):2*trunc(ih*0.475)", *_LOSSLESS),
}
"""Options of ffmpeg by name of the change. The crop keeps the central 95 % of each side."""


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        folder = Path(name)
        real = [SHARED / "media" / "single" / f"{clip}.mp4" for clip in CLIPS]
        paths, kind = (real, f"{len(real)} real clips") if all(p.is_file() for p in real) else (
            clips(folder / "sample")
        )  # fmt: skip
        originals = _scores(paths, folder / "original", ("-vf", "null", *_LOSSLESS))
        changed = {
            name: _scores(paths, folder / name.replace(" ", "-"), options)
            for name, options in CHANGES.items()
        }
    measured = [
        (metric, name, _relative(metric, originals, scores))
        for metric in (*METRICS, SCALE_INVARIANT)
        for name, scores in changed.items()
    ]
    return [_row(metric, name, percent, kind) for metric, name, percent in measured if len(percent)]


def _scores(paths: list[Path], folder: Path, options: tuple[str, ...]) -> tuple[ClipScore, ...]:
    """Metrics of the first seconds of clips, encoded with some options of ffmpeg."""
    folder.mkdir()
    made = [folder / f"{path.stem}.mkv" for path in paths]
    for path, target in zip(paths, made, strict=True):
        encoder = ("-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p", "-c:a", "copy")
        subprocess.run(
            [ffmpeg_binary(), "-v", "error", "-i", path, "-t", str(SECONDS), *options, *encoder,
             target],
            check=True,
        )  # fmt: skip
    return score(made, cache=str(folder / "cache")).clips


def _value(clip: ClipScore, metric: str) -> float | None:
    return clip.scale_invariant if metric == SCALE_INVARIANT else clip.metrics[metric]


def _relative(
    metric: str, before: tuple[ClipScore, ...], after: tuple[ClipScore, ...]
) -> np.ndarray:
    """Absolute relative change in percent, (n,), of the clips with a value before and after."""
    pairs = [(_value(a, metric), _value(b, metric)) for a, b in zip(before, after, strict=True)]
    return np.array([100 * abs(b / a - 1) for a, b in pairs if a and b is not None])


def _row(metric: str, change: str, percent: np.ndarray, kind: str) -> Row:
    note = f"largest {percent.max():.1f} %; {len(percent)} of {kind}"
    return Row(f"{metric}, {change}", float(np.median(percent)), "%", note=note)


def markdown(rows: list[Row]) -> str:
    """The rows as a table of metrics by changes, the largest change in brackets."""
    values: dict[str, dict[str, str]] = {}
    for row in rows:
        metric, _, change = row.name.partition(", ")
        largest = row.note.split()[1]
        values.setdefault(metric, {})[change] = f"{row.value:.1f} ({largest})"
    lines = [f"| metric | {' | '.join(CHANGES)} |", "|---" * (len(CHANGES) + 1) + "|"]
    lines += [
        f"| `{metric}` | {' | '.join(cells.get(change, '–') for change in CHANGES)} |"
        for metric, cells in values.items()
    ]
    return "\n".join(lines) + "\n"
