"""Whose voice is whose: voices of `speakers` matched to people of `active_speaker`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values

from .active_speaker import ActiveSpeaker
from .people.voices import match_voices
from .speakers import Speakers


@dataclass(frozen=True)
class Voices(Extractor):
    """Voices that pyannote tells apart, each with the visible person who speaks while it is heard.

    A voice without a match is off-screen, or its person is hardly ever in sight. Voices and faces are matched
    by time alone, so two people who always speak at the same time cannot be told apart.

    Attributes:
        min_share: Minimum share of a voice's turns, as far as the person is in sight, in which that person
            speaks.
    """

    min_share: float = 0.5

    name: ClassVar[str] = "voices"
    source: ClassVar[str] = "defined by this package, from pyannote.audio 3.1 and LR-ASD"
    extra: ClassVar[str | None] = "diarization"
    imports: ClassVar[tuple[str, ...]] = ("pyannote.audio", "insightface", "onnx")
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("voice", "int32", ("match",), "Number of the voice, as in `speakers`.", low=0),
        Column("person", "int32", ("match",), "Number of its person, as in `faces`.", low=0),
        Column(
            "share",
            "float64",
            ("match",),
            "Share of the voice's turns with that person in sight in which that person speaks.",
            low=0,
            high=1,
        ),
        Column(
            "matched_share",
            "float64",
            (),
            "Share of all turns' time that belongs to voices with a person.",
            low=0,
            high=1,
        ),
    )

    def needs(self) -> Sequence[Extractor]:
        """Voices, and who speaks."""
        return (Speakers(), ActiveSpeaker())

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Match by time."""
        speakers = clip.feature(Speakers())
        matches = match_voices(speakers, clip.feature(ActiveSpeaker()), min_share=self.min_share)
        length = speakers["turns"][:, 1] - speakers["turns"][:, 0]
        if not length.sum() > 0:
            raise AbsentError("no-speech", "no speaker was detected")
        voices = np.array([match.voice for match in matches], np.int32)
        return {
            "voice": voices,
            "person": np.array([match.person for match in matches], np.int32),
            "share": np.array([match.share for match in matches], np.float64),
            "matched_share": np.array(
                float(length[np.isin(speakers["speaker"], voices)].sum() / length.sum())
            ),
        }, {}
