"""The server is killed in mid-session: no answer that it acknowledged is missing."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time

import pytest
from collect_study import serving

from theval_datasets import collection_status
from theval_datasets.curation.collect.prepared import read_prepared
from theval_datasets.curation.collect.store import Store


def vote_until_killed(server, digits: str, acknowledged: list[tuple[str, int]]) -> None:
    """A participant who answers as fast as the server believes it, until the server is gone."""
    client = server.client()
    code = client.ok("api/join", {"value": "en"})["code"]
    client.ok("api/screen", {"width": 1920, "height": 1080})
    client.ok("api/headphones", {"value": digits})
    state = client.ok("api/begin", {})
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            item = state["item"]
            client.ok("api/shown", {"position": item["position"]})
            time.sleep(0.05)
            state = client.ok(
                "api/vote",
                {
                    "position": item["position"], "revision": item["revision"],
                    "answer": {"scores": {"quality": item["position"] % 6}},
                    "playback": {"seen": [1.0], "plays": [1], "width": 160},
                },
            )  # fmt: skip
            acknowledged.append((code, item["position"]))
            if state["stage"] == "start":
                state = client.ok("api/begin", {})
            if state["stage"] == "done":
                return


@pytest.mark.slow
def test_no_acknowledged_answer_is_missing_after_a_kill(study):
    folder = study()
    plain = json.loads((folder / "study.json").read_text())
    for file in plain["media"]:
        file["seconds"] = 0.03  # so that answers come quickly; the files stay as they are
    (folder / "study.json").write_text(json.dumps(plain))
    digits = plain["headphone_tests"][0]["digits"]
    acknowledged: list[tuple[str, int]] = []
    for _ in range(2):
        before = len(acknowledged)
        with serving(folder) as server:
            people = [
                threading.Thread(target=vote_until_killed, args=(server, digits, acknowledged))
                for _ in range(4)
            ]
            for person in people:
                person.start()
            while len(acknowledged) < before + 20:
                time.sleep(0.01)
            server.process.kill()
            server.process.wait()
            for person in people:
                person.join(30)
        with Store(folder, read_prepared(folder)) as store:
            numbers = {code: store.participant(code).number for code, _ in acknowledged}
            kept = {(row.participant, row.presentation.position) for row in store.answers()}
            answers = {
                (row.participant, row.presentation.position): row.answer.scores["quality"]
                for row in store.answers()
            }
        assert {(numbers[code], position) for code, position in acknowledged} <= kept
        assert all(value == position % 6 for (_, position), value in answers.items())
    assert len(acknowledged) >= 40
    assert collection_status(folder).to_plain()["votes"] > 0
    with serving(folder) as server:
        client = server.client()
        code, last = acknowledged[-1]
        state = client.ok("api/resume", {"value": code})
        assert state["stage"] == "done" or state["item"]["position"] == last + 1
