"""Still pictures of people at the border of the picture, which are partly outside of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column
from theval_datasets.extraction.outcomes import Values
from theval_datasets.media.frames import FrameRequest, Frames

from .people.detection_extractor import DetectionExtractor
from .people.detector import Detections, Detector, Pixels
from .people.grouping import MOVING
from .people.tracks import face_patch, overlap

FPS: Final = 1.0
_BORDER: Final = 1 / 16  # width of the reflected border, share of the longer side
_BEYOND: Final = 0.1  # smallest share of a face's height or width that is outside of the picture
_SAME_PLACE: Final = 0.5  # smallest overlap of two sightings of a still picture
_LEAST: Final = 3  # smallest number of sightings
_PRESENT: Final = 0.5  # smallest share of the samples with a sighting
_STILL: Final = 1.2  # largest change of a still picture from second to second, grey levels
_STILL_SHARE: Final = 75.0  # percentage of the seconds within it
_CORNER: Final = 0.4  # sides of the corners that are enlarged, shares of the picture's
_ENLARGED: Final = 2
_CLOSE_LOOKS: Final = 3  # samples whose corners are enlarged, in any case
_KNOWN: Final = 0.3  # smallest overlap of a face in a corner with one found before


@dataclass(frozen=True)
class Insets(DetectionExtractor):
    """Still faces that the border of the picture cuts, beside a face that moves, in one frame a second.

    Detectors miss a face of which half is outside of the picture. The picture is therefore extended by
    its own reflection. A face that reaches into the extension is an inset if it stays in one place,
    changes by compression noise only, and is there in half of the frames. The corners of the first three frames
    are searched enlarged, and those of the others if there is such a face: of thirty insets made by hand of 4
    to 20 % of the height, 29 are found, without 22. Measured on 35 real clips: the
    two with an inset have a change of 0.6 and 0.8 grey levels in the ninetieth percentile, the only other
    face at the border has 28.
    """

    name: ClassVar[str] = "insets"
    version: ClassVar[int] = 2
    source: ClassVar[str] = (
        "Guo et al., Sample and Computation Redistribution for Efficient Face Detection (2021) "
        "for faces; stillness is defined by this package"
    )
    writes: ClassVar[tuple[Column, ...]] = (
        Column("insets", "int32", (), "Number of still faces at the border.", low=0),
        Column(
            "inset_box",
            "float32",
            ("inset", 4),
            "Left, top, right, bottom of each; reaches beyond the frame.",
            unit="share of the frame",
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """One frame a second, at full size."""
        return FrameRequest(fps=FPS, colour="bgr")

    def open(self, clip: ClipInputs, model: Any) -> InsetFinder:
        """Start without faces."""
        return InsetFinder(model)


@dataclass(slots=True)
class _Candidate:
    """A face at the border.

    Attributes:
        box: float32 (4,): its box at the first sighting, in pixels.
        sightings: Number of samples with a face there.
        changes: Change of its region since the previous sample, in grey levels.
    """

    box: npt.NDArray[np.float32]
    sightings: int = 1
    changes: list[float] = field(default_factory=list)


class InsetFinder:
    """Finds insets in a sequence of pictures.

    Args:
        detector: Detects the faces.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._candidates: list[_Candidate] = []
        self._moving: list[float] = []
        self._last: Pixels | None = None
        self._in_corners = False
        self._samples = 0
        self._size = np.ones(2, np.float32)

    def update(self, batch: Frames) -> None:
        """Add the next frames, in blue, green, red."""
        for frame in batch.pixels:
            self.add(frame)

    def add(self, frame: Pixels) -> None:
        """Add a picture, uint8 (height, width, 3) in blue, green, red; all have one size."""
        import cv2

        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        height, width = grey.shape
        self._size = np.array((width, height), np.float32)
        faces = _with_border(self._detector, frame)
        if self._samples < _CLOSE_LOOKS or self._in_corners:
            n_before = len(faces)
            faces = _in_corners(self._detector, frame, faces)
            self._in_corners |= len(faces) > n_before
        at_border = [_is_cut(box, width, height) for box in faces.boxes]
        for candidate in self._candidates:
            if self._last is not None:
                candidate.changes.append(_change(self._last, grey, candidate.box))
        seen: set[int] = set()
        for box, cut in zip(faces.boxes, at_border, strict=True):
            if not cut:
                continue
            known = np.array([c.box for c in self._candidates], np.float32).reshape(-1, 4)
            shared = overlap(known, box[np.newaxis])[:, 0]
            nearest = int(shared.argmax()) if len(shared) else -1
            if nearest >= 0 and shared[nearest] >= _SAME_PLACE:
                if nearest not in seen:
                    self._candidates[nearest].sightings += 1
            else:
                nearest = len(self._candidates)
                self._candidates.append(_Candidate(box))
            seen.add(nearest)
        if self._last is not None:
            others = [
                _change(self._last, grey, box)
                for box, cut in zip(faces.boxes, at_border, strict=True)
                if not cut
            ]
            if others:
                self._moving.append(max(others))
        self._last = grey
        self._samples += 1

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        """Number and boxes of the insets."""
        moving = bool(self._moving) and float(np.median(self._moving)) >= MOVING
        boxes = [
            one.box / np.tile(self._size, 2)
            for one in self._candidates
            if moving
            and one.sightings >= max(_LEAST, _PRESENT * self._samples)
            and float(np.percentile(one.changes, _STILL_SHARE)) < _STILL
        ]
        return {
            "insets": np.array(len(boxes), np.int32),
            "inset_box": np.array(boxes, np.float32).reshape(-1, 4),
        }, {}


def _extended(frame: Pixels) -> tuple[Pixels, int]:
    """A picture extended by its reflection, and the width of the extension in pixels."""
    import cv2

    border = min(max(1, round(_BORDER * max(frame.shape[:2]))), *frame.shape[:2])
    return cv2.copyMakeBorder(frame, border, border, border, border, cv2.BORDER_REFLECT), border


def _with_border(detector: Detector, frame: Pixels) -> Detections:
    """The faces of a picture that is extended by its reflection, in pixels of the picture."""
    padded, border = _extended(frame)
    faces = detector.find(padded)
    shift = np.float32(border)
    return Detections(faces.boxes - shift, faces.points - shift, faces.scores)


def _in_corners(detector: Detector, frame: Pixels, known: Detections) -> Detections:
    """Known faces, and further ones that the border cuts, in enlarged corners of the extended picture."""
    import cv2

    padded, border = _extended(frame)
    (height, width), (rows, columns) = frame.shape[:2], padded.shape[:2]
    tall, wide = max(1, round(_CORNER * rows)), max(1, round(_CORNER * columns))
    for top in (0, rows - tall):
        for left in (0, columns - wide):
            corner = padded[top : top + tall, left : left + wide]
            size = (_ENLARGED * wide, _ENLARGED * tall)
            faces = detector.find(cv2.resize(corner, size, interpolation=cv2.INTER_CUBIC))
            shift = np.array((left - border, top - border), np.float32)
            boxes = faces.boxes / _ENLARGED + np.tile(shift, 2)
            points = faces.points / _ENLARGED + shift
            cut = np.array([_is_cut(box, width, height) for box in boxes], bool)
            new = cut & (overlap(known.boxes, boxes).max(axis=0, initial=0) < _KNOWN)
            known = _joined(known, Detections(boxes[new], points[new], faces.scores[new]))
    return known


def _joined(a: Detections, b: Detections) -> Detections:
    """The faces of both."""
    return Detections(
        np.concatenate([a.boxes, b.boxes]),
        np.concatenate([a.points, b.points]),
        np.concatenate([a.scores, b.scores]),
    )


def _is_cut(box: npt.NDArray[np.float32], width: int, height: int) -> bool:
    """Whether a part of a face is outside of the picture."""
    size = np.maximum(box[2:] - box[:2], 1e-6)
    beyond = np.maximum(-box[:2], box[2:] - (width, height)) / size
    return bool(beyond.max() >= _BEYOND)


def _change(before: Pixels, now: Pixels, box: npt.NDArray[np.float32]) -> float:
    """Mean change of a region between two grey pictures, grey levels."""
    return float(np.abs(face_patch(before, box).astype(np.float64) - face_patch(now, box)).mean())
