"""Detection of duplicate recordings by their fingerprints, also where one is part of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values
from theval_datasets.features.fingerprints import to_hex

FRAMES_ALIKE: Final = 0.2
"""Largest share of differing bits of the pictures of one recording, where the sounds match."""
MUTE_ALIKE: Final = 0.05
"""Largest share of differing bits of the pictures of one recording, where a sound is missing."""
AUDIO_ALIKE: Final = 0.30
"""Largest share of differing bits of the sounds of one recording; unrelated ones have 0.44 to 0.56."""
MIRROR_ERROR: Final = 0.05
"""Additional share of differing bits allowed between hashes of mirrored pictures and mirrored hashes: on
33 real clips it is 0.04 on average and 0.09 at most."""
_MIRROR: Final = np.uint64(0x5555555555555555)
"""Bits of a frame's hash that a mirrored picture inverts: the odd columns of cosine coefficients."""
_LEAST_FRAMES: Final = 4
_LEAST_STEPS: Final = 24

Hashes = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Prints:
    """Fingerprints of a clip.

    Attributes:
        frames: uint64 (n,): perceptual hashes, two per second.
        audio: uint32 (m,): audio fingerprints, one per 64 ms; empty without sound.
    """

    frames: Hashes
    audio: Hashes

    def mirrored(self) -> Prints:
        """Approximate fingerprints of the clip with left and right exchanged.

        Mirroring negates every other column of a picture's cosine coefficients, whose median is near 0,
        and therefore inverts these bits.
        """
        return Prints(self.frames ^ _MIRROR, self.audio)


def prints_of(values: Values) -> Prints:
    """Fingerprints from the values of the extractor `fingerprints`.

    Args:
        values: `frame_hash`, uint64 (frames,), and, where there is sound, `audio_hash`, uint32 (steps,).

    Examples:
        >>> prints_of({"frame_hash": np.zeros(3, np.uint64)}).frames.shape
        (3,)
    """
    return Prints(values["frame_hash"], values.get("audio_hash", np.zeros(0, np.uint32)))


def prints_in_hex(values: Values | None) -> tuple[str | None, str | None]:
    """Fingerprints in the form of a manifest row: `phash` and `audio_print`; None where absent.

    Examples:
        >>> prints_in_hex(None)
        (None, None)
    """
    if values is None:
        return None, None
    prints = prints_of(values)
    return to_hex(prints.frames), to_hex(prints.audio) if len(prints.audio) else None


def resemblance(a: Prints, b: Prints) -> tuple[float, float | None]:
    """Shares of differing bits of pictures and sounds at the best alignment of two clips.

    Args:
        a: Fingerprints of one clip.
        b: Fingerprints of the other clip; their lengths may differ.

    Returns:
        Share of the pictures, 0 to 0.5; share of the sounds, 0 to 1, or None if either is too short.

    Examples:
        >>> prints = prints_of({"frame_hash": np.arange(20, dtype=np.uint64) ** 9})
        >>> resemblance(prints, prints)
        (0.0, None)
    """
    seen = _best(a.frames, b.frames, _LEAST_FRAMES)
    speaking = _speaks(a.frames) and _speaks(b.frames)
    frames = 0.5 if seen is None or not speaking else min(0.5, seen)
    return frames, _best(a.audio, b.audio, _LEAST_STEPS)


def same_recording(
    frames: float, audio: float | None, max_frames: float, max_audio: float, max_mute: float
) -> bool:
    """Whether two clips are the same recording, or one is part of the other, by their differences.

    Args:
        frames: Share of differing bits of the pictures.
        audio: Share of differing bits of the sounds; None where either has no sound.
        max_frames: Largest share of the pictures, where the sounds match.
        max_audio: Largest share of the sounds.
        max_mute: Largest share of the pictures, where either has no sound.

    Examples:
        >>> same_recording(0.05, 0.1, max_frames=0.1, max_audio=0.2, max_mute=0.04)
        True
        >>> same_recording(0.05, None, max_frames=0.1, max_audio=0.2, max_mute=0.04)
        False
    """
    if audio is None:
        return frames <= max_mute
    return frames <= max_frames and audio <= max_audio


@dataclass(frozen=True, slots=True)
class Nearest:
    """The clip of an index that is nearest to another.

    Attributes:
        twin: Number of the clip that is the same recording; None if there is none.
        picture: Share of differing bits of the two most similar single frames.
        frames: Share of differing bits of the pictures of the twin, or else of the most similar clip
            that was compared.
        audio: Share of differing bits of its sound.
        mirrored: Whether the twin has left and right exchanged.
        same_picture: Number of a clip with the same pictures and another sound; None if there is none.
            Two takes of one person in one place can look equally similar.
    """

    twin: int | None
    picture: float
    frames: float | None = None
    audio: float | None = None
    mirrored: bool = False
    same_picture: int | None = None

    @property
    def measured(self) -> dict[str, float | bool | None]:
        """The distances by name; `mirrored` only where it is true."""
        distances: dict[str, float | bool | None] = {
            "picture": self.picture,
            "frames": self.frames,
            "audio": self.audio,
        }
        return distances | ({"mirrored": True} if self.mirrored else {})


class FingerprintIndex:
    """Index that finds clips with similar pictures without comparing every pair in full.

    Where two clips match over a span to within a share of bits, some frame of one matches some frame of
    the other at least as well; clips without such a frame are skipped, and no match is missed. A query
    costs one matrix product with all frames in the index.
    """

    def __init__(self) -> None:
        self._rows = np.zeros((1024, 64), np.float32)
        self._begins: list[int] = []
        self._prints: list[Prints] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._begins)

    def add(self, prints: Prints) -> None:
        """Add a clip to the index; it needs at least one frame."""
        end = self._count + len(prints.frames)
        if end > len(self._rows):
            grown = np.zeros((max(end, 2 * len(self._rows)), 64), np.float32)
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : end] = _signs(prints.frames)
        self._prints.append(prints)
        self._begins.append(self._count)
        self._count = end

    def near(self, prints: Prints, limit: float) -> tuple[list[int], float]:
        """The clips with a frame within `limit` of one of these frames, the nearest first.

        Returns:
            Numbers of the clips (in order of adding), and the smallest distance; 1 for an empty index.
        """
        if not self._begins or not len(prints.frames):
            return [], 1.0
        ours = _signs(prints.frames).astype(np.float32)
        best = (self._rows[: self._count] @ ours.T).max(axis=1)
        distance = 0.5 - np.maximum.reduceat(best, self._begins) / (2 * ours.shape[1])
        order = np.argsort(distance, kind="stable")
        return [int(i) for i in order if distance[i] <= limit], float(distance[order[0]])

    def nearest(
        self, prints: Prints, max_frames: float, max_audio: float, max_mute: float
    ) -> Nearest:
        """The first clip that is the same recording, or the distances of the most similar one.

        Args:
            prints: Fingerprints of the clip.
            max_frames: See `same_recording`.
            max_audio: See `same_recording`.
            max_mute: See `same_recording`.
        """
        near, picture = self.near(prints, max(max_frames, max_mute))
        nearest = Nearest(None, picture)
        same_picture: int | None = None
        for number in near:
            frames, audio = resemblance(prints, self._prints[number])
            if same_recording(frames, audio, max_frames, max_audio, max_mute):
                return Nearest(number, picture, frames, audio)
            if nearest.frames is None or frames < nearest.frames:
                nearest = Nearest(None, picture, frames, audio)
                same_picture = number if audio is not None and frames <= max_mute else None
        return replace(nearest, same_picture=same_picture)


def _signs(hashes: Hashes) -> npt.NDArray[np.int8]:
    """Bits as ±1, one row per hash."""
    bits = np.unpackbits(hashes.view(np.uint8).reshape(len(hashes), -1), axis=1)
    return bits.astype(np.int8) * 2 - 1


def _speaks(frames: Hashes) -> bool:
    """Whether pictures are informative: those of one colour have random hashes."""
    return bool(len(frames)) and not bool(np.all((frames == 0) | (frames == ~np.uint64(0))))


def _best(a: Hashes, b: Hashes, least: int) -> float | None:
    """Smallest share of differing bits over all shifts with a long enough overlap."""
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if not len(short):
        return None
    need = min(len(short), max(least, len(short) // 2))
    if len(short) < need or (len(short) < least and least == _LEAST_STEPS):
        return None
    s, t = (_signs(hashes).astype(np.float32) for hashes in (short, long))
    agree = s @ t.T  # (len(short), len(long)): number of equal bits minus number of differing bits
    width = s.shape[1]
    best = 1.0
    for shift in range(need - len(short), len(long) - need + 1):
        diagonal = np.diagonal(agree, shift)
        if len(diagonal) >= need:
            best = min(best, 0.5 - float(diagonal.mean()) / (2 * width))
    return best
