"""theval/theval: real clips, the eight THEval metrics, and the landmarks that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

import datasets
import pyarrow as pa

from theval_datasets.builders._arrow import batched, table_of
from theval_datasets.builders._base import Builder, TableConfig
from theval_datasets.builders._clips import (
    CLIP_EXTRACTORS,
    DEFAULT_SPLIT,
    by_split,
    common_values,
)
from theval_datasets.builders._columns import ClipFeatures
from theval_datasets.builders._fields import (
    COMMON,
    STRING,
    Field,
    with_columns,
)
from theval_datasets.builders._frames import LANDMARK_FIELDS, READER, check_frames, frame_values
from theval_datasets.builders._media import (
    MEDIA_FIELDS,
    MEDIA_READER,
    media_tables,
    media_values,
)
from theval_datasets.manifest import ManifestRow

_FEATURES: Final = with_columns(
    COMMON, Field("channel", STRING, "Who published the source; null if unstated.")
)
_FEATURES_READER: Final = """\
table = rows.to_pandas()
known = table.dropna(subset=["lip_sync", "head_motion"])  # undefined values are null
"""

Row = Callable[[ManifestRow, ClipFeatures], dict[str, Any]]


class Theval(Builder):
    """Real clips with THEval's metrics."""

    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row a clip: facts, quality metrics, clip-level embeddings; no media.",
            reader=_FEATURES_READER,
        ),
        TableConfig(
            name="landmarks",
            description="One row a clip with one entry a frame: mesh, pose, lips, loudness, speech.",
            rows_per_table=16,
            split_bytes=("mesh",),
            reader=READER,
        ),
        TableConfig(
            name="media",
            description="The clips as bytes, their sound, and a poster frame.",
            rows_per_table=16,
            has_media=True,
            reader=MEDIA_READER,
        ),
    ]
    TITLE: ClassVar[str] = "THEval"
    SUMMARY: ClassVar[str] = (
        "Real clips of talking people with the eight quality, naturalness and synchronisation "
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
    KINDS: ClassVar[Mapping[str, str]] = {}
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": _FEATURES,
        "landmarks": LANDMARK_FIELDS,
        "media": MEDIA_FIELDS,
    }
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {"paper": {"clips": 5011, "channels": 31}}

    def extractors(self, config_name: str) -> Sequence[str]:
        """Names of the extractors whose columns a config has."""
        if config_name == "media":
            return ()
        return CLIP_EXTRACTORS[:5] if config_name == "landmarks" else CLIP_EXTRACTORS

    def available(self) -> tuple[str, ...]:
        """`media` needs the files beside the manifest."""
        manifest = self.inputs.manifest
        files = [manifest.file(row) for row in self.inputs.rows if row.sha256 is not None]
        has_media = any(path is not None and path.is_file() for path in files)
        return ("features", "landmarks", "media") if has_media else ("features", "landmarks")

    def notes(self) -> tuple[str, ...]:
        """What the manifest lacks."""
        rows = self.inputs.rows
        dead = sum(row.sha256 is None for row in rows)
        found = []
        if dead:
            found.append(
                f"{dead} of {len(rows)} rows of the manifest have no clip (their source is gone); "
                "they are in manifest.jsonl, not in the tables."
            )
        if "media" not in self.available():
            found.append("The config media was not built: no clip lies beside the manifest.")
        return tuple(found)

    def counts(self) -> dict[str, int | float]:
        """How many channels and sources there are."""
        rows = [row for row in self.inputs.rows if row.sha256 is not None]
        return {
            "channels": len({row.source.channel for row in rows} - {None}),
            "rows_without_clip": len(self.inputs.rows) - len(rows),
        }

    def manifest_rows(self) -> Iterator[ManifestRow]:
        """Every row, without what only this machine's files mean."""
        for row in self.inputs.rows:
            split = None if row.sha256 is None else row.split or DEFAULT_SPLIT
            yield replace(row, path=None, stamp=None, split=split)

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split."""
        rows = by_split(self.inputs.rows)
        return {split: self._tables(config_name, these) for split, these in rows.items()}

    @classmethod
    def check_rows(cls, config_name: str, table: pa.Table) -> Iterator[str]:
        """Faults inside the rows of `landmarks`."""
        if config_name == "landmarks":
            yield from check_frames(table)

    def _tables(self, config_name: str, rows: Sequence[ManifestRow]) -> Iterator[pa.Table]:
        schema = datasets.Features(
            {field.name: field.feature for field in self.FIELDS[config_name]}
        ).arrow_schema
        make: Row = {
            "features": _feature_row,
            "landmarks": frame_values,
            "media": self._media_row,
        }[config_name]
        made = (self._row(config_name, row, make) for row in rows)
        size = self.builder_configs[config_name].rows_per_table
        if config_name == "media":
            yield from media_tables(made, size, schema)
            return
        for batch in batched(made, size):
            yield table_of(batch, schema)

    def _row(self, config_name: str, row: ManifestRow, make: Row) -> dict[str, Any]:
        clip = self.reader(config_name).clip(row.sha256)
        values = make(row, clip)
        return {**values, "missing": clip.missing()}

    def _media_row(self, row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
        return {
            "clip_id": row.clip_id,
            "sha256": row.sha256,
            **media_values(self.inputs.manifest, row, clip),
        }


def _feature_row(row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    return {**common_values(row, clip), "channel": row.source.channel}
