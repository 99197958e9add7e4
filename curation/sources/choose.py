"""The kind of source that a text stands for."""

from __future__ import annotations

from pathlib import Path

from theval_datasets.errors import InputError

from .archive import Archive
from .base import SourceReader
from .fetching.address import check_url
from .fetching.options import FetchOptions
from .http import Http
from .local import Local
from .youtube import Youtube, is_youtube


def source_of(
    text: str, output: Path, *, root: Path | None = None, fetch: FetchOptions | None = None
) -> SourceReader:
    """The source that a file, a folder, a zip or an address stands for.

    Args:
        text: A path or an address.
        output: The manifest's folder; it is not searched, and downloads go to it.
        root: Folder that local sources must lie in.
        fetch: Options for addresses.

    Raises:
        InputError: There is no such file, or it is an address that may not be fetched.
    """
    scheme, separator, _ = text.partition("://")
    if not separator:
        if text.lower().endswith(".zip") and Path(text).is_file():
            return Archive(Path(text), output, root)
        return Local(Path(text), root, leave_out=(output.resolve(),))
    if scheme.lower() not in ("http", "https"):
        raise InputError(f"expected a file, a folder or an http(s) address, got {text!r}")
    url = check_url(text)
    kind = Youtube if is_youtube(url) else Http
    return kind(url, output, fetch or FetchOptions())
