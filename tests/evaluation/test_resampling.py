"""Bootstrap and permutations: the vectorised ones equal the slow ones."""

import numpy as np
import pytest
from scipy import stats

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.evaluation import (
    bootstrap,
    krcc,
    mean_interval,
    permutation_p,
    plcc,
    rmse,
    srcc,
)
from theval_datasets.evaluation.resampling import _resampled, _weighted


def pairs(n=17, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = x + rng.normal(size=n)
    return (np.round(x), np.round(y)) if ties else (x, y)


@pytest.mark.parametrize("name", ["srcc", "plcc", "krcc", "rmse"])
@pytest.mark.parametrize("ties", [False, True])
def test_every_resample_has_the_value_of_the_plain_function(name, ties):
    x, y = pairs(ties=ties)
    single = {"srcc": srcc, "plcc": plcc, "krcc": krcc, "rmse": rmse}[name]
    fast = _resampled(x, y, name, 300, seed=4)
    slow = _resampled(x, y, single, 300, seed=4)
    np.testing.assert_allclose(fast, slow, atol=1e-12)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_resample_of_equal_values_has_no_correlation(constant):
    """The mean of equal values may round to another value, which leaves noise but no variance."""
    sides = [np.array([0.1, 0.1, 0.1, 5.0]), np.array([1.0, 2.0, 4.0, 3.0])]
    x, y = sides[::-1] if constant else sides
    weights = np.array([[1.0, 1, 2, 0], [1.0, 1, 1, 1]])
    found = _weighted(x, y, weights, "plcc")
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(plcc(x, y))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 80).T
        interval = bootstrap(x, y, "plcc", n_resamples=500, seed=seed)
        inside += interval.low <= 0.6 <= interval.high
    assert 0.88 <= inside / 200 <= 0.99


def test_ten_thousand_resamples_of_seventeen_models_depend_on_the_seed_alone():
    x, y = pairs()
    interval = bootstrap(x, y, "srcc", n_resamples=10_000, seed=1)
    assert interval == bootstrap(x, y, "srcc", n_resamples=10_000, seed=1)
    assert interval != bootstrap(x, y, "srcc", n_resamples=10_000, seed=2)
    assert interval.low < interval.value < interval.high


def test_degenerate_resamples_are_counted_and_left_out():
    interval = bootstrap([1, 1, 2], [1, 2, 3], n_resamples=1000)
    assert interval.n_undefined > 100
    assert -1 <= interval.low <= interval.high <= 1
    nothing = bootstrap([1, 1], [1, 2], n_resamples=10)
    assert nothing.value is nothing.low is None
    assert bootstrap([], [], n_resamples=5).n_undefined == 5


def test_permutation_p_is_the_exact_one():
    x, y = pairs(6)
    exact = stats.permutation_test(
        (x,),
        lambda z: stats.spearmanr(z, y).statistic,
        permutation_type="pairings",
        n_resamples=np.inf,
    ).pvalue
    assert permutation_p(x, y, n_permutations=20_000) == pytest.approx(exact, abs=0.015)
    assert permutation_p(x, y, krcc, n_permutations=500) == permutation_p(
        x, y, "krcc", n_permutations=500
    )


def test_p_values_are_never_zero_and_uniform_under_no_association():
    x = np.arange(50.0)
    assert permutation_p(x, x, n_permutations=999) == pytest.approx(1 / 1000)
    rng = np.random.default_rng(0)
    values = [
        permutation_p(rng.normal(size=20), rng.normal(size=20), n_permutations=199, seed=seed)
        for seed in range(200)
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_what_is_refused():
    with pytest.raises(UnknownNameError, match="srcc"):
        bootstrap([1, 2], [1, 2], "scc")
    with pytest.raises(InputError, match="level"):
        bootstrap([1, 2], [1, 2], level=95)
    with pytest.raises(InputError, match="association"):
        permutation_p([1, 2], [1, 2], "rmse")
    assert permutation_p([1, 1], [1, 2]) is None


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf"), np.float64("nan")])
def test_a_function_without_a_finite_value_is_undefined(nothing):
    interval = bootstrap([1, 2, 3], [4, 4, 4], lambda x, y: nothing, n_resamples=7)
    assert (interval.value, interval.low, interval.high, interval.n_undefined) == (
        None, None, None, 7,
    )  # fmt: skip
    assert permutation_p([1, 2, 3], [4, 4, 4], lambda x, y: nothing, n_permutations=7) is None


def test_the_interval_of_a_mean_is_students():
    from scipy.stats import t

    values = [0.61, 0.7, 0.66, 0.72, 0.58]
    interval = mean_interval(values)
    low, high = t.interval(0.95, 4, np.mean(values), np.std(values, ddof=1) / np.sqrt(5))
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)
    assert (interval.mean, interval.n) == (pytest.approx(np.mean(values)), 5)
    narrow = mean_interval(values, level=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high
    limited = mean_interval(values, bounds=(0.6, 0.7))
    assert (limited.low, limited.high, limited.mean) == (0.6, 0.7, interval.mean)


def test_a_mean_of_few_values_has_no_interval():
    assert mean_interval([]).mean is None
    single = mean_interval([0.5])
    assert (single.mean, single.low, single.high, single.n) == (0.5, None, None, 1)
    two = mean_interval([0.5, 0.5])
    assert (two.mean, two.low, two.high) == (0.5, 0.5, 0.5)
    with pytest.raises(InputError, match="finite"):
        mean_interval([0.5, float("nan")])
    with pytest.raises(InputError, match="level"):
        mean_interval([0.5, 0.6], level=1.0)
