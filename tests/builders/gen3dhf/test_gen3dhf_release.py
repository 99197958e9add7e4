"""theval/gen3dhf from its official release: the layouts, the videos in their zips, the Hub."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import datasets
import pytest
from gen3dhf_release import NAMES, make_labels, make_release, shades, turning_video, zipped
from hub_client import client_of
from hub_server import READER, WRITER, serving_hub
from hub_store import Blob

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.gen3dhf import Gen3dhf
from theval_datasets.builders.release import adopt as _adopt
from theval_datasets.builders.release.write import write_release
from theval_datasets.commands.build import build as build_command
from theval_datasets.commands.curate import curate
from theval_datasets.commands.extract import extract
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError, UnsafePathError
from theval_datasets.extraction.cache import Cache
from theval_datasets.manifest.rows import read_manifest
from theval_datasets.utils.files import sha256_file


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> Path:
    return make_release(tmp_path_factory.mktemp("official") / "release")


@pytest.fixture
def release(official, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(official, tmp_path / "release")


def build(out: Path, release: Path, **options):
    return write_release(Gen3dhf, Inputs(release=release, **options), out)


def load(folder: Path, config: str, cache: Path) -> dict[str, dict]:
    loaded = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
    rows = {row["clip_id"]: row for split in loaded.values() for row in split}
    assert rows
    return rows


def tree(folder: Path) -> dict[str, str]:
    by_name = {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert by_name
    return by_name


def test_the_videos_of_the_zip_are_the_clips(official, tmp_path):
    made = build(tmp_path / "out", official)
    rows = load(made.folder, "features", tmp_path / "hf")
    media = load(made.folder, "media", tmp_path / "hf")
    with zipfile.ZipFile(official / "video.zip") as archive:
        for name in NAMES:
            assert media[name]["video"]["bytes"] == archive.read(f"video/{name}.mp4")
            assert media[name]["video"]["path"] == f"{name}.mp4"
            assert media[name]["poster"]["bytes"]
            row = rows[name]
            assert (row["width"], row["height"], row["n_frames"]) == (64, 64, 25)
            assert row["fps"] == pytest.approx(60)
            assert row["sha256"] == media[name]["sha256"]
    listed = read_manifest(made.folder)
    assert [(row.clip_id, row.path) for row in listed.rows] == [(name, None) for name in NAMES]
    assert "The clips are the 6 videos of the release's video.zip." in made.info.notes
    assert [p.name for p in made.folder.parent.iterdir()] == ["gen3dhf"]
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_stills_are_the_releases_or_cut_from_the_video(official, tmp_path):
    made = build(tmp_path / "out", official)
    rows = load(made.folder, "saliency", tmp_path / "hf")
    assert {name: row["image_source"] for name, row in rows.items()} == {
        **dict.fromkeys(NAMES[:3], "release"), **dict.fromkeys(NAMES[3:5], "video"),
    }  # fmt: skip
    assert shades(rows[NAMES[0]]["image"]["bytes"]) == pytest.approx([99, 99, 99], abs=1)
    assert shades(rows[NAMES[3]]["image"]["bytes"]) == pytest.approx([60, 120, 180], abs=5)
    text = (made.folder / "README.md").read_text()
    assert "3 from the release, 2 cut from the videos, 0 missing" in text
    assert "from -90 to +90 degrees at constant speed" in text


def test_two_builds_are_byte_identical(official, tmp_path):
    first, two = (build(tmp_path / name, official).folder for name in ("one", "two"))
    assert tree(first) == tree(two)


@pytest.mark.slow
def test_other_layouts(official, release, tmp_path):
    whole = build(tmp_path / "out", official).info
    (release / "video.zip").rename(release / "video_RGB.zip")
    assert build(tmp_path / "rgb", release).info.configs["media"].rows == 6
    with zipfile.ZipFile(release / "video_RGB.zip") as archive:
        archive.extractall(release)
    (release / "video_RGB.zip").unlink()
    unpacked = build(tmp_path / "unpacked", release).info
    assert unpacked.counts == whole.counts
    for name in ("MOS.json", "distortion_label.json"):
        (release / name).unlink()
    make_labels(release)
    both = build(tmp_path / "both", release).info
    assert (both.counts["train"], both.counts["eval"]) == (5, 1)
    assert (both.configs["media"].rows, both.configs["saliency"].rows) == (6, 5)
    code = make_labels(tmp_path / "code")
    scores = build(tmp_path / "code-only", code).info
    assert scores.counts["scores"] == 12
    assert "media" not in scores.configs
    assert any(
        "no stills (image.zip), no saliency maps (saliency_map.zip), no videos (video.zip or" in n
        for n in scores.notes
    )
    apart = build(tmp_path / "apart", official, tables={"scores": code}).info
    assert (apart.counts["eval"], apart.configs["media"].rows) == (1, 6)


@pytest.mark.slow
def test_features_of_the_videos_go_by_content(official, tmp_path):
    work, cache = tmp_path / "work", str(tmp_path / "cache")
    made = curate([str(official / "video.zip")], work)
    assert made.kept == 6
    extract(work, features=["vad"], cache=cache, workers=1)
    bare = build(tmp_path / "bare", official, cache=Cache(cache))
    given = build(tmp_path / "given", official, cache=Cache(cache), manifest_path=work)
    assert bare.info.configs["features"].missing["vad:no-audio"] == 6
    first, two = (load(m.folder, "features", tmp_path / "hf") for m in (bare, given))
    assert first == two


@pytest.mark.parametrize(("name", "said"), [("media", "do not suffice"), ("medium", "media")])
def test_a_config_that_cannot_be_had_is_refused_before_videos_are_unpacked(
    release, tmp_path, monkeypatch, name, said
):
    monkeypatch.setattr(_adopt, "_adopted", lambda *_: pytest.fail("unpacked"))
    (release / "video.zip").unlink()
    with pytest.raises(InputError, match=said):
        write_release(Gen3dhf, Inputs(release=release), tmp_path / "out", configs=[name])


def test_a_zip_that_is_lacking_is_said(release, tmp_path):
    (release / "video.zip").unlink()
    (release / "saliency_map.zip").unlink()
    info = build(tmp_path / "out", release).info
    assert not {"media", "saliency"} & set(info.configs)
    assert any(
        "holds no saliency maps (saliency_map.zip), no videos (video.zip or" in n
        for n in info.notes
    )
    assert any("The release has 3 stills without a saliency map" in note for note in info.notes)


def test_videos_that_are_broken_are_said(release, tmp_path):
    whole = turning_video(tmp_path / "a.mp4").read_bytes()
    zipped(release / "video.zip", {"v/seed0000.mp4": whole, "v/seed0001.mp4": b"no video"})
    made = build(tmp_path / "out", release)
    assert any(
        "1 videos of the release's video.zip; 1 could not be used: 1 × not-media, such as "
        "v/seed0001" in note
        for note in made.info.notes
    )
    assert list(load(made.folder, "media", tmp_path / "hf")) == ["seed0000"]
    assert verify(made.folder).exit_code == 0


def test_two_videos_of_one_name(release, tmp_path):
    first, two = (
        turning_video(tmp_path / f"{tint}.mp4", tint=tint).read_bytes() for tint in (0, 200)
    )
    zipped(release / "video.zip", {"a/seed0000.mp4": first, "b/seed0000.mp4": two})
    with pytest.raises(
        InputError, match=r"'a/seed0000' and 'b/seed0000' both match the clip 'seed0000'"
    ):
        build(tmp_path / "out", release)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda r: zipped(r / "video.zip", {"../seed0000.mp4": b"x"}), UnsafePathError,
         r"video\.zip: the member '\.\./seed0000\.mp4' leads out"),
        (lambda r: (r / "video.zip").write_bytes(b"PK\3\4 no more"), InputError,
         r"video\.zip is not a zip archive"),
        (lambda r: (r / "image.zip").write_bytes(b"<html>"), InputError,
         r"image\.zip is not a zip archive"),
        (lambda r: zipped(r / "saliency_map.zip", {"a/seed0000.png": b"1", "seed0000.png": b"2"}),
         InputError, "are of one video"),
        (lambda r: zipped(r / "saliency_map.zip", {"seed0000.png": b"no picture"}), InputError,
         r"seed0000\.png is not a picture"),
        (lambda r: (r / "MOS.json").write_text('{"seed0000": [[1, 2]]}'), InputError,
         r"MOS\.json.*'seed0000'.*expected .*quality"),
        (lambda r: (r / "MOS.json").write_text("3"), InputError, r"MOS\.json: expected a mapping"),
        (lambda r: (r / "distortion_label.json").write_text('{"seed0000": ["ugly"]}'), InputError,
         "nine categories"),
        (lambda r: (r / "MOS.json").unlink(), InputError, r"expected MOS\.json, or numerical.*got"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_and_nothing_is_left(release, tmp_path, spoil, error, said):
    spoil(release)
    with pytest.raises(error, match=said):
        build(tmp_path / "out", release)
    assert not (tmp_path / "out").exists()


NAME = "someone/Faces"


@pytest.fixture(scope="module")
def hub(official):
    """A Hub that holds the release, private, with a file that nobody asked for."""
    with serving_hub() as hub:
        files = {path.name: Blob(path.read_bytes()) for path in official.iterdir()}
        files["pytorch_model.bin"] = Blob(b"not wanted")
        hub.store.create(NAME, private=True).add("main", "all", files)
        hub.store.create("someone/else", private=False).add("main", "x", {"a.txt": Blob(b"a")})
        yield hub


@pytest.fixture(scope="module")
def client(hub, tmp_path_factory):
    with client_of(hub.url, tmp_path_factory.mktemp("client") / "hf") as client:
        yield client


@pytest.mark.slow
def test_a_release_at_the_hub(hub, client, official, tmp_path):
    hub.reset()
    completed = client.run("build", "gen3dhf", "--release", NAME, "-o", tmp_path, token=READER)
    assert completed.code == 0, completed.err
    folder = tmp_path / "theval" / "gen3dhf"
    info = json.loads((folder / "info.json").read_text())
    revision = hub.store.repos[NAME].head.oid
    origin = f"The release is {NAME} at the Hub, revision {revision}."
    assert origin in info["notes"]
    assert origin in (folder / "README.md").read_text()
    assert not any("pytorch_model" in path for _, path, _ in hub.log)
    assert verify(folder).exit_code == 0
    local = build(tmp_path / "local", official)
    assert info["counts"] == dict(local.info.counts)
    ours, theirs = tree(local.folder), tree(folder)
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {"README.md", "info.json"}  # which say where it is from
    hub.log.clear()
    pinned = f"{NAME}@{revision}"
    again = client.run("build", "gen3dhf", "--release", pinned, "-o", tmp_path, token=READER)
    assert again.code == 0, again.err
    assert not any("/resolve/" in path for _, path, _ in hub.log)
    assert tree(folder) == theirs
    hub.fail("GET", "/api/", 503, times=50)
    offline = client.run("build", "gen3dhf", "--release", NAME, "-o", tmp_path, token=READER)
    hub.reset()
    assert offline.code == 0, offline.err
    assert tree(folder) == theirs


@pytest.mark.parametrize(
    ("name", "token", "code", "words"),
    [
        ("nobody/nothing", WRITER, 2, ["nobody/nothing", "404", "check the name"]),
        (NAME + "@v9", WRITER, 2, ["v9", "404", "revision"]),
        ("some/where", None, 2, ["there is no folder some/where", "401", "hf auth login"]),
        ("someone/else", READER, 2, ["holds none of the expected files", "video.zip"]),
        ("not a name", None, 2, ["not a name", "expected a folder"]),
    ],
)
def test_a_release_that_cannot_be_had(client, tmp_path, name, token, code, words):
    completed = client.run("build", "gen3dhf", "--release", name, "-o", tmp_path, token=token)
    assert completed.code == code, completed.err
    for word in words:
        assert word in completed.err
    assert "Traceback" not in completed.err
    assert "hf_" not in completed.err
    assert not list(tmp_path.rglob("info.json"))


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, 2, ["403", "you may not read it"]),
        (500, 1, ["500", "the Hub has a fault", "try again"]),
        (0, 1, ["could not be downloaded", "try again"]),
    ],
)
def test_a_hub_that_answers_otherwise(hub, client, tmp_path, status, code, words):
    hub.reset()
    hub.store.create(f"someone/fresh{status}", private=False)
    hub.fail("GET", "/api/datasets/someone/fresh", status, times=50)
    completed = client.run(
        "build", "gen3dhf", "--release", f"someone/fresh{status}", "-o", tmp_path, token=READER
    )
    hub.reset()
    assert completed.code == code, completed.err
    for word in words:
        assert word in completed.err


def test_only_some_datasets_have_releases_at_the_hub(tmp_path):
    with pytest.raises(InputError, match="expected a folder"):
        build_command("thqa", tmp_path, release="someone/Faces")
