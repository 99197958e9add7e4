"""`info.json`: the machine-readable description of a built dataset, beside its card.

Two numbers are kept apart: `format_version` is the layout of the folder and of this file, an
integer that changes when the toolkit's layout does; `version` is the dataset's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.files import write_text
from theval_datasets.utils.json_files import read_json
from theval_datasets.utils.records import from_plain, to_plain

from .tombstones import Tombstone

INFO_NAME: Final = "info.json"
CARD_NAME: Final = "README.md"
FORMAT_VERSION: Final = 1
NAMESPACE: Final = "theval"

Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: Final[dict[int, Migration]] = {}
"""By format version, the function that migrates a plain `info.json` to the next version."""

MEDIA_PROBLEM: Final = "media:problem"
"""Entry of `missing` for a clip whose file is truncated, has timestamps that jump back, or packets that
do not decode. Its columns describe the part that could be read."""
EMBEDDERS: Final = frozenset({"arcface"})
"""Extractors whose columns identify people."""

_MEDIA: Final = ("Audio(", "Image(", "Video(", "Mesh(", "Pdf(", "Nifti(", "Value('binary')")
_SEMVER: Final = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """Description of a column, as its dataset declares it and as `info.json` lists it.

    Attributes:
        name: Name in the Parquet files.
        type: Type of the values.
        meaning: Description in one line.
        unit: Unit of the values; "" for none.
        low: Smallest allowed value (of the elements, for a list); None if unbounded.
        high: Largest allowed value; None if unbounded.
        origin: Origin of the values, with which entries of `missing` begin: the name of an extractor, a
            kind of input, `media`, or the column's own name; `manifest` for columns that are never
            null.
        required: Whether it is never null.
    """

    name: str
    type: Any
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    origin: str = "manifest"
    required: bool = False


@dataclass(frozen=True, slots=True)
class ColumnInfo(ColumnDescription):
    """A column as `info.json` lists it: its type in the notation of `datasets`, ``Value('float64')``."""

    type: str


@dataclass(frozen=True, slots=True)
class SplitInfo:
    """A split of a config: its rows, its files, and their sizes on disk and as Arrow."""

    rows: int
    n_bytes: int
    arrow_bytes: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigInfo:
    """A table of the dataset.

    Attributes:
        description: Description in one line.
        columns: Columns in their order.
        splits: Splits by name.
        missing: Number of rows by entry of the column `missing`.
        key: Columns that identify a row; together unique and never null.

    Examples:
        >>> splits = {"train": SplitInfo(8, 900, 1200, ("train.parquet",)), "test": SplitInfo(2, 300, 400, ())}
        >>> ConfigInfo("One row per clip.", (), splits).rows
        10
    """

    description: str
    columns: tuple[ColumnInfo, ...]
    splits: Mapping[str, SplitInfo]
    missing: Mapping[str, int] = field(default_factory=dict)
    key: tuple[str, ...] = ("clip_id",)

    @property
    def rows(self) -> int:
        """Number of rows of all splits."""
        return sum(split.rows for split in self.splits.values())


@dataclass(frozen=True, slots=True)
class ExtractorInfo:
    """Provenance of an extractor's columns.

    Attributes:
        version: Version of its code.
        parameters: Parameters that its values depend on.
        weights: Identity of its model; "" without a model.
        decoder: Decoder and version; "" if it reads no media.
        needs: Digests of the extractors that it reads, by name.
        digest: Digest of all this.
    """

    version: int
    parameters: Mapping[str, Any]
    weights: str
    decoder: str
    needs: Mapping[str, str]
    digest: str


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file of the release: hexadecimal SHA-256 and size."""

    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Info:
    """Description of a release.

    Attributes:
        dataset: Repository name, ``theval/NAME``.
        version: Semantic version of the dataset.
        toolkit: Version of this package that built it.
        configs: Tables by name.
        files: Files by path relative to the folder, without `info.json` itself.
        card_sha256: SHA-256 of `README.md`.
        extractors: Extractors whose columns it holds, by name.
        counts: Counts and totals by name: clips, sources, seconds, …
        notes: Remarks on parts that were not built or are missing, in sentences.
        study: Parameters of the rating study; {} without one.
        tombstones: Clips that were taken down.
        format_version: Version of this layout.

    Examples:
        >>> Info("theval/thqa", "1.0.0", "0.1.0", {}, {}, card_sha256="").name
        'thqa'
    """

    dataset: str
    version: str
    toolkit: str
    configs: Mapping[str, ConfigInfo]
    files: Mapping[str, FileInfo]
    card_sha256: str
    extractors: Mapping[str, ExtractorInfo] = field(default_factory=dict)
    counts: Mapping[str, int | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    study: Mapping[str, Any] = field(default_factory=dict)
    tombstones: tuple[Tombstone, ...] = ()
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        parse_version(self.version)

    @property
    def name(self) -> str:
        """The dataset's name without its namespace."""
        return self.dataset.rpartition("/")[2]


def shown_of_people(info: Info, has_values: Callable[[str, str], bool]) -> list[str]:
    """Columns that may show or identify people, as ``CONFIG.COLUMN``.

    They hold pictures, sound, video or meshes, or embeddings of faces.

    Args:
        info: Description of a release.
        has_values: Function that tells whether a column of a config has a value.
    """
    return [
        f"{name}.{column.name}"
        for name, config in info.configs.items()
        for column in config.columns
        if (column.origin in EMBEDDERS or any(kind in column.type for kind in _MEDIA))
        and has_values(name, column.name)
    ]


def parse_version(text: str) -> tuple[int, int, int]:
    """Major, minor and patch of ``X.Y.Z``.

    Raises:
        InputError: For anything else.

    Examples:
        >>> parse_version("1.20.3")
        (1, 20, 3)
    """
    match = _SEMVER.fullmatch(text)
    if match is None:
        raise InputError(
            f"expected a version of three numbers such as 0.1.0 (no leading zeros), got {text!r}"
        )
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def write_info(folder: Path, info: Info) -> None:
    """Write `info.json` into a release, the same bytes for the same content."""
    text = json.dumps(to_plain(info), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / INFO_NAME, text + "\n")


def refuse_dataset(output: Path) -> None:
    """Check that an output folder is not that of a built dataset, whose files are all listed.

    Raises:
        InputError: There is an `info.json` in it.

    Examples:
        >>> refuse_dataset(Path("scores"))
        >>> _ = Path("info.json").write_text("{}")
        >>> refuse_dataset(Path())
        Traceback (most recent call last):
        theval_datasets.errors.InputError: . is the folder of a built dataset...
    """
    if (output / INFO_NAME).exists():
        raise InputError(
            f"{output} is the folder of a built dataset, in which any other file is a fault; name another "
            "folder with -o"
        )


def read_info(folder: Path) -> Info:
    """Read `info.json` of a release, migrating older formats.

    Raises:
        InputError: If the folder is not a release, or its format is newer than this package reads.

    Examples:
        >>> write_info(Path(), Info("theval/thqa", "1.0.0", "0.1.0", {}, {}, card_sha256=""))
        >>> read_info(Path()).version
        '1.0.0'
    """
    path = folder / INFO_NAME
    if not path.is_file():
        raise InputError(
            f"{folder} is not a built dataset: it has no {INFO_NAME}. "
            "`theval-data build NAME -o DIR` writes one to DIR/theval/NAME."
        )
    return from_plain(Info, migrate(read_json(path), str(path)), INFO_NAME)


def migrate(plain: Any, where: str) -> dict[str, Any]:
    """Bring a plain `info.json` to the current format.

    Raises:
        InputError: If it has no format version, or one that cannot be migrated.

    Examples:
        >>> migrate({"format_version": FORMAT_VERSION}, "info.json")["format_version"] == FORMAT_VERSION
        True
    """
    at = plain.get("format_version") if isinstance(plain, dict) else None
    if not isinstance(at, int) or isinstance(at, bool):
        raise InputError(f"{where}: expected an object with a whole number as format_version")
    current: dict[str, Any] = dict(plain)
    while (at := current["format_version"]) != FORMAT_VERSION:
        if at > FORMAT_VERSION:
            raise InputError(
                f"{where} has format version {at}; this package reads up to {FORMAT_VERSION}. "
                "Upgrade it: pip install -U theval-datasets"
            )
        if at not in MIGRATIONS:
            raise InputError(f"{where} has format version {at}, which no release ever had")
        current = MIGRATIONS[at](current)
        if current["format_version"] != at + 1:
            raise RuntimeError(f"the migration from format {at} does not lead to {at + 1}")
    return current
