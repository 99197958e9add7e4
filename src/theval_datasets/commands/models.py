"""`theval-data models`: all model weights, with location, size, licence and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from theval_datasets import catalog
from theval_datasets.errors import UnknownNameError, WeightsMissingError
from theval_datasets.extraction.weights import (
    Weights,
    fetch,
    find,
    folders,
    places,
    registry,
    size_text,
)
from theval_datasets.utils.report import Report

_LARGE: Final = 2_000_000_000
"""Bytes from which weights are downloaded only by name."""


@dataclass(frozen=True, slots=True)
class ModelsReport(Report):
    """Model weights, with their locations and failed downloads.

    Attributes:
        places: Path of each set of weights; None if it is not on this machine.
        failures: Reason of each failed download, by name.
        extractors: Extractors that can use each set of weights, by name.
    """

    places: tuple[tuple[Weights, Path | None], ...]
    failures: dict[str, str]
    extractors: dict[str, list[str]]

    @property
    def exit_code(self) -> int:
        """1 if weights could not be downloaded, else 0."""
        return int(bool(self.failures))

    def to_plain(self) -> dict[str, Any]:
        """One entry per set of weights."""
        return {
            "searched": [str(folder) for folder in folders()],
            "weights": [
                {
                    "name": weights.name,
                    "kind": weights.kind,
                    "path": str(path) if path else None,
                    "searched": [str(place) for place in places(weights)],
                    "used_by": weights.used_by,
                    "extractors": self.extractors.get(weights.name, []),
                    "url": weights.url or None,
                    "sha256": weights.sha256 or None,
                    "n_bytes": weights.n_bytes,
                    "license": weights.license,
                    "gated": weights.gated,
                    "remedy": weights.remedy,
                    "error": self.failures.get(weights.name),
                }
                for weights, path in self.places
            ],
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per set of weights."""
        columns = ("name", "path", "used_by", "license", "n_bytes", "remedy")
        return [{name: row[name] for name in columns} for row in self.to_plain()["weights"]]

    def to_text(self) -> str:
        """A few lines per set of weights."""
        lines = ["Weights are searched for in:", *(f"  {folder}" for folder in folders())]
        lines.append("and in the caches of the Hugging Face Hub and of torch")
        for weights, path in self.places:
            size = f", {size_text(weights.n_bytes)}" if weights.n_bytes else ""
            extractors = ", ".join(self.extractors.get(weights.name, ())) or "none"
            lines += [
                "",
                f"{weights.name}  {'at ' + str(path) if path else 'not on this machine'}",
                f"  purpose     {weights.used_by}",
                f"  extractors  {extractors}",
                f"  licence     {weights.license}{size}",
            ]
            if weights.name in self.failures:
                lines.append(f"  failed      {self.failures[weights.name]}")
            elif path is None:
                lines.append(f"  to get it   {weights.remedy}")
        return "\n".join(lines)


def list_models() -> ModelsReport:
    """List model weights with location, size, licence and the extractors that use them.

    Examples:
        >>> "silero-vad-v5" in [weights.name for weights, place in list_models().places]
        True
    """
    located = tuple((weights, find(weights)) for weights in registry().values())
    return ModelsReport(located, {}, _extractors())


def fetch_models(
    names: Annotated[Sequence[str], typer.Argument(metavar="NAME")] = (),
) -> ModelsReport:
    """Download model weights from their publishers, and verify their checksums.

    Args:
        names: Names of weights. Default: all missing weights that need no token and are smaller than 2 GB.

    Raises:
        UnknownNameError: A name is unknown; nothing is downloaded.
    """
    known = registry()
    for name in names:
        if name not in known:
            raise UnknownNameError("weights", name, known)
    wanted = [known[name] for name in dict.fromkeys(names)] or [
        weights
        for weights in known.values()
        if weights.can_be_fetched
        and not weights.gated
        and (weights.n_bytes or 0) < _LARGE
        and find(weights) is None
    ]
    fetched: list[tuple[Weights, Path | None]] = []
    failures: dict[str, str] = {}
    for weights in wanted:
        try:
            fetched.append((weights, find(weights) or fetch(weights)))
        except WeightsMissingError as error:
            failures[weights.name] = str(error)
            fetched.append((weights, None))
    return ModelsReport(tuple(fetched), failures, _extractors())


def _extractors() -> dict[str, list[str]]:
    """Extractors by the name of the weights that they can use."""
    users: dict[str, list[str]] = {}
    for name in catalog.names("extractor"):
        for weights in catalog.load("extractor", name)().weights():
            users.setdefault(weights.name, []).append(name)
    return users
