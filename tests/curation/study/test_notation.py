"""Scores are understood in one notation: numbers, per cent, grades with their words, or words alone."""

from __future__ import annotations

import pytest

from theval_datasets.curation.study.notation import WORDS, answer, plain_numbers


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[-1])
def test_the_words_of_every_language_are_the_grades(words):
    assert plain_numbers(words) == dict(zip(words, "12345", strict=True))
    upper = [word.upper() for word in words[1:4]]
    assert plain_numbers(upper) == dict(zip(upper, "234", strict=True))


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["4", "3.5", "2,5", "-1", ".5", "1e2"], ["4", "3.5", "2,5", "-1", ".5", "1e2"]),
        (["40%", "5 %"], ["40", "5"]),
        (["２", "３"], ["2", "3"]),
        (["2 - Poor", "5: Excellent", "1 (Bad)"], ["2", "5", "1"]),
        (["1 - gar nicht", "2 - etwas", "3 - sehr"], ["1", "2", "3"]),
        (["1 - Bad", "2", "5 - Excellent"], ["1", "2", "5"]),  # only the ends have words
        (["4", "4 - Good"], ["4", "4"]),
    ],
)
def test_one_notation(texts, numbers):
    assert plain_numbers(texts) == dict(zip(texts, numbers, strict=True))


@pytest.mark.parametrize(
    "texts",
    [
        ["good", "fine"],  # not a grade
        ["good", "gut"],  # two languages
        ["good", "3"],
        ["1 - ja", "2"],  # a word that is no grade
        ["05. Jan", "03. Jan"],  # 5.1 and 3.1 as dates
        ["1. Jan", "2. Feb"],
        ["1. Mrz", "2. Mai"],
        ["2 - Poor", "2 - Fair"],
        ["2/5", "3/5"],
        ["2026-05-01 00:00:00", "2"],
        ["=2"],
        ["True"],
        ["1'200"],
        ["★★", "★"],
    ],
)
def test_what_is_not_understood_stays_as_it_is(texts):
    assert plain_numbers(texts) == {text: text for text in texts}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["40%", "3"], "per cent"),
        (["1.200", "950"], "thousands"),
        (["1,200", "100"], "thousands"),
        (["1.200.000"], "thousands"),
        (["1.200", "950,5"], "thousands"),
        (["1 200", "950,5"], "thousands"),
        (["1.234", "101"], "thousands"),
        (["1.200,5"], None),
        (["1.200", "99"], None),  # three decimals
        (["1.200", "3.400"], None),
    ],
)
def test_ambiguous_numbers_are_refused(texts, message):
    if message is None:
        assert plain_numbers(texts) == {text: text for text in texts}
    else:
        with pytest.raises(ValueError, match=message):
            plain_numbers(texts)


def test_answers_of_forms():
    assert [answer(text) for text in ("5 - Excellent", "Good", "3", "none")] == [
        "5",
        "4",
        "3",
        "none",
    ]


@pytest.mark.parametrize(
    "texts",
    [["12.345", "100"], ["12.345", "250", "7.5"], ["0.125", "1.250", "150"], ["3.125", "99"]],
)
def test_decimals_with_three_digits_are_no_thousands(texts):
    """Sliders are saved in the shortest form, in which 100 has no point."""
    assert plain_numbers(texts) == {text: text for text in texts}
