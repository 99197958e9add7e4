from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from feature_factory import DECODER, Corpus
from feature_factory import row as clip_row
from msgspec.structs import replace
from PIL import Image

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.base.scored import ScoredRow
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.tables import frames
from theval_datasets.builders.tables.generated import NamingRules, kind_of, read_listing
from theval_datasets.builders.tables.portrait_people import ANGLES, PortraitPeople
from theval_datasets.builders.tables.portraits import PortraitFaces
from theval_datasets.builders.thqa_mt import ThqaMt, dataset
from theval_datasets.builders.thqa_mt.rows import with_difficulty
from theval_datasets.commands.verify import verify
from theval_datasets.curation.takedown import take_down
from theval_datasets.errors import InputError
from theval_datasets.extraction.cache import spec_of
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.features.faces import Faces
from theval_datasets.features.head_pose import HeadPose
from theval_datasets.features.person_landmarks import PersonLandmarks
from theval_datasets.features.person_pose import PersonPose
from theval_datasets.manifest.tombstones import Tombstone, write_tombstones
from theval_datasets.utils.files import sha256_file

GENERATORS = ("SadTalker", "Some New Model")
PORTRAITS = tuple(f"p{i}" for i in range(6))
SUBJECTS = tuple(f"viewer-{i}" for i in range(8))


def clips() -> list[tuple[str, str, str]]:
    return [(f"{p}__{g}", g, p) for p in PORTRAITS for g in GENERATORS]


def corpus_in(folder: Path, names=None) -> Corpus:
    folder.mkdir(parents=True)
    corpus = Corpus(folder)
    for seed, (name, _, _) in enumerate(clips()):
        if names is None or name in names:
            corpus.add_clip(name, seed)
    return corpus


def write(path: Path, rows: list[dict]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read(path: Path) -> list[dict]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def rating_rows() -> list[dict]:
    rng = np.random.default_rng(3)
    return [
        {
            "subject": subject,
            "clip_id": f"{name}.mp4",
            "score": round(float(np.clip(2.5 + 0.2 * i - 1.0 * (i % 2) + rng.normal(), 0, 5)), 2),
        }
        for i, (name, _, _) in enumerate(clips())
        for subject in SUBJECTS
    ]


def vote_rows() -> list[dict]:
    """The first clip: five of eight see speaker mismatch, four of eight a static background."""
    collected = []
    for i, (name, _, _) in enumerate(clips()):
        for n, subject in enumerate(SUBJECTS):
            bits = ["0"] * 12
            if i == 0:
                bits[10], bits[11] = str(int(n < 5)), str(int(n < 4))
            collected.append({"subject": subject, "clip_id": name, "distortions": "".join(bits)})
    return collected


def pictures(folder: Path, names=PORTRAITS) -> Path:
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        Image.new("RGB", (40 + i, 30), (i, 100, 200)).save(folder / f"{name}.png")
    return folder


def build(tmp_path: Path, corpus: Corpus | None = None, out: str = "out", **tables: Path):
    given = {kind: path for kind, path in tables.items() if path is not None}
    inputs = Inputs(
        None if corpus is None else corpus.manifest,
        None if corpus is None else corpus.cache,
        tables=given,
    )
    return write_release(ThqaMt, inputs, tmp_path / out, decoder=DECODER)


def load(folder: Path, config: str, cache: Path) -> list[dict]:
    loaded = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
    rows = [row for split in loaded.values() for row in split]
    assert rows
    return rows


@pytest.fixture
def whole(tmp_path):
    """Everything but one clip, whose generation failed."""
    failed = "p5__Some New Model"
    corpus = corpus_in(tmp_path / "in", {name for name, _, _ in clips()} - {failed})
    table = [
        {
            "clip_id": "" if name == failed else name,
            "generator": generator,
            "portrait_id": portrait,
            "difficulty": "easy" if portrait == "p0" else "",
            "succeeded": "0" if name == failed else "",
        }
        for name, generator, portrait in clips()
    ]
    rated = [row for row in rating_rows() if failed not in row["clip_id"]]
    voted = [row for row in vote_rows() if failed not in row["clip_id"]]
    tables = {
        "clips": write(tmp_path / "clips.csv", table),
        "ratings": write(tmp_path / "ratings.csv", rated),
        "votes": write(tmp_path / "votes.csv", voted),
        "portraits": pictures(tmp_path / "portraits"),
    }
    return corpus, tables


@pytest.fixture(autouse=True)
def _no_packs(monkeypatch):
    monkeypatch.setattr(PortraitFaces, "unavailable", "weights-missing")
    seen = PortraitPeople(1, dict.fromkeys(ANGLES, (0.0,)), "Medium", {})
    monkeypatch.setattr(dataset, "measure_people", lambda given, _: dict.fromkeys(given, seen))


def test_everything_given(whole, tmp_path):
    corpus, tables = whole
    made = build(tmp_path, corpus, **tables)
    assert list(made.info.configs) == [
        "features",
        "landmarks",
        "portraits",
        "generators",
        "ratings",
        "instruct",
    ]
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    assert len(rows) == 11
    first = rows["p0__SadTalker"]
    assert (first["generator"], first["generator_kind"]) == ("SadTalker", "sequential")
    assert (first["portrait_id"], first["difficulty"]) == ("p0", "Easy")
    assert first["content_id"] == "portrait-p0"
    assert first["distortions"] == ["Speaker mismatch"]
    assert first["dimensions"] is None
    assert "taxonomy:no-dimensions" in first["missing"]
    assert first["n_ratings"] == 8
    other = rows["p1__Some New Model"]
    assert other["generator_kind"] is None
    assert other["distortions"] == []
    assert other["dimensions"] == []
    assert "identity:weights-missing" in other["missing"]
    scores = [row["mos"] for row in rows.values()]
    assert min(scores) >= 0
    assert max(scores) <= 5
    assert made.info.study["preset"] == "thqa-mt"
    assert made.info.counts | {"attempted": 12, "succeeded": 11, "distortion_instances": 1,
                               "ratings": 88, "subjects": 8, "portraits": 6} == made.info.counts  # fmt: skip
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_mos_is_what_the_study_command_says(whole, tmp_path):
    from theval_datasets.commands.study import study

    corpus, tables = whole
    made = build(tmp_path, corpus, **tables)
    clips = study(tables["ratings"], preset="thqa-mt").to_plain()["clips"]
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    assert len(clips) == len(rows)
    for item in clips:
        row = rows[item["clip_id"].removesuffix(".mp4")]
        assert (row["mos"], row["mos_std"], row["mos_ci95"], row["n_ratings"]) == (
            item["mos"], item["std"], item["ci95"], item["n"],
        )  # fmt: skip


def test_folds_share_no_portrait(whole, tmp_path):
    corpus, tables = whole
    rows = load(build(tmp_path, corpus, **tables).folder, "features", tmp_path / "hf")
    of: dict[str, set[int]] = {}
    for row in rows:
        of.setdefault(row["portrait_id"], set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in of.values())
    assert {fold for folds in of.values() for fold in folds} == {0, 1, 2, 3, 4}


def test_a_content_of_the_table_joins_portraits_in_one_fold(whole, tmp_path):
    corpus, tables = whole
    rows = read(tables["clips"])
    for row in rows:
        row["content_id"] = "scene" if row["portrait_id"] in ("p1", "p4") else row["portrait_id"]
    write(tables["clips"], rows)
    result = load(build(tmp_path, corpus, **tables).folder, "features", tmp_path / "hf")
    assert len({row["fold"] for row in result if row["portrait_id"] in ("p1", "p4")}) == 1


def test_generators_and_portraits(whole, tmp_path):
    corpus, tables = whole
    made = build(tmp_path, corpus, **tables)
    rows = {row["generator"]: row for row in load(made.folder, "generators", tmp_path / "hf")}
    assert (rows["SadTalker"]["attempted"], rows["SadTalker"]["succeeded"]) == (6, 6)
    new = rows["Some New Model"]
    assert (new["attempted"], new["succeeded"], new["clips"]) == (6, 5, 5)
    assert new["missing"] == ["generator_kind:not-stated"]
    portraits = load(made.folder, "portraits", tmp_path / "hf")
    assert [row["portrait_id"] for row in portraits] == list(PORTRAITS)
    assert (portraits[2]["width"], portraits[2]["height"], portraits[2]["n_clips"]) == (42, 30, 2)
    assert portraits[5]["n_clips"] == 1
    assert portraits[2]["image"]["bytes"] == (tables["portraits"] / "p2.png").read_bytes()


def test_ratings_carry_what_each_subject_saw(whole, tmp_path):
    corpus, tables = whole
    made = build(tmp_path, corpus, **tables)
    rows = load(made.folder, "ratings", tmp_path / "hf")
    assert len(rows) == 88
    seen = {row["subject"]: row["distortions"] for row in rows if row["clip_id"] == "p0__SadTalker"}
    # One table names clips with a suffix, the other without: they are the same clips.
    assert None not in seen.values()
    assert seen["viewer-4"] == ["Speaker mismatch"]
    assert seen["viewer-7"] == []


def test_two_builds_are_the_same_bytes(whole, tmp_path):
    corpus, tables = whole
    first, second = (build(tmp_path, corpus, out, **tables).folder for out in ("a", "b"))
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert files
    for name in files:
        assert sha256_file(first / name) == sha256_file(second / name), name


@pytest.mark.slow
def test_the_order_of_hashes_tells_nothing(whole, tmp_path):
    _, tables = whole
    given = [word for kind, path in tables.items() for word in ("--with", f"{kind}={path}")]
    made = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        words = [sys.executable, "-m", "theval_datasets", "build", "thqa-mt", *given, "-o", out]
        env = os.environ | {"PYTHONHASHSEED": seed, "THEVAL_CACHE": str(tmp_path / "cache")}
        subprocess.run(words, env=env, check=True, capture_output=True)
        files = (p for p in out.rglob("*") if p.is_file())
        made.append({p.relative_to(out): sha256_file(p) for p in files})
    assert len(made[0]) > 5
    assert made[0] == made[1]


def test_clips_alone_make_a_set_without_scores(tmp_path):
    made = build(tmp_path, corpus_in(tmp_path / "in"))
    assert list(made.info.configs) == ["features", "landmarks", "generators"]
    rows = load(made.folder, "features", tmp_path / "hf")
    assert {row["mos"] for row in rows} == {None}
    assert {"ratings:not-given", "votes:not-given"} <= set(rows[0]["missing"])
    assert {row["generator"] for row in rows} == set(GENERATORS)
    assert any("No ratings were given" in note for note in made.info.notes)
    assert "No ratings were given" in (made.folder / "README.md").read_text()
    assert "attempted" not in made.info.counts
    assert verify(made.folder).exit_code == 0


def test_ratings_alone_make_a_set_without_clips(tmp_path):
    made = build(tmp_path, ratings=write(tmp_path / "r.csv", rating_rows()))
    rows = load(made.folder, "features", tmp_path / "hf")
    assert len(rows) == 12
    assert all(row["mos"] is not None and row["sha256"] is None for row in rows)
    assert {"formants:no-clip", "identity:no-clip"} <= set(rows[0]["missing"])
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_clips_that_nobody_rated_are_said_and_no_failed_attempts(tmp_path):
    """Without a manifest nobody knows whether a listed clip exists that was not rated."""
    rated = sorted({row["clip_id"] for row in rating_rows()})
    listed = [
        {
            "clip_id": name,
            "generator": "A" if i % 2 else "B",
            "portrait_id": f"p{i}",
            "succeeded": "",
        }
        for i, name in enumerate([*rated, "unrated"])
    ]
    listed += [{**listed[0], "clip_id": "", "generator": g, "succeeded": "0"} for g in "AB"]
    made = build(
        tmp_path,
        ratings=write(tmp_path / "r.csv", rating_rows()),
        clips=write(tmp_path / "c.csv", listed),
    )
    assert len(rated) == 12
    assert (
        "clips: 1 of 13 listed clips were not rated and have no row, because there is no manifest: "
        "'unrated'." in made.info.notes
    )
    rows = {row["generator"]: row for row in load(made.folder, "generators", tmp_path / "hf")}
    assert (rows["A"]["attempted"], rows["A"]["succeeded"]) == (7, 6)
    assert (rows["B"]["attempted"], rows["B"]["succeeded"]) == (8, None)
    assert "attempts:not-stated" in rows["B"]["missing"]
    assert "succeeded" not in made.info.counts
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_what_matches_nothing_is_said(whole, tmp_path):
    corpus, tables = whole
    corpus.add_clip("unnamed")
    Image.new("RGB", (8, 8)).save(tables["portraits"] / "spare.png")
    (tables["portraits"] / "p3.png").unlink()
    stranger = [
        {"subject": s, "clip_id": "stranger", "score": i % 5} for i, s in enumerate(SUBJECTS)
    ]
    rows = read(tables["ratings"])
    write(tables["ratings"], rows + stranger)
    listed = read(tables["clips"])
    write(tables["clips"], [*listed, {**listed[0], "clip_id": "lost"}])
    made = build(tmp_path, corpus, **tables)
    notes = " ".join(made.info.notes)
    for text in (
        "1 clip of unknown generator",
        "ratings: 11 of 12 names match a clip, 11 of 12 clips are matched; "
        "not matched: 'stranger'; clips without: 'unnamed'.",
        "clips: 11 of 12 names match a clip, 11 of 12 clips are matched; not matched: 'lost'",
        "portraits: 5 of 6 names match a portrait, 5 of 6 portraits are matched; "
        "not matched: 'spare'; portraits without: 'p3'.",
    ):
        assert text in notes, text
    assert "stranger" not in {r["clip_id"] for r in load(made.folder, "ratings", tmp_path / "hf")}
    assert verify(made.folder).exit_code == 0


def test_everything_that_is_wrong_is_said_at_once(whole, tmp_path):
    corpus, tables = whole
    ratings = read(tables["ratings"])
    ratings[3]["score"] = "55"
    write(tables["ratings"], ratings)
    votes = read(tables["votes"])
    write(tables["votes"], [*votes, votes[0]])
    listed = read(tables["clips"])
    write(tables["clips"], [*listed, {**listed[0], "difficulty": "Trivial"}, listed[1]])
    (tables["portraits"] / "p0.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError) as caught:
        build(tmp_path, corpus, **tables)
    message = str(caught.value)
    assert "1 of 88 scores are off the apparent scale 0 … 5" in message
    assert "occur twice" in message
    assert "Trivial" in message
    assert "the clip 'p0__Some New Model' occurs twice" in message
    assert "p0" in message.partition("portraits:")[2]
    assert not (tmp_path / "out" / "theval" / "thqa-mt").exists()


def test_votes_in_two_tables_are_refused(whole, tmp_path):
    corpus, tables = whole
    rows = [{**row, "distortions": "0" * 12} for row in read(tables["ratings"])]
    write(tables["ratings"], rows)
    with pytest.raises(InputError, match="both hold distortion votes"):
        build(tmp_path, corpus, **tables)
    made = build(tmp_path, corpus, **{k: v for k, v in tables.items() if k != "votes"})
    assert {tuple(r["distortions"]) for r in load(made.folder, "features", tmp_path / "hf")} == {()}


def test_a_taxonomy_with_dimensions_names_them(whole, tmp_path):
    corpus, tables = whole
    lines = ["name: mine", "dimensions: [stability, coordination]", "types:"]
    lines += [f"  - {{id: d{i}, name: Kind {i}, dimension: stability}}" for i in range(11)]
    lines += ["  - {id: d11, name: Kind 11, dimension: coordination}"]
    path = tmp_path / "taxonomy.yaml"
    path.write_text("\n".join(lines))
    made = build(tmp_path, corpus, **tables, taxonomy=path)
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    assert rows["p0__SadTalker"]["distortions"] == ["Kind 10"]
    assert rows["p0__SadTalker"]["dimensions"] == ["stability"]


def test_simulated_subjects_are_said_to_be(tmp_path):
    rows = [{**row, "subject": f"simulated-{row['subject']}"} for row in rating_rows()]
    made = build(tmp_path, ratings=write(tmp_path / "r.csv", rows))
    assert any("simulated by a program" in note for note in made.info.notes)


def test_the_paper_is_expected_in_full(whole, tmp_path):
    corpus, tables = whole
    report = verify(build(tmp_path, corpus, **tables).folder, expect="paper")
    (check,) = [check for check in report.checks if check.name == "expect"]
    assert not check.ok
    for name, result, wanted in (
        ("clips", 11, 5492), ("generators", 2, 15), ("portraits", 6, 400),
        ("distortion_instances", 1, 9614),
    ):  # fmt: skip
        assert f"{name}: {result} instead of {wanted}" in check.detail
    assert "distortion_types" not in check.detail  # there are 12


def test_landmarks_hold_one_row_a_track(tmp_path, monkeypatch):
    corpus = corpus_in(tmp_path / "in", {"p0__SadTalker", "p1__SadTalker"})
    rng = np.random.default_rng(1)
    track = np.repeat(np.array([0, 2], np.int32), [12, 7])
    frame = np.concatenate([np.arange(12), np.arange(3, 10)]).astype(np.int64)
    people = {
        "track": track,
        "person": (track // 2).astype(np.int32),
        "kind": (track // 2).astype(np.int8),
        "frame": frame,
        "time": frame / 25,
        "mesh": rng.integers(0, 16384, (19, 478, 3)).astype(np.int16),
        "whole_frame": np.array(False),
        "width": np.array(512, np.int32),
        "height": np.array(384, np.int32),
    }
    pose = {n: rng.normal(0, 10, 19).astype(np.float32) for n in ("pitch", "yaw", "roll")}
    sha256 = corpus.rows[0].sha256
    for extractor, values in ((PersonLandmarks(), people), (PersonPose(), pose)):
        feature = Feature(Outcome("ok"), values)
        corpus.cache.write(spec_of(extractor, DECODER), sha256, feature)
    made = build(tmp_path, corpus)
    rows = load(made.folder, "landmarks", tmp_path / "hf")
    assert [(r["clip_id"], r["track"], r["person"]) for r in rows] == [
        ("p0__SadTalker", 0, 0), ("p0__SadTalker", 2, 1), ("p1__SadTalker", 0, 0),
    ]  # fmt: skip
    assert [r["kind"] for r in rows] == ["person", "still", None]
    assert rows[2]["missing"] == ["person_landmarks:not-extracted"]
    second = rows[1]
    assert second["frame"] == list(range(3, 10))
    assert np.array_equal(np.array(second["mesh"]), people["mesh"][12:].ravel())
    assert np.allclose(second["yaw"], pose["yaw"][12:])
    assert second["speech"] == [0.1 <= t < 0.3 if t < 0.5 else None for t in second["time"]]
    monkeypatch.setattr(frames, "LONGEST", 18)  # of all tracks of a clip together
    rows = load(build(tmp_path, corpus).folder, "landmarks", tmp_path / "hf2")
    assert [r["mesh"] is None for r in rows] == [True, True, False]
    assert all("landmarks:too-long" in r["missing"] for r in rows[:2])
    assert rows[1]["openness"] == second["openness"]
    assert [v is not None for v in rows[0]["loudness"]] == [t < 0.5 for t in rows[0]["time"]]
    assert len(rows[2]["face"]) == 20
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()
    assert HeadPose.name in made.info.extractors


def test_identity_is_compared_with_the_portrait(tmp_path, monkeypatch):
    corpus = corpus_in(tmp_path / "in")
    monkeypatch.setattr(PortraitFaces, "unavailable", None)
    unit = np.eye(4, dtype=np.float32)
    monkeypatch.setattr(PortraitFaces, "_look", lambda self, name: (1, unit[:1]))
    n = 3
    faces = {
        "n_subjects": np.array(1, np.int32), "time": np.arange(n, dtype=float),
        "frame": np.arange(n), "shot": np.zeros(n, np.int32),
        "sample": np.arange(n, dtype=np.int32), "track": np.zeros(n, np.int32),
        "box": np.zeros((n, 4), np.float32), "points": np.zeros((n, 5, 2), np.float32),
        "score": np.ones(n, np.float32), "embedded": np.array([0, 1], np.int32),
        "embedding": np.array([[0.6, 0.8, 0, 0], [1, 0, 0, 0]], np.float32),
        "track_person": np.zeros(1, np.int32), "track_kind": np.zeros(1, np.int8),
        "track_start": np.zeros(1), "track_end": np.ones(1),
        "width": np.array(512, np.int32), "height": np.array(384, np.int32),
    }  # fmt: skip
    corpus.cache.write(
        spec_of(Faces(), DECODER), corpus.rows[0].sha256, Feature(Outcome("ok"), faces)
    )
    made = build(tmp_path, corpus, portraits=pictures(tmp_path / "portraits"))
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    first = rows[corpus.rows[0].clip_id]
    assert first["identity_consistency"] == pytest.approx(0.8)
    assert first["identity_coverage"] == pytest.approx(2 / 3)
    assert first["identity_reference"] == "portrait"
    assert rows["p3__SadTalker"]["identity_consistency"] is None
    assert verify(made.folder).exit_code == 0


def test_names_follow_rules(tmp_path):
    rules = NamingRules(("{any}-{portrait_id}_{generator}",), {"X": "hybrid"})
    parsed = rules.parse("set1-007_X")
    assert parsed is not None
    assert (parsed.generator, parsed.portrait_id, parsed.kind) == ("X", "007", "hybrid")
    assert rules.parse("nothing") is None
    assert NamingRules().parse("OmniAvatar/face-3").portrait_id == "face-3"
    for wrong in ("{generator}", "{generator}{portrait_id}{voice}", "{generator}/{generator}"):
        with pytest.raises(InputError, match="naming rule"):
            NamingRules((wrong,))
    path = tmp_path / "rules.yaml"
    path.write_text("rules: ['{portrait_id}@{generator}']\nattempted: {A: 3, B: 2}\n")
    listing = read_listing(path)
    assert listing.generations(["p@A", "q@A", "odd"]) == {"A": (3, 2), "B": (2, 0)}
    gone = ["r@A", "q@A", "s@C", "odd too"]
    assert listing.generations(["p@A", "q@A"], gone) == {"A": (3, 3), "B": (2, 0)}


@pytest.mark.parametrize("listed", [False, True])
def test_a_clip_that_was_taken_down_stays_down_without_a_manifest(tmp_path, listed):
    stones = tmp_path / "stones.jsonl"
    write_tombstones(stones, [Tombstone("p0__SadTalker", "2026-01-02")])
    rated = [{**row, "clip_id": f"videos/{row['clip_id']}"} for row in rating_rows()]
    table = [
        {"clip_id": f"videos/{n}.mp4", "generator": g, "portrait_id": p} for n, g, p in clips()
    ]
    tables = {"ratings": write(tmp_path / "r.csv", rated), "tombstones": stones}
    if listed:
        tables["clips"] = write(tmp_path / "c.csv", table)
    made = build(tmp_path, **tables)
    ids = {row["clip_id"] for row in load(made.folder, "features", tmp_path / "hf")}
    assert len(ids) == 11
    assert "videos/p0__SadTalker" not in ids


def test_a_portrait_goes_with_the_last_of_its_clips(whole, tmp_path):
    corpus, tables = whole
    take_down(["p5__SadTalker", "p4__SadTalker"], corpus.folder, "2026-01-02")  # the only one of p5
    made = build(tmp_path, corpus, **tables)
    rows = load(made.folder, "portraits", tmp_path / "hf")
    assert {row["portrait_id"]: row["n_clips"] for row in rows} == {
        "p0": 2, "p1": 2, "p2": 2, "p3": 2, "p4": 1
    }  # fmt: skip
    assert not any("p5" in note for note in made.info.notes)
    assert verify(made.folder).exit_code == 0


def test_a_clip_that_was_taken_down_was_generated(whole, tmp_path):
    corpus, tables = whole
    listed = read(tables["clips"])
    for row in listed:  # named by their files, as people do
        row["clip_id"] = row["clip_id"] and f"videos/{row['clip_id']}.mp4"
    write(tables["clips"], listed)
    before = build(tmp_path, corpus, "before", **tables).info.counts
    take_down(["p5__SadTalker"], corpus.folder, "2026-01-02")
    made = build(tmp_path, corpus, "after", **tables)
    rows = {row["generator"]: row for row in load(made.folder, "generators", tmp_path / "hf")}
    gone = rows["SadTalker"]
    assert (gone["attempted"], gone["succeeded"], gone["clips"]) == (6, 6, 5)
    ids = {row["clip_id"] for row in load(made.folder, "features", tmp_path / "hf2")}
    assert len(ids) == 10
    assert not any("p5__SadTalker" in name for name in ids)
    rated = {row["clip_id"] for row in load(made.folder, "ratings", tmp_path / "hf3")}
    assert rated == ids
    assert not any("p5__SadTalker" in note for note in made.info.notes)
    failed = rows["Some New Model"]
    assert (failed["attempted"], failed["succeeded"], failed["clips"]) == (6, 5, 5)
    assert [made.info.counts[name] for name in ("attempted", "succeeded")] == [
        before[name] for name in ("attempted", "succeeded")
    ]


def test_kinds_are_facts_and_not_a_closed_list():
    assert kind_of("hunyuan video avatar") == "end-to-end"
    assert kind_of("Wav2Lip") == "sequential"
    assert kind_of("never heard of") is None


def test_a_split_of_the_manifest_is_kept(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    corpus = Corpus(folder)
    for name, split in (("a__X", "test"), ("b__X", None)):
        corpus.add(clip_row(name, split=split))
    made = build(tmp_path, corpus)
    assert {s: c.rows for s, c in made.info.configs["features"].splits.items()} == {
        "train": 1,
        "test": 1,
    }


@pytest.mark.slow
def test_a_set_of_the_papers_size_meets_its_numbers(tmp_path):
    rng = np.random.default_rng(0)
    names = np.array([f"p{p:03d}__g{g:02d}" for p in range(400) for g in range(15)])
    names = np.sort(rng.permutation(names)[:5492])
    bits = np.zeros((5492, 12), bool)
    bits.ravel()[rng.choice(bits.size, 9614, replace=False)] = True
    votes = ["".join("1" if bit else "0" for bit in row) for row in bits]
    path = tmp_path / "ratings.csv"
    with path.open("w") as stream:
        stream.write("subject,clip_id,score,distortions\n")
        quality = rng.uniform(1, 4, 5492)
        for subject in range(40):  # 21 of 40 are just more than half of them
            scores = np.clip(quality + rng.normal(0, 0.6, 5492), 0, 5).round(1).tolist()
            seen = votes if subject < 21 else ["0" * 12] * 5492
            stream.writelines(
                f"simulated-{subject:02d},{name},{score},{vote}\n"
                for name, score, vote in zip(names, scores, seen, strict=True)
            )
    report = verify(build(tmp_path, ratings=path).folder, expect="paper")
    assert report.exit_code == 0, report.to_text()


def test_the_card_shows_reliability_and_protocol(tmp_path):
    ratings = write(tmp_path / "r.csv", [*rating_rows()[:-1], {**rating_rows()[-1], "score": 99}])
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text(
        "scale: [0, 5]\nmissing_codes: [99]\nsubjects: eight | viewers\nintended_uses: [research]\n"
    )
    with pytest.raises(InputError, match=r"99 in row 96.*missing_codes"):
        build(tmp_path, ratings=ratings)
    made = build(tmp_path, ratings=ratings, protocol=protocol)
    reliability = made.info.study["reliability"]["quality"]
    assert reliability["n_subjects"] == 8
    assert reliability["n_clips"] == 11  # one rating is missing
    assert reliability["icc2k_low"] < reliability["icc2k"] < reliability["icc2k_high"]
    card = (made.folder / "README.md").read_text()
    assert f"| quality | {reliability['icc2k']:.3f} |" in card
    assert "- Subjects: eight \\| viewers" in card
    assert "- Intended uses: research" in card
    assert "scale 0 … 5; dimension quality" in card
    assert verify(made.folder).exit_code == 0


def test_the_difficulty_is_stated_else_of_the_portrait_else_of_the_clip():
    def scored(name: str, portrait: str | None, difficulty: str | None) -> ScoredRow:
        return ScoredRow(name, "train", name, {"portrait_id": portrait, "difficulty": difficulty})

    hard = replace(clip_row("d"), difficulty="Hard")
    measured = {
        "p": PortraitPeople(2, {}, "Medium", {}),
        "q": PortraitPeople(0, {}, None, {"difficulty": "no-face"}),
    }
    rows = [
        scored("a", "p", None), scored("b", "q", None), scored("c", "r", "Easy"),
        scored("c2", "r", None), scored("d", None, None), scored("e", None, None),
    ]  # fmt: skip
    graded = with_difficulty(rows, {"d": hard}, measured)
    assert {row.clip_id: (row.values["difficulty"], row.missing) for row in graded} == {
        "a": ("Medium", ()),
        "b": (None, ("difficulty:no-face",)),
        "c": ("Easy", ()),
        "c2": ("Easy", ()),
        "d": ("Hard", ()),
        "e": (None, ("difficulty:not-stated",)),
    }
