"""Correlations against the golden file and scipy, and what is undefined."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.evaluation import agreement, fit_map, krcc, plcc, rmse, srcc


@pytest.mark.real
@pytest.mark.parametrize("case", ["continuous", "ties"])
def test_golden_values(shared_data: Path, case):
    golden = json.loads((shared_data / "golden" / "corr_golden.json").read_text())[case]
    data = np.load(shared_data / "golden" / "corr_case.npz")
    x, y = data[case], data["y"]
    by_name = {
        "srcc": srcc(x, y),
        "plcc_raw": plcc(x, y),
        "krcc_tau_b": krcc(x, y),
        "krcc_tau_c": krcc(x, y, variant="c"),
        "rmse_raw": rmse(x, y),
        "rmse_linear": rmse(x, y, mapping="linear"),
        "plcc_logistic4": plcc(x, y, mapping="logistic4"),
        "rmse_logistic4": rmse(x, y, mapping="logistic4"),
    }
    for name, value in by_name.items():
        assert value == pytest.approx(golden[name], abs=1e-9), name
    parameters = fit_map(x, y, "logistic4").parameters
    np.testing.assert_allclose(parameters, golden["logistic4_params"], atol=1e-4)
    assert rmse(x, y, mapping="logistic5") <= golden["rmse_logistic4"] + 1e-3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_ties_are_scipys(pairs):
    x, y = (list(side) for side in zip(*pairs, strict=True))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert srcc(x, y) is plcc(x, y) is krcc(x, y) is None
        return
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


def test_a_five_parameter_logistic_is_recovered():
    x = np.linspace(0, 10, 200)
    y = 4 * (0.5 - 1 / (1 + np.exp(1.3 * (x - 4)))) + 0.1 * x + 2
    assert rmse(x, y, mapping="logistic5") < 1e-6
    assert plcc(-x, y, mapping="logistic4") > 0.99  # falling metrics are fitted too


def test_all_at_once():
    result = agreement([1, 2, 3, 4, 5, 6], [1, 2, 4, 3, 6, 8], mapping="linear")
    assert result.n == 6
    assert result.plcc_mapped == pytest.approx(result.plcc)
    assert result.rmse_mapped < result.rmse


def test_what_is_undefined_is_none():
    assert srcc([1], [2]) is None
    assert rmse([], []) is None
    assert plcc([1, 2, 3], [1, 2, 3], mapping="logistic4") is None  # fewer pairs than parameters
    assert agreement([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]).plcc_mapped is None


def test_a_correlation_is_never_above_one_by_rounding():
    x = np.array([1.9, 3.4, 4.7, 3.2])
    assert plcc(x, 3 * x + 0.1) == 1.0
    assert plcc(x, -3 * x - 0.1) == -1.0


def test_values_too_small_to_be_squared_have_no_correlation():
    assert plcc([1e-200, 2e-200, 3e-200], [1e-200, 2e-200, 3.5e-200]) is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8),
    st.sampled_from([(1.1, 0.0), (0.7, 100.0), (1e-3, 0.0)]),
)
def test_a_linear_map_changes_the_sign_of_a_correlation_only(pairs, scale):
    """Without any correlation the map is a constant, and rounding decides what it correlates with."""
    x, y = (np.array(side, float) * scale[0] + scale[1] for side in zip(*pairs, strict=True))
    plain, mapped = plcc(x, y), plcc(x, y, mapping="linear")
    if plain is None or abs(plain) < 1e-9:
        assert mapped is None
    else:
        assert mapped == pytest.approx(abs(plain), abs=1e-6)


@pytest.mark.parametrize("mapping", ["linear", "logistic4", "logistic5"])
def test_a_weak_correlation_is_not_taken_for_none(mapping):
    x = np.tile(np.arange(50.0), 2)
    y = np.tile([1.0, -1.0], 50) + 1e-5 * x
    assert plcc(x, y, mapping=mapping) > 1e-5


def test_what_is_refused():
    with pytest.raises(InputError, match="equal length"):
        srcc([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="finite"):
        srcc([1, float("nan")], [1, 2])
    with pytest.raises(UnknownNameError, match="logistic4"):
        plcc([1, 2], [1, 2], mapping="logistic")
