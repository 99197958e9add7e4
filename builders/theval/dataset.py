"""theval/theval: real clips, the eight THEval metrics, and the landmarks that they come from."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa

from theval_datasets.errors import InputError
from theval_datasets.evaluation.preference import REFERENCE
from theval_datasets.evaluation.theval import METRICS, published_leaderboard
from theval_datasets.manifest.joins import Join, join_clips
from theval_datasets.manifest.rows import StoredRows

from ..base.builder import TableConfig
from ..base.clip_builder import CLIP_CONFIGS, CLIP_FIELDS, ClipBuilder
from ..base.clips import CLIP_EXTRACTORS, DEFAULT_SPLIT, frame_sizes, span_of
from ..base.fields import Field, schema_of
from ..base.inputs import Inputs
from ..tables.arrow import tables_of
from .comparison import (
    GENERATED_FIELDS,
    LEADERBOARD_FIELDS,
    PREFERENCE_FIELDS,
    MetricRow,
    generated_rows,
    leaderboard_rows,
    preference_rows,
    read_metrics,
)
from .measured import measured_rows

if TYPE_CHECKING:
    from theval_datasets.curation.study.pairwise import PairwiseVotes

_SHOWN: Final = 3
_COMPARISONS: Final = ("generated", "leaderboard", "preferences")


class Theval(ClipBuilder):
    """Real clips with THEval's metrics."""

    NAME: ClassVar[str] = "theval"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        *CLIP_CONFIGS,
        TableConfig(
            name="generated",
            description="One row a generated clip: raw metrics by model and real clip.",
            key=("clip_id", "model", "definition"),
        ),
        TableConfig(
            name="leaderboard",
            description="One row per model: normalised metrics, final score, rank; the published too.",
            key=("model", "definition", "source"),
        ),
        TableConfig(
            name="preferences",
            description="One row per vote: which of two models looked more realistic.",
            key=("vote",),
        ),
    ]
    TITLE: ClassVar[str] = "THEval"
    SUMMARY: ClassVar[str] = (
        "Clips of talking people with the eight quality, naturalness and synchronisation "
        "metrics of THEval and the per-frame landmarks that they are computed from, so that "
        "metrics and generators can be compared without decoding a video."
    )
    CITES: ClassVar[tuple[str, ...]] = ("theval",)
    TASKS: ClassVar[tuple[str, ...]] = ("video-classification", "tabular-regression")
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The clips are those of the manifest that this was built from. The clip list of the "
        "paper's own 5,011 videos is not public, so values here need not equal the published ones.",
        "Metrics without suffix follow the definition `paper`, those with `_release` what the "
        "authors' code computes; the two are not comparable with each other.",
        "The landmarks follow the first face that the mesh finds: clips of several people are "
        "measured on one of them.",
    )
    KINDS: ClassVar[Mapping[str, str]] = {
        "metrics": "CSV of raw metrics: model, definition, the eight metrics, and for generated "
        "clips clip_id; kind (Audio-driven or Video-driven) if known",
        "generated": "manifest of generated clips, or a folder with one, whose features are in the same "
        "cache; clips are named MODEL/CLIP or CLIP__MODEL after the real ones",
        "votes": "table of pairwise votes: left, right, winner, and perhaps clip_id and subject",
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        **CLIP_FIELDS,
        "generated": GENERATED_FIELDS,
        "leaderboard": LEADERBOARD_FIELDS,
        "preferences": PREFERENCE_FIELDS,
    }
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {"paper": {"clips": 5011, "channels": 31}}

    def extractors(self, config_name: str) -> Sequence[str]:
        """Names of the extractors whose columns a config has."""
        if config_name == "generated" and self.inputs.path("generated") is not None:
            return CLIP_EXTRACTORS
        return super().extractors(config_name)

    def available(self) -> tuple[str, ...]:
        """`media` needs the files beside the manifest, comparisons their tables."""
        metrics = self._metrics
        given = {
            "generated": any(row.clip_id in self._known for row in metrics),
            "leaderboard": bool(metrics),
            "preferences": self.inputs.path("votes") is not None,
        }
        return (*super().available(), *(name for name in _COMPARISONS if given[name]))

    def notes(self) -> tuple[str, ...]:
        """Clips that are missing, and how the tables match."""
        joins = [*self._metric_joins.values(), *([self._vote_join] if self._vote_join else [])]
        texts = (join.to_text() for join in joins)
        return (*super().notes(), *texts, *self._size_notes(), *self._vote_notes())

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split."""
        if config_name in _COMPARISONS:
            return {DEFAULT_SPLIT: self._comparison(config_name)}
        return super().tables(config_name)

    @cached_property
    def _metric_tables(self) -> dict[str, list[MetricRow]]:
        """Kind of input to its rows, with the names of clips that it gives."""
        table, generated = self.inputs.path("metrics"), self._generated_clips
        tables = {} if table is None else {"metrics": read_metrics(table)}
        if generated is not None:
            tables["generated"] = measured_rows(generated, self.reader("generated"))
        return tables

    @cached_property
    def _generated_clips(self) -> StoredRows | None:
        """Rows of the manifest of generated clips; None if it was not given."""
        path = self.inputs.path("generated")
        return None if path is None else Inputs(path, self.inputs.cache).rows

    @cached_property
    def _metric_joins(self) -> dict[str, Join]:
        """Kind of input to how the clips that it names match those of `features`."""
        named = {
            kind: {row.clip_id for row in rows if row.clip_id is not None}
            for kind, rows in self._metric_tables.items()
        }
        return {
            kind: join_clips(kind, names, self._known, gone=self.inputs.gone)
            for kind, names in named.items()
            if names
        }

    @cached_property
    def _metrics(self) -> list[MetricRow]:
        """Metrics of generated clips by the ids of the clips that their names match.

        Raises:
            InputError: A model and clip have metrics of one definition twice.
        """
        metrics: dict[tuple[str, str | None, str], MetricRow] = {}
        for kind, rows in self._metric_tables.items():
            join = self._metric_joins.get(kind)
            for row in rows:
                clip = row.clip_id
                if clip is not None and join is not None:
                    if clip not in join.matched:
                        continue
                    clip = join.matched[clip]
                key = (row.model, clip, row.definition)
                if key in metrics:
                    raise InputError(
                        f"{kind}: the metrics of {row.model!r} and the clip {clip!r} in the "
                        f"definition {row.definition} are given twice"
                    )
                metrics[key] = dataclasses.replace(row, clip_id=clip)
        return list(metrics.values())

    @cached_property
    def _votes(self) -> PairwiseVotes | None:
        path = self.inputs.path("votes")
        if path is None:
            return None
        from theval_datasets.curation.study.pairwise import read_pairwise_votes

        return read_pairwise_votes(path)

    @cached_property
    def _vote_join(self) -> Join | None:
        if self._votes is None or self._votes.clip is None:
            return None
        return join_clips("votes", self._votes.clip, self._known, gone=self.inputs.gone)

    def _size_notes(self) -> Iterator[str]:
        """A warning where generated and real clips differ in frame size, as `head_motion` then does."""
        if self._generated_clips is None:
            return
        real, generated = frame_sizes(self.inputs.rows), frame_sizes(self._generated_clips)
        if len({*real, *generated}) > 1 and real and generated:
            yield (
                f"The generated clips are {span_of(generated)} pixels, the real ones {span_of(real)}: "
                "head_motion measures the head's centre in pixels and grows with the frame, so that "
                "`generated` and `leaderboard` compare frame sizes by it. Measure generated clips in the "
                "size of the real ones."
            )

    def _vote_notes(self) -> Iterator[str]:
        """Models that were voted on, but have no metrics: they are in no comparison with these."""
        if self._votes is None:
            return
        known = {entry.model for entry in published_leaderboard()}
        known |= {row.model for row in self._metrics}
        models = [model for model in self._votes.models if model != REFERENCE]
        unknown = [model for model in models if model not in known]
        if not unknown:
            return
        shown = []
        for model in unknown[:_SHOWN]:
            close = difflib.get_close_matches(
                model.casefold(), [name.casefold() for name in known], n=1, cutoff=0.8
            )
            meant = [name for name in sorted(known) if name.casefold() in close]
            shown.append(f"{model!r}" + (f" (perhaps {meant[0]!r})" if meant else ""))
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        yield (
            f"votes: {len(unknown)} of {len(models)} models are neither in the leaderboard nor among the "
            f"metrics by that name, so that nothing is compared with their votes: {', '.join(shown)}"
            f"{more}."
        )

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(row.clip_id for row in self.inputs.rows if row.sha256 is not None)

    def _comparison(self, config_name: str) -> Iterator[pa.Table]:
        rows: Iterable[dict[str, Any]]
        if config_name == "generated":
            rows = generated_rows(self._metrics, self._known)
        elif config_name == "leaderboard":
            rows = leaderboard_rows(self._metrics, self._real_means())
        else:
            rows = () if self._votes is None else preference_rows(self._votes, self._vote_join)
        schema = schema_of(self.FIELDS[config_name])
        yield from tables_of(rows, self.builder_configs[config_name].rows_per_table, schema)

    def _real_means(self) -> dict[str, float | None]:
        """Mean `paper` metrics of the real clips: what `paper` values are compared with."""
        held: dict[str, list[float]] = {name: [] for name in METRICS}
        for tables in self.tables("features").values():
            for table in tables:
                for name, values in held.items():
                    values.extend(table[name].drop_null().to_pylist())
        return {name: sum(v) / len(v) if v else None for name, v in held.items()}
