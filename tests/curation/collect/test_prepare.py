"""What is prepared: conversion, opaque names, hashes, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from collect_study import (
    CLIPS,
    MARKED,
    PAIR_CLIPS,
    PAIRS,
    TRAINING,
    make_manifest,
    write_plan,
)
from PIL import Image

from theval_datasets import media as clips
from theval_datasets import prepare_collection, serve_collection
from theval_datasets.curation.collect.prepare import prepare_study
from theval_datasets.curation.collect.prepared import read_prepared
from theval_datasets.curation.collect.store import Store
from theval_datasets.errors import InputError
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.locks import locked


def prepare(folder: Path, source: Path, ids=(*CLIPS[:4], *TRAINING), odd=None, **changes):
    """Prepare clips that are all one file, but for those in `odd`."""
    manifest = make_manifest(folder, {**dict.fromkeys(ids, source), **(odd or {})})
    return prepare_study(write_plan(folder, **changes), manifest, folder / "study", workers=0)


def test_every_kind_of_clip_becomes_what_browsers_play(media, tmp_path):
    kinds = ("hevc", "vp9", "rotated", "vfr", "no_audio", "late_video")
    odd = {f"{kind}__m0": media(kind) for kind in kinds}
    study = prepare(tmp_path, media("plain"), ids=TRAINING, odd=odd)
    made = {item.content: tmp_path / "study" / "media" / item.media[0] for item in study.items}
    for kind in kinds:
        facts, given = clips.probe(made[kind]), clips.probe(media(kind))
        assert (facts.video_codec, facts.rotation) == ("h264", 0)
        assert facts.audio_codec == (None if kind == "no_audio" else "aac")
        assert (facts.n_frames, facts.width) == (given.n_frames, given.width)
        head = made[kind].read_bytes()
        assert head.index(b"moov") < head.index(b"mdat")
        assert b"avc1" in head


def test_names_tell_nothing_and_hashes_are_frozen(media, tmp_path, prepared):
    study = read_prepared(prepared("score"))
    folder = prepared("score") / "media"
    names = [file.name for file in study.media]
    assert len(set(names)) == len(names) == len(list(folder.iterdir()))
    for file in study.media:
        assert sha256_file(folder / file.name) == file.sha256
        assert re.fullmatch(r"[0-9a-f]{24}\.(mp4|wav)", file.name)
    again = prepare(tmp_path, media("plain"))
    assert not {file.name for file in again.media} & set(names)
    assert len({study.token, study.curator_token, again.token, again.curator_token}) == 4
    assert len(study.token) * 6 >= 96


def test_a_second_run_keeps_what_was_converted(media, tmp_path):
    first = prepare(tmp_path, media("plain"))
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "study/media").glob("*.mp4")}
    again = prepare(tmp_path, media("plain"), question="Other?")
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert (first.token, first.media) == (again.token, again.media)
    assert again.plan.question == "Other?"


def test_a_study_that_has_begun_is_not_prepared_again(media, tmp_path):
    study = prepare(tmp_path, media("plain"))
    with Store(tmp_path / "study", study):
        pass
    with pytest.raises(InputError, match="has begun"):
        prepare(tmp_path, media("plain"))


def test_clips_without_a_picture_are_refused_all_at_once(media, tmp_path):
    odd = {name: media(kind) for name, kind in (
        ("c0__m0", "wav"), ("c0__m1", "still"), ("c1__m0", "text"), ("c1__m1", "mp3_with_cover")
    )}  # fmt: skip
    with pytest.raises(InputError, match="4 clips cannot be shown") as caught:
        prepare(tmp_path, media("plain"), ids=(*CLIPS, *TRAINING), odd=odd)
    assert all(name in str(caught.value) for name in odd)
    assert not (tmp_path / "study" / "study.json").exists()
    kept = len(list((tmp_path / "study" / "media").glob("*.mp4")))
    assert kept == len(CLIPS) + len(TRAINING) - 4


def test_missing_and_changed_clips_are_refused(media, tmp_path):
    manifest = make_manifest(tmp_path, dict.fromkeys([*CLIPS, *TRAINING], media("plain")))
    (tmp_path / "clips" / "c0__m0.mp4").unlink()
    changed = tmp_path / "clips" / "c1__m0.mp4"
    changed.unlink()
    changed.write_bytes(media("no_audio").read_bytes())
    with pytest.raises(InputError, match="2 clips cannot be shown") as caught:
        prepare_collection(write_plan(tmp_path), manifest, tmp_path / "study")
    assert "c0__m0: its file is missing" in str(caught.value)
    assert "c1__m0: c1__m0.mp4 is not the file of the manifest" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training": ["t0__m0", "t1__m0", "t2__mO"]},
            "no clip named 't2__mO'; did you mean t2__m0",
        ),
        ({"golden": [{"clip": "c0__mO", "low": 1, "high": 2}]}, "did you mean .*c0__m0"),
        ({"training": [*CLIPS[:4], *TRAINING]}, "no clip is left to rate"),
        ({"names": "{model}__{content}"}, "appear twice in a row"),
        ({"kind": "pairwise"}, "no content named 't0__m0'"),
        ({"kind": "pairwise", "training": ["t0", "t1", "t2"]}, "at least two clips of the content"),
        ({"taxonomy": "gone.yaml"}, "no taxonomy file"),
    ],
)
def test_a_plan_that_does_not_fit_its_clips_is_refused(media, tmp_path, changes, message):
    names = (*CLIPS[:4], *TRAINING)
    if "names" in changes:
        names = ("a__x", "b__x", "c__x", "d__x", "e__y", *TRAINING)
    with pytest.raises(InputError, match=message):
        prepare(tmp_path, media("plain"), ids=names, **changes)
    assert not (tmp_path / "study").exists()


def test_half_of_the_clips_may_show_one_content(media, tmp_path):
    fitting = ("a__1", "a__2", "b__1")
    study = prepare(tmp_path / "fitting", media("plain"), ids=(*fitting, *TRAINING))
    assert len(study.of_role("rated")) == 3
    with pytest.raises(InputError, match="3 of 4 clips show the content 'a'"):
        prepare(tmp_path / "more", media("plain"), ids=(*fitting, "a__3", *TRAINING))


def test_pairs_show_one_content_and_every_pair_of_models(prepared):
    study = read_prepared(prepared("pairwise"))
    rated = study.of_role("rated")
    assert len(rated) == len(PAIR_CLIPS) // 2
    assert {item.content for item in rated} == {f"c{n}" for n in range(12)}
    assert {frozenset(item.models) for item in rated} == {frozenset({"m0", "m1"})}
    assert len({item.models[0] for item in rated}) == 2, "sides are drawn"
    for item in study.items:
        assert item.clips == tuple(f"{item.content}__{model}" for model in item.models)
    assert [item.content for item in study.of_role("training")] == ["t0", "t1", "t2"]


def test_a_clip_without_a_model_is_the_real_one(media, tmp_path):
    names = [n for c in ("a", "b", "t0", "t1", "t2") for n in (c, f"{c}__m0")]
    golden = [{"clip": "b", "against": "b__m0"}]
    study = prepare(tmp_path, media("plain"), ids=names, **{**PAIRS, "golden": golden})
    assert {frozenset(item.models) for item in study.items} == {frozenset({"real", "m0"})}
    assert [item.content for item in study.of_role("rated")] == ["a"]
    (known,) = study.of_role("golden")
    assert known.clips[["left", "right"].index(known.winner)] == "b"


def test_stills_are_cut_from_the_clip_or_taken_from_a_folder(media, tmp_path):
    names = (*CLIPS[:2], "c1__m0", *TRAINING)
    study = prepare(tmp_path / "cut", media("no_audio"), ids=names, **MARKED)
    for item in study.items:
        with Image.open(tmp_path / "cut/study/media" / item.still) as picture:
            assert picture.size == (1536, 512)
    assert study.headphone_tests == ()
    stills = tmp_path / "given" / "stills"
    stills.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(np.full((512, 1536, 3), number, np.uint8)).save(stills / f"{name}.png")
    given = prepare(tmp_path / "given", media("no_audio"), ids=names, stills="stills", **MARKED)
    first = given.of_role("training")[0]
    with Image.open(tmp_path / "given/study/media" / first.still) as picture:
        assert picture.getpixel((0, 0)) == (names.index(first.clips[0]),) * 3
    (stills / "c0__m0.png").unlink()
    Image.new("RGB", (512, 512)).save(stills / "c0__m1.png")
    for path in (tmp_path / "given/study/media").glob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match="2 clips cannot be shown") as caught:
        prepare(tmp_path / "given", media("no_audio"), ids=names, stills="stills", **MARKED)
    assert "c0__m0.png is missing" in str(caught.value)
    assert "512x512 pixels, expected 1536x512" in str(caught.value)


def test_media_that_changed_are_not_served(study):
    folder = study()
    path = folder / "media" / read_prepared(folder).media[0].name
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="its hash differs"):
        serve_collection(folder, port=0)
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        serve_collection(folder, port=0)


def test_one_server_a_folder(study, tmp_path):
    folder = study()
    with locked(folder, "collect serve"), pytest.raises(InputError, match="collect serve"):
        serve_collection(folder, port=0)
    with pytest.raises(InputError, match="no prepared study"):
        serve_collection(tmp_path, port=0)
    with pytest.raises(InputError, match="begins with a slash"):
        serve_collection(folder, port=0, root_path="one")


def test_a_study_of_another_format_is_refused(study):
    folder = study()
    plain = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**plain, "format_version": 2}))
    with pytest.raises(InputError, match="has format 2, this version reads 1"):
        read_prepared(folder)
