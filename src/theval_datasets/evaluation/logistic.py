"""The monotone maps that are fitted between a metric and opinion scores before PLCC and RMSE.

`linear`: ``a x + b``. `logistic4`: ``b2 + (b1 - b2) / (1 + exp(-(x - b3) / |b4|))`` (VQEG FR-TV
Phase I, 2000). `logistic5`: ``b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5`` (H. R. Sheikh,
M. F. Sabir and A. C. Bovik, "A Statistical Evaluation of Recent Full Reference Image Quality
Assessment Algorithms", TIP 2006).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import UnknownNameError

Floats = npt.NDArray[np.float64]


def logistic4(x: Floats, b1: float, b2: float, b3: float, b4: float) -> Floats:
    """The four-parameter logistic; see the module."""
    from scipy.special import expit

    value: Floats = b2 + (b1 - b2) * expit((x - b3) / max(abs(b4), 1e-12))
    return value


def logistic5(x: Floats, *parameters: float) -> Floats:
    """The five-parameter logistic of b1 … b5; see the module."""
    from scipy.special import expit

    b1, b2, b3, b4, b5 = parameters
    value: Floats = b1 * (0.5 - expit(-b2 * (x - b3))) + b4 * x + b5
    return value


class FittedMap:
    """A map with its parameters; call it with values to map."""

    def __init__(self, name: str, function: Callable[..., Floats], parameters: Floats) -> None:
        self.name = name
        self.parameters = parameters
        self._function = function

    def __call__(self, values: npt.ArrayLike) -> Floats:
        """The mapped values."""
        return self._function(np.asarray(values, np.float64), *self.parameters)


def fit_map(x: Floats, y: Floats, name: str) -> FittedMap | None:
    """Least squares from a start that depends on the data alone.

    Args:
        x: Metric, finite.
        y: Opinion scores, finite.
        name: `linear`, `logistic4` or `logistic5`.

    Returns:
        None if there are fewer pairs than parameters, or x has no variance.

    Raises:
        UnknownNameError: For another name.
    """
    needed = {"linear": 2, "logistic4": 4, "logistic5": 5}
    if name not in needed:
        raise UnknownNameError("map", name, needed)
    if len(x) < needed[name] or x.max() == x.min():
        return None
    if name == "linear":
        return FittedMap(name, lambda v, a, b: a * v + b, np.polyfit(x, y, 1))
    rising = float((x - x.mean()) @ (y - y.mean())) >= 0
    top, bottom = (y.max(), y.min()) if rising else (y.min(), y.max())
    width = float(x.std())
    if name == "logistic4":
        start = [top, bottom, float(np.median(x)), width / 2]
        return FittedMap(name, logistic4, _least_squares(logistic4, x, y, start))
    start = [top - bottom, 1.0 / width, float(np.median(x)), 0.0, float(y.mean())]
    return FittedMap(name, logistic5, _least_squares(logistic5, x, y, start))


def _least_squares(
    function: Callable[..., Floats], x: Floats, y: Floats, start: list[Any]
) -> Floats:
    from scipy.optimize import least_squares

    fitted = least_squares(
        lambda parameters: function(x, *parameters) - y,
        np.array(start, np.float64),
        x_scale=np.maximum(np.abs(start), 1e-3),
        method="trf",
        max_nfev=20_000,
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
    )
    parameters: Floats = fitted.x
    return parameters
