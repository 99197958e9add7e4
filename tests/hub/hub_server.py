"""A server of the Hub's REST protocol for tests, with failures to order.

It knows what `huggingface_hub` and `datasets` ask for when they publish and load a dataset; what it
does not know it answers with 404 and remembers in `unknown`.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml
from hub_store import Blob, Commit, Repo, StaleError, Store, card_data, folder_entry, tree

WRITER, READER = "hf_testWriterTokenOfNobody", "hf_testReaderTokenOfNobody"
SIGNED = "X-Amz-Signature=signedByNobody"
_ID = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Failure:
    """What happens to a request instead of an answer.

    Attributes:
        method: Of the request.
        path: A pattern that is searched in its path.
        status: The answer's; 0 to cut the connection after `after` bytes of the body.
        times: How often.
        headers: Of the answer.
        after: Bytes to read of the body first, if it is cut.
        hold: Waits for this before the connection is cut.
        begun: Is set when that wait begins.
        done: Whether the request is carried out all the same, and only its answer is lost.
    """

    method: str
    path: str
    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "ordered by the test"
    after: int = 0
    hold: threading.Event | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    done: bool = False


@dataclass
class Hub:
    """A running server.

    Attributes:
        url: Its address.
        storage: Address of the large files: another origin, which must never see a token.
        store: What it keeps.
        failures: Still to come.
        meanwhile: Method, path pattern, and what happens before the answer, once.
        log: Method, path and `Range` of each request.
        unknown: Requests that it has no answer to.
    """

    url: str = ""
    storage: str = ""
    store: Store = field(default_factory=Store)
    failures: list[Failure] = field(default_factory=list)
    meanwhile: list[tuple[str, str, Callable[[], object]]] = field(default_factory=list)
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def fail(self, method: str, path: str, status: int, **more: Any) -> Failure:
        """Order a failure."""
        failure = Failure(method, path, status, **more)
        self.failures.append(failure)
        return failure

    def uploads(self) -> list[str]:
        """Hashes of the large files that were sent, in order, however that ended."""
        return [path.rpartition("/")[2] for method, path, _ in self.log if method == "PUT"]

    def reset(self) -> None:
        """Forget orders and the log; repositories stay."""
        self.failures.clear()
        self.meanwhile.clear()
        self.log.clear()
        self.unknown.clear()
        self.store.loses.clear()


class Cut(Exception):
    """The connection is to be cut."""


class Requests(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def handle_any(self) -> None:
        hub = self.hub
        url = urllib.parse.urlsplit(self.path)
        self.path_only = urllib.parse.unquote(url.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        self.revision_path = url.path  # still quoted: a revision may hold a slash
        hub.log.append((self.command, self.path_only, self.headers.get("Range")))
        for order in list(hub.meanwhile):
            if order[0] == self.command and re.search(order[1], self.path_only):
                hub.meanwhile.remove(order)
                order[2]()
        self.lost: Failure | None = None
        try:
            if self._ordered():
                return
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            for method, pattern, answer in _ROUTES:
                match = re.fullmatch(pattern, url.path)
                if match and self.command in method:
                    values = {
                        k: urllib.parse.unquote(v or "") for k, v in match.groupdict().items()
                    }
                    with hub.store.lock:
                        answer(self, **values)
                    return
            hub.unknown.append(f"{self.command} {self.path}")
            self.fail(404, "no such thing here")
        except Cut:
            self.close_connection = True
            self.connection.shutdown(2)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *args: object) -> None:
        pass

    def _ordered(self) -> bool:
        for failure in self.hub.failures:
            if failure.method == self.command and re.search(failure.path, self.path_only):
                break
        else:
            return False
        failure.times -= 1
        if failure.times <= 0:
            self.hub.failures.remove(failure)
        if failure.done:
            self.lost = failure
            return False
        if failure.status == 0:
            self.rfile.read(failure.after)
            failure.begun.set()
            if failure.hold is not None:
                failure.hold.wait(60)
            raise Cut
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.fail(failure.status, failure.message, **failure.headers)
        return True

    # answers

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.lost is not None:
            failure, self.lost = self.lost, None
            self.fail(failure.status, failure.message, **failure.headers)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: Any, status: int = 200) -> None:
        self.send(status, json.dumps(value).encode(), Content_Type="application/json")

    def fail(self, status: int, message: str, **headers: str) -> None:
        body = json.dumps({"error": message}).encode()
        headers = {"X_Error_Message": message, "Content_Type": "application/json", **headers}
        self.send(status, body, **headers)

    # rights

    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def writable(self) -> bool:
        token = self.token()
        if token == WRITER:
            return True
        if token is None or token != READER:
            self.fail(401, "Invalid username or password.")
        else:
            self.fail(403, "Forbidden: you have no right to write here")
        return False

    def repo(self, name: str) -> Repo | None:
        result = self.hub.store.repos.get(name)
        token = self.token()
        if token not in (None, WRITER, READER):
            self.fail(401, "Invalid credentials in Authorization header")
        elif result is None or (result.private and token is None):
            self.fail(404 if token else 401, "Repository not found", X_Error_Code="RepoNotFound")
        else:
            return result
        return None

    def commit(self, name: str, revision: str) -> tuple[Repo, Commit] | None:
        repo = self.repo(name)
        if repo is None:
            return None
        commit = repo.at(revision)
        if commit is None:
            self.fail(404, f"Invalid rev id: {revision}", X_Error_Code="RevisionNotFound")
            return None
        return repo, commit


def _create(request: Requests) -> None:
    content = json.loads(request.body)
    name = f"{content['organization'] or 'me'}/{content['name']}"
    if not request.writable():
        return
    if content.get("type") != "dataset":
        request.fail(400, "only datasets are kept here")
    elif name in request.hub.store.repos:
        request.fail(409, "You already created this dataset repo")
    else:
        request.hub.store.create(name, private=content.get("visibility") == "private")
        request.json({"url": f"{request.hub.url}/datasets/{name}", "name": name, "id": name})


def _info(request: Requests, repo: str, revision: str = "main") -> None:
    if version := request.commit(repo, revision or "main"):
        at, commit = version
        request.json(
            {
                "id": repo,
                "author": repo.partition("/")[0],
                "sha": commit.oid,
                "private": at.private,
                "gated": False,
                "disabled": False,
                "tags": [],
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "cardData": card_data(commit.files),
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )


def _refs(request: Requests, repo: str) -> None:
    if repository := request.repo(repo):
        request.json(
            {
                kind: [
                    {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": oid}
                    for name, oid in refs.items()
                ]
                for kind, folder, refs in (
                    ("branches", "heads", repository.branches),
                    ("tags", "tags", repository.tags),
                    ("converts", "convert", {}),
                )
            }
        )


def _tree(request: Requests, repo: str, revision: str, below: str = "") -> None:
    if version := request.commit(repo, revision):
        recursive = request.query.get("recursive", "").lower() in ("1", "true")
        entries = tree(version[1].files, below, recursive)
        if entries is None:
            request.fail(404, f"{below} does not exist", X_Error_Code="EntryNotFound")
        else:
            request.json(entries)


def _paths_info(request: Requests, repo: str, revision: str) -> None:
    if version := request.commit(repo, revision):
        if request.headers.get("Content-Type", "").startswith("application/json"):
            paths = json.loads(request.body)["paths"]
        else:
            paths = urllib.parse.parse_qs(request.body.decode())["paths"]
        files = version[1].files
        entries = [files[p].plain(p) for p in paths if p in files]
        entries += [
            folder_entry(p) for p in paths if any(name.startswith(f"{p}/") for name in files)
        ]
        request.json(entries)


def _preupload(request: Requests, repo: str, revision: str) -> None:
    if not request.writable() or not (version := request.commit(repo, revision)):
        return
    files = []
    for content in json.loads(request.body)["files"]:
        large = request.hub.store.lfs_names.search(content["path"])
        old = version[1].files.get(content["path"])
        files.append(
            {
                "path": content["path"],
                "uploadMode": "lfs" if large else "regular",
                "shouldIgnore": False,
                "oid": old and old.etag,
            }
        )
    request.json({"files": files})


def _batch(request: Requests, repo: str) -> None:
    if not request.writable() or not request.repo(repo):
        return
    objects = []
    for content in json.loads(request.body)["objects"]:
        if content["oid"] not in request.hub.store.large:
            content["actions"] = {
                "upload": {"href": f"{request.hub.storage}/storage/{content['oid']}?{SIGNED}"},
                "verify": {"href": f"{request.hub.url}/datasets/{repo}.git/info/lfs/verify"},
            }
        objects.append(content)
    request.json({"transfer": "basic", "objects": objects})


def _put(request: Requests, oid: str) -> None:
    if request.token() is not None:
        request.fail(400, "a signed address takes no token")  # as S3 does
    elif hashlib.sha256(request.body).hexdigest() != oid:
        request.fail(400, "BadDigest")
    else:
        request.hub.store.large[oid] = request.body
        request.send(200, ETag=f'"{oid}"')


def _verify(request: Requests, repo: str) -> None:
    content = json.loads(request.body)
    if request.writable():
        there = len(request.hub.store.large.get(content["oid"], b"")) == content["size"]
        request.json({}) if there else request.fail(404, "the object is not there")


def _commit(request: Requests, repo: str, revision: str) -> None:
    if not request.writable() or not (version := request.commit(repo, revision)):
        return
    lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    try:
        made = request.hub.store.commit(version[0], revision, lines)
    except StaleError:
        request.fail(412, "A commit has happened since. Please refresh and try again.")
    except ValueError as error:
        request.fail(400, str(error))
    else:
        url = f"{request.hub.url}/datasets/{repo}/commit/{made.oid}"
        request.json({"success": True, "commitOid": made.oid, "commitUrl": url})


def _tag(request: Requests, repo: str, revision: str) -> None:
    if not request.writable() or not (version := request.commit(repo, revision)):
        return
    name = json.loads(request.body)["tag"]
    if name in version[0].tags:
        request.fail(409, "Tag already exists")
    else:
        version[0].tags[name] = version[1].oid
        request.json({})


def _untag(request: Requests, repo: str, revision: str) -> None:
    if request.writable() and (repository := request.repo(repo)):
        if repository.tags.pop(revision, None) is None:
            request.fail(404, "no such tag", X_Error_Code="RevisionNotFound")
        else:
            request.json({})


def _squash(request: Requests, repo: str, revision: str) -> None:
    """One commit is left of a branch; others stay as long as a tag is on them or after them."""
    if request.writable() and (repository := request.repo(repo)):
        repository.squash(revision, json.loads(request.body)["message"])
        request.json({})


def _large(request: Requests, repo: str) -> None:
    """Every large file that a commit of the repository ever held."""
    if repository := request.repo(repo):
        known = {b.sha256: (p, b) for c in repository.ever for p, b in c.files.items() if b.sha256}
        request.json(
            [
                {
                    "fileOid": oid, "filename": path, "oid": blob.oid, "size": len(blob.data),
                    "pushedAt": "2026-01-01T00:00:00.000Z", "ref": "refs/heads/main",
                }
                for oid, (path, blob) in known.items()
                if oid in request.hub.store.large
            ]
        )  # fmt: skip


def _forget(request: Requests, repo: str) -> None:
    if request.writable() and request.repo(repo):
        for oid in json.loads(request.body)["deletions"]["sha"]:
            del request.hub.store.large[oid]
        request.json({})


def _yaml(request: Requests) -> None:
    text = json.loads(request.body)["content"]
    try:
        plain = card_data({"README.md": Blob(text.encode())})
        errors = [] if isinstance(plain, dict) else [{"message": "not a mapping"}]
    except yaml.YAMLError as error:
        errors = [{"message": str(error)}]
    request.json({"errors": errors, "warnings": []}, 400 if errors else 200)


def _resolve(request: Requests, repo: str, revision: str, path: str) -> None:
    if not (version := request.commit(repo, revision)):
        return
    headers = {"X_Repo_Commit": version[1].oid}
    blob = version[1].files.get(path)
    if blob is None:
        request.fail(404, "Entry not found", X_Error_Code="EntryNotFound", **headers)
    elif blob.sha256 is None:
        _send(request, blob.data, ETag=f'"{blob.etag}"', **headers)
    else:
        headers |= {"X_Linked_Etag": f'"{blob.etag}"', "X_Linked_Size": str(len(blob.data))}
        request.send(
            302, Location=f"{request.hub.storage}/storage/{blob.sha256}?{SIGNED}", **headers
        )


def _storage(request: Requests, oid: str) -> None:
    data = request.hub.store.large.get(oid)
    if request.token() is not None:
        request.fail(400, "a signed address takes no token")
    elif data is None:
        request.fail(404, "no such object")
    else:
        _send(request, data, ETag=f'"{oid}"')


def _send(request: Requests, data: bytes, **headers: str) -> None:
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range") or "")
    headers |= {"Accept_Ranges": "bytes", "Content_Type": "application/octet-stream"}
    if not wanted:
        request.send(200, data, Content_Length=str(len(data)), **headers)
        return
    first, last = int(wanted[1] or 0), min(int(wanted[2] or len(data)), len(data) - 1)
    if not wanted[1]:
        first, last = max(0, len(data) - int(wanted[2])), len(data) - 1
    if first > last:
        request.send(416, Content_Range=f"bytes */{len(data)}")
        return
    part = data[first : last + 1]
    headers["Content_Range"] = f"bytes {first}-{last}/{len(data)}"
    request.send(206, part, Content_Length=str(len(part)), **headers)


_REV = r"(?P<revision>[^/]+)"
_ROUTES = [
    (("POST",), r"/api/repos/create", _create),
    (("POST",), r"/api/validate-yaml", _yaml),
    (("GET", "HEAD"), rf"/api/datasets/{_ID}", _info),
    (("GET", "HEAD"), rf"/api/datasets/{_ID}/revision/{_REV}", _info),
    (("GET",), rf"/api/datasets/{_ID}/refs", _refs),
    (("GET",), rf"/api/datasets/{_ID}/tree/{_REV}(?:/(?P<below>.+))?", _tree),
    (("POST",), rf"/api/datasets/{_ID}/paths-info/{_REV}", _paths_info),
    (("POST",), rf"/api/datasets/{_ID}/preupload/{_REV}", _preupload),
    (("POST",), rf"/api/datasets/{_ID}/commit/{_REV}", _commit),
    (("POST",), rf"/api/datasets/{_ID}/tag/{_REV}", _tag),
    (("DELETE",), rf"/api/datasets/{_ID}/tag/{_REV}", _untag),
    (("POST",), rf"/api/datasets/{_ID}/super-squash/{_REV}", _squash),
    (("GET",), rf"/api/datasets/{_ID}/lfs-files", _large),
    (("POST",), rf"/api/datasets/{_ID}/lfs-files/batch", _forget),
    (("POST",), rf"/datasets/{_ID}\.git/info/lfs/objects/batch", _batch),
    (("POST",), rf"/datasets/{_ID}\.git/info/lfs/verify", _verify),
    (("PUT",), r"/storage/(?P<oid>[0-9a-f]{64})", _put),
    (("GET", "HEAD"), r"/storage/(?P<oid>[0-9a-f]{64})", _storage),
    (("GET", "HEAD"), rf"/datasets/{_ID}/resolve/{_REV}/(?P<path>.+)", _resolve),
]


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve an empty Hub on a free port of this machine."""
    hub = Hub()
    handler = type("Bound", (Requests,), {"hub": hub})
    with _running(handler) as hub.url, _running(handler) as hub.storage:
        yield hub


@contextmanager
def _running(handler: type[Requests]) -> Iterator[str]:
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
