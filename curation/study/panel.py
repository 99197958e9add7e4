"""The ratings of one dimension as columns of numbers, the input of all computations.

Means and sums are taken over runs of equal clips, in time linear in the number of ratings; designs
in which subjects rate different clips need no empty cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panel:
    """The ratings of one dimension, sorted by (clip, subject, repetition).

    Attributes:
        subjects: Names of the subjects; sorted.
        clips: Names of the clips that were rated at least once; sorted.
        subject: int64 (n,): index into `subjects`.
        clip: int64 (n,): index into `clips`, ascending.
        session: int64 (n,): index of the session; all 0 where the table has none.
        repetition: int64 (n,): from 0.
        score: float64 (n,), finite.
        content: Name of each clip's content; None where the table has no such column.
        reference: Whether each clip is the undistorted reference of its content.
    """

    subjects: tuple[str, ...]
    clips: tuple[str, ...]
    subject: Codes
    clip: Codes
    session: Codes
    repetition: Codes
    score: Floats
    content: tuple[str, ...] | None = None
    reference: Flags | None = None
    _counts: Codes | None = None

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def counts(self) -> Codes:
        """int64 (clips,): number of ratings of each clip."""
        if self._counts is not None:
            return self._counts
        return np.bincount(self.clip, minlength=len(self.clips))

    @cached_property
    def starts(self) -> Codes:
        """int64 (clips,): first row of each clip."""
        return np.concatenate([[0], np.cumsum(self.counts)[:-1]]).astype(np.int64)

    @cached_property
    def _width(self) -> int:
        """Number of ratings per clip if equal for all, else 0; rows of equal length sum faster."""
        counts = self.counts
        return int(counts[0]) if len(counts) and counts.min() == counts.max() else 0

    @cached_property
    def n_repetitions(self) -> int:
        """The largest number of presentations of a clip to a subject."""
        return int(self.repetition.max()) + 1 if len(self) else 0

    def clip_sum(self, values: npt.NDArray[Any]) -> Floats:
        """Sum of a per-row array (n,) over each clip; float64 (clips,).

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.clip_sum(panel.score).tolist()
            [4.0, 6.0]
        """
        if self._width:
            total: Floats = values.reshape(-1, self._width).sum(axis=1, dtype=np.float64)
        else:
            total = np.add.reduceat(values, self.starts, dtype=np.float64)
        return total

    def clip_mean(self, values: npt.NDArray[Any]) -> Floats:
        """Mean of a per-row array (n,) over each clip; float64 (clips,).

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.clip_mean(panel.score).tolist()
            [2.0, 3.0]
        """
        mean: Floats = self.clip_sum(values) / self.counts
        return mean

    def spread(self, per_clip: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A per-clip array (clips,), repeated for each of the clip's rows: (n,).

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.spread(np.array([10, 20])).tolist()
            [10, 10, 20, 20]
        """
        return np.repeat(per_clip, self.counts)

    @cached_property
    def subject_counts(self) -> Codes:
        """int64 (subjects,): number of ratings of each subject."""
        return np.bincount(self.subject, minlength=len(self.subjects))

    def subject_sum(self, values: npt.NDArray[Any]) -> Floats:
        """Sum of a per-row array (n,) over each subject; float64 (subjects,).

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.subject_sum(panel.score).tolist()
            [3.0, 7.0]
        """
        return np.bincount(self.subject, weights=values, minlength=len(self.subjects)).astype(
            np.float64
        )

    def subject_mean(self, values: npt.NDArray[Any]) -> Floats:
        """Mean of a per-row array (n,) over each subject: float64 (subjects,); NaN without rows.

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.subject_mean(panel.score).tolist()
            [1.5, 3.5]
        """
        with np.errstate(invalid="ignore"):
            mean: Floats = self.subject_sum(values) / self.subject_counts
        return mean

    def with_scores(self, score: Floats) -> Panel:
        """The same presentations with other scores: float64 (n,), finite.

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.with_scores(panel.score * 10).score.tolist()
            [10.0, 30.0, 20.0, 40.0]
        """
        return replace(self, score=score)

    def keep(self, rows: Flags) -> Panel:
        """The panel of the rows that are True in `rows`, bool (n,).

        Clips without remaining ratings are dropped; names of subjects are kept.

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> panel.keep(panel.score > 1).score.tolist()
            [3.0, 2.0, 4.0]
        """
        if rows.all():
            return self
        chosen = np.flatnonzero(rows)
        clip = self.clip[chosen]
        counts = np.bincount(clip, minlength=len(self.clips))
        alive = counts > 0
        return Panel(
            subjects=self.subjects,
            clips=those_of(self.clips, alive),
            subject=self.subject[chosen],
            clip=clip if alive.all() else (np.cumsum(alive) - 1)[clip],
            session=self.session[chosen],
            repetition=self.repetition[chosen],
            score=self.score[chosen],
            content=None if self.content is None else those_of(self.content, alive),
            reference=None if self.reference is None else self.reference[alive],
            _counts=counts[alive],
        )

    def cells(self) -> tuple[Codes, Codes, Floats]:
        """Each rated pair of a clip and a subject, averaged over repetitions.

        Returns:
            Index of the clip, index of the subject: int64 (pairs,); mean score: float64 (pairs,).

        Examples:
            >>> from theval_datasets.curation.study.ratings import Ratings
            >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
            >>> [column.tolist() for column in panel.cells()]
            [[0, 0, 1, 1], [0, 1, 0, 1], [1.0, 3.0, 2.0, 4.0]]
        """
        if self.n_repetitions <= 1:
            return self.clip, self.subject, self.score
        key = self.clip * len(self.subjects) + self.subject
        first = np.concatenate([[True], key[1:] != key[:-1]])
        starts = np.flatnonzero(first)
        lengths = np.diff(np.append(starts, len(key)))
        mean = np.add.reduceat(self.score, starts) / lengths
        return self.clip[starts], self.subject[starts], mean


def those_of(names: tuple[str, ...], alive: Flags) -> tuple[str, ...]:
    """The names that are True in `alive`, bool (names,).

    Examples:
        >>> those_of(("a", "b", "c"), np.array([True, False, True]))
        ('a', 'c')
    """
    if alive.all():
        return names
    return tuple(name for name, kept in zip(names, alive, strict=True) if kept)
