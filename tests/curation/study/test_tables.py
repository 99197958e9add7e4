"""Ratings tables: the forms that are understood, and the errors that say where."""

import json

import numpy as np
import polars as pl
import pytest

from theval_datasets.curation.study.tables import TableOptions, from_frame, read_ratings
from theval_datasets.curation.study.taxonomy import load_taxonomy
from theval_datasets.errors import RatingsError

LONG = {
    "subject": ["a", "a", "b", "b"],
    "clip_id": ["x", "y", "x", "y"],
    "score": [1.0, 2.0, 3.0, 4.0],
}


def frame(**changes):
    table = {**LONG, **changes}
    return pl.DataFrame({name: values for name, values in table.items() if values is not None})


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_every_format_gives_the_same_ratings(tmp_path, suffix):
    path = tmp_path / f"r.{suffix}"
    if suffix == "parquet":
        frame().write_parquet(path)
    elif suffix == "jsonl":
        frame().write_ndjson(path)
    else:
        frame().write_csv(path, separator="," if suffix == "csv" else "\t")
    ratings = read_ratings(path)
    assert ratings.subjects == ("a", "b")
    assert ratings.clips == ("x", "y")
    assert ratings.score.tolist() == [1, 3, 2, 4]  # sorted by clip, then subject
    assert ratings.dimensions == ("quality",)


def test_names_of_columns_are_understood_in_many_spellings():
    table = pl.DataFrame({"Observer": ["a", "b"], "Video ID": ["x", "x"], "Opinion-Score": [1, 2]})
    assert from_frame(table).score.tolist() == [1, 2]


def test_clips_by_subjects_and_subjects_by_clips_are_reshaped():
    by_clip = pl.DataFrame({"clip_id": ["x", "y"], "a": ["1", "2"], "b": ["3", ""]})
    by_subject = pl.DataFrame({"subject": ["a", "b"], "x": [1, 3], "y": [2, None]})
    for table in (by_clip, by_subject):
        ratings = from_frame(table)
        assert ratings.subjects == ("a", "b")
        assert ratings.score.tolist() == [1, 3, 2]
        assert ratings.n_missing == 1


def test_columns_named_after_dimensions_are_reshaped():
    table = frame(score=None, quality=[1, 2, 3, 4], authenticity=[5, 6, 7, None])
    ratings = from_frame(table)
    assert ratings.dimensions == ("authenticity", "quality")
    assert ratings.panel("quality").score.tolist() == [1, 3, 2, 4]
    assert len(ratings.panel("authenticity")) == 3
    with pytest.raises(RatingsError, match="2 dimensions"):
        ratings.panel()
    with pytest.raises(RatingsError, match="authenticity, quality"):
        ratings.panel("beauty")


def test_a_clip_without_ratings_in_a_dimension_is_not_in_its_panel():
    table = frame(
        subject=["a", "b"] * 3,
        clip_id=["x", "x", "y", "y", "z", "z"],
        score=None,
        quality=[1, 2, 3, 4, 5, 6],
        authenticity=[7, 8, None, None, 9, 10],
        content=["p", "p", "q", "q", "r", "r"],
        reference=[True, True, False, False, False, False],
    )
    panel = from_frame(table).panel("authenticity")
    assert panel.clips == ("x", "z")
    assert panel.clip.tolist() == [0, 0, 1, 1]
    assert panel.counts.tolist() == [2, 2]
    assert panel.clip_mean(panel.score).tolist() == [7.5, 9.5]
    assert panel.content == ("p", "r")
    assert panel.reference is not None
    assert panel.reference.tolist() == [True, False]


def test_sessions_number_repetitions_through():
    table = frame(clip_id=["x"] * 4, session=["1", "2", "1", "2"])
    assert from_frame(table).repetition.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (frame(scroe=[1, 2, 3, 4]), {}, r"unknown column 'scroe'; did you mean 'score'"),
        (frame(colour=[1, 2, 3, 4]), {}, r"unknown column 'colour'; known: "),
        (frame(score=["1", "two", "3", "4"]), {}, r"'two' in row 2"),
        (frame(score=[1.0, float("nan"), 3.0, 4.0]), {}, r"nan in row 2"),
        (frame(score=[1.0, float("inf"), 3.0, 4.0]), {}, r"inf in row 2"),
        (frame(score=["1", "NaN", "3", "4"]), {}, r"'NaN' in row 2"),
        (
            frame(),
            {"score_range": (1, 3)},
            r"1 of 4 scores are off the declared scale 1 … 3, the first: 4 in row 4",
        ),
        (frame(clip_id=["x", "x", "x", "y"]), {}, r"occur twice.*'a', clip 'x'"),
        (frame(subject=["a", "#REF!", "b", "b"]), {}, r"'#REF!'.*row 2.*error of a spreadsheet"),
        (frame(clip_id=["x", "#NV", "x", "y"]), {}, r"'#NV'.*row 2.*error of a spreadsheet"),
        (
            frame(score=["1", "#DIV/0!", "2", "2"]),
            {},
            r"'#DIV/0!' in row 2.*expected numbers alone",
        ),
        (frame(score=["1%", "2", "2%", "3%"]), {}, "per cent"),
        (frame(score=["1,200", "950", "2", "3"]), {}, "thousands"),
        (frame(subject=["a", "", "b", "b"]), {}, r"subject is empty in row 2"),
        (frame(clip_id=["x", None, "x", "y"]), {}, r"clip_id is empty in row 2"),
        (frame(score=None), {}, r"missing score"),
        (frame(score=None, subject=None), {}, r"missing subject, score"),
        (frame(video=["x", "y", "x", "y"]), {}, r"are both clip_id"),
        (frame(score=[None] * 4), {}, r"expected numbers in the column score"),
        (frame(score=pl.Series([None] * 4, dtype=pl.Float64)), {}, r"holds no ratings"),
        (frame(repetition=[0, 1, -1, 0]), {}, r"-1 in row 3"),
        (frame(content_id=["p", "q", "q", "q"]), {}, r"clip 'x' has two values of content_id"),
        (frame(is_reference=["0", "0", "0", "maybe"]), {}, r"two values|'maybe'"),
        (frame(distortions=["01"] * 4), {}, r"name the taxonomy"),
        (frame(distortions=["01"] * 4), {"taxonomy": load_taxonomy()}, r"vector of 12 bits"),
        (frame(distortions=["rain"] * 4), {"taxonomy": load_taxonomy()}, r"'rain'.*not a type"),
        (frame(distortion_rain=[0] * 4), {"taxonomy": load_taxonomy()}, r"distortion_rain"),
        (frame(distortion_static_background=[2] * 4), {"taxonomy": load_taxonomy()}, r"0 or 1"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(table, options, message):
    with pytest.raises(RatingsError, match=message):
        from_frame(table, TableOptions(**options))


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(RatingsError, match="there is no file"):
        read_ratings(tmp_path / "none.csv")
    (tmp_path / "r.pdf").write_bytes(b"%PDF")
    with pytest.raises(RatingsError, match=r"ending in \.csv"):
        read_ratings(tmp_path / "r.pdf")
    (tmp_path / "r.parquet").write_bytes(b"not parquet")
    with pytest.raises(RatingsError, match="cannot be read as parquet"):
        read_ratings(tmp_path / "r.parquet")
    (tmp_path / "r.jsonl").write_text(json.dumps({"subject": "a"}) + "\n{broken")
    with pytest.raises(RatingsError, match="cannot be read as jsonl"):
        read_ratings(tmp_path / "r.jsonl")


def test_unwanted_columns_can_be_ignored():
    ratings = from_frame(frame(colour=[1, 2, 3, 4]), TableOptions(ignore=("colour",)))
    assert len(ratings) == 4


def test_the_three_forms_of_votes_say_the_same():
    taxonomy = load_taxonomy()
    bits = ["000000000001", "000000000000", "", "000000000010"]
    names = ["Static background", "", "", "speaker_mismatch"]
    lists = [[int(bit) for bit in text.ljust(12, "0")] for text in bits]
    columns = {
        "distortion_static_background": [1, 0, 0, 0],
        "distortion_speaker_mismatch": [0, 0, 0, 1],
    }
    options = TableOptions(taxonomy=taxonomy)
    result = [
        from_frame(frame(distortions=bits), options),
        from_frame(frame(distortions=names), options),
        from_frame(frame(distortions=lists), options),
        from_frame(frame(**columns), options),
    ]
    wanted = np.zeros((4, 12), bool)
    wanted[0, 11] = wanted[3, 10] = True
    for ratings in result:
        assert np.array_equal(ratings.votes[[0, 2, 1, 3]], wanted)  # sorted by clip


def test_what_words_are_taken_for_is_said():
    words = frame(score=["gut", "schlecht", "gut", "ausgezeichnet"])
    ratings = from_frame(words)
    assert sorted(ratings.score.tolist()) == [1, 4, 4, 5]
    assert (
        "scores in words or signs ('schlecht' is 1, 'gut' is 4, 'ausgezeichnet' is 5)"
        in ratings.to_text()
    )
    assert "in words" not in from_frame(frame(score=["1", "2", "4", "5"])).to_text()
