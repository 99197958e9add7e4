"""Lists as spreadsheet programs save them."""

import pytest

from theval_datasets.builders.tables.csv_files import Row, number, read_csv
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
        ("name,Score\na,1\n", "among them clip_id, Score"),
        ("", "an empty file"),
        ('clip_id,Score\n"a,1\n', "not a CSV table"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_csv(path, ("clip_id", "Score")))


@pytest.mark.parametrize(
    "head",
    ["clip_id,Score,kind_of", "Clip_ID,SCORE,Kind Of", " clip-id ,score,KIND-OF", "CLIP\u00a0ID,Score,kind_of",
     "Video,score,kind of", "File Name,Score,kind_of", "ClipID,Score,KindOf", "VideoName,Score,kindof"],
)  # fmt: skip
def test_names_of_columns_in_any_spelling(tmp_path, head):
    path = tmp_path / "t.csv"
    path.write_text(f"{head},Other\na,1,x,y\n", encoding="utf-8")
    ((where, row),) = read_csv(path, ("clip_id", "Score"), ("kind_of",))
    assert (where, row) == (
        "t.csv:2", {"clip_id": "a", "Score": "1", "kind_of": "x", "Other": "y"}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("clip_id,Score,kindoff", "unknown column 'kindoff'; did you mean 'kind_of'"),
        ("clip_id,Score,kind_off", "did you mean 'kind_of'"),
        ("clip_id,Score,score ", "expected different columns"),
        ("clip,video,Score", "among them clip_id"),
    ],
)
def test_columns_that_may_be_meant_otherwise(tmp_path, head, message):
    path = tmp_path / "t.csv"
    path.write_text(f"{head}\na,1,x\n")
    with pytest.raises(InputError, match=message):
        list(read_csv(path, ("clip_id", "Score"), ("kind_of",)))


def test_an_optional_column_may_be_missing_beside_any_other(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("clip_id,Score,mind\na,1,x\n")
    assert next(iter(read_csv(path, ("clip_id", "Score"), ("kind_of",))))[1]["mind"] == "x"


def test_places_count_the_lines_before_the_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sep=;\n\nclip_id;Score\na;1\n")
    assert [where for where, _ in read_csv(path, ("clip_id", "Score"))] == ["t.csv:4"]


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf", "1,2,3", "1.000,5"])
def test_cells_that_are_no_numbers(cell):
    with pytest.raises(InputError, match="expected a number as Score"):
        number(Row(Score=cell), "Score", "t.csv:2")


@pytest.mark.parametrize("cell", ["3,5", "1,234"])
@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_a_comma_in_a_number_is_refused_only_where_commas_separate_cells(tmp_path, delimiter, cell):
    path = tmp_path / "t.csv"
    path.write_text(f'clip_id{delimiter}Score\na{delimiter}"{cell}"\n')
    ((where, row),) = read_csv(path, ("clip_id", "Score"))
    if delimiter == ",":
        with pytest.raises(InputError, match=rf"t.csv:2: expected a number as Score, got '{cell}'"):
            number(row, "Score", where)
    else:
        assert number(row, "Score", where) == float(cell.replace(",", "."))
