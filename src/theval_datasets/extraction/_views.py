"""Decoded frames in the form that each consumer requested; each form is computed once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from theval_datasets.media import Pictures, SlotPicker
from theval_datasets.media.frames import FrameRequest, Frames


class Shared:
    """A batch of decoded frames with its requested forms, each computed once."""

    def __init__(self, batch: Frames) -> None:
        self.batch = batch
        self._forms: dict[tuple[FrameRequest, bool, int], npt.NDArray[np.uint8]] = {}

    def form(self, i: int, wanted: FrameRequest) -> npt.NDArray[np.uint8]:
        """Frame `i` of the batch in the requested form, (height, width, 3), or (height, width) in gray."""
        pixels, height = self.batch.pixels, wanted.height
        every = height if wanted.fps is None else None
        key = (replace(wanted, fps=None, stored=False), every is not None, i)
        if key not in self._forms:
            if every is not None and isinstance(pixels, Pictures):
                frame = pixels.scaled(i, every)
            else:
                frame = _scaled(pixels[i], height)
            self._forms[key] = _coloured(frame, wanted.colour)
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


def _scaled(frame: npt.NDArray[np.uint8], height: int | None) -> npt.NDArray[np.uint8]:
    if height is None or height >= frame.shape[0]:
        return frame
    import cv2

    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    scaled: npt.NDArray[np.uint8] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    return scaled


def _coloured(frame: npt.NDArray[np.uint8], colour: str) -> npt.NDArray[np.uint8]:
    """A frame in RGB with other channels."""
    if colour == "rgb":
        return frame
    import cv2

    code = cv2.COLOR_RGB2BGR if colour == "bgr" else cv2.COLOR_RGB2GRAY
    made: npt.NDArray[np.uint8] = cv2.cvtColor(frame, code)
    return made
