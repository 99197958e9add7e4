"""`theval-data verify`: is a built dataset what it says it is?

Everything is read from the folder alone and loaded afresh, the way a stranger would.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets import __version__, catalog
from theval_datasets.errors import InputError, ManifestError, UnknownNameError
from theval_datasets.files import inside, sha256_file
from theval_datasets.info import CARD_NAME, INFO_NAME, Info, read_info
from theval_datasets.manifest import MANIFEST_NAME, read_rows

if TYPE_CHECKING:
    from theval_datasets.builders._base import Builder

Faults = Generator[str, None, str]
"""A check yields its faults and returns what to say if there are none."""

_CROISSANT: Final = "croissant.json"
_SHOWN: Final = 5
_LOADED_WHOLE: Final = 2 << 30  # bytes of a config that is loaded and not only streamed


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class VerifyReport:
    """The checks of a built dataset.

    Attributes:
        folder: Of the dataset.
        dataset: Its name.
        version: Its version.
        checks: In the order they were made.
    """

    folder: Path
    dataset: str
    version: str
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """1 if any check fails."""
        return int(not all(check.ok for check in self.checks))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "folder": str(self.folder),
            "dataset": self.dataset,
            "version": self.version,
            "ok": not self.exit_code,
            "checks": [
                {"name": check.name, "ok": check.ok, "detail": check.detail}
                for check in self.checks
            ],
        }

    def to_text(self) -> str:
        """For people."""
        lines = [f"{self.dataset} {self.version} in {self.folder}"]
        lines += [
            f"  {'ok   ' if check.ok else 'FAULT'} {check.name:<9} {check.detail}"
            for check in self.checks
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Release:
    folder: Path
    info: Info
    builder: type[Builder] | None
    expect: str | None

    def declares(self, config: str) -> bool:
        """Whether this very version of the package says what columns a config has."""
        known = self.builder is not None and config in self.builder.FIELDS
        return known and self.info.toolkit == __version__

    def files(self, config: str) -> list[tuple[str, str, Path]]:
        """Split, name and path of the Parquet files of a config."""
        return [
            (split, name, inside(self.folder, name))
            for split, said in self.info.configs[config].splits.items()
            for name in said.files
        ]


def verify(folder: Path, *, expect: str | None = None) -> VerifyReport:
    """Check a built dataset.

    Args:
        folder: Of the dataset, the one with `info.json`.
        expect: Name of an expectation that the dataset's builder knows, such as ``paper``.

    Raises:
        InputError: If the folder is no built dataset, or there is no such expectation.
    """
    info = read_info(folder)
    builder = _builder(info)
    if expect is not None:
        known = {} if builder is None else builder.EXPECTED
        if expect not in known:
            raise UnknownNameError(f"expectation of {info.dataset}", expect, known)
    release = _Release(folder, info, builder, expect)
    checks = []
    for name, check in _CHECKS.items():
        if name == "expect" and expect is None:
            continue
        checks.append(_run(name, check, release))
        if not checks[-1].ok and name in ("files", "card"):
            break  # what follows would read what the release does not vouch for
    return VerifyReport(folder, info.dataset, info.version, tuple(checks))


def _builder(info: Info) -> type[Builder] | None:
    try:
        found: type[Builder] = catalog.load("dataset", info.name)
        return found
    except UnknownNameError:
        return None


def _run(name: str, check: Callable[[_Release], Faults], release: _Release) -> Check:
    """Run one check; it yields faults, and may return a sentence for when there are none."""
    faults: list[str] = []
    iterator = check(release)
    damaged = _damaged()
    said = ""
    while True:
        try:
            faults.append(next(iterator))
        except StopIteration as stop:
            said = stop.value or ""
            break
        except damaged as error:
            faults.append(f"{type(error).__name__}: {error}")
            break
    if not faults:
        return Check(name, True, said)
    more = f" … and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return Check(name, False, "; ".join(faults[:_SHOWN]) + more)


def _damaged() -> tuple[type[Exception], ...]:
    """What reading damaged files raises; pyarrow's errors are ValueErrors, OSErrors or KeyErrors."""
    from datasets.exceptions import DatasetsError

    return (InputError, OSError, ValueError, KeyError, DatasetsError)


def _check_files(release: _Release) -> Faults:
    for name, said in release.info.files.items():
        path = inside(release.folder, name)
        if not path.is_file():
            yield f"{name} is not there"
        elif path.stat().st_size != said.n_bytes:
            yield f"{name} has {path.stat().st_size} bytes, {INFO_NAME} says {said.n_bytes}"
        elif sha256_file(path) != said.sha256:
            yield f"{name} is not the file that was written: its hash differs"
    there = {
        path.relative_to(release.folder).as_posix()
        for path in release.folder.rglob("*")
        if path.is_file() and not _is_foreign(path.relative_to(release.folder))
    }
    for name in sorted(there - set(release.info.files) - {INFO_NAME}):
        yield f"{name} is not listed in {INFO_NAME}"
    listed = {name for config in release.info.configs for _, name, _ in release.files(config)}
    for name in sorted(listed - set(release.info.files)):
        yield f"{name} belongs to a split, but is not listed among the files"
    return f"{len(release.info.files)} files have the size and hash they had when written"


def _is_foreign(path: Path) -> bool:
    """What git and the Hub's client leave in a folder."""
    return path.parts[0] in (".git", ".cache", ".gitattributes", ".huggingface")


def _check_schema(release: _Release) -> Faults:
    import datasets
    import pyarrow.parquet as pq

    for config, said in release.info.configs.items():
        wanted = {column.name: column.type for column in said.columns}
        for _, name, path in release.files(config):
            features = datasets.Features.from_arrow_schema(pq.read_schema(path))
            found = {column: repr(feature) for column, feature in features.items()}
            if list(found.items()) != list(wanted.items()):
                yield f"{name}: {_difference(wanted, found)}"
        if release.declares(config):
            assert release.builder is not None
            declared = {f.name: repr(f.feature) for f in release.builder.FIELDS[config]}
            lacking = {k: v for k, v in declared.items() if wanted.get(k) != v}
            if lacking:
                yield f"{config}: not as this package declares it: {', '.join(sorted(lacking))}"
    return f"{len(release.info.configs)} configs have the declared columns and types"


def _difference(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    parts = [f"{n} is missing" for n in wanted if n not in found]
    parts += [f"{n} is not declared" for n in found if n not in wanted]
    parts += [
        f"{n} is {found[n]} instead of {kind}"
        for n, kind in wanted.items()
        if n in found and found[n] != kind
    ]
    return ", ".join(parts) or "the columns are in another order"


def _check_load(release: _Release) -> Faults:
    import datasets

    total = 0
    with tempfile.TemporaryDirectory(prefix="theval-verify-") as scratch, _quietly():
        for config, said in release.info.configs.items():
            streamed = sum(split.arrow_bytes for split in said.splits.values()) > _LOADED_WHOLE
            rows = datasets.load_dataset(
                str(release.folder.resolve()),
                config,
                cache_dir=f"{scratch}/{config}",
                download_mode="force_redownload",
                streaming=streamed,
            )
            if set(rows) != set(said.splits):
                yield f"{config}: splits {sorted(rows)} instead of {sorted(said.splits)}"
            for split in set(rows) & set(said.splits):
                found = rows[split]
                wanted = {column.name: column.type for column in said.columns}
                types = {name: repr(kind) for name, kind in (found.features or {}).items()}
                if types != wanted:
                    yield f"{config}/{split}: {_difference(wanted, types)}"
                if streamed:
                    next(iter(found), None)
                elif found.num_rows != said.splits[split].rows:
                    yield f"{config}/{split}: {found.num_rows} rows load instead of {said.splits[split].rows}"
                total += said.splits[split].rows
        default = datasets.load_dataset(
            str(release.folder.resolve()), cache_dir=f"{scratch}/default", streaming=True
        )
        first = next(iter(release.info.configs))
        columns = [column.name for column in release.info.configs[first].columns]
        if any(list(rows.features or ()) != columns for rows in default.values()):
            yield f"without a name another config than {first!r} is loaded"
    return f"load_dataset gives {total} rows in a fresh cache"


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the progress bars of `datasets`."""
    import datasets

    off = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not off:
            datasets.enable_progress_bars()


def _check_counts(release: _Release) -> Faults:
    import pyarrow.parquet as pq

    for config, said in release.info.configs.items():
        for split, numbers in said.splits.items():
            files = [path for at, _, path in release.files(config) if at == split]
            rows = sum(pq.read_metadata(path).num_rows for path in files)
            size = sum(path.stat().st_size for path in files)
            if rows != numbers.rows:
                yield f"{config}/{split}: {rows} rows, {INFO_NAME} says {numbers.rows}"
            if size != numbers.n_bytes:
                yield f"{config}/{split}: {size} bytes, {INFO_NAME} says {numbers.n_bytes}"
    first = next(iter(release.info.configs))
    rows = release.info.configs[first].rows
    if not rows:
        yield f"{first} has no rows"
    if release.info.counts.get("clips") != rows:
        yield f"{INFO_NAME} counts {release.info.counts.get('clips')} clips, {first} has {rows} rows"
    return f"{rows} clips"


def _check_values(release: _Release) -> Faults:
    """Ranges, nulls and what the dataset's builder knows of its rows."""
    from theval_datasets.commands._columns import faults_of

    columns = 0
    for config, said in release.info.configs.items():
        columns += len(said.columns)
        for _, name, path in release.files(config):
            for fault in faults_of(path, config, said, release.builder):
                yield f"{name}: {fault}"
    return f"{columns} columns are within their ranges; every null has its reason"


def _check_ids(release: _Release) -> Faults:
    import pyarrow.parquet as pq

    first = next(iter(release.info.configs))
    clips: set[str] = set()
    for config, said in release.info.configs.items():
        seen: dict[tuple[Any, ...], str] = {}
        for split, name, path in release.files(config):
            columns = pq.read_table(path, columns=list(said.key)).columns
            for key in zip(*(column.to_pylist() for column in columns), strict=True):
                shown = ", ".join(map(repr, key))
                if None in key:
                    yield f"{name}: {', '.join(said.key)} is null in a row"
                elif key in seen:
                    yield f"{name}: {shown} occurs twice ({seen[key]} and {split})"
                seen[key] = split
            if "clip_id" in pq.read_schema(path).names:
                ids = set(pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist())
                if config == first:
                    clips |= ids
                for clip in sorted(ids - clips - {None})[:_SHOWN]:
                    yield f"{name}: clip_id {clip!r} is not in {first}"
    for stone in release.info.tombstones:
        if stone.clip_id in clips:
            yield f"{stone.clip_id!r} was taken down, but is in {first}"
    return f"{len(clips)} different clip_id; every row has its own key"


def _check_manifest(release: _Release) -> Faults:
    import pyarrow.parquet as pq

    path = release.folder / MANIFEST_NAME
    if not path.is_file():
        return "there is none: the dataset was not made from clips"
    try:
        rows = {row.clip_id: row for row in read_rows(path)}
    except ManifestError as error:
        yield str(error)
        return ""
    first = next(iter(release.info.configs))
    found = 0
    for split, name, file in release.files(first):
        table = pq.read_table(file, columns=["clip_id", "sha256"])
        for clip, sha256 in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if sha256 is None:
                continue  # a row of scores without a clip
            row = rows.get(clip)
            found += 1
            if row is None:
                yield f"{name}: {clip!r} is not in {MANIFEST_NAME}"
            elif (row.sha256, row.split) != (sha256, split):
                yield f"{clip!r} has another hash or split in {MANIFEST_NAME} than in {name}"
    placed = sum(row.split is not None for row in rows.values())
    if placed != found:
        yield f"{MANIFEST_NAME} places {placed} clips in splits, {first} has {found}"
    for row in rows.values():
        if row.stamp is not None or row.source.location.startswith("/"):
            yield f"{row.clip_id!r} carries paths of the machine that built it"
    return f"{len(rows)} rows agree with {first}"


def _check_card(release: _Release) -> Faults:
    import datasets
    from huggingface_hub import DatasetCard

    path = release.folder / CARD_NAME
    if sha256_file(path) != release.info.card_sha256:
        yield f"{CARD_NAME} is not the card that {INFO_NAME} knows"
    card = DatasetCard.load(path)
    infos = datasets.info.DatasetInfosDict.from_dataset_card_data(card.data)
    configs = {entry["config_name"]: entry for entry in card.data.get("configs") or []}
    if list(configs) != list(release.info.configs) or set(infos) != set(configs):
        yield f"configs {list(configs)} and {sorted(infos)} instead of {list(release.info.configs)}"
        return ""
    for name, said in release.info.configs.items():
        if str(configs[name].get("version")) != release.info.version:
            yield f"{name}: version {configs[name].get('version')} instead of {release.info.version}"
        files = {e["split"]: tuple(e["path"]) for e in configs[name]["data_files"]}
        if files != {split: numbers.files for split, numbers in said.splits.items()}:
            yield f"{name}: the card names other files than {INFO_NAME}"
        rows = {s: one.num_examples for s, one in (infos[name].splits or {}).items()}
        if rows != {split: numbers.rows for split, numbers in said.splits.items()}:
            yield f"{name}: the card says {rows} rows"
        types = {c: repr(kind) for c, kind in (infos[name].features or {}).items()}
        wanted = {column.name: column.type for column in said.columns}
        if types != wanted:
            yield f"{name}: the card's features: {_difference(wanted, types)}"
    path = release.folder / _CROISSANT
    if path.is_file():
        plain = json.loads(path.read_text(encoding="utf-8"))
        described = {
            one["name"]: [f["name"].partition("/")[2] for f in one["field"]]
            for one in plain["recordSet"]
        }
        if plain["version"] != release.info.version or described != {
            name: [column.name for column in said.columns]
            for name, said in release.info.configs.items()
        }:
            yield f"{_CROISSANT} describes another version, other configs or other columns"
    return f"{CARD_NAME} and what else describes them agree with the files"


def _check_expect(release: _Release) -> Faults:
    assert release.builder is not None
    assert release.expect is not None
    expected = release.builder.EXPECTED[release.expect]
    for name, wanted in expected.items():
        found = release.info.counts.get(name)
        if found != wanted:
            yield f"{name}: {found} instead of {wanted}"
    return ", ".join(f"{wanted} {name}" for name, wanted in expected.items())


_CHECKS: Final[dict[str, Callable[[_Release], Faults]]] = {
    "files": _check_files,
    "schema": _check_schema,
    "counts": _check_counts,
    "expect": _check_expect,
    "values": _check_values,
    "ids": _check_ids,
    "manifest": _check_manifest,
    "card": _check_card,
    "load": _check_load,
}
