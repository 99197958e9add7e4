"""Whether a clip shows or sounds like an earlier one of the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theval_datasets.curation.alike import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MUTE_ALIKE,
    prints_of,
    resemblance,
    same_recording,
)
from theval_datasets.curation.filters._base import (
    Clip,
    Features,
    SetFilter,
    UndecidedError,
    Verdict,
    keep,
    reject,
    undecided,
)
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.schema import Extractor


@dataclass(frozen=True)
class NearDuplicates(SetFilter):
    """Keeps the first of clips that resemble each other, in order of `clip_id`.

    Two clips are the same recording, in another quality or a part of it, when over a stretch that
    both share the pictures agree and the sounds do. One without sound is judged by its pictures
    alone, more strictly: two takes of one person in one place look nearly the same.

    Attributes:
        frames: Share of differing bits of the perceptual hashes up to which pictures agree.
        audio: Share of differing bits of the audio fingerprints up to which sounds agree.
        mute: As `frames`, where either clip has no sound.
    """

    frames: float = FRAMES_ALIKE
    audio: float = AUDIO_ALIKE
    mute: float = MUTE_ALIKE

    shown: ClassVar[Mapping[str, str]] = {"frames": "frames", "audio": "audio"}

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints."""
        return (Fingerprints(),)

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip with all that were kept before it."""
        kept: list[tuple[str, Any]] = []
        verdicts: list[Verdict] = []
        for clip, features in clips:
            try:
                prints = prints_of(features.values("fingerprints"))
            except UndecidedError as absent:
                verdicts.append(undecided(absent.what))
                continue
            nearest: tuple[float, float | None] = (0.5, None)
            twin = None
            for name, other in kept:
                frames, audio = resemblance(prints, other)
                nearest = min(nearest, (frames, audio), key=lambda pair: pair[0])
                if same_recording(frames, audio, self.frames, self.audio, self.mute):
                    twin, nearest = name, (frames, audio)
                    break
            measured = {"frames": nearest[0], "audio": nearest[1]}
            if twin is None:
                kept.append((clip.clip_id, prints))
                verdicts.append(keep(**measured))
            else:
                verdicts.append(reject("duplicate", of=twin, **measured))
        return verdicts
