"""Safe opening of files: permitted kinds, limits of size, and choice of streams."""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import (
    BrokenMediaError,
    MissingMediaError,
    NotMediaError,
    NoVideoError,
    TooLargeError,
)
from theval_datasets.utils.optional import available, need

Pixels = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]

_FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,gif,asf,ogg,ivf,m4v,h264,"
    "hevc,av1,mxf,nut,wav,w64,mp3,flac,aac,aiff,caf,amr,apng,dv,yuv4mpegpipe,ac3,eac3,au"
)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_STILL_MAGIC: Final = {_PNG: "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}
_READING: Final = 5
"""Version of this package's conversion of decoded frames and sound; raised when either changes."""
_HEAD_CHUNKS: Final = 64
_TAGGED_END: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)
_TRUNCATED_AFTER: Final = 0.5  # seconds by which a stream may fall short of its header


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits above which a file is refused as `too-large`.

    Attributes:
        n_bytes: Size of a file in bytes.
        pixels: Width × height of a picture.
        seconds: Length of a video, and of an audio track, in seconds.
        decoded_pixels: Number of pixels of all frames together, for files of up to 20 kB.
        pixels_per_byte: Number of pixels of all frames together per byte of the file, for larger files.
    """

    n_bytes: int = 64 << 30
    pixels: int = 1 << 26
    seconds: float = 12 * 3600.0
    decoded_pixels: int = 10_000_000_000
    pixels_per_byte: int = 500_000


LIMITS: Final = Limits()


def ffmpeg_binary() -> str:
    """Path of the ffmpeg to use: `THEVAL_FFMPEG`, else imageio-ffmpeg's pinned binary."""
    chosen = os.environ.get("THEVAL_FFMPEG")
    if chosen:
        return chosen
    import imageio_ffmpeg

    binary: str = imageio_ffmpeg.get_ffmpeg_exe()
    return binary


def decoder_version() -> str:
    """Names and versions of the decoding libraries, as recorded in cache keys and manifests.

    Raises:
        MissingExtraError: There is no decoder, since the extra [media] is not installed.
    """
    need("media")
    names = ["av", "decord"] if available("decord") else ["av"]
    versions = [f"{name}-{importlib.metadata.version(name)}" for name in names]
    return "+".join([*versions, f"media-{_READING}"])


def safe_input_options() -> dict[str, str]:
    """Options for every ffmpeg input: local files in plain containers only, without references."""
    return {"protocol_whitelist": "file,pipe", "format_whitelist": _FORMATS}


def _metadata_options(version: str) -> dict[str, str]:
    """Options that keep `av.open` from failing on text that is not UTF-8; PyAV 19 needs none."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


@contextmanager
def open_container(path: Path, **options: int) -> Iterator[Any]:
    """Open a file with further options of its demuxer."""
    import av

    try:
        container = av.open(
            f"file:{path.resolve()}",
            options=safe_input_options() | {name: str(value) for name, value in options.items()},
            container_options={},
            **_metadata_options(av.__version__),
        )
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotMediaError(
            f"{path.name} is not audio or video that can be read: {reason}"
        ) from None
    try:
        with container:
            yield container
    except (av.FFmpegError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BrokenMediaError(f"{path.name} cannot be decoded: {reason}") from None


def video_streams(container: Any) -> list[Any]:
    """Video streams, without cover pictures."""
    from av.stream import Disposition

    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def video_stream(container: Any, path: Path) -> Any:
    from av.stream import Disposition

    streams = video_streams(container)
    if not streams:
        raise NoVideoError(f"{path.name} has no video stream")
    marked = (s for s in streams if s.disposition & Disposition.default)
    stream = next(marked, streams[0])
    if stream.codec_context is None:
        raise BrokenMediaError(f"{path.name}: no decoder for its video")
    return stream


def audio_stream(container: Any) -> Any:
    """The audio stream that a player chooses: the one marked as default, else the first."""
    from av.stream import Disposition

    usable = [s for s in container.streams.audio if s.codec_context is not None]
    marked = (s for s in usable if s.disposition & Disposition.default)
    return next(marked, next(iter(usable), None))


def seconds(ticks: int | None, time_base: Any) -> float:
    """Ticks of a time base, a fraction, in seconds: the nearest number to their exact product."""
    return float((ticks or 0) * time_base.numerator / time_base.denominator)


def check_file(path: Path, limits: Limits) -> None:
    if not path.is_file():
        raise MissingMediaError(f"There is no file {path}")
    size = path.stat().st_size
    if size == 0:
        raise NotMediaError(f"{path.name} is empty")
    if size > limits.n_bytes:
        raise TooLargeError(f"{path.name} has {size} bytes; the limit is {limits.n_bytes}")


def still_format(path: Path) -> str | None:
    """Format of a still image by its first bytes; None for anything else, including animated PNG."""
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:8] == _PNG and _is_animated_png(stream):
            return None
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "webp"
    return next((kind for magic, kind in _STILL_MAGIC.items() if head.startswith(magic)), None)


def _is_animated_png(stream: IO[bytes]) -> bool:
    """Whether a PNG is animated: the chunk `acTL` precedes its picture."""
    stream.seek(8)
    for _ in range(_HEAD_CHUNKS):
        head = stream.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return False
        if head[4:] == b"acTL":
            return True
        stream.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return False


def too_many_pixels(path: Path, width: int, height: int, limits: Limits) -> str:
    return f"{path.name} is {width}×{height}; the limit is {limits.pixels} pixels per frame"


def pixel_budget(path: Path, limits: Limits) -> int:
    """Maximum number of pixels of all frames of a file together, by its size."""
    return max(limits.decoded_pixels, limits.pixels_per_byte * path.stat().st_size)


def check_length(path: Path, n_frames: int, stream: Any, limits: Limits) -> None:
    """Refuse a file whose frames together are out of proportion to its size.

    Raises:
        TooLargeError: The frames together have more pixels than `pixel_budget`.
    """
    context = stream.codec_context
    total = n_frames * context.width * context.height
    allowed = pixel_budget(path, limits)
    if total > allowed:
        raise TooLargeError(
            f"{path.name}: {n_frames} frames of {context.width}×{context.height} are {total} "
            f"pixels; the limit for a file of its size is {allowed}"
        )


def shortfall(stream: Any, end: float, first: int) -> str | None:
    """Remark on a stream that ends at `end` although its header promises notably more; else None.

    Args:
        stream: Stream.
        end: End of its last frame in seconds since its first.
        first: Timestamp of its first frame that decodes; what lies before it is not missing at the end.
    """
    if stream.duration is None:
        promised = _promised_by_matroska(stream) - max(0.0, seconds(first, stream.time_base))
        return _short(promised, end)
    begin = stream.start_time or 0
    if stream.container.format.name.startswith("mov"):
        begin = 0  # fragments, as the segments of HLS, state the time of their end
    before = max(0, first - begin)
    lasting = max(seconds(stream.duration, stream.time_base), _promised_by_avi(stream))
    return _short(lasting - seconds(before, stream.time_base), end)


def _promised_by_avi(stream: Any) -> float:
    """Seconds of a video in AVI by its stated number of frames; 0.0 for other streams.

    The duration that ffmpeg gives is that of the part which is there.
    """
    in_avi = stream.type == "video" and stream.container.format.name == "avi"
    return float(stream.frames / stream.average_rate) if in_avi and stream.average_rate else 0.0


def _promised_by_matroska(stream: Any) -> float:
    """Seconds at which a stream of Matroska or WebM ends, as its file states; 0.0 if it does not.

    The file's header states the end of the longest stream only. That of each is in a tag, which a program that
    copied it from another file may have left as it was, so the earlier of the two counts.
    """
    container = stream.container
    if not container.format.name.startswith("matroska") or not container.duration:
        return 0.0
    of_all: float = container.duration / 1e6
    tag = _TAGGED_END.fullmatch(stream.metadata.get("DURATION", ""))
    if tag is not None:
        hours, minutes, rest = tag.groups()
        return min(of_all, int(hours) * 3600 + int(minutes) * 60 + float(rest))
    return of_all if len(container.streams) == 1 else 0.0


def _short(promised: float, end: float) -> str | None:
    if promised - end > _TRUNCATED_AFTER:
        return f"truncated: the header states {promised:.2f} s, the frames end at {end:.2f} s"
    return None
