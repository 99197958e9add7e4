"""Distortion labels: the distortions of a clip by a strict majority of the subjects' votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theval_datasets.errors import RatingsError

from .panel import Codes, Flags, Floats
from .ratings import Ratings
from .taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class DistortionLabels:
    """The distortions of each clip.

    Attributes:
        clips: Names of the clips; sorted.
        taxonomy: Types, in the order of the columns of `present`.
        present: bool (clips, types): whether the clip has the distortion.
        share: float64 (clips, types): share of the subjects who voted for it; NaN without voters.
        n_voters: int64 (clips,): number of subjects whose votes count.
        generator: Generator of each clip, or None.

    Examples:
        >>> from .taxonomy import DistortionType
        >>> kinds = DistortionType("blur", "Blur", "face"), DistortionType("jitter", "Jitter", "motion")
        >>> taxonomy = Taxonomy("ours", kinds, dimensions=("face", "motion"))
        >>> present = np.array([[True, False], [True, True]])
        >>> labels = DistortionLabels(("x", "y"), taxonomy, present, present + 0.0, np.array([3, 3]))
        >>> labels.instances, labels.bits(0), labels.names(1), labels.dimensions(1)
        (3, '10', ('Blur', 'Jitter'), ('face', 'motion'))
        >>> labels.rates()
        {'all': {'blur': 1.0, 'jitter': 0.5}}
        >>> labels.dimension_rates()
        {'all': {'face': 1.0, 'motion': 0.5}}
    """

    clips: tuple[str, ...]
    taxonomy: Taxonomy
    present: Flags
    share: Floats
    n_voters: Codes
    generator: tuple[str, ...] | None = None

    @property
    def instances(self) -> int:
        """Number of distortions over all clips (9,614 in THQA-MT)."""
        return int(self.present.sum())

    def bits(self, clip: int) -> str:
        """A clip's vector as text of 0 and 1, in the order of the taxonomy."""
        return "".join("1" if chosen else "0" for chosen in self.present[clip])

    def names(self, clip: int) -> tuple[str, ...]:
        """Names of a clip's distortions.

        Examples:
            >>> from theval_datasets.curation.study.taxonomy import load_taxonomy
            >>> votes = np.eye(1, 12)
            >>> labels = DistortionLabels(("x",), load_taxonomy(), votes > 0.5, votes, np.array([3]))
            >>> labels.names(0), labels.dimensions(0)
            (('THQA-10K distortion 1',), ('unassigned',))
        """
        return tuple(self.taxonomy.types[i].name for i in np.flatnonzero(self.present[clip]))

    def dimensions(self, clip: int) -> tuple[str, ...]:
        """Quality dimensions of a clip's distortions; sorted, without duplicates."""
        dimensions = {
            self.taxonomy.dimension_of(int(i)) for i in np.flatnonzero(self.present[clip])
        }
        return tuple(sorted(dimensions))

    def rates(self) -> dict[str, dict[str, float]]:
        """Share of each generator's clips that have each type, by the type's id.

        Clips without a voter do not count. Without generators there is one, named "all".
        """
        return {
            name: dict(
                zip(self.taxonomy.ids, self.present[rows].mean(axis=0).tolist(), strict=True)
            )
            for name, rows in self._generators()
        }

    def dimension_rates(self) -> dict[str, dict[str, float]]:
        """Share of each generator's clips with at least one distortion of each quality dimension."""
        of_type = [self.taxonomy.dimension_of(i) for i in range(len(self.taxonomy.types))]
        return {
            name: {
                dimension: float(
                    self.present[rows][:, [d == dimension for d in of_type]].any(axis=1).mean()
                )
                for dimension in sorted(set(of_type))
            }
            for name, rows in self._generators()
        }

    def _generators(self) -> list[tuple[str, Flags]]:
        groups = np.array(self.generator or ("all",) * len(self.clips))
        voted = self.n_voters > 0
        groups_of_clips = [(str(name), voted & (groups == name)) for name in np.unique(groups)]
        return [(name, rows) for name, rows in groups_of_clips if rows.any()]


def distortion_labels(
    ratings: Ratings,
    taxonomy: Taxonomy,
    *,
    threshold: float = 0.5,
    retained: Flags | None = None,
) -> DistortionLabels:
    """Distortions of each clip.

    A subject who rated a clip several times counts as voting for a distortion if more than half of the
    ratings did.

    Args:
        ratings: Table with votes.
        taxonomy: Taxonomy of the votes.
        threshold: Share of the clip's voters that has to be strictly exceeded for a distortion.
        retained: bool (subjects,): subjects whose votes count; None for everybody.

    Raises:
        RatingsError: If the table holds no votes, or votes of another taxonomy.

    Examples:
        >>> import polars as pl
        >>> from theval_datasets.curation.study.tables import TableOptions, from_frame
        >>> from theval_datasets.curation.study.taxonomy import load_taxonomy
        >>> votes = ["100000000000", "110000000000", "100000000000"]
        >>> table = pl.DataFrame({"subject": ["a", "b", "c"], "score": 3, "distortions": votes})
        >>> table = table.with_columns(clip_id=pl.lit("x"))
        >>> ratings = from_frame(table, TableOptions(taxonomy=load_taxonomy()))
        >>> distortion_labels(ratings, load_taxonomy()).bits(0)
        '100000000000'
    """
    if ratings.votes is None:
        raise RatingsError("the table holds no distortion votes")
    if ratings.vote_names != taxonomy.ids:
        raise RatingsError(
            f"the votes are of the types {', '.join(ratings.vote_names)}, but the taxonomy "
            f"{taxonomy.name!r} has {', '.join(taxonomy.ids)}"
        )
    rows = np.ones(len(ratings), bool) if retained is None else retained[ratings.subject]
    n_subjects, n_clips = len(ratings.subjects), len(ratings.clips)
    cells, of_row = np.unique(
        ratings.clip[rows] * n_subjects + ratings.subject[rows], return_inverse=True
    )
    shown = np.bincount(of_row, minlength=len(cells))
    clip = cells // n_subjects
    n_voters = np.bincount(clip, minlength=n_clips)
    n_yes = np.empty((n_clips, len(taxonomy.types)))
    for index in range(len(taxonomy.types)):
        yes = np.bincount(of_row, weights=ratings.votes[rows, index], minlength=len(cells))
        n_yes[:, index] = np.bincount(clip, weights=2 * yes > shown, minlength=n_clips)
    with np.errstate(invalid="ignore"):
        share = n_yes / n_voters[:, None]
    return DistortionLabels(
        clips=ratings.clips,
        taxonomy=taxonomy,
        present=share > threshold,  # a quotient rounds as the decimal does; a product need not
        share=share,
        n_voters=n_voters,
        generator=ratings.generator,
    )
