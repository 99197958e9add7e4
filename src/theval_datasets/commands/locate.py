"""`theval-data locate`: positions of short recordings in long recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report

from .options import StrPath


@dataclass(frozen=True, slots=True)
class Location:
    """Position of a short recording in a long one.

    Attributes:
        short: Path of the short recording.
        long: Path of the long recording that matches best; None if none was compared.
        start: Start in the long recording, in seconds.
        score: Correlation of the match, -1 to 1.
        margin: Difference to the best score elsewhere in the same long recording.
        reason: Reason why there is no match; None if there is one.
    """

    short: str
    long: str | None = None
    start: float | None = None
    score: float | None = None
    margin: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LocateReport(Report):
    """Positions of all short recordings.

    Attributes:
        locations: One entry per short recording.
        unreadable: Long recordings that could not be decoded, with the reason.
        threshold: Lowest score of a match.
    """

    locations: tuple[Location, ...]
    unreadable: dict[str, str]
    threshold: float

    @property
    def exit_code(self) -> int:
        """1 if a recording was not located or could not be decoded, else 0."""
        return int(bool(self.unreadable) or any(location.reason for location in self.locations))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "threshold": self.threshold,
            "found": [
                {name: getattr(location, name) for name in Location.__slots__}
                for location in self.locations
            ],
            "unreadable": self.unreadable,
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per short recording."""
        rows: list[dict[str, Any]] = self.to_plain()["found"]
        return rows

    def to_text(self) -> str:
        """One line per recording."""
        lines = []
        for location in self.locations:
            score = f"score {location.score:.3f}" if location.score is not None else ""
            if location.reason is None:
                lines.append(
                    f"{location.short}: {location.long} at {location.start:.3f} s ({score})"
                )
            else:
                near = f", nearest {location.long} {score}" if location.long else ""
                lines.append(f"{location.short}: {location.reason}{near}")
        lines += [f"could not be decoded: {name} ({why})" for name, why in self.unreadable.items()]
        return "\n".join(lines)


def locate(
    short: Annotated[StrPath, typer.Argument(metavar="SHORT")],
    long: Annotated[Sequence[StrPath], typer.Argument(metavar="LONG")],
    *,
    threshold: Annotated[float | None, typer.Option(metavar="SCORE")] = None,
) -> LocateReport:
    """Find where short recordings occur in long ones.

    Args:
        short: Short recording, or a folder of them.
        long: Long recordings, or folders of them; each is decoded once.
        threshold: Lowest score of a match, between 0 and 1.

    Raises:
        InputError: A path does not exist, or holds no recording.
    """
    need("media")
    from theval_datasets.curation.duplicates.locate import (
        MIN_SECONDS,
        STEP,
        THRESHOLD,
        best_match,
        feature_of_file,
    )
    from theval_datasets.curation.tasks import Failure, Tasks
    from theval_datasets.engines.local import LocalEngine

    limit = THRESHOLD if threshold is None else threshold
    if not 0 < limit < 1:
        raise InputError(f"expected a threshold between 0 and 1, got {limit}")
    short_files = list(_recordings(Path(short)))
    places = [file for place in long for file in _recordings(Path(place))]
    if not short_files or not places:
        raise InputError("expected at least one short and one long recording")
    best: dict[Path, Location] = {}
    features = {}
    unreadable: dict[str, str] = {}
    with Tasks(LocalEngine(1)) as tasks:
        for file, feature in tasks.run(feature_of_file, short_files, None, path=Path):
            if isinstance(feature, Failure):
                best[file] = Location(str(file), reason=feature.reason)
            elif len(feature) * STEP < MIN_SECONDS:
                best[file] = Location(str(file), reason="too-short")
            else:
                features[file] = feature
        for place, whole in tasks.run(feature_of_file, places, "locate", "recording", path=Path):
            if isinstance(whole, Failure):
                unreadable[str(place)] = whole.reason
                continue
            for file, feature in features.items():
                match = best_match(feature, whole)
                old = best.get(file)
                if match is None or (old is not None and (old.score or -1) >= match.score):
                    continue
                reason = None if match.score >= limit else "not-found"
                numbers = (round(match.start, 4), round(match.score, 4), round(match.margin, 4))
                best[file] = Location(str(file), str(place), *numbers, reason)
    locations = (best.get(file, Location(str(file), reason="not-found")) for file in short_files)
    return LocateReport(tuple(locations), unreadable, limit)


def _recordings(place: Path) -> Iterator[Path]:
    from theval_datasets.curation.sources.local import AUDIO, VIDEO, files_below

    if place.is_dir():
        yield from files_below(place, VIDEO | AUDIO)
    elif place.is_file():
        yield place
    else:
        raise InputError(f"there is no file or folder {place}")
