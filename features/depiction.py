"""Whether people are photographed, drawn, painted or rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, from_repository, need
from theval_datasets.media.frames import FrameRequest
from theval_datasets.utils.optional import available
from theval_datasets.utils.optional import need as need_extra

from .faces import FPS, Faces
from .networks.siglip import EXTRA, MODULES, WEIGHTS, SiglipClassifier, siglip_identity
from .people.portraits import Portraits

_SIDES: Final = 2.0  # side of the square around a face, in longer sides of its box

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


@dataclass(frozen=True)
class Depiction(Extractor):
    """Probabilities that each person is photographed, drawn, painted or rendered, by SigLIP without training.

    Four sighted frames of each person are looked at, in the middles of four equal parts of the sightings: the
    kind does not change within a shot, and the mean levels out blinks and blur. The network sees a square around
    the face, of twice its size: head and shoulders, but little of the scene, so that a poster on the wall or a
    game on a screen does not count. People who are beside a drawn one are judged by themselves. The eight most
    prominent people are measured. A generated picture that looks like a photograph counts as a photograph. `drawn` tells
    drawings only, by a small network without torch.

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

    def open(self, clip: ClipInputs, model: Any) -> Portraits:
        """Begin with the places of the people."""
        return Portraits(clip.feature(Faces()), _SIDES, model.probabilities, _columns)


def _columns(mean: npt.NDArray[np.float64]) -> Values:
    return {kind: mean[:, k].astype(np.float32) for k, kind in enumerate(KINDS)}
