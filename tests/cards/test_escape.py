from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.cards.escape import code, markdown, plain_line


@pytest.mark.parametrize(
    "text",
    [
        "[here](javascript:alert(1))",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a | b | c",
        "line\n---\n# heading",
        "```\ncode\n```",
        "![x](http://evil.example/track.png)",
        "https://evil.example",
        "@everyone",
        "\u202egnp.exe",
        "a\u2028b",
        "- item",
        "# title",
        "1. list",
        "$$x$$",
    ],
)
def test_nothing_of_markdown_or_html_is_left(text):
    shown = markdown(text)
    assert "\n" not in shown
    assert not re.search(r"[<>]", shown)
    assert not re.search(r"(?<!\\)[\[\]|`*_~$]", shown)
    assert "://" not in shown
    assert "@" not in shown
    assert "\u202e" not in shown
    assert not re.match(r"[#+=-]|\d+[.)]", shown)


@given(st.text())
def test_one_bounded_line(text):
    for shown in (markdown(text), plain_line(text), code(text)):
        assert not re.search(r"[\n\r\t\x00\x0b\x0c\x85\u2028\u2029]", shown)
    assert len(plain_line(text)) <= 160
    assert code(text)[1:-1].count("`") == 0


@given(st.text(alphabet=st.characters(categories=["L", "N"]), max_size=100).filter(
    lambda text: not text.startswith(tuple("0123456789"))))  # fmt: skip
def test_plain_words_stay(text):
    assert markdown(text) == text
