"""The exit code of `extract`, and what it says."""

from __future__ import annotations

import pytest

from theval_datasets.commands.extract import ExtractReport
from theval_datasets.extraction.jobs import ClipReport
from theval_datasets.extraction.outcomes import Outcome

LACKING = Outcome("failed", "weights-missing")


def report(outcomes: list[dict[str, Outcome]], *named: str) -> ExtractReport:
    made = ExtractReport("cache", named=frozenset(named))
    for number, item in enumerate(outcomes):
        made.add(ClipReport(f"clip-{number}", item, (), {}))
    return made


@pytest.mark.parametrize(
    ("outcomes", "named", "code"),
    [
        ([{"a": Outcome("ok")}], ["a"], 0),
        ([{"a": LACKING}], [], 0),  # not asked for: the others are what counts
        ([{"a": LACKING}], ["a"], 1),
        ([{"a": LACKING}, {"a": Outcome("empty", "no-face")}], ["a"], 0),
        ([{"a": LACKING, "b": Outcome("ok")}], ["a", "b"], 1),
        ([{"a": LACKING, "b": Outcome("ok")}], ["b"], 0),
        ([{"a": Outcome("failed", "broken-media")}, {"a": Outcome("ok")}], [], 1),
    ],
)
def test_the_exit_code(outcomes, named, code):
    assert report(outcomes, *named).exit_code == code


def test_what_is_missing_is_said_once_with_the_way_to_get_it():
    lacking = Outcome("failed", "weights-missing", "To get them, run `fetch`.")
    broken = Outcome("failed", "broken-media", "Moov atom not found.")
    text = report([{"a": lacking, "b": broken}, {"a": lacking}]).to_text()
    assert "a failed (weights-missing): clip-0, clip-1\n    To get them, run `fetch`.\n" in text
    assert text.count("To get them") == 1
    assert "Moov" not in text
