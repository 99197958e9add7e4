"""What filters share that know a recording again: how alike pictures and sounds have to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ..filters.base import Features, SetFilter
from .matching import AUDIO_ALIKE, FRAMES_ALIKE, MUTE_ALIKE, Nearest, Prints, Shelf, prints_of


@dataclass(frozen=True)
class RecordingFilter(SetFilter):
    """Base of filters that compare recordings.

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

    shown: ClassVar[Mapping[str, str]] = {
        "picture": "frames",
        "frames": "frames",
        "audio": "audio",
    }

    def prints(self, features: Features) -> Prints:
        """The fingerprints of a clip.

        Raises:
            UndecidedError: It has none.
        """
        return prints_of(features.values("fingerprints"))

    def nearest(self, shelf: Shelf, prints: Prints) -> Nearest:
        """What comes nearest to a clip, by these thresholds."""
        return shelf.nearest(prints, self.frames, self.audio, self.mute)
