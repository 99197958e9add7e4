"""Serves a folder of static files to this machine's browser, with byte ranges for videos."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.utils.files import inside

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".md": "text/plain; charset=utf-8",
        ".jpg": "image/jpeg",
        ".png": "image/png",
        ".webp": "image/webp",
        ".mp4": "video/mp4",
        ".m4v": "video/mp4",
        ".mov": "video/quicktime",
        ".webm": "video/webm",
        ".mkv": "video/x-matroska",
        ".ogv": "video/ogg",
    }
)


class FolderServer:
    """Serves the files of one folder on the loopback interface, in a thread of its own.

    Args:
        folder: The folder; nothing outside of it is served, through links neither.
        port: To listen on; 0 for any that is free.

    Raises:
        InputError: The port is taken.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        handler = type("_FolderHandler", (_Handler,), {"root": folder.resolve()})
        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), handler)
        except OSError as error:
            raise InputError(
                f"cannot listen on port {port}: {error.strerror}; choose another --port"
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address of the folder's page."""
        return f"http://{LOOPBACK}:{self._server.server_port}/"

    def wait(self) -> None:
        """Serve until Ctrl-C."""
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    root: Path
    server: ThreadingHTTPServer
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""

    def _answer(self, *, with_body: bool) -> None:
        path = self._file()
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        size = path.stat().st_size
        requested = byte_range(self.headers.get("Range"), size)
        if requested is None:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, stop = requested
        partial = "Range" in self.headers and (first, stop) != (0, size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{size}")
        self.send_header("Content-Type", _TYPES[path.suffix])
        self.send_header("Content-Length", str(stop - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        if with_body:
            self._send(path, first, stop)

    def _file(self) -> Path | None:
        """The requested file; None unless it is a file of a known kind in the folder."""
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            return None  # another site's name that leads to this machine
        name = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
        try:
            path = inside(self.root, name)
            return path if path.is_file() and path.suffix in _TYPES else None
        except (UnsafePathError, OSError, ValueError):
            return None

    def _send(self, path: Path, first: int, stop: int) -> None:
        try:
            with path.open("rb") as stream:
                stream.seek(first)
                while first < stop and (data := stream.read(min(_CHUNK, stop - first))):
                    self.wfile.write(data)
                    first += len(data)
        except ConnectionError:
            self.close_connection = True  # the browser has seen enough


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First requested byte and the byte after the last; None if the range cannot be satisfied.

    Args:
        header: Header ``Range`` of the request; several ranges, and other units, count as no range.
        size: Size of the file in bytes.

    Example:
        >>> byte_range("bytes=2-3", 10), byte_range("bytes=-4", 10), byte_range("bytes=10-", 10)
        ((2, 4), (6, 10), None)
        >>> byte_range(None, 10), byte_range("bytes=0-1,3-4", 10)
        ((0, 10), (0, 10))
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    stop = min(size, int(last) + 1) if last else size
    return (int(first), stop) if int(first) < stop else None
