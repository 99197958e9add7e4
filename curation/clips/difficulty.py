"""Difficulty of a clip or a portrait for generators (Easy, Medium or Hard), by a stated rule.

THQA-MT grades its portraits by the number of subjects and the complexity of the scene and gives no
rule. This one adds points for people, small faces, turned heads and a busy background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Grade = Literal["Easy", "Medium", "Hard"]
_LINES: Final = 360


@dataclass(frozen=True, slots=True)
class DifficultyRule:
    """Thresholds of the difficulty grade; every threshold passed is a point.

    Attributes:
        people: Numbers of subjects from which a point is added.
        face_height: Heights of the smallest face, as shares of the frame's, below which a point is
            added.
        turned: Yaw or pitch of the most turned head in degrees (median over the clip) from which a
            point is added.
        busy: Shares of edge pixels outside the faces from which a point is added.
        medium: Lowest number of points of Medium.
        hard: Lowest number of points of Hard.
    """

    people: tuple[int, ...] = (2, 3)
    face_height: tuple[float, ...] = (0.2, 0.1)
    turned: tuple[float, ...] = (20.0, 35.0)
    busy: tuple[float, ...] = (0.08, 0.15)
    medium: int = 2
    hard: int = 4


def grade(
    people: int, face_height: float, turned: float, busy: float, rule: DifficultyRule | None = None
) -> Grade:
    """Difficulty of a clip.

    Args:
        people: Number of subjects.
        face_height: Height of the smallest face, as a share of the frame's.
        turned: Yaw or pitch of the most turned head, in degrees.
        busy: Share of edge pixels in the background, 0 to 1.
        rule: Thresholds.

    Examples:
        >>> grade(people=3, face_height=0.05, turned=40.0, busy=0.2)
        'Hard'
        >>> grade(people=1, face_height=0.5, turned=0.0, busy=0.0)
        'Easy'
    """
    rule = rule or DifficultyRule()
    points = sum(people >= step for step in rule.people)
    points += sum(face_height < step for step in rule.face_height)
    points += sum(turned >= step for step in rule.turned)
    points += sum(busy >= step for step in rule.busy)
    if points >= rule.hard:
        return "Hard"
    return "Medium" if points >= rule.medium else "Easy"


def busyness(picture: npt.NDArray[np.uint8], boxes: Sequence[Sequence[float]]) -> float:
    """Share of edge pixels in a picture outside its faces (Canny, at 360 lines).

    Args:
        picture: uint8 (height, width, 3) in red, green, blue.
        boxes: (n, 4): left, top, right, bottom of the faces as shares of width and height.

    Returns:
        0 to 1; 0 where faces cover the whole picture.

    Examples:
        >>> busyness(np.zeros((90, 160, 3), np.uint8), np.zeros((0, 4)))
        0.0
    """
    import cv2

    grey: Any = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if grey.shape[0] > _LINES:
        width = max(1, round(grey.shape[1] * _LINES / grey.shape[0]))
        grey = cv2.resize(grey, (width, _LINES), interpolation=cv2.INTER_AREA)
    edges = cv2.Canny(grey, 60, 150) > 0
    outside = np.ones(edges.shape, np.bool_)
    height, width = edges.shape
    for left, top, right, bottom in boxes:
        more_x, more_y = 0.3 * (right - left), 0.3 * (bottom - top)
        rows = slice(max(0, int((top - more_y) * height)), int((bottom + more_y) * height) + 1)
        columns = slice(max(0, int((left - more_x) * width)), int((right + more_x) * width) + 1)
        outside[rows, columns] = False
    return float(edges[outside].mean()) if outside.any() else 0.0
