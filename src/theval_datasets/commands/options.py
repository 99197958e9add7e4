"""Options that several commands share, each defined once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Default: the cores.")]
CachePlace = Annotated[str | None, typer.Option(help="Path or URL of the feature cache.")]


def fetching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options of fetching; it gets them as the one argument `fetch`.

    They come before its last parameter, which is ``--json``.
    """
    options = inspect.signature(_fetch, eval_str=True).parameters

    @functools.wraps(command)
    def called(**given: Any) -> None:
        fetch = _fetch(**{name: given.pop(name) for name in options})
        command(**given, fetch=fetch)

    own = inspect.signature(command, eval_str=True)
    *before, last = (p for p in own.parameters.values() if p.name != "fetch")
    taken = [p.replace(kind=p.KEYWORD_ONLY) for p in (*before, *options.values(), last)]
    called.__signature__ = own.replace(parameters=taken)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in taken} | {"return": None}
    return called


def _fetch(
    *,
    retry: Annotated[bool, typer.Option(help="Try again what could not be fetched.")] = False,
    max_height: Annotated[int, typer.Option(min=16, help="Of what is fetched, pixels.")] = 1080,
    per_hour: Annotated[int | None, typer.Option(min=1, help="Videos fetched an hour.")] = None,
    sleep: Annotated[float, typer.Option(min=0, help="Seconds between two videos.")] = 0.0,
    sleep_requests: Annotated[
        float, typer.Option(min=0, help="Seconds between two look-ups.")
    ] = 0.0,
    retries: Annotated[int, typer.Option(min=0, help="Of a broken or refused request.")] = 5,
    rate_limit: Annotated[int | None, typer.Option(min=1, help="Bytes a second.")] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of one video.")] = 16 << 30,
    cookies: Annotated[Path | None, typer.Option(help="File of cookies.")] = None,
    cookies_from_browser: Annotated[
        str | None, typer.Option(metavar="NAME[:PROFILE]", help="As firefox.")
    ] = None,
    player_client: Annotated[
        str | None, typer.Option(help="Which YouTube clients to be, with commas.")
    ] = None,
    js_runtime: Annotated[
        str | None,
        typer.Option(metavar="NAME[:PATH]", help="For YouTube. Default: deno, or node from 22 on."),
    ] = None,
    allow_private_addresses: Annotated[
        bool, typer.Option("--allow-private-addresses", help="Fetch from the local network too.")
    ] = False,
) -> Any:
    """What these options ask for, as `FetchOptions`."""
    given = locals()
    from theval_datasets.curation.sources.fetching.options import FetchOptions

    return FetchOptions(**given)
