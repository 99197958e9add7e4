"""A small real HTTP server for tests: files of a folder, and answers to order."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Handler = http.server.BaseHTTPRequestHandler


@dataclass
class Server:
    """A running server.

    Attributes:
        folder: Its files; byte ranges work.
        url: Its address, without a slash at the end.
        answers: Path to a function that answers instead of a file.
        log: Method, path and `Range` of each request so far.
    """

    folder: Path
    url: str = ""
    answers: dict[str, Callable[[Handler], None]] = field(default_factory=dict)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    """Answers with an empty body."""

    def answer(request: Handler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def content(body: bytes, kind: str = "application/octet-stream") -> Callable[[Handler], None]:
    """Answers with `body`."""

    def answer(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


@contextmanager
def serving(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """Serve a folder on this machine, by default on a free port."""
    server = Server(folder)

    class Requests(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.log.append((self.command, self.path, self.headers.get("Range")))
            path = self.path.partition("?")[0]
            if path in server.answers:
                server.answers[path](self)
            else:
                _send_file(self, server.folder / path.lstrip("/"))

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer((host, port), Requests)
    httpd.daemon_threads = True
    server.url = f"http://{host}:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


_KINDS = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".mpd": "application/dash+xml",
    ".m4s": "video/iso.segment",
    ".html": "text/html",
    ".wav": "audio/wav",
}


def _send_file(request: Handler, path: Path) -> None:
    if not path.is_file():
        status(404)(request)
        return
    body = path.read_bytes()
    first, last = 0, len(body) - 1
    wanted = request.headers.get("Range", "")
    if wanted.startswith("bytes="):
        begin, _, end = wanted[6:].partition("-")
        first = int(begin or 0)
        last = min(int(end or last), last)
        if first > last:
            status(416, Content_Range=f"bytes */{len(body)}")(request)
            return
    request.send_response(206 if wanted else 200)
    request.send_header("Content-Type", _KINDS.get(path.suffix, "application/octet-stream"))
    request.send_header("Accept-Ranges", "bytes")
    request.send_header("Content-Length", str(last - first + 1))
    if wanted:
        request.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body[first : last + 1])
