"""`theval-data verify`: checks of a built dataset against its own description.

Everything is read from the folder alone and loaded into a new cache.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from theval_datasets.engines.base import Engine
from theval_datasets.engines.local import ONE_PROCESS
from theval_datasets.errors import InputError
from theval_datasets.utils.report import Report
from theval_datasets.utils.stores import Location, RemotePath
from theval_datasets.utils.text import some_of

from ..remote import local_release
from .built import BuiltDataset, Faults, open_built
from .expect import check_expect
from .files import check_counts, check_files, check_schema
from .loading import check_card, check_load
from .rows import check_ids, check_manifest, check_values


@dataclass(frozen=True, slots=True)
class VerifyCheck:
    """A check: its name, whether it passed, and details."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class VerifyReport(Report):
    """The checks of a built dataset.

    Attributes:
        folder: Folder of the dataset.
        dataset: Name of the dataset.
        version: Version of the dataset.
        checks: Checks in the order in which they were made.
    """

    folder: Location
    dataset: str
    version: str
    checks: tuple[VerifyCheck, ...]

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
            "checks": self.table(),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per check."""
        return [
            {"name": check.name, "ok": check.ok, "detail": check.detail} for check in self.checks
        ]

    def to_text(self) -> str:
        """For people."""
        lines = [f"{self.dataset} {self.version} in {self.folder}"]
        lines += [
            f"  {'ok   ' if check.ok else 'FAULT'} {check.name:<9} {check.detail}"
            for check in self.checks
        ]
        if not self.exit_code:
            place = shlex.quote(str(self.folder))
            lines.append(f"next: theval-data push {place} OWNER/NAME --dry-run")
        return "\n".join(lines)


def verify(
    folder: Location, *, expect: str | None = None, engine: Engine = ONE_PROCESS
) -> VerifyReport:
    """Check a built dataset.

    Args:
        folder: Folder of the dataset, with `info.json`; one behind a URL is copied to this machine.
        expect: Name of an expectation that the dataset's builder knows, such as ``paper``.
        engine: Engine whose workers read the files.

    Raises:
        InputError: If the folder is not a built dataset, or there is no such expectation.
    """
    with local_release(folder) as (here, further):
        built = open_built(here, expect, engine)
        if isinstance(folder, RemotePath):
            built = replace(built, origin=folder, further=further)
        checks = _checks(built)
    return VerifyReport(folder, built.info.dataset, built.info.version, tuple(checks))


def _checks(built: BuiltDataset) -> list[VerifyCheck]:
    checks: list[VerifyCheck] = []
    for name, check in _CHECKS.items():
        if name == "expect" and built.expect is None:
            continue
        checks.append(_run(name, check, built))
        if not checks[-1].ok and name in ("files", "card"):
            break  # later checks would read files that were changed
    return checks


def _run(name: str, check: Callable[[BuiltDataset], Faults], built: BuiltDataset) -> VerifyCheck:
    """Run one check."""
    faults: list[str] = []
    iterator = check(built)
    damaged = _damaged()
    detail = ""
    while True:
        try:
            faults.append(next(iterator))
        except StopIteration as stop:
            detail = stop.value or ""
            break
        except damaged as error:
            faults.append(f"{type(error).__name__}: {error}")
            break
    if not faults:
        return VerifyCheck(name, True, detail)
    return VerifyCheck(name, False, some_of(faults))


def _damaged() -> tuple[type[Exception], ...]:
    """Exceptions for damaged files; pyarrow's errors are ValueErrors, OSErrors or KeyErrors."""
    from datasets.exceptions import DatasetsError

    return (InputError, OSError, ValueError, KeyError, DatasetsError)


_CHECKS: Final[Mapping[str, Callable[[BuiltDataset], Faults]]] = {
    "files": check_files,
    "schema": check_schema,
    "counts": check_counts,
    "expect": check_expect,
    "values": check_values,
    "ids": check_ids,
    "manifest": check_manifest,
    "card": check_card,
    "load": check_load,
}
