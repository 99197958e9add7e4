"""Statistics of speech, and its signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FloatArray
from theval_datasets.utils.spool import Spool, blocks

from .vad import Vad

_LEAST = 0.1  # minimum length of speech and of pauses for a ratio, seconds
_ADDED = 8192  # samples whose squares are added at once, as in numpy's own sum


@dataclass(frozen=True)
class SpeechStats(Extractor):
    """Statistics of the speech segments of `vad`, and the signal-to-noise ratio.

    The ratio is (mean power in speech - mean power in pauses) / mean power in pauses. It is undefined
    without 0.1 s of both, if the pauses are digital silence (`noiseless`), and if speech is not louder than
    the pauses (`no-signal`).
    """

    name: ClassVar[str] = "speech_stats"
    source: ClassVar[str] = "defined by this package"
    writes: ClassVar[tuple[Column, ...]] = (
        Column("speech_ratio", "float64", (), "Share of the audio that is speech.", low=0, high=1),
        Column("speech_seconds", "float64", (), "Total length of speech.", unit="s", low=0),
        Column("n_segments", "int32", (), "Speech segments.", low=0),
        Column(
            "mean_segment",
            "float64",
            (),
            "Mean length of a speech segment.",
            nullable=True,
            unit="s",
            low=0,
        ),
        Column(
            "longest_pause",
            "float64",
            (),
            "Longest time without speech within the audio.",
            unit="s",
            low=0,
        ),
        Column("snr_db", "float64", (), "Signal-to-noise ratio.", nullable=True, unit="dB"),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def needs(self) -> Sequence[Extractor]:
        """The segments."""
        return (Vad(),)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Compute the statistics from segments and track."""
        vad = clip.feature(Vad())
        segments = vad["segments"]
        edges = np.concatenate(([float(vad["start"])], segments.ravel(), [float(vad["end"])]))
        pauses = edges.reshape(-1, 2)
        lengths = segments[:, 1] - segments[:, 0]
        values: Values = {
            "speech_ratio": vad["speech_ratio"],
            "speech_seconds": np.array(lengths.sum()),
            "n_segments": np.array(len(segments), np.int32),
            "longest_pause": np.array((pauses[:, 1] - pauses[:, 0]).max()),
        }
        missing: dict[str, str] = {}
        if len(segments):
            values["mean_segment"] = np.array(lengths.mean())
        else:
            missing["mean_segment"] = "no-speech"
        try:
            values["snr_db"] = np.array(signal_to_noise(clip.audio(), segments))
        except AbsentError as absent:
            missing["snr_db"] = absent.reason
        return values, missing


def signal_to_noise(audio: Audio, segments: npt.NDArray[np.float64]) -> float:
    """Signal-to-noise ratio in dB.

    Args:
        audio: Audio track.
        segments: (n, 2): start and end of speech in seconds, ascending.

    Returns:
        Ratio in dB, of any sign.

    Raises:
        AbsentError: It is undefined: no-speech, no-silence, noiseless or no-signal.

    Examples:
        >>> audio = Audio(np.repeat(np.float32([0.1, 1.0]), 16_000))
        >>> round(signal_to_noise(audio, np.array([[1.0, 2.0]])), 2)
        19.96
    """
    speech = np.zeros(len(audio.samples), dtype=bool)
    for begin, end in np.rint((segments - audio.start) * SAMPLE_RATE).astype(int).tolist():
        speech[max(0, begin) : max(0, end)] = True
    spoken, pauses = Spool((), np.float32), Spool((), np.float32)
    at = 0
    for block in blocks(audio.samples):
        flags = speech[at : at + len(block)]
        spoken.extend(block[flags])
        pauses.extend(block[~flags])
        at += len(block)
    voice, rest = spoken.array(), pauses.array()
    least = _LEAST * SAMPLE_RATE
    if len(voice) < least:
        raise AbsentError("no-speech")
    if len(rest) < least:
        raise AbsentError("no-silence")
    noise = _energy(rest) / len(rest)
    signal = _energy(voice) / len(voice) - noise
    if noise == 0.0:
        raise AbsentError("noiseless")
    if signal <= 0.0:
        raise AbsentError("no-signal")
    return 10.0 * float(np.log10(signal / noise))


def _energy(samples: FloatArray) -> float:
    """Sum of the squares."""
    total = 0.0
    for block in blocks(samples, _ADDED * samples.itemsize):
        total += float((block.astype(np.float64) ** 2).sum())
    return total
