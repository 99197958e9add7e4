"""First and second formant of the voice."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import SAMPLE_RATE
from theval_datasets.utils.optional import require

_ENOUGH = 5


@dataclass(frozen=True)
class Formants(Extractor):
    """F1 and F2 every 10 ms of voiced sound by Burg's method in Praat, and their peaks.

    A peak is a high percentile of the track: a maximum that is robust to single frames in which a formant
    is skipped. THQA-MT reports F1 peaks of 700 to 1400 Hz and F2 peaks of 2250 to 4250 Hz over its speech,
    without the method.

    Attributes:
        ceiling: Frequency in Hz below which five formants are tracked; 5500 suits most voices.
        step: Step between frames, in seconds.
        percentile: Percentile of the tracks that is their peak.
    """

    ceiling: float = 5500.0
    step: float = 0.01
    percentile: float = 95.0

    name: ClassVar[str] = "formants"
    source: ClassVar[str] = "Burg's method as in Praat; the peaks are defined by this package"
    extra: ClassVar[str | None] = "formants"
    imports: ClassVar[tuple[str, ...]] = ("parselmouth",)
    writes: ClassVar[tuple[Column, ...]] = (
        Column("time", "float64", ("voiced",), "Times of the voiced frames.", unit="s", low=0),
        Column("f1", "float32", ("voiced",), "First formant.", unit="Hz", low=0),
        Column("f2", "float32", ("voiced",), "Second formant.", unit="Hz", low=0),
        Column("f1_hz", "float64", (), "Peak of the first formant.", unit="Hz", low=0),
        Column("f2_hz", "float64", (), "Peak of the second formant.", unit="Hz", low=0),
        Column("f1_median", "float64", (), "Median of the first formant.", unit="Hz", low=0),
        Column("f2_median", "float64", (), "Median of the second formant.", unit="Hz", low=0),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def weights_id(self) -> str:
        """Praat's version; there is no model."""
        try:
            return f"praat-parselmouth-{importlib.metadata.version('praat-parselmouth')}"
        except importlib.metadata.PackageNotFoundError:
            require("parselmouth", extra="formants")
            raise

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Track the formants and keep the voiced frames."""
        parselmouth = require("parselmouth", extra="formants")
        audio = clip.audio()
        shortest = 4 * 0.05  # Praat's pitch analysis needs several periods of the lowest pitch
        if len(audio.samples) < shortest * SAMPLE_RATE:
            raise AbsentError("too-short", f"{audio.end - audio.start:.2f} s of sound")
        sound = parselmouth.Sound(audio.samples.astype(np.float64), SAMPLE_RATE)
        formant = sound.to_formant_burg(time_step=self.step, maximum_formant=self.ceiling)
        pitch = sound.to_pitch_ac(time_step=self.step)
        times = np.asarray(formant.ts())
        voiced = np.array([np.isfinite(pitch.get_value_at_time(t)) for t in times], dtype=bool)
        tracks = np.array(
            [[formant.get_value_at_time(n, t) for n in (1, 2)] for t in times[voiced]]
        ).reshape(-1, 2)
        result = np.isfinite(tracks).all(axis=1)
        tracks, times = tracks[result], times[voiced][result]
        if len(tracks) < _ENOUGH:
            raise AbsentError("no-voice", f"{len(tracks)} voiced frames")
        peaks = np.percentile(tracks, self.percentile, axis=0)
        medians = np.median(tracks, axis=0)
        return {
            "time": times + audio.start,
            "f1": tracks[:, 0].astype(np.float32),
            "f2": tracks[:, 1].astype(np.float32),
            "f1_hz": np.array(peaks[0]),
            "f2_hz": np.array(peaks[1]),
            "f1_median": np.array(medians[0]),
            "f2_median": np.array(medians[1]),
        }, {}
