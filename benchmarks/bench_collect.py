"""Twenty participants who vote at the same time: votes a second, and the slowest responses.

Each client is a thread with its own connection to `theval-data collect serve`, which runs in a separate
process; the clips are so short that nobody waits for them. Targets: p99 below 1 s, at least 50 votes/s.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._rows import Row, at_least, at_most

CLIENTS = 20
VOTES = 40


def study(folder: Path) -> str:
    """Write a study whose clips need not exist as media; return its token."""
    from theval_datasets.curation.collect.plan import StudyPlan
    from theval_datasets.curation.collect.prepared import PreparedStudy, StudyItem, write_prepared

    plan = StudyPlan("score", "bench", "consent", "question", ("t0", "t1", "t2"))
    items = tuple(
        StudyItem(n, "training" if n < 3 else "rated", f"c{n}", (f"clip{n}",), (None,), ())
        for n in range(400)
    )
    folder.mkdir()
    write_prepared(folder, PreparedStudy(1, plan, None, "participants", "curator", (), items))
    return "participants"


class Voter(threading.Thread):
    """One participant.

    Attributes:
        seconds: Duration of each vote in seconds.
    """

    def __init__(self, port: int, token: str, start: threading.Barrier) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.token = token
        self.barrier = start
        self.cookie = ""
        self.seconds: list[float] = []

    def post(self, path: str, body: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Cookie": self.cookie}
        self.connection.request("POST", f"/{self.token}/api/{path}", json.dumps(body), headers)
        response = self.connection.getresponse()
        content: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {content}")
        cookie = response.headers.get("Set-Cookie")
        if cookie:
            self.cookie = cookie.partition(";")[0]
        return content

    def run(self) -> None:
        self.post("join", {"value": "en"})
        self.post("screen", {"width": 1920, "height": 1080})
        state = self.post("begin", {})
        self.barrier.wait()
        for _ in range(VOTES):
            if state["stage"] == "start":
                state = self.post("begin", {})
            item = state["item"]
            self.post("shown", {"position": item["position"]})
            began = time.perf_counter()
            state = self.post(
                "vote",
                {
                    "position": item["position"],
                    "revision": 0,
                    "answer": {"scores": {"quality": item["trap"] or 3.0}},
                    "playback": {"seen": [], "plays": [], "width": 1},
                },
            )
            self.seconds.append(time.perf_counter() - began)


def run() -> list[Row]:
    """Measure a server in a process of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "study"
        token = study(folder)
        command = [sys.executable, "-m", "theval_datasets", "collect", "serve", str(folder)]
        process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            match = re.search(r":(\d+)/", process.stderr.readline())
            assert match is not None
            barrier = threading.Barrier(CLIENTS + 1)
            voters = [Voter(int(match[1]), token, barrier) for _ in range(CLIENTS)]
            for voter in voters:
                voter.start()
            barrier.wait()
            began = time.perf_counter()
            for voter in voters:
                voter.join()
            took = time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()
    seconds = np.concatenate([voter.seconds for voter in voters])
    rate, slowest = len(seconds) / took, float(np.percentile(seconds, 99))
    note = f"{CLIENTS} clients, {len(seconds)} votes, each with its `shown`"
    return [
        at_least("collect: votes on disk", rate, "votes/s", 50, note),
        at_most("collect: p99 of a vote", slowest, "s", 1, note),
    ]
