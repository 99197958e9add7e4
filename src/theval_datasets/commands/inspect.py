"""`theval-data inspect`: a contact sheet that shows the measurements of a clip."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report

from .options import CacheLocation, StrPath

if TYPE_CHECKING:
    from theval_datasets.extraction.extractor import Extractor
    from theval_datasets.extraction.outcomes import Outcome
    from theval_datasets.media.frames import Frames

_log = logging.getLogger(__name__)

_MOST: Final = 24


@dataclass(frozen=True, slots=True)
class InspectReport(Report):
    """Result of an inspection.

    Attributes:
        clip: Path of the clip.
        sheet: Path of the PNG.
        outcomes: Outcome of each extractor.
        facts: Facts and measurements of the clip, by name.
    """

    clip: Path
    sheet: Path
    outcomes: Mapping[str, Outcome]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """1 if an extractor failed because of the clip, else 0."""
        from theval_datasets.extraction.outcomes import UNAVAILABLE

        failed = (o for o in self.outcomes.values() if o.status == "failed")
        return int(any(outcome.reason not in UNAVAILABLE for outcome in failed))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "clip": str(self.clip),
            "sheet": str(self.sheet),
            "facts": dict(self.facts),
            "outcomes": {
                name: {"status": o.status, "reason": o.reason, "missing": dict(o.missing)}
                for name, o in self.outcomes.items()
            },
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per fact."""
        return [{"fact": name, "value": value} for name, value in self.facts.items()]

    def to_text(self) -> str:
        """Facts, undefined values with their reasons, and the path of the sheet."""
        lines = [f"{name}: {'none' if v is None else v}" for name, v in self.facts.items()]
        for name, outcome in self.outcomes.items():
            if outcome.status != "ok":
                lines.append(f"{name} {outcome.status} ({outcome.reason})")
            lines += [f"{column} undefined ({why})" for column, why in outcome.missing.items()]
        return "\n".join([*lines, f"sheet: {self.sheet}"])


def inspect(
    clip: Annotated[StrPath, typer.Argument(metavar="CLIP")],
    *,
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="PNG")] = None,
    cache: CacheLocation = None,
    frames: Annotated[int, typer.Option(min=1, metavar="N")] = 8,
    anonymise: bool = False,
) -> InspectReport:
    """Draw a contact sheet of a clip: faces, tracks, meshes, pose and curves.

    Args:
        clip: Video or still picture.
        output: File for the sheet. Default: the clip's name with -sheet.png, in the current folder.
        cache: Path or URL of the feature cache. Default: the cache that ``extract`` fills.
        frames: Largest number of frames to show.
        anonymise: Blur faces in the frames.

    Raises:
        InputError: There is no such file, or no frame of it can be shown.
    """
    need("media")
    from theval_datasets import media
    from theval_datasets.errors import MediaError
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.extraction.jobs import ClipJob, Plan
    from theval_datasets.extraction.runner import Runner
    from theval_datasets.extraction.store import values_of
    from theval_datasets.utils.files import sha256_file

    from ._sheet import draw

    clip = Path(clip)
    if not clip.is_file():
        raise InputError(f"there is no file {clip}")
    if not 1 <= frames <= _MOST:
        raise InputError(f"expected 1 to {_MOST} frames to show, got {frames}")
    location = str(cache or default_location())
    extractors = _extractors()
    digest = sha256_file(clip)
    runner = Runner(Plan(extractors, location))
    report = runner.process(ClipJob(clip.stem, str(clip), digest))
    values = values_of(runner.store.clip(digest))
    try:
        facts = media.probe(clip)
        index = media.frame_index(clip)
        times = [facts.duration * (i + 0.5) / frames for i in range(frames)]
        picked = sorted(set(index.at(times).tolist()))
        shown = media.read_frames(clip, picked, index)
        if anonymise:
            shown = _blurred(shown)
    except MediaError as error:
        raise InputError(
            f"no frame of {clip.name} can be shown ({error.reason}): {error}"
        ) from None
    sheet = Path(output) if output else Path(f"{clip.stem}-sheet.png")
    backend = next(e.weights_id() for e in extractors if e.name == "faces").partition("-")[0]
    named = clip.name if backend == "scrfd" else f"{clip.name}  ·  no identities ({backend})"
    draw(sheet, named, shown, index.times, values, report.outcomes)
    people = values.get("faces", {}).get("n_subjects")
    numbers = {
        "size": f"{facts.width}x{facts.height}",
        "seconds": round(facts.duration, 3),
        "frames": facts.n_frames,
        "people": None if people is None else int(people),
        "found by": backend,
    }
    return InspectReport(clip, sheet, report.outcomes, numbers)


def _blurred(frames: Frames) -> Frames:
    from theval_datasets.curation.clips.anonymise import anonymised

    return replace(frames, pixels=[anonymised(p) for p in frames.pixels])


def _extractors() -> tuple[Extractor, ...]:
    from theval_datasets import catalog

    names = (
        "landmarks", "head_pose", "vad", "loudness", "theval_signals",
        "faces", "person_landmarks", "person_pose", "active_speaker",
    )  # fmt: skip
    return tuple(catalog.load("extractor", name)() for name in names)
