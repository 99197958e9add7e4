"""Whether two recordings are the same, by their fingerprints, wherever one lies in the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.schema import Values

FRAMES_ALIKE: Final = 0.2
"""Share of differing bits up to which pictures may be one recording, where the sounds are."""
MUTE_ALIKE: Final = 0.05
"""The same where pictures alone decide."""
AUDIO_ALIKE: Final = 0.30
"""The same of sounds; unrelated ones differ in 0.44 to 0.56 of the bits."""
_LEAST_FRAMES: Final = 4
_LEAST_STEPS: Final = 24

Hashes = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Prints:
    """Fingerprints of a clip.

    Attributes:
        frames: Perceptual hashes, two a second; uint64.
        audio: Fingerprints of each 64 ms; uint32, empty without sound.
    """

    frames: Hashes
    audio: Hashes


def prints_of(values: Values) -> Prints:
    """The prints among the values of the extractor `fingerprints`."""
    return Prints(values["frame_hash"], values.get("audio_hash", np.zeros(0, np.uint32)))


def resemblance(a: Prints, b: Prints) -> tuple[float, float | None]:
    """Share of differing bits of pictures and sounds where the two fit best.

    Returns:
        Of the pictures, at most 0.5; of the sounds, None where either has too little.
    """
    seen = _best(a.frames, b.frames, _LEAST_FRAMES)
    speaking = _speaks(a.frames) and _speaks(b.frames)
    frames = 0.5 if seen is None or not speaking else min(0.5, seen)
    return frames, _best(a.audio, b.audio, _LEAST_STEPS)


def same_recording(
    frames: float, audio: float | None, max_frames: float, max_audio: float, max_mute: float
) -> bool:
    """Whether two clips that differ by so much are the same recording, or one is part of the other.

    Args:
        frames: Share of differing bits of the pictures.
        audio: Of the sounds; None where either has none.
        max_frames: Up to which pictures agree, where sounds do.
        max_audio: Up to which sounds agree.
        max_mute: Up to which pictures agree that have to decide alone.
    """
    if audio is None:
        return frames <= max_mute
    return frames <= max_frames and audio <= max_audio


def _speaks(frames: Hashes) -> bool:
    """Whether pictures say anything: those of one colour have hashes of chance."""
    return bool(len(frames)) and not bool(np.all((frames == 0) | (frames == ~np.uint64(0))))


def _best(a: Hashes, b: Hashes, least: int) -> float | None:
    """Smallest share of differing bits over all shifts with a long enough overlap."""
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if not len(short):
        return None
    need = min(len(short), max(least, len(short) // 2))
    if len(short) < need or (len(short) < least and least == _LEAST_STEPS):
        return None
    bits = [np.unpackbits(h.view(np.uint8).reshape(len(h), -1), axis=1) for h in (short, long)]
    s, t = (2.0 * x.astype(np.float32) - 1.0 for x in bits)
    agree = s @ t.T  # (len(short), len(long)): bits that agree less those that differ
    width = s.shape[1]
    best = 1.0
    for shift in range(need - len(short), len(long) - need + 1):
        diagonal = np.diagonal(agree, shift)
        if len(diagonal) >= need:
            best = min(best, 0.5 - float(diagonal.mean()) / (2 * width))
    return best
