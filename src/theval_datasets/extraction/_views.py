"""Decoded frames in the form that each consumer requested; each form is computed once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from theval_datasets.media import SlotPicker
from theval_datasets.media.frames import FrameRequest, Frames


class Shared:
    """A batch of decoded frames with its requested forms, each computed once."""

    def __init__(self, batch: Frames) -> None:
        self.batch = batch
        self._forms: dict[tuple[FrameRequest, int], npt.NDArray[np.uint8]] = {}

    def form(self, i: int, wanted: FrameRequest) -> npt.NDArray[np.uint8]:
        """Frame `i` of the batch in the requested form, (height, width, 3), or (height, width) in gray."""
        key = (replace(wanted, fps=None, stored=False), i)
        if key not in self._forms:
            self._forms[key] = _converted(self.batch.pixels[i], wanted.height, wanted.colour)
        return self._forms[key]


class View:
    """One request's view of the stream."""

    def __init__(self, request: FrameRequest) -> None:
        self._request = request
        self._picker = SlotPicker(request.fps) if request.fps else None

    def of(self, shared: Shared) -> Frames:
        request, batch = self._request, shared.batch
        chosen = (
            np.flatnonzero(self._picker.take(batch.times))
            if self._picker
            else np.arange(len(batch.times))
        )
        pixels = [shared.form(int(i), request) for i in chosen] if request.pixels else []
        stored = [batch.stored[i] for i in chosen] if request.stored else []
        breaks = batch.breaks if self._picker is None else np.zeros(0, np.bool_)
        return Frames(pixels, batch.times[chosen], batch.indices[chosen], stored, breaks)


def _converted(
    frame: npt.NDArray[np.uint8], height: int | None, colour: str
) -> npt.NDArray[np.uint8]:
    if height is None and colour == "rgb":
        return frame
    import cv2

    if height is not None and height < frame.shape[0]:
        width = max(1, round(frame.shape[1] * height / frame.shape[0]))
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    if colour == "bgr":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    elif colour == "gray":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return frame
