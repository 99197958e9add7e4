"""Whether people are photographed, drawn, painted or rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, from_repository, need
from theval_datasets.media.frames import FrameRequest, Frames
from theval_datasets.utils.optional import available
from theval_datasets.utils.optional import need as need_extra

from .faces import FPS, Faces
from .networks.siglip import EXTRA, MODULES, WEIGHTS, SiglipClassifier, siglip_identity
from .people.summary import Person, people

SAMPLES: Final = 4
"""Number of pictures of each person."""
_MOST: Final = 8  # largest number of people
_SIDE: Final = 2.0  # side of the square around a face, in longer sides of its box

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "photo": (
        "a photo of a person.",
        "a photo of a person's face.",
        "a blurry, low-quality photo of a person.",
        "a frame of a video of a real person speaking.",
        "a still from a film with real actors.",
        "a webcam picture of a real person.",
    ),
    "drawing": (
        "a drawing of a person.",
        "a sketch of a person's face.",
        "a cartoon character.",
        "an anime character.",
        "a comic book character.",
        "a frame of a hand-drawn animated film.",
    ),
    "painting": (
        "a painting of a person.",
        "an oil painting of a person's face.",
        "a watercolor portrait.",
        "a painted portrait in a museum.",
        "an illustration of a person.",
        "a digital painting of a person.",
    ),
    "render": (
        "a 3D render of a person.",
        "a computer-generated face.",
        "a 3D avatar.",
        "a character of a video game.",
        "a frame of a computer-animated film.",
        "a CGI character.",
    ),
}
"""Kinds of depiction by the name of their column, and the texts that describe them to the network."""

Pixels = npt.NDArray[np.uint8]
Box = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Depiction(Extractor):
    """Probabilities that each person is photographed, drawn, painted or rendered, by SigLIP without training.

    Four sighted frames of each person are looked at, in the middles of four equal parts of the sightings: the
    kind does not change within a shot, and the mean levels out blinks and blur. The network sees a square around
    the face, of twice its size: head and shoulders, but little of the scene, so that a poster on the wall or a
    game on a screen does not count. People who are beside a drawn one are judged by themselves. The eight most
    prominent people are measured. A generated picture that looks like a photograph counts as a photograph.

    Attributes:
        model: Id at the Hub of a SigLIP (first generation).
        folder: Folder that is searched first for the model; not part of the cache key.
    """

    model: str = "google/siglip-base-patch16-224"
    folder: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "depiction"
    source: ClassVar[str] = (
        "Zhai et al., Sigmoid Loss for Language Image Pre-Training (2023); the texts are this package's"
    )
    extra: ClassVar[str | None] = EXTRA
    imports: ClassVar[tuple[str, ...]] = MODULES
    default_enabled: ClassVar[bool] = False
    second_pass: ClassVar[bool] = True
    gpus: ClassVar[float] = 0.1
    writes: ClassVar[tuple[Column, ...]] = (
        Column("person", "int32", ("person",), "Number of each person, as in `faces`.", low=0),
        *(
            Column(kind, "float32", ("person",), meaning, low=0, high=1)
            for kind, meaning in (
                ("photo", "Mean probability of a photograph or film of a real person."),
                ("drawing", "Mean probability of a drawing, cartoon or anime."),
                ("painting", "Mean probability of a painting or illustration."),
                ("render", "Mean probability of a 3-D rendering or video game."),
            )
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """The frames of `faces`, at full size."""
        return FrameRequest(fps=FPS)

    def needs(self) -> Sequence[Extractor]:
        """Boxes of the people."""
        return (Faces(),)

    def parameters(self) -> dict[str, Any]:
        """All parameters except the folder."""
        return {"model": self.model}

    def weights(self) -> Sequence[Weights]:
        """The SigLIP model."""
        return (from_repository(WEIGHTS, self.model, self.folder),)

    def fetch_own_weights(self) -> None:
        """Download the model from the Hub, if the packages that run it are installed."""
        if all(map(available, MODULES)):
            super().fetch_own_weights()

    def weights_id(self) -> str:
        """Hashes of the model's files, and the version of transformers, which prepares the input."""
        need_extra(EXTRA)
        (folder,) = map(need, self.weights())
        return siglip_identity(folder)

    def setup(self) -> SiglipClassifier:
        """Load the model and embed the texts."""
        (folder,) = map(need, self.weights())
        return SiglipClassifier(folder, KINDS)

    def open(self, clip: ClipInputs, model: Any) -> _Portraits:
        """Begin with the places of the people."""
        faces = clip.feature(Faces())
        return _Portraits(model, people(faces)[:_MOST], faces["frame"])


class _Portraits:
    """Keeps a few crops of each person, and classifies them together.

    Args:
        model: Network.
        persons: People to look at.
        frames: (samples,): indices of the sampled frames of `faces` in the clip.
    """

    def __init__(
        self, model: SiglipClassifier, persons: Sequence[Person], frames: npt.NDArray[np.int64]
    ) -> None:
        self._model = model
        self._wanted: dict[int, list[tuple[int, Box]]] = {}
        self._crops: list[Pixels] = []
        self._owners: list[int] = []
        for person in persons:
            for i in middles(len(person.samples), SAMPLES):
                frame = int(frames[person.samples[i]])
                self._wanted.setdefault(frame, []).append((person.number, person.boxes[i]))

    def update(self, batch: Frames) -> None:
        for frame, index in zip(batch.pixels, batch.indices.tolist(), strict=True):
            for number, box in self._wanted.get(index, ()):
                self._crops.append(square_around(frame, box))
                self._owners.append(number)

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        if not self._crops:
            raise AbsentError("no-face", "none of the frames with a face can be read again")
        probabilities = self._model.probabilities(self._crops)
        persons, owner = np.unique(np.array(self._owners, np.int32), return_inverse=True)
        mean = np.array([probabilities[owner == i].mean(axis=0) for i in range(len(persons))])
        columns = {kind: mean[:, k].astype(np.float32) for k, kind in enumerate(KINDS)}
        return {"person": persons} | columns, {}


def middles(n: int, parts: int) -> list[int]:
    """Indices of the middles of equal parts of a sequence.

    Args:
        n: Length of the sequence.
        parts: Number of parts.

    Returns:
        Ascending indices, `parts` or, in a shorter sequence, `n`.

    Examples:
        >>> middles(40, 4), middles(5, 4), middles(2, 4)
        ([5, 15, 25, 35], [0, 1, 3, 4], [0, 1])
    """
    return sorted({(2 * i + 1) * n // (2 * parts) for i in range(parts)} if n else ())


def square_around(frame: Pixels, box: Box) -> Pixels:
    """The square around a face, of twice its longer side, moved into the frame where it reaches beyond.

    Args:
        frame: uint8 (height, width, 3).
        box: (4,): left, top, right, bottom of the face, as shares of the frame's width and height.

    Returns:
        uint8 (side, side, 3), side being at most the frame's shorter side.

    Examples:
        >>> frame = np.arange(100, dtype=np.uint8)[None, :, None].repeat(50, axis=0).repeat(3, axis=2)
        >>> crop = square_around(frame, np.array((0.2, 0.4, 0.3, 0.6)))
        >>> crop.shape, int(crop[0, 0, 0])
        ((20, 20, 3), 15)
        >>> square_around(frame, np.array((0.9, 0, 1, 1))).shape
        (50, 50, 3)
    """
    height, width = frame.shape[:2]
    left, top, right, bottom = (box * (width, height, width, height)).tolist()
    side = max(1, min(round(_SIDE * max(right - left, bottom - top)), height, width))
    x0 = min(max(0, round((left + right - side) / 2)), width - side)
    y0 = min(max(0, round((top + bottom - side) / 2)), height - side)
    # Copied: frames are shared and must not be kept alive by a small part of them.
    return frame[y0 : y0 + side, x0 : x0 + side].copy()
