"""Clips to measure on: the real ones where they are, else the sample."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def clips(folder: Path) -> tuple[list[Path], str]:
    """Talking-face clips with sound, and what to call them in a note.

    Args:
        folder: Where the sample is made, should it be needed.
    """
    real = sorted((SHARED / "media" / "single").glob("*.mp4"))
    if real:
        return real, f"{len(real)} real clips"
    from theval_datasets.demo.clips import make_sample

    made = make_sample(folder)
    return list(made), f"{len(made)} sample clips"
