"""Ratings as columns of numbers: one row per presentation, names as codes.

All computations take a `Panel` of one dimension, sorted by clip, subject and repetition, so that the
order of a table's rows never changes a result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import RatingsError

from .panel import Codes, Flags, Floats, Panel, those_of
from .scales import Scale


@dataclass(frozen=True)
class TableSummary:
    """Interpretation of a ratings table.

    Attributes:
        form: Format, such as ``CSV, UTF-8, semicolon``.
        layout: Description of the layout.
        scale: Rating scale.
        left_out: Columns that hold no ratings.
    """

    form: str
    layout: str
    scale: Scale
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Ratings:
    """A checked table of ratings.

    Attributes:
        subjects: Names of the subjects; sorted. So are the other names.
        clips: Names of the clips.
        dimensions: Names of the rated dimensions ("quality", "authenticity", …).
        sessions: Names of the sessions; one empty name where the table has none.
        subject: int64 (n,): index into `subjects`. So are the next three.
        clip: int64 (n,), the slowest of the sort keys after `dimension`.
        dimension: int64 (n,).
        session: int64 (n,).
        repetition: int64 (n,).
        score: float64 (n,).
        votes: bool (n, types): distortions that each presentation was voted to have; None without
            votes.
        vote_names: Ids of the vote types, in the order of the columns of `votes`.
        content: Content of each clip, or None.
        reference: bool (clips,), or None.
        generator: Generator of each clip, or None.
        n_missing: Number of rows without a score, which were left out.
        source: Interpretation of the table; None for ratings that were not read from a table.
    """

    subjects: tuple[str, ...]
    clips: tuple[str, ...]
    dimensions: tuple[str, ...]
    sessions: tuple[str, ...]
    subject: Codes
    clip: Codes
    dimension: Codes
    session: Codes
    repetition: Codes
    score: Floats
    votes: Flags | None = None
    vote_names: tuple[str, ...] = ()
    content: tuple[str, ...] | None = None
    reference: Flags | None = None
    generator: tuple[str, ...] | None = None
    n_missing: int = 0
    source: TableSummary | None = None
    _panels: dict[str, Panel] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.score)

    def to_text(self) -> str:
        """Interpretation of the table: format, layout, subjects, clips, scale and dimensions.

        Examples:
            >>> Ratings.from_matrix([[1, 2], [4, 5]]).to_text()
            '2 subjects, 2 clips; dimension quality'
        """
        parts = [f"{len(self.subjects)} subjects, {len(self.clips)} clips"]
        if self.source is not None:
            parts = [f"{self.source.form}; {self.source.layout}", *parts]
            parts.append(f"scale {self.source.scale.to_text()}")
        noun = "dimension" if len(self.dimensions) == 1 else "dimensions"
        parts.append(f"{noun} {', '.join(self.dimensions)}")
        if self.source is not None and self.source.left_out:
            parts.append(f"columns left out: {', '.join(map(repr, self.source.left_out))}")
        return "; ".join(parts)

    def renamed(self, names: Mapping[str, str]) -> Ratings:
        """The same ratings with other names of clips.

        Args:
            names: New names by old name; other clips keep theirs.

        Raises:
            RatingsError: If two clips get the same name.

        Examples:
            >>> Ratings.from_matrix([[1, 2], [4, 5]]).renamed({"c0000": "first"}).clips
            ('c0001', 'first')
        """
        renamed = [names.get(clip, clip) for clip in self.clips]
        clips, place = encode(renamed)
        if len(clips) < len(renamed):
            twice = next(name for name in clips if renamed.count(name) > 1)
            raise RatingsError(f"two clips of the table are named {twice!r}; rename one of them")
        order = np.argsort(place)
        made = make(
            names=(self.subjects, clips, self.dimensions, self.sessions),
            codes=(self.subject, place[self.clip], self.dimension, self.session),
            repetition=self.repetition,
            score=self.score,
            votes=self.votes,
            vote_names=self.vote_names,
            content=None if self.content is None else tuple(self.content[i] for i in order),
            reference=None if self.reference is None else self.reference[order],
            generator=None if self.generator is None else tuple(self.generator[i] for i in order),
            n_missing=self.n_missing,
        )
        return replace(made, source=self.source)

    def panel(self, dimension: str | None = None) -> Panel:
        """The ratings of one dimension.

        Args:
            dimension: Name of the dimension; None if there is only one.

        Raises:
            RatingsError: If there is no such dimension, or there are several and none was named.

        Examples:
            >>> Ratings.from_matrix([[1, 2], [4, 5]]).panel().score.tolist()
            [1.0, 2.0, 4.0, 5.0]
        """
        if dimension is None:
            if len(self.dimensions) != 1:
                raise RatingsError(
                    f"the table holds {len(self.dimensions)} dimensions "
                    f"({', '.join(self.dimensions)}); name one of them"
                )
            dimension = self.dimensions[0]
        if dimension not in self.dimensions:
            raise RatingsError(
                f"there is no dimension {dimension!r}; known: {', '.join(self.dimensions)}"
            )
        if dimension not in self._panels:
            self._panels[dimension] = self._make_panel(self.dimensions.index(dimension))
        return self._panels[dimension]

    def _make_panel(self, index: int) -> Panel:
        start, stop = np.searchsorted(self.dimension, [index, index + 1])
        rows = slice(int(start), int(stop))
        whole = Panel(
            subjects=self.subjects,
            clips=self.clips,
            subject=self.subject[rows],
            clip=self.clip[rows],
            session=self.session[rows],
            repetition=self.repetition[rows],
            score=self.score[rows],
            content=self.content,
            reference=self.reference,
        )
        counts = whole.counts
        alive = counts > 0
        if alive.all():
            return replace(whole, _counts=counts)
        return replace(
            whole,
            _counts=counts[alive],
            clips=those_of(self.clips, alive),
            clip=(np.cumsum(alive) - 1)[whole.clip],
            content=None if self.content is None else those_of(self.content, alive),
            reference=None if self.reference is None else self.reference[alive],
        )

    @classmethod
    def from_arrays(
        cls,
        subject: Sequence[str] | npt.NDArray[Any],
        clip: Sequence[str] | npt.NDArray[Any],
        score: npt.ArrayLike,
        *,
        dimension: Sequence[str] | None = None,
        session: Sequence[str] | None = None,
        repetition: npt.ArrayLike | None = None,
        votes: npt.NDArray[Any] | None = None,
        vote_names: Sequence[str] = (),
    ) -> Ratings:
        """Ratings from parallel sequences, one entry per presentation.

        Args:
            subject: Names of the subjects (n,).
            clip: Names of the clips (n,).
            score: Finite numbers (n,), on the scale of the study.
            dimension: Names of the dimensions (n,); "quality" if None.
            session: Names of the sessions (n,).
            repetition: Whole numbers (n,) that distinguish presentations.
            votes: 0/1 or bool (n, types): distortion votes.
            vote_names: Ids of the vote types.

        Raises:
            RatingsError: If the same presentation occurs twice, or a score is not finite.

        Examples:
            >>> Ratings.from_arrays(["s1", "s2"], ["c1", "c1"], [3, 4]).score.tolist()
            [3.0, 4.0]
        """
        n = len(subject)
        subjects, subject_codes = encode(subject)
        clips, clip_codes = encode(clip)
        dimensions, dimension_codes = encode(
            dimension if dimension is not None else ["quality"] * n
        )
        sessions, session_codes = encode(session if session is not None else [""] * n)
        return make(
            names=(subjects, clips, dimensions, sessions),
            codes=(subject_codes, clip_codes, dimension_codes, session_codes),
            repetition=np.zeros(n, np.int64)
            if repetition is None
            else np.asarray(repetition, np.int64),
            score=np.asarray(score, np.float64),
            votes=None if votes is None else np.asarray(votes, bool),
            vote_names=tuple(vote_names),
        )

    @classmethod
    def from_matrix(cls, matrix: npt.ArrayLike) -> Ratings:
        """Ratings from an array (clips, subjects) or (clips, subjects, repetitions); NaN is not rated.

        Clips are named ``c0000`` and so on, subjects ``s0000`` and so on.

        Examples:
            >>> Ratings.from_matrix([[1, float("nan")], [4, 5]]).score.tolist()
            [1.0, 4.0, 5.0]
        """
        values = np.asarray(matrix, np.float64)
        values = values[:, :, None] if values.ndim == 2 else values
        clip, subject, repetition = np.nonzero(np.isfinite(values))
        names = (
            tuple(f"s{i:04d}" for i in range(values.shape[1])),
            tuple(f"c{i:04d}" for i in range(values.shape[0])),
            ("quality",),
            ("",),
        )
        zeros = np.zeros(len(clip), np.int64)
        return make(
            names=names,
            codes=(subject, clip, zeros, zeros),
            repetition=repetition,
            score=values[clip, subject, repetition],
        )


def make(
    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]],
    codes: tuple[Codes, Codes, Codes, Codes],
    repetition: Codes,
    score: Floats,
    *,
    votes: Flags | None = None,
    vote_names: tuple[str, ...] = (),
    content: tuple[str, ...] | None = None,
    reference: Flags | None = None,
    generator: tuple[str, ...] | None = None,
    n_missing: int = 0,
) -> Ratings:
    """Sort columns of codes into a `Ratings`.

    The repetitions of a subject and a clip are numbered from 0, in the order of the sessions' names and
    of the given numbers.

    Args:
        names: Sorted names of subjects, clips, dimensions and sessions.
        codes: int64 (n,) each: indices into these names.
        repetition: int64 (n,), at least 0.
        score: float64 (n,), finite.
        votes: bool (n, types), or None.
        vote_names: Ids of the types.
        content: Content of each clip, or None.
        reference: bool (clips,), or None.
        generator: Generator of each clip, or None.
        n_missing: Number of presentations without a score, which were left out.

    Raises:
        RatingsError: If the same presentation occurs twice, or a score is not finite.
    """
    subject, clip, dimension, session = (np.asarray(code, np.int64) for code in codes)
    if not np.isfinite(score).all():
        raise RatingsError(
            "expected finite scores, got one that is not; leave out presentations that were not rated"
        )
    n_repetitions = int(repetition.max(initial=0)) + 1
    order, key = _sorted(
        (dimension, clip, subject, session, repetition),
        (len(names[2]), len(names[1]), len(names[0]), len(names[3]), n_repetitions),
    )
    columns = [column[order] for column in (subject, clip, dimension, session, repetition)]
    same = np.flatnonzero(key[1:] == key[:-1])
    if len(same):
        row = int(same[0])
        raise RatingsError(
            f"{len(same)} presentations occur twice, the first: subject "
            f"{names[0][columns[0][row]]!r}, clip {names[1][columns[1][row]]!r}, dimension "
            f"{names[2][columns[2][row]]!r}, repetition {columns[4][row]}; number them in a column "
            "'repetition', or remove the copies"
        )
    columns[4] = _running(columns[2], columns[1], columns[0], len(names[1]), len(names[0]))
    return Ratings(
        *names,
        subject=columns[0],
        clip=columns[1],
        dimension=columns[2],
        session=columns[3],
        repetition=columns[4],
        score=np.ascontiguousarray(score[order]),
        votes=None if votes is None else votes[order],
        vote_names=vote_names,
        content=content,
        reference=reference,
        generator=generator,
        n_missing=n_missing,
    )


def encode(values: Sequence[str] | npt.NDArray[Any]) -> tuple[tuple[str, ...], Codes]:
    """Sorted distinct names of n values, and the index of each value among them: int64 (n,).

    Examples:
        >>> names, codes = encode(["b", "a", "b"])
        >>> names, codes.tolist()
        (('a', 'b'), [1, 0, 1])
    """
    distinct, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return tuple(str(name) for name in distinct), codes.astype(np.int64)


def _sorted(columns: tuple[Codes, ...], sizes: tuple[int, ...]) -> tuple[Codes, npt.NDArray[Any]]:
    """The order by several columns (slowest first), and the combined key in that order."""
    product = 1
    for size in sizes:
        product *= max(size, 1)
    if product >= 2**62:
        raise RatingsError(f"the table spans {product} presentations, more than can be indexed")
    key = np.zeros(len(columns[0]), np.int64)
    for column, size in zip(columns, sizes, strict=True):
        key = key * size + column
    if (key[1:] > key[:-1]).all():
        return np.arange(len(key)), key
    order = np.argsort(key, kind="stable")
    return order, key[order]


def _running(dimension: Codes, clip: Codes, subject: Codes, n_clips: int, n_subjects: int) -> Codes:
    """0, 1, 2, … within each run of the same subject, clip and dimension."""
    cell = (dimension * n_clips + clip) * n_subjects + subject
    if (cell[1:] != cell[:-1]).all():
        return np.zeros(len(cell), np.int64)
    first = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    return np.arange(len(cell)) - np.repeat(first, np.diff(np.append(first, len(cell))))
