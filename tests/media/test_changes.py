"""Streams whose parameters change on the way, as after joining files by stream copy."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.runner import Runner
from theval_datasets.features.shots import Shots
from theval_datasets.media import frame_index, open_video, probe, read_audio, read_frames
from theval_datasets.utils.files import sha256_file

_X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "12"]
_BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
_BT601 = ["-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"]
HALVES = {
    "colours": (("160x120", "", _BT709, "48000"), ("160x120", "", _BT601, "48000")),
    "size": (("160x120", "", [], "48000"), ("320x240", "", [], "48000")),
    "aspect": (("160x120", "", [], "48000"), ("160x120", ",setsar=4/3", [], "48000")),
    "sound": (("160x120", "", [], "48000"), ("160x120", "", [], "32000")),
}


def join(folder: Path, name: str) -> Path:
    """Two halves of 2 s, one after the other in one transport stream."""
    parts = []
    for number, (size, filters, tags, rate) in enumerate(HALVES[name]):
        part = folder / f"{name}-{number}.ts"
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=2{filters}",
               "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate}:duration=2",
               *_X264, *tags, "-c:a", "aac", "-output_ts_offset", str(2 * number),
               "-muxdelay", "0", part)  # fmt: skip
        parts.append(part)
    path = folder / f"{name}.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.fixture(scope="module", params=HALVES)
def joined(request, tmp_path_factory) -> tuple[str, Path]:
    return request.param, join(tmp_path_factory.mktemp(request.param), request.param)


def test_every_frame_is_read_in_the_size_of_the_first(joined):
    name, path = joined
    with open_video(path) as video:
        frames = list(itertools.chain.from_iterable(batch.pixels for batch in video.frames()))
        problem = video.problem
    assert len(frames) == probe(path).n_frames == 100
    assert {frame.shape for frame in frames} == {(120, 160, 3)}
    assert ("size changes at 1.9" in str(problem)) == (name == "size")


def test_a_cut_across_the_change_has_every_frame(joined, tmp_path):
    _, path = joined
    index = frame_index(path)
    for begin, end in ((0, 90), (30, 80)):
        target = tmp_path / f"{begin}.mp4"
        piece = Piece(float(index.times[begin]), float(index.times[end]))
        facts = cut(path, piece, target, Encoding(preset="ultrafast"))
        assert facts.n_frames == end - begin
        assert facts.duration == pytest.approx(piece.end - piece.start, abs=0.001)
        audio = read_audio(target)
        for at in np.arange(0.1, facts.duration - 0.1, 0.1):
            some = audio.samples[int((at - audio.start) * audio.rate) :][: audio.rate // 20]
            assert np.abs(some).max() > 0.05, at
        assert facts.audio_duration == pytest.approx(facts.duration, abs=0.08)


def test_a_change_of_size_ends_a_shot(joined, tmp_path):
    name, path = joined
    runner = Runner(Plan((Shots(),), str(tmp_path / "cache")))
    sha256 = sha256_file(path)
    runner.process(ClipJob("clip", str(path), sha256))
    feature = runner.store.read("shots", sha256)
    assert feature is not None
    assert (50 in feature.values["begin"].tolist()) == (name == "size")


def test_sound_goes_on_after_a_change_of_rate(joined):
    _, path = joined
    audio = read_audio(path)
    assert audio.end == pytest.approx(4.0, abs=0.1)
    for begin in (0.5, 1.5, 2.5, 3.5):
        some = audio.samples[int((begin - audio.start) * audio.rate) :][:1600]
        assert np.abs(some).max() > 0.05


_VOICE = {
    "mono": "0.5*sin(2*PI*440*t)",
    "stereo": "0.5*sin(2*PI*440*t)|0.5*sin(2*PI*440*t)",
    "5.1": "0|0|0.5*sin(2*PI*440*t)|0|0|0",
    "antiphase": "0.25*sin(2*PI*440*t)|0.25*sin(2*PI*440*t)|0.5*sin(2*PI*440*t)|0|"
    "-0.5*sin(2*PI*440*t)|-0.5*sin(2*PI*440*t)",
}
"""The same tone in the channels of a layout; in 5.1 in the centre alone."""
_CENTRE = 20 * np.log10(np.sqrt(0.5))


@pytest.mark.parametrize(
    ("first", "second", "levels"),
    [
        ("mono", "5.1", (0, _CENTRE)),
        ("5.1", "mono", (_CENTRE, 0)),
        ("5.1", "stereo", (_CENTRE, 0)),
        ("stereo", "5.1", (0, _CENTRE)),
        ("stereo", "mono", (0, 0)),
        ("antiphase", "mono", (0, 0)),
        ("antiphase", "stereo", (0, 0)),
    ],
)
def test_each_part_is_mixed_by_its_own_channels(tmp_path, first, second, levels):
    """Levels in dB of the halves of a stream whose number of channels changes."""
    data = b""
    for number, name in enumerate((first, second)):
        part = tmp_path / f"{number}.ts"
        layout = "5.1" if name == "antiphase" else name
        ffmpeg("-f", "lavfi", "-i", f"aevalsrc={_VOICE[name]}:c={layout}:s=48000:d=2",
               "-c:a", "ac3", "-center_mixlev", "0.707", "-b:a", "448k",
               "-output_ts_offset", str(2 * number), "-muxdelay", "0", part)  # fmt: skip
        data += part.read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(data)
    audio = read_audio(path)
    assert audio.end == pytest.approx(4, abs=0.1)
    for begin, level in zip((0.4, 2.4), levels, strict=True):
        part = audio.samples[int(begin * audio.rate) : int((begin + 1.2) * audio.rate)]
        assert 20 * np.log10(part.std() * np.sqrt(2) / 0.5) == pytest.approx(level, abs=0.1)


def test_timestamps_that_jump_back_are_remarked_on(tmp_path):
    """Two files of 2 s, joined without new timestamps: the second one is not used, and it is said."""
    part = tmp_path / "part.ts"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=2", *_X264, part)
    path = tmp_path / "twice.ts"
    path.write_bytes(part.read_bytes() * 2)
    with open_video(path) as video:
        count = sum(len(batch) for batch in video.frames(pixels=False))
        problem = video.problem
    assert count == 50 == probe(path).n_frames
    assert "timestamps stop increasing" in str(problem)
    assert "timestamps stop increasing" in str(probe(path).truncated)


_SIZES = {
    "larger": ("160x120", "320x240"),
    "smaller": ("320x240", "160x120"),
    "other-shape": ("160x120", "120x160"),
}


@pytest.fixture(scope="module", params=_SIZES)
def resized(request, tmp_path_factory) -> Path:
    """Two halves of different sizes in one file that can be sought in."""
    folder = tmp_path_factory.mktemp(request.param)
    listing = folder / "list.txt"
    for number, size in enumerate(_SIZES[request.param]):
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=2", *_X264,
               "-bsf:v", "dump_extra", folder / f"{number}.mkv")  # fmt: skip
    listing.write_text("".join(f"file '{folder / f'{number}.mkv'}'\n" for number in range(2)))
    path = folder / "joined.mkv"
    ffmpeg("-f", "concat", "-safe", "0", "-i", listing, "-c", "copy", path)
    return path


@pytest.fixture(scope="module", params=["smaller", "larger"])
def resized_photographs(request, tmp_path_factory) -> Path:
    """Two halves of Motion JPEG, whose decoder may take a first picture that is too low for a field."""
    folder = tmp_path_factory.mktemp(request.param)
    for number, size in enumerate(_SIZES[request.param]):
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=1", "-c:v", "mjpeg", "-q:v", "3",
               folder / f"{number}.mkv")  # fmt: skip
    listing = folder / "list.txt"
    listing.write_text("".join(f"file '{folder / f'{number}.mkv'}'\n" for number in range(2)))
    ffmpeg("-f", "concat", "-safe", "0", "-i", listing, "-c", "copy", folder / "joined.mkv")
    return folder / "joined.mkv"


def test_single_pictures_of_another_size_are_those_of_a_pass_and_of_ffmpeg(resized_photographs):
    with open_video(resized_photographs) as video:
        width, height = video.size
        frames = list(itertools.chain.from_iterable(batch.pixels for batch in video.frames()))
    index = frame_index(resized_photographs)
    for wanted in ([3], [25], [40], [20, 30]):
        found = read_frames(resized_photographs, wanted, index).pixels
        assert all((one == frames[i]).all() for i, one in zip(wanted, found, strict=True))
    raw = resized_photographs.with_suffix(".rgb")
    ffmpeg("-i", resized_photographs, "-f", "rawvideo", "-pix_fmt", "rgb24", raw)
    theirs = np.fromfile(raw, np.uint8).reshape(-1, height, width, 3)
    assert len(theirs) == len(frames) == 50
    assert np.abs(np.array(frames).astype(int) - theirs).mean() < 0.1


@pytest.mark.parametrize("crop", [None, (20, 10, 80, 60)])
@pytest.mark.parametrize(("begin", "end"), [(20, 80), (50, 70), (60, 90)])
def test_a_cut_shows_what_is_read_wherever_the_size_changes(resized, tmp_path, begin, end, crop):
    """Before, across and after the change: the region is that of the picture as it is read."""
    index = frame_index(resized)
    source = read_frames(resized, range(begin, end), index).pixels
    piece = Piece(float(index.times[begin]), float(index.times[end]), crop)
    facts = cut(resized, piece, tmp_path / "cut.mp4", Encoding(crf=3, preset="ultrafast"))
    assert facts.n_frames == end - begin
    assert facts.pixel_aspect is None
    made = read_frames(tmp_path / "cut.mp4", range(end - begin)).pixels
    for ours, theirs in zip(made, source, strict=True):
        wanted = theirs if crop is None else theirs[10:70, 20:100]
        assert ours.shape == wanted.shape
        assert np.abs(ours.astype(int) - wanted).mean() < 8


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory) -> Path:
    """Two halves of a stream, the second of which begins 120 ms before the end of the first."""
    folder = tmp_path_factory.mktemp("overlapping")
    data = b""
    for number, colours in enumerate(("testsrc2", "testsrc")):
        ffmpeg("-f", "lavfi", "-i", f"{colours}=size=160x120:rate=25:duration=2", *_X264,
               "-output_ts_offset", str(1.88 * number), "-muxdelay", "0", folder / f"{number}.ts")  # fmt: skip
        data += (folder / f"{number}.ts").read_bytes()
    path = folder / "joined.ts"
    path.write_bytes(data)
    return path


def test_single_frames_are_those_of_a_pass_where_timestamps_jump_back(overlapping):
    with open_video(overlapping) as video:
        frames = list(itertools.chain.from_iterable(batch.pixels for batch in video.frames()))
    index = frame_index(overlapping)
    assert len(frames) == len(index.times) == probe(overlapping).n_frames == 97
    for wanted in ([48], [46, 47, 48, 49, 50, 51, 96]):
        found = read_frames(overlapping, wanted, index).pixels
        assert all((one == frames[i]).all() for i, one in zip(wanted, found, strict=True))


def test_a_cut_across_a_jump_back_has_the_frames_that_are_read(overlapping, tmp_path):
    index = frame_index(overlapping)
    for begin, end in ((0, 90), (30, 80)):
        piece = Piece(float(index.times[begin]), float(index.times[end]))
        facts = cut(overlapping, piece, tmp_path / "cut.mp4", Encoding(crf=3, preset="ultrafast"))
        assert facts.n_frames == end - begin
        made = read_frames(tmp_path / "cut.mp4", range(end - begin)).pixels
        source = read_frames(overlapping, range(begin, end), index).pixels
        assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(made, source, strict=True)) < 5
