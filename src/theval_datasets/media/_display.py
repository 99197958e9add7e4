"""Conversion of stored frames to what a player shows.

The result is what the container does not leave out, upright and unflipped by the display matrix, with
square pixels, progressive, SDR in BT.709, with transparent parts over black. Ordinary frames (square pixels, progressive, SDR, opaque)
only go through swscale. All others go through libavfilter; the bundled ffmpeg has the same filters,
so that a clip that is cut looks the same as the frames that are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from ._alpha import alpha_of, has_alpha
from ._cropping import WHOLE, Cropping
from ._open import Pixels

_HDR: Final = {16: "PQ", 18: "HLG"}
"""HDR transfer characteristics by their numbers in FFmpeg."""
DEINTERLACE: Final = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
TO_SDR: Final = (
    "scale",
    "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=limited"
    ":flags=bicubic+accurate_rnd+bitexact",
)


_TURNS: Final = {
    (False, False, False): (False, 0),
    (True, False, True): (False, 90),
    (False, True, True): (False, 180),
    (True, True, False): (False, 270),
    (False, True, False): (True, 0),
    (True, False, False): (True, 90),
    (False, False, True): (True, 180),
    (True, True, True): (True, 270),
}
"""(transposed, flipped in x, flipped in y) to (mirrored, degrees counter-clockwise)."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight orientations of a stored picture.

    Attributes:
        transposed: Whether rows become columns (before the flips).
        flip_x: Whether left and right are exchanged.
        flip_y: Whether top and bottom are exchanged.
    """

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def degrees(self) -> int:
        """Degrees counter-clockwise by which the picture is turned, after the flip if `mirrored`."""
        return _TURNS[self.transposed, self.flip_x, self.flip_y][1]

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged before the picture is turned."""
        return _TURNS[self.transposed, self.flip_x, self.flip_y][0]

    def apply(self, picture: Pixels) -> Pixels:
        """The picture as it is shown, (height, width, 3)."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        if self.flip_x:
            picture = picture[:, ::-1]
        if self.flip_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)

    def filters(self) -> list[tuple[str, str]]:
        """FFmpeg filters with the same effect."""
        result = [("transpose", "cclock_flip")] if self.transposed else []
        result += [("hflip", "")] if self.flip_x else []
        return result + ([("vflip", "")] if self.flip_y else [])


def orientation_of(frame: Any, stream: Any) -> tuple[Orientation, float | None]:
    """Orientation of a frame of a stream by its display matrix.

    Returns:
        The orientation, and the degrees of a rotation that is ignored because it is not a multiple of
        90; None without one.
    """
    matrix = _display_matrix(frame, stream)
    if matrix is None:
        return Orientation(), None
    a, b, c, d = (value / 65536 for value in (matrix[0], matrix[1], matrix[3], matrix[4]))
    straight, turned = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(straight, turned) > 0.02 * max(straight, turned):
        return Orientation(), float(np.degrees(np.arctan2(b, a)))
    if straight >= turned:
        return Orientation(False, a < 0, d < 0), None
    return Orientation(True, c < 0, b < 0), None


def _display_matrix(frame: Any, stream: Any) -> tuple[int, ...] | None:
    data = frame.side_data.get("DISPLAYMATRIX")
    raw = alpha_of(stream).matrix if data is None else bytes(data)
    return struct.unpack("=9i", raw[:36]) if raw and len(raw) >= 36 else None


@dataclass(frozen=True, slots=True)
class Form:
    """Properties of a stored frame that its display depends on.

    Attributes:
        width: Pixels that are shown, of those that are stored.
        height: Pixels that are shown.
        aspect: Width of a pixel over its height.
        pixel_format: Pixel format by its name in FFmpeg.
        transfer: `PQ` or `HLG` for HDR; None for SDR.
        alpha: Whether parts of the picture may be transparent.
        colours: Matrix, range and primaries by their numbers in FFmpeg.
        cropping: Stored pixels that are not shown.
    """

    width: int
    height: int
    aspect: Fraction
    pixel_format: str
    transfer: str | None
    alpha: bool
    colours: tuple[int, int, int]
    cropping: Cropping = WHOLE

    @property
    def square_width(self) -> int:
        """Width in square pixels at the same height; rounded to an even number unless pixels are
        square already."""
        if self.aspect == 1:
            return self.width
        return max(2, 2 * round(float(self.width * self.aspect) / 2))

    @property
    def ordinary(self) -> bool:
        """Whether the frame needs no filter, only a conversion by swscale."""
        return self.aspect == 1 and self.transfer is None and not self.alpha


def form_of(frame: Any, aspect: Fraction, beside: bool, cropping: Cropping) -> Form:
    """Properties of a decoded frame that its display depends on.

    Args:
        frame: Decoded frame.
        aspect: Width of a pixel over its height, according to the container and the stream.
        beside: Whether the stream has alpha beside its pictures, which may begin after this frame.
        cropping: Pixels that the container leaves out.
    """
    colours = (int(frame.colorspace), int(frame.color_range), int(frame.color_primaries))
    transfer = _HDR.get(int(frame.color_trc))
    name = frame.format.name
    alpha = beside or has_alpha(name)
    width, height = frame.width, frame.height
    if cropping != WHOLE:
        left, top, right, bottom = cropping
        across, down = 4 // frame.format.chroma_width(4), 4 // frame.format.chroma_height(4)
        width = (
            (width - left - right) // across * across
        )  # as ffmpeg's `crop` does, by whole colours
        height = (height - top - bottom) // down * down
        if min(width, height) <= 0:  # a smaller picture, from somewhere on
            width, height, cropping = frame.width, frame.height, WHOLE
    return Form(width, height, aspect, name, transfer, alpha, colours, cropping)


def aspect_of(stream: Any) -> Fraction:
    """Width of a stream's pixels over their height; 1 if none or an implausible one is stated."""
    result = stream.sample_aspect_ratio
    if not result or not Fraction(1, 20) <= result <= 20:
        return Fraction(1)
    return Fraction(result.numerator, result.denominator)


def is_interlaced(frame: Any) -> bool:
    """Whether a frame is interlaced: it holds two fields."""
    return bool(frame.interlaced_frame)


def over_black(rgba: Pixels) -> Pixels:
    """Blend straight RGBA, (height, width, 4), over black: RGB, (height, width, 3); both 0 to 255.

    Examples:
        >>> over_black(np.array([[[255, 100, 0, 51]]], np.uint8)).tolist()
        [[[51, 20, 0]]]
    """
    alpha = rgba[..., 3:].astype(np.uint16)
    blended: Pixels = ((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8)
    return blended


def displayed_size(form: Form, orientation: Orientation) -> tuple[int, int]:
    """Width and height in pixels of a picture as it is shown."""
    width, height = form.square_width, form.height
    return (height, width) if orientation.transposed else (width, height)


def cutting_filters(form: Form, orientation: Orientation, interlaced: bool) -> list[str] | None:
    """FFmpeg filters, orientation included, that show frames as `Presenter` does.

    Returns:
        Filters in their order, the last of which gives square pixels in BT.709; None for ordinary
        frames, which ffmpeg by itself only turns by the display matrix.
    """
    if form.ordinary and not interlaced:
        return None
    result = ["=".join(DEINTERLACE)] if interlaced else []
    if form.alpha:
        # as `Presenter` does it: ffmpeg's conversion of 4:2:0 to planar RGB would smooth the colours
        coarse = any(kind in form.pixel_format for kind in ("420", "422"))
        result += [*(["format=rgba"] if coarse else []), "format=gbrap", "premultiply=inplace=1"]
    if form.transfer is not None:
        result += ["=".join(TO_SDR), "format=yuv420p"]
    result += [f"{name}={value}" if value else name for name, value in orientation.filters()]
    width, height = displayed_size(form, orientation)
    square = f"scale={width}:{height}:out_color_matrix=bt709:out_range=limited"
    return [*result, f"{square}:flags=bicubic+accurate_rnd+bitexact", "format=yuv420p", "setsar=1"]
