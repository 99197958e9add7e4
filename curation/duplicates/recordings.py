"""Thresholds shared by filters that recognise duplicate recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ..filters.base import Features, SetFilter
from .fingerprint_index import Candidates, FingerprintIndex
from .matching import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MIRROR_ERROR,
    MUTE_ALIKE,
    Nearest,
    Prints,
    nearest,
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

    def near(self, index: FingerprintIndex, queries: Sequence[Prints]) -> Near:
        """Search an index for the clips that may be the same recordings as some queries."""
        mirrored = self.max_mute + MIRROR_ERROR
        upright, reverse = index.search(
            queries, max(self.max_frames, self.max_mute), max(self.max_frames, mirrored)
        )
        thresholds = {"max_frames": self.max_frames, "max_audio": self.max_audio}
        return Near(
            index.prints,
            queries,
            (upright, thresholds | {"max_mute": self.max_mute}),
            (reverse, thresholds | {"max_mute": mirrored}),
        )


@dataclass(frozen=True, slots=True)
class Near:
    """Results of a search for recordings: the candidates of each query, to be compared in full.

    Attributes:
        clips: Fingerprints of the clips of the index.
        queries: Fingerprints of the queries.
        upright: Candidates of the unchanged queries, and the thresholds of `nearest`.
        mirrored: Candidates of the mirrored queries, and their thresholds.
    """

    clips: Sequence[Prints]
    queries: Sequence[Prints]
    upright: tuple[Candidates, Mapping[str, float]]
    mirrored: tuple[Candidates, Mapping[str, float]]

    def nearest(self, query: int, among: npt.NDArray[np.bool_] | None = None) -> Nearest:
        """The clip that is nearest to a query, unchanged or mirrored.

        Args:
            query: Number of the query.
            among: Which clips of the index are considered, bool (clips,); None for all.
        """
        prints = self.queries[query]
        upright = self._nearest(query, prints, among, *self.upright)
        if upright.twin is not None:
            return upright
        mirrored = self._nearest(query, prints.mirrored(), among, *self.mirrored)
        return upright if mirrored.twin is None else replace(mirrored, mirrored=True)

    def _nearest(
        self,
        query: int,
        prints: Prints,
        among: npt.NDArray[np.bool_] | None,
        candidates: Candidates,
        thresholds: Mapping[str, float],
    ) -> Nearest:
        numbers, pictures = candidates.of(query)
        if among is not None:
            counted = among[numbers]
            numbers, pictures = numbers[counted], pictures[counted]
        others = [self.clips[number] for number in numbers.tolist()]
        absent = 1.0 if candidates.complete else None
        picture = float(pictures.min()) if len(pictures) else absent
        result = nearest(prints, others, pictures, picture, **thresholds)
        limit = max(thresholds["max_frames"], thresholds["max_mute"])
        if not candidates.complete and result.frames is not None and result.frames > limit:
            result = Nearest(
                None, picture
            )  # not all clips were compared: another one may be as near

        def number(place: int | None) -> int | None:
            return None if place is None else int(numbers[place])

        return replace(result, twin=number(result.twin), same_picture=number(result.same_picture))
