"""Base of all datasets: a `datasets` builder from whose tables releases are written.

A dataset is one file with one class: it declares its configs, their columns (`FIELDS`), the kinds
of input it takes (`KINDS`) and yields Arrow tables (`tables`). Both ways to build use the same tables::

    builder = Theval("features", manifest="work/manifest.jsonl", cache="cache")
    builder.download_and_prepare()
    rows = builder.as_dataset()["train"]

and ``theval-data build theval --manifest … --cache … -o DIR``, which writes Parquet and a card that
plain `load_dataset` opens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets.builder import Key

from theval_datasets.cards.papers import PAPERS
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.extraction.cache import Cache
from theval_datasets.extraction.settings import check_settings
from theval_datasets.manifest.info import NAMESPACE, parse_version
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.files import digest
from theval_datasets.utils.stores import location_of

from .anonymous import blurred_tables, has_recordings, image_columns
from .columns import FeatureReader, load_extractors
from .fields import Field, features_of, schema_of
from .inputs import Inputs
from .joined import JoinedColumns

JOINED_CONFIG = "features"


def _itself(dataset: type[Builder]) -> type[Builder]:
    return dataset


@dataclass(eq=False)
class TableConfig(datasets.BuilderConfig):  # type: ignore[misc]
    """A table of a dataset.

    Attributes:
        description: Description in one line, for the card.
        rows_per_table: Number of rows in memory at once, and in a Parquet row group.
        split_bytes: Numeric columns that are stored with byte-stream splitting, which compresses meshes
            to less than half.
        reader: Lines of Python for the card that read a row, given `rows` of a split.
        key: Columns that identify a row.
    """

    rows_per_table: int = 1000
    split_bytes: tuple[str, ...] = ()
    reader: str = ""
    key: tuple[str, ...] = ("clip_id",)


@dataclass(frozen=True, slots=True)
class Slices:
    """The rows of a split; tables can be made of any slice of them.

    Attributes:
        rows: Rows in the order of the table; slices of them can be sent to another process.
        n_bytes: Estimated Arrow bytes of each row; int64 (rows,).
    """

    rows: Sequence[Any]
    n_bytes: npt.NDArray[np.int64]


class Builder(datasets.ArrowBasedBuilder):  # type: ignore[misc]
    r"""Base of all datasets.

    Args:
        config_name: Name of the config; `features` by default.
        manifest: Path or URL of a manifest, or of a folder with one.
        cache: Feature cache, or its path or URL.
        release: Folder with the files of an official release.
        tables: Files by kind of input.
        inputs: All inputs at once, instead of the previous four arguments.
        decoder: Name and version of the decoder of the features; by default this machine's, or where
            there is none the one that the cache records.
        version: Semantic version of the dataset; by default the class's.
        cache_dir: Folder that `download_and_prepare` writes to; by default that of `datasets`.

    Examples:
        >>> from theval_datasets.builders.thqa import Thqa
        >>> Thqa.repository(), sorted(Thqa.kinds())
        ('theval/thqa', ['features', 'scores', 'tombstones'])
        >>> _ = Path("scores.csv").write_text("Image,Score\nWav2Lip_1.mp4,3.5\n")
        >>> builder = Thqa(tables={"scores": "scores.csv"})
        >>> builder.available(), builder.schema("features").field("mos").type
        (('features',), DataType(double))
    """

    BUILDER_CONFIG_CLASS = TableConfig
    DEFAULT_CONFIG_NAME = "features"
    VERSION = datasets.Version("0.1.0")

    NAME: ClassVar[str]
    """Name of the repository without its namespace."""
    TITLE: ClassVar[str]
    SUMMARY: ClassVar[str]
    CITES: ClassVar[tuple[str, ...]] = ()
    TASKS: ClassVar[tuple[str, ...]] = ()
    TAGS: ClassVar[tuple[str, ...]] = ("talking-head", "video-quality-assessment")
    LIMITS: ClassVar[tuple[str, ...]] = ()
    PRIVACY: ClassVar[str] = (
        "The clips show people who did not choose to be in this dataset. Do not use it to identify "
        "anybody, and keep to the licence of each source."
    )
    KINDS: ClassVar[Mapping[str, str]] = {}
    RELEASE: ClassVar[tuple[str, ...]] = ()
    """Patterns of the files that an official release at the Hub has; () if there is none."""
    VIDEOS: ClassVar[tuple[str, ...]] = ()
    """Folders or zips that may hold the videos of a release; the first that exists is used."""
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]]
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    """Expected counts of `info.json` by name of an expectation, such as `paper`."""

    def __init__(
        self,
        config_name: str | None = None,
        *,
        manifest: str | Path | None = None,
        cache: str | Path | Cache | None = None,
        release: str | Path | None = None,
        tables: Mapping[str, str | Path] | None = None,
        inputs: Inputs | None = None,
        decoder: str | None = None,
        version: str | None = None,
        cache_dir: str | Path | None = None,
        **further: Any,
    ) -> None:
        self.inputs = inputs or Inputs(
            manifest_path=None if manifest is None else location_of(manifest),
            cache=cache if cache is None or isinstance(cache, Cache) else Cache(cache),
            release=None if release is None else Path(release),
            tables={kind: Path(path) for kind, path in (tables or {}).items()},
        )
        self.inputs.check(self.repository(), self.kinds())
        if version is not None:
            parse_version(version)
        self._check_settings()
        table = config_name or self.DEFAULT_CONFIG_NAME
        if table not in self.FIELDS:
            raise UnknownNameError(f"config of {self.repository()}", table, self.FIELDS)
        self.decoder = decoder
        self._readers: dict[str, FeatureReader] = {}
        self._joined_columns: JoinedColumns | None = None
        if "hash" not in further:
            further["hash"] = self._fingerprint(table)
        super().__init__(
            cache_dir=None if cache_dir is None else str(cache_dir),
            dataset_name=type(self).__name__,
            config_name=table,
            config_id=f"{table}-{further['hash'][:16]}",
            version=datasets.Version(str(self.VERSION) if version is None else version),
            **further,
        )

    @classmethod
    def repository(cls) -> str:
        """Name of the repository, ``theval/NAME``."""
        return f"{NAMESPACE}/{cls.NAME}"

    @classmethod
    def kinds(cls) -> dict[str, str]:
        """Kinds of input it takes, with one line for each."""
        return {
            **cls.KINDS,
            "features": "further columns from a Parquet file, by clip_id",
            "tombstones": "JSONL of clips that were taken down (clip_id, date); "
            "tombstones.jsonl beside the manifest if not given",
        }

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split; each has at most `rows_per_table` rows.

        The order of rows and splits depends on the content alone. Files are read lazily.
        """
        raise NotImplementedError

    def sliceable(self, config_name: str) -> Mapping[str, Slices]:
        """The rows of a config by split, if parts of its tables can be made from parts of the rows.

        Returns:
            {} for a table that is made as a whole.
        """
        return {}

    def tables_from(self, config_name: str, rows: Sequence[Any]) -> Iterator[pa.Table]:
        """The tables of a config that are made of a slice of the rows of `sliceable`."""
        raise NotImplementedError

    def extractors(self, config_name: str) -> Sequence[str]:
        """Names of the extractors whose columns a config has."""
        return ()

    def available(self) -> tuple[str, ...]:
        """Names of the configs that can be built from the inputs."""
        return tuple(config.name for config in self.BUILDER_CONFIGS)

    def offered(self) -> tuple[str, ...]:
        """The available configs, without those that cannot be anonymised if that is requested."""
        return tuple(
            name
            for name in self.available()
            if not (self.inputs.anonymise and has_recordings(self.FIELDS[name]))
        )

    def notes(self) -> tuple[str, ...]:
        """Sentences for the report and the card: inputs that are missing, and how they match."""
        return ()

    def join_notes(self) -> tuple[str, ...]:
        """Notes on the match of joined columns and clips, once all tables of the config were written.

        Raises:
            InputError: If they match none.
        """
        joined = self._joined_columns
        return () if joined is None else (joined.summary().to_text(),)

    def counts(self) -> dict[str, int | float]:
        """Counts for `info.json` besides those computed from the tables."""
        return {}

    def study(self) -> dict[str, Any]:
        """Parameters of the rating study; {} without one."""
        return {}

    def manifest_rows(self) -> Iterator[ManifestRow]:
        """The manifest's rows as the release carries them, with their split."""
        return iter(())

    @classmethod
    def check_rows(cls, config_name: str, table: pa.Table) -> Iterator[str]:  # noqa: ARG003
        """Faults in rows of a built config, beyond the checks of ranges and nulls."""
        return iter(())

    def fields(self, config_name: str) -> tuple[Field, ...]:
        """The columns of a config, the joined ones included."""
        declared = self.FIELDS[config_name]
        joined = self._columns_to_join(config_name)
        return declared if joined is None else joined.extend(declared)

    def schema(self, config_name: str) -> pa.Schema:
        """The Arrow schema of a config."""
        return schema_of(self.fields(config_name))

    def split_tables(self, config_name: str) -> dict[str, Iterator[pa.Table]]:
        """The tables of a config by split: the joined columns included, faces blurred if asked."""
        tables = self.tables(config_name)
        return {split: self.finished(config_name, these) for split, these in tables.items()}

    def finished(self, config_name: str, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Tables with the joined columns, and with faces blurred if asked."""
        joined = self._columns_to_join(config_name)
        if joined is not None:
            tables = joined.join(tables)
        if not self.inputs.anonymise:
            return tables
        return blurred_tables(tables, image_columns(self.fields(config_name)))

    @classmethod
    def maker(cls) -> Callable[[], type[Builder]]:
        """A function that gives this class in another process, to which it can be sent."""
        return functools.partial(_itself, cls)

    def reader(self, config_name: str) -> FeatureReader:
        """The reader of cached features of a config."""
        if config_name not in self._readers:
            extractors = load_extractors(self.extractors(config_name), self.inputs.settings)
            self._readers[config_name] = FeatureReader(
                self.inputs.cache,
                extractors,
                self.decoder,
                self.inputs.left_out,
            )
        return self._readers[config_name]

    def _check_settings(self) -> None:
        """Refuse parameters of extractors that no table reads."""
        if self.inputs.settings:
            names = dict.fromkeys(name for table in self.FIELDS for name in self.extractors(table))
            read = load_extractors(list(names), self.inputs.settings)
            check_settings(self.inputs.settings, read, f"the extractors of {self.repository()}")

    def _columns_to_join(self, config_name: str) -> JoinedColumns | None:
        path = self.inputs.path("features")
        if path is None or config_name != JOINED_CONFIG:
            return None
        if self._joined_columns is None:
            self._joined_columns = JoinedColumns(path, self.FIELDS[config_name], self.inputs.gone)
        return self._joined_columns

    def _fingerprint(self, config_name: str) -> str:
        reader = self.reader(config_name)
        rows = () if self.inputs.manifest_path is None else self.inputs.rows
        return digest(
            {
                "inputs": self.inputs.fingerprint,
                "recipes": reader.digests,
                "cached": {row.clip_id: reader.presence(row.sha256) for row in rows},
                "columns": [field.info().type for field in self.fields(config_name)],
            }
        )

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=self.SUMMARY,
            features=features_of(self.fields(self.config.name)),
            citation="\n\n".join(PAPERS[key].bibtex() for key in self.CITES),
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        splits = list(self.tables(self.config.name))
        if not splits:
            raise InputError(
                f"{self.repository()} has no rows for the config {self.config.name!r}: "
                "none of the inputs holds a usable clip"
            )
        return [datasets.SplitGenerator(name=name, gen_kwargs={"split": name}) for name in splits]

    def _generate_tables(self, split: str) -> Iterator[tuple[Key, pa.Table]]:
        for number, table in enumerate(self.split_tables(self.config.name)[split]):
            yield Key(0, number), table
