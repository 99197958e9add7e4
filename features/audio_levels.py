"""Loudness, clipping and silence of the sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values

_RATE: Final = 48_000
_BLOCK: Final = 0.4
_HOP: Final = 0.1
_ABSOLUTE: Final = -70.0
_RELATIVE: Final = -10.0
# The two filters of K-weighting at 48 kHz, as ITU-R BS.1770 prints them.
_SHELF: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_HIGH_PASS: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AudioLevels(Extractor):
    """Loudness by ITU-R BS.1770 of the mono mix, peak, clipping and silence.

    Attributes:
        full: Minimum amplitude of a clipped sample.
        run: Minimum number of consecutive samples of that amplitude, on one side of zero.
        silent_db: Level of a window of 50 ms below which it is silent, in dBFS.
    """

    full: float = 0.985
    run: int = 3
    silent_db: float = -50.0

    name: ClassVar[str] = "audio_levels"
    source: ClassVar[str] = "ITU-R BS.1770-4 for loudness; the rest is defined by this package"
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("lufs", "float64", (), "Integrated loudness.", nullable=True, unit="LUFS", low=-70),
        Column("peak_db", "float64", (), "Largest sample.", unit="dBFS", high=0),
        Column(
            "clipped_share", "float64", (), "Share of the samples that are clipped.", low=0, high=1
        ),
        Column("silence_share", "float64", (), "Share of the track that is silent.", low=0, high=1),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Measure the track at 48 kHz."""
        samples = clip.audio(_RATE).samples.astype(np.float64)
        values: Values = {
            "peak_db": np.array(20 * np.log10(np.abs(samples).max())),
            "clipped_share": np.array(clipped_share(samples, self.full, self.run)),
            "silence_share": np.array(_silence(samples, self.silent_db)),
        }
        loudness = integrated_loudness(samples)
        if loudness is None:
            return values, {"lufs": "too-quiet"}
        return values | {"lufs": np.array(loudness)}, {}


def integrated_loudness(samples: Floats, rate: int = _RATE) -> float | None:
    """Loudness of a mono track in LUFS, with both gates of ITU-R BS.1770-4.

    Args:
        samples: (n,): mono audio in -1 to 1.
        rate: Sample rate in Hz; has to be 48,000, for which the filters are specified.

    Returns:
        LUFS, at least -70; None for a track that is shorter than 0.4 s or nowhere above -70 LUFS.

    Examples:
        >>> tone = np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)
        >>> round(integrated_loudness(tone), 1)
        -3.0
    """
    from scipy.signal import lfilter

    if rate != _RATE:
        raise ValueError(f"expected audio at {_RATE} Hz, got {rate}")
    weighted = lfilter(*_HIGH_PASS, lfilter(*_SHELF, samples))
    block, hop = round(_BLOCK * rate), round(_HOP * rate)
    if len(weighted) < block:
        return None
    energy = np.concatenate(([0.0], np.cumsum(weighted**2)))
    begins = np.arange(0, len(weighted) - block + 1, hop)
    power = (energy[begins + block] - energy[begins]) / block
    audible = power[power > _power(_ABSOLUTE)]
    if not len(audible):
        return None
    audible = audible[audible > _power(_loudness(float(audible.mean())) + _RELATIVE)]
    return _loudness(float(audible.mean()))


def clipped_share(samples: Floats, full: float, run: int) -> float:
    """Share of the samples in runs at or beyond full scale.

    Args:
        samples: (n,): mono audio in -1 to 1.
        full: Minimum amplitude of a clipped sample, 0 to 1.
        run: Minimum length of a run, in samples.

    Returns:
        0 to 1.

    Examples:
        >>> clipped_share(np.array([0.1, 1.0, 1.0, 1.0, -0.2]), full=0.985, run=3)
        0.6
    """
    clipped = 0
    for side in (samples >= full, samples <= -full):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], side.astype(np.int8), [0]))))
        lengths = edges[1::2] - edges[::2]
        clipped += int(lengths[lengths >= run].sum())
    return clipped / len(samples)


def _silence(samples: Floats, level: float) -> float:
    step = round(0.05 * _RATE)
    whole = samples[: max(1, len(samples) // step) * step]
    power = (whole.reshape(-1, min(step, len(whole))) ** 2).mean(axis=1)
    return float((power < 10 ** (level / 10)).mean())


def _loudness(power: float) -> float:
    return -0.691 + 10 * float(np.log10(power))


def _power(loudness: float) -> float:
    return float(10 ** ((loudness + 0.691) / 10))
