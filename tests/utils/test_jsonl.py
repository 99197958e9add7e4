from __future__ import annotations

import pytest

from theval_datasets.errors import InputError
from theval_datasets.utils.jsonl import append_record, read_journal, read_records, write_records
from theval_datasets.utils.records import Record


class Line(Record, frozen=True):
    title: str


TITLES = [
    "next\u0085line", "line\u2028separator", "paragraph\u2029separator", "form\x0cfeed",
    "carriage\rreturn", "new\nline", "file\x1cseparator", "🙂", "",
]  # fmt: skip


@pytest.mark.parametrize("title", TITLES)
def test_a_title_may_hold_what_unicode_takes_for_the_end_of_a_line(tmp_path, title):
    path = tmp_path / "a.jsonl"
    write_records(path, [Line(title), Line("b")])
    append_record(path, Line(title))
    expected = [Line(title), Line("b"), Line(title)]
    assert list(read_journal(path, Line)) == expected
    assert [record for _, record in read_records(path, Line)] == expected
    assert [where for where, _ in read_records(path, Line)] == [f"a.jsonl:{n}" for n in (1, 2, 3)]


def test_raw_characters_in_a_line_do_not_end_it(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"title": "a\u2028b"}\r\n{"title": "c"}'.encode())
    assert list(read_journal(path, Line)) == [Line("a\u2028b"), Line("c")]


def test_a_torn_line_costs_itself_only(tmp_path):
    path = tmp_path / "a.jsonl"
    write_records(path, [Line("a")])
    with path.open("ab") as stream:
        stream.write(b'{"title": "tor')
    append_record(path, Line("b"))
    assert list(read_journal(path, Line)) == [Line("a"), Line("b")]
    with pytest.raises(InputError, match=r"^a\.jsonl:2: not a JSON object"):
        list(read_records(path, Line))


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_what_is_no_file_is_a_sentence(tmp_path, kind):
    path = tmp_path / "a.jsonl"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)
    for read in (read_records, read_journal):
        with pytest.raises(InputError, match=r"a\.jsonl cannot be read"):
            list(read(path, Line))


def test_no_journal_has_no_records(tmp_path):
    assert list(read_journal(tmp_path / "a.jsonl", Line)) == []
