"""Maps that are fitted from a metric to opinion scores before PLCC and RMSE.

`linear`: ``a x + b``. `logistic4`: ``b2 + (b1 - b2) / (1 + exp(-(x - b3) / |b4|))`` (VQEG FR-TV
Phase I, 2000). `logistic5`: ``b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5`` (H. R. Sheikh,
M. F. Sabir and A. C. Bovik, "A Statistical Evaluation of Recent Full Reference Image Quality
Assessment Algorithms", TIP 2006).

Both logistics are linear in all parameters but the centre and the width of the curve. Only these two
are optimised, within bounds; the others follow by linear least squares (variable projection:
G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10, 1973; Jacobian by L. Kaufman, BIT 15, 1975).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import UnknownNameError

Floats = npt.NDArray[np.float64]

_N_PARAMETERS: Final = {"linear": 2, "logistic4": 4, "logistic5": 5}
_PLACES: Final = (-1.0, 2.0)  # of the curve's centre, in ranges of x, 0 at its minimum
_NARROWEST: Final = 1e-4  # width of the curve, in ranges of x
_WIDEST: Final = {"logistic4": 1e4, "logistic5": 1e1}  # where the curve is a line or a cubic
_START_PLACES: Final = (0.1, 0.3, 0.5, 0.7, 0.9)  # quantiles of x
_START_OUTSIDE: Final = (-0.6, 1.6)  # ranges of x, for data on one flank of the curve
_START_WIDTHS: Final = (0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0)
_START_PAIRS: Final = 500  # pairs by which starts are compared
_MAX_STEPS: Final = 40
_SETTLED: Final = 1e-10  # relative decrease of the squared error at which the search ends
_NOTHING: Final = 1e-12  # squared difference from a line, per pair, below which a curve is a line
_MARGIN: Final = 1e-2  # share of the bounds' distance within which an optimum is at the bound


class FitBoundWarning(UserWarning):
    """The best map of its family is at a bound: the data do not determine its shape."""


def logistic4(x: Floats, b1: float, b2: float, b3: float, b4: float) -> Floats:
    """The four-parameter logistic; see the module.

    Args:
        x: float64, any shape.
        b1: Asymptote for large x, on the scale of the result.
        b2: Asymptote for small x.
        b3: Centre, on the scale of x.
        b4: Width, on the scale of x; its sign does not matter.

    Returns:
        float64 of the same shape, between b1 and b2.

    Examples:
        >>> logistic4(np.array([0.0, 5.0]), 4.0, 2.0, 0.0, 1.0).round(3).tolist()
        [3.0, 3.987]
    """
    from scipy.special import expit

    value: Floats = b2 + (b1 - b2) * expit((x - b3) / max(abs(b4), 1e-12))
    return value


def logistic5(x: Floats, b1: float, b2: float, b3: float, b4: float, b5: float) -> Floats:
    """The five-parameter logistic; see the module.

    Args:
        x: float64, any shape.
        b1: Height of the curve, on the scale of the result.
        b2: Steepness, per unit of x.
        b3: Centre, on the scale of x.
        b4: Slope of the line that is added.
        b5: Its offset.

    Returns:
        float64 of the same shape.

    Examples:
        >>> logistic5(np.array([0.0, 5.0]), 2.0, 1.0, 0.0, 0.0, 3.0).round(3).tolist()
        [3.0, 3.987]
    """
    from scipy.special import expit

    value: Floats = b1 * (0.5 - expit(-b2 * (x - b3))) + b4 * x + b5
    return value


class FittedMap:
    """A map with its parameters; call it with values to map.

    Attributes:
        name: `linear`, `logistic4` or `logistic5`.
        parameters: float64 (2,), (4,) or (5,), in the order of the formula.
        at_bound: Whether the optimum is at a bound of the search.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Floats],
        parameters: Floats,
        *,
        at_bound: bool = False,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self.at_bound = at_bound
        self._function = function

    def __call__(self, values: npt.ArrayLike) -> Floats:
        """The mapped values: float64 of the shape of `values`."""
        return self._function(np.asarray(values, np.float64), *self.parameters)


def fit_map(x: Floats, y: Floats, name: str) -> FittedMap | None:
    """Least-squares fit of a map from a metric to opinion scores.

    The result depends on the data alone, takes a bounded number of steps, and its squared error is
    at most that of the straight line (to a relative 1e-6). Where the best curve of a family is a
    step, a straight line or a single flank, its parameters are at the bounds of the search, and
    `FitBoundWarning` says so.

    Args:
        x: Metric: float64 (n,), finite.
        y: Opinion scores: float64 (n,), finite.
        name: `linear`, `logistic4` or `logistic5`.

    Returns:
        None if there are fewer pairs than parameters, or x has no variance.

    Raises:
        UnknownNameError: For another name.

    Examples:
        >>> fit_map(np.arange(5.0), 2 * np.arange(5.0) + 1, "linear")([10.0]).round(6).tolist()
        [21.0]
    """
    if name not in _N_PARAMETERS:
        raise UnknownNameError("map", name, _N_PARAMETERS)
    if len(x) < _N_PARAMETERS[name] or x.max() == x.min():
        return None
    if name == "linear":
        return FittedMap(name, lambda v, a, b: a * v + b, np.polyfit(x, y, 1))
    low, extent = float(x.min()), float(np.ptp(x))
    offset, unit = float(y.mean()), float(y.std()) or 1.0
    curve = _Curve((x - low) / extent, (y - offset) / unit, name)
    (place, log_width), bound = curve.fit()
    height, *slope, base = (float(value) * unit for value in curve.coefficients(place, log_width))
    centre, width = low + extent * place, extent * float(np.exp(log_width))
    if bound is not None:
        warnings.warn(
            f"the {name} map of {len(x)} pairs is at a bound of its search: {bound}; report PLCC "
            "and RMSE with the linear map as well",
            FitBoundWarning,
            stacklevel=2,
        )
    parameters: tuple[float, ...]
    if name == "logistic4":
        parameters = (offset + base + height / 2, offset + base - height / 2, centre, width)
        return FittedMap(name, logistic4, np.array(parameters), at_bound=bound is not None)
    per_x = slope[0] / extent
    parameters = (height, 1 / width, centre, per_x, offset + base - per_x * low)
    return FittedMap(name, logistic5, np.array(parameters), at_bound=bound is not None)


class _Curve:
    """A logistic over normalised data, as a function of the centre and the logarithm of the width.

    Args:
        x: float64 (n,), from 0 to 1.
        y: float64 (n,), mean 0, standard deviation 1 (or all 0).
        name: `logistic4` or `logistic5`.
    """

    def __init__(self, x: Floats, y: Floats, name: str) -> None:
        self._x, self._y = x, y
        self._name = name
        self._linear = np.stack(
            [x, np.ones_like(x)] if name == "logistic5" else [np.ones_like(x)], 1
        )
        self._span, _ = np.linalg.qr(self._linear)
        self._remainder = y - self._span @ (self._span.T @ y)
        self._low = np.array([_PLACES[0], np.log(_NARROWEST)])
        self._high = np.array([_PLACES[1], np.log(_WIDEST[name])])

    def fit(self) -> tuple[Floats, str | None]:
        """The best centre and logarithm of the width, float64 (2,); and the bound they are at.

        Levenberg-Marquardt steps inside the bounds, from the best of a grid of starts that holds
        the straight line.
        """
        line = np.array([0.5, self._high[1]])
        shape, (error, gradient, curvature) = min(
            ((start, self._expand(start)) for start in (self._start(), line)),
            key=lambda pair: pair[1][0],
        )
        damping = 1e-3
        for _ in range(_MAX_STEPS):
            # A parameter at a bound that the gradient presses against stays there.
            free = ~((shape <= self._low) & (gradient > 0) | (shape >= self._high) & (gradient < 0))
            damped = curvature + np.diag(damping * np.diag(curvature) + 1e-300)
            step = np.zeros(2)
            step[free] = -np.linalg.lstsq(damped[np.ix_(free, free)], gradient[free], rcond=None)[0]
            candidate = np.clip(shape + step, self._low, self._high)
            reached = self._expand(candidate)
            settled = error - reached[0] <= _SETTLED * error
            if reached[0] < error:
                shape, (error, gradient, curvature) = candidate, reached
                damping /= 10
                if settled:
                    break
            elif damping < 1e6:
                damping *= 10
            else:
                break
        return shape, self._bound(shape)

    def coefficients(self, place: float, log_width: float) -> Floats:
        """Height, slope (`logistic5` alone) and offset: float64 (2,) or (3,)."""
        sigmoid = self._sigmoid(np.array([place, log_width]))
        direction, norm = self._direction(sigmoid)
        height = direction @ self._y / norm if norm else 0.0
        rest = np.linalg.lstsq(self._linear, self._y - height * (sigmoid - 0.5), rcond=None)[0]
        return np.array([height, *rest])

    def _start(self) -> Floats:
        """The best of a grid of centres and widths, by at most `_START_PAIRS` pairs."""
        chosen = np.argsort(self._x, kind="stable")[:: max(1, len(self._x) // _START_PAIRS)]
        few = _Curve(self._x[chosen], self._y[chosen], self._name)
        starts = [
            np.array([place, np.log(width)])
            for width in _START_WIDTHS
            for place in (*np.quantile(few._x, _START_PLACES), *_START_OUTSIDE)
        ]
        return min(starts, key=lambda start: few._expand(start)[0])

    def _expand(self, shape: Floats) -> tuple[float, Floats, Floats]:
        """Squared error at the best coefficients; half its gradient (2,) and curvature (2, 2)."""
        sigmoid = self._sigmoid(shape)
        direction, norm = self._direction(sigmoid)
        share = direction @ self._y
        residuals = direction * share - self._remainder
        change = (share / norm if norm else 0.0) * sigmoid * (1 - sigmoid) * np.exp(-shape[1])
        moved = np.stack([-change, -change * (self._x - shape[0])], axis=1)
        moved -= self._span @ (self._span.T @ moved)
        jacobian = moved - np.outer(direction, direction @ moved)
        return float(residuals @ residuals), jacobian.T @ residuals, jacobian.T @ jacobian

    def _sigmoid(self, shape: Floats) -> Floats:
        from scipy.special import expit

        value: Floats = expit((self._x - shape[0]) * np.exp(-shape[1]))
        return value

    def _direction(self, sigmoid: Floats) -> tuple[Floats, float]:
        """Component of the sigmoid orthogonal to the linear columns: unit vector (n,) and length."""
        rest = sigmoid - 0.5
        for _ in range(2):  # the second pass removes the rounding errors of the first
            rest = rest - self._span @ (self._span.T @ rest)
        norm = float(np.linalg.norm(rest))
        if norm <= _NOTHING * np.sqrt(len(rest)):
            return np.zeros_like(rest), 0.0
        return rest / norm, norm

    def _bound(self, shape: Floats) -> str | None:
        margin = _MARGIN * (self._high - self._low)
        if shape[1] <= self._low[1] + margin[1]:
            return "the curve is a step"
        if shape[1] >= self._high[1] - margin[1]:
            return "the curve is a polynomial, for logistic4 a straight line"
        if not (self._low[0] + margin[0] < shape[0] < self._high[0] - margin[0]):
            return "the centre of the curve is far outside of the data"
        return None
