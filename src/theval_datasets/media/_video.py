"""Every frame of a video, in order, upright, in batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from theval_datasets.errors import NotMediaError, TooLargeError, ZeroFramesError

from ._open import (
    LIMITS,
    Limits,
    Pixels,
    check_file,
    open_container,
    seconds,
    shortfall,
    still_format,
    too_many_pixels,
    video_stream,
)
from .frames import Frames, Header

_BT601: Final = {2, 5, 6}
"""FFmpeg's colour spaces that are converted by BT.601: unspecified, and its two names."""
BATCH_FRAMES: Final = 16
BATCH_BYTES: Final = 64 << 20


@contextmanager
def open_video(path: Path, *, threads: int = 0, limits: Limits = LIMITS) -> Iterator[Video]:
    """Open a file for its frames; a still image is a video of one frame.

    Args:
        path: The file.
        threads: Decoder threads; 0 lets FFmpeg choose.
        limits: What is too large.

    Raises:
        MissingMediaError, NotMediaError, NoVideoError, TooLargeError: As it is.
    """
    check_file(path, limits)
    still = still_format(path)
    if still is not None:
        yield Still(path, still, limits)
        return
    with open_container(path) as container:
        yield Movie(path, container, threads, limits)


class Video:
    """An open video.

    Attributes:
        size: Width and height in pixels, upright.
        problem: What went wrong while decoding; None so far.
        end: Seconds: the last decoded frame's time plus its length; 0 before decoding.
        header: What the container promises.
    """

    size: tuple[int, int]
    header: Header = Header(0.0, 1)
    problem: str | None = None
    end: float = 0.0

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        """Every frame in order, once, in batches of at most 16 frames and 64 MB.

        What does not decode is passed over and named in `problem`.

        Args:
            pixels: False to skip the conversion to RGB where only times are wanted.
            stored: Whether `Frames.stored` is wanted too.

        Raises:
            ZeroFramesError: If nothing decodes at all.
        """
        raise NotImplementedError


class Still(Video):
    """A picture as a video of one frame at second 0."""

    def __init__(self, path: Path, kind: str, limits: Limits) -> None:
        from PIL import Image, ImageOps, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                if image.width * image.height > limits.pixels:
                    raise TooLargeError(too_many_pixels(path, image.width, image.height, limits))
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise NotMediaError(f"{path.name} begins like a {kind} image, but: {error}") from None
        self._pixels = np.asarray(upright, dtype=np.uint8)
        self.size = upright.size

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        picture = [self._pixels]
        at = np.zeros(1), np.zeros(1, dtype=np.int64)
        yield Frames(picture if pixels else [], *at, picture if stored else [])


class Movie(Video):
    """A video file through PyAV."""

    def __init__(self, path: Path, container: Any, threads: int, limits: Limits) -> None:
        self._path = path
        self._container = container
        self._stream = video_stream(container, path)
        context = self._stream.codec_context
        if context.width * context.height > limits.pixels:
            raise TooLargeError(too_many_pixels(path, context.width, context.height, limits))
        context.thread_type = "AUTO"
        if threads:
            context.thread_count = threads
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            raise ZeroFramesError(f"{path.name}: no frame decodes ({self.problem or 'no data'})")
        self.turns = int(self._first.rotation) % 360 // 90
        width, height = self._first.width, self._first.height
        self.size = (height, width) if self.turns % 2 else (width, height)
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        promised = seconds(self._stream.duration, self._stream.time_base)
        self.header = Header(rate, self._stream.frames or int(promised * rate + 0.5))

    def _decode(self) -> Iterator[Any]:
        """Frames in order; what does not decode is counted in `problem`."""
        import av

        bad = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError as error:
                self.problem = f"truncated: reading stops: {error.strerror}"
                return
            try:
                decoded = packet.decode()
            except av.FFmpegError as error:
                bad += 1
                self.problem = f"{bad} packets do not decode: {error.strerror}"
                continue
            yield from (frame for frame in decoded if frame.pts is not None)

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        from av.video.reformatter import Colorspace, VideoReformatter

        first, self._first = self._first, None
        if first is None:
            raise RuntimeError("the frames of an open video can be read once")
        origin = seconds(first.pts, first.time_base)
        width, height = first.width, first.height
        per_batch = max(1, min(BATCH_FRAMES, BATCH_BYTES // (width * height * 3)))
        # One reformatter for all frames keeps its tables; with threads=1 it costs half the CPU.
        shown, as_read = VideoReformatter(), VideoReformatter()

        def converted(reformatter: Any, frame: Any, space: Any = None) -> Pixels:
            form = {"width": width, "height": height, "src_colorspace": space}
            made = reformatter.reformat(
                frame, format="rgb24", dst_colorspace=space, threads=1, **form
            )
            pixels: Pixels = made.to_ndarray()
            return pixels

        differs = self.turns != 0 or first.colorspace not in _BT601
        batch = _Batch()
        count = 0
        last = -1.0
        for frame in itertools.chain((first,), self._decoded):
            time = seconds(frame.pts, frame.time_base) - origin
            if time <= last:
                self.problem = f"timestamps do not grow at {time:.3f} s"
                continue
            length = seconds(frame.duration, frame.time_base) or max(0.0, time - max(last, 0.0))
            last, self.end = time, time + length
            if pixels:
                upright = converted(shown, frame)
                batch.pixels.append(np.ascontiguousarray(np.rot90(upright, self.turns)))
            if stored:
                same = pixels and not differs
                batch.stored.append(
                    batch.pixels[-1] if same else converted(as_read, frame, Colorspace.ITU601)
                )
            batch.times.append(time)
            count += 1
            if len(batch.times) == per_batch:
                yield batch.frames(count)
                batch = _Batch()
        if batch.times:
            yield batch.frames(count)
        self.problem = self.problem or shortfall(self._stream, self.end)


@dataclass(slots=True)
class _Batch:
    """Frames on their way into a batch."""

    pixels: list[Pixels] = field(default_factory=list)
    stored: list[Pixels] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def frames(self, count: int) -> Frames:
        """The batch that ends with the `count`-th frame of the clip."""
        indices = np.arange(count - len(self.times), count, dtype=np.int64)
        return Frames(self.pixels, np.array(self.times), indices, self.stored)
