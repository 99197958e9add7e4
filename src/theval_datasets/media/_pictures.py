"""Pictures of decoded frames as a player shows them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

from ._alpha import alpha_of
from ._cropping import WHOLE, cropping_of
from ._display import (
    DEINTERLACE,
    TO_SDR,
    Form,
    Orientation,
    aspect_of,
    form_of,
    is_interlaced,
    orientation_of,
    over_black,
)
from ._open import Pixels


class _Converter:
    """Conversions to RGB by swscale; one reformatter for each size, so that its tables are kept."""

    def __init__(self) -> None:
        self._reformatters: dict[tuple[int, int, bool], Any] = {}

    def shown(self, frame: Any, size: tuple[int, int]) -> Pixels:
        """A whole frame in RGB, (height, width, 3), of the size (width, height)."""
        from av.video.reformatter import Interpolation

        width, height = size
        # swscale looks at it for other sizes, and for odd ones, whose last colours lie half outside
        plain = (frame.width, frame.height) == size and not (width % 2 or height % 2)
        return self._made(frame, size, None if plain else Interpolation.BICUBIC, small=False)

    def small(self, frame: Any, size: tuple[int, int]) -> Pixels:
        """A frame in RGB, scaled down by averages of areas."""
        from av.video.reformatter import Interpolation

        return self._made(frame, size, Interpolation.AREA, small=True)

    def _made(self, frame: Any, size: tuple[int, int], how: Any, *, small: bool) -> Pixels:
        from av.video.reformatter import VideoReformatter

        width, height = size
        reformatter = self._reformatters.setdefault((width, height, small), VideoReformatter())
        made = reformatter.reformat(
            frame, width=width, height=height, format="rgb24", interpolation=how,
            threads=1,  # halves CPU time
        )  # fmt: skip
        pixels: Pixels = made.to_ndarray()
        return pixels


class DisplayedFrame:
    """A decoded frame as it is shown, converted to RGB when it is first looked at.

    Args:
        frame: Decoded frame, or one that a filter graph made.
        size: Width and height before the picture is turned.
        orientation: How it is turned.
        converter: Converter of all pictures of the stream.
    """

    def __init__(
        self, frame: Any, size: tuple[int, int], orientation: Orientation, converter: _Converter
    ) -> None:
        self._frame = frame
        self._size = size
        self._orientation = orientation
        self._converter = converter

    @cached_property
    def pixels(self) -> Pixels:
        """RGB, (height, width, 3)."""
        if self._frame.format.name == "rgba":
            shown = over_black(self._frame.to_ndarray())
        else:
            shown = self._converter.shown(self._frame, self._size)
        return self._orientation.apply(shown)

    def scaled(self, height: int) -> Pixels:
        """RGB of at most this height, (height, width, 3), without converting the whole picture.

        The aspect is kept. Values differ by rounding from those of `pixels` scaled down, and colours by
        what a frame with fewer colours than pixels leaves open.
        """
        whole = self._size[::-1] if self._orientation.transposed else self._size
        if height >= whole[1]:
            return self.pixels
        size = (max(1, round(whole[0] * height / whole[1])), height)
        if self._frame.format.name == "rgba":
            import cv2

            scaled: Pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
            return scaled
        before = size[::-1] if self._orientation.transposed else size
        return self._orientation.apply(self._converter.small(self._frame, before))


class Pictures(Sequence[Pixels]):
    """Pictures of consecutive frames, each converted when it is first looked at.

    Args:
        pictures: The pictures.
    """

    def __init__(self, pictures: Sequence[DisplayedFrame]) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, i: int) -> Pixels: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Pixels]: ...
    def __getitem__(self, i: int | slice) -> Pixels | Sequence[Pixels]:
        if isinstance(i, slice):
            return Pictures(self._pictures[i])
        return self._pictures[i].pixels

    def scaled(self, i: int, height: int) -> Pixels:
        """Picture `i` scaled down to a height while it is converted; see `DisplayedFrame.scaled`."""
        return self._pictures[i].scaled(height)


class Presenter:
    """Converts decoded frames, pushed in order, to pictures as displayed.

    Args:
        stream: Stream of the frames.
        size: Width and height of the pictures; by default those of the first frame.
    """

    def __init__(self, stream: Any, size: tuple[int, int] | None = None) -> None:
        self._stream = stream
        self._aspect = aspect_of(stream)
        self._beside = alpha_of(stream).decoder is not None
        self._cropping = cropping_of(stream)
        self._size = size
        self._converter = _Converter()
        self._deinterlaces = False
        self._form: Form | None = None
        self._orientation = Orientation()
        self._graph: Any = None
        self._turned = False

    def push(self, frame: Any) -> Iterator[tuple[int, DisplayedFrame]]:
        """Take a frame; yield timestamp and picture of the frames that are ready."""
        form = form_of(frame, self._aspect, self._beside, self._cropping)
        interlaced = is_interlaced(frame)
        if form != self._form or (interlaced and not self._deinterlaces):
            yield from self.flush()
            self._form = form
            self._orientation = orientation_of(frame, self._stream)[0]
            self._deinterlaces = self._deinterlaces or interlaced
            plain = form.ordinary and form.cropping == WHOLE and not self._deinterlaces
            self._graph = None if plain else self._build(frame, form)
        if self._graph is None:
            yield frame.pts, self._picture(frame, self._stored_size(), self._orientation)
            return
        self._graph.push(frame)
        yield from self._pull()

    def flush(self) -> Iterator[tuple[int, DisplayedFrame]]:
        """Yield the frames that were still waiting for their successor."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
            self._graph = None
            self._form = None

    def _stored_size(self) -> tuple[int, int]:
        """Width and height, in square pixels, of a picture before it is turned."""
        form = self._form
        if self._size is None and form is not None:
            width, height = form.square_width, form.height
            self._size = (height, width) if self._orientation.transposed else (width, height)
        width, height = self._size or (0, 0)
        return (height, width) if self._orientation.transposed else (width, height)

    @property
    def _shown_size(self) -> str:
        width, height = self._size or (0, 0)
        return f"{width}:{height}"

    def _build(self, frame: Any, form: Form) -> Any:
        import av.filter

        graph = av.filter.Graph()
        width, height = self._stored_size()
        nodes = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base,
            )
        ]
        if form.cropping != WHOLE:
            left, top, _, _ = form.cropping
            nodes.append(graph.add("crop", f"{form.width}:{form.height}:{left}:{top}"))
        if self._deinterlaces:
            nodes.append(graph.add(*DEINTERLACE))
        if form.transfer is not None:
            nodes += [graph.add(*TO_SDR), graph.add("format", "yuv420p")]
        self._turned = (width, height) != (form.width, form.height)
        if self._turned:
            nodes += [graph.add(name, value or None) for name, value in self._orientation.filters()]
            nodes.append(graph.add("scale", f"{self._shown_size}:flags=bicubic"))
        nodes.append(graph.add("format", "rgba" if form.alpha else "rgb24"))
        nodes.append(graph.add("buffersink"))
        for node, following in itertools.pairwise(nodes):
            node.link_to(following)
        graph.configure()
        return graph

    def _picture(
        self, frame: Any, size: tuple[int, int], orientation: Orientation
    ) -> DisplayedFrame:
        return DisplayedFrame(frame, size, orientation, self._converter)

    def _pull(self) -> Iterator[tuple[int, DisplayedFrame]]:
        import av

        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            tick = round(frame.pts * frame.time_base / self._stream.time_base)
            orientation = Orientation() if self._turned else self._orientation
            yield tick, self._picture(frame, (frame.width, frame.height), orientation)
