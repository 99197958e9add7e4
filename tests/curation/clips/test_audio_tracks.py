"""Sound in its original rate, cut where a frame of the codec nearly ends."""

from __future__ import annotations

import numpy as np
import pytest
from media_factory import ffmpeg

from theval_datasets import media as reading
from theval_datasets.curation.clips.audio_tracks import write_original


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Two seconds of noise with a picture, by the codec of the sound."""

    def record(codec):
        path = folder / f"{codec}.mkv"
        if not path.exists():
            picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2"]
            sound = ["-f", "lavfi", "-i", "anoisesrc=d=2:a=0.3:seed=1:r=48000"]
            ffmpeg(*picture, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", codec, path)
        return path

    folder = tmp_path_factory.mktemp("recorded")
    return record


def samples(path):
    return reading.read_audio(path, rate=48_000, aligned=False).samples


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "flac", "pcm_s16le"])
def test_any_number_of_samples_may_be_left_of_the_first_frame(recorded, tmp_path, codec):
    """FLAC has no blocks of fewer than 16 samples; the first frame of a cut has any number."""
    source = recorded(codec)
    length = {"libmp3lame": 1152, "flac": 4608}.get(codec, 1024)
    cuts = {}
    for left in (0, 1, 2, 15, 16, 17):
        start = (8 * length - left) / 48_000
        target = tmp_path / f"{left}.flac"
        assert write_original(source, start, start + 0.5, target)
        cuts[left] = samples(target)
        assert abs(len(cuts[left]) - 24_000) <= 1, left
        apart = [np.abs(cuts[left][left + by :][:9000] - cuts[0][1:][:9000]) for by in (0, 1, 2)]
        assert min(values.max() for values in apart) < 1e-4, left  # times are rounded
