"""Global quality features: Video Swin Transformer over windows of a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, content_hash, known, need
from theval_datasets.media.frames import FrameRequest, Frames

from .networks.device import Precision
from .networks.swin3d import EXTRA, STATES, Pixels, Size, Swin3d, View, pictured

LENGTH: Final = 32
"""Frames in a window."""
STRIDE: Final = 2
"""A window uses every second frame of the clip."""
_BLOCKS: Final = 32
"""Maximum number of blocks of 32 frames (4.8 MB each) that are kept of a clip."""


@dataclass(frozen=True)
class Vst(Extractor):
    """Video Swin Transformer of torchvision (Kinetics-400): mean of its features over windows.

    A window has 32 frames, every second one of the clip. Windows are in the middle of equal parts of the
    clip, as in the network's own evaluation. A clip shorter than a window is repeated. In a clip of more
    than 2,048 frames, windows begin at the nearest multiple of 64 frames, or of 128, 256, …, so that memory
    is bounded. EvalTalker's paper states neither size nor sampling.

    Attributes:
        size: Size of the network: `tiny`, `small` or `base`.
        windows: Number of windows.
        view: `whole`: the frame scaled to a square of 224 pixels; `centre`: the weights' own centre crop,
            which lacks the sides of wide pictures.
        precision: Precision of matrix products.
    """

    size: Size = "tiny"
    windows: int = 4
    view: View = "whole"
    precision: Precision = "float32"

    name: ClassVar[str] = "vst"
    source: ClassVar[str] = (
        "Liu et al., Video Swin Transformer (2022), as in EvalTalker (2025), section 4.1"
    )
    extra: ClassVar[str | None] = EXTRA
    imports: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 0.1
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "embedding",
            "float32",
            ("dim",),
            "Video Swin features of the whole frame, mean over time, space and windows.",
        ),
        Column(
            "start", "float64", ("window",), "Times at which the windows begin.", unit="s", low=0
        ),
    )

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise InputError(f"expected at least 1 window, got {self.windows}")

    @property
    def frames(self) -> FrameRequest:
        """Whole frames."""
        return FrameRequest()

    def weights(self) -> Sequence[Weights]:
        """The network's state."""
        return (known(STATES[self.size]),)

    def weights_id(self) -> str:
        """Hash of the state."""
        return content_hash(*map(need, self.weights()))

    def setup(self) -> Swin3d:
        """Load the network."""
        (state,) = map(need, self.weights())
        return Swin3d(self.size, state, self.precision)

    def open(self, clip: ClipInputs, model: Any) -> _Windows:
        """Begin to keep frames."""
        return _Windows(model, self.windows, self.view)


class _Windows:
    """Keeps frames for windows of a clip whose length becomes known only at its end.

    Every second frame is scaled and kept, in blocks of a window's length. Whenever there are too many
    blocks, every second one is discarded.
    """

    def __init__(self, model: Swin3d, windows: int, view: View) -> None:
        self._model = model
        self._windows = windows
        self._view = view
        self._blocks: dict[int, list[Pixels]] = {}
        self._every = 1
        self._times: list[float] = []

    def update(self, batch: Frames) -> None:
        for frame, time, index in zip(batch.pixels, batch.times, batch.indices, strict=True):
            if index % STRIDE:
                continue
            block = len(self._times) // LENGTH
            self._times.append(float(time))
            if block % self._every == 0:
                self._blocks.setdefault(block, []).append(pictured(frame, self._view))
            if len(self._blocks) > _BLOCKS:
                self._every *= 2
                self._blocks = {b: f for b, f in self._blocks.items() if b % self._every == 0}

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        starts = window_starts(len(self._times), self._windows, self._every)
        vectors = [self._model.embed(self._window(start)) for start in starts]
        return {
            "embedding": np.mean(vectors, axis=0, dtype=np.float64).astype(np.float32),
            "start": np.array([self._times[start] for start in starts]),
        }, {}

    def _window(self, start: int) -> list[Pixels]:
        """The frames of a window; a shorter clip is repeated."""
        places = [(start + i) % len(self._times) for i in range(LENGTH)]
        return [self._blocks[place // LENGTH][place % LENGTH] for place in places]


def window_starts(n_frames: int, windows: int, every: int = 1) -> list[int]:
    """First frames of windows of 32 frames.

    Args:
        n_frames: Number of frames in the clip after striding; at least 1.
        windows: Requested number of windows.
        every: Number of blocks of 32 frames of which one is kept; 1 if all frames are.

    Returns:
        At most `windows` indices, ascending; fewer if the clip allows fewer.

    Examples:
        >>> window_starts(100, 4), window_starts(33, 4), window_starts(5, 4)
        ([8, 25, 43, 60], [0, 1], [0])
        >>> window_starts(2048, 4, every=2)
        [256, 768, 1280, 1792]
    """
    possible = max(1, n_frames - LENGTH + 1)
    middles: npt.NDArray[np.float64] = (np.arange(windows) + 0.5) * possible / windows
    starts = middles.astype(np.int64)
    if every > 1:
        step = every * LENGTH
        last = (n_frames // LENGTH - 1) // every
        starts = np.minimum(np.rint(starts / step).astype(np.int64), last) * step
    return [int(start) for start in np.unique(starts)]
