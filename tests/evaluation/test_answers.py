from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_score, recall_score

from theval_datasets.builders.tables.conversations import these
from theval_datasets.curation.study.descriptions import CATEGORIES
from theval_datasets.curation.study.taxonomy import load_taxonomy
from theval_datasets.errors import InputError
from theval_datasets.evaluation import answer_agreement, named_labels

NAMES = [kind.name for kind in load_taxonomy().types]


@pytest.mark.parametrize("labels", [list(CATEGORIES), NAMES])
@given(data=st.data())
def test_what_our_answers_say_is_read(labels, data):
    chosen = data.draw(st.sets(st.sampled_from(labels)))
    answer = data.draw(st.sampled_from([str, str.lower, str.upper]))(these(sorted(chosen)))
    assert named_labels(answer, labels) == chosen


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("The eye distortion is strong.", {"Eye Distortions"}),
        ("Eye\n  distortions and\tmouth distortions", {"Eye Distortions", "Mouth Distortions"}),
        ("No eye distortions, but hair distortions.", {"Hair Distortions"}),
        ("without any eye distortions: No Distortion", {"No Distortion"}),
        ("There are no distortions.", {"No Distortion"}),
        ("blurring / exposure / grain", {"Blurring / Exposure / Grain"}),
        ("None of the above", set()),
        ("Nonexistent", None),
        ("", None),
        ("Leye distortionsx", None),
        ("Distortions of an eye", None),
    ],
)
def test_other_wordings(answer, named):
    assert named_labels(answer, CATEGORIES) == named


def test_a_label_inside_another_is_not_named():
    assert named_labels("THQA-10K distortion 10", NAMES) == {"THQA-10K distortion 10"}
    assert named_labels("a background blur", ["Blur", "Background blur"]) == {"Background blur"}
    assert named_labels("glass", ["Glass"]) == {"Glass"}  # not a plural


def test_against_scikit_learn():
    rng = np.random.default_rng(5)
    has, named = rng.random((2, 60, len(NAMES))) < 0.3
    agreement = answer_agreement(
        [these([NAMES[i] for i in np.flatnonzero(row)]) for row in named],
        [[NAMES[i] for i in np.flatnonzero(row)] for row in has],
        NAMES,
    )
    assert agreement.unread == 0
    assert agreement.n == 60
    assert agreement.exact == accuracy_score(has, named)
    assert agreement.accuracy == pytest.approx(np.mean(has == named), abs=1e-12)
    for i, name in enumerate(NAMES):
        entry = agreement.labels[name]
        assert entry.accuracy == pytest.approx(accuracy_score(has[:, i], named[:, i]))
        assert entry.precision == pytest.approx(precision_score(has[:, i], named[:, i]))
        assert entry.recall == pytest.approx(recall_score(has[:, i], named[:, i]))
        assert entry.n_references == has[:, i].sum()


def test_an_answer_that_cannot_be_read_is_wrong_on_every_label():
    agreement = answer_agreement(["How odd!", "A."], [[], ["A"]], ["A", "B"])
    assert (agreement.accuracy, agreement.exact, agreement.unread) == (0.5, 0.5, 1)
    assert answer_agreement(["none"], [[]], ["A", "B"]).accuracy == 1


def test_undefined_shares_are_none():
    agreement = answer_agreement(["none"], [[]], ["A"])
    assert (agreement.labels["A"].precision, agreement.labels["A"].recall) == (None, None)


@pytest.mark.parametrize(
    ("answers", "references", "labels", "message"),
    [
        ([], [], ["A"], "got 0 and 0"),
        (["A"], [], ["A"], "got 1 and 0"),
        (["A"], [["C"]], ["A"], "not listed: C"),
        (["A"], [["A"]], ["A", "A"], "each once"),
        (["A"], [[]], [], "each once"),
        (["A"], [[]], [" "], "each once"),
    ],
)
def test_wrong_input(answers, references, labels, message):
    with pytest.raises(InputError, match=message):
        answer_agreement(answers, references, labels)
