"""Content-independent measurements of the picture: sharpness, brightness, motion, bars, seams, text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import FrameRequest, Frames

from .formulas.seams import HEIGHT, Seam, SeamDetector

FPS: Final = 2.0
_BORDER: Final = 0.05  # share of the side at the border in which seams are ignored
_SMALL: Final = (64, 36)
_DARK: Final = 24.0  # maximum luma of a black bar
_STROKE: Final = 40  # minimum contrast of a letter with its surroundings, grey levels
_STAYS: Final = 0.75  # minimum share of the samples that show burnt-in text

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture(Extractor):
    """Measurements of two grey frames a second, at most 360 lines high.

    Sharpness is the variance of the Laplacian of the 360-line picture. Motion is the mean change of a
    64 × 36 thumbnail since the previous sample. Bars are rows or columns at the border that are black in
    every sample. A seam is a straight edge through the whole height or width of the picture in every sample,
    as between panels. Text is a static pattern that resembles lines of letters: short strokes of high
    contrast in rows. Seams and text are heuristics.
    """

    name: ClassVar[str] = "picture"
    source: ClassVar[str] = "defined by this package"
    default_enabled: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]] = (
        Column("time", "float64", ("sample",), "Times of the sampled frames.", unit="s", low=0),
        Column(
            "sharpness",
            "float32",
            ("sample",),
            "Variance of the Laplacian.",
            unit="grey level²",
            low=0,
        ),
        Column("brightness", "float32", ("sample",), "Mean luma.", low=0, high=1),
        Column("contrast", "float32", ("sample",), "Standard deviation of luma.", low=0, high=0.5),
        Column(
            "motion",
            "float32",
            ("step",),
            "Mean change from sample to sample.",
            unit="grey level",
            low=0,
            high=255,
        ),
        Column(
            "bars",
            "float32",
            (4,),
            "Black bars left, top, right, bottom.",
            unit="share of the side",
            low=0,
            high=1,
        ),
        Column("seams", "int32", (), "Number of straight seams between panels.", low=0),
        Column(
            "text_share",
            "float32",
            (),
            "Share of the picture under static text.",
            low=0,
            high=1,
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """Two frames a second, grey."""
        return FrameRequest(fps=FPS, height=HEIGHT, colour="gray")

    def open(self, clip: ClipInputs, model: Any) -> _PictureAccumulator:
        """Begin with nothing."""
        return _PictureAccumulator()


class _PictureAccumulator:
    def __init__(self) -> None:
        self._times: list[float] = []
        self._sharpness: list[float] = []
        self._brightness: list[float] = []
        self._contrast: list[float] = []
        self._motion: list[float] = []
        self._last: npt.NDArray[np.float64] | None = None
        self._seams = SeamDetector()
        self._columns: npt.NDArray[np.float64] | None = None
        self._rows: npt.NDArray[np.float64] | None = None
        self._text: npt.NDArray[np.int64] | None = None

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            self._times.append(time)
            self._measure(frame)

    def _measure(self, frame: Grey) -> None:
        import cv2

        self._sharpness.append(float(cv2.Laplacian(frame, cv2.CV_64F).var()))
        self._brightness.append(float(frame.mean()) / 255)
        self._contrast.append(float(frame.std()) / 255)
        small = cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float64)
        if self._last is not None:
            self._motion.append(float(np.abs(small - self._last).mean()))
        self._last = small
        levels = frame.astype(np.float64)
        self._columns = _most(self._columns, np.percentile(levels, 98, axis=0))
        self._rows = _most(self._rows, np.percentile(levels, 98, axis=1))
        self._seams.update(frame)
        text = text_mask(frame).astype(np.int64)
        self._text = text if self._text is None else self._text + text

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if self._columns is None or self._rows is None or self._text is None:
            raise RuntimeError("a clip has at least one frame")
        left, right = _border(self._columns)
        top, bottom = _border(self._rows)
        bars = ((left, right), (top, bottom))
        seams = [seam for seam in self._seams.seams() if _inside(seam, *bars[seam.axis])]
        stays = self._text >= max(1.0, _STAYS * len(self._times))
        return {
            "time": np.array(self._times),
            "sharpness": np.array(self._sharpness, np.float32),
            "brightness": np.array(self._brightness, np.float32),
            "contrast": np.array(self._contrast, np.float32),
            "motion": np.array(self._motion, np.float32),
            "bars": np.array((left, top, right, bottom), np.float32),
            "seams": np.array(len(seams), np.int32),
            "text_share": np.array(stays.mean(), np.float32),
        }, {}


def text_mask(grey: Grey) -> npt.NDArray[np.bool_]:
    """Mask of the regions of a picture that resemble lines of text.

    Thin bright or dark strokes are joined horizontally; wide, low regions with several strokes are kept if
    they are neither filled with strokes nor nearly empty.

    Args:
        grey: (height, width): grey levels, 0 to 255.

    Returns:
        bool (height, width).

    Examples:
        >>> bool(text_mask(np.zeros((90, 160), np.uint8)).any())
        False
    """
    import cv2

    size = cv2.getStructuringElement(cv2.MORPH_RECT, (9, 9))
    mask = np.zeros(grey.shape, np.bool_)
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = (cv2.morphologyEx(grey, kind, size) > _STROKE).astype(np.uint8)
        joined = cv2.morphologyEx(
            strokes, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_RECT, (13, 3))
        )
        count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
        for i in range(1, count):
            left, top, width, height, _ = stats[i].tolist()
            if not (6 <= height <= grey.shape[0] // 6 and width >= 4 * height):
                continue
            inside = strokes[top : top + height, left : left + width]
            filled = float(inside.mean())
            letters = int((np.diff(inside.max(axis=0).astype(np.int8)) == 1).sum())
            crossings = float((np.diff(inside.astype(np.int8), axis=1) == 1).sum(axis=1).mean())
            if 0.15 <= filled <= 0.7 and (letters >= 4 or crossings >= 6):
                mask[top : top + height, left : left + width] = True
    return mask


def _border(brightest: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Share of the side that is black at its start and end; 0, 0 if all of it is black."""
    lit = np.flatnonzero(brightest > _DARK)
    if not len(lit):
        return 0.0, 0.0
    size = len(brightest)
    return float(lit[0]) / size, float(size - 1 - lit[-1]) / size


def _inside(seam: Seam, before: float, behind: float) -> bool:
    """Whether a seam is not at the border or at bars of these shares of the side."""
    return before + _BORDER < seam.place < 1 - behind - _BORDER


def _most(a: npt.NDArray[np.float64] | None, b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return b if a is None else np.maximum(a, b)
