"""Text read by PP-OCR, whose models come with the package RapidOCR."""

from __future__ import annotations

import importlib.metadata
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.utils.optional import require

EXTRA: Final = "ocr"
MODULES: Final = ("rapidocr",)
_SIDE: Final = 736  # longer side of the picture in which lines are searched for, pixels
_UPRIGHT: Final = 1.5  # smallest ratio of height to width of an upright line
_SETTINGS: Final[dict[str, Any]] = {
    "Global.log_level": "critical",
    "Global.text_score": 0.0,
    "Det.limit_side_len": _SIDE,
    "Det.limit_type": "max",
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Line:
    """A line of text in a picture.

    Attributes:
        text: Its text, composed (NFC).
        score: Mean probability of its characters, 0 to 1.
        box: float32 (4,): left, top, right, bottom in pixels.
    """

    text: str
    score: float
    box: npt.NDArray[np.float32]


class TextReader:
    """Finds and reads lines of text in Latin, Chinese and Japanese script, upright or turned.

    Raises:
        MissingExtraError: The package is not installed.
    """

    def __init__(self) -> None:
        self._engine: Any = require("rapidocr", extra=EXTRA).RapidOCR(params=_SETTINGS)

    @staticmethod
    def identity() -> str:
        """Version of the package, which carries the models.

        Raises:
            MissingExtraError: It is not installed.
        """
        require("rapidocr", extra=EXTRA)
        return f"rapidocr-{importlib.metadata.version('rapidocr')}"

    def read(self, picture: Pixels) -> list[Line]:
        """The lines of a picture.

        Args:
            picture: uint8 (height, width, 3) in blue, green, red.
        """
        lines = self._read(picture, turn=False)
        if not any(map(_is_upright, lines)):
            return lines
        turned = self._read(picture, turn=True)
        return [line for line in lines if not _is_upright(line)] + list(filter(_is_upright, turned))

    def _read(self, picture: Pixels, *, turn: bool) -> list[Line]:
        """The lines of a picture; with `turn` those that seem to be upside down are turned first."""
        found = self._engine(picture, use_det=True, use_cls=turn, use_rec=True)
        if getattr(found, "txts", None) is None:
            return []
        boxes = np.asarray(found.boxes, np.float32)
        corners = np.concatenate([boxes.min(axis=1), boxes.max(axis=1)], axis=1)
        return [
            Line(unicodedata.normalize("NFC", text), float(score), box)
            for text, score, box in zip(found.txts, found.scores, corners, strict=True)
        ]


def _is_upright(line: Line) -> bool:
    """Whether a line runs from top to bottom or from bottom to top: only these may be upside down.

    The model that tells what is upside down takes short lines for it that are not.
    """
    width, height = (line.box[2:] - line.box[:2]).tolist()
    return bool(height >= _UPRIGHT * width)
