"""Motion of the background, and of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights
from theval_datasets.media.frames import FrameRequest, Frames

from .faces import Faces
from .people.tracks import boxes_at, sightings

FPS: Final = 2.0
_SMALL: Final = (64, 36)
_HEAD: Final = 0.8  # half the width of a head with its hair, widths of the face
_BODY: Final = 1.5  # half the width of a body, widths of the face
_ABOVE: Final = 0.5  # height of hair above the face, heights of the face
_LEAST: Final = 0.05  # minimum share of the picture that is background

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BackgroundMotion(Extractor):
    """Change of the picture between samples, two a second, separately for people and background.

    A person is a head, 1.6 times as wide as the face and from above the hair down, and a body, three times as
    wide as the face and from the chin down. Faces of all kinds count. The measurement is related to the
    distortion *static background*, but does not replace votes on it: a studio's wall is static too. Changes
    across a cut are left out.
    """

    name: ClassVar[str] = "background_motion"
    source: ClassVar[str] = "defined by this package"
    extra: ClassVar[str | None] = "faces"
    imports: ClassVar[tuple[str, ...]] = ("insightface",)
    second_pass: ClassVar[bool] = True
    writes: ClassVar[tuple[Column, ...]] = (
        Column("time", "float64", ("step",), "Time of the later of both samples.", unit="s", low=0),
        Column(
            "background",
            "float32",
            ("step",),
            "Mean change outside people.",
            unit="grey level",
            low=0,
            high=255,
        ),
        Column(
            "people",
            "float32",
            ("step",),
            "Mean change of people.",
            unit="grey level",
            low=0,
            high=255,
        ),
        Column(
            "background_motion",
            "float64",
            (),
            "Median change of the picture outside people over half a second.",
            nullable=True,
            unit="grey level",
            low=0,
            high=255,
        ),
        Column(
            "people_motion",
            "float64",
            (),
            "Median change of people over half a second.",
            nullable=True,
            unit="grey level",
            low=0,
            high=255,
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """Two a second, small, in grey."""
        return FrameRequest(fps=FPS, height=180, colour="gray")

    def needs(self) -> Sequence[Extractor]:
        """Positions of faces."""
        return (Faces(),)

    def weights(self) -> Sequence[Weights]:
        """None of its own."""
        return ()

    def open(self, clip: ClipInputs, model: Any) -> _Comparer:
        """Begin with the faces."""
        return _Comparer(clip.feature(Faces()))


class _Comparer:
    def __init__(self, faces: Values) -> None:
        self._faces = faces
        self._last: tuple[Floats, Flags, int] | None = None
        self._steps: list[tuple[float, float, float]] = []
        self._hidden = 0

    def update(self, batch: Frames) -> None:
        import cv2

        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            small = cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float64)
            at = int(np.abs(self._faces["time"] - time).argmin())
            now = (small, people_mask(self._faces, time), int(self._faces["shot"][at]))
            if self._last is not None and self._last[2] == now[2]:
                self._compare(time, self._last, now)
            self._last = now

    def _compare(
        self, time: float, last: tuple[Floats, Flags, int], now: tuple[Floats, Flags, int]
    ) -> None:
        change, people = np.abs(now[0] - last[0]), last[1] | now[1]
        if people.mean() > 1 - _LEAST or not people.any():
            self._hidden += 1
            return
        self._steps.append((time, float(change[~people].mean()), float(change[people].mean())))

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        steps = np.array(self._steps, np.float64).reshape(-1, 3)
        values: Values = {
            "time": steps[:, 0],
            "background": steps[:, 1].astype(np.float32),
            "people": steps[:, 2].astype(np.float32),
        }
        if not len(steps):
            why = "no-background" if self._hidden else "single-frame"
            return values, {"background_motion": why, "people_motion": why}
        values["background_motion"] = np.array(float(np.median(steps[:, 1])))
        values["people_motion"] = np.array(float(np.median(steps[:, 2])))
        return values, {}


def people_mask(faces: Values, time: float) -> Flags:
    """Mask of people at a given time.

    Args:
        faces: Values of the extractor `faces`.
        time: Time in seconds.

    Returns:
        Mask, (36, 64): True where a person is, on a grid over the picture.
    """
    columns, rows = _SMALL
    size = np.array((float(faces["width"]), float(faces["height"])))
    x = (np.arange(columns) + 0.5) / columns
    y = (np.arange(rows) + 0.5) / rows
    mask = np.zeros((rows, columns), bool)
    for track, (start, end) in enumerate(
        zip(faces["track_start"].tolist(), faces["track_end"].tolist(), strict=True)
    ):
        if not start - 1 / FPS <= time <= end + 1 / FPS:
            continue
        own = sightings(faces, track)
        times = faces["time"][faces["sample"][own]]
        left, top, right, bottom = boxes_at(times, faces["box"][own], np.array((time,)))[
            0
        ] / np.tile(size, 2)
        beside = np.abs(x - (left + right) / 2) / max(right - left, 1e-9)
        head = (beside <= _HEAD)[None, :] & (y >= top - _ABOVE * (bottom - top))[:, None]
        body = (beside <= _BODY)[None, :] & (y >= bottom)[:, None]
        mask |= head | body
    return mask
