"""Which frames of a clip the windows of `vst` hold, without a network."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.errors import InputError
from theval_datasets.features import vst
from theval_datasets.features.vst import LENGTH, STRIDE, Vst, window_starts
from theval_datasets.media.frames import Frames


class Noted:
    """A network that notes the first channel of what it is given."""

    def __init__(self):
        self.windows = []

    def embed(self, frames):
        self.windows.append([int(frame[0, 0, 0]) + 256 * int(frame[0, 0, 1]) for frame in frames])
        return np.array([float(len(self.windows))], np.float32)


def windows_of(n_frames, windows=4, batch=50, monkeypatch=None):
    """Numbers of the frames in each window of a clip, times of the windows, most blocks at once."""
    monkeypatch.setattr(vst, "pictured", lambda frame, view: frame)
    model = Noted()
    accumulator = Vst(windows=windows).open(None, model)
    most = 0
    for begin in range(0, n_frames, batch):
        indices = np.arange(begin, min(begin + batch, n_frames))
        pixels = [np.array([[[i % 256, i // 256, 0]]], np.uint8) for i in indices]
        accumulator.update(Frames(pixels, indices / 25, indices))
        most = max(most, len(accumulator._blocks))
    values, missing = accumulator.finish()
    assert missing == {}
    assert float(values["embedding"][0]) == np.mean(np.arange(len(model.windows)) + 1)
    return model.windows, values["start"], most


def test_windows_lie_in_the_middle_of_equal_parts(monkeypatch):
    # As mmaction's SampleFrames(clip_len=32, frame_interval=2, num_clips=4) does in testing.
    windows, starts, _ = windows_of(325, monkeypatch=monkeypatch)
    strided = 163
    expected = [int((i + 0.5) * (strided - 31) / 4) * STRIDE for i in range(4)]
    assert [window[0] for window in windows] == expected
    assert all(np.diff(window).tolist() == [STRIDE] * (LENGTH - 1) for window in windows)
    assert starts.tolist() == [place / 25 for place in expected]


@pytest.mark.parametrize(
    ("n_frames", "first"), [(1, [0]), (62, [0]), (63, [0]), (64, [0]), (65, [0, 2])]
)
def test_a_short_clip_is_repeated(n_frames, first, monkeypatch):
    windows, _, _ = windows_of(n_frames, monkeypatch=monkeypatch)
    assert [window[0] for window in windows] == first
    there = list(range(0, n_frames, STRIDE))
    if len(first) == 1:
        assert windows[0] == [there[i % len(there)] for i in range(LENGTH)]


@pytest.mark.parametrize("n_frames", [2048, 2049, 2112, 5000, 20_000])
def test_memory_does_not_grow_with_the_clip(n_frames, monkeypatch):
    windows, _, most = windows_of(n_frames, monkeypatch=monkeypatch)
    assert most <= 32
    strided = -(-n_frames // STRIDE)
    blocks = -(-strided // LENGTH)
    off = 0 if blocks <= 32 else blocks / 32 * LENGTH
    assert len(windows) == 4
    for window, ideal in zip(windows, window_starts(strided, 4), strict=True):
        assert abs(window[0] / STRIDE - ideal) <= off
        assert np.diff(window).tolist() == [STRIDE] * (LENGTH - 1)


def test_batches_do_not_matter(monkeypatch):
    assert (
        windows_of(300, batch=7, monkeypatch=monkeypatch)[0]
        == windows_of(300, batch=64, monkeypatch=monkeypatch)[0]
    )


def test_a_window_is_the_least():
    assert Vst(windows=1).windows == 1
    with pytest.raises(InputError, match="at least 1 window"):
        Vst(windows=0)
