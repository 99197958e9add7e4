"""The two models, EvalTalker's head and a forest, fitted by scikit-learn and stored as plain arrays.

Both are deterministic for a given seed. A fitted model is a dictionary of arrays, which is saved as a
safetensors file; predicting needs numpy only.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import need, require

from .parameters import ModelName, ModelParameters

Floats = npt.NDArray[np.float64]
Tensors = Mapping[str, npt.NDArray[Any]]

EXTRA: Final = "train"
_CONSTANT: Final = 1e-9
"""Spread of a feature relative to its magnitude at or below which it counts as constant."""
_ROWS: Final = 1024
"""Number of rows that a forest predicts at once."""


@dataclass(frozen=True, eq=False)
class Head:
    """Two fully connected layers with a ReLU between them, applied to unscaled features.

    The tensors are named as in ``torch.nn.Sequential(Linear, ReLU, Linear)``, which loads them as its
    state. The standardisation of features and scores is part of the layers.

    Attributes:
        tensors: ``0.weight`` (hidden, size), ``0.bias`` (hidden,), ``2.weight`` (1, hidden), ``2.bias``
            (1,), of float64.
    """

    tensors: Tensors

    def predict(self, features: Floats) -> Floats:
        """Scores of clips.

        Args:
            features: (clips, size), finite.

        Returns:
            (clips,): scores on the scale of the target.

        Examples:
            >>> tensors = {"0.weight": np.eye(2), "0.bias": np.zeros(2)}
            >>> tensors |= {"2.weight": np.ones((1, 2)), "2.bias": np.ones(1)}
            >>> Head(tensors).predict(np.array([[2.0, -3.0]]))
            array([3.])
        """
        first, second = self.tensors["0.weight"], self.tensors["2.weight"]
        hidden = np.maximum(features @ first.T + self.tensors["0.bias"], 0.0)
        scores = hidden @ second.T + self.tensors["2.bias"]
        return np.asarray(scores[:, 0], np.float64)

    def check(self, size: int) -> None:
        """Check names, shapes and values.

        Raises:
            InputError: They are not those of a head for vectors of a size.
        """
        names = {"0.weight", "0.bias", "2.weight", "2.bias"}
        if set(self.tensors) != names:
            raise InputError(f"expected the tensors {sorted(names)}, got {sorted(self.tensors)}")
        hidden = self.tensors["0.bias"].size
        wanted = {
            "0.weight": (hidden, size), "0.bias": (hidden,), "2.weight": (1, hidden), "2.bias": (1,),
        }  # fmt: skip
        for name, shape in wanted.items():
            tensor = self.tensors[name]
            if tensor.dtype.kind != "f" or tensor.shape != shape or not np.isfinite(tensor).all():
                raise InputError(
                    f"expected {name} of shape {shape}, finite floating-point numbers, got {tensor.dtype} "
                    f"of shape {tensor.shape}"
                )


@dataclass(frozen=True, eq=False)
class Forest:
    """Regression trees, whose mean is the score.

    Attributes:
        tensors: Arrays over all nodes of all trees: ``left`` and ``right``, the numbers of the children,
            -1 for a leaf; ``feature`` and ``threshold``: a clip goes left if its feature, as float32, is
            at most the threshold; ``value``, the score of a leaf. ``roots``, (trees,), is the first node
            of each tree.
    """

    tensors: Tensors

    def predict(self, features: Floats) -> Floats:
        """Scores of clips.

        Args:
            features: (clips, size), finite.

        Returns:
            (clips,): scores on the scale of the target.

        Examples:
            >>> stump = {"left": np.array([1, -1, -1]), "right": np.array([2, -1, -1])}
            >>> stump |= {"feature": np.zeros(3, int), "threshold": np.array([0.5, 0.0, 0.0])}
            >>> stump |= {"value": np.array([0.0, 1.0, 5.0]), "roots": np.zeros(1, int)}
            >>> Forest(stump).predict(np.array([[0.4], [0.6]]))
            array([1., 5.])
        """
        parts = [self._predict(features[at : at + _ROWS]) for at in range(0, len(features), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _predict(self, features: Floats) -> Floats:
        left, right = self.tensors["left"], self.tensors["right"]
        split, threshold = self.tensors["feature"], self.tensors["threshold"]
        single = features.astype(np.float32)
        rows = np.arange(len(single))[:, None]
        node = np.repeat(self.tensors["roots"][None, :], len(single), axis=0)
        while (inner := left[node] >= 0).any():
            goes_left = single[rows, np.maximum(split[node], 0)] <= threshold[node]
            node = np.where(inner, np.where(goes_left, left[node], right[node]), node)
        scores: Floats = self.tensors["value"][node].mean(axis=1)
        return scores

    def check(self, size: int) -> None:
        """Check names, shapes and values: children come after their node, so every path ends.

        Raises:
            InputError: They are not those of a forest for vectors of a size.
        """
        names = {"left", "right", "feature", "threshold", "value", "roots"}
        if set(self.tensors) != names:
            raise InputError(f"expected the tensors {sorted(names)}, got {sorted(self.tensors)}")
        n = len(self.tensors["left"])
        for name in names:
            tensor = self.tensors[name]
            kind = "f" if name in ("threshold", "value") else "i"
            if tensor.dtype.kind != kind or tensor.ndim != 1 or not np.isfinite(tensor).all():
                raise InputError(f"expected finite numbers of one dimension as {name}")
            if name != "roots" and len(tensor) != n:
                raise InputError(f"expected {n} nodes in {name}, got {len(tensor)}")
        left, right, split, roots = (
            self.tensors[name] for name in ("left", "right", "feature", "roots")
        )
        number, inner = np.arange(n), left >= 0
        children = np.stack([left, right])[:, inner]
        if (
            not len(roots)
            or ((roots < 0) | (roots >= n)).any()
            or ((right >= 0) != inner).any()
            or ((children <= number[inner]) | (children >= n)).any()
            or ((split[inner] < 0) | (split[inner] >= size)).any()
        ):
            raise InputError(f"the nodes are not those of trees over vectors of {size} numbers")


Fitted = Head | Forest
KINDS: Final[Mapping[ModelName, type[Head] | type[Forest]]] = {
    "evaltalker": Head,
    "forest": Forest,
}


def fit(model: ModelName, features: Floats, scores: Floats, parameters: ModelParameters) -> Fitted:
    """Train a model.

    Args:
        model: ``evaltalker`` or ``forest``.
        features: (clips, size), finite.
        scores: (clips,), finite.
        parameters: Parameters of the model.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        InputError: The training diverges.
    """
    need(EXTRA)
    train = _head if model == "evaltalker" else _forest
    return train(features, scores, parameters)


def _head(features: Floats, scores: Floats, parameters: ModelParameters) -> Head:
    """EvalTalker's head (arXiv:2512.01340, equation 6): two fully connected layers, MSE, Adam."""
    network = require("sklearn.neural_network", extra=EXTRA)
    exceptions = require("sklearn.exceptions", extra=EXTRA)
    threads = require("threadpoolctl", extra=EXTRA)
    centre, spread = features.mean(axis=0), features.std(axis=0)
    varies = spread > _CONSTANT * np.maximum(np.abs(centre), np.finfo(float).tiny)
    spread = np.where(varies, spread, 1.0)
    middle, scale = float(scores.mean()), float(scores.std()) or 1.0
    net = network.MLPRegressor(
        hidden_layer_sizes=(parameters.hidden,),
        activation="relu",
        solver="adam",
        alpha=parameters.decay,
        batch_size=min(parameters.batch, len(features)),
        learning_rate_init=parameters.learning_rate,
        max_iter=parameters.epochs,
        n_iter_no_change=parameters.epochs,
        tol=0.0,
        random_state=parameters.seed,
    )
    standard = np.where(varies, (features - centre) / spread, 0.0).astype(np.float32)
    with (
        warnings.catch_warnings(),
        threads.threadpool_limits(1),
    ):  # sums in the same order on every machine
        warnings.simplefilter(
            "ignore", exceptions.ConvergenceWarning
        )  # the number of epochs is a parameter
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # overflows give numbers that are not finite
        try:
            net.fit(standard, ((scores - middle) / scale).astype(np.float32))
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            raise InputError(
                f"the training diverges ({error}); lower --learning-rate {parameters.learning_rate}"
            ) from None
    first, second, first_bias, second_bias = (
        np.asarray(part, np.float64) for part in (*net.coefs_, *net.intercepts_)
    )
    weight = np.where(varies[:, None], first / spread[:, None], 0.0)
    return Head(
        {
            "0.weight": np.ascontiguousarray(weight.T),
            "0.bias": first_bias - centre @ weight,
            "2.weight": np.ascontiguousarray(second.T * scale),
            "2.bias": second_bias * scale + middle,
        }
    )


def _forest(features: Floats, scores: Floats, parameters: ModelParameters) -> Forest:
    """A random forest (L. Breiman, 2001)."""
    ensemble = require("sklearn.ensemble", extra=EXTRA)
    forest = ensemble.RandomForestRegressor(
        n_estimators=parameters.trees, random_state=parameters.seed, n_jobs=-1
    ).fit(features, scores)
    trees = [tree.tree_ for tree in forest.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])

    def children(name: str) -> npt.NDArray[np.int32]:
        parts = (getattr(tree, name) for tree in trees)
        shifted = [np.where(p >= 0, p + root, -1) for p, root in zip(parts, roots, strict=True)]
        numbers: npt.NDArray[np.int32] = np.concatenate(shifted).astype(np.int32)
        return numbers

    return Forest(
        {
            "left": children("children_left"),
            "right": children("children_right"),
            "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int32),
            "threshold": np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
            "value": np.concatenate([tree.value[:, 0, 0] for tree in trees]).astype(np.float64),
            "roots": roots.astype(np.int32),
        }
    )
