"""Input of LR-ASD: spans in which a track is visible, and crops of its face, 25 a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values
from theval_datasets.utils.memory import give_back

from ..networks.lr_asd import CONTEXT, FPS, SIDE, LrAsd
from .crops import track_paths
from .grouping import Kind
from .tracks import GAP, boxes_at, stretches

_CHUNK: Final = 32
"""Number of pictures that the network processes at once, without their context."""
_SLACK: Final = 1e-6
_BORDER: Final = 110
# The authors' crop: the centre half of a square of 1.4 sides of the box, which is centred a fifth of a side
# below the box's centre.
_SIDE_OF_BOX: Final = 0.7
_BELOW: Final = 0.2

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Visit:
    """A span in which a track's face is visible without a long gap.

    Attributes:
        track: Number of the track.
        person: Number of the person.
        first: Number of the first picture; picture n is at n / 25 s of the clip.
        last: Number of the last picture, which may lie after the clip's end.
        times: (n,): times of the sightings in seconds.
        squares: (n, 4): left, top, right, bottom of the crop at these times, in pixels.
    """

    track: int
    person: int
    first: int
    last: int
    times: Floats
    squares: npt.NDArray[np.float32]


def visits(faces: Values, *, most: int, pictures: bool = False) -> list[Visit]:
    """Visits of a clip, by track and time.

    Args:
        faces: Values of the extractor `faces`.
        most: Maximum number of simultaneous tracks; the least prominent people are left out.
        pictures: Whether pictures of people are included.
    """
    result: list[Visit] = []
    kinds: tuple[Kind, ...] = ("person", "still", "duplicate") if pictures else ("person",)
    for path in track_paths(faces, most=most, kinds=kinds):
        for a, b in stretches(path.times, max_gap=GAP):
            start = path.start if a == 0 else path.times[a]
            end = path.end if b == len(path.times) else path.times[b - 1]
            last = np.floor(min(end, 1e9) * FPS + _SLACK)
            result.append(
                Visit(
                    path.number,
                    path.person,
                    max(0, int(np.ceil(start * FPS - _SLACK))),
                    int(last),
                    path.times[a:b],
                    _squares(path.boxes[a:b]),
                )
            )
    return sorted(result, key=lambda visit: (visit.track, visit.first))


def _squares(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Squares around faces for the network, smoothed by the median of three sightings."""
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    steady = np.column_stack((centre, side))
    if len(steady) > 2:
        around = np.stack((steady[:-2], steady[1:-1], steady[2:]))
        steady[1:-1] = np.median(around, axis=0)
    middle = steady[:, :2] + np.stack((np.zeros_like(side), _BELOW * steady[:, 2]), axis=1)
    half = _SIDE_OF_BOX / 2 * steady[:, 2:]
    return np.concatenate((middle - half, middle + half), axis=1)


def crop(frame: Pixels, square: npt.NDArray[np.float32]) -> Pixels:
    """Crop of a grey frame, in the size that the network expects.

    Args:
        frame: uint8 (height, width).
        square: (4,): left, top, right, bottom in pixels.

    Returns:
        uint8 (112, 112); grey beyond the frame.

    Examples:
        >>> frame = np.arange(224, dtype=np.uint8)[None, :].repeat(224, axis=0)
        >>> crop(frame, np.array((56, 56, 168, 168), np.float32))[0, :3]
        array([56, 57, 58], dtype=uint8)
    """
    import cv2

    scale = SIDE / max(1.0, float(square[2] - square[0]))
    # Centres of pixels lie half a pixel inside, in the frame as in the crop.
    shift = 0.5 * scale - 0.5 - scale * square[:2].astype(np.float64)
    matrix = np.array(((scale, 0.0, shift[0]), (0.0, scale, shift[1])))
    result: Pixels = cv2.warpAffine(
        frame, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=float(_BORDER)
    )
    return result


class VisitEncoder:
    """Encodes the pictures of a visit by LR-ASD, in chunks.

    Args:
        visit: Visit.
        network: Network.

    Attributes:
        visit: Visit.
        count: Number of pictures so far.
    """

    def __init__(self, visit: Visit, network: LrAsd) -> None:
        self.visit = visit
        self._network = network
        self._held: list[Pixels] = []
        self._before = 0
        self._features: list[Scores] = []
        self.count = 0
        self._last: tuple[float, Pixels] | None = None

    def update(self, frame: Pixels, time: float) -> None:
        """Process the next frame; each picture is cropped from the frame that is nearest in time.

        Args:
            frame: uint8 (height, width), grey.
            time: Time of the frame in seconds.
        """
        if self.count > self.visit.last - self.visit.first:
            return
        visit = self.visit
        square = boxes_at(visit.times, visit.squares, np.array((time,)))[0]
        now = (time, crop(frame, square))
        last = self._last or now
        while self.count <= visit.last - visit.first:
            wanted = (visit.first + self.count) / FPS
            if wanted >= time + 0.5 / FPS:
                break
            self._add(last[1] if abs(wanted - last[0]) <= abs(wanted - time) else now[1])
        self._last = now

    def _add(self, picture: Pixels) -> None:
        self._held.append(picture)
        self.count += 1
        if len(self._held) == self._before + _CHUNK + CONTEXT:
            self._encode(self._before + _CHUNK)

    def _encode(self, end: int) -> None:
        """Encode the held pictures; keep the features up to `end`, and pictures for context."""
        video_features = self._network.embed_pictures(np.stack(self._held))
        self._features.append(video_features[self._before : end])
        self._held = self._held[max(0, end - CONTEXT) :]
        self._before = min(end, CONTEXT)
        give_back()  # buffers of the network, which would be kept beside those of the next chunk

    def finish(self) -> Scores:
        """Features of all pictures, (n, 128)."""
        if len(self._held) > self._before:
            self._encode(len(self._held))
        return np.concatenate(self._features) if self._features else np.zeros((0, 128), np.float32)
