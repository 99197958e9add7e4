"""Lists as spreadsheet programs save them."""

import pytest

from theval_datasets.builders.tables.csv_files import number, read_csv
from theval_datasets.errors import InputError

TEXT = "clip_id;Score ;note\r\na.mp4;4,5;Zoë\r\n;;\r\nb.mp4;3;\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_semicolons_decimal_commas_and_blank_rows(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    rows = list(read_csv(path, ("clip_id", "Score")))
    assert [(where, row["clip_id"], number(row, "Score", where)) for where, row in rows] == [
        ("t.csv:2", "a.mp4", 4.5),
        ("t.csv:4", "b.mp4", 3.0),
    ]
    assert rows[0][1]["note"] == "Zoë"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip_id,Score\na\n", "t.csv:2: expected 2 values"),
        ("clip_id,Score\na,1,2\n", "t.csv:2: expected 2 values"),
        ("clip_id,Score,Score\na,1,2\n", "expected different columns"),
        ("clip,Score\na,1\n", "among them clip_id, Score"),
        ("", "an empty file"),
        ('clip_id,Score\n"a,1\n', "not a CSV table"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_csv(path, ("clip_id", "Score")))


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf", "1,2,3", "1.000,5"])
def test_cells_that_are_no_numbers(cell):
    with pytest.raises(InputError, match="expected a number as Score"):
        number({"Score": cell}, "Score", "t.csv:2")
