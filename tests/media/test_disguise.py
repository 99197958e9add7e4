"""A file that one demuxer takes for a video and another for a playlist of somebody else's files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from media_factory import ffmpeg
from PIL import Image

from theval_datasets.commands.curate import curate
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.runner import Runner
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.media import frame_index, open_video, read_frames, sample_frames
from theval_datasets.utils.files import sha256_file


@pytest.fixture(scope="module")
def disguised(tmp_path_factory) -> Path:
    """An MP4 by name: an HLS playlist that names a white video elsewhere, then a dark transport stream."""
    folder = tmp_path_factory.mktemp("disguise")
    for name, colour in (("secret", "white"), ("dark", "0x202020")):
        ffmpeg("-f", "lavfi", "-i", f"color={colour}:size=160x120:rate=25:duration=2",
               "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
               folder / f"{name}.ts")  # fmt: skip
    secret = folder / "outside" / "secret.ts"
    secret.parent.mkdir()
    (folder / "secret.ts").rename(secret)
    playlist = (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
        f"#EXTINF:2.0,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    ).encode()
    playlist += b"\n" * (-len(playlist) % 188)
    path = folder / "media" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(playlist + (folder / "dark.ts").read_bytes())
    return path


def brightest(frames) -> float:
    return max((float(np.mean(one)) for batch in frames for one in batch.pixels), default=0.0)


def test_decord_itself_would_open_the_other_file(disguised):
    """Why decord reads nothing that was not made here; if this fails it may be trusted again."""
    decord = pytest.importorskip("decord")
    reader = decord.VideoReader(str(disguised))
    assert reader[0].asnumpy().mean() > 200


def test_no_way_of_reading_shows_the_other_file(disguised):
    with open_video(disguised) as video:
        assert 10 < brightest(video.frames()) < 80
    index = frame_index(disguised)
    assert 10 < brightest([read_frames(disguised, [0, len(index.times) // 2], index)]) < 80
    assert 10 < brightest(sample_frames(disguised, 2.0)) < 80


def test_nothing_that_is_made_of_it_shows_the_other_file(disguised, tmp_path):
    plan = Plan((Fingerprints(),), str(tmp_path / "cache"))
    Runner(plan).process(ClipJob("clip", str(disguised), sha256_file(disguised)))
    curate([str(disguised.parent)], tmp_path / "work", cache=str(tmp_path / "cache"), workers=1)
    rows = (tmp_path / "work" / "manifest.jsonl").read_text("utf-8").splitlines()
    assert rows
    for row in map(json.loads, rows):
        frame = np.asarray(Image.open(tmp_path / "work" / row["reference_frame"]))
        assert frame.mean() < 80
