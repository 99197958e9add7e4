"""`theval-data diff`: differences between two built versions of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.info import ConfigInfo, Info, read_info
from theval_datasets.utils.files import inside
from theval_datasets.utils.records import to_plain
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import some_names

from .compare import ColumnChange, RowIndex, compare_rows

TOLERANCE: Final = 1e-9
_SHOWN: Final = 8


@dataclass(frozen=True)
class ConfigDiff:
    """Differences of one config.

    Attributes:
        added: Keys of rows in the second version only.
        removed: Keys of rows in the first version only.
        taken_down: Removed keys with a tombstone in the second version.
        moved: Splits before and after, by key.
        common: Number of rows in both versions.
        columns_added: Columns in the second version only.
        columns_removed: Columns in the first version only.
        columns_retyped: Types before and after, by column.
        values: Changes over the common rows, by column.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    taken_down: tuple[str, ...] = ()
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    common: int = 0
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    columns_retyped: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    values: Mapping[str, ColumnChange] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Human-readable lines; none if nothing changed."""
        unexplained = [key for key in self.removed if key not in self.taken_down]
        for what, keys in (
            ("added", self.added), ("removed", unexplained), ("taken down", self.taken_down),
            ("in another split", list(self.moved)),
        ):  # fmt: skip
            if keys:
                yield f"{len(keys)} rows {what}: {some_names(keys, _SHOWN)}"
        for what, names in (("new", self.columns_added), ("dropped", self.columns_removed)):
            if names:
                yield f"columns {what}: {', '.join(names)}"
        for name, (before, after) in self.columns_retyped.items():
            yield f"column {name} is {after} instead of {before}"
        for name, change in self.values.items():
            size = "" if change.largest is None else f", by up to {change.largest:.6g}"
            yield f"{name} changed in {change.rows} of {self.common} rows{size}"


@dataclass(frozen=True)
class DiffReport(Report):
    """Differences between two versions.

    Attributes:
        first: Name and version of the first dataset.
        second: Name and version of the second dataset.
        configs_added: Configs in the second version only.
        configs_removed: Configs in the first version only.
        configs: Differences of the configs in both.
        extractors: Extractors whose version, parameters, weights or decoder changed.
    """

    first: str
    second: str
    configs_added: tuple[str, ...]
    configs_removed: tuple[str, ...]
    configs: Mapping[str, ConfigDiff]
    extractors: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the tables are the same."""
        return not (
            self.configs_added
            or self.configs_removed
            or any(list(config.lines()) for config in self.configs.values())
        )

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        plain: dict[str, Any] = to_plain(self)
        return {"same": self.same, **plain}

    def table(self) -> list[dict[str, Any]]:
        """One row per column whose values changed."""
        return [
            {"config": name, "column": column, "rows": change.rows, "largest": change.largest}
            for name, config in self.configs.items()
            for column, change in config.values.items()
        ]

    def to_text(self) -> str:
        """For people."""
        lines = [f"{self.first} -> {self.second}"]
        lines += [f"  config {name} is new" for name in self.configs_added]
        lines += [f"  config {name} is gone" for name in self.configs_removed]
        lines += [f"  computed differently: {name}" for name in self.extractors]
        for name, config in self.configs.items():
            lines += [f"  {name}: {line}" for line in config.lines()]
        return "\n".join([*lines, "  the tables are the same"] if self.same else lines)


def diff(first: Path, second: Path, *, tolerance: float = TOLERANCE) -> DiffReport:
    """Compare two built versions.

    Args:
        first: Folder of the earlier version.
        second: Folder of the later version.
        tolerance: Relative difference up to which numbers count as equal.

    Raises:
        InputError: If a folder is not a built dataset, or the two are different datasets.
    """
    if not 0 <= tolerance < 1:
        raise InputError(f"expected a tolerance in [0, 1), got {tolerance}")
    earlier, later = read_info(first), read_info(second)
    if earlier.dataset != later.dataset:
        raise InputError(
            f"{first} is {earlier.dataset} and {second} is {later.dataset}: only versions of one dataset "
            "can be compared"
        )
    both = [name for name in earlier.configs if name in later.configs]
    changed = {
        name
        for name in earlier.extractors.keys() | later.extractors.keys()
        if earlier.extractors.get(name) != later.extractors.get(name)
    }
    return DiffReport(
        first=f"{earlier.dataset} {earlier.version}",
        second=f"{later.dataset} {later.version}",
        configs_added=tuple(name for name in later.configs if name not in earlier.configs),
        configs_removed=tuple(name for name in earlier.configs if name not in later.configs),
        configs={
            name: _config((first, earlier), (second, later), name, tolerance) for name in both
        },
        extractors=tuple(sorted(changed)),
    )


def _config(
    first: tuple[Path, Info], second: tuple[Path, Info], name: str, tolerance: float
) -> ConfigDiff:
    before, after = first[1].configs[name], second[1].configs[name]
    key = tuple(after.key)
    if tuple(before.key) != key:
        raise InputError(f"{name}: rows are told apart by {before.key} before and {key} after")
    old, new = _index(first[0], before), _index(second[0], after)
    types = {c.name: c.type for c in before.columns}
    types_after = {c.name: c.type for c in after.columns}
    same = [c for c in types if types_after.get(c) == types[c] and c not in key]
    removed = sorted(old.rows.keys() - new.rows.keys())
    tombs = {stone.clip_id for stone in second[1].tombstones}
    return ConfigDiff(
        added=tuple(_name(k) for k in sorted(new.rows.keys() - old.rows.keys())),
        removed=tuple(_name(k) for k in removed),
        taken_down=tuple(_name(k) for k in removed if tombs & set(k)),
        moved={
            _name(k): (old.rows[k].split, new.rows[k].split)
            for k in sorted(old.rows.keys() & new.rows.keys())
            if old.rows[k].split != new.rows[k].split
        },
        common=len(old.rows.keys() & new.rows.keys()),
        columns_added=tuple(c for c in types_after if c not in types),
        columns_removed=tuple(c for c in types if c not in types_after),
        columns_retyped={
            c: (types[c], types_after[c])
            for c in types
            if c in types_after and types[c] != types_after[c]
        },
        values=compare_rows(old, new, same, tolerance),
    )


def _index(folder: Path, config: ConfigInfo) -> RowIndex:
    files = {
        split: [inside(folder, name) for name in split_info.files]
        for split, split_info in config.splits.items()
    }
    return RowIndex(files, config.key)


def _name(key: tuple[Any, ...]) -> str:
    return " / ".join(map(str, key))
