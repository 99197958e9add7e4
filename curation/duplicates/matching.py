"""Detection of duplicate recordings by their fingerprints, also where one is part of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
MIRROR: Final = np.uint64(0x5555555555555555)
"""Bits of a frame's hash that a mirrored picture inverts: the odd columns of cosine coefficients."""
_LEAST_FRAMES: Final = 4
_LEAST_STEPS: Final = 24
_ROWS: Final = 512

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

        Examples:
            >>> prints = prints_of({"frame_hash": np.array([0, 5], np.uint64)})
            >>> prints.mirrored().mirrored().frames
            array([0, 5], dtype=uint64)
        """
        return Prints(self.frames ^ MIRROR, self.audio)


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


def frames_apart(a: Prints, b: Prints) -> float:
    """Share of differing bits of the pictures at the best alignment of two clips.

    Args:
        a: Fingerprints of one clip.
        b: Fingerprints of the other clip; their lengths may differ.

    Returns:
        0 to 0.5; 0.5 if the pictures are not informative.

    Examples:
        >>> prints = prints_of({"frame_hash": np.arange(20, dtype=np.uint64) ** 9})
        >>> frames_apart(prints, prints)
        0.0
    """
    apart = _best(a.frames, b.frames, _LEAST_FRAMES)
    speaking = _speaks(a.frames) and _speaks(b.frames)
    return 0.5 if apart is None or not speaking else min(0.5, apart)


def audio_apart(a: Prints, b: Prints) -> float | None:
    """Share of differing bits of the sounds at the best alignment, 0 to 1; None if either is too short.

    Examples:
        >>> sound = np.arange(30, dtype=np.uint32) ** 7
        >>> a, b = (Prints(np.zeros(1, np.uint64), x) for x in (sound, ~sound))
        >>> audio_apart(a, a), audio_apart(a, b) > 0.4
        (0.0, True)
    """
    return _best(a.audio, b.audio, _LEAST_STEPS)


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
        picture: Share of differing bits of the two most similar single frames; None if an index of
            many clips has no similar one.
        frames: Share of differing bits of the pictures of the twin, or else of the most similar clip
            that was compared; None if an index of many clips has no similar one.
        audio: Share of differing bits of its sound.
        mirrored: Whether the twin has left and right exchanged.
        same_picture: Number of a clip with the same pictures and another sound; None if there is none.
            Two takes of one person in one place can look equally similar.
    """

    twin: int | None
    picture: float | None
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


def nearest(
    prints: Prints,
    others: Sequence[Prints],
    pictures: npt.NDArray[np.float64],
    picture: float | None,
    *,
    max_frames: float,
    max_audio: float,
    max_mute: float,
) -> Nearest:
    """The first clip that is the same recording, or the distances of the most similar one.

    Args:
        prints: Fingerprints of the clip.
        others: Fingerprints of the clips to compare with.
        pictures: Share of differing bits of the most similar frames of each, float64 (others,).
        picture: The smallest of these shares, or the value that stands for it where there is none.
        max_frames: See `same_recording`.
        max_audio: See `same_recording`.
        max_mute: See `same_recording`.

    Returns:
        The result, in which the number of a clip is its position in `others`.
    """
    limit = max(max_frames, max_mute)
    order = np.argsort(pictures, kind="stable")
    best: tuple[float, int] | None = None
    for number in order[pictures[order] <= limit].tolist():
        frames = frames_apart(prints, others[number])
        if frames <= limit:
            audio = audio_apart(prints, others[number])
            if same_recording(frames, audio, max_frames, max_audio, max_mute):
                return Nearest(number, picture, frames, audio)
        if best is None or frames < best[0]:
            best = frames, number
    if best is None:
        return Nearest(None, picture)
    frames, number = best
    audio = audio_apart(prints, others[number])
    same_picture = number if audio is not None and frames <= max_mute else None
    return Nearest(None, picture, frames, audio, same_picture=same_picture)


def signs(hashes: Hashes) -> npt.NDArray[np.int8]:
    """Bits as ±1, one row per hash, int8 (n, bits).

    Examples:
        >>> signs(np.array([5], np.uint8))
        array([[-1, -1, -1, -1, -1,  1, -1,  1]], dtype=int8)
    """
    bits = np.unpackbits(hashes.view(np.uint8).reshape(len(hashes), hashes.itemsize), axis=1)
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
    ours, theirs = signs(short)[::-1], signs(long).astype(np.float32).T
    width, n, m = ours.shape[1], len(short), len(long)
    sums = np.zeros(n + m - 1, np.float32)  # equal minus differing bits, by shift
    for begin in range(0, n, _ROWS):
        block = ours[begin : begin + _ROWS].astype(np.float32)
        rows = len(block)
        lanes = np.zeros((rows, rows + m), np.float32)
        np.matmul(block, theirs, out=lanes[:, :m])
        # read with rows one element shorter, each row is shifted by one against the previous one
        steps = lanes.ravel()[: rows * (rows + m - 1)].reshape(rows, rows + m - 1)
        sums[begin : begin + rows + m - 1] += steps.sum(axis=0)
    shifts = np.arange(need - n, m - need + 1)
    lengths = np.minimum(n, m - shifts) - np.maximum(0, -shifts)
    mean = (sums[shifts + n - 1] / lengths.astype(np.float32)).max()
    return min(1.0, 0.5 - float(mean) / (2 * width))
