"""Text in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known
from theval_datasets.media.frames import FrameRequest, Frames

from .networks import text_reader
from .networks.text_reader import Line, TextReader
from .people.tracks import overlap

FPS: Final = 2.0
HEIGHT: Final = 720
_MOST: Final = 16  # largest number of frames that are averaged
_SHIFT: Final = 4  # largest shift of a line that is looked for, pixels
_LEGIBLE: Final = 0.5  # smallest score of a line that is kept
_LARGEST: Final = 0.25  # largest height of a line, or width of an upright one, share of the picture
_SAME: Final = 0.3  # smallest overlap of two readings of one line

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Lettering(Extractor):
    """Lines of text in the mean of 8 to 16 frames of the clip, and in its middle frame.

    The mean blurs what moves. Lettering that is laid over the picture stays legible in it, more so than in a
    single frame if it is transparent, and text on clothes does not. A line is still in a frame if its edges
    are where they are in the mean of the other frames, to the pixel. Of two readings of a line the more certain
    one counts. The frames are evenly spaced, at most two a second and at most 720 lines high.
    """

    name: ClassVar[str] = "lettering"
    source: ClassVar[str] = (
        "Cui et al., PP-OCR (PaddleOCR's models), for reading; stillness is defined by this package"
    )
    extra: ClassVar[str | None] = text_reader.EXTRA
    imports: ClassVar[tuple[str, ...]] = text_reader.MODULES
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("text", "<U64", ("line",), "First 64 characters of each line."),
        Column("score", "float32", ("line",), "Mean probability of its characters.", low=0, high=1),
        Column(
            "text_box",
            "float32",
            ("line", 4),
            "Left, top, right, bottom of its box.",
            unit="share of the frame",
            low=0,
            high=1,
        ),
        Column(
            "still",
            "float32",
            ("line",),
            "Share of the frames in which the line is still; 0 for a line of the middle frame only.",
            low=0,
            high=1,
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """Two frames a second, at most 720 lines high."""
        return FrameRequest(fps=FPS, height=HEIGHT, colour="bgr")

    def weights(self) -> Sequence[Weights]:
        """PP-OCR."""
        return (known("pp-ocr"),)

    def weights_id(self) -> str:
        """Version of the package that carries the models."""
        return TextReader.identity()

    def setup(self) -> TextReader:
        """Load the models."""
        return TextReader()

    def open(self, clip: ClipInputs, model: Any) -> LetteringReader:
        """Begin without frames."""
        return LetteringReader(model)


class LetteringReader:
    """Reads the text of a sequence of pictures.

    Args:
        reader: Reads the text of a picture.
    """

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._frames: list[Pixels] = []
        self._every = 1
        self._seen = 0

    def update(self, batch: Frames) -> None:
        """Add the next frames, in blue, green, red; all have one size."""
        for frame in batch.pixels:
            self.add(frame)

    def add(self, frame: Pixels) -> None:
        """Add a picture, uint8 (height, width, 3) in blue, green, red."""
        if self._seen % self._every == 0:
            if len(self._frames) == _MOST:
                self._frames = self._frames[::2]
                self._every *= 2
            if self._seen % self._every == 0:
                self._frames.append(frame.copy())
        self._seen += 1

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        """Lines, and the share of the frames in which each is still."""
        total = np.zeros(self._frames[0].shape, np.float32)
        for frame in self._frames:
            total += frame
        mean = np.rint(total / len(self._frames)).astype(np.uint8)
        lines = _legible(self._reader.read(mean), mean)
        still = self._stillness(lines)
        middle = self._frames[len(self._frames) // 2]
        places = np.array([line.box for line in lines], np.float32).reshape(-1, 4)
        for line in _legible(self._reader.read(middle), middle):
            shared = overlap(places, line.box[np.newaxis])[:, 0]
            same = int(shared.argmax()) if len(shared) else -1
            if same < 0 or shared[same] < _SAME:
                lines.append(line)
                still.append(0.0)
            elif line.score > lines[same].score:
                lines[same] = replace(lines[same], text=line.text, score=line.score)
        height, width = mean.shape[:2]
        size = np.array((width, height, width, height), np.float32)
        boxes = np.array([line.box / size for line in lines], np.float32).reshape(-1, 4)
        return {
            "text": np.array([line.text for line in lines], "<U64"),
            "score": np.array([line.score for line in lines], np.float32),
            "text_box": boxes.clip(0, 1),
            "still": np.array(still, np.float32),
        }, {}

    def _stillness(self, lines: list[Line]) -> list[float]:
        """Share of the frames in which each line is where the other frames have it."""
        import cv2

        n = len(self._frames)
        if n == 1 or not lines:
            return [1.0] * len(lines)
        edges = [_edges(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)) for frame in self._frames]
        total = np.sum(edges, axis=0)
        n_still = np.zeros(len(lines))
        for own in edges:
            others = (total - own) / (n - 1)
            n_still += [is_still(others, own, line.box) for line in lines]
        return [float(share) for share in n_still / n]


def _legible(lines: list[Line], picture: Pixels) -> list[Line]:
    """The lines that are read with some certainty, without large objects that resemble a character."""
    height, width = picture.shape[:2]
    size = np.array((width, height), np.float32)
    return [
        line
        for line in lines
        if line.score >= _LEGIBLE
        and line.text.strip()
        and ((line.box[2:] - line.box[:2]) / size).min() <= _LARGEST
    ]


def _edges(grey: Pixels) -> Floats:
    """Horizontal and vertical gradient, (height, width, 2)."""
    import cv2

    return np.dstack([cv2.Sobel(grey, cv2.CV_32F, *way) for way in ((1, 0), (0, 1))])


def is_still(mean: Floats, frame: Floats, box: Floats) -> bool:
    """Whether the edges in a box match those of a mean better than shifted by up to four pixels.

    Args:
        mean: float32 (height, width, 2): gradient of the mean of other frames.
        frame: The same of a frame.
        box: float32 (4,): left, top, right, bottom in pixels.
    """
    import cv2

    height, width = mean.shape[:2]
    left, top = np.maximum(np.floor(box[:2]).astype(int), 0)
    right, bottom = np.minimum(np.ceil(box[2:]).astype(int), (width, height))
    pattern = np.ascontiguousarray(mean[top:bottom, left:right])
    around = cv2.copyMakeBorder(frame, *(_SHIFT,) * 4, cv2.BORDER_CONSTANT)
    region = np.ascontiguousarray(around[top : bottom + 2 * _SHIFT, left : right + 2 * _SHIFT])
    likeness = cv2.matchTemplate(region, pattern, cv2.TM_CCORR_NORMED)
    return bool(likeness[_SHIFT, _SHIFT] > 0 and likeness.argmax() == likeness.size // 2)
