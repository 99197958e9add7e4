"""Integrity and privacy of the server: each promise is a test."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from collect_study import Client, running

from theval_datasets import collection_status
from theval_datasets.curation.collect.guide import earliest_start
from theval_datasets.curation.collect.prepared import read_prepared
from theval_datasets.curation.collect.store import ABANDONED, Store
from theval_datasets.errors import InputError, StorageError


@pytest.fixture
def served(study):
    with running(study()) as server:
        yield server


@pytest.fixture
def folder(served, tmp_path) -> Path:
    return tmp_path / "study"


def rows(folder: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(f"file:{folder / 'study.sqlite'}?mode=ro", uri=True) as connection:
        result = connection.execute(sql).fetchall()
    connection.close()
    return result


def first_item(served) -> tuple[Client, dict]:
    client = served.joined()
    state = client.ok("api/state")
    client.ok("api/shown", {"position": state["item"]["position"]})
    served.clock.now += 2.0
    return client, state


def test_a_vote_is_one_row_however_often_it_is_sent(served, folder):
    client, state = first_item(served)
    body = served.vote(state)
    assert client.ok("api/vote", body)["stored"] == "new"
    assert client.ok("api/vote", body)["stored"] == "same"
    status, plain, _ = client.send("api/vote", served.vote(state, score=4.0))
    assert (status, "on disk already" in plain["error"]) == (409, True)
    assert rows(folder, "SELECT count(*) FROM answers") == [(1,)]


def test_going_back_writes_a_revision_and_the_last_one_counts(served, folder):
    client, state = first_item(served)
    client.ok("api/vote", served.vote(state))
    back = client.ok("api/answer/0")
    assert back["item"]["answer"]["scores"] == {"quality": 3.0}
    changed = served.vote(back, score=1.5, seen=[0.0])
    assert changed["revision"] == 1
    assert client.ok("api/vote", changed)["stored"] == "new"
    assert client.ok("api/vote", changed)["stored"] == "same"
    assert client.send("api/vote", served.vote(back, score=2.0))[0] == 409
    assert client.send("api/vote", {**changed, "revision": 3})[0] == 409
    with Store(folder, served.study, readonly=True) as store:
        (answer,) = store.answers()
    assert (answer.revision, answer.answer.scores) == (1, {"quality": 1.5})
    assert rows(folder, "SELECT count(*) FROM answers") == [(2,)]


def test_answers_of_a_session_that_is_over_stay(served):
    client = served.joined()
    state = client.ok("api/state")
    for _ in range(4):
        state = served.answer(client, state)
    assert state["item"]["position"] == 4
    earlier = client.ok("api/answer/2")
    status, plain, _ = client.send("api/vote", served.vote(earlier, score=1.0))
    assert (status, "finished session" in plain["error"]) == (409, True)
    assert client.send("api/answer/9")[0] == 422


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seen": [0.9499]}, "95% of each clip"),
        ({"seen": []}, "95% of each clip"),
        ({"plays": [0]}, "95% of each clip"),
        ({"width": 0}, "no"),
        ({"scores": {}}, "expected scores of quality, got none"),
        ({"scores": {"quality": 5.01}}, "from 0 to 5"),
        ({"scores": {"quality": -0.01}}, "from 0 to 5"),
        ({"scores": {"quality": "3"}}, "quality"),
        ({"scores": {"quality": 3, "beauty": 3}}, "expected scores of quality"),
        ({"distortions": ["nonsense"]}, "ids of the taxonomy"),
        ({"distortions": ["thqa10k_01", "thqa10k_01"]}, "each once"),
        ({"marks": [[1, 1]]}, "does not ask for marks"),
        ({"text": "x"}, "does not ask for a text"),
        ({"choice": "left"}, "pairwise study"),
        ({"revision": -1}, "revision"),
    ],
)
def test_a_vote_that_does_not_fit_is_refused_and_nothing_is_written(
    served, folder, changes, message
):
    client, state = first_item(served)
    status, plain, _ = client.send("api/vote", served.vote(state, **changes))
    assert status in (409, 422), plain
    assert message in plain["error"]
    assert rows(folder, "SELECT count(*) FROM answers") == [(0,)]
    for fitting in (0.0, 5.0):
        body = served.vote(state, seen=[0.95], scores={"quality": fitting})
        assert client.send("api/vote", body)[0] == (200 if fitting == 0.0 else 409)


def test_an_answer_before_the_clip_can_have_ended_is_refused(served):
    client = served.joined()
    state = client.ok("api/state")
    client.ok("api/shown", {"position": 0})
    served.clock.now += 1.85
    status, plain, _ = client.send("api/vote", served.vote(state))
    assert (status, "last 2.0 s" in plain["error"]) == (422, True)
    served.clock.now += 0.1
    assert client.send("api/vote", served.vote(state))[0] == 200
    later = client.ok("api/state")
    status, plain, _ = client.send("api/vote", served.vote(later))
    assert (status, "not been shown" in plain["error"]) == (422, True)
    ahead = {**served.vote(later), "position": 3}
    assert client.send("api/vote", ahead)[0] == 409


def test_participants_are_a_random_cookie_that_scripts_cannot_read(served, folder):
    client = served.client()
    _, plain, headers = client.send("api/join", {"value": "en"})
    (cookie,) = headers.get_all("Set-Cookie")
    assert re.search(r"HttpOnly", cookie, re.IGNORECASE)
    assert re.search(r"SameSite=strict", cookie, re.IGNORECASE)
    assert f"Path={served.prefix}" in cookie
    assert "secure" not in cookie.lower()
    secret = cookie.partition("=")[2].partition(";")[0]
    assert secret == plain["code"]
    assert 5 * len(secret) >= 96
    assert len({Client(served.port, served.prefix).ok("api/join", {"value": "en"})["code"]
                for _ in range(20)}) == 20  # fmt: skip
    assert secret.encode() not in (folder / "study.sqlite").read_bytes()
    assert secret.encode() not in (folder / "study.sqlite-wal").read_bytes()


def test_a_code_goes_on_elsewhere(served):
    client = served.client()
    code = client.ok("api/join", {"value": "de"})["code"]
    client.ok("api/screen", {"width": 1920, "height": 1080})
    other = served.client()
    assert other.ok("api/state")["stage"] == "consent"
    typed = "-".join(code[i : i + 4] for i in range(0, 24, 4)).lower()
    assert other.ok("api/resume", {"value": f" {typed} "})["stage"] == "headphones"
    assert other.ok("api/state")["stage"] == "headphones"
    status, plain, headers = served.client().send("api/resume", {"value": "A" * 24})
    assert (status, headers.get_all("Set-Cookie")) == (422, None)
    assert "no participant" in plain["error"]


def test_without_a_cookie_nothing_is_taken(served):
    for path in ("screen", "vote", "shown", "headphones", "begin"):
        body = {
            "screen": {"width": 1920, "height": 1080},
            "shown": {"position": 0},
            "headphones": {"value": "1"},
            "begin": {},
            "vote": {
                "position": 0, "revision": 0, "answer": {},
                "playback": {"seen": [], "plays": []},
            },
        }[path]  # fmt: skip
        status, plain, _ = served.client().send(f"api/{path}", body)
        assert (status, "join" in plain["error"]) == (409, True)


def test_the_study_lies_below_its_secret_address(served):
    for path in (
        "/",
        "/study.json",
        "/api/state",
        "/status.json",
        served.prefix.rstrip("/") + "x/",
    ):
        assert Client(served.port, "").send(path)[0] == 404
    client = served.client()
    for path in ("media/../study.json", "media/%2e%2e/study.json", "media/study.sqlite", "other.js",
                 "texts/xx.json", "texts/..%2f..%2fstudy.json"):  # fmt: skip
        assert client.send(path)[0] in (404, 422), path
    assert served.curator != served.prefix
    assert Client(served.port, served.curator).send("")[0] == 200
    assert client.send("status.json")[0] == 404


def test_headers_protect_the_page(served):
    client = served.client()
    for path in ("", "study.js", "api/state", "media/gone.mp4"):
        headers = client.send(path)[2]
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'")
        assert "unsafe" not in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Server"] is None
    text = client.send("")[1]["text"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|https?://", text)


def test_bodies_are_limited(served):
    client = served.joined()
    exact = json.dumps({"value": "x"}).encode()
    fitting = exact + b" " * (65_536 - len(exact))
    assert client.send("api/headphones", raw=fitting)[0] == 200
    status, plain, _ = client.send("api/headphones", raw=fitting + b" ")
    assert (status, "65536 bytes" in plain["error"]) == (413, True)
    chunked = Client(served.port, served.prefix, client.cookie)
    chunked.connection.request(
        "POST", f"{served.prefix}api/headphones", iter([b" " * 40_000, b" " * 40_000]),
        {"Content-Type": "application/json", "Cookie": client.cookie}, encode_chunked=True,
    )  # fmt: skip
    response = chunked.connection.getresponse()
    assert response.status == 413
    response.close()
    chunked.connection.close()
    form = {"Content-Type": "text/plain"}
    assert client.send("api/headphones", raw=exact, headers=form)[0] == 422
    for raw in (b"{", b"[]", b"\xff", b"[" * 60_000):
        assert client.send("api/headphones", raw=raw)[0] == 422


def test_no_address_and_no_user_agent_is_kept_or_logged(served, folder, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    client = served.client()
    tell = {
        "User-Agent": "Tell-tale/9",
        "X-Forwarded-For": "203.0.113.77",
        "Referer": "http://tell/",
    }
    client.send("", headers=tell)
    client.send("api/join", {"value": "en"}, headers=tell)
    client.send("api/screen", {"width": 1920, "height": 1080}, headers=tell)
    client.send("media/gone.mp4", headers=tell)
    printed = capfd.readouterr()
    logged = "\n".join(record.getMessage() for record in caplog.records)
    text = logged + printed.out + printed.err
    kept = b"".join(path.read_bytes() for path in folder.glob("study.sqlite*"))
    assert b"1920x1080" in kept
    for word in ("Tell-tale", "203.0.113.77", "http://tell", "127.0.0.1"):
        assert word.encode() not in kept
        assert word not in text
    assert served.prefix not in text


@pytest.mark.parametrize(
    ("proxies", "secure"), [((), False), (("127.0.0.1",), True), (("10.9.9.9",), False)]
)
def test_forwarding_headers_are_believed_of_named_hosts_only(study, proxies, secure):
    with running(study(), proxies=proxies) as server:
        _, _, headers = server.client().send(
            "api/join", {"value": "en"}, headers={"X-Forwarded-Proto": "https"}
        )
        assert ("secure" in headers.get_all("Set-Cookie")[0].lower()) == secure


def test_below_a_path_of_a_proxy(study):
    with running(study(), root_path="/studies/one") as server:
        assert server.prefix.startswith("/studies/one/")
        client = server.client()
        assert client.send("")[0] == 200
        _, _, headers = client.send("api/join", {"value": "en"})
        assert f"Path={server.prefix}" in headers.get_all("Set-Cookie")[0]
        stripped = Client(server.port, server.prefix.removeprefix("/studies/one"), client.cookie)
        assert stripped.ok("api/state")["stage"] == "screen"


@pytest.mark.parametrize(
    ("width", "height", "passes"), [(1280, 720, True), (1279, 720, False), (1280, 719, False)]
)
def test_small_screens_are_not_let_in(served, width, height, passes):
    client = served.client()
    client.ok("api/join", {"value": "en"})
    state = client.ok("api/screen", {"width": width, "height": height})
    assert (state["stage"] != "screen") == passes
    assert state.get("small", False) != passes


def test_wrong_digits_are_asked_for_again_with_other_tones(served):
    client = served.client()
    client.ok("api/join", {"value": "en"})
    first = client.ok("api/screen", {"width": 1920, "height": 1080})
    digits = served.study.headphone_tests[0].digits
    again = client.ok("api/headphones", {"value": str((int(digits) + 1) % 1000)})
    assert (again["stage"], again["failed"]) == ("headphones", True)
    assert again["sound"] != first["sound"]
    right = served.study.headphone_tests[1].digits
    assert client.ok("api/headphones", {"value": f" {right[0]} {right[1:]} "})["stage"] == "start"


def fill(store: Store) -> None:
    for number in range(200):
        store.join("en", 1_800_000_000.0 + number)


def test_a_full_disk_is_an_error_and_loses_nothing(study, tmp_path):
    folder = study()
    prepared = read_prepared(folder)
    with running(folder) as server:
        client, state = first_item(server)
        client.ok("api/vote", server.vote(state))
    with Store(folder, prepared) as store:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match="Make room there"):
            fill(store)
        store._connection.execute("PRAGMA max_page_count = 1000000")
        assert store.join("en", 1_800_000_000.0)[0].number >= 2
        assert [row.answer.scores for row in store.answers()] == [{"quality": 3.0}]


def test_what_is_written_together_fails_one_by_one_but_for_a_full_disk(study):
    folder = study()

    def refuse():
        raise InputError("not this one")

    def number_of(store):
        return lambda: store.join("en", 0.0)[0].number

    with Store(folder, read_prepared(folder)) as store:
        first, refused, second = store.together([number_of(store), refuse, number_of(store)])
        assert (first, second) == (1, 2)
        assert str(refused) == "not this one"
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        results = store.together([number_of(store)] * 200)
        assert {type(result) for result in results} == {StorageError}
        store._connection.execute("PRAGMA max_page_count = 1000000")
        assert [participant["number"] for participant in store.participants()] == [1, 2]


def test_a_full_disk_is_told_to_the_page(served, monkeypatch):
    client, state = first_item(served)

    def full(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(Store, "submit", full)
    assert client.send("api/vote", served.vote(state))[0] == 507
    monkeypatch.undo()
    assert client.send("api/vote", served.vote(state))[0] == 200


def test_a_database_of_another_study_is_refused(study, prepared, tmp_path):
    folder = study()
    with Store(folder, read_prepared(folder)):
        pass
    other = read_prepared(prepared("pairwise"))
    with pytest.raises(InputError, match="another study"):
        Store(folder, other)
    with pytest.raises(InputError, match="nobody has taken part"):
        collection_status(prepared("pairwise"))


def finish_training(served, client: Client) -> dict:
    state = client.ok("api/state")
    for _ in range(3):
        state = served.answer(client, state)
    return state


def test_training_and_traps_and_golden_clips_have_their_own_table(served, folder):
    client = served.joined()
    state = finish_training(served, client)
    while state["stage"] != "done":
        state = served.answer(client, state)
    voted = rows(
        folder, "SELECT DISTINCT role FROM votes JOIN presentations USING (participant, position)"
    )
    checked = rows(
        folder, "SELECT role, min(passed) FROM checks JOIN presentations USING (participant, position) "
        "GROUP BY role ORDER BY role"
    )  # fmt: skip
    assert voted == [("rated",)]
    assert checked == [("training", None), ("trap", 1)]
    assert "stored" in state
    assert client.ok("api/state")["stage"] == "done"


def test_a_break_has_to_be_taken_and_a_day_has_its_sessions(prepared, tmp_path):
    import shutil

    folder = tmp_path / "study"
    shutil.copytree(prepared("score"), folder)
    plain = json.loads((folder / "study.json").read_text())
    plain["plan"]["sessions"] |= {
        "max_clips": 3, "break_minutes": 30.0, "per_day": 2, "trap_every": 0, "repeat_share": 0.0
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(plain))
    with running(folder) as server:
        client = server.joined()
        state = finish_training(server, client)
        assert state["stage"] == "start"
        assert state["progress"] == {"session": 1, "sessions": 4, "done": 0, "total": 3}
        for _ in range(3):
            state = server.answer(client, state)
        assert (state["stage"], round(state["seconds"])) == ("wait", 1800)
        server.clock.now += 1799.0
        assert client.ok("api/state")["stage"] == "wait"
        assert client.ok("api/begin", {})["stage"] == "wait"
        assert client.send("api/shown", {"position": 6})[0] == 409
        server.clock.now += 1.0
        state = client.ok("api/state")
        assert (state["stage"], state["progress"]["session"]) == ("start", 2)
        for _ in range(3):
            state = server.answer(client, state)
        assert state["stage"] == "wait"
        midnight = datetime.fromtimestamp(server.clock.now + state["seconds"], UTC)
        assert (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0)
        server.clock.now = midnight.timestamp()
        assert client.ok("api/state")["stage"] == "start"


def test_what_somebody_left_unrated_is_planned_anew(study):
    folder = study()
    with Store(folder, read_prepared(folder)) as store:
        store.join("en", 0.0)
        assert set(store.planned_counts(ABANDONED - 1).values()) == {1}
        assert store.planned_counts(ABANDONED + 1) == {}


def test_sessions_are_planned_in_utc(study):
    folder = study()
    with Store(folder, read_prepared(folder)) as store:
        participant, _ = store.join("en", 0.0)
        assert earliest_start(store, participant.number, 1, 7.0) == 7.0


def test_the_curators_page_shows_progress(served):
    client = served.joined()
    finish_training(served, client)
    text = Client(served.port, served.curator).send("")[1]["text"]
    assert "p0001" in text
    assert "3 of 17" in text
    plain = Client(served.port, served.curator).ok("status.json")
    assert plain["participants"][0]["answered"] == 3
    assert plain["agreement"] == {"quality": None}
