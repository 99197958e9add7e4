"""The study of THQA-MT: its tables read and checked, opinion scores and distortion labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from theval_datasets.errors import InputError, RatingsError

from ..tables.generated import without_suffix

if TYPE_CHECKING:
    from theval_datasets.curation.study.mos import Opinions
    from theval_datasets.curation.study.ratings import Ratings
    from theval_datasets.curation.study.taxonomy import Taxonomy
    from theval_datasets.curation.study.votes import Labels

PRESET: Final = "thqa-mt"
_USUAL: Final = (0.0, 5.0)
_MOST: Final = 0.95  # share of scores on the usual scale from which the others are mistakes


@dataclass(frozen=True)
class Study:
    """What was given of a study.

    Attributes:
        ratings_path: Table of ratings, which may hold votes; None if not given.
        votes_path: Table of votes; None if not given.
        taxonomy_path: Names of the distortions; None for THQA-MT's.
    """

    ratings_path: Path | None = None
    votes_path: Path | None = None
    taxonomy_path: Path | None = None

    def faults(self) -> list[str]:
        """What does not fit in the tables, in sentences; empty if they can be used."""
        found = []
        steps: tuple[Callable[[], Any], ...] = (
            lambda: self.ratings,
            lambda: self.vote_table,
            lambda: self.votes,
            lambda: self.opinions,
            lambda: self.labels,
        )
        for step in steps:
            try:
                step()
            except InputError as error:
                if str(error) not in found:
                    found.append(str(error))
        return found

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """Names of the distortions."""
        from theval_datasets.curation.study.taxonomy import load_taxonomy

        return load_taxonomy(self.taxonomy_path)

    @cached_property
    def ratings(self) -> Ratings | None:
        """The ratings; None if not given.

        Raises:
            RatingsError: If the table does not fit.
        """
        if self.ratings_path is None:
            return None
        from theval_datasets.curation.study.tables import TableOptions, read_ratings

        found = read_ratings(self.ratings_path, TableOptions(taxonomy=self.taxonomy))
        where = self.ratings_path.name
        if len(found.dimensions) != 1:
            raise RatingsError(
                f"{where}: expected one rating a clip and subject, got the dimensions "
                f"{', '.join(found.dimensions)}"
            )
        low, high = _USUAL
        outside = (found.score < low) | (found.score > high)
        if outside.any() and 1 - outside.mean() >= _MOST:
            row = int(np.flatnonzero(outside)[0])
            raise RatingsError(
                f"{where}: {int(outside.sum())} scores are outside of {low:g} … {high:g}, where "
                f"the others are, such as {found.score[row]:g} by {found.subjects[found.subject[row]]!r}"
                f" for {found.clips[found.clip[row]]!r}"
            )
        return found

    @cached_property
    def votes(self) -> Ratings | None:
        """The table that holds the votes; None if none does.

        Raises:
            RatingsError: If it does not fit, or both tables hold votes.
        """
        rated = self.ratings
        if rated is None or rated.votes is None:
            return self.vote_table
        if self.vote_table is not None:
            raise RatingsError(
                "the table of votes and the table of ratings both hold distortion votes; give one "
                "of them"
            )
        return rated

    @cached_property
    def vote_table(self) -> Ratings | None:
        """The table of votes; None if not given.

        Raises:
            RatingsError: If it does not fit.
        """
        if self.votes_path is None:
            return None
        import polars as pl

        from theval_datasets.curation.study.tables import TableOptions, from_frame, read_frame

        frame = read_frame(self.votes_path)
        if "score" not in frame.columns:
            frame = frame.with_columns(pl.lit("0").alias("score"))
        options = TableOptions(taxonomy=self.taxonomy)
        found = from_frame(frame, options, where=self.votes_path.name)
        if found.votes is None:
            raise RatingsError(
                f"{self.votes_path.name} holds no votes: expected a column 'distortions', or "
                "columns 'distortion_ID' with 0 and 1"
            )
        return found

    @cached_property
    def opinions(self) -> Opinions | None:
        """Opinion scores of the clips; None without ratings."""
        if self.ratings is None:
            return None
        from theval_datasets.curation.study.mos import opinions
        from theval_datasets.curation.study.parameters import preset

        return opinions(self.ratings.panel(), preset(PRESET))

    @cached_property
    def labels(self) -> Labels | None:
        """Distortions of the clips, by the subjects who were not rejected; None without votes."""
        if self.votes is None:
            return None
        from theval_datasets.curation.study.parameters import preset
        from theval_datasets.curation.study.votes import label

        retained = None
        if self.ratings is not None and self.opinions is not None:
            rejected = self.opinions.screening.rejected.tolist()
            gone = {s for s, r in zip(self.ratings.subjects, rejected, strict=True) if r}
            retained = np.array([subject not in gone for subject in self.votes.subjects], bool)
        threshold = preset(PRESET).vote_threshold
        return label(self.votes, self.taxonomy, threshold=threshold, retained=retained)

    @cached_property
    def clips(self) -> frozenset[str]:
        """Names of the clips in either table, as they stand there."""
        tables = [table for table in (self.ratings, self.votes) if table is not None]
        return frozenset(name for table in tables for name in table.clips)


def matched(names: Iterable[str], ids: Iterable[str]) -> dict[str, str]:
    """Names of clips in one table to `clip_id`: as they are, or without the suffix of a video.

    Raises:
        RatingsError: If two names mean the same clip.
    """
    known = set(ids)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        one = _meant(name, known)
        if one in known:
            if one in taken:
                raise RatingsError(f"the clip {one!r} stands under two names in one table")
            taken.add(one)
            found[name] = one
    return found


def unmatched(names: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Names of clips in tables that mean none of some `clip_id`; sorted."""
    known = set(ids)
    return sorted(name for name in names if _meant(name, known) not in known)


def _meant(name: str, known: Collection[str]) -> str:
    return name if name in known else without_suffix(name)
