"""Pairwise votes and the plan of a pairwise study."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theval_datasets.curation.study.bradley_terry import bradley_terry
from theval_datasets.curation.study.pairwise import (
    PositionBias,
    agreement,
    make_votes,
    position_bias,
    read_pairwise_votes,
    votes_from_frame,
    win_rates,
)
from theval_datasets.curation.study.scheduler import schedule
from theval_datasets.errors import InputError, RatingsError


def simulated(strengths, n=6000, seed=0, left_bonus=0.0):
    rng = np.random.default_rng(seed)
    names = sorted(strengths)
    left = rng.integers(0, len(names), n)
    right = (left + rng.integers(1, len(names), n)) % len(names)
    beta = np.array([strengths[name] for name in names])
    chance = 1 / (1 + np.exp(beta[right] - beta[left] - left_bonus))
    return make_votes(
        [names[i] for i in left],
        [names[i] for i in right],
        ["left" if won else "right" for won in rng.random(n) < chance],
        clip=[f"c{i}" for i in rng.integers(0, 40, n)],
    )


def test_strengths_are_recovered_with_honest_intervals():
    truth = {"a": 1.0, "b": 0.3, "c": -0.2, "d": -1.1}
    inside = 0
    for seed in range(40):
        fit = bradley_terry(simulated(truth, n=800, seed=seed))
        inside += sum(fit.strengths[m].low <= truth[m] <= fit.strengths[m].high for m in truth)
    assert 0.90 <= inside / 160 <= 0.99
    fit = bradley_terry(simulated(truth, n=60_000))
    for name, value in truth.items():
        assert fit.strengths[name].value == pytest.approx(value, abs=0.05)
    assert sum(s.value for s in fit.strengths.values()) == pytest.approx(0, abs=1e-9)


def test_two_models_have_the_log_odds():
    votes = make_votes(["a"] * 10, ["b"] * 10, ["a"] * 7 + ["b"] * 3)
    fit = bradley_terry(votes)
    assert fit.strengths["a"].value - fit.strengths["b"].value == pytest.approx(np.log(7 / 3))
    assert win_rates(votes) == {"a": 0.7, "b": 0.3}


def test_who_never_lost_has_no_finite_strength():
    votes = make_votes(["a", "a", "b", "c"], ["b", "c", "c", "b"], ["a", "a", "b", "c"])
    fit = bradley_terry(votes)
    assert fit.strengths is None
    assert fit.reason == "not-connected"
    assert bradley_terry(votes, prior=0.5).strengths["a"].value > 0


def test_ties_are_half_a_win():
    votes = make_votes(["a", "b"], ["b", "a"], ["tie", "Equal"])
    assert win_rates(votes) == {"a": 0.5, "b": 0.5}
    assert bradley_terry(votes).strengths["a"].value == pytest.approx(0)


def test_the_side_is_tested():
    fair = position_bias(simulated({"a": 0.5, "b": -0.5}))
    assert fair.p_value > 0.001
    biased = position_bias(simulated({"a": 0.5, "b": -0.5}, left_bonus=0.6))
    assert biased.left_rate > 0.55
    assert biased.p_value < 1e-6
    assert position_bias(make_votes(["a"], ["b"], ["tie"])) == PositionBias(0, 0, None, None)


def test_agreement_is_krippendorffs():
    # units: (x: a a), (y: a b), (z: b b b); values are winners, sides are mixed
    votes = make_votes(
        ["a", "b", "a", "b", "a", "b", "a"],
        ["b", "a", "b", "a", "b", "a", "b"],
        ["a", "a", "a", "b", "b", "b", "b"],
        clip=["x", "x", "y", "y", "z", "z", "z"],
    )
    result = agreement(votes)
    # coincidences: o_ab = o_ba = 1, n_a = 3, n_b = 4, n = 7: alpha = 1 - 6 * 2 / (2 * 3 * 4)
    assert result.alpha == pytest.approx(1 - 6 * 2 / 24)
    assert result.n_units == 3
    assert result.share == pytest.approx((2 + 0 + 6) / (2 + 2 + 6))
    alone = agreement(make_votes(["a", "b"], ["b", "a"], ["a", "b"], clip=["x", "y"]))
    assert alone.alpha is None
    assert alone.n_units == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_votes_are_read(tmp_path, suffix):
    table = pl.DataFrame(
        {"User": ["u", "v"], "model_a": ["m", "n"], "model_b": ["n", "m"], "choice": ["m", "left"]}
    )
    path = tmp_path / f"v.{suffix}"
    {"csv": table.write_csv, "parquet": table.write_parquet, "jsonl": table.write_ndjson}[suffix](
        path
    )
    votes = read_pairwise_votes(path)
    assert votes.wins.tolist() == [[0, 1], [1, 0]]
    assert votes.subject == ("u", "v")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"left": ["a"], "right": ["a"], "winner": ["a"]}, "two different models"),
        ({"left": ["a"], "right": ["b"], "winner": ["c"]}, "row 1: expected the winner"),
        ({"left": ["a"], "right": ["b"]}, "missing the columns winner"),
        ({"left": ["a"], "right": ["b"], "winner": ["a"], "mood": [1]}, "unknown column 'mood'"),
    ],
)
def test_broken_votes(tmp_path, columns, message):
    pl.DataFrame(columns).write_csv(tmp_path / "v.csv")
    with pytest.raises(RatingsError, match=message):
        read_pairwise_votes(tmp_path / "v.csv")


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(0, 120), st.integers(0, 1000))
def test_plans_are_balanced_and_only_show_common_clips(n_models, n_trials, seed):
    clips = {f"m{i}": {f"c{j}" for j in range(8) if (i + j) % 5} for i in range(n_models)}
    plan = schedule(clips, n_trials, seed=seed)
    assert len(plan) == n_trials
    assert plan == schedule(clips, n_trials, seed=seed)
    counts = Counter(frozenset((trial.left, trial.right)) for trial in plan)
    n_pairs = n_models * (n_models - 1) // 2
    values = [counts.get(pair, 0) for pair in counts] + [0] * (n_pairs - len(counts))
    assert max(values) - min(values) <= 1
    for trial in plan:
        assert trial.clip_id in clips[trial.left] & clips[trial.right]


def test_sides_and_clips_are_drawn():
    plan = schedule({"a": {"x", "y", "z"}, "b": {"x", "y", "z"}}, 300, seed=1)
    assert 110 <= sum(trial.left == "a" for trial in plan) <= 190
    assert Counter(trial.clip_id for trial in plan) == {"x": 100, "y": 100, "z": 100}
    assert plan != schedule({"a": {"x", "y", "z"}, "b": {"x", "y", "z"}}, 300, seed=2)


def test_plans_that_cannot_be():
    with pytest.raises(InputError, match="no clip in common"):
        schedule({"a": {"x"}, "b": {"y"}}, 3, seed=0)
    with pytest.raises(InputError, match="two models"):
        schedule({"a": {"x"}}, 3, seed=0)


def test_names_of_votes_are_cleaned_as_those_of_ratings(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(
        "left,right,winner,clip_id,subject\n"
        "A ,B,\u00a0A,c1,S1 \n"
        "B,A ,right,c1,S1 \n"
        "Cafe\u0301,A ,Caf\u00e9,\u00a0c2,S2\n",
        encoding="utf-8",
    )
    votes = read_pairwise_votes(path)
    assert votes.models == ("A", "B", "Caf\u00e9")
    assert votes.outcome.tolist() == [1.0, 0.0, 1.0]
    assert votes.clip == ("c1", "c1", "c2")
    assert votes.subject == ("S1", "S1", "S2")


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (
            {"left": ["Model1", "model1"], "right": ["B", "B"]},
            "'Model1' and 'model1'.*column model",
        ),
        ({"left": ["A", "A"], "right": ["B", "B"], "subject": ["S1", "s1"]}, "column subject"),
        ({"left": ["A", "A"], "right": ["B", "B"], "clip": ["001", "1"]}, "'001' and '1'"),
        ({"left": ["A", " "], "right": ["B", "B"]}, "column model is empty in row 2"),
        (
            {"left": ["A", "B"], "right": ["B", "B "]},
            "row 2: expected two different models, got 'B' twice|spellings",
        ),
        ({"left": ["A", "A"], "right": ["B", "B"], "clip": ["c1", None]}, "clip_id is empty"),
    ],
)
def test_two_spellings_in_votes_are_an_error(votes, message):
    with pytest.raises(RatingsError, match=message):
        make_votes(winner=["left", "left"], **votes)


def test_numbers_as_names():
    votes = make_votes([1.0, 2.0], [2.0, 1.0], ["1", "left"])
    assert votes.models == ("1", "2")
    assert votes.outcome.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "left", "right"),
    [(("left", "right", "winner"), "left", "RIGHT"), (("Left Model", "Right Model", "Choice"), "Left", "right"),
     (("model_a", "model_b", "winner"), "model_a", "model_b"), (("A", "B", "Vote"), "a", "B")],
)  # fmt: skip
def test_the_winner_by_its_side_or_column(columns, left, right):
    rows = [("x", "y", left), ("y", "x", right), ("x", "y", "y"), ("x", "y", "tie")]
    table = pl.DataFrame(rows, schema=list(columns), orient="row")
    assert votes_from_frame(table).outcome.tolist() == [1, 0, 0, 0.5]


def test_a_model_may_be_named_as_a_column():
    assert make_votes(["b", "b"], ["a", "a"], ["a", "b"]).outcome.tolist() == [0, 1]


def test_voters_and_clips_have_the_names_of_ratings_tables():
    columns = ["left", "right", "winner", "Rater ID", "File Name"]
    votes = votes_from_frame(
        pl.DataFrame([("x", "y", "x", "r", "c")], schema=columns, orient="row")
    )
    assert (votes.subject, votes.clip) == (("r",), ("c",))
