"""Clips for measurements: real ones if available, else the sample."""

from __future__ import annotations

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def clips(folder: Path) -> tuple[list[Path], str]:
    """Talking-face clips with sound, and their description for notes.

    Args:
        folder: Folder in which the sample is made if it is needed.
    """
    real = sorted((SHARED / "media" / "single").glob("*.mp4"))
    if real:
        return real, f"{len(real)} real clips"
    from theval_datasets.demo.clips import make_sample

    made = make_sample(folder)
    return list(made), f"{len(made)} sample clips"
