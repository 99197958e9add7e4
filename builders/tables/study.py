"""The tables of a rating study that is an input of a build, and the resulting scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theval_datasets.errors import InputError, RatingsError
from theval_datasets.utils.records import to_plain

from ..base.inputs import Inputs

if TYPE_CHECKING:
    from theval_datasets.curation.study.mos import OpinionScores
    from theval_datasets.curation.study.parameters import StudyParameters
    from theval_datasets.curation.study.protocol import StudyProtocol
    from theval_datasets.curation.study.ratings import Ratings
    from theval_datasets.curation.study.study import StudyResult
    from theval_datasets.curation.study.taxonomy import Taxonomy
    from theval_datasets.curation.study.votes import DistortionLabels


@dataclass(frozen=True)
class StudyTables:
    """The tables of one study, each read and checked when it is first needed.

    Attributes:
        preset: Name of the study's parameters.
        ratings_path: Table of ratings, which may hold distortion votes; None if not given.
        votes_path: Table of distortion votes; None if not given.
        taxonomy_path: Names of the distortions; None for THQA-MT's.
        protocol_path: Protocol of the study; None if not given.
        dimensions: Allowed dimensions; None for a single dimension of any name.
    """

    preset: str
    ratings_path: Path | None = None
    votes_path: Path | None = None
    taxonomy_path: Path | None = None
    protocol_path: Path | None = None
    dimensions: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, inputs: Inputs, preset: str, dimensions: tuple[str, ...] | None = None
    ) -> StudyTables:
        """The tables among the inputs of a build, shared by all configs of it."""

        def make(inputs: Inputs) -> StudyTables:
            ratings, votes, taxonomy, protocol = (
                inputs.path(kind) for kind in ("ratings", "votes", "taxonomy", "protocol")
            )
            return cls(preset, ratings, votes, taxonomy, protocol, dimensions)

        return inputs.shared(make, key=(cls, preset, dimensions))

    def faults(self) -> list[str]:
        """Faults of the tables, in sentences; empty if they can be used."""
        faults: list[str] = []
        steps: tuple[Callable[[], Any], ...] = (
            lambda: self.protocol,
            lambda: self.ratings,
            lambda: self._vote_table,
            lambda: self.votes,
            lambda: self.result,
            lambda: self.labels,
        )
        for step in steps:
            try:
                step()
            except InputError as error:
                if str(error) not in faults:
                    faults.append(str(error))
        return faults

    @cached_property
    def parameters(self) -> StudyParameters:
        """The preset's parameters."""
        from theval_datasets.curation.study.parameters import preset

        return preset(self.preset)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """Names of the distortions."""
        from theval_datasets.curation.study.taxonomy import load_taxonomy

        return load_taxonomy(self.taxonomy_path)

    @cached_property
    def protocol(self) -> StudyProtocol:
        """Protocol of the study.

        Raises:
            InputError: If the file is malformed.
        """
        from theval_datasets.curation.study.protocol import read_protocol

        return read_protocol(self.protocol_path)

    @cached_property
    def ratings(self) -> Ratings | None:
        """The ratings; None if not given.

        Raises:
            RatingsError: If the table is malformed, or rates other dimensions.
        """
        if self.ratings_path is None:
            return None
        from theval_datasets.curation.study.tables import TableOptions, read_ratings

        options = TableOptions(
            score_range=self.protocol.scale,
            missing_codes=self.protocol.missing_codes,
            taxonomy=self.taxonomy,
        )
        ratings = read_ratings(self.ratings_path, options)
        rated = set(ratings.dimensions)
        if len(rated) != 1 if self.dimensions is None else not rated <= set(self.dimensions):
            dimensions = (
                "one dimension" if self.dimensions is None else " and ".join(self.dimensions)
            )
            raise RatingsError(
                f"{self.ratings_path.name}: expected ratings of {dimensions}, got the dimensions "
                f"{', '.join(ratings.dimensions)}"
            )
        return ratings

    @cached_property
    def votes(self) -> Ratings | None:
        """The table that holds the distortion votes; None if none does.

        Raises:
            RatingsError: If it is malformed, or both tables hold votes.
        """
        if self.ratings is None or self.ratings.votes is None:
            return self._vote_table
        if self._vote_table is not None:
            raise RatingsError(
                "the table of votes and the table of ratings both hold distortion votes; give one "
                "of them"
            )
        return self.ratings

    @cached_property
    def _vote_table(self) -> Ratings | None:
        if self.votes_path is None:
            return None
        from theval_datasets.curation.study.tables import TableOptions, read_votes

        return read_votes(self.votes_path, TableOptions(taxonomy=self.taxonomy))

    @cached_property
    def result(self) -> StudyResult | None:
        """Scores and labels of the study; None without ratings."""
        if self.ratings is None:
            return None
        from theval_datasets.curation.study.study import run_study

        return run_study(self.ratings, self.parameters, self.taxonomy, votes=self.votes)

    @property
    def opinions(self) -> Mapping[str, OpinionScores]:
        """Opinion scores by dimension; {} without ratings."""
        return {} if self.result is None else self.result.opinions

    @cached_property
    def labels(self) -> DistortionLabels | None:
        """Distortions of the clips, by the subjects who were not rejected; None without votes."""
        if self.result is not None:
            return self.result.labels
        if self.votes is None:
            return None
        from theval_datasets.curation.study.votes import distortion_labels

        threshold = self.parameters.vote_threshold
        return distortion_labels(self.votes, self.taxonomy, threshold=threshold)

    @cached_property
    def clips(self) -> frozenset[str]:
        """Names of the clips in both tables, as written there."""
        tables = [table for table in (self.ratings, self.votes) if table is not None]
        return frozenset(name for table in tables for name in table.clips)

    def facts(self) -> dict[str, Any]:
        """Parameters, rejected subjects, reliability and protocol, for `info.json` and the card."""
        if self.result is None:
            return {}
        return {
            **to_plain(self.parameters),
            "preset": self.preset,
            "rejected": ", ".join(self.result.rejected) or "nobody",
            "reliability": {
                dimension: to_plain(value) for dimension, value in self.result.reliability.items()
            },
            "protocol": self.protocol.facts(),
        }

    def notes(self) -> tuple[str, ...]:
        """Notes on the interpretation of the ratings, and on simulated ratings.

        Subjects of simulated ratings are named ``simulated…``.
        """
        notes: tuple[str, ...] = ()
        if self.ratings is not None:
            notes = (f"Table of ratings: {self.ratings.to_text()}.",)
        tables = [table for table in (self.ratings, self.votes) if table is not None]
        names = [name for table in tables for name in table.subjects]
        if any(name.lower().startswith("simulated") for name in names):
            notes += ("The ratings are simulated by a program: no person gave them.",)
        return notes
