"""Choice of the kind of source for a path or address."""

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
    """The source for a file, a folder, a zip archive or an address.

    Args:
        text: Path or address.
        output: Folder of the manifest; it is not searched, and downloads go to it.
        root: Folder that has to hold all local sources.
        fetch: Options of fetching.

    Raises:
        InputError: There is no such file, or the address may not be fetched.
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
