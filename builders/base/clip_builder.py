"""Datasets of a manifest's clips: a table of features, one of landmarks, one of the media itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from theval_datasets.manifest.rows import ManifestRow, StoredRows

from ..tables.arrow import tables_of
from ..tables.frames import LANDMARK_FIELDS, check_frames, frame_values, landmarks_config
from ..tables.media import MEDIA_CONFIG, MEDIA_FIELDS, media_values
from .builder import Builder, Slices, TableConfig
from .clips import CLIP_EXTRACTORS, NOT_STATED, Numbers, Survey, clip_bytes, common_values, survey
from .columns import ClipFeatures
from .fields import COMMON, STRING, Field, schema_of, with_columns

CLIP_FIELDS: Final[dict[str, tuple[Field, ...]]] = {
    "features": with_columns(
        COMMON,
        Field("channel", STRING, "Who published the source; null if unstated.", origin="channel"),
    ),
    "landmarks": LANDMARK_FIELDS,
    "media": MEDIA_FIELDS,
}
"""Columns of the three tables."""
CLIP_CONFIGS: Final = (
    TableConfig(
        name="features",
        description="One row per clip: facts, quality metrics, clip-level embeddings; no media.",
        reader="""\
table = rows.to_pandas()
known = table.dropna(subset=["lip_sync", "head_motion"])  # undefined values are null
""",
    ),
    landmarks_config(
        "One row per clip with one entry per frame: mesh, pose, lips, loudness, speech.", "clip_id"
    ),
    MEDIA_CONFIG,
)
"""The three tables."""

_Row = Callable[[ManifestRow, ClipFeatures], dict[str, Any]]


class ClipBuilder(Builder):
    """Base of datasets whose rows are the clips of a manifest."""

    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = CLIP_FIELDS

    def extractors(self, config_name: str) -> Sequence[str]:
        """Names of the extractors whose columns a config has."""
        return {"features": CLIP_EXTRACTORS, "landmarks": CLIP_EXTRACTORS[:5]}.get(config_name, ())

    @property
    def survey(self) -> Survey:
        """Survey of the manifest's rows, made once for all tables of a build."""
        return self.inputs.shared(survey)

    def available(self) -> tuple[str, ...]:
        """`media` needs the files beside the manifest."""
        return tuple(name for name in CLIP_FIELDS if self.survey.has_media or name != "media")

    def notes(self) -> tuple[str, ...]:
        """Clips that are missing, and whether there is media."""
        n_rows = len(self.inputs.rows)
        dead = n_rows - self.survey.n_clips
        notes = []
        if dead:
            notes.append(
                f"{dead} of {n_rows} rows of the manifest have no clip (their source is no longer available); "
                "they are in manifest.jsonl, not in the tables."
            )
        if "media" not in self.available():
            notes.append("The config media was not built: no clip lies beside the manifest.")
        return tuple(notes)

    def counts(self) -> dict[str, int | float]:
        """Number of channels, and of rows without a clip."""
        return {
            "channels": len(self.survey.channels),
            "rows_without_clip": len(self.inputs.rows) - self.survey.n_clips,
        }

    def split_numbers(self) -> Mapping[str, Numbers]:
        """Numbers of the manifest's rows with a clip, int64 (clips,), by split and in order of `clip_id`."""
        return self.survey.splits

    def splits(self) -> Mapping[str, StoredRows]:
        """The rows with a clip by split, in order of `clip_id`."""
        rows = self.inputs.rows
        return {split: rows.at(numbers) for split, numbers in self.split_numbers().items()}

    def manifest_rows(self) -> Iterator[ManifestRow]:
        """Every row with its split, without what only this machine's files mean."""
        rows = self.inputs.rows
        names = [None, *self.split_numbers()]
        codes = np.zeros(len(rows), np.int16)
        for code, numbers in enumerate(self.split_numbers().values(), start=1):
            codes[numbers] = code
        for row, code in zip(rows, codes.tolist(), strict=True):
            yield replace(row, path=None, stamp=None, split=names[code])

    def sliceable(self, config_name: str) -> Mapping[str, Slices]:
        """The rows of a table by split."""
        if config_name not in CLIP_FIELDS:
            return {}
        sizes = clip_bytes(
            config_name, self.survey.frames, self.survey.seconds, self.survey.n_bytes
        )
        numbers = self.split_numbers()
        return {split: Slices(rows, sizes[numbers[split]]) for split, rows in self.splits().items()}

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split."""
        return {split: self.tables_from(config_name, rows) for split, rows in self.splits().items()}

    @classmethod
    def check_rows(cls, config_name: str, table: pa.Table) -> Iterator[str]:
        """Faults inside the rows of `landmarks`."""
        if config_name == "landmarks":
            yield from check_frames(table)

    def feature_values(self, row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
        """The row of a clip in `features`, without `missing`."""
        if row.source.channel is None:
            clip.note("channel", NOT_STATED)
        return {**common_values(row, clip), "channel": row.source.channel}

    def tables_from(self, config_name: str, rows: Iterable[ManifestRow]) -> Iterator[pa.Table]:
        """The tables of a config that are made of some rows."""
        schema = schema_of(self.FIELDS[config_name])
        make: _Row = {
            "features": self.feature_values,
            "landmarks": frame_values,
            "media": self._media_values,
        }[config_name]
        made = (self._row(config_name, row, make) for row in rows)
        yield from tables_of(made, self.builder_configs[config_name].rows_per_table, schema)

    def _row(self, config_name: str, row: ManifestRow, make: _Row) -> dict[str, Any]:
        clip = self.reader(config_name).clip(row.sha256)
        values = make(row, clip)
        return {**values, "missing": clip.missing()}

    def _media_values(self, row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
        return {
            "clip_id": row.clip_id,
            "sha256": row.sha256,
            **media_values(self.inputs.manifest, row, clip),
        }
