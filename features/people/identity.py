"""Identity consistency by equation 4 of THQA-MT, over the people of `faces`.

It is the mean, over N subjects of a reference and L frames sampled once a second, of the cosine
similarity between the subject's face in the reference and in the frame. People of the clip and subjects
are matched one to one, once for the clip, so that the sum of the similarities of their mean embeddings is
maximal. Pairs of subject and frame without the face are left out of the mean; the coverage is the share
of remaining pairs. Only tracks of the kind `person` count: pictures of people (inset portraits, stills,
second panels) are never matched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media import SlotPicker

from .grouping import KINDS
from .pack import mean_embedding, similarity

Embeddings = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
SAMPLED_FPS = 1.0
_PERSON = KINDS.index("person")


@dataclass(frozen=True, slots=True)
class IdentityScore:
    """Identity consistency of a clip.

    Attributes:
        consistency: Mean cosine similarity, -1 to 1.
        coverage: Share of the N × L pairs with a face, 0 to 1.
        subjects: Number of subjects, N.
        sampled: Number of frames, L.
        people: Number of the person matched with each subject; -1 for a subject without a match.
    """

    consistency: float
    coverage: float
    subjects: int
    sampled: int
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sightings:
    """Embeddings in the frames sampled once a second.

    Attributes:
        times: (L,): times of these frames in seconds, including frames without a face.
        frame: (n,): index of each embedding's frame.
        person: (n,): number of each embedding's person.
        embedding: (n, dim): embeddings.
    """

    times: npt.NDArray[np.float64]
    frame: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]
    embedding: Embeddings


Measure = Callable[[Embeddings, Sightings, Indices], IdentityScore]


def sightings_of(faces: Values) -> Sightings:
    """Embeddings of the people in the frames sampled once a second.

    Args:
        faces: Values of the extractor `faces`.

    Raises:
        AbsentError: No person's face in these frames has an embedding.
    """
    due = np.flatnonzero(SlotPicker(SAMPLED_FPS).take(faces["time"]))
    number = {int(sample): i for i, sample in enumerate(due)}
    track = faces["track"][faces["embedded"]]
    sample = faces["sample"][faces["embedded"]]
    kept = np.isin(sample, due) & (faces["track_kind"][track] == _PERSON)
    if not kept.any():
        raise AbsentError("no-face", "no person's face in the sampled frames has an embedding")
    return Sightings(
        faces["time"][due],
        np.array([number[int(s)] for s in sample[kept]], dtype=np.int64),
        faces["track_person"][track[kept]].astype(np.int64),
        faces["embedding"][kept],
    )


def person_embeddings(
    faces: Values,
) -> tuple[npt.NDArray[np.int32], Embeddings, npt.NDArray[np.int32]]:
    """Mean embedding of each person.

    Args:
        faces: Values of the extractor `faces`.

    Returns:
        (n,): numbers of the people, ascending; (n, dim): mean embedding of each, of length 1; (n,):
        number of embeddings in each mean.

    Raises:
        AbsentError: No person's face has an embedding.
    """
    track = faces["track"][faces["embedded"]]
    kept = faces["track_kind"][track] == _PERSON
    if not kept.any():
        raise AbsentError("no-face", "no person's face has an embedding")
    person = faces["track_person"][track[kept]]
    people, counts = np.unique(person, return_counts=True)
    means = [mean_embedding(list(faces["embedding"][kept][person == p])) for p in people]
    return people.astype(np.int32), np.stack(means), counts.astype(np.int32)


def reference_frame(sightings: Sightings) -> int:
    """Index of the sampled frame that serves as reference without a portrait.

    It is the frame nearest to the clip's middle among those that show the most people.

    Examples:
        >>> times, frame = np.array([0.0, 1.0, 2.0]), np.array([0, 1, 1, 2])
        >>> reference_frame(Sightings(times, frame, np.array([0, 0, 1, 0]), np.eye(4, dtype=np.float32)))
        1
    """
    shown = np.bincount(sightings.frame, minlength=len(sightings.times))
    best = np.flatnonzero(shown == shown.max())
    middle = sightings.times[-1] / 2
    return int(best[np.argmin(np.abs(sightings.times[best] - middle))])


def against_portrait(portrait: Embeddings, sightings: Sightings) -> IdentityScore:
    """Consistency with a reference picture.

    Args:
        portrait: (N, dim): one embedding of length 1 per subject.
        sightings: Sightings of the clip.

    Returns:
        The consistency, a mean of cosines.

    Examples:
        >>> faces = np.array([[1, 0], [0.6, 0.8]], np.float32)
        >>> sightings = Sightings(np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 0]), faces)
        >>> score = against_portrait(faces[:1], sightings)
        >>> round(score.consistency, 2), score.coverage
        (0.8, 1.0)
    """
    return _by_cosine(portrait, sightings, np.arange(len(sightings.times)))


def against_itself(
    sightings: Sightings, measure: Measure | None = None
) -> tuple[IdentityScore, float]:
    """Consistency with the clip's own reference frame, which is left out of the mean.

    Args:
        sightings: Sightings of the clip.
        measure: Compares a reference with some frames; by default by cosines.

    Returns:
        The result, and the time of that frame.

    Raises:
        AbsentError: There is no other sampled frame.

    Examples:
        >>> faces = np.array([[1, 0], [0.6, 0.8]], np.float32)
        >>> times, frame, person = np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 0])
        >>> score, time = against_itself(Sightings(times, frame, person, faces))
        >>> round(score.consistency, 2), time
        (0.6, 0.0)
    """
    if len(sightings.times) < 2:
        raise AbsentError("too-few-frames", "expected at least two sampled frames, got one")
    frame = reference_frame(sightings)
    others = np.flatnonzero(np.arange(len(sightings.times)) != frame)
    reference = sightings.embedding[sightings.frame == frame]
    measure = measure or _by_cosine
    return measure(reference, sightings, others), float(sightings.times[frame])


def _by_cosine(reference: Embeddings, sightings: Sightings, frames: Indices) -> IdentityScore:
    if not len(reference) or reference.shape[1] != sightings.embedding.shape[1]:
        raise AbsentError("no-reference-face", "the reference has no embedding of this pack")
    people = np.unique(sightings.person)
    means = [mean_embedding(list(sightings.embedding[sightings.person == p])) for p in people]
    return matched(
        -similarity(reference, np.stack(means)),
        sightings,
        frames,
        lambda subject, own: similarity(reference[[subject]], sightings.embedding[own])[0],
    )


def matched(
    costs: npt.NDArray[Any],
    sightings: Sightings,
    frames: Indices,
    compare: Callable[[int, npt.NDArray[np.bool_]], npt.NDArray[Any]],
) -> IdentityScore:
    """Mean of the comparisons of each subject with one person, matched at the lowest total cost.

    Args:
        costs: (N, people): cost of each pair; people in ascending order of their numbers.
        sightings: Sightings of the clip.
        frames: (L,): indices of the sampled frames that count.
        compare: Gives one number for each sighting, bool (n,), compared with a subject.

    Raises:
        AbsentError: No frame that counts shows a subject.
    """
    from scipy.optimize import linear_sum_assignment

    counted = np.isin(sightings.frame, frames)
    people = np.unique(sightings.person)
    compared: list[float] = []
    paired = [-1] * len(costs)
    for subject, partner in zip(*linear_sum_assignment(costs), strict=True):
        paired[subject] = int(people[partner])
        own = counted & (sightings.person == people[partner])
        compared += compare(subject, own).tolist()
    if not compared:
        raise AbsentError("no-face", "no sampled frame shows a subject of the reference")
    return IdentityScore(
        float(np.mean(compared)),
        len(compared) / (len(costs) * len(frames)),
        len(costs),
        len(frames),
        tuple(paired),
    )
