"""Saliency metrics against the golden values of two implementations, and their edges."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theval_datasets.errors import InputError
from theval_datasets.evaluation import (
    auc,
    auc_judd,
    auc_shuffled,
    cc,
    kld,
    nss,
    saliency_scores,
    sim,
)

CASES = (
    "p1_smooth_good",
    "p2_noise",
    "p4_quantised_ties_dup",
    "e1_constant_pred",
    "e2_zero_pred",
    "e3_empty_fix",
    "e4_both_constant",
)


@pytest.mark.real
@pytest.mark.parametrize("case", CASES)
def test_golden_values(shared_data: Path, case):
    golden = json.loads((shared_data / "golden" / "saliency_golden.json").read_text())
    wanted = golden["cases"][case]["independent"]
    data = np.load(shared_data / "golden" / f"sal_{case}.npz")
    predicted, truth, points = data["pred"], data["gt"], data["fixations_yx"]
    pool = data["shuffled_pool_yx"]
    by_name = {
        "auc_uniform": auc(predicted, points, negatives="all"),
        "auc_unfixated": auc(predicted, points),
        "auc_shuffled_pool": auc_shuffled(predicted, points, pool),
        "auc_judd_nojitter": auc_judd(predicted, points),
        "nss": nss(predicted, points),
        "sim": sim(predicted, truth),
        "kld_mit": kld(predicted, truth),
        "cc": cc(predicted, truth),
    }
    assert set(by_name) == set(wanted)
    for name, value in by_name.items():
        golden_value = wanted[name]
        if golden_value is None or np.isnan(float(golden_value)):
            assert value is None, name
        else:
            assert value == pytest.approx(golden_value, abs=1e-9), name
    batch = saliency_scores([predicted] * 3, [truth] * 3, [points] * 3, others=[pool] * 3)
    assert batch[0] == batch[2]
    assert batch[1].auc == by_name["auc_unfixated"]
    assert batch[1].auc_shuffled == by_name["auc_shuffled_pool"]
    assert batch[1].kld == by_name["kld_mit"]


def brute_auc(predicted, points):
    fixated = {tuple(point) for point in points.tolist()}
    negative = [v for at, v in np.ndenumerate(predicted) if at not in fixated]
    wins = [(p > n) + (p == n) / 2 for p in predicted[points[:, 0], points[:, 1]] for n in negative]
    return np.mean(wins)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_auc_is_the_mann_whitney_statistic_and_blind_to_monotone_maps(seed, n):
    rng = np.random.default_rng(seed)
    predicted = rng.integers(0, 6, (9, 11)).astype(float)
    points = np.stack([rng.integers(0, 9, n), rng.integers(0, 11, n)], axis=1)
    value = auc(predicted, points)
    assert value == pytest.approx(brute_auc(predicted, points), abs=1e-12)
    for mapped in (np.exp(predicted), predicted**3 - 7, 0.001 * predicted):
        assert auc(mapped, points) == value
        assert auc_judd(mapped, points) == auc_judd(predicted, points)
        assert auc_shuffled(mapped, points, points[:1]) == auc_shuffled(
            predicted, points, points[:1]
        )


MAP = np.array([[1.0, 2.0], [2.0, 3.0]])


def test_auc_by_hand():
    """The fixated 2 against 1, 2 and 3; against every pixel; and, fixated twice, with 3."""
    assert auc(MAP, [[0, 1]]) == pytest.approx((1 + 0.5 + 0) / 3)
    assert auc(MAP, [[0, 1]], negatives="all") == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)
    assert auc(MAP, [[0, 1], [0, 1], [1, 1]]) == pytest.approx((0.75 + 0.75 + 1) / 3)
    assert auc_shuffled(MAP, [[0, 1]], [[0, 0], [1, 0], [1, 1]]) == pytest.approx(0.5)
    assert auc_shuffled(MAP, [[1, 1], [0, 0]], [[0, 1], [0, 1]]) == pytest.approx(0.5)
    assert auc_shuffled(MAP, [[1, 1]], [[0, 0], [0, 1], [1, 1]]) == pytest.approx(2.5 / 3)
    assert auc_judd(MAP, [[0, 1]]) == pytest.approx(
        1 / 3 + 1 / 3
    )  # from (0, 0) to (2/3, 1) to (1, 1)


def test_judds_curve_by_hand():
    """Fixated 3 and 1, others 2 and 0: thresholds 3 and 1 give (0, 1/2) and (1/2, 1)."""
    predicted = np.array([[3.0, 1.0], [2.0, 0.0]])
    assert auc_judd(predicted, [[0, 0], [0, 1]]) == pytest.approx(0.5 * 0.75 + 0.5 * 1)


def test_nss_by_hand():
    predicted = np.array([[0.0, 0.0], [0.0, 4.0]])  # mean 1, deviation √3
    assert nss(predicted, [[1, 1], [0, 0]]) == pytest.approx((3 - 1) / 2 / np.sqrt(3))
    assert nss(predicted, [[1, 1], [1, 1], [0, 0]]) == pytest.approx((3 + 3 - 1) / 3 / np.sqrt(3))
    assert nss(predicted + 100, [[1, 1]]) == pytest.approx(np.sqrt(3))


def test_distributions_by_hand():
    even = np.array([[1.0, 1.0]])
    assert sim(np.array([[3.0, 1.0]]), even) == pytest.approx(0.5 + 0.25)
    assert sim(np.array([[2.0, 4.0]]), even) == pytest.approx(1 / 3 + 1 / 2)  # no shift to 0
    assert sim(np.array([[-1.0, 1.0]]), even) == pytest.approx(0.5)  # shifted to 0 and 2
    assert sim(np.zeros((1, 2)), np.array([[1.0, 3.0]])) == pytest.approx(0.25 + 0.5)  # uniform
    truth = np.array([[1.0, 3.0]])
    assert kld(even, truth) == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))
    assert kld(truth, even) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert kld(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(2.2204e-16))
    assert kld(np.array([[1.0, 0.0]]), even, epsilon=0.1) == pytest.approx(
        0.5 * np.log(0.1 + 0.5 / 1.1) + 0.5 * np.log(0.1 + 0.5 / 0.1)
    )
    assert cc(np.array([[0.0, 1.0, 2.0]]), np.array([[1.0, 0.0, 5.0]])) == pytest.approx(
        4 / np.sqrt(2 * 14)
    )


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 100_000), st.floats(-3, 3))
def test_values_stay_in_their_ranges_whatever_the_rounding(seed, factor):
    first = np.random.default_rng(seed).random((3, 4))
    for second in (first * factor, first * factor + 7, first):
        r = cc(first, second)
        assert r is None or -1 <= r <= 1
        assert 0 <= sim(first, second) <= 1


def test_equal_maps_are_perfect():
    truth = np.random.default_rng(0).random((20, 30))
    assert cc(truth, truth) == pytest.approx(1)
    assert sim(truth, truth) == pytest.approx(1)
    assert kld(truth, truth) == pytest.approx(0, abs=1e-9)
    assert cc(-truth, truth) == pytest.approx(-1)


def test_pictures_of_different_sizes_in_one_batch():
    rng = np.random.default_rng(0)
    maps = [rng.random((8, 9)), rng.random((30, 12))]
    points = [np.array([[1, 2]]), np.array([[20, 3], [0, 0]])]
    result = saliency_scores(maps, maps, points)
    assert [score.auc_shuffled for score in result] == [None, None]
    assert result[1].nss == nss(maps[1], points[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auc(np.zeros((3, 3)), np.array([[3, 0]])), "outside"),
        (lambda: auc(np.full((3, 3), np.nan), np.array([[0, 0]])), "finite map"),
        (lambda: cc(np.zeros((3, 3)), np.zeros((3, 4))), "differ in size"),
        (lambda: saliency_scores([np.zeros((3, 3))], [], []), "as many"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_every_pixel_fixated_leaves_no_negatives():
    points = np.array([[0, 0], [0, 1]])
    assert auc(np.array([[0.0, 1.0]]), points) is None
    assert auc_judd(np.array([[0.0, 1.0]]), points) is None
