"""Anonymisation of faces in pictures that are published."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_GROWTH: Final = 0.35  # margin on every side, in sides of the box
_CELLS: Final = 5
"""Cells per side of a blurred face: too few to recognise anybody."""

_LEFT: Final = 8  # cells along the shorter side of a picture that is blurred as a whole

Pixels = npt.NDArray[np.uint8]


def anonymised(picture: Pixels, boxes: npt.NDArray[Any] | None = None) -> Pixels:
    """A copy of a picture in which nobody can be recognised.

    A picture without a detected face is blurred as a whole: the detector may have missed one.

    Args:
        picture: uint8 (height, width, 3) in red, green, blue.
        boxes: (n, 4): left, top, right, bottom of the faces in pixels; detected if None.

    Returns:
        uint8, of the same shape.

    Examples:
        >>> picture = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 64, 3))
        >>> blurred = anonymised(picture, np.array([[24, 24, 40, 40]]))
        >>> bool((blurred[:8] == picture[:8]).all()), bool((blurred[32] == picture[32]).all())
        (True, False)
    """
    faces = face_boxes(picture) if boxes is None else boxes
    return blur_faces(picture, faces) if len(faces) else blur_all(picture)


def blur_all(picture: Pixels) -> Pixels:
    """A copy of a picture that is blurred to a few cells.

    Args:
        picture: uint8 (height, width, 3).

    Returns:
        uint8, of the same shape.

    Examples:
        >>> blur_all(np.zeros((64, 64, 3), np.uint8)).shape
        (64, 64, 3)
    """
    import cv2

    height, width = picture.shape[:2]
    cell = max(1, round(min(width, height) / _LEFT))
    size = (-(-width // cell), -(-height // cell))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    covered: Pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return covered


def blur_faces(picture: Pixels, boxes: npt.NDArray[Any]) -> Pixels:
    """A copy of a picture in which every face is an oval of a few blurred cells.

    Args:
        picture: uint8 (height, width, 3).
        boxes: (n, 4): left, top, right, bottom of the faces in pixels.

    Returns:
        uint8, of the same shape.
    """
    import cv2

    covered = picture.copy()
    height, width = picture.shape[:2]
    for left, top, right, bottom in np.asarray(boxes, np.float64).reshape(-1, 4).tolist():
        grow_x, grow_y = _GROWTH * (right - left), _GROWTH * (bottom - top)
        x0, x1 = max(0, int(left - grow_x)), min(width, int(right + grow_x) + 1)
        y0, y1 = max(0, int(top - grow_y)), min(height, int(bottom + grow_y) + 1)
        if x1 - x0 < 2 or y1 - y0 < 2:
            continue
        part = picture[y0:y1, x0:x1]
        cells = cv2.resize(part, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(cells, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
        oval = np.zeros(part.shape[:2], np.uint8)
        centre = ((x1 - x0) // 2, (y1 - y0) // 2)
        cv2.ellipse(oval, centre, centre, 0, 0, 360, 1, -1)
        inside = covered[y0:y1, x0:x1]
        inside[oval == 1] = smooth[oval == 1]
    return covered


def face_boxes(picture: Pixels) -> npt.NDArray[np.float32]:
    """Boxes of the faces in a picture, for pictures without measured faces.

    The picture is also searched with a wide border, for faces at its edge; a face that is detected
    twice has two boxes.

    Args:
        picture: uint8 (height, width, 3) in red, green, blue.

    Returns:
        float32 (n, 4): left, top, right, bottom in pixels.
    """
    import cv2

    from theval_datasets.features.faces import Faces

    detector = _detector(Faces())
    upright = np.ascontiguousarray(picture[..., ::-1])
    border = picture.shape[0] // 2
    wide = cv2.copyMakeBorder(upright, border, border, border, border, cv2.BORDER_CONSTANT)
    boxes: npt.NDArray[np.float32] = np.concatenate(
        [detector.find(upright).boxes, detector.find(wide).boxes - np.float32(border)]
    )
    return boxes


_LOADED: dict[str, Any] = {}


def _detector(faces: Any) -> Any:
    name = faces.weights_id()
    if name not in _LOADED:
        _LOADED[name] = faces.setup()[0]
    return _LOADED[name]
