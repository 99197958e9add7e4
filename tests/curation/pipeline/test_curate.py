import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from theval_datasets.commands.curate import curate
from theval_datasets.curation.clips import files as clip_files
from theval_datasets.engines.local import LocalPool
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import read_manifest, read_rows
from theval_datasets.utils.files import link_or_copy, sha256_file

GOOD = ["plain", "no_audio", "silent", "rotated", "late_audio", "gif"]
BAD = {
    "text": "not-media",
    "empty": "not-media",
    "headless": "not-media",
    "wav": "no-video",
    "mp3_with_cover": "no-video",
    "zero_frames": "zero-frames",
}


@pytest.fixture
def folder(media, tmp_path):
    place = tmp_path / "in"
    (place / "deep").mkdir(parents=True)
    for name in GOOD:
        shutil.copy2(media(name), place / "deep")
    for name in BAD:
        shutil.copy2(media(name), place)
    (place / "notes.txt").write_text("not media")
    return place


@pytest.fixture
def curated(folder, tmp_path):
    report = curate([str(folder)], tmp_path / "out", workers=2)
    return report, tmp_path / "out"


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_that_keeps_nothing_says_where_to_look(media, tmp_path):
    text = curate([str(media("text"))], tmp_path / "out").to_text()
    assert f"to see why: theval-data funnel {tmp_path / 'out'}" in text
    assert "theval-data extract" not in text


def test_each_file_has_its_row(curated):
    report, out = curated
    assert "next: theval-data extract" in report.to_text()
    assert "theval-data funnel" not in report.to_text()
    kept = read_manifest(out)
    rejected = {row.clip_id: row.reason for row in read_rows(out / "rejected.jsonl")}
    assert sorted(row.clip_id for row in kept.rows) == sorted(f"deep/{name}" for name in GOOD)
    assert rejected == BAD
    assert report.exit_code == 0
    assert report.to_plain()["skipped"] == {".txt": 1}
    assert report.to_plain()["rejected"] == {"no-video": 2, "not-media": 3, "zero-frames": 1}
    assert {line["clip_id"] for line in report.to_plain()["not_kept"]} == set(BAD)


def test_rows_say_what_is_there(curated):
    _, out = curated
    manifest = read_manifest(out)
    assert len(manifest) == len(GOOD)
    for row in manifest.rows:
        clip = manifest.file(row)
        assert clip is not None
        assert sha256_file(clip) == row.sha256 == row.source.sha256
        assert row.media is not None
        assert row.stamp == clip_files.stamp(clip)
        assert row.recipe is not None
        assert row.recipe.startswith("as-is:")
        assert row.source.location == row.path
        with Image.open(out / str(row.reference_frame)) as frame:
            assert frame.size == (row.media.width, row.media.height)
        assert row.reference_time == pytest.approx(row.media.duration / 2, abs=0.11)
        heard = row.media.audio_codec is not None and row.clip_id != "deep/silent"
        assert (row.audio is not None) == heard


def test_rotation_is_applied_to_the_reference_frame(curated):
    _, out = curated
    rows = {row.clip_id: row for row in read_manifest(out).rows}
    with Image.open(out / str(rows["deep/rotated"].reference_frame)) as frame:
        assert frame.size == (120, 160)


def test_the_audio_track_is_on_the_timeline_of_the_video(curated):
    _, out = curated
    rows = {row.clip_id: row for row in read_manifest(out).rows}
    starts = {}
    for name in ("deep/plain", "deep/late_audio"):
        with wave.open(str(out / str(rows[name].audio))) as track:
            assert (track.getframerate(), track.getnchannels()) == (16_000, 1)
            samples = np.frombuffer(track.readframes(track.getnframes()), "<i2")
        starts[name] = np.flatnonzero(np.abs(samples) > 5000)[0] / 16_000
    assert starts["deep/plain"] == pytest.approx(1.0, abs=0.02)
    assert starts["deep/late_audio"] == pytest.approx(1.4, abs=0.03)


def test_clips_are_links_where_they_can_be_and_copies_elsewhere(
    curated, folder, tmp_path, monkeypatch
):
    _, out = curated
    source = folder / "deep/plain.mp4"
    assert (out / "clips/deep/plain.mp4").samefile(source)

    def refuse(self, target):
        raise OSError("another device")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    copy = tmp_path / "copied/plain.mp4"
    link_or_copy(source, copy)
    assert not copy.samefile(source)
    assert copy.read_bytes() == source.read_bytes()
    assert clip_files.stamp(copy) == clip_files.stamp(source)
    assert list(copy.parent.iterdir()) == [copy]


def test_a_second_run_changes_nothing_and_works_on_nothing(curated, folder, monkeypatch):
    first, out = curated
    before = tree(out)

    def never(self, items):
        assert not list(items), "done again"
        return iter(())

    monkeypatch.setattr(LocalPool, "map", never)
    again = curate([str(folder)], out, workers=1)
    assert again.reused == len(GOOD) + len(BAD)
    assert again.kept == first.kept
    assert tree(out) == before


def test_what_changed_is_done_again(curated, folder, media):
    _, out = curated
    before = {row.clip_id: row for row in read_manifest(out).rows}
    (folder / "deep/plain.mp4").unlink()
    shutil.copy(media("vfr"), folder / "deep/plain.mp4")
    (out / str(before["deep/late_audio"].audio)).unlink()
    again = curate([str(folder)], out, workers=1)
    after = {row.clip_id: row for row in read_manifest(out).rows}
    assert again.reused == len(GOOD) + len(BAD) - 2
    assert after["deep/plain"].sha256 == sha256_file(media("vfr"))
    assert sha256_file(out / "clips/deep/plain.mp4") == after["deep/plain"].sha256
    assert (out / str(after["deep/late_audio"].audio)).is_file()


def test_another_recipe_makes_other_rows(curated, folder, tmp_path):
    _, out = curated
    recipe = tmp_path / "mute.yaml"
    recipe.write_text("name: mute\nabout: Without sound.\naudio_track: false\n")
    again = curate([str(folder)], out, recipe=str(recipe), workers=1)
    assert again.reused == 0
    assert [row.audio for row in read_manifest(out).rows] == [None] * len(GOOD)


def test_sources_that_are_not_given_again_are_dropped_and_said(curated, folder):
    _, out = curated
    again = curate([str(folder / "deep")], out, workers=1)
    assert {row.clip_id for row in read_manifest(out).rows} == set(GOOD)
    assert again.dropped == len(GOOD) + len(BAD)
    assert "no longer listed" in again.to_text()


def test_the_output_inside_the_source_is_not_searched(folder):
    curate([str(folder)], folder / "out", workers=1)
    again = curate([str(folder)], folder / "out", workers=1)
    assert again.kept == len(GOOD)


def test_a_language_that_is_named_is_in_the_rows(folder, tmp_path):
    curate([str(folder)], tmp_path / "out", workers=1)
    again = curate([str(folder)], tmp_path / "out", workers=1, language="fr")
    assert {row.source.language for row in read_manifest(tmp_path / "out").rows} == {"fr"}
    assert again.reused == 0
    assert curate([str(folder)], tmp_path / "out", workers=1, language="fr").reused > 0


def test_with_a_root_sources_are_named_relative_to_it(folder, tmp_path):
    curate([str(folder)], tmp_path / "out", root=tmp_path, workers=1)
    locations = {row.source.location for row in read_manifest(tmp_path / "out").rows}
    assert "in/deep/plain.mp4" in locations
    assert not any(location.startswith(("/", "..")) for location in locations)


def test_nothing_to_do_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("x")
    with pytest.raises(InputError, match="no media file"):
        curate([str(tmp_path / "in")], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="expected a folder"):
        curate([str(tmp_path / "in")], tmp_path / "in/a.txt")
    with pytest.raises(InputError, match="at least one"):
        curate([], tmp_path / "out")


def test_an_ffmpeg_that_is_not_there_is_said(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_FFMPEG", str(tmp_path / "none"))
    clip_files.tools.cache_clear()
    with pytest.raises(InputError, match="THEVAL_FFMPEG"):
        curate([str(folder)], tmp_path / "out", workers=1)
    clip_files.tools.cache_clear()


def test_stills_are_clips_of_one_frame(tmp_path):
    (tmp_path / "in").mkdir()
    picture = Image.fromarray(np.arange(120 * 160 * 3, dtype=np.uint8).reshape(120, 160, 3))
    kinds = (".png", ".jpg", ".JPEG", ".webp", ".bmp")
    for number, suffix in enumerate(kinds):
        picture.save(tmp_path / f"in/still{number}{suffix}")
    (tmp_path / "in/broken.png").write_bytes(b"x")
    report = curate([str(tmp_path / "in")], tmp_path / "out", workers=1)
    manifest = read_manifest(tmp_path / "out")
    assert report.reasons == {"not-media": 1}
    assert len(manifest) == len(kinds)
    for row in manifest.rows:
        assert (row.media.n_frames, row.media.width, row.media.height) == (1, 160, 120)
        assert (row.audio, row.reference_time) == (None, 0.0)
        assert manifest.file(row).is_file()


def test_a_torn_journal_does_not_stop_the_next_run(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".curate.jsonl").write_text('{"clip_id": "deep/pl')
    assert curate([str(folder)], out, workers=1).kept == len(GOOD)


@pytest.mark.real
def test_the_real_clips(shared_data, tmp_path):
    media = shared_data / "media"
    report = curate([str(media)], tmp_path / "out", workers=2)
    manifest = read_manifest(tmp_path / "out")
    facts = {row.clip_id: row.media for row in manifest.rows}
    stills = [name for name in facts if name.startswith("portraits/")]
    assert (len(manifest), len(stills)) == (49, 14)
    assert all(facts[name].n_frames == 1 for name in stills)
    assert report.reasons == {"no-video": 12}  # the files of sound alone
    assert report.skipped == {".rttm": 3, ".tsv": 1}
    files = [path for path in media.rglob("*") if path.is_file()]
    total = len(manifest) + len(report.rejected) + sum(report.skipped.values())
    assert total == len(files)  # nothing was passed over in silence
    assert report.exit_code == 0
    assert facts["single/vexpress_rdradio10"].n_frames == 61
    assert facts["single/derived_d20_rotated90"].rotation == 90
    assert facts["single/derived_katiehill_vfr"].variable_rate
    assert facts["negative/workshop_lookdown_noaudio"].audio_codec is None
