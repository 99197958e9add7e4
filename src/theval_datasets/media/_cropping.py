"""Which part of the stored pictures is shown, according to the container.

MP4 and QuickTime state a clean aperture (`clap`, ISO/IEC 14496-12), Matroska pixels to leave out
(`PixelCrop…`, RFC 9559). ffmpeg's command line heeds both; PyAV does not pass them on. What the stream
itself leaves out (H.264, HEVC) is the decoder's matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

_KEPT: Final = 64
_LARGEST: Final = 64 << 20
"""Size in bytes above which a file's table of contents is not searched."""
_SEARCHED: Final = 10_000
"""Parts of a file among which its table of contents is searched."""
_INSIDE_MOOV: Final = (b"mdia", b"minf", b"stbl", b"stsd")
_VISUAL: Final = 86
"""Length of the fixed part of a video's sample description, whose boxes follow it."""
_SEGMENT: Final = 0x18538067
_TRACKS: Final = 0x1654AE6B
_CLUSTER: Final = 0x1F43B675
_TRACK: Final = 0xAE
_KIND: Final = 0x83
_VIDEO: Final = 0xE0
_SIDES: Final = (0x54CC, 0x54BB, 0x54DD, 0x54AA)
"""Matroska's elements for the pixels left out at the left, top, right and bottom."""


class Cropping(NamedTuple):
    """Pixels that are not shown at each side of a stored picture."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


WHOLE: Final = Cropping()


def cropping_of(stream: Any) -> Cropping:
    """What the container leaves out of a video stream's pictures; nothing if it says nothing sensible."""
    container = stream.container
    kind = container.format.name.split(",")[0]
    if kind not in ("mov", "matroska"):
        return WHOLE
    path = Path(container.name.removeprefix("file:"))
    status = path.stat()
    key = path, status.st_ino, status.st_size, status.st_mtime_ns
    context = stream.codec_context
    if kind == "mov":
        result = _clean_aperture(*key, stream.id, context.width, context.height)
    else:
        result = _pixel_crop(*key, [s.index for s in container.streams.video].index(stream.index))
    left, top, right, bottom = result
    shown = context.width - left - right, context.height - top - bottom
    return result if min(result) >= 0 and min(shown) > 0 else WHOLE


@lru_cache(_KEPT)
def _clean_aperture(
    path: Path, _inode: int, _size: int, _changed: int, track: int, width: int, height: int
) -> Cropping:
    with path.open("rb") as file:
        moov = _box_of_file(file, b"moov")
    if b"clap" not in moov:
        return WHOLE
    for data in _boxes(moov, b"trak"):
        head = next(_boxes(data, b"tkhd"), b"")
        at = 20 if head[:1] == b"\x01" else 12
        if int.from_bytes(head[at : at + 4], "big") != track:
            continue
        table = data
        for name in _INSIDE_MOOV:
            table = next(_boxes(table, name), b"")
        entry = table[8 : 8 + int.from_bytes(table[8:12], "big")]
        clap = next(_boxes(entry[_VISUAL:], b"clap"), b"")
        numbers = [int.from_bytes(clap[i : i + 4], "big", signed=True) for i in range(0, 32, 4)]
        if len(clap) < 32 or min(numbers[1::2]) <= 0:
            return WHOLE
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        wide, high, right, down = (Fraction(*pair) for pair in pairs)
        sides = [_sides(width, wide, right), _sides(height, high, down)]
        return Cropping(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    return WHOLE


def _sides(length: int, shown: Fraction, offset: Fraction) -> tuple[int, int]:
    """Pixels before and after an aperture whose centre is `offset` off the middle."""
    centre = Fraction(length - 1, 2) + offset
    return math.floor(centre - (shown - 1) / 2), length - 1 - math.floor(centre + (shown - 1) / 2)


def _box_of_file(file: IO[bytes], name: bytes) -> bytes:
    """Contents of a file's first box of a name; empty without one, or if it is too large."""
    for _ in range(_SEARCHED):
        head = file.read(8)
        if len(head) < 8:
            break
        size = int.from_bytes(head[:4], "big")
        inside = size - 8
        if size == 1:
            inside = int.from_bytes(file.read(8), "big") - 16
        if inside < 0:  # the last box, or none at all
            inside = _LARGEST if size == 0 else 0
        if head[4:] == name:
            return file.read(inside) if inside <= _LARGEST else b""
        file.seek(inside, 1)
    return b""


def _boxes(data: bytes, name: bytes) -> Iterator[bytes]:
    """Contents of the boxes of a name that follow each other."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return
        if data[at + 4 : at + 8] == name:
            yield data[at + 8 : at + size]
        at += size


@lru_cache(_KEPT)
def _pixel_crop(path: Path, _inode: int, _size: int, _changed: int, number: int) -> Cropping:
    with path.open("rb") as file:
        tracks = _tracks(file)
    videos = [
        video
        for track in _elements(tracks, _TRACK)
        if next(_elements(track, _KIND), b"") == b"\x01"
        for video in _elements(track, _VIDEO)
    ]
    if number >= len(videos):
        return WHOLE
    values = (next(_elements(videos[number], side), b"") for side in _SIDES)
    return Cropping(*(int.from_bytes(value, "big") for value in values))


def _tracks(file: IO[bytes]) -> bytes:
    """Matroska's table of tracks; empty if the first cluster comes before it."""
    for _ in range(_SEARCHED):
        name = _number(file.read(4), keep_marker=True)
        if name is None:
            return b""
        file.seek(name[1] - 4, 1)
        sized = _number(file.read(8))
        if sized is None or name[0] == _CLUSTER:
            return b""
        file.seek(sized[1] - 8, 1)
        if name[0] == _TRACKS:
            return file.read(sized[0]) if sized[0] <= _LARGEST else b""
        if name[0] != _SEGMENT:
            file.seek(sized[0], 1)
    return b""


def _elements(data: bytes, name: int) -> Iterator[bytes]:
    """Contents of the elements of a name that follow each other."""
    at = 0
    while at < len(data):
        found = _number(data[at : at + 4], keep_marker=True)
        sized = None if found is None else _number(data[at + found[1] : at + found[1] + 8])
        if found is None or sized is None:
            return
        begin = at + found[1] + sized[1]
        if found[0] == name:
            yield data[begin : begin + sized[0]]
        at = begin + sized[0]


def _number(data: bytes, *, keep_marker: bool = False) -> tuple[int, int] | None:
    """A number of variable length, as Matroska writes names and sizes, and its length in bytes.

    Examples:
        >>> _number(b"\\x42\\x86", keep_marker=True), _number(b"\\x81")
        ((17030, 2), (1, 1))
    """
    if not data or not data[0]:
        return None
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return None
    value = int.from_bytes(data[:length], "big")
    return (value if keep_marker else value - (1 << 7 * length)), length
