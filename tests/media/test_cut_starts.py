"""A cut begins with the frame that was asked for, wherever that lies among the keyframes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.media import frame_index, open_video, probe, read_frames

_OPEN = "keyint=24:min-keyint=24:scenecut=0:open-gop=1:bframes=3:b-adapt=0"
CODECS = {
    "h264-open": ["libx264", "-preset", "veryfast", "-x264-params", _OPEN],
    "h264-closed": ["libx264", "-preset", "veryfast", "-x264-params", _OPEN.replace("gop=1", "gop=0")],
    "hevc-open": ["libx265", "-preset", "veryfast", "-x265-params", f"log-level=none:{_OPEN}"],
    "mpeg4": ["mpeg4", "-bf", "2", "-g", "24", "-b:v", "1M"],
    "mpeg2": ["mpeg2video", "-bf", "2", "-g", "24", "-b:v", "2M"],
}  # fmt: skip


def frames_of(path: Path) -> np.ndarray:
    with open_video(path) as video:
        batches = [batch.pixels for batch in video.frames()]
    return np.array(list(itertools.chain.from_iterable(batches)), np.int16)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_cut_begins_with_its_frame(tmp_path, codec, suffix):
    """Frames just before a keyframe may be decoded after it, so that a seek to their time misses them."""
    path = tmp_path / f"a{suffix}"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=3", "-c:v", *CODECS[codec],
           "-pix_fmt", "yuv420p", path)  # fmt: skip
    frames, index = frames_of(path), frame_index(path)
    key = int(np.flatnonzero(index.keyframes)[1])
    for begin in (key - 2, key - 1, key):
        piece = Piece(float(index.times[begin]), float(index.times[begin + 5]))
        cut(path, piece, tmp_path / "cut.mp4", Encoding(crf=3, preset="ultrafast"))
        nearest = [
            int(np.abs(frames - one).mean(axis=(1, 2, 3)).argmin())
            for one in frames_of(tmp_path / "cut.mp4")
        ]
        assert nearest == list(range(begin, begin + 5))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".h264", "h264-open"), (".hevc", "hevc-open"), (".m2v", "mpeg2"), (".m4v", "mpeg4")],
)
def test_elementary_streams_are_read_and_cut(tmp_path, suffix, codec):
    """They have no container; their packets have no times, or not those of their frames."""
    path = tmp_path / f"a{suffix}"
    form = {".m4v": "m4v", ".m2v": "mpeg2video"}.get(suffix, suffix[1:])
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=2", "-c:v", *CODECS[codec],
           "-pix_fmt", "yuv420p", "-f", form, path)  # fmt: skip
    frames, index = frames_of(path), frame_index(path)
    facts = probe(path)
    assert len(frames) == len(index.times) == facts.n_frames == 50
    assert facts.duration == pytest.approx(2.0, abs=0.001)
    for i in (0, 7, 49):
        assert (read_frames(path, [i], index).pixels[0] == frames[i]).all()
    for begin in (0, 1, 23, 30):
        piece = Piece(float(index.times[begin]), float(index.times[begin + 5]))
        cut(path, piece, tmp_path / "cut.mp4", Encoding(crf=3, preset="ultrafast"))
        made = frames_of(tmp_path / "cut.mp4")
        nearest = [int(np.abs(frames - one).mean(axis=(1, 2, 3)).argmin()) for one in made]
        assert nearest == list(range(begin, begin + 5))
