"""Distortion votes and the taxonomy that names them."""

from pathlib import Path

import numpy as np
import pytest

from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.taxonomy import load_taxonomy
from theval_datasets.curation.study.votes import distortion_labels
from theval_datasets.errors import InputError, RatingsError


def table(votes, taxonomy):
    """Ratings out of votes (clips, subjects, types)."""
    clip, subject = np.indices(votes.shape[:2]).reshape(2, -1)
    return Ratings.from_arrays(
        [f"s{i:02d}" for i in subject],
        [f"c{i:02d}" for i in clip],
        np.arange(len(clip)) % 5,
        votes=votes.reshape(-1, votes.shape[2]),
        vote_names=taxonomy.ids,
    )


@pytest.mark.real
def test_strict_majorities_equal_the_golden_ones(shared_data: Path):
    case = np.load(shared_data / "golden" / "vote_case.npz")
    taxonomy = load_taxonomy()
    ratings = table(case["votes"], taxonomy)
    assert np.array_equal(distortion_labels(ratings, taxonomy).present, case["labels_strict_all"])
    retained = np.arange(40) < 38
    labels = distortion_labels(ratings, taxonomy, retained=retained)
    assert np.array_equal(labels.present, case["labels_strict_first38"])
    assert not np.array_equal(case["labels_ge"], case["labels_strict_all"])  # ties are there
    assert distortion_labels(ratings, taxonomy).instances == int(case["labels_strict_all"].sum())


def test_exactly_half_is_not_a_majority():
    votes = np.zeros((2, 4, 12), bool)
    votes[0, :2, 10] = votes[1, :3, 10] = True
    taxonomy = load_taxonomy()
    labels = distortion_labels(table(votes, taxonomy), taxonomy)
    assert labels.present[:, 10].tolist() == [False, True]
    assert labels.share[:, 10].tolist() == [0.5, 0.75]
    assert labels.names(1) == ("Speaker mismatch",)
    assert labels.bits(1) == "000000000010"
    assert labels.dimensions(1) == ("unassigned",)


@pytest.mark.parametrize(("yes", "of", "voice"), [(3, 5, True), (2, 4, False), (3, 4, True)])
def test_most_voters_and_most_repetitions_decide(yes, of, voice):
    """Of several people, and of the several ratings by one of them."""
    taxonomy = load_taxonomy()
    votes = np.zeros((of, 12), bool)
    votes[:yes, 0] = True
    among = distortion_labels(table(votes[np.newaxis], taxonomy), taxonomy)
    assert among.present[0, 0] == voice
    repeated = Ratings.from_arrays(
        ["a"] * of, ["x"] * of, [3] * of, repetition=list(range(of)), votes=votes,
        vote_names=taxonomy.ids,
    )  # fmt: skip
    labels = distortion_labels(repeated, taxonomy)
    assert (labels.n_voters.tolist(), labels.share[0, 0]) == ([1], float(voice))


def test_a_share_equal_to_the_threshold_is_not_above_it_whatever_its_decimals():
    """0.29 of 100 is 28.999… in binary; one vote more is above."""
    taxonomy = load_taxonomy()
    for yes, of in [(29, 100), (29, 50), (63, 90), (1, 3), (3, 5)]:
        votes = np.zeros((2, of, 12), bool)
        votes[0, :yes, 0] = votes[1, : yes + 1, 0] = True
        labels = distortion_labels(table(votes, taxonomy), taxonomy, threshold=yes / of)
        assert labels.present[:, 0].tolist() == [False, True], (yes, of)


@pytest.mark.parametrize(("yes", "present"), [(50, False), (51, True)])
def test_by_default_more_than_half_of_the_voters_are_needed(yes, present):
    votes = np.zeros((1, 100, 12), bool)
    votes[0, :yes, 0] = True
    taxonomy = load_taxonomy()
    assert distortion_labels(table(votes, taxonomy), taxonomy).present[0, 0] == present


def test_repetitions_are_one_voice():
    taxonomy = load_taxonomy()
    votes = np.zeros((5, 12), bool)
    votes[:3, 0] = True  # a says yes three times of three, b and c say no
    ratings = Ratings.from_arrays(
        ["a", "a", "a", "b", "c"],
        ["x"] * 5,
        [1, 2, 3, 4, 5],
        repetition=[0, 1, 2, 0, 0],
        votes=votes,
        vote_names=taxonomy.ids,
    )
    labels = distortion_labels(ratings, taxonomy)
    assert labels.n_voters.tolist() == [3]
    assert labels.share[0, 0] == pytest.approx(1 / 3)
    assert not labels.present.any()


def test_a_clip_without_retained_voters_has_no_rate():
    taxonomy = load_taxonomy()
    ratings = Ratings.from_arrays(
        ["a", "b"],
        ["x", "y"],
        [1, 2],
        votes=np.ones((2, 12), bool),
        vote_names=taxonomy.ids,
    )
    labels = distortion_labels(ratings, taxonomy, retained=np.array([True, False]))
    assert labels.n_voters.tolist() == [1, 0]
    assert not labels.present[1].any()
    assert np.isnan(labels.share[1]).all()
    assert labels.rates() == {"all": dict.fromkeys(taxonomy.ids, 1.0)}


def test_replacing_the_file_renames_everything(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ndimensions: [stability]\ntypes:\n"
        "  - {id: jitter, name: Jitter, dimension: stability}\n  - {id: blur, name: Blur}\n"
    )
    taxonomy = load_taxonomy(path)
    votes = np.ones((1, 3, 2), bool)
    labels = distortion_labels(table(votes, taxonomy), taxonomy)
    assert labels.names(0) == ("Jitter", "Blur")
    assert labels.dimensions(0) == ("stability", "unassigned")
    assert labels.rates() == {"all": {"jitter": 1.0, "blur": 1.0}}
    assert labels.dimension_rates() == {"all": {"stability": 1.0, "unassigned": 1.0}}
    with pytest.raises(RatingsError, match="thqa-mt"):
        distortion_labels(table(votes, taxonomy), load_taxonomy())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\ntypes: []", "at least one"),
        ("name: x\ntypes: [{id: a, name: A}, {id: a, name: B}]", "expected unique ids"),
        ("name: x\ntypes: [{id: a b, name: A}]", "letters"),
        ("name: x\ntypes: [{id: a, name: A, dimension: d}]", "not among"),
        ("name: x\ntypes: [{id: a, title: A}]", "unknown key"),
        ("name: [", "not YAML"),
    ],
)
def test_broken_taxonomies(tmp_path, text, message):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load_taxonomy(tmp_path / "t.yaml")


def test_the_shipped_one_guesses_nothing():
    taxonomy = load_taxonomy()
    assert len(taxonomy.types) == 12
    assert [kind.name for kind in taxonomy.types][-2:] == ["Speaker mismatch", "Static background"]
    assert all("THQA-10K distortion" in kind.name for kind in taxonomy.types[:10])
