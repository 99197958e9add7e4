"""Inputs of a build: a manifest and its features, a release, tables by kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from theval_datasets import catalog
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.extraction.cache import Cache
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.settings import describe_settings
from theval_datasets.manifest.info import EMBEDDERS
from theval_datasets.manifest.rows import StoredManifest, StoredRows, open_manifest
from theval_datasets.manifest.tombstones import TOMBSTONES_NAME, Tombstone, read_tombstones
from theval_datasets.utils.files import digest, sha256_file
from theval_datasets.utils.stores import Location

T = TypeVar("T")

_HASHED_WHOLE: Final = 64 << 20  # largest file that is hashed; others are compared by size and time
_ANONYMOUS: Final = (
    "Faces that a detector finds in still pictures are blurred, and pictures in which it finds none "
    "are blurred as a whole. Tables of video, sound or meshes were not built. Landmarks still hold "
    "the shape and the movement of faces, and `source_url` and manifest.jsonl name the sources."
)


@dataclass(frozen=True)
class Inputs:
    """The inputs of a build.

    Attributes:
        manifest_path: Manifest, or a folder with one; it may lie behind a URL.
        cache: Path or URL of the feature cache.
        release: Folder with the files of an official release.
        tables: Files or folders by kind of input.
        notes: Origins of the inputs, in sentences for the report and the card.
        without: Extractors whose columns are left null.
        anonymise: Whether the dataset is anonymised: faces in still pictures are blurred, face embeddings
            are null, and tables of video, sound or meshes are not built.
        settings: Extractors with other than their default parameters, by name.

    Examples:
        >>> inputs = Inputs(tables={"ratings": Path("ratings.csv")}, without=frozenset({"arcface"}))
        >>> inputs.path("ratings").name, inputs.path("marks")
        ('ratings.csv', None)
        >>> inputs.remarks()
        ('Left out on request, and null here: arcface.',)
        >>> inputs.check("theval/thqa-mt", {"votes": "table of votes"})
        Traceback (most recent call last):
            ...
        theval_datasets.errors.UnknownNameError: ...
        >>> Inputs(anonymise=True).left_out == EMBEDDERS
        True
        >>> inputs.elsewhere().path("ratings").is_absolute()
        True
        >>> inputs.shared(lambda inputs: len(inputs.tables), key="number of tables")
        1

        With a manifest, of which a clip was taken down:

        >>> from theval_datasets.manifest.rows import ManifestRow, Source, write_manifest
        >>> from theval_datasets.manifest.tombstones import write_tombstones
        >>> rows = [ManifestRow(name, None, Source("local", f"{name}.mp4"), None) for name in "ab"]
        >>> write_manifest(Path("manifest.jsonl"), rows)
        >>> write_tombstones(Path("tombstones.jsonl"), [Tombstone("a", "2026-01-31")])
        >>> inputs = Inputs(manifest_path=Path("manifest.jsonl"))
        >>> len(inputs.manifest), [row.clip_id for row in inputs.rows], inputs.gone
        (2, ['b'], frozenset({'a'}))
        >>> inputs.tombstones[0].date, len(inputs.fingerprint)
        ('2026-01-31', 64)
    """

    manifest_path: Location | None = None
    cache: Cache | None = None
    release: Path | None = None
    tables: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    anonymise: bool = False
    settings: Mapping[str, Extractor] = field(default_factory=dict)
    _shared: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def manifest(self) -> StoredManifest:
        """The manifest, checked once; its rows stay in the file.

        Raises:
            InputError: If none was given.
        """
        if self.manifest_path is None:
            raise InputError(
                "expected a manifest, got none: name it with --manifest FILE "
                "(`theval-data curate FOLDER --recipe as-is -o DIR` makes one)"
            )
        return open_manifest(self.manifest_path)

    @cached_property
    def tombstones(self) -> tuple[Tombstone, ...]:
        """Clips that were taken down: from ``--with tombstones=FILE``, or beside the manifest."""
        given: Location | None = self.path("tombstones")
        if given is None and self.manifest_path is not None:
            given = self.manifest.folder / TOMBSTONES_NAME
        return () if given is None else read_tombstones(given)

    @cached_property
    def gone(self) -> frozenset[str]:
        """The ids of clips that were taken down."""
        return frozenset(stone.clip_id for stone in self.tombstones)

    @cached_property
    def rows(self) -> StoredRows:
        """The manifest's rows in order of `clip_id`, without the clips that were taken down."""
        rows = self.manifest.rows
        if not self.gone:
            return rows
        return rows.at([n for n, row in enumerate(rows) if row.clip_id not in self.gone])

    @cached_property
    def left_out(self) -> frozenset[str]:
        """Extractors whose columns are left null on request."""
        return self.without | EMBEDDERS if self.anonymise else self.without

    def remarks(self) -> tuple[str, ...]:
        """`notes`, and a sentence for columns left out and faces blurred on request."""
        remarks = [*self.notes]
        if self.left_out:
            remarks.append(
                f"Left out on request, and null here: {', '.join(sorted(self.left_out))}."
            )
        parameters = describe_settings(self.settings)
        if parameters:
            remarks.append(f"Extractors with other than their default parameters: {parameters}.")
        if self.anonymise:
            remarks.append(_ANONYMOUS)
        return tuple(remarks)

    def shared(self, make: Callable[[Inputs], T], key: Hashable = None) -> T:
        """A value that is computed from these inputs once, for all tables of a build.

        Args:
            make: Function that computes the value.
            key: Key of the value; by default `make` itself.
        """
        key = make if key is None else key
        if key not in self._shared:
            self._shared[key] = make(self)
        made: T = self._shared[key]
        return made

    def elsewhere(self) -> Inputs:
        """These inputs for another process, whose working folder is another."""
        return replace(
            self,
            manifest_path=None if self.manifest_path is None else self.manifest_path.absolute(),
            release=None if self.release is None else self.release.absolute(),
            tables={kind: path.absolute() for kind, path in self.tables.items()},
        )

    def path(self, kind: str) -> Path | None:
        """The file or folder for a kind of input; None if it was not given."""
        return self.tables.get(kind)

    def check(self, dataset: str, kinds: Mapping[str, str]) -> None:
        """Refuse kinds that a dataset does not take and paths that do not exist.

        Raises:
            UnknownNameError, InputError: The message lists the kinds that it takes.
        """
        for kind, path in self.tables.items():
            if kind not in kinds:
                raise UnknownNameError(f"kind of input of {dataset}", kind, kinds)
            if not path.exists():
                raise InputError(f"--with {kind}={path}: there is no such file or folder")
        if self.release is not None and not self.release.is_dir():
            raise InputError(f"--release {self.release}: expected a folder")
        for name in sorted(self.without - set(catalog.names("extractor"))):
            raise UnknownNameError("extractor", name, catalog.names("extractor"))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the content of the inputs, without paths and cache."""
        files = {}
        for kind, path in (*self.tables.items(), ("--release", self.release)):
            if path is not None:
                files[kind] = _content(path)
        rows = [] if self.manifest_path is None else [row.to_json() for row in self.manifest.rows]
        return digest(
            {
                "manifest": rows,
                "files": files,
                "gone": sorted(self.gone),
                "without": sorted(self.left_out),
                "anonymise": self.anonymise,
            }
        )


def _content(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {"" if p == path else p.relative_to(path).as_posix(): _identity(p) for p in files}


def _identity(path: Path) -> str:
    stat = path.stat()
    if stat.st_size > _HASHED_WHOLE:
        return f"{stat.st_size}:{stat.st_mtime_ns}"
    return sha256_file(path)


def parse_tables(items: list[str]) -> dict[str, Path]:
    """``KIND=PATH`` options as a mapping.

    Raises:
        InputError: For options of another form, or a kind that occurs twice.

    Examples:
        >>> parse_tables(["ratings=study/ratings.csv"])["ratings"].name
        'ratings.csv'
    """
    tables: dict[str, Path] = {}
    for item in items:
        kind, separator, path = item.partition("=")
        if not separator or not kind or not path:
            raise InputError(
                f"expected --with KIND=PATH, such as ratings=ratings.csv, got {item!r}"
            )
        if kind in tables:
            raise InputError(f"--with {kind}=… was given twice")
        tables[kind] = Path(path)
    return tables
