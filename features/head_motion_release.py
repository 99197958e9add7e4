"""THEval's head motion as computed by the authors' public code, from FaceXFormer's angles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import (
    Weights,
    content_hash,
    fetch_if_missing,
    find,
    known,
    need,
)
from theval_datasets.media.frames import FrameRequest, Frames

from .networks import facexformer as _facexformer
from .networks import retinaface as _retinaface
from .people.detector import Scrfd
from .people.pack import need_pack, weights_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeadMotionRelease(Extractor):
    """sqrt(mean std(angles) · mean var(Δ angles) + mean var(centre)), all with N.

    The angles are FaceXFormer's, in degrees; the centre is that of the detector's most confident box, in
    pixels. Frames without a face are dropped, and Δ bridges them. Without FaceXFormer's checkout and
    checkpoint the outcome is `weights-missing`.

    Attributes:
        box: Face detector: RetinaFace, as in the published code, or an InsightFace pack.
    """

    box: Literal["retinaface", "scrfd"] = "retinaface"

    name: ClassVar[str] = "head_motion_release"
    source: ClassVar[str] = "THEval, published code"
    extra: ClassVar[str | None] = "iqa"
    imports: ClassVar[tuple[str, ...]] = ("torch", "facexlib")
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 0.25
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "head_motion",
            "float64",
            (),
            "Variation of the head's angles (degrees) and of its centre (pixels); grows with the frame size.",
            unit="mixed",
            low=0,
        ),
        Column("time", "float64", ("face",), "Times of the frames with a face.", unit="s", low=0),
        Column(
            "angles", "float32", ("face", 3), "Pitch, yaw, roll.", unit="degree", low=-180, high=180
        ),
        Column("centre", "float32", ("face", 2), "Centre of the face's box.", unit="px"),
    )

    @property
    def frames(self) -> FrameRequest:
        """Every frame."""
        return FrameRequest()

    def weights(self) -> Sequence[Weights]:
        """FaceXFormer, and the detector."""
        detector = known(_retinaface.WEIGHTS) if self.box == "retinaface" else weights_of()
        return (known(_facexformer.WEIGHTS), detector)

    def has_weights(self) -> bool:
        """Whether FaceXFormer is on this machine; the detector can be fetched."""
        return find(known(_facexformer.WEIGHTS)) is not None

    def fetch_weights(self) -> None:
        """Download the detector's weights, if FaceXFormer is on this machine."""
        if self.has_weights() and self.box == "retinaface":
            fetch_if_missing(known(_retinaface.WEIGHTS))

    def weights_id(self) -> str:
        """Hashes of FaceXFormer and of the detector."""
        network = _facexformer.identity()
        if self.box == "scrfd":
            return f"{network}+scrfd-{content_hash(need_pack().detector)}"
        state = need(known(_retinaface.WEIGHTS))
        return f"{network}+retinaface-{content_hash(state)}"

    def setup(self) -> Any:
        """Load both."""
        network = _facexformer.FaceXFormer()
        if self.box == "scrfd":
            return network, _best_box_of_scrfd(Scrfd(need_pack().detector))
        finder = _retinaface.RetinaFace(need(known(_retinaface.WEIGHTS)))
        return network, _best_box_of_retinaface(finder)

    def open(self, clip: ClipInputs, model: Any) -> _PoseAccumulator:
        """Begin."""
        return _PoseAccumulator(*model)


class _PoseAccumulator:
    def __init__(self, network: Any, best_box: Any) -> None:
        self._network = network
        self._best_box = best_box
        self._times: list[float] = []
        self._angles: list[Floats] = []
        self._centres: list[Floats] = []
        self._frames = 0

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times.tolist(), strict=True):
            self._frames += 1
            box = self._best_box(frame)
            if box is not None:
                self._times.append(time)
                self._angles.append(self._network.angles(frame, box))
                self._centres.append((box[:2] + box[2:4]) / 2)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if not self._angles:
            raise AbsentError("no-face", f"no face in any of {self._frames} frames")
        angles, centres = np.stack(self._angles), np.stack(self._centres)
        return {
            "head_motion": np.array(head_motion(angles, centres)),
            "time": np.array(self._times),
            "angles": angles.astype(np.float32),
            "centre": centres.astype(np.float32),
        }, {}


def head_motion(angles: Floats, centres: Floats) -> float:
    """The metric over frames with a face, ignoring the gaps between them.

    Args:
        angles: (n, 3): pitch, yaw and roll in degrees, -180 to 180.
        centres: (n, 2): x and y in pixels of the frame.

    Returns:
        At least 0; degrees and pixels are added, as in the released code.

    Raises:
        AbsentError: There are fewer than two frames.

    Examples:
        >>> angles = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]])
        >>> head_motion(angles, np.array([[10.0, 10.0], [14.0, 14.0]]))
        2.0
    """
    if len(angles) < 2:
        raise AbsentError("too-few-frames", f"{len(angles)} frames with a face")
    spread = angles.std(axis=0).mean()
    speed = np.diff(angles, axis=0).var(axis=0).mean()
    drift = centres.var(axis=0).mean()
    return float(np.sqrt(spread * speed + drift))


def _best_box_of_retinaface(finder: Any) -> Any:
    def best_box(frame: npt.NDArray[np.uint8]) -> Floats | None:
        faces = finder.find(frame)
        return faces[0, :4] if len(faces) else None

    return best_box


def _best_box_of_scrfd(detector: Scrfd) -> Any:
    def best_box(frame: npt.NDArray[np.uint8]) -> Floats | None:
        faces = detector.find(np.ascontiguousarray(frame[..., ::-1]))
        if not len(faces):
            return None
        box: Floats = faces.boxes[int(np.argmax(faces.scores))].astype(np.float64)
        return box

    return best_box
