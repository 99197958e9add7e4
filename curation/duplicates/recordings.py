"""Thresholds shared by filters that recognise duplicate recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ..filters.base import Features, SetFilter
from .matching import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MIRROR_ERROR,
    MUTE_ALIKE,
    FingerprintIndex,
    Nearest,
    Prints,
    prints_of,
)


@dataclass(frozen=True)
class RecordingFilter(SetFilter):
    """Base of filters that compare recordings.

    Two clips are the same recording (in another quality, mirrored, or one a part of the other) when their
    pictures and sounds match over a shared span. A clip without sound is judged by its pictures alone,
    more strictly, because two takes of one person in one place look nearly the same.

    Attributes:
        max_frames: Maximum share of differing bits of the perceptual hashes of matching pictures.
        max_audio: Maximum share of differing bits of the audio fingerprints of matching sounds.
        max_mute: Maximum share of differing bits of pictures, where either clip has no sound.
    """

    max_frames: float = FRAMES_ALIKE
    max_audio: float = AUDIO_ALIKE
    max_mute: float = MUTE_ALIKE

    shown: ClassVar[Mapping[str, str]] = {
        "picture": "max_frames",
        "frames": "max_frames",
        "audio": "max_audio",
    }
    decides: ClassVar[Mapping[str, str]] = {
        "duplicate": "frames,audio",
        "leaked-clip": "frames,audio",
    }
    renamed: ClassVar[Mapping[str, str]] = {
        "frames": "max_frames",
        "audio": "max_audio",
        "mute": "max_mute",
    }

    def prints(self, features: Features) -> Prints:
        """The fingerprints of a clip.

        Raises:
            UndecidedError: It has no fingerprints.
        """
        return prints_of(features.values("fingerprints"))

    def nearest(self, index: FingerprintIndex, prints: Prints) -> Nearest:
        """The clip of an index that is nearest, unchanged or mirrored, by these thresholds."""
        upright = index.nearest(prints, self.max_frames, self.max_audio, self.max_mute)
        if upright.twin is not None:
            return upright
        mute = self.max_mute + MIRROR_ERROR
        mirrored = index.nearest(prints.mirrored(), self.max_frames, self.max_audio, mute)
        return upright if mirrored.twin is None else replace(mirrored, mirrored=True)
