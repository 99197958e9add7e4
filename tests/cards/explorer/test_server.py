from __future__ import annotations

import http.client
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from theval_datasets.cards.explorer.server import FolderServer, byte_range
from theval_datasets.errors import InputError

DATA = bytes(range(256)) * 4


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "explorer"
    (folder / "media").mkdir(parents=True)
    (folder / "index.html").write_text("<p>page</p>")
    (folder / "media/video.mp4").write_bytes(DATA)
    (folder / "notes.yaml").write_text("private: 1")
    (tmp_path / "secret.html").write_text("secret")
    (folder / "link.html").symlink_to(tmp_path / "secret.html")
    with closing_server(FolderServer(folder)) as running:
        yield running


def closing_server(server):
    server.close = server.stop
    return closing(server)


def ask(server, path, method="GET", **headers):
    place = urlsplit(server.address)
    with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=10)) as connection:
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def test_it_listens_on_loopback_only(server):
    assert server.address.startswith("http://127.0.0.1:")


def test_the_page_and_its_files(server):
    assert ask(server, "/")[:2] == (200, b"<p>page</p>")
    status, body, headers = ask(server, "/media/video.mp4?x=1")
    assert (status, body) == (200, DATA)
    assert headers["Content-Type"] == "video/mp4"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(server, "/media/video.mp4", "HEAD")[:2] == (200, b"")


@pytest.mark.parametrize(
    ("wanted", "status", "first", "stop"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=1000-", 206, 1000, 1024),
        ("bytes=1023-5000", 206, 1023, 1024),
        ("bytes=-10", 206, 1014, 1024),
        ("bytes=-5000", 200, 0, 1024),
        ("bytes=0-", 200, 0, 1024),
        ("bytes=1024-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=5-4", 416, 0, 0),
        ("items=0-1", 200, 0, 1024),
        ("bytes=-", 200, 0, 1024),
    ],
)
def test_ranges(server, wanted, status, first, stop):
    result, body, headers = ask(server, "/media/video.mp4", Range=wanted)
    assert (result, body) == (status, DATA[first:stop])
    if status == 206:
        assert headers["Content-Range"] == f"bytes {first}-{stop - 1}/1024"
    if status == 416:
        assert headers["Content-Range"] == "bytes */1024"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html", "/%2e%2e/secret.html", "/link.html", "/media", "/media/", "/notes.yaml",
        "//etc/passwd", "/%00", "/nothing.html", "/media/..%2f..%2fsecret.html",
    ],
)  # fmt: skip
def test_nothing_else_is_served(server, path):
    status, body, _ = ask(server, path)
    assert status == 404
    assert b"secret" not in body.replace(path.encode(), b"")


def test_another_name_of_this_machine_is_refused(server):
    assert ask(server, "/", Host="evil.example")[0] == 404
    assert ask(server, "/", Host=f"localhost:{urlsplit(server.address).port}")[0] == 200


def test_it_only_reads(server):
    assert ask(server, "/index.html", "POST")[0] == 501
    assert ask(server, "/index.html", "DELETE")[0] == 501


def test_a_port_that_is_taken(server, tmp_path):
    port = urlsplit(server.address).port
    with pytest.raises(InputError, match=f"port {port}"):
        FolderServer(tmp_path, port)


def test_an_empty_file_has_no_range():
    assert byte_range("bytes=0-", 0) is None
    assert byte_range(None, 0) == (0, 0)
