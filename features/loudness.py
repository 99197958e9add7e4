"""Loudness of the audio at each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FrameRequest, Frames
from theval_datasets.utils.spool import blocks

WINDOW: Final = 0.05
"""Length of the window of a frame's loudness, in seconds."""


@dataclass(frozen=True)
class Loudness(Extractor):
    """Root mean square of 50 ms of audio centred on each frame's time.

    A frame outside the audio's extent has no value (`heard` is False). At the ends of the audio the window
    is shortened.
    """

    name: ClassVar[str] = "loudness"
    source: ClassVar[str] = "THEval, appendix B.3, equation 33"
    writes: ClassVar[tuple[Column, ...]] = (
        Column("heard", "bool", ("frame",), "Whether there is audio at the frame's time."),
        Column(
            "rms",
            "float32",
            ("heard",),
            "RMS of the sound over 50 ms around each frame.",
            unit="full scale",
            low=0,
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """Frame times only."""
        return FrameRequest(pixels=False)

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def open(self, clip: ClipInputs, model: Any) -> _TimeCollector:
        """Start collecting times."""
        return _TimeCollector(clip)


class _TimeCollector:
    def __init__(self, clip: ClipInputs) -> None:
        self._clip = clip
        self._times: list[float] = []

    def update(self, batch: Frames) -> None:
        self._times.extend(batch.times.tolist())

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        audio = self._clip.audio()
        times = np.array(self._times)
        has_sound = (times >= audio.start) & (times < audio.end)
        rms = rms_at(audio, times[has_sound]).astype(np.float32)
        return {"heard": has_sound, "rms": rms}, {}


def rms_at(audio: Audio, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """RMS of the audio over `WINDOW` seconds centred on each time.

    Args:
        audio: Mono audio at 16 kHz.
        times: (n,): times in seconds, within the audio's extent.

    Returns:
        (n,): RMS relative to full scale, 0 to 1.

    Examples:
        >>> audio = Audio(np.full(16_000, 0.5, np.float32))
        >>> rms_at(audio, np.array([0.2, 0.4])).tolist()
        [0.5, 0.5]
    """
    centre = (times - audio.start) * SAMPLE_RATE
    half = WINDOW * SAMPLE_RATE / 2
    last = len(audio.samples)
    begin = np.clip(np.rint(centre - half), 0, max(0, last - 1)).astype(np.int64)
    end = np.clip(np.rint(centre + half), begin + 1, last).astype(np.int64)
    energy = _energy_until(audio, np.concatenate((begin, end)))
    energy_of_frame = energy[len(begin) :] - energy[: len(begin)]
    mean: npt.NDArray[np.float64] = np.maximum(energy_of_frame, 0.0) / (end - begin)
    return np.sqrt(mean)


def _energy_until(audio: Audio, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Sum of the squared samples before each of some samples, (n,), added up one after another."""
    sums = np.zeros(len(ends))
    passed, total = 0, 0.0
    for block in blocks(audio.samples):
        energy = np.cumsum(np.concatenate(([total], block.astype(np.float64) ** 2)))
        inside = (ends > passed) & (ends <= passed + len(block))
        sums[inside] = energy[ends[inside] - passed]
        passed, total = passed + len(block), float(energy[-1])
    return sums
