"""Base of datasets of published scores, with measurements of the available clips."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Final

import msgspec
import pyarrow as pa

from theval_datasets.manifest.joins import Join, join_clips, taken_down
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.stores import Location

from ..tables.arrow import tables_of
from ..tables.media import media_values
from .builder import Builder
from .clips import CLIP_EXTRACTORS, common_values, in_order
from .columns import ClipFeatures
from .fields import COMMON, Field, schema_of, with_columns

NO_CLIP: Final = "no-clip"
_ORIGIN_OF: Final = {"sha256": "media", "source_start": "source_start"}
"""Origin of the common columns that are null only where there is no clip."""
SCORED: Final = tuple(
    replace(field, required=False, origin=_ORIGIN_OF[field.name])
    if field.name in _ORIGIN_OF
    else field
    for field in COMMON
)
"""Common columns of datasets in which a row may have no clip."""


@dataclass(frozen=True)
class ScoredRow:
    """A row of a published table.

    Attributes:
        clip_id: Name of the clip, without suffix.
        split: Split in the dataset.
        content_id: Content of the clip; clips of one content belong in one fold.
        values: Values of the dataset's own columns.
        language: ISO 639-1 code, if the name states it.
        missing: Entries of `missing` for own columns that are null.
    """

    clip_id: str
    split: str
    content_id: str
    values: Mapping[str, Any]
    language: str | None = None
    missing: tuple[str, ...] = field(default=())


def scored_fields(*own: Field) -> tuple[Field, ...]:
    """The common columns and a dataset's own columns.

    Examples:
        >>> from .fields import DOUBLE
        >>> [field.name for field in scored_fields(Field("mos", DOUBLE, "Mean opinion score."))][:3]
        ['clip_id', 'sha256', 'duration']
    """
    return with_columns(SCORED, *own)


class ScoredBuilder(Builder):
    """Base of datasets whose rows are those of a published table."""

    MEASURED: ClassVar[tuple[Field, ...]] = ()
    """Own columns that are measured on clips; null for rows without a clip."""

    def measured(self, row: ScoredRow, clip: ClipFeatures) -> Mapping[str, Any]:
        """The values of `MEASURED` for a row with a clip."""
        return {}

    @abstractmethod
    def read(self) -> list[ScoredRow]:
        """The rows, checked; any order.

        Raises:
            InputError: If the table is malformed.
        """

    @cached_property
    def rows(self) -> tuple[ScoredRow, ...]:
        """The rows in order of `clip_id`, without the clips that were taken down."""
        rows = self.read()
        gone = self.taken_down([row.clip_id for row in rows]) if self.inputs.gone else set()
        return tuple(
            sorted((r for r in rows if r.clip_id not in gone), key=lambda row: row.clip_id)
        )

    def taken_down(self, clip_ids: Sequence[str]) -> set[str]:
        """Ids of the rows whose clips were taken down, by these ids or by those of the manifest.

        Args:
            clip_ids: Ids of the rows.
        """
        return set(taken_down(clip_ids, self.inputs.gone))

    @cached_property
    def clips(self) -> dict[str, ManifestRow]:
        """The manifest's rows by `clip_id` of the matching score row, renamed to it.

        Raises:
            InputError: If two different clips match one row, or no clip matches any row.
        """
        if self.clip_join is None:
            return {}
        rows = {row.clip_id: row for row in self.inputs.rows}
        return {
            name: msgspec.structs.replace(rows[clip_id], clip_id=name)
            for clip_id, name in self.clip_join.matched.items()
        }

    @cached_property
    def clip_join(self) -> Join | None:
        """Match of the manifest's clips and the rows; None without a manifest."""
        if self.inputs.manifest_path is None:
            return None
        copies: dict[tuple[str, str], str] = {}  # the same file under several ids counts once
        for row in self.inputs.rows:
            if row.sha256 is not None:
                copies.setdefault((row.clip_id.rpartition("/")[2], row.sha256), row.clip_id)
        return join_clips("manifest", copies.values(), [row.clip_id for row in self.rows])

    def extractors(self, config_name: str) -> Sequence[str]:
        """Extractors of the common columns, if there are clips."""
        given = self.inputs.manifest_path is not None and config_name != "media"
        return CLIP_EXTRACTORS if given else ()

    def available(self) -> tuple[str, ...]:
        """All configs; `media` only if clip files exist beside the manifest."""
        names = [config.name for config in self.BUILDER_CONFIGS]
        if not any(self.clip_file(name) for name in self.clips):
            names = [name for name in names if name != "media"]
        return tuple(names)

    def notes(self) -> tuple[str, ...]:
        """Note on the match of the manifest's clips and the rows."""
        n_rows, n_clips = len(self.rows), len({row.clip_id for row in self.rows} & set(self.clips))
        notes = []
        if n_clips < n_rows:
            notes.append(
                f"{n_rows - n_clips} of {n_rows} rows have no clip: scores only, everything that "
                "is computed from media is null."
            )
        if self.clip_join is not None:
            notes.append(self.clip_join.to_text())
        return tuple(notes)

    def manifest_rows(self) -> Iterator[ManifestRow]:
        """The manifest's rows of scored clips."""
        for row in self.rows:
            clip = self.clips.get(row.clip_id)
            if clip is not None:
                yield msgspec.structs.replace(clip, path=None, stamp=None, split=row.split)

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split."""
        splits: dict[str, list[ScoredRow]] = {}
        for row in self.rows:
            splits.setdefault(row.split, []).append(row)
        return {name: self._tables(config_name, rows) for name, rows in in_order(splits).items()}

    def table_rows(self, config_name: str, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        """Rows of a config for some score rows; a dataset extends this for its own configs."""
        if config_name == "media":
            return self._media(rows)
        return (self._row(config_name, row) for row in rows)

    def _tables(self, config_name: str, rows: Sequence[ScoredRow]) -> Iterator[pa.Table]:
        schema = schema_of(self.FIELDS[config_name])
        size = self.builder_configs[config_name].rows_per_table
        yield from tables_of(self.table_rows(config_name, rows), size, schema)

    def _media(self, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        for row in rows:
            clip_row = self.clips.get(row.clip_id)
            if clip_row is not None:
                clip = self.reader("media").clip(clip_row.sha256)
                values = media_values(self.inputs.manifest, clip_row, clip)
                own = {"clip_id": row.clip_id, "sha256": clip_row.sha256}
                yield {**own, **values, "missing": clip.missing()}

    def clip_file(self, name: str) -> Location | None:
        """The file of a row's clip; None if it does not exist."""
        row = self.clips.get(name)
        path = None if row is None else self.inputs.manifest.file(row)
        return path if path is not None and path.is_file() else None

    def _row(self, config_name: str, row: ScoredRow) -> dict[str, Any]:
        clip_row = self.clips.get(row.clip_id)
        values: dict[str, Any]
        if clip_row is None:
            values = dict.fromkeys((field.name for field in SCORED), None)
            values |= dict.fromkeys((field.name for field in self.MEASURED), None)
            origins = {*_ORIGINS, *(field.origin for field in self.MEASURED)}
            missing = [f"{origin}:{NO_CLIP}" for origin in origins]
        else:
            clip = self.reader(config_name).clip(clip_row.sha256)
            values = common_values(clip_row, clip)
            values |= self.measured(row, clip)
            missing = clip.missing()
        if values["language"] is None and row.language is not None:
            values["language"] = row.language
            missing = [entry for entry in missing if not entry.startswith("language:")]
        own = {"clip_id": row.clip_id, "content_id": row.content_id, **row.values}
        return {**values, **own, "missing": sorted({*missing, *row.missing})}


_ORIGINS: Final = sorted({f.origin for f in SCORED} - {"manifest"})
