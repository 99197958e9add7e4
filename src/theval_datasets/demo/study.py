"""A small rating study of sample clips, to show `theval-data collect` on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import yaml

from theval_datasets.utils.files import write_text

from .clips import SampleClip, make_sample
from .speech import Voice

StudyKind = Literal["score", "sliders-and-marks", "pairwise"]

CONTENTS: Final = 7
TRAINING: Final = 3
_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "sample-steady": {},
    "sample-blurred": {"blur": 3.0, "quality": 38},
}
_QUESTIONS: Final[dict[str, str]] = {
    "score": "How good is the quality of this talking head?",
    "sliders-and-marks": "How good and how authentic is this head?",
    "pairwise": "Which clip looks more realistic?",
}
_CONSENT: Final = (
    "This is a demonstration on synthetic clips.\n\nYour answers are stored on this machine under a "
    "random code, without your name, your address or anything about your browser but the size of your "
    "screen. You can stop at any time by closing the page."
)


def make_study(folder: Path, kind: StudyKind, *, workers: int = 2) -> Path:
    """Make the clips in ``folder/clips`` and the plan beside them.

    Args:
        folder: Made if needed; files of the same name are replaced.
        kind: Kind of study.
        workers: Clips made at once.

    Returns:
        The plan, ``folder/plan.yaml``.
    """
    clips = [
        SampleClip(
            f"sample-{number}__{model}",
            "a clip of the demonstration",
            () if kind == "sliders-and-marks" else ("It takes the shape of an arch.",),
            Voice("en-us", rate=170, pitch=35 + 5 * number),
            seed=60 + number,
            audio=kind != "sliders-and-marks",
            seconds=2.0,
            appearance=number,
            turn=0.6 if kind == "sliders-and-marks" else 0.0,
            **fault,
        )
        for number in range(CONTENTS)
        for model, fault in _FAULTS.items()
    ]
    make_sample(folder / "clips", clips=clips, workers=workers)
    if kind == "pairwise":
        training = [f"sample-{number}" for number in range(TRAINING)]
    else:
        training = [clip.name for clip in clips[: 2 * TRAINING : 2]]
    plan = {
        "kind": kind,
        "name": f"Demonstration ({kind})",
        "consent": _CONSENT,
        "question": _QUESTIONS[kind],
        "instructions": "Please watch each clip to its end.",
        "training": training,
        "screen": {"phones": True},
        "sessions": {"break_minutes": 0.5},
    }
    path = folder / "plan.yaml"
    write_text(path, yaml.safe_dump(plan, sort_keys=False))
    return path
