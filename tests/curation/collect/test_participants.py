"""Participants in a browser: three for each kind of study, and what their page refuses."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import low_contrast, off_screen, show, watched_page
from collect_browser import Visitor, look, take_part
from collect_study import TRAINING, make_manifest, serving, write_plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # clips play in real time

KINDS = ("score", "sliders-and-marks", "pairwise")
WINDOW = {"viewport": {"width": 1120, "height": 780}, "screen": {"width": 1920, "height": 1080}}


@dataclass
class Finished:
    """A study that three participants finished."""

    folder: Path
    exported: Path
    visitors: list[Visitor]

    def table(self, name: str) -> list[dict[str, str]]:
        with (self.exported / name).open(newline="") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def finished(browser, prepared, tmp_path_factory) -> dict[str, Finished]:
    """The three kinds of study, each finished by three participants at the same time."""
    from theval_datasets import export_collection

    place = tmp_path_factory.mktemp("finished")
    done = {}
    with contextlib.ExitStack() as stack:
        visitors: dict[str, list[Visitor]] = {}
        for kind in KINDS:
            folder = place / kind
            shutil.copytree(prepared(kind), folder)
            server = stack.enter_context(serving(folder))
            visitors[kind] = []
            for manner in ("mouse", "keyboard", "mouse"):
                page = stack.enter_context(watched_page(browser, **WINDOW))
                page.goto(server.address)
                visitor = Visitor(page, folder, kind, manner)
                page.wait_for_selector("h1")
                visitor.step()
                visitors[kind].append(visitor)
        take_part([visitor for many in visitors.values() for visitor in many])
    for kind in KINDS:
        export_collection(place / kind, place / f"{kind}-exported")
        done[kind] = Finished(place / kind, place / f"{kind}-exported", visitors[kind])
    return done


def test_everybody_finished(finished):
    for kind in KINDS:
        assert len({visitor.code for visitor in finished[kind].visitors}) == 3
        positions = [sorted(visitor.given) for visitor in finished[kind].visitors]
        assert all(len(item) >= 15 and item == list(range(len(item))) for item in positions)


def test_ratings_are_what_was_answered(finished):
    study = finished["score"]
    rows = {
        (row["subject"], row["time"], row["clip_id"]): row for row in study.table("ratings.csv")
    }
    shown = {
        (row["subject"], int(row["position"])): row for row in study.table("presentations.csv")
    }
    n = 0
    for number, visitor in enumerate(study.visitors, 1):
        for position, given in visitor.given.items():
            presented = shown[f"p{number:04d}", position]
            assert float(presented["seen"]) >= 0.95
            assert int(presented["plays"]) >= 1
            if presented["role"] != "rated":
                continue
            row = rows[presented["subject"], presented["answered"], presented["clips"]]
            assert float(row["score"]) == given["scores"]["quality"]
            ticked = [i for i, bit in enumerate(row["distortions"]) if bit == "1"]
            assert ticked == [position % 12]
            assert row["repetition"] == presented["repetition"]
            n += 1
    assert n == len(rows) == 3 * 13
    for row in study.table("checks.csv"):
        assert (row["role"], row["passed"]) == ("trap", "1")
    assert len(study.table("checks.csv")) == 3


def test_exports_run_through_study_as_they_are(finished):
    from theval_datasets import study as run

    for kind in KINDS:
        protocol = finished[kind].exported / "protocol.yaml"
        if kind == "pairwise":
            plain = run(finished[kind].exported / "votes.csv").to_plain()
            assert plain["n_votes"] == 36
            assert {item["model"] for item in plain["models"]} == {"m0", "m1"}
        else:
            report = run(finished[kind].exported / "ratings.csv", protocol=protocol)
            dimensions = {"quality"} if kind == "score" else {"quality", "authenticity"}
            assert set(report.study.opinions) == dimensions
            assert len(report.study.ratings.clips) == 12
            assert len(report.study.ratings.subjects) == 3


def test_exports_run_through_build_as_they_are(finished, media, tmp_path):
    from theval_datasets import build, verify

    for name, kind in (("thqa-mt", "score"), ("gen3dhf", "sliders-and-marks")):
        exported = finished[kind].exported
        tables = [f"ratings={exported / 'ratings.csv'}", f"protocol={exported / 'protocol.yaml'}"]
        if name == "gen3dhf":
            tables += [
                f"marks={exported / 'marks'}",
                f"fixations={exported / 'marks.csv'}",
                f"descriptions={exported / 'descriptions.csv'}",
            ]
        build(name, tmp_path, tables=tables)
        report = verify(tmp_path / "theval" / name)
        assert report.exit_code == 0, report.to_text()
    real = make_manifest(tmp_path / "real", {f"c{n}": media("plain") for n in range(12)})
    votes = f"votes={finished['pairwise'].exported / 'votes.csv'}"
    build("theval", tmp_path, manifest=real, tables=[votes])
    report = verify(tmp_path / "theval" / "theval")
    assert report.exit_code == 0, report.to_text()
    info = json.loads((tmp_path / "theval" / "theval" / "info.json").read_text())
    assert not [note for note in info["notes"] if "not matched" in note]


def test_marks_come_back_within_a_pixel(finished):
    import numpy as np
    from PIL import Image

    from theval_datasets.curation.study.marks import find_dots

    study = finished["sliders-and-marks"]
    exact: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in study.table("marks.csv"):
        exact.setdefault((row["subject"], row["clip_id"]), []).append(
            (int(row["y"]), int(row["x"]))
        )
    assert len(exact) == 3 * 12
    given = {
        (f"p{number:04d}", position): item["marks"]
        for number, visitor in enumerate(study.visitors, 1)
        for position, item in visitor.given.items()
    }
    for row in study.table("presentations.csv"):
        if row["role"] == "rated" and row["repetition"] == "1":
            wanted = given[row["subject"], int(row["position"])]
            assert exact[row["subject"], row["clips"]] == [(y, x) for x, y in wanted]
    for (subject, clip), points in exact.items():
        with Image.open(study.exported / "marks" / subject / f"{clip}.png") as picture:
            dots = find_dots(np.asarray(picture))
        assert len(dots) == len(points)
        distance = np.abs(dots[:, None] - np.array(points)[None]).max(axis=2)
        assert distance.min(axis=1).max() <= 1


def test_votes_name_the_model_on_the_side_that_was_chosen(finished):
    study = finished["pairwise"]
    votes = study.table("votes.csv")
    assert len(votes) == 36
    assert {row["clip_id"] for row in votes} == {f"c{n}" for n in range(12)}
    by_subject = {row["subject"] for row in votes}
    assert by_subject == {"p0001", "p0002", "p0003"}
    shown = [row for row in study.table("presentations.csv") if row["role"] == "rated"]
    first = [row for row in shown if row["repetition"] == "1"]
    for vote, row in zip(votes, first, strict=True):
        side = study.visitors[int(row["subject"][1:]) - 1].given[int(row["position"])]["choice"]
        assert vote["winner"] == side
        assert (
            row["clips"]
            == f"{vote['clip_id']}__{vote['left']} / {vote['clip_id']}__{vote['right']}"
        )
    assert {row["repetition"] for row in shown} == {"1", "2"}


@pytest.fixture
def visited(study, page):
    """A study and its page, at the first clip of the training."""

    @contextlib.contextmanager
    def visit(kind: str = "score", folder: Path | None = None) -> Iterator[Visitor]:
        folder = folder or study(kind)
        with serving(folder) as server:
            page.set_viewport_size({"width": 1600, "height": 900})
            page.goto(server.address)
            visitor = Visitor(page, folder, kind)
            page.wait_for_selector("h1")
            while look(page)["position"] is None:
                visitor.step()
            yield visitor

    return visit


def test_seeking_and_an_early_next_fail(visited):
    with visited() as visitor:
        page = visitor.page
        page.wait_for_function("() => document.querySelector('.clips video').currentTime > 0.2")
        assert page.locator(".clips video").get_attribute("controls") is None
        page.evaluate("document.querySelector('.clips video').currentTime = 1.9")
        page.wait_for_timeout(100)
        assert page.evaluate("document.querySelector('.clips video').currentTime") < 1.5
        page.evaluate("document.querySelector('.clips video').playbackRate = 8")
        page.wait_for_timeout(50)
        assert page.evaluate("document.querySelector('.clips video').playbackRate") == 1
        assert page.locator("form button[type=submit]").is_disabled()
        assert page.locator("#score-quality").is_disabled()
        page.evaluate("document.querySelector('form').requestSubmit()")
        page.wait_for_timeout(200)
        assert look(page)["position"] == "0"
        page.wait_for_selector("fieldset.answers:enabled")
        assert page.locator("form button[type=submit]").is_disabled(), (
            "the slider has no start value"
        )
        page.locator("#score-quality").focus()
        page.keyboard.press("4")
        assert page.locator("form button[type=submit]").is_enabled()


def test_an_answer_that_the_page_was_made_to_send_early_is_refused(visited):
    with visited() as visitor:
        page = visitor.page
        page.complaints.expected.append("422")
        body = {
            "position": 0, "revision": 0,
            "answer": {"scores": {"quality": 3}, "distortions": [], "marks": [], "text": "", "choice": None},
            "playback": {"seen": [1], "plays": [1], "stalls": 0, "stalled": 0, "width": 160},
        }  # fmt: skip
        status = page.evaluate(
            """(body) => fetch('api/vote', {method: 'POST', body: JSON.stringify(body),
            headers: {'Content-Type': 'application/json'}}).then((r) => r.status)""",
            body,
        )
        assert status == 422
        assert page.evaluate("document.cookie") == ""


def test_a_closed_tab_goes_on_where_it_was(visited):
    with visited() as visitor:
        page = visitor.page
        while int(look(page)["position"] or 0) < 5:
            if not visitor.step():
                page.wait_for_timeout(50)
        context, address = page.context, page.url
        other = context.new_page()
        page.close()
        other.goto(address)
        other.wait_for_selector("main[data-position='5']")
        assert "Clip 3 of" in other.inner_text("header")
        visitor.page = other
        if not other.evaluate("!document.querySelector('.clips video').paused"):
            visitor.press("Play")
        other.wait_for_selector("fieldset.answers:enabled")
        visitor.answer(5)


def test_going_back_changes_an_answer(visited):
    with visited() as visitor:
        page = visitor.page
        while look(page)["position"] != "1":
            if not visitor.step():
                page.wait_for_timeout(50)
        before = visitor.given[0]["scores"]["quality"]
        visitor.press("Back")
        page.wait_for_selector("main[data-position='0']")
        assert float(page.inner_text("output")) == before
        page.locator("#score-quality").focus()
        page.keyboard.press("5")
        visitor.press("Save the change")
        page.wait_for_selector("main[data-position='1']")
        from theval_datasets.curation.collect.prepared import read_prepared
        from theval_datasets.curation.collect.store import Store

        with Store(visitor.folder, read_prepared(visitor.folder), readonly=True) as store:
            (answer,) = store.answers()
        assert (answer.revision, answer.answer.scores["quality"]) == (1, 5.0)


def test_a_server_that_is_gone_for_a_while_loses_nothing(study, page):
    folder = study()
    with serving(folder) as server:
        page.goto(server.address)
        visitor = Visitor(page, folder, "score")
        page.wait_for_selector("h1")
        while not look(page)["ready"]:
            if not visitor.step():
                page.wait_for_timeout(50)
        page.locator("#score-quality").focus()
        page.keyboard.press("4")
        page.complaints.expected.append("ERR_CONNECTION_REFUSED")
        port = server.port
        server.process.kill()
        server.process.wait()
        page.get_by_role("button", name="Next", exact=True).click()
        page.wait_for_function(
            "() => document.querySelector('#status').textContent.includes('not saved yet')"
        )
        with serving(folder, "--port", str(port)):
            page.wait_for_selector("main[data-position='1']", timeout=120_000)


def test_an_hevc_clip_plays_after_it_was_prepared(media, tmp_path, visited):
    from theval_datasets.curation.collect.prepare import prepare_study

    manifest = make_manifest(tmp_path, dict.fromkeys(("a__m0", *TRAINING), media("hevc")))
    prepare_study(write_plan(tmp_path), manifest, tmp_path / "hevc", workers=0)
    with visited("score", tmp_path / "hevc") as visitor:
        visitor.page.wait_for_selector("fieldset.answers:enabled")
        assert visitor.page.evaluate("document.querySelector('.clips video').videoWidth") == 160


def test_a_clip_without_a_picture_cannot_be_rated(media, visited, study):
    from theval_datasets.utils.files import sha256_file

    folder = study()
    plain = json.loads((folder / "study.json").read_text())
    name = next(item["media"][0] for item in plain["items"] if item["number"] == 0)
    (folder / "media" / name).write_bytes(media("hevc").read_bytes())
    for file in plain["media"]:
        if file["name"] == name:
            file["sha256"] = sha256_file(folder / "media" / name)
    (folder / "study.json").write_text(json.dumps(plain))
    with visited("score", folder) as visitor:
        page = visitor.page
        page.wait_for_selector(".notice:visible")
        assert "another browser" in page.inner_text(".notice:visible")
        page.wait_for_timeout(2500)
        assert page.locator("form button[type=submit]").is_disabled()
        assert page.locator("#score-quality").is_disabled()


@pytest.mark.parametrize("kind", KINDS)
def test_pages_fit_every_window_and_can_be_read(study, page, kind, request):
    folder = study(kind)
    plain = json.loads((folder / "study.json").read_text())
    plain["plan"]["screen"]["phones"] = True
    (folder / "study.json").write_text(json.dumps(plain))
    # With --basetemp the pictures stay, to be looked at.
    pictures = request.config.getoption("--basetemp") and folder.parent / "pictures"
    windows = [(w, h, s) for w, h in ((1920, 1080), (412, 915)) for s in ("light", "dark")]
    seen = []

    def check(stage: str) -> None:
        for width, height, scheme in windows:
            show(page, width, scheme, height)
            assert off_screen(page) == [], (stage, width)
            assert low_contrast(page) == [], (stage, scheme)
            if pictures:
                page.screenshot(
                    path=pictures / f"{kind}-{stage}-{width}-{scheme}.png", full_page=True
                )
        seen.append(stage)

    with serving(folder) as server:
        page.goto(server.address)
        visitor = Visitor(page, folder, kind)
        page.wait_for_selector("h1")
        check("consent")
        while not look(page)["ready"]:
            title = look(page)["title"].split(":")[-1].split(" ")[-1].lower()
            if look(page)["position"] is None and title not in seen:
                check(title)
            if not visitor.step():
                page.wait_for_timeout(50)
        check("item")
        assert {"consent", "code", "practice", "item"} <= set(seen)
        page.goto(server.address.replace(server.prefix, server.curator))
        check("curator")


def test_a_small_screen_is_told_so_and_the_page_speaks_german(study, page):
    with serving(study()) as server:
        page.set_viewport_size({"width": 412, "height": 915})
        page.goto(server.address)
        page.select_option("#language", "de")
        page.get_by_role("button", name="Ich stimme zu").click()
        page.wait_for_selector("#own-code")
        page.get_by_role("button", name="Weiter", exact=True).click()
        page.wait_for_selector(".notice")
        assert "1280 × 720" in page.inner_text(".notice")
        assert page.evaluate("document.documentElement.lang") == "de"
