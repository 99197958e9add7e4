"""The built dataset under verification: its folder, `info.json` and builder."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from theval_datasets import __version__, catalog
from theval_datasets.engines.base import Engine
from theval_datasets.engines.local import ONE_PROCESS
from theval_datasets.errors import UnknownNameError
from theval_datasets.manifest.info import Info, read_info
from theval_datasets.utils.files import inside
from theval_datasets.utils.stores import RemotePath

if TYPE_CHECKING:
    from ...base.builder import Builder

Faults = Generator[str, None, str]
"""Result of a check, which yields its faults and returns a summary if there are none."""


@dataclass(frozen=True)
class BuiltDataset:
    """A built dataset.

    Attributes:
        folder: Folder of the dataset.
        info: Contents of its `info.json`.
        builder: Class of its builder; None for an unknown dataset.
        expect: Name of an expectation; None for none.
        engine: Engine whose workers read the files.
        origin: Place of a dataset behind a URL, of which `folder` is a copy.
        further: Files in that place that `info.json` does not list.
    """

    folder: Path
    info: Info
    builder: type[Builder] | None
    expect: str | None = None
    engine: Engine = ONE_PROCESS
    origin: RemotePath | None = None
    further: frozenset[str] = frozenset()

    @property
    def first(self) -> str:
        """The default config."""
        return next(iter(self.info.configs))

    def declares(self, config: str) -> bool:
        """Whether this version of the package declares the columns of a config."""
        known = self.builder is not None and config in self.builder.FIELDS
        return known and self.info.toolkit == __version__

    def files(self, config: str) -> list[tuple[str, str, Path]]:
        """Split, name and path of the Parquet files of a config."""
        return [
            (split, name, inside(self.folder, name))
            for split, split_info in self.info.configs[config].splits.items()
            for name in split_info.files
        ]


def open_built(
    folder: Path, expect: str | None = None, engine: Engine = ONE_PROCESS
) -> BuiltDataset:
    """A built dataset.

    Args:
        folder: The one with `info.json`.
        expect: Name of an expectation that the dataset's builder knows, such as ``paper``.
        engine: Engine whose workers read the files.

    Raises:
        InputError: If the folder is not a built dataset, or there is no such expectation.
    """
    info = read_info(folder)
    builder: type[Builder] | None = None
    if info.name.replace("-", "_") in catalog.names("dataset"):
        builder = catalog.load("dataset", info.name)
    if expect is not None:
        known = {} if builder is None else builder.EXPECTED
        if expect not in known:
            raise UnknownNameError(f"expectation of {info.dataset}", expect, known)
    return BuiltDataset(folder, info, builder, expect, engine)


def types_differ(wanted: Mapping[str, str], actual: Mapping[str, str]) -> str:
    """Description of the differences between expected and actual columns and types.

    Examples:
        >>> types_differ({"mos": "double", "fps": "double"}, {"mos": "string"})
        'fps is missing, mos is string instead of double'
    """
    parts = [f"{n} is missing" for n in wanted if n not in actual]
    parts += [f"{n} is not declared" for n in actual if n not in wanted]
    parts += [
        f"{n} is {actual[n]} instead of {kind}"
        for n, kind in wanted.items()
        if n in actual and actual[n] != kind
    ]
    return ", ".join(parts) or "the columns are in another order"
