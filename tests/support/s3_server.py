"""A server of S3 on this machine: moto behind a web server that counts requests and can break off."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

BUCKET = "bucket"
REASON = "needs s3fs, moto[s3], flask and flask-cors, as the extra [dev] installs them"
Application = Callable[[Mapping[str, Any], Callable[..., Any]], Iterable[bytes]]


class S3Server:
    """The server while it runs.

    Attributes:
        url: URL of an empty folder of its bucket.
        requests: Method and path of every request so far.
        broken: Paths whose next answer ends in the middle, each once.
    """

    def __init__(self, application: Application, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, str]] = []
        self.broken: list[str] = []
        self._application = application

    def counts(self) -> dict[str, int]:
        """Number of requests by method since the last call."""
        found = Counter(method for method, _ in self.requests)
        self.requests.clear()
        return dict(found)

    def __call__(
        self, environ: Mapping[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        answer = self._application(environ, start_response)
        if method == "GET" and path in self.broken:
            self.broken.remove(path)
            return [b"".join(answer)[:-100]]
        return answer


@contextmanager
def running(folder: str) -> Iterator[S3Server]:
    """A server, and the environment in which clients find it."""
    moto = pytest.importorskip("moto.server", reason=REASON)
    serving = pytest.importorskip("werkzeug.serving", reason=REASON)
    s3fs = pytest.importorskip("s3fs", reason=REASON)
    application = moto.DomainDispatcherApplication(moto.create_backend_app)
    server = S3Server(application, f"s3://{BUCKET}/{folder}")
    quiet = type("Quiet", (serving.WSGIRequestHandler,), {"log_request": lambda *_: None})
    http = serving.make_server("127.0.0.1", 0, server, threaded=True, request_handler=quiet)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{http.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ |= given
    try:
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
        server.requests.clear()
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        s3fs.S3FileSystem.clear_instance_cache()
