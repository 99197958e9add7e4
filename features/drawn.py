"""Whether people are drawn, as in cartoons and anime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, known, need_all
from theval_datasets.media.frames import FrameRequest

from .faces import FPS, Faces
from .networks.mobilenet import CLASSES, MobileNet, mobilenet_identity
from .people.portraits import Portraits

WEIGHTS: Final = ("nsfwjs-layers", "nsfwjs")
"""Names of the weights: the description of the tensors, and their values."""
_SIDES: Final = 3.0  # side of the square around a face, in longer sides of its box
_DRAWN: Final = [CLASSES.index(name) for name in ("drawing", "hentai")]


@dataclass(frozen=True)
class Drawn(Extractor):
    """Probability that each person is drawn, by a small network that runs without torch.

    The network is the MobileNetV2 of nsfwjs, which was trained to sort pictures of the web into drawings and
    photographs, decent and indecent ones; the probabilities of the two kinds of drawings are added. It knows cartoons
    and anime, in flat colours with outlines. It takes paintings for photographs, and has not been tried on renderings:
    `depiction` tells these kinds apart, with torch and weights of 0.8 GB.

    Four portraits of each of the eight most prominent people are looked at, as by `depiction`, but squares of three
    times the face's size: with hair and outlines, drawings are told apart more clearly, and what is elsewhere in the
    picture, such as a cartoon on a screen, still hardly counts. Only faces that `faces` finds are looked at.
    """

    name: ClassVar[str] = "drawn"
    source: ClassVar[str] = (
        "nsfwjs 4.4.0 (Infinite Red), the MobileNetV2 of Sandler et al. (2018) trained on drawings and photographs"
    )
    default_enabled: ClassVar[bool] = False
    second_pass: ClassVar[bool] = True
    writes: ClassVar[tuple[Column, ...]] = (
        Column("person", "int32", ("person",), "Number of each person, as in `faces`.", low=0),
        Column(
            "drawn",
            "float32",
            ("person",),
            "Mean probability that the person is drawn.",
            low=0,
            high=1,
        ),
    )

    @property
    def frames(self) -> FrameRequest:
        """The frames of `faces`, at full size."""
        return FrameRequest(fps=FPS)

    def needs(self) -> Sequence[Extractor]:
        """Boxes of the people."""
        return (Faces(),)

    def weights(self) -> Sequence[Weights]:
        """Two files: names and shapes of the tensors, and their values."""
        return tuple(map(known, WEIGHTS))

    def weights_id(self) -> str:
        """Hash of both files."""
        return mobilenet_identity(*need_all(self.weights()))

    def setup(self) -> MobileNet:
        """Load the network."""
        return MobileNet(*need_all(self.weights()))

    def open(self, clip: ClipInputs, model: Any) -> Portraits:
        """Begin with the places of the people."""
        return Portraits(clip.feature(Faces()), _SIDES, model.probabilities, _columns)


def _columns(mean: npt.NDArray[np.float64]) -> Values:
    return {"drawn": mean[:, _DRAWN].sum(axis=1).clip(0, 1).astype(np.float32)}
