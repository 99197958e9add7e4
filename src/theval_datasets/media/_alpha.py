"""Which videos are transparent: by their pixel format, or by alpha that lies beside the pictures.

WebM and Matroska carry the alpha of VP8 and VP9 as a second picture in each packet (BlockAdditional).
FFmpeg's own decoders ignore it; libvpx reads it, but shows no picture for a packet that lacks it.
HEVC carries alpha as a second layer, which an SEI message announces (ITU-T H.265, F.14.2.8); FFmpeg
reads it from version 9 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import BrokenMediaError

from ._open import open_container, seconds

_DECODERS: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_BESIDE: Final = "matroska_block_additional"
_KEPT: Final = 64
_FORMATS: Final = (
    *("yuva", "ayuv", "vuya", "uyva", "rgba", "bgra", "argb", "abgr", "gbrap"),
    *("ya8", "ya16", "yaf", "pal8"),
)
"""Beginnings of the names of FFmpeg's pixel formats that have alpha, or a palette with it."""
_SEI: Final = 39
"""Type of the HEVC units with messages that precede a picture."""
_ALPHA_CHANNEL: Final = 165
"""Type of the message that describes an alpha layer."""


def has_alpha(pixel_format: str) -> bool:
    """Whether pixels of a format, by its name in FFmpeg, may be transparent.

    Examples:
        >>> has_alpha("yuva420p"), has_alpha("yuv420p")
        (True, False)
    """
    return pixel_format.startswith(_FORMATS)


@dataclass(frozen=True, slots=True)
class Alpha:
    """The alpha beside the pictures of a stream.

    Attributes:
        decoder: FFmpeg's name of the decoder that reads it; None where there is none to read.
        matrix: Display matrix of the first frame, which that decoder does not pass on.
        problem: Reason why it is not shown, in words; void where decoded frames have alpha.
    """

    decoder: str | None = None
    matrix: bytes | None = None
    problem: str | None = None


def alpha_of(stream: Any) -> Alpha:
    """The alpha beside the pictures of a video stream; reads the file's packets where some is announced."""
    container = stream.container
    codec = None if stream.codec_context is None else stream.codec_context.name
    if codec == "hevc" and _has_alpha_layer(stream.codec_context.extradata or b""):
        return Alpha(problem="transparency is not shown: the decoder of HEVC does not read it")
    if codec not in _DECODERS or not container.format.name.startswith("matroska"):
        return Alpha()
    tags = {name.lower(): value for name, value in stream.metadata.items()}
    if tags.get("alpha_mode") != "1":
        return Alpha()
    path = Path(container.name.removeprefix("file:"))
    status = path.stat()
    return _scan(path, status.st_ino, status.st_size, status.st_mtime_ns, stream.index)


@lru_cache(_KEPT)
def _scan(path: Path, _inode: int, _size: int, _changed: int, number: int) -> Alpha:
    import av

    if not hasattr(av.Packet, "has_sidedata"):
        return Alpha(problem="transparency is not shown: PyAV 16 or later reads it")
    begun = False
    first: int | None = None
    matrix: bytes | None = None
    with open_container(path) as container:
        stream = container.streams[number]
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if first is None:
                    first, matrix = packet.pts or 0, _matrix(packet)
                if packet.has_sidedata(_BESIDE):
                    begun = True
                elif begun:
                    at = seconds((packet.pts or 0) - first, stream.time_base)
                    return Alpha(problem=f"transparency ends at {at:.3f} s: none is shown")
        except (av.FFmpegError, OverflowError, IndexError):
            pass  # whoever reads the pictures remarks on it
        return Alpha(_DECODERS[stream.codec_context.name], matrix) if begun else Alpha()


def _has_alpha_layer(header: bytes) -> bool:
    """Whether a header of HEVC in MP4 or QuickTime (`hvcC`) announces a layer of alpha."""
    at = 23
    for _ in range(header[22] if len(header) > 22 and header[0] == 1 else 0):
        kind, count = header[at] & 63 if at < len(header) else 0, header[at + 1 : at + 3]
        at += 3
        for _ in range(int.from_bytes(count, "big")):
            length = int.from_bytes(header[at : at + 2], "big")
            unit = header[at + 4 : at + 2 + length]  # its own head has two bytes
            at += 2 + length
            if kind == _SEI and _ALPHA_CHANNEL in _messages(unit):
                return True
            if at >= len(header):
                return False
    return False


def _messages(unit: bytes) -> list[int]:
    """Types of the messages in an HEVC unit."""
    found, at = [], 0
    while at + 2 < len(unit):
        numbers = []
        for _ in range(2):  # type and size, each as 255 + 255 + ... + rest
            number = 0
            while at < len(unit) and unit[at] == 255:
                number, at = number + 255, at + 1
            numbers.append(number + (unit[at] if at < len(unit) else 0))
            at += 1
        found.append(numbers[0])
        at += numbers[1]
    return found


def _matrix(packet: Any) -> bytes | None:
    """The display matrix of the first frame."""
    import av

    try:
        frames = packet.decode()
    except (av.FFmpegError, OverflowError):
        return None
    data = frames[0].side_data.get("DISPLAYMATRIX") if frames else None
    return None if data is None else bytes(data)


def alpha_context(stream: Any, decoder: str) -> Any:
    """A decoder of a stream's pictures together with the alpha beside them.

    Args:
        stream: Video stream.
        decoder: `Alpha.decoder`.

    Raises:
        BrokenMediaError: The installed PyAV lacks the decoder.
    """
    import av

    try:
        context: Any = av.CodecContext.create(decoder, "r")
    except ValueError:
        raise BrokenMediaError(
            f"the video has transparency, which the decoder {decoder} reads, and PyAV here lacks it: "
            "install the wheel of `av` from PyPI"
        ) from None
    own = stream.codec_context
    context.thread_count = own.thread_count
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
        setattr(context, name, getattr(own, name))
    return context
