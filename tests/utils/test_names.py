"""Names of clips and files out of whatever a title or a path holds."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.utils.files import safe_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plain-name_1.a", "plain-name_1.a"),
        ("a b  c?*d", "a_b_c_d"),
        ("caf\u00e9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("\u65e5\u672c\u8a9e clip", "\u65e5\u672c\u8a9e_clip"),
        ("..", "_"),
        ("", "_"),
        ("a/../b", "a/_/b"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\x00b\nc", "a_b_c"),
        ("x" * 300, "x" * 120),
        ("\u65e5" * 300, "\u65e5" * 60),
    ],
)
def test_names(text, name):
    assert safe_name(text) == name


@given(st.text())
def test_any_text_gives_a_name_that_a_file_system_takes(text):
    name = safe_name(text)
    assert safe_name(name) == name
    assert safe_name(unicodedata.normalize("NFD", text)) == safe_name(
        unicodedata.normalize("NFC", text)
    )
    for part in name.split("/"):
        assert part not in ("", ".", "..")
        assert len(part.encode()) <= 180
        assert "\x00" not in part
