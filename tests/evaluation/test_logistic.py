"""Fits of the logistic maps: bounded in time, never worse than the line, with a word on bounds."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.evaluation import FitBoundWarning, fit_map, logistic

LOGISTICS = ("logistic4", "logistic5")


def shapes(n, seed=0):
    """Data of many kinds over x from 0 to 10."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n)
    noise = rng.normal(size=n)
    return x, {
        "step": (x > 5) * 4.0,
        "noisy step": (x > 5) * 4.0 + 0.1 * noise,
        "two steps": (x > 5) + 3.0 * (x > 8),
        "logistic": 5 / (1 + np.exp(-(x - 5))) + 0.3 * noise,
        "falling": 5 / (1 + np.exp(x - 5)) + 0.3 * noise,
        "line": 2 * x - 3,
        "noisy line": 2 * x + noise,
        "large numbers": 1e9 + 1e6 * x,
        "cubic": (x - 5) ** 3,
        "flank": np.exp(x / 2),
        "noise": noise,
        "constant": np.full(n, 3.0),
    }


def squared_error(fitted, x, y):
    return float(((fitted(x) - y) ** 2).sum())


def quiet_fit(x, y, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitBoundWarning)
        return fit_map(x, y, name)


@pytest.mark.parametrize("name", LOGISTICS)
@pytest.mark.parametrize("n", [6, 200, 5000])
def test_no_logistic_is_worse_than_the_line(name, n):
    x, kinds = shapes(n)
    for kind, y in kinds.items():
        line = squared_error(fit_map(x, y, "linear"), x, y)
        allowed = line + 1e-6 * line + 1e-12 * float((y**2).sum())
        assert squared_error(quiet_fit(x, y, name), x, y) <= allowed, kind


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=6, max_size=40).filter(
        lambda pairs: len({x for x, _ in pairs}) > 1
    ),
    st.sampled_from(LOGISTICS),
)
def test_no_logistic_is_worse_than_the_line_on_any_pairs(pairs, name):
    x, y = np.array(pairs, np.float64).T
    line = squared_error(fit_map(x, y, "linear"), x, y)
    fitted = squared_error(quiet_fit(x, y, name), x, y)
    assert fitted <= line * (1 + 1e-6) + 1e-9 * float((y**2).sum())


@pytest.mark.parametrize("name", LOGISTICS)
def test_a_fit_of_any_kind_evaluates_all_pairs_a_bounded_number_of_times(name, monkeypatch):
    x, kinds = shapes(5000)
    sizes = []
    expand = logistic._Curve._expand

    def counted(curve, shape):
        sizes.append(len(curve._x))
        return expand(curve, shape)

    monkeypatch.setattr(logistic._Curve, "_expand", counted)
    for kind, y in kinds.items():
        sizes.clear()
        quiet_fit(x, y, name)
        assert sum(size == 5000 for size in sizes) <= 2 + logistic._MAX_STEPS, kind
        assert sum(sizes) <= 5000 * 60, kind


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("logistic4", "noisy step", "a step"),
        ("logistic5", "noisy step", "a step"),
        ("logistic4", "line", "straight line"),
        ("logistic5", "cubic", "polynomial"),
        ("logistic4", "flank", "far outside"),
    ],
)
def test_an_optimum_at_a_bound_is_reported(name, kind, reason):
    x, kinds = shapes(5000)
    with pytest.warns(FitBoundWarning, match=reason):
        fitted = fit_map(x, kinds[kind], name)
    assert fitted.at_bound


@pytest.mark.parametrize("name", LOGISTICS)
@pytest.mark.parametrize("kind", ["logistic", "falling"])
def test_an_optimum_inside_gives_no_warning(name, kind):
    x, kinds = shapes(5000)
    fitted = fit_map(x, kinds[kind], name)  # warnings are errors in tests
    assert not fitted.at_bound
    assert abs(fitted.parameters[2] - 5) < 0.2


@pytest.mark.parametrize("name", LOGISTICS)
def test_units_of_metric_and_score_do_not_matter(name):
    x, kinds = shapes(300)
    y = kinds["logistic"]
    plain = fit_map(x, y, name)(x)
    scaled = fit_map(1e6 * x - 5e5, 1e-3 * y, name)(1e6 * x - 5e5)
    np.testing.assert_allclose(scaled, 1e-3 * plain, rtol=1e-6)
