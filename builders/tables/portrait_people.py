"""The people of portraits, their pose and the difficulty, measured as in clips of one frame."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import MissingExtraError
from theval_datasets.extraction.cache import Cache
from theval_datasets.utils.files import sha256_file

if TYPE_CHECKING:
    from .portrait_files import Portrait

ANGLES: Final = ("yaw", "pitch", "roll")


@dataclass(frozen=True)
class PortraitPeople:
    """Measurements of a portrait.

    Attributes:
        n_subjects: Number of people; 0 if no face was detected, None if no detector could run.
        angles: Yaw, pitch and roll of each person in degrees, in the order of the columns `yaw`,
            `pitch` and `roll`; None for a person whose face no mesh fits.
        difficulty: Easy, Medium or Hard; None if nobody was detected.
        reasons: Reasons of the undefined columns, by name.
    """

    n_subjects: int | None
    angles: Mapping[str, tuple[float | None, ...] | None]
    difficulty: str | None
    reasons: Mapping[str, str]


def measure_people(
    portraits: Mapping[str, Portrait], cache: Cache | None
) -> dict[str, PortraitPeople]:
    """Measure portraits.

    Args:
        portraits: Portraits by id.
        cache: Cache of the measurements; None for a temporary one.
    """
    from theval_datasets.engines.limits import default_workers
    from theval_datasets.engines.local import LocalEngine
    from theval_datasets.extraction.jobs import ClipJob
    from theval_datasets.extraction.measure import compute
    from theval_datasets.extraction.store import FeatureStore, values_of
    from theval_datasets.features.faces import Faces
    from theval_datasets.features.person_landmarks import PersonLandmarks
    from theval_datasets.features.person_pose import PersonPose

    with _cache_or_temporary(cache) as place:
        try:
            store = FeatureStore((Faces(), PersonLandmarks(), PersonPose()), place)
        except MissingExtraError:
            return dict.fromkeys(portraits, unknown_people("extra-missing"))
        jobs = [
            ClipJob(name, str(portrait.file.resolve()), sha256_file(portrait.file))
            for name, portrait in portraits.items()
        ]
        compute(store, jobs, LocalEngine(default_workers()), "portraits")
        made = {}
        for job in jobs:
            features = store.clip(job.sha256)
            made[job.clip_id] = _people(
                portraits[job.clip_id],
                values_of(features),
                {name: feature.outcome.reason for name, feature in features.items()},
            )
        return made


def _people(
    portrait: Portrait, values: Mapping[str, Any], reasons: Mapping[str, str | None]
) -> PortraitPeople:
    from theval_datasets.curation.clips.subjects import difficulty_of, people_facts

    if "faces" not in values:
        reason = reasons.get("faces") or "not-measured"
        nobody = PortraitPeople(0, dict.fromkeys(ANGLES), None, dict.fromkeys(_COLUMNS, reason))
        return nobody if reason == "no-face" else unknown_people(reason)
    facts = people_facts(values)
    posed = ["yaw_mean" in person for person in facts]
    without = reasons.get("person_pose") or "no-mesh"
    angles = {
        name: tuple(person.get(f"{name}_mean") for person in facts) if any(posed) else None
        for name in ANGLES
    }
    missing = {} if any(posed) else dict.fromkeys(ANGLES, without)
    difficulty = difficulty_of(facts, portrait.pixels())
    if not all(posed) and difficulty != "Hard":  # a head whose turn is unknown may make it harder
        difficulty, missing["difficulty"] = None, without
    return PortraitPeople(len(facts), angles, difficulty, missing)


_COLUMNS: Final = (*ANGLES, "difficulty")


def unknown_people(reason: str) -> PortraitPeople:
    """A portrait that could not be measured.

    Examples:
        >>> people = unknown_people("not-extracted")
        >>> people.n_subjects is None, people.difficulty is None
        (True, True)
    """
    columns = dict.fromkeys(("n_subjects", *_COLUMNS), reason)
    return PortraitPeople(None, dict.fromkeys(ANGLES), None, columns)


@contextmanager
def _cache_or_temporary(cache: Cache | None) -> Iterator[Cache]:
    if cache is not None:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="theval-portraits-") as folder:
        yield Cache(folder)
