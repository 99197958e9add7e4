"""The generated tables of committed pages are those of the code."""

from __future__ import annotations

import pytest
import reference
import update_docs


@pytest.mark.parametrize("page", update_docs.PAGES, ids=lambda page: page.name)
def test_generated_tables_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert "<!-- generated: " in text
    assert update_docs.updated(text) == text, "run python scripts/update_docs.py"


def test_staleness_is_seen():
    text = update_docs.PAGES[0].read_text(encoding="utf-8")
    stale = text.replace("| `lip_sync` | float64", "| `lip_sink` | float64")
    assert stale != text
    assert update_docs.updated(stale) == text
    with pytest.raises(SystemExit, match="no block"):
        update_docs.updated("<!-- generated: nothing -->\n<!-- end -->")


def test_every_column_is_described_once_or_named_with_its_place():
    common = reference.common_columns()
    text = reference.common_columns_table() + reference.special_sections()
    for unit in reference.dataset_units():
        for fields in unit.FIELDS.values():
            for field in fields:
                row = reference.columns_table([field]).splitlines()[2]
                assert text.count(f"{row}\n") == 1, (unit.NAME, field.name)
        features = {reference.described(field) for field in unit.FIELDS["features"]}
        assert common.keys() <= features


def test_a_page_of_a_dataset_holds_every_column_of_every_table():
    for unit in reference.dataset_units():
        page = reference.dataset_page(unit)
        for config in unit.BUILDER_CONFIGS:
            assert reference.columns_table(list(unit.FIELDS[config.name])) in page


def test_the_page_of_commands_has_every_option():
    page = reference.commands_page()
    assert "### models fetch" in page
    assert "`--missing-code NUMBER`" in page
    assert "--help" not in page
