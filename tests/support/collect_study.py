"""A small rating study for tests: synthetic clips, a plan, a folder that can be served."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from theval_datasets.manifest.rows import ManifestRow, Source, write_manifest
from theval_datasets.utils.files import sha256_file

TRAINING = ("t0__m0", "t1__m0", "t2__m0")
PLAN: dict[str, Any] = {
    "kind": "score",
    "name": "test",
    "consent": "You take part.\n\nYou may stop.",
    "question": "How good is it?",
    "training": list(TRAINING),
    "sessions": {"break_minutes": 0.0, "per_day": 10},
}
CLIPS = tuple(f"c{number}__m{model}" for number in range(6) for model in range(2))
PAIR_CLIPS = tuple(f"c{number}__m{model}" for number in range(12) for model in range(2))
MARKED = {"kind": "sliders-and-marks"}
PAIRS = {
    "kind": "pairwise",
    "training": ["t0", "t1", "t2"],
    "sessions": {"break_minutes": 0.0, "per_day": 10, "trap_every": 6},
}


def make_manifest(folder: Path, clips: dict[str, Path]) -> Path:
    """A manifest with one file a clip."""
    rows = []
    for name, source in clips.items():
        path = folder / "clips" / f"{name}{source.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.hardlink_to(source)
        rows.append(
            ManifestRow(
                clip_id=name,
                path=f"clips/{path.name}",
                source=Source(kind="local", location=f"clips/{path.name}"),
                sha256=sha256_file(path),
            )
        )
    write_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


def write_plan(folder: Path, **changes: Any) -> Path:
    """A plan file: `PLAN` with changes; a value of None leaves a key out."""
    plain = {key: value for key, value in {**PLAN, **changes}.items() if value is not None}
    path = folder / "plan.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(plain))
    return path


def both_models(names: Sequence[str]) -> list[str]:
    """Ids with the other model of each training clip too, as pairs need."""
    return [*names, *(name.replace("__m0", "__m1") for name in names if name.startswith("t"))]


@dataclass
class Client:
    """A participant without a browser."""

    port: int
    prefix: str
    cookie: str = ""

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def send(
        self, path: str, body: Any = None, *, raw: bytes | None = None, headers: Any = ()
    ) -> tuple[int, dict[str, Any], http.client.HTTPMessage]:
        """A request below the study's address: status, JSON, headers."""
        sent = {"Cookie": self.cookie} if self.cookie else {}
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        method = "GET" if data is None else "POST"
        self.connection.request(method, self.prefix + path, data, {**sent, **dict(headers)})
        response = self.connection.getresponse()
        content = response.read()
        self.connection.close()
        for line in response.headers.get_all("Set-Cookie") or ():
            self.cookie = line.partition(";")[0]
        try:
            plain = json.loads(content)
        except ValueError:
            plain = {"text": content.decode(errors="replace")}
        return response.status, plain, response.headers

    def ok(self, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON of a request that has to succeed."""
        status, plain, _ = self.send(path, body)
        assert status == 200, (path, status, plain)
        return plain

    def join(self, *, digits: str | None = None) -> dict[str, Any]:
        """Up to the first clip of the training."""
        self.ok("api/join", {"value": "en"})
        self.ok("api/screen", {"width": 1920, "height": 1080})
        if digits is not None:
            self.ok("api/headphones", {"value": digits})
        return self.ok("api/begin", {})


@dataclass
class Serving:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    prefix: str
    curator: str

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    def client(self) -> Client:
        return Client(self.port, self.prefix)


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0  # 08:00 UTC

    def __call__(self) -> float:
        return self.now


@dataclass
class Running:
    """A server in a thread of this process, with a clock of its own."""

    port: int
    prefix: str
    curator: str
    clock: Clock
    study: Any

    def client(self) -> Client:
        return Client(self.port, self.prefix)

    def joined(self) -> Client:
        """A participant at the first clip of the training."""
        client = self.client()
        tests = self.study.headphone_tests
        client.join(digits=tests[0].digits if tests else None)
        return client

    def answer(self, client: Client, state: dict[str, Any], score: float = 3.0) -> dict[str, Any]:
        """Watch the clip of a state and answer; the state after that."""
        if state["stage"] == "start":
            state = client.ok("api/begin", {})
        item = state["item"]
        client.ok("api/shown", {"position": item["position"]})
        self.clock.now += 2.0 * len(item["media"])
        return client.ok("api/vote", self.vote(state, score))

    def vote(self, state: dict[str, Any], score: float = 3.0, **changes: Any) -> dict[str, Any]:
        """The body of a vote on what a state shows."""
        item, plan = state["item"], self.study.plan
        trap = item["trap"]
        pair = plan.kind == "pairwise"
        value = trap if isinstance(trap, (int, float)) else score
        answer = {
            "scores": dict.fromkeys(plan.scored, value),
            "distortions": [],
            "marks": [],
            "text": "",
            "choice": (trap or "left") if pair else None,
        }
        n = len(item["media"])
        playback = {"seen": [1.0] * n, "plays": [1] * n, "stalls": 0, "stalled": 0.0, "width": 160}
        body = {
            "position": item["position"],
            "revision": item["revision"],
            "answer": answer,
            "playback": playback,
        }
        for key, value in changes.items():
            place = next(part for part in (body, answer, playback) if key in part)
            place[key] = value
        return body


@contextlib.contextmanager
def running(folder: Path, *, root_path: str = "", proxies: Sequence[str] = ()) -> Iterator[Running]:
    """A study served by a thread."""
    import socket
    import threading

    import uvicorn

    from theval_datasets.curation.collect.prepared import read_prepared
    from theval_datasets.curation.collect.server import StudyServer, configuration
    from theval_datasets.curation.collect.store import Store

    clock = Clock()
    study = read_prepared(folder)
    with Store(folder, study) as store, socket.create_server(("127.0.0.1", 0)) as listening:
        server = StudyServer(folder, store, root_path=root_path, clock=clock)
        inner = uvicorn.Server(configuration(server, proxies))
        thread = threading.Thread(target=inner.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            port = listening.getsockname()[1]
            yield Running(port, server.participant_path, server.curator_path, clock, study)
        finally:
            inner.should_exit = True
            thread.join(20)


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    """`theval-data collect serve` on a free port."""
    command = [sys.executable, "-m", "theval_datasets", "collect", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", "0", *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if "curator" in line:
                break
        addresses = re.findall(r"http://127\.0\.0\.1:(\d+)(/\S*)", "".join(lines))
        assert len(addresses) == 2, "".join(lines)
        yield Serving(process, int(addresses[0][0]), addresses[0][1], addresses[1][1])
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=300)
        process.stderr.close()
        if process.stdout is not None:
            process.stdout.close()
