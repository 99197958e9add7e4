"""Parameters of trained metrics, in a module without heavy imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal

from theval_datasets.errors import InputError

ModelName = Literal["evaltalker", "forest"]
Nulls = Literal["median", "leave-out"]

MODELS: Final[Mapping[ModelName, str]] = {
    "evaltalker": "Two fully connected layers over EvalTalker's four features side by side.",
    "forest": "A random forest over all measurements of the clips.",
}
"""Description of each model in one line."""
EVALTALKER: Final = ("vst", "sapiens", "identity_consistency", "qwen_sync")
"""Columns of EvalTalker's four features (arXiv:2512.01340, sections 4.1 to 4.4)."""

_OF: Final = {
    "evaltalker": ("hidden", "epochs", "batch", "learning_rate", "decay"),
    "forest": ("trees",),
}


@dataclass(frozen=True)
class ModelParameters:
    """Parameters of a model. EvalTalker's paper states none; these are choices of this package.

    Attributes:
        hidden: Width of the first fully connected layer of ``evaltalker``.
        epochs: Number of passes of ``evaltalker`` over the training clips.
        batch: Number of clips in a step of ``evaltalker``.
        learning_rate: Step size of Adam for ``evaltalker``.
        decay: L2 penalty on the weights of ``evaltalker``.
        trees: Number of trees of ``forest``.
        seed: Seed of the training and of folds that are drawn anew.
    """

    hidden: int = 128
    epochs: int = 100
    batch: int = 64
    learning_rate: float = 1e-3
    decay: float = 1e-2
    trees: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "epochs", "batch", "trees"):
            if getattr(self, name) < 1:
                raise InputError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"expected a learning rate above 0, got {self.learning_rate}")
        if not 0 <= self.decay < float("inf"):
            raise InputError(f"expected a decay of at least 0, got {self.decay}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"expected a seed of 0 to 2³² - 1, got {self.seed}")

    def check(self, model: ModelName) -> None:
        """Refuse parameters of another model that differ from their defaults.

        Raises:
            InputError: There is such a parameter.
        """
        others = {name for key, names in _OF.items() if key != model for name in names}
        for parameter in fields(self):
            if parameter.name in others and getattr(self, parameter.name) != parameter.default:
                option = "--" + parameter.name.replace("_", "-")
                raise InputError(f"{option} is not a parameter of the model {model}")

    def of(self, model: ModelName) -> dict[str, int | float]:
        """The parameters that a model depends on, by name."""
        return {name: getattr(self, name) for name in (*_OF[model], "seed")}
