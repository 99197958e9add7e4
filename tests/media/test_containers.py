"""Single frames equal those of a sequential pass, in every container and codec that ffmpeg writes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets.media import frame_index, open_video, probe, read_frames, sample_frames

_H264 = ["libx264", "-preset", "ultrafast", "-bf", "2"]
CODECS: dict[str, list[str]] = {
    "h264-g25": [*_H264, "-g", "25"],
    "h264-g250": [*_H264, "-g", "250"],
    "h264-open": ["libx264", "-preset", "veryfast", "-bf", "2", "-g", "12", "-x264-params", "open-gop=1"],
    "hevc": ["libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=20"],
    "mpeg2": ["mpeg2video", "-bf", "2", "-g", "12", "-b:v", "1M"],
    "mpeg4": ["mpeg4", "-bf", "2", "-g", "12", "-b:v", "1M"],
    "vp9": ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "20", "-b:v", "300k"],
    "av1": ["libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "20", "-b:v", "300k"],
    "prores": ["prores_ks"],
    "ffv1": ["ffv1"],
    "mjpeg": ["mjpeg", "-pix_fmt", "yuvj420p"],
    "theora": ["libtheora", "-g", "12"],
    "wmv2": ["wmv2", "-g", "12"],
    "flv1": ["flv1", "-g", "12"],
    "h263": ["h263", "-g", "12"],
}  # fmt: skip
CONTAINERS: dict[str, tuple[str, ...]] = {
    "mp4": ("h264-g25", "h264-g250", "h264-open", "hevc", "mpeg2", "mpeg4", "vp9", "av1"),
    "mov": ("h264-g25", "hevc", "mpeg2", "mpeg4", "prores", "mjpeg"),
    "mkv": ("h264-g25", "h264-g250", "h264-open", "hevc", "mpeg2", "mpeg4", "vp9", "av1", "prores",
            "ffv1", "mjpeg", "theora"),
    "webm": ("vp9", "av1"),
    "ts": ("h264-g25", "h264-g250", "h264-open", "hevc", "mpeg2"),
    "mpg": ("mpeg2",),
    "vob": ("mpeg2", "h264-g25"),
    "flv": ("h264-g25", "flv1"),
    "avi": ("h264-g25", "mpeg2", "mpeg4", "mjpeg", "ffv1"),
    "ogv": ("theora",),
    "wmv": ("wmv2", "h264-g25", "mpeg4"),
    "3gp": ("h264-g25", "mpeg4", "h263"),
}  # fmt: skip
CASES = [(suffix, codec) for suffix, codecs in CONTAINERS.items() for codec in codecs]
QUICK = [
    ("mp4", "h264-open"),
    ("ts", "h264-g25"),
    ("mpg", "mpeg2"),
    ("avi", "mpeg4"),
    ("flv", "h264-g25"),
]
SIZE = "176x144"


def made(folder: Path, suffix: str, codec: str) -> Path:
    path = folder / f"{codec}.{suffix}"
    picture = f"testsrc2=size={SIZE}:rate=25:duration=3"
    sound = "sine=frequency=440:sample_rate=48000:duration=3"
    heard = {"ogv": "libvorbis", "webm": "libopus", "wmv": "wmav2", "flv": "libmp3lame"}
    codec_options = CODECS[codec] if "-pix_fmt" in CODECS[codec] or codec == "prores" else [
        *CODECS[codec], "-pix_fmt", "yuv420p"
    ]  # fmt: skip
    rate = ["-ar", "44100"] if suffix in ("flv", "3gp") else []
    mux = ["-strict", "-2"]
    ffmpeg(
        "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-c:v", *codec_options,
        "-c:a", heard.get(suffix, "mp2" if suffix in ("mpg", "vob") else "aac"), *rate, *mux, path,
    )  # fmt: skip
    return path


def check(path: Path) -> None:
    with open_video(path) as video:
        batches = list(video.frames())
        problem = video.problem
    times = np.concatenate([b.times for b in batches])
    pixels = list(itertools.chain.from_iterable(b.pixels for b in batches))
    index = frame_index(path)
    assert problem is None
    assert index.seekable == (path.suffix in (".mp4", ".mov", ".mkv", ".webm", ".3gp"))
    assert len(times) == len(index.times) == probe(path).n_frames
    assert 70 <= len(times) <= 76
    assert index.times == pytest.approx(times, abs=1e-6)
    for wanted in ([0], [len(times) - 1], [31], [7, 30, 31, 60], [60, 31, 7, 31]):
        found = read_frames(path, wanted, index)
        for i, frame in zip(wanted, found.pixels, strict=True):
            assert (frame == pixels[i]).all(), f"frame {i}"
    sampled = list(sample_frames(path, 2.0))
    chosen = np.concatenate([b.indices for b in sampled]).tolist()
    assert chosen == index.pick(2.0).tolist()
    pictures = itertools.chain.from_iterable(b.pixels for b in sampled)
    assert all((pixels[i] == frame).all() for i, frame in zip(chosen, pictures, strict=True))


@pytest.mark.parametrize(("suffix", "codec"), QUICK)
def test_single_frames_of_common_kinds(tmp_path, suffix, codec):
    check(made(tmp_path, suffix, codec))


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "codec"), [case for case in CASES if case not in QUICK])
def test_single_frames_of_every_kind(tmp_path, suffix, codec):
    check(made(tmp_path, suffix, codec))
