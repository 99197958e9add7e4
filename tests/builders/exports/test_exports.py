"""Exports for trainers: the files they read, from tiny builds of gen3dhf and thqa-mt."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gen3dhf_release import make_labels, make_release
from PIL import Image

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.exports.export import export_dataset
from theval_datasets.builders.gen3dhf import Gen3dhf
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.thqa_mt import ThqaMt
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError, UnknownNameError

VIDEOS = [f"seed{i:04d}" for i in range(6)]
CLIPS = [f"p{p}__{g}" for p in range(5) for g in ("SadTalker", "MuseTalk")]
TRAINERS = ("ms-swift", "llama-factory", "lmme3dhf")


def build(dataset, out: Path, release: Path | None = None, **tables: Path) -> Path:
    return write_release(dataset, Inputs(release=release, tables=tables), out).folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """theval/gen3dhf of scores and categories, without media."""
    root = tmp_path_factory.mktemp("faces")
    described = root / "descriptions.csv"
    described.write_text(
        "clip_id,description,categories\n"
        "seed0000,odd,Hair Distortions;Eye Distortions\nseed0005,fine,No Distortion\n"
    )
    labels = make_labels(root / "labels")
    return build(Gen3dhf, root / "out", labels, descriptions=described)


@pytest.fixture(scope="module")
def talkers(tmp_path_factory) -> Path:
    """theval/thqa-mt of ratings and votes; the first clip has a distortion, the last no votes."""
    root = tmp_path_factory.mktemp("talkers")
    rng = np.random.default_rng(1)
    lines, votes = ["subject,clip_id,score"], ["subject,clip_id,distortions"]
    for i, clip in enumerate(CLIPS):
        for n in range(6):
            lines.append(f"s{n},{clip},{np.clip(1 + 0.3 * i + rng.normal(), 0, 5):.2f}")
            if clip != CLIPS[-1]:
                votes.append(f"s{n},{clip},{'0' * 10}{int(i == 0)}{int(i == 0 and n < 3)}")
    (root / "ratings.csv").write_text("\n".join(lines) + "\n")
    (root / "votes.csv").write_text("\n".join(votes) + "\n")
    return build(ThqaMt, root / "out", ratings=root / "ratings.csv", votes=root / "votes.csv")


@pytest.fixture
def videos(tmp_path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in VIDEOS:
        (folder / f"{name}.mp4").write_bytes(b"video")
    return folder


@pytest.fixture
def spoken(tmp_path, media) -> Path:
    """The talkers' clips with sound, except one that has none."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for clip in CLIPS:
        shutil.copy(media("no_audio" if clip == CLIPS[1] else "plain"), folder / f"{clip}.mp4")
    return folder


def rows(path: Path) -> list[dict]:
    text = path.read_text("utf-8")
    result = (
        json.loads(text) if path.suffix == ".json" else [json.loads(x) for x in text.splitlines()]
    )
    assert result
    return result


def tags(row: dict, tag: str) -> int:
    return sum(message["content"].count(tag) for message in row["messages"])


def edited(folder: Path, place: Path, config: str, **values) -> Path:
    """A copy of a dataset in which a column of a config has other values."""
    shutil.copytree(folder, place)
    for path in sorted((place / config).glob("*.parquet")):
        table = pq.read_table(path)
        for name, value in values.items():
            at = table.column_names.index(name)
            field = table.schema.field(name)
            column = [value(v) for v in table[name].to_pylist()]
            table = table.set_column(at, field, pa.array(column, field.type))
        pq.write_table(table, path)
    return place


def test_questions_of_gen3dhf(faces, tmp_path):
    assert verify(faces).exit_code == 0
    loaded = datasets.load_dataset(
        str(faces), "instruct_distortions", cache_dir=str(tmp_path / "hf")
    )
    by_clip = {row["clip_id"]: row for part in loaded.values() for row in part}
    assert set(by_clip) == {"seed0000", "seed0005"}  # of the others nothing is known
    question, answer = by_clip["seed0000"]["messages"]
    assert question["content"].startswith(
        "<video>Which of these distortions are there in this video of a human"
    )
    assert "Blurring / Exposure / Grain; Accessories or Cloth Distortions" in question["content"]
    assert answer["content"] == "Distortions in this video: Eye Distortions; Hair Distortions."
    assert by_clip["seed0005"]["distortion_categories"] == ["No Distortion"]
    assert "wording is this package's" in (faces / "README.md").read_text()


def test_questions_of_thqa_mt(talkers, tmp_path):
    assert verify(talkers).exit_code == 0
    loaded = datasets.load_dataset(
        str(talkers), "instruct", split="train", cache_dir=str(tmp_path / "hf")
    )
    by_name = {(row["clip_id"], row["task"]): row for row in loaded}
    wanted = {(clip, task) for clip in CLIPS for task in ("score", "distortions")}
    assert set(by_name) == wanted - {(CLIPS[-1], "distortions")}
    scores = {r["clip_id"]: r["mos"] for r in datasets.load_dataset(
        str(talkers), split="train", cache_dir=str(tmp_path / "hf"))}  # fmt: skip
    for (clip, task), row in by_name.items():
        question, answer = (message["content"] for message in row["messages"])
        assert question.startswith("<video><audio>")
        assert row["score"] == scores[clip]
        if task == "score":
            assert answer.endswith(f" is {scores[clip]:.2f}.")
    answer = by_name[CLIPS[0], "distortions"]["messages"][1]["content"]
    assert answer == "Distortions in this video: Speaker mismatch."  # three of six are no majority
    answer = by_name[CLIPS[2], "distortions"]["messages"][1]["content"]
    assert answer == "Distortions in this video: none."
    assert by_name[CLIPS[-1], "score"]["distortions"] is None


def test_without_scores_or_votes_there_are_no_questions(faces, tmp_path):
    bare = build(Gen3dhf, tmp_path / "out", make_labels(tmp_path / "labels"))
    assert "instruct_distortions" not in json.loads((bare / "info.json").read_text())["configs"]
    shutil.copytree(faces, tmp_path / "copy")
    info = json.loads((tmp_path / "copy" / "info.json").read_text())
    info["configs"] = {"features": info["configs"]["features"]}
    (tmp_path / "copy" / "info.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match="holds no questions and answers"):
        export_dataset(tmp_path / "copy", tmp_path / "x", "ms-swift")


def test_ms_swift(faces, videos, tmp_path):
    made = export_dataset(faces, tmp_path / "x", "ms-swift", media=videos)
    assert made.split == "official"
    assert made.rows == {
        "instruct_text/train": 10, "instruct_text/eval": 2,
        "instruct_numeric/train": 10, "instruct_numeric/eval": 2,
        "instruct_distortions/train": 1, "instruct_distortions/eval": 1,
    }  # fmt: skip
    for name, count in made.rows.items():
        lines = rows(tmp_path / "x" / f"{name.replace('/', '-')}.jsonl")
        assert len(lines) == count
        for row in lines:
            assert list(row) == ["messages", "videos"]
            assert tags(row, "<video>") == len(row["videos"]) == 1
            assert Path(row["videos"][0]).read_bytes() == b"video"
    assert "USE_AUDIO_IN_VIDEO" not in made.advice[0]  # these videos have no sound


def test_ms_swift_hears_the_sound_of_the_video(talkers, spoken, tmp_path):
    made = export_dataset(talkers, tmp_path / "x", "ms-swift", media=spoken)
    assert made.advice[0].startswith("USE_AUDIO_IN_VIDEO=true swift sft ")
    lines = rows(tmp_path / "x" / "instruct-train.jsonl")
    assert all(tags(row, "<audio>") == 0 and "audios" not in row for row in lines)


def test_llama_factory(talkers, spoken, tmp_path):
    (spoken / "sound").mkdir()
    (spoken / "sound" / f"{CLIPS[2]}.wav").write_bytes(b"given")
    made = export_dataset(talkers, tmp_path / "x", "llama-factory", media=spoken)
    assert made.split == "fold-0"
    assert made.left_out == {"no-audio": (CLIPS[1],)}
    assert "use_audio_in_video: true" in made.advice
    listed = json.loads((tmp_path / "x" / "dataset_info.json").read_text())
    assert set(listed) == {"instruct-train", "instruct-eval"}
    heard = {}
    for name, about in listed.items():
        assert about["columns"] == {"messages": "messages", "videos": "videos", "audios": "audios"}
        assert about["tags"]["user_tag"] == "user"
        for row in rows(tmp_path / "x" / about["file_name"]):
            assert tags(row, "<video>") == len(row["videos"]) == 1
            assert tags(row, "<audio>") == len(row["audios"]) == 1
            heard[Path(row["videos"][0]).stem] = Path(row["audios"][0])
        assert name.removeprefix("instruct-") in ("train", "eval")
    assert set(heard) == set(CLIPS) - {CLIPS[1]}
    assert heard[CLIPS[2]].read_bytes() == b"given"
    data = heard[CLIPS[0]].read_bytes()
    assert data[:4] == b"RIFF"
    assert len(data) > 16_000
    assert heard[CLIPS[0]].is_relative_to(tmp_path / "x" / "audio")


def test_llama_factory_without_sound(faces, videos, tmp_path):
    made = export_dataset(faces, tmp_path / "x", "llama-factory", media=videos)
    listed = json.loads((tmp_path / "x" / "dataset_info.json").read_text())
    assert all("audios" not in about["columns"] for about in listed.values())
    assert not any("audio" in line for line in made.advice)
    assert len(rows(tmp_path / "x" / "instruct_text-train.json")) == 10


def test_lmme3dhf(faces, videos, tmp_path):
    made = export_dataset(
        faces, tmp_path / "x", "lmme3dhf", media=videos, prefix="/data/video_RGB/"
    )
    there = sorted(
        p.relative_to(tmp_path / "x").as_posix() for p in (tmp_path / "x").rglob("*.json")
    )
    assert there == [
        *(
            f"datasets/{kind}/{part}_{dimension}.json"
            for kind, dimensions in (
                ("numerical", ("authenticity", "quality")),
                ("text", ("authenticity", "distortions", "quality")),
            )
            for part in ("eval", "train")
            for dimension in dimensions
        ),
        "export.json",
    ]
    official = make_labels(tmp_path / "labels") / "main" / "datasets"
    for path in sorted(official.rglob("*.json")):
        wanted, lines = rows(path), rows(tmp_path / "x" / "datasets" / path.relative_to(official))
        for row in wanted:
            row["videos"] = row["videos"].replace("/home/author", "/data")
        assert lines == sorted(wanted, key=lambda row: row["videos"])
    assert made.saliency == {}


@pytest.mark.real
def test_the_official_files_come_back(shared_data, tmp_path):
    official = shared_data / "public" / "gen3dhf_release"
    folder = build(Gen3dhf, tmp_path / "out", official)
    (tmp_path / "v").mkdir()
    for i in range(2000):
        (tmp_path / "v" / f"seed{i:04d}.mp4").touch()
    export_dataset(folder, tmp_path / "x", "lmme3dhf", media=tmp_path / "v", prefix="P")
    paths = sorted((official / "main" / "datasets").rglob("*.json"))
    assert len(paths) == 8
    for path in paths:
        wanted = rows(path)
        for row in wanted:
            row["videos"] = "P/" + row["videos"].rpartition("/")[2]
        result = tmp_path / "x" / "datasets" / path.parent.name / path.name
        assert rows(result) == sorted(wanted, key=lambda row: row["videos"])
        assert "\n" not in result.read_text()  # one line, as they wrote it


@pytest.mark.parametrize(
    ("score", "refused"),
    [(0.0, None), (-0.01, "from 0 to 100"), (100.0, None), (100.01, "from 0 to 100")],
)
def test_scores_beyond_the_scale_are_refused(faces, videos, tmp_path, score, refused):
    changed = edited(
        faces, tmp_path / "d", "instruct_numeric", score=lambda v: score if v == 42 else v
    )
    if refused is None:
        export_dataset(changed, tmp_path / "x", "lmme3dhf", media=videos)
    else:
        with pytest.raises(InputError, match=refused):
            export_dataset(changed, tmp_path / "x", "lmme3dhf", media=videos)
        assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("highest", "refused"), [(5.0, True), (5.01, False)])
def test_scores_on_the_scale_of_the_sliders_are_refused(faces, videos, tmp_path, highest, refused):
    changed = edited(faces, tmp_path / "d", "instruct_numeric", score=lambda v: highest * v / 50.5)
    changed = edited(changed, tmp_path / "e", "instruct_text", score=lambda v: highest * v / 50.5)
    if refused:
        with pytest.raises(InputError, match="scale from 0 to 5"):
            export_dataset(changed, tmp_path / "x", "lmme3dhf", media=videos)
    else:
        export_dataset(changed, tmp_path / "x", "lmme3dhf", media=videos)


def test_other_datasets_are_refused_for_lmme3dhf(talkers, spoken, tmp_path):
    with pytest.raises(InputError, match="thqa-mt lacks the configs instruct_text"):
        export_dataset(talkers, tmp_path / "x", "lmme3dhf", media=spoken)


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_is_held_out(talkers, spoken, tmp_path, fold):
    export_dataset(talkers, tmp_path / "x", "ms-swift", media=spoken, split=f"fold-{fold}")
    parts = {}
    for part in ("train", "eval"):
        lines = rows(tmp_path / "x" / f"instruct-{part}.jsonl")
        parts[part] = {Path(row["videos"][0]).stem for row in lines}
    table = datasets.load_dataset(str(talkers), split="train", cache_dir=str(tmp_path / "hf"))
    of = {row["clip_id"]: row["fold"] for row in table}
    assert parts["eval"] == {clip for clip in CLIPS if of[clip] == fold}
    assert parts["train"] == set(CLIPS) - parts["eval"]


def test_a_split_that_not_every_clip_has(faces, talkers, videos, tmp_path):
    unknown = edited(faces, tmp_path / "d", "features", official_split=lambda v: None)
    made = export_dataset(unknown, tmp_path / "x", "ms-swift", media=videos)
    assert made.split == "grouped"
    with pytest.raises(InputError, match=r"no split official.*it has grouped, fold-0"):
        export_dataset(unknown, tmp_path / "y", "ms-swift", media=videos, split="official")
    with pytest.raises(UnknownNameError, match="fold-3"):
        export_dataset(faces, tmp_path / "y", "ms-swift", media=videos, split="fold3")
    no_fold = edited(talkers, tmp_path / "e", "features", fold=lambda v: None)
    with pytest.raises(InputError, match="it has none"):
        export_dataset(no_fold, tmp_path / "y", "ms-swift", media=videos)


def test_grouped_and_official_parts(faces, videos, tmp_path):
    table = datasets.load_dataset(str(faces), cache_dir=str(tmp_path / "hf"))
    clips = {row["clip_id"]: row for part in table.values() for row in part}
    for split, column in (("official", "official_split"), ("grouped", "grouped_split")):
        export_dataset(faces, tmp_path / split, "ms-swift", media=videos, split=split)
        for part in ("train", "eval"):
            named = ("train",) if part == "train" else ("eval", "test")
            lines = rows(tmp_path / split / f"instruct_text-{part}.jsonl")
            assert {Path(row["videos"][0]).stem for row in lines} == {
                clip for clip, row in clips.items() if row[column] in named
            }


def test_clips_without_a_file_are_left_out_and_named(faces, videos, tmp_path):
    (videos / "seed0003.mp4").unlink()
    (videos / "deep").mkdir()
    (videos / "seed0001.mp4").rename(videos / "deep" / "seed0001.MP4")
    made = export_dataset(faces, tmp_path / "x", "ms-swift", media=videos)
    assert made.left_out == {"no-video": ("seed0003",)}
    names = {row["videos"][0] for row in rows(tmp_path / "x" / "instruct_text-train.jsonl")}
    assert str(videos / "deep" / "seed0001.MP4") in names
    assert len(names) == 4
    described = json.loads((tmp_path / "x" / "export.json").read_text())
    assert described["left_out"] == {"no-video": ["seed0003"]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("nothing", "holds no videos: name the folder"),
        ("absent", "expected a folder with videos"),
        ("empty", "holds no video"),
        ("others", "none of the 1 names matches"),
        ("twice", "both match"),
    ],
)
def test_wrong_folders_of_media(faces, videos, tmp_path, wrong, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "cat.mp4").touch()
    shutil.copytree(videos, tmp_path / "twice")
    (tmp_path / "twice" / "seed0001.webm").touch()
    media = None if wrong == "nothing" else tmp_path / wrong
    with pytest.raises(InputError, match=message):
        export_dataset(faces, tmp_path / "x", "ms-swift", media=media)
    assert not (tmp_path / "x").exists()


def test_an_earlier_export_is_replaced_and_nothing_else(faces, videos, tmp_path):
    out = tmp_path / "x"
    export_dataset(faces, out, "lmme3dhf", media=videos)
    export_dataset(faces, out, "ms-swift", media=videos)
    assert not (out / "datasets").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    with pytest.raises(InputError, match="not an earlier export"):
        export_dataset(faces, tmp_path / "mine", "ms-swift", media=videos)
    with pytest.raises(InputError, match="outside of the dataset"):
        export_dataset(faces, faces / "x", "ms-swift", media=videos)
    (out / "videos").mkdir()
    with pytest.raises(InputError, match="is replaced"):
        export_dataset(faces, out, "ms-swift", media=out / "videos")
    with pytest.raises(InputError, match="--prefix stands for"):
        export_dataset(_with_media(faces, tmp_path), tmp_path / "y", "ms-swift", prefix="/data")
    assert (out / "export.json").is_file()


def _with_media(folder: Path, tmp_path: Path) -> Path:
    """A copy that lists a config `media`, whose rows are not read."""
    shutil.copytree(folder, tmp_path / "listed")
    info = json.loads((tmp_path / "listed" / "info.json").read_text())
    info["configs"]["media"] = info["configs"]["features"]
    (tmp_path / "listed" / "info.json").write_text(json.dumps(info))
    return tmp_path / "listed"


def test_an_unknown_trainer(faces, tmp_path):
    with pytest.raises(UnknownNameError, match="ms-swift"):
        export_dataset(faces, tmp_path / "x", "msswift")


def test_media_and_maps_of_the_dataset_itself(tmp_path):
    release = make_labels(make_release(tmp_path / "release"))
    from theval_datasets.commands.build import build as command

    folder = command("gen3dhf", tmp_path / "out", release=release).release.folder
    jpeg = io.BytesIO()
    Image.new("RGB", (12, 4), (9, 99, 199)).save(jpeg, "JPEG")
    changed = edited(
        folder, tmp_path / "d", "saliency",
        image=lambda v: {"bytes": jpeg.getvalue(), "path": "a.jpg"} if v["path"][:8] == "seed0001"
        else None if v["path"][:8] == "seed0002" else v,
    )  # fmt: skip
    made = export_dataset(changed, tmp_path / "x", "lmme3dhf", split="grouped")
    table = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "hf"))
    part_of = {
        row["clip_id"]: {"train": "train", "test": "eval"}[row["grouped_split"]]
        for part in table.values()
        for row in part
    }
    seen = set()
    for part in ("train", "eval"):
        for row in rows(tmp_path / "x" / "datasets" / "text" / f"{part}_quality.json"):
            path = Path(row["videos"])
            assert path.is_relative_to(tmp_path / "x" / "video")
            assert path.stat().st_size > 500
            seen.add((path.stem, part))
    assert seen == set(part_of.items())
    pairs = {}
    for part in ("train", "eval"):
        place = tmp_path / "x" / "saliency" / part
        pairs[part] = {p.name for p in place.glob("image/*")}
        assert pairs[part] == {p.name for p in place.glob("sal_map/*")}
        for path in place.rglob("*.png"):
            assert path.read_bytes().startswith(b"\x89PNG")
    assert not pairs["train"] & pairs["eval"]
    assert {Path(name).stem for name in pairs["train"] | pairs["eval"]} == set(VIDEOS[:5]) - {
        "seed0002"
    }
    assert made.saliency == {part: len(names) for part, names in pairs.items() if names}


def test_the_command(faces, videos, tmp_path):
    words = ["export", faces, "--for", "ms-swift", "--media", videos, "-o", tmp_path / "x"]
    done = subprocess.run(
        [sys.executable, "-m", "theval_datasets", *map(str, words), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["rows"]["instruct_text/train"] == 10
    assert report["split"] == "official"


SWIFT = """
import json, sys
from swift.dataset import load_dataset
found = {}
for path in sys.argv[1:]:
    rows, held_out = load_dataset([path], load_from_cache_file=False, strict=True)
    assert not held_out
    found[path.rpartition("/")[2]] = [{k: row[k] for k in ("messages", "videos")} for row in rows]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_ms_swift_reads_it(faces, talkers, videos, spoken, tmp_path):
    """In an environment of its own; filling one takes minutes, so its Python is named from outside."""
    python = os.environ.get("THEVAL_SWIFT_PYTHON")
    if python is None:
        pytest.skip(
            "THEVAL_SWIFT_PYTHON names no Python of an environment with ms-swift "
            "(pip install torch==2.13.0 ms-swift)"
        )
    export_dataset(faces, tmp_path / "x", "ms-swift", media=videos)
    export_dataset(talkers, tmp_path / "y", "ms-swift", media=spoken)
    paths = sorted([*(tmp_path / "x").glob("*.jsonl"), *(tmp_path / "y").glob("*.jsonl")])
    assert len(paths) == 8
    done = subprocess.run(
        [python, "-c", SWIFT, *map(str, paths)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTHON"))},
             "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result == {path.name: rows(path) for path in paths}
