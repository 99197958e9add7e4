"""Sequential access: every frame of a video as displayed, in batches."""

from __future__ import annotations

import itertools
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from theval_datasets.errors import NotMediaError, TooLargeError, ZeroFramesError

from ._alpha import alpha_of
from ._cropping import cropping_of
from ._decode import Remarks, decoded
from ._display import (
    Orientation,
    aspect_of,
    displayed_size,
    form_of,
    is_interlaced,
    orientation_of,
    over_black,
)
from ._open import (
    LIMITS,
    Limits,
    Pixels,
    check_file,
    open_container,
    pixel_budget,
    seconds,
    shortfall,
    still_format,
    too_many_pixels,
    video_stream,
)
from ._pictures import DisplayedFrame, Pictures, Presenter
from .frames import Frames, Header

_FULL_RANGE: Final = 2
"""FFmpeg's number for pixel values from 0 to 255."""
_BT601: Final = {2, 5, 6}
"""FFmpeg's colour spaces that are converted by BT.601: unspecified, and the two names of BT.601."""
BATCH_FRAMES: Final = 16
BATCH_BYTES: Final = 20 << 20


@contextmanager
def open_video(path: Path, *, threads: int = 0, limits: Limits = LIMITS) -> Iterator[Video]:
    """Open a file for its frames; a still image is a video of one frame.

    Args:
        path: File.
        threads: Number of decoder threads; 0 lets FFmpeg choose.
        limits: Limits above which the file is refused.

    Raises:
        MissingMediaError: There is no such file.
        NotMediaError: The file is not audio or video that can be read.
        NoVideoError: The file has no video stream.
        TooLargeError: The file exceeds a limit.
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
        size: Width and height in pixels, as displayed.
        end: Time at which the last decoded frame ends, in seconds; 0 before decoding.
        header: Frame rate and number of frames that the container states.
    """

    size: tuple[int, int]
    header: Header = Header(0.0, 1)
    end: float = 0.0

    @property
    def problem(self) -> str | None:
        """Problems met while decoding; None without any so far."""
        return None

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        """Every frame in order, once, in batches of at most 16 frames and 20 MB.

        Frames are converted to RGB when they are looked at, by one thread. Packets that do not decode are skipped and reported in `problem`.

        Args:
            pixels: Whether to fill `Frames.pixels`; False if only times are wanted.
            stored: Whether to fill `Frames.stored` too.

        Raises:
            ZeroFramesError: No frame decodes.
        """
        raise NotImplementedError


class Still(Video):
    """A still image as a video of one frame at second 0."""

    def __init__(self, path: Path, kind: str, limits: Limits) -> None:
        from PIL import Image, ImageOps, UnidentifiedImageError

        try:
            with Image.open(path) as image:
                if image.width * image.height > limits.pixels:
                    raise TooLargeError(too_many_pixels(path, image.width, image.height, limits))
                if getattr(image, "is_animated", False):
                    raise NotMediaError(
                        f"{path.name} is an animated {kind} image, which is not supported; convert "
                        "it to a GIF, an animated PNG or a video"
                    )
                upright = _opaque(ImageOps.exif_transpose(image))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise TooLargeError(f"{path.name}: {error}") from None
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error) as error:
            raise NotMediaError(f"{path.name} begins like a {kind} image, but: {error}") from None
        self._pixels = np.asarray(upright, dtype=np.uint8)
        self.size = upright.size

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        picture = [self._pixels]
        at = np.zeros(1), np.zeros(1, dtype=np.int64)
        yield Frames(picture if pixels else [], *at, picture if stored else [])


def _opaque(image: Any) -> Any:
    """An image in RGB, with transparent parts over black."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    straight = image.convert("RGBA")
    return Image.fromarray(over_black(np.asarray(straight, dtype=np.uint8)))


class Movie(Video):
    """A video file read by PyAV, from its first frame that decodes."""

    def __init__(self, path: Path, container: Any, threads: int, limits: Limits) -> None:
        self._path = path
        self._container = container
        self._limits = limits
        self._stream = video_stream(container, path)
        context = self._stream.codec_context
        self._check_size(context.width, context.height)
        context.thread_type = "AUTO"
        if threads:
            context.thread_count = threads
        self._remarks = Remarks()
        self._decoded = decoded(container, self._stream, self._remarks)
        self._first = next(self._decoded, None)
        if self._first is None:
            raise ZeroFramesError(
                f"{path.name}: no frame decodes ({self._remarks.text() or 'no data'})"
            )
        self._check_size(self._first.width, self._first.height)
        self.decoder = alpha_of(self._stream).decoder
        beside = self.decoder is not None
        cropping = cropping_of(self._stream)
        self.form = form_of(self._first, aspect_of(self._stream), beside, cropping)
        self.orientation, self._remarks.turned = orientation_of(self._first, self._stream)
        self.interlaced = is_interlaced(self._first)
        self.size = displayed_size(self.form, self.orientation)
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        promised = seconds(self._stream.duration, self._stream.time_base)
        self.header = Header(rate, self._stream.frames or int(promised * rate + 0.5))

    @property
    def problem(self) -> str | None:
        """Problems met while decoding; None without any so far."""
        return self._remarks.text()

    def frames(self, *, pixels: bool = True, stored: bool = False) -> Iterator[Frames]:
        """Every frame in order, once; see `Video.frames`."""
        first, self._first = self._first, None
        if first is None:
            raise RuntimeError("the frames of an open video can be read once")
        width, height = self.size
        per_batch = max(1, min(BATCH_FRAMES, BATCH_BYTES // (width * height * 3)))
        presenter = Presenter(self._stream, self.size) if pixels else None
        read = _AsStored(first.width, first.height) if stored else None
        batch = _Batch()
        waiting: deque[tuple[Any, float, bool]] = deque()
        ready: deque[DisplayedFrame] = deque()
        count = 0
        for frame, time, resized in self._timed(first):
            waiting.append((frame if stored else None, time, resized))
            if presenter is not None:
                ready.extend(picture for _, picture in presenter.push(frame))
            while waiting and (presenter is None or ready):
                shown = ready.popleft() if presenter is not None else None
                self._add(batch, waiting.popleft(), shown, read)
                count += 1
                if len(batch.times) == per_batch:
                    yield batch.frames(count)
                    batch = _Batch()
        if presenter is not None:
            ready.extend(picture for _, picture in presenter.flush())
        while waiting and (presenter is None or ready):
            shown = ready.popleft() if presenter is not None else None
            self._add(batch, waiting.popleft(), shown, read)
            count += 1
        if batch.times:
            yield batch.frames(count)
        if self._remarks.stopped is None and not self._remarks.undecoded:
            self._remarks.short = shortfall(self._stream, self.end, first.pts)

    def _add(
        self,
        batch: _Batch,
        entry: tuple[Any, float, bool],
        shown: DisplayedFrame | None,
        read: _AsStored | None,
    ) -> None:
        frame, time, resized = entry
        if shown is not None:
            batch.pictures.append(shown)
        if read is not None:
            same = shown is not None and self._shown_as_stored(frame)
            batch.stored.append(shown.pixels if same and shown is not None else read.picture(frame))
        batch.times.append(time)
        batch.breaks.append(resized)

    def _timed(self, first: Any) -> Iterator[tuple[Any, float, bool]]:
        """Frames, each with its time in seconds and whether the picture's size changes at it."""
        origin = seconds(first.pts, first.time_base)
        last = -1.0
        size = (first.width, first.height)
        total = 0
        allowed = pixel_budget(self._path, self._limits)
        for frame in itertools.chain((first,), self._decoded):
            time = seconds(frame.pts, frame.time_base) - origin
            if time <= last:
                self._remarks.backwards = self._remarks.backwards or time
                continue
            length = seconds(frame.duration, frame.time_base) or max(0.0, time - max(last, 0.0))
            last, self.end = time, time + length
            resized = (frame.width, frame.height) != size
            if resized:
                size = (frame.width, frame.height)
                self._check_size(*size)
                self._remarks.resized = self._remarks.resized or time
            total += frame.width * frame.height
            if total > allowed or time > self._limits.seconds:
                raise TooLargeError(
                    f"{self._path.name} is too long: it has not ended at {time:.1f} s; the limits for "
                    f"its file size are {self._limits.seconds:.0f} s and {allowed} pixels in total"
                )
            yield frame, time, resized

    def _shown_as_stored(self, frame: Any) -> bool:
        """Whether the displayed frame is identical to the one that OpenCV reads."""
        upright = self.orientation == Orientation()
        plain = self.form.ordinary and not self.interlaced and not frame.interlaced_frame
        same_size = (frame.width, frame.height) == self.size
        ranged = frame.color_range != _FULL_RANGE or _names_its_range(frame)
        return upright and plain and same_size and ranged and frame.colorspace in _BT601

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limits.pixels:
            raise TooLargeError(too_many_pixels(self._path, width, height, self._limits))


def _names_its_range(frame: Any) -> bool:
    """Whether a frame's pixel format itself says full range, as that of JPEG does."""
    return bool(frame.format.name.startswith("yuvj"))


class _AsStored:
    """Frames as OpenCV's VideoCapture reads them: neither scaled nor turned, by BT.601.

    It takes pixels for limited in range unless their format says otherwise, whatever the file says.
    """

    def __init__(self, width: int, height: int) -> None:
        from av.video.reformatter import VideoReformatter

        self._size = (width, height)
        self._reformatter = VideoReformatter()

    def picture(self, frame: Any) -> Pixels:
        """RGB, (height, width, 3)."""
        from av.video.reformatter import ColorRange, Colorspace

        width, height = self._size
        space = Colorspace.ITU601
        made = self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", threads=1,
            src_colorspace=space, dst_colorspace=space,
            src_color_range=ColorRange.JPEG if _names_its_range(frame) else ColorRange.MPEG,
        )  # fmt: skip
        pixels: Pixels = made.to_ndarray()  # type: ignore[assignment]  # rgb24 is uint8
        return pixels


@dataclass(slots=True)
class _Batch:
    """Frames collected for a batch."""

    pictures: list[DisplayedFrame] = field(default_factory=list)
    stored: list[Pixels] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    breaks: list[bool] = field(default_factory=list)

    def frames(self, count: int) -> Frames:
        """The batch that ends with the `count`-th frame of the clip."""
        indices = np.arange(count - len(self.times), count, dtype=np.int64)
        pixels = Pictures(self.pictures)
        return Frames(pixels, np.array(self.times), indices, self.stored, np.array(self.breaks))
