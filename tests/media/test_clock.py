"""Picture and sound count from one second 0: the first frame that decodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from media_factory import ffmpeg

import theval_datasets as td
from theval_datasets.curation.clips.audio_tracks import write_original
from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.media import frame_index, open_video, probe, read_audio, timeline
from theval_datasets.media.frames import SAMPLE_RATE

_FLASH = "drawbox=color=white:t=fill:enable='gte(t,2.999)*lt(t,3.199)'"
_PICTURE = f"testsrc2=size=160x120:rate=25:duration=6,{_FLASH}"
_SOUND = "aevalsrc='0.002*(random(0)-0.5)+0.5*gte(t,3)*lt(t,3.2)*sin(2*PI*1000*t)':s=48000:d=6"
KINDS = {
    "ts-h264": (["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30"], "aac", ".ts"),
    "ts-open": (
        ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-x264-params", "open-gop=1"],
        "aac",
        ".ts",
    ),
    "ts-mpeg2": (["-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-b:v", "1M"], "mp2", ".ts"),
    "ts-hevc": (
        ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=30"],
        "aac",
        ".ts",
    ),
    "ps-mpeg2": (["-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-b:v", "1M"], "mp2", ".mpg"),
}  # fmt: skip
KEPT_AS = {"video": ".video", "audio": ".wav"}
PACKET = {".ts": 188, ".mpg": 2048}


@pytest.fixture(scope="module", params=KINDS)
def joined(request, tmp_path_factory) -> Path:
    """A stream that somebody joined in the middle of a group of pictures: its first 15 % are gone."""
    picture, sound, suffix = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    whole = folder / f"whole{suffix}"
    ffmpeg("-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", _SOUND, *picture,
           "-pix_fmt", "yuv420p", "-c:a", sound, "-b:a", "96k", whole)  # fmt: skip
    data = whole.read_bytes()
    size = PACKET[suffix]
    path = folder / f"joined{suffix}"
    path.write_bytes(data[int(len(data) * 0.15) // size * size :])
    return path


def flash(path: Path) -> float:
    with open_video(path) as video:
        for batch in video.frames():
            for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
                if frame.mean() > 240:
                    return time
    raise AssertionError("no flash")


def beep(path: Path) -> float:
    audio = read_audio(path)
    loud = np.flatnonzero(np.abs(audio.samples) > 0.2)
    return audio.start + loud[0] / SAMPLE_RATE


def test_flash_and_beep_coincide(joined):
    assert beep(joined) == pytest.approx(flash(joined), abs=0.02)


def test_facts_count_the_frames_that_decode(joined):
    with open_video(joined) as video:
        times = np.concatenate([batch.times for batch in video.frames(pixels=False)])
    facts = probe(joined)
    assert facts.n_frames == len(times) == len(frame_index(joined).times)
    assert frame_index(joined).times == pytest.approx(times, abs=1e-6)
    line = timeline(joined)
    assert facts.audio_start == line.audio_start
    assert facts.truncated is None  # nothing is missing at the end
    assert line.origin > line.begin  # the sound of this stream begins before its picture


@pytest.mark.parametrize(("begin", "end"), [(0, 90), (10, 80), (26, 100)])
def test_cutting_keeps_them_together(joined, tmp_path, begin, end):
    index = frame_index(joined)
    piece = Piece(float(index.times[begin]), float(index.times[end]))
    target = tmp_path / "clip.mp4"
    facts = cut(joined, piece, target, Encoding(preset="ultrafast"))
    assert facts.n_frames == end - begin
    assert flash(target) == pytest.approx(flash(joined) - piece.start, abs=0.001)
    assert beep(target) == pytest.approx(flash(target), abs=0.02)


def test_a_dataset_keeps_them_together(joined, tmp_path):
    """The config `media` holds the file as it is, and its sound from the first frame that decodes."""
    work = tmp_path / "work"
    td.curate([str(joined)], work, recipe="as-is", root=joined.parent)
    report = td.build(
        "clips", tmp_path / "out", repository="me/joined", manifest=work, configs=("media",),
        cache=tmp_path / "cache",
    )  # fmt: skip
    (table,) = report.release.folder.rglob("media/*.parquet")
    (row,) = pq.read_table(table).to_pylist()
    stored = {name: tmp_path / f"stored{kind}" for name, kind in KEPT_AS.items()}
    for name, path in stored.items():
        path.write_bytes(row[name]["bytes"])
    assert beep(stored["audio"]) == pytest.approx(flash(stored["video"]), abs=0.02)


def test_an_open_group_of_pictures_counts_what_is_shown(tmp_path):
    """The B frames before the first I frame of a cut stream do not decode."""
    whole = tmp_path / "whole.mp4"
    ffmpeg("-f", "lavfi", "-i", _PICTURE, "-c:v", "libx264", "-preset", "veryfast", "-bf", "2",
           "-g", "25", "-x264-params", "open-gop=1:scenecut=0", "-pix_fmt", "yuv420p", whole)  # fmt: skip
    path = tmp_path / "cut.mkv"
    ffmpeg("-ss", "1.5", "-i", whole, "-c", "copy", "-copyts", path)
    with open_video(path) as video:
        count = sum(len(batch) for batch in video.frames(pixels=False))
    assert probe(path).n_frames == count == len(frame_index(path).times)


@pytest.mark.parametrize("lost", [1, 2, 4, 8])
def test_lost_packets_of_sound_do_not_shift_what_follows(tmp_path, lost):
    """Each packet of AAC is 21 ms of sound; a gap of any of these lengths becomes silence."""
    import av

    whole, path = tmp_path / "whole.mkv", tmp_path / "lossy.mkv"
    ffmpeg("-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", _SOUND, "-c:v", "libx264", "-preset",
           "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", whole)  # fmt: skip
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        count = 0
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                count += 1
                if 40 <= count < 40 + lost:
                    continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    assert beep(path) == pytest.approx(flash(path), abs=0.02)
    index = frame_index(path)
    for begin in (0, 10):  # the gap is at 0.8 s
        target_clip = tmp_path / f"{begin}.mp4"
        cut(path, Piece(float(index.times[begin]), float(index.times[100])), target_clip,
            Encoding(preset="ultrafast"))  # fmt: skip
        assert beep(target_clip) == pytest.approx(flash(target_clip), abs=0.02)


def test_a_first_packet_far_from_the_second_does_not_shift_what_follows(tmp_path):
    """In a fragmented MP4 without edit lists the priming of the sound lies before its gap."""
    path = tmp_path / "fragmented.mp4"
    ffmpeg("-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", _SOUND, "-c:v", "libx264", "-preset",
           "veryfast", "-bf", "2", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k",
           "-movflags", "frag_keyframe+empty_moov+default_base_moof", path)  # fmt: skip
    assert beep(path) == pytest.approx(flash(path), abs=0.02)


def test_a_later_segment_of_a_stream_is_whole(tmp_path):
    """A fragment states the time of its end on the clock of the whole stream, not its length."""
    ffmpeg("-f", "lavfi", "-i", _PICTURE, "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt",
           "yuv420p", "-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4", tmp_path / "a.m3u8")  # fmt: skip
    for number in range(3):
        path = tmp_path / f"{number}.mp4"
        data = (tmp_path / "init.mp4").read_bytes() + (tmp_path / f"a{number}.m4s").read_bytes()
        path.write_bytes(data)
        facts = probe(path)
        assert (facts.n_frames, facts.truncated) == (50, None)
        path.write_bytes(data[: len(data) * 2 // 3])
        assert number or "truncated" in str(probe(path).truncated)


@pytest.fixture(scope="module")
def source_of_edits(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("edits") / "whole.mp4"
    ffmpeg("-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", _SOUND, "-c:v", "libx264", "-bf", "2", "-g", "50",
           "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", path)  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("start", "early"), [(0.68, 0), (0.69, 0.03), (0.7, 0.02), (0.71, 0.01), (0.72, 0)]
)
def test_an_edit_list_that_begins_within_a_frame(source_of_edits, tmp_path, start, early):
    """Cut by stream copy: FFmpeg shows the first whole frame at once, which is due up to 40 ms later."""
    path = tmp_path / "edited.mp4"
    ffmpeg("-ss", str(start), "-i", source_of_edits, "-c", "copy", path)
    assert timeline(path).early == pytest.approx(early, abs=0.001)
    assert beep(path) == pytest.approx(flash(path), abs=0.002)
    index = frame_index(path)
    target = tmp_path / "clip.mp4"
    for begin in (0, 30):
        piece = Piece(float(index.times[begin]), float(index.times[100]))
        cut(path, piece, target, Encoding(preset="ultrafast"))
        assert flash(target) == pytest.approx(flash(path) - piece.start, abs=0.001)
        assert beep(target) == pytest.approx(flash(target), abs=0.002)
    original = tmp_path / "sound.flac"
    assert write_original(path, 1.0, 4.0, original)
    assert beep(original) == pytest.approx(flash(path) - 1.0, abs=0.002)
