from __future__ import annotations

import csv
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
from feature_factory import Corpus

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.gen3dhf import Gen3dhf
from theval_datasets.builders.gen3dhf.labels import DIMENSIONS, answer, find_labels, read_labels
from theval_datasets.builders.release.write import write_release
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError

LEVELS = ("bad", "poor", "fair", "good", "excellent")
N = 20


def level_of(score: float, low: float, high: float) -> str:
    if score == low:
        return "None"
    at = (score - low) / (high - low) * 5
    return LEVELS[min(4, int(at - 1e-12))]


def entry(dimension: str, video: str, level: str, score: float | None = None) -> dict:
    text = f"The {dimension} of the human face in this video is {level}."
    if score is not None:
        text += f" ({score})"
    return {
        "messages": [
            {"role": "user", "content": f"<video>Please rate the {dimension}."},
            {"role": "assistant", "content": text},
        ],
        "videos": f"/home/author/database/video_RGB/{video}.mp4",
    }


def numbers(n: int = N) -> list[int]:
    """Videos of six seeds."""
    return [seed + 200 * k for k in range(10) for seed in range(6)][:n]


def release(folder: Path, change=lambda files: None, n: int = N) -> Path:
    files: dict[str, list[dict]] = {}
    for dimension, offset in (("quality", 0.0), ("authenticity", 7.25)):
        scores = {f"seed{i:04d}": 10.125 + offset + 2 * k for k, i in enumerate(numbers(n))}
        low, high = min(scores.values()), max(scores.values())
        for k, (video, score) in enumerate(scores.items()):
            part = "eval" if k % 5 == 0 else "train"
            level = level_of(score, low, high)
            files.setdefault(f"numerical/{part}_{dimension}.json", []).append(
                entry(dimension, video, level, score)
            )
            files.setdefault(f"text/{part}_{dimension}.json", []).append(
                entry(dimension, video, level)
            )
    change(files)
    for name, entries in files.items():
        path = folder / "main" / "datasets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entries))
    return folder


def build(out: Path, folder: Path | None = None, **tables):
    given = {kind: path for kind, path in tables.items() if path is not None}
    return write_release(Gen3dhf, Inputs(release=folder, tables=given), out)


def load(folder: Path, config: str, cache: Path) -> list[dict]:
    loaded = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
    result = [row for split in loaded.values() for row in split]
    assert result
    return result


def test_scores_levels_and_splits(tmp_path):
    made = build(tmp_path / "out", release(tmp_path / "in"))
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    lowest, item = rows["seed0000"], rows["seed0201"]
    assert lowest["quality_mos"] == 10.125
    assert lowest["quality_level"] == "bad"
    assert lowest["quality_level_official"] is None
    assert "release:lowest-score" in lowest["missing"]
    assert item["seed"] == 1
    assert item["content_id"] == "seed-001"
    assert item["quality_level"] == item["quality_level_official"]
    assert item["official_split"] == "train"
    assert item["quality_mos_std"] is None
    assert "ratings:not-given" in item["missing"]
    assert made.info.counts["eval"] == 4
    assert list(made.info.configs["features"].splits) == ["train", "test"]
    assert any("Official split: eval and train share" in note for note in made.info.notes)
    assert not any("Grouped split" in note for note in made.info.notes)
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_grouped_split_and_folds_share_no_seed(tmp_path):
    made = build(tmp_path / "out", release(tmp_path / "in", n=60))
    rows = load(made.folder, "features", tmp_path / "hf")
    fold_of: dict[int, set[int]] = {}
    for row in rows:
        fold_of.setdefault(row["seed"], set()).add(row["fold"])
        assert (row["grouped_split"] == "test") == (row["fold"] == 0)
    assert len(fold_of) == 6
    assert all(len(folds) == 1 for folds in fold_of.values())


def test_instructions_are_those_of_the_release_without_its_paths(tmp_path):
    folder = release(tmp_path / "in")
    made = build(tmp_path / "out", folder)
    for config, kind in (("instruct_text", "text"), ("instruct_numeric", "numerical")):
        by_name = {
            (row["clip_id"], row["dimension"]): row["messages"]
            for row in load(made.folder, config, tmp_path / "hf")
        }
        expected = {}
        for path in (folder / "main/datasets" / kind).glob("*.json"):
            for item in json.loads(path.read_text()):
                key = (Path(item["videos"]).stem, path.stem.partition("_")[2])
                expected[key] = item["messages"]
        assert by_name == expected
    assert load(made.folder, "instruct_text", tmp_path / "hf")[0]["videos"] == ["seed0001.mp4"]
    for path in made.folder.rglob("*"):
        assert not path.is_file() or b"/home/" not in path.read_bytes()


def change_one(name: str, **changed):
    def change(files):
        files[name][0] = files[name][0] | changed

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_one("numerical/train_quality.json", videos="x.exe"), "not a question"),
        (change_one("numerical/train_quality.json", videos=7), "not a question"),
        (change_one("numerical/train_quality.json", messages=[]), "not a question"),
        (lambda f: f["numerical/train_quality.json"].append(f["numerical/train_quality.json"][0]),
         "occurs twice"),
        (lambda f: f["numerical/train_quality.json"].__setitem__(
            0, entry("quality", "seed0001", "good")), "has no score"),
        (lambda f: f["numerical/train_quality.json"].__setitem__(
            0, entry("authenticity", "seed0001", "good", 1.0)), "about the quality"),
        (lambda f: f["numerical/train_quality.json"].__setitem__(
            0, entry("quality", "seed0001", "superb", 1.0)), "not a question"),
        (lambda f: f["text/train_quality.json"].pop(), "lack 1 videos"),
        (lambda f: f["text/train_quality.json"].__setitem__(
            0, entry("quality", "seed0001", "excellent")), "differs from the numerical files"),
        (lambda f: f["numerical/train_quality.json"].append(
            f["numerical/eval_quality.json"].pop()), "in train for one dimension and in eval"),
        (lambda f: f.pop("numerical/eval_quality.json"), "there is no eval_quality.json"),
        (lambda f: f.__setitem__("numerical/eval_quality.json", {"a": 1}), "expected a list"),
    ],
)  # fmt: skip
def test_contradictions_are_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path / "out", release(tmp_path / "in", change))
    assert not (tmp_path / "out" / "theval" / "gen3dhf").exists()


def test_text_files_may_be_absent(tmp_path):
    def change(files):
        for name in [name for name in files if name.startswith("text/")]:
            del files[name]

    made = build(tmp_path / "out", release(tmp_path / "in", change))
    assert "instruct_text" in made.info.configs


def test_nothing_to_build_from(tmp_path):
    with pytest.raises(InputError, match="--release"):
        build(tmp_path / "out")
    with pytest.raises(InputError, match="holds no scores"):
        build(tmp_path / "out", tmp_path)
    path = release(tmp_path / "in") / "main/datasets/numerical/train_quality.json"
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="not JSON"):
        build(tmp_path / "out", tmp_path / "in")


def ratings(path: Path, n_subjects: int = 8) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["subject", "clip", "dimension", "score"])
        for s in range(n_subjects):
            for k, i in enumerate(numbers()):
                for d, dimension in enumerate(DIMENSIONS):
                    score = (k / 5 + 0.3 * ((s * 7 + k * 3 + d) % 5)) % 5
                    writer.writerow([f"s{s}", f"seed{i:04d}", dimension, score])
    return path


def test_from_ratings_alone(tmp_path):
    made = build(tmp_path / "out", ratings=ratings(tmp_path / "ratings.csv"))
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    entry = rows["seed0001"]
    assert entry["quality_mos"] is not None
    assert entry["quality_mos_std"] > 0
    assert entry["quality_mos_ci95"] > 0
    assert entry["official_split"] is None
    assert {row["quality_level"] for row in rows.values()} <= set(LEVELS)
    assert min(rows.values(), key=lambda row: row["quality_mos"])["quality_level"] == "bad"
    each = load(made.folder, "ratings", tmp_path / "hf")
    assert len(each) == 8 * N * 2
    assert made.info.study["preset"] == "gen3dhf"
    assert made.info.counts["ratings"] == 8 * N * 2
    text = load(made.folder, "instruct_numeric", tmp_path / "hf")[0]
    assert repr(text["score"]) in text["messages"][1]["content"]
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_ratings_beside_the_release(tmp_path):
    made = build(
        tmp_path / "out", release(tmp_path / "in"), ratings=ratings(tmp_path / "ratings.csv")
    )
    assert any("differ from the release's by up to" in note for note in made.info.notes)
    assert verify(made.folder).exit_code == 0


def test_ratings_of_other_dimensions(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("subject,clip,dimension,score\na,x,beauty,1\nb,x,beauty,2\n")
    with pytest.raises(InputError, match="beauty"):
        build(tmp_path / "out", ratings=path)


def test_videos_beside_the_scores(tmp_path):
    corpus = Corpus(tmp_path / "corpus")
    corpus.folder.mkdir()
    corpus.add_clip("video_RGB/seed0001", 1)
    inputs = Inputs(corpus.manifest, corpus.cache, release=release(tmp_path / "in"))
    made = write_release(Gen3dhf, inputs, tmp_path / "out", decoder="hand-made-1")
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    assert rows["seed0001"]["lip_dynamics"] == 2.5
    assert rows["seed0002"]["lip_dynamics"] is None
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_answers():
    assert answer("quality", "good") == "The quality of the human face in this video is good."
    assert answer("quality", None, 6.5).endswith("is None. (6.5)")


@pytest.mark.real
def test_the_official_labels(shared_data, tmp_path):
    folder = shared_data / "public" / "gen3dhf_release"
    made = build(tmp_path / "out", folder)
    report = verify(made.folder, expect="paper")
    assert report.exit_code == 0, report.to_text()
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    with (shared_data / "golden" / "gen3dhf_mos.csv").open() as stream:
        golden = list(csv.DictReader(stream))
    assert len(golden) == len(rows) == 2000
    for item in golden:
        row = rows[item["video_id"]]
        assert row["official_split"] == item["split"]
        for dimension in DIMENSIONS:
            assert row[f"{dimension}_mos"] == float(item[f"{dimension}_mos"])
            official = item[f"{dimension}_level"]
            assert row[f"{dimension}_level_official"] == (None if official == "None" else official)
            assert row[f"{dimension}_level"] == ("bad" if official == "None" else official)
    labels = find_labels(folder)
    assert labels is not None
    assert len(read_labels(labels)) == 2000
    numeric = load(made.folder, "instruct_numeric", tmp_path / "hf")
    by_name = {(row["clip_id"], row["dimension"]): row["messages"] for row in numeric}
    for path in (labels / "numerical").glob("*.json"):
        for item in json.loads(path.read_text()):
            key = (Path(item["videos"]).stem, path.stem.partition("_")[2])
            assert by_name[key] == item["messages"]


def study_tables(tmp_path, names):
    """Ratings, descriptions and generators of videos, under the given names."""
    rng = np.random.default_rng(0)
    lines = ["subject,clip_id,quality,authenticity"]
    lines += [
        f"s{i},{name},{rng.uniform(0, 5):.2f},{rng.uniform(0, 5):.2f}"
        for i in range(6)
        for name in names
    ]
    texts = {
        "ratings": lines,
        "descriptions": ["clip_id,description", *(f"{name},An eye is odd" for name in names)],
        "generators": ["clip_id,generator", *(f"{name},EG3D" for name in names)],
    }
    paths = {}
    for kind, text in texts.items():
        paths[kind] = tmp_path / f"{kind}.csv"
        paths[kind].write_text("\n".join(text) + "\n")
    return paths


def test_tables_name_the_videos_of_a_release_as_people_do(tmp_path):
    """Ratings of ``video/seed0000.mp4`` are of the release's ``seed0000``, not of another video."""
    names = ["video/seed0000.mp4", "video\\seed0201.MP4", "video/seed9999.mp4"]
    tables = study_tables(tmp_path, names)
    made = build(tmp_path / "out", release(tmp_path / "in"), **tables)
    rows = {row["clip_id"]: row for row in load(made.folder, "features", tmp_path / "hf")}
    assert "seed0000.mp4" not in " ".join(rows)
    for name in ("seed0000", "seed0201"):
        assert rows[name]["quality_mos_std"] is not None
        assert rows[name]["generator"] == "EG3D"
        assert rows[name]["description"] == "An eye is odd"
    other = next(
        row for name, row in rows.items() if name not in ("seed0000", "seed0201", "seed9999")
    )
    assert {"ratings:not-matched", "generators:not-matched", "descriptions:not-matched"} <= set(
        other["missing"]
    )
    assert {row["clip_id"] for row in load(made.folder, "ratings", tmp_path / "hf")} == {
        "seed0000", "seed0201", "seed9999"
    }  # fmt: skip


def test_tables_of_other_videos_are_an_error(tmp_path):
    tables = study_tables(tmp_path, ["x1", "x2"])
    for kind in ("ratings", "descriptions", "generators"):
        with pytest.raises(InputError, match=f"{kind}: none of the 2 names matches"):
            build(tmp_path / "out", release(tmp_path / "in"), **{kind: tables[kind]})
