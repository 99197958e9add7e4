"""Stills of a turning head: the views that annotators saw, cut from a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

STILL_SIZE: Final = (1536, 512)
"""Width and height of a still: the views at -45, 0 and +45 degrees side by side."""
VIEWS: Final = (-45.0, 0.0, 45.0)

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HeadTurn:
    """Rotation of a head over its video, at constant speed from one angle to another.

    Attributes:
        start: Degrees at the first frame; 0 is the frontal view.
        end: Degrees at the last frame.
    """

    start: float = -90.0
    end: float = 90.0

    def fraction(self, angle: float) -> float:
        """Share of the video after which an angle is reached, 0 to 1.

        Raises:
            InputError: If it is not reached.

        Examples:
            >>> HeadTurn(start=-90, end=90).fraction(0), HeadTurn(start=45, end=-45).fraction(-45)
            (0.5, 1.0)
        """
        lowest, highest = sorted((self.start, self.end))
        if lowest == highest or not lowest <= angle <= highest:
            raise InputError(
                f"{angle} degrees are not in a turn from {self.start} to {self.end} degrees"
            )
        return (angle - self.start) / (self.end - self.start)

    def to_text(self) -> str:
        """The rotation in words."""
        return f"from {self.start:+g} to {self.end:+g} degrees at constant speed"


def snapshots(video: Path, turn: HeadTurn = HeadTurn()) -> Image:
    """The frames at -45, 0 and +45 degrees side by side, each 512 pixels square.

    Args:
        video: Video of a rotating head.
        turn: Start and end of the rotation.

    Returns:
        uint8 (512, 1536, 3), RGB.

    Raises:
        MediaError: If the video cannot be read.
    """
    import cv2

    from theval_datasets.media import frame_index, read_frames

    index = frame_index(video)
    end = float(index.times[-1])
    times = [end * turn.fraction(angle) for angle in VIEWS]
    frames = read_frames(video, index.at(times).tolist(), index).pixels
    side = STILL_SIZE[1]
    parts = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]
    joined: Image = np.concatenate(parts, axis=1).astype(np.uint8)
    return joined
