"""Parameter types that several commands share.

A command is a function: its signature declares the options, its docstring explains them, and
`signatures` makes the command line from both. `Annotated` holds only what is particular to the
command line: other names, a metavariable, a range.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from theval_datasets.utils.stores import is_url

if TYPE_CHECKING:
    from theval_datasets.curation.sources.fetching.options import FetchOptions


@dataclass(frozen=True, slots=True)
class Fields:
    """Marks a parameter whose value is a dataclass: each of its fields is an option.

    Attributes:
        module: Module of the dataclass, imported when the command line is made.
        name: Name of the dataclass in it.
        hidden: Fields without an option.
        names: Option strings by field, where they differ from ``--field``.
        metavars: Metavariable in the help, by field.
    """

    module: str
    name: str
    hidden: frozenset[str] = frozenset()
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    metavars: dict[str, str] = field(default_factory=dict)

    def load(self) -> type[Any]:
        """The dataclass."""
        loaded: type[Any] = getattr(import_module(self.module), self.name)
        return loaded


StrPath = str | os.PathLike[str]


def path_or_url(text: str) -> StrPath:
    """A path, or a URL as it is: a path would lose one of its slashes.

    Examples:
        >>> path_or_url("work"), path_or_url("s3://bucket/work")
        (PosixPath('work'), 's3://bucket/work')
    """
    return text if is_url(text) else Path(text)


Folder = Annotated[StrPath, typer.Argument(metavar="DIR", parser=path_or_url)]
Manifest = Annotated[StrPath, typer.Argument(metavar="MANIFEST", parser=path_or_url)]
Output = Annotated[StrPath, typer.Option("-o", "--output", metavar="DIR", parser=path_or_url)]
EngineName = Literal["local", "ray"]
Address = Annotated[str | None, typer.Option(metavar="HOST:PORT")]
Workers = Annotated[int | None, typer.Option(min=1, metavar="N")]
TimeLimit = Annotated[float, typer.Option(min=0, metavar="FACTOR")]
Settings = Annotated[Sequence[str], typer.Option("--set", metavar="NAME.PARAMETER=VALUE")]
CacheLocation = Annotated[StrPath | None, typer.Option(metavar="DIR|URL", parser=str)]
Fetch = Annotated[
    "FetchOptions | None",
    Fields(
        "theval_datasets.curation.sources.fetching.options",
        "FetchOptions",
        hidden=frozenset({"min_seconds", "min_free"}),
        names={"retry": ("--retry/--no-retry",)},
        metavars={
            "cookies": "FILE",
            "cookies_from_browser": "NAME[:PROFILE]",
            "js_runtime": "NAME[:PATH]",
            "max_bytes": "BYTES",
            "max_height": "PIXELS",
            "per_hour": "N",
            "player_client": "NAME,...",
            "rate_limit": "BYTES",
            "retries": "N",
            "sleep": "SECONDS",
            "sleep_requests": "SECONDS",
        },
    ),
]
