"""Fingerprints of pictures and sound, by which a clip is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import EmptyMediaError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import SAMPLE_RATE, FrameRequest, Frames
from theval_datasets.utils.spool import Spool, release

FRAME_FPS: Final = 2.0
AUDIO_HOP: Final = 0.064
"""Step between audio fingerprints, in seconds."""
_SIDE: Final = 32
_KEPT: Final = 8
_BANDS: Final = 33
_LOW, _HIGH = 300.0, 4000.0
_WINDOW: Final = 4096


@dataclass(frozen=True)
class Fingerprints(Extractor):
    """Perceptual hashes of two frames a second, and audio fingerprints of every 64 ms.

    The 64 bits of a frame's hash state which of the 64 lowest cosine coefficients of its 32 × 32 grey
    picture are above their median (which excludes the constant coefficient). The 32 bits of an audio
    fingerprint state whether the energy difference of neighbouring bands between 300 Hz and 4 kHz grew
    since the previous step.
    """

    name: ClassVar[str] = "fingerprints"
    source: ClassVar[str] = (
        "Haitsma and Kalker, A Highly Robust Audio Fingerprinting System (2002) for sound; the "
        "hash of pictures is defined by this package"
    )
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("time", "float64", ("sample",), "Times of the sampled frames.", unit="s", low=0),
        Column("frame_hash", "uint64", ("sample",), "Perceptual hash of each sampled frame."),
        Column(
            "audio_hash", "uint32", ("step",), "Audio fingerprint of each 64 ms.", nullable=True
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """Two frames a second, small and grey."""
        return FrameRequest(fps=FRAME_FPS, height=144, colour="gray")

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def open(self, clip: ClipInputs, model: Any) -> _FrameHasher:
        """Begin with nothing."""
        return _FrameHasher(clip)


class _FrameHasher:
    def __init__(self, clip: ClipInputs) -> None:
        self._clip = clip
        self._times: list[float] = []
        self._hashes: list[int] = []

    def update(self, batch: Frames) -> None:
        self._times += batch.times.tolist()
        self._hashes += [frame_hash(frame) for frame in batch.pixels]

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        values: Values = {
            "time": np.array(self._times),
            "frame_hash": np.array(self._hashes, np.uint64),
        }
        try:
            audio = self._clip.audio()
        except EmptyMediaError as absent:
            return values, {"audio_hash": absent.reason}
        track = Spool((), np.float32)
        track.extend(np.zeros(round(audio.start * SAMPLE_RATE), np.float32))
        track.extend(audio.samples)
        return values | {"audio_hash": audio_hashes(track.array())}, {}


def frame_hash(grey: npt.NDArray[np.uint8]) -> int:
    """64-bit perceptual hash of a grey picture.

    Args:
        grey: (height, width): grey levels, 0 to 255.

    Returns:
        0 to 2⁶⁴ - 1; similar pictures differ in few bits.

    Examples:
        >>> frame_hash(np.zeros((90, 160), np.uint8))
        0
    """
    import cv2

    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_KEPT, :_KEPT].ravel()
    bits = low > np.median(low[1:])
    return int(np.packbits(bits).view(">u8")[0])


def audio_hashes(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Audio fingerprints of a track, one per 64 ms.

    Args:
        samples: (n,): mono audio at 16 kHz, in -1 to 1.

    Returns:
        uint32 (steps,); empty for less than 0.32 s.

    Examples:
        >>> audio_hashes(np.zeros(16_000, np.float32)).shape
        (11,)
    """
    hop = round(AUDIO_HOP * SAMPLE_RATE)
    count = (len(samples) - _WINDOW) // hop + 1
    if count < 2:
        return np.zeros(0, np.uint32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::hop]
    edges = np.geomspace(_LOW, _HIGH, _BANDS + 1) * _WINDOW / SAMPLE_RATE
    bins = np.rint(edges).astype(np.int64)
    shape = np.hanning(_WINDOW).astype(np.float32)
    energy = np.empty((len(windows), _BANDS))
    for start in range(0, len(windows), 256):
        power = np.abs(np.fft.rfft(windows[start : start + 256] * shape, axis=1)) ** 2
        energy[start : start + 256] = np.add.reduceat(power, bins, axis=1)[:, :_BANDS]
        release(samples)
    across = energy[:, :-1] - energy[:, 1:]
    bits = np.diff(across, axis=0) > 0
    packed: npt.NDArray[np.uint32] = np.packbits(bits, axis=1).view(">u4")[:, 0].astype(np.uint32)
    return packed


def bit_distance(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Share of differing bits of pairs of hashes, averaged over the pairs.

    Args:
        a: (n,): unsigned integers.
        b: (n,): unsigned integers of the same type.

    Returns:
        0 to 1: 0 for equal hashes, about 0.5 for unrelated ones.

    Examples:
        >>> bit_distance(np.array([0b1111], np.uint32), np.array([0b0000], np.uint32))
        0.125
    """
    differing = np.bitwise_xor(a, b)
    octets = np.ascontiguousarray(differing).view(np.uint8)
    return float(np.unpackbits(octets).mean())


def to_hex(hashes: npt.NDArray[Any]) -> str:
    """Concatenated hashes as hexadecimal digits.

    Args:
        hashes: (n,): unsigned integers.

    Examples:
        >>> to_hex(np.array([1, 255], np.uint32))
        '00000001000000ff'
    """
    width = hashes.dtype.itemsize * 2
    return "".join(f"{value:0{width}x}" for value in hashes.tolist())


def from_hex(text: str, dtype: Any) -> npt.NDArray[Any]:
    """The inverse of `to_hex`.

    Args:
        text: Hexadecimal digits.
        dtype: Unsigned integer type of the hashes.

    Returns:
        (n,): hashes.

    Raises:
        ValueError: The number of digits is not a multiple of the type's.

    Examples:
        >>> from_hex("00000001000000ff", np.uint32).tolist()
        [1, 255]
    """
    width = np.dtype(dtype).itemsize * 2
    if len(text) % width:
        raise ValueError(f"expected hex digits in groups of {width}, got {len(text)}")
    parts = [int(text[i : i + width], 16) for i in range(0, len(text), width)]
    return np.array(parts, dtype=dtype)
