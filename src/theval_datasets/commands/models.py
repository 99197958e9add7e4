"""`theval-data models`: which weights are here, and getting those that are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from theval_datasets.errors import UnknownNameError, WeightsMissingError
from theval_datasets.extraction.weights import Weights, fetch, find, folders, registry


@dataclass(frozen=True, slots=True)
class ModelsReport:
    """The known weights, where each lies, and what could not be fetched.

    Attributes:
        places: Each with its path, or None if it is not here.
        failures: Name to what went wrong.
    """

    places: tuple[tuple[Weights, Path | None], ...]
    failures: dict[str, str]

    @property
    def exit_code(self) -> int:
        """1 if something could not be fetched."""
        return int(bool(self.failures))

    def to_plain(self) -> dict[str, Any]:
        """One entry a set of weights."""
        return {
            "searched": [str(folder) for folder in folders()],
            "weights": [
                {
                    "name": weights.name,
                    "path": str(path) if path else None,
                    "used_by": weights.used_by,
                    "url": weights.url,
                    "sha256": weights.sha256,
                    "n_bytes": weights.n_bytes,
                    "license": weights.license,
                    "error": self.failures.get(weights.name),
                }
                for weights, path in self.places
            ],
        }

    def to_text(self) -> str:
        """A few lines for people."""
        lines = ["Weights that no package carries; looked for in:"]
        lines += [f"  {folder}" for folder in folders()]
        for weights, path in self.places:
            lines += [
                "",
                f"{weights.name}  {'at ' + str(path) if path else 'not here'}",
                f"  for      {weights.used_by}",
                f"  terms    {weights.license}",
            ]
            if weights.name in self.failures:
                lines.append(f"  failed   {self.failures[weights.name]}")
            elif path is None:
                size = weights.n_bytes / 1e6
                lines.append(f"  get it   theval-data models fetch {weights.name}  ({size:.0f} MB)")
        return "\n".join(lines)


def list_models() -> ModelsReport:
    """List model weights: where each lies, and what the missing ones would give."""
    return ModelsReport(tuple((weights, find(weights)) for weights in registry().values()), {})


def fetch_models(
    names: Annotated[Sequence[str], typer.Argument(metavar="NAME")] = (),
) -> ModelsReport:
    """Fetch model weights from their publishers, and check them.

    Args:
        names: Names of weights. Default: all that are missing.

    Raises:
        UnknownNameError: One of the names is not known; nothing is fetched then.
    """
    known = registry()
    for name in names:
        if name not in known:
            raise UnknownNameError("weights", name, known)
    wanted = [known[name] for name in dict.fromkeys(names)] or [
        weights for weights in known.values() if find(weights) is None
    ]
    places: list[tuple[Weights, Path | None]] = []
    failures: dict[str, str] = {}
    for weights in wanted:
        try:
            places.append((weights, find(weights) or fetch(weights)))
        except WeightsMissingError as error:
            failures[weights.name] = str(error)
            places.append((weights, None))
    return ModelsReport(tuple(places), failures)
