"""Tables in the formats, encodings and dialects that programs save."""

import zipfile

import pytest

from theval_datasets.errors import InputError
from theval_datasets.utils.table_files import read_table

ROWS = [["subject", "clip", "score"], ["Zoë", "a", "4,5"], ["Li", "b", "3"]]


def written(tmp_path, text, encoding="utf-8", name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def plain(delimiter=",", rows=ROWS):
    quoted = [[f'"{c}"' if delimiter in c else c for c in row] for row in rows]
    return "".join(delimiter.join(row) + "\r\n" for row in quoted)


STATE = ' state="hidden"'


def workbook(path, hidden=(), **sheets):
    """An .xlsx file of some sheets, each a list of rows of text, numbers, errors (bytes) and None."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
            'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{kind}/'
            'officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        named = list(enumerate(sheets, start=1))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets>'
            + "".join(
                f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"{STATE * (n in hidden)}/>'
                for i, n in named
            )
            + "</sheets></workbook>",
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">'
            + "".join(
                f'<Relationship Id="r{i}" Type="{kind}/worksheet" Target="worksheets/s{i}.xml"/>'
                for i, _ in named
            )
            + "</Relationships>",
        )
        for i, name in named:
            body = ""
            for r, row in enumerate(sheets[name], start=1):
                cells = ""
                for c, value in enumerate(row):
                    place = f"{chr(65 + c)}{r}"
                    if isinstance(value, str):
                        cells += f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
                    elif isinstance(value, bytes):
                        cells += f'<c r="{place}" t="e"><v>{value.decode()}</v></c>'
                    elif value is not None:
                        cells += f'<c r="{place}"><v>{value}</v></c>'
                body += f'<row r="{r}">{cells}</row>'
            archive.writestr(
                f"xl/worksheets/s{i}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
            )
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("encoding", "label"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"),
     ("utf-16-be", "UTF-16"), ("latin-1", "Windows-1252")],
)  # fmt: skip
def test_every_delimiter_and_encoding(tmp_path, delimiter, encoding, label):
    table = read_table(written(tmp_path, plain(delimiter), encoding))
    assert [list(table.frame.columns), *map(list, table.frame.rows())] == ROWS
    assert table.form == f"CSV, {label}, {dict(zip(',;' + chr(9), ('comma', 'semicolon', 'tab'), strict=True))[delimiter]}"  # fmt: skip


def test_blank_rows_and_columns_are_left_out_and_rows_keep_their_numbers(tmp_path):
    text = "subject,clip,score,,\n1,a,4,,\n,,,,\n2,a,5,,\n\n , ,,,\n"
    table = read_table(written(tmp_path, text))
    assert table.frame.rows() == [("1", "a", "4"), ("2", "a", "5")]
    assert table.frame.columns == ["subject", "clip", "score"]
    assert table.rows == (1, 3)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("mark", "delimiter"), [("sep=;", ";"), ("SEP=,", ","), ("sep=\t", "\t")])
def test_the_line_that_states_the_delimiter(tmp_path, end, mark, delimiter):
    text = end.join([mark, f"subject{delimiter}score", f"1{delimiter}4", ""])
    for before in ("", f"{end}  {end}"):
        table = read_table(written(tmp_path, before + text))
        assert table.frame.columns == ["subject", "score"]
        assert (table.frame.rows(), table.rows) == ([("1", "4")], (1,))


def test_blank_lines_before_the_header(tmp_path):
    table = read_table(written(tmp_path, "\n \t\n\nsubject;score\n1;4\n"))
    assert (table.frame.columns, table.frame.rows()) == (["subject", "score"], [("1", "4")])


def test_line_breaks_in_quotes_are_part_of_a_cell(tmp_path):
    table = read_table(written(tmp_path, 'subject,"the\nscore"\n1,"4\n5"\n'))
    assert table.frame.columns == ["subject", "the\nscore"]
    assert table.frame.rows() == [("1", "4\n5")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Rater,Rater,clip\n1,2,a\n", "several columns are named 'Rater'"),
        ("a,b\n1,2\n1,2,3\n", "row 2 has 3 cells, the header 2"),
        ("a title\na,b\n1,2\n", "row 1 has 2 cells, the header 1"),
        ("a,,\n1,2,3\n", "2 columns with values have no name"),
        ("a,b\n1,\0\n" + "x,y\n" * 99, "NUL"),
    ],
)
def test_what_is_no_certain_table_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_table(written(tmp_path, text))


def test_a_single_column_without_a_name_is_kept(tmp_path):
    table = read_table(written(tmp_path, ",Rater 1\na,4\n"))
    assert table.frame.columns == ["", "Rater 1"]


def test_a_workbook(tmp_path):
    rows = [["subject", "clip", "score"], [1, "a", 4.5], [None, None, None], ["01", "b", 3]]
    table = read_table(workbook(tmp_path / "t.xlsx", Ratings=rows, Empty=[]))
    assert table.frame.rows() == [("1", "a", "4.5"), ("01", "b", "3")]
    assert table.rows == (1, 3)
    assert table.form == "Excel, sheet 'Ratings'"


def test_hidden_sheets_are_left_out_and_named(tmp_path):
    rows = [["subject", "score"], ["a", 4]]
    path = workbook(tmp_path / "t.xlsx", hidden=["Old"], Ratings=rows, Old=[["subject"], ["b"]])
    table = read_table(path)
    assert table.frame.rows() == [("a", "4")]
    assert table.form == "Excel, sheet 'Ratings' (hidden sheets left out: 'Old')"
    path = workbook(tmp_path / "u.xlsx", hidden=["A", "B"], A=rows, B=rows)
    with pytest.raises(InputError, match=r"expected one sheet with values, got 'A', 'B'"):
        read_table(path)
    assert read_table(workbook(tmp_path / "v.xlsx", hidden=["A"], A=rows)).frame.height == 1


def test_errors_of_formulas_are_no_empty_cells(tmp_path):
    errors = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"]
    rows = [
        ["subject", "score"],
        *([f"s{i}", e.encode()] for i, e in enumerate(errors)),
        ["t", None],
    ]
    table = read_table(workbook(tmp_path / "t.xlsx", Ratings=rows))
    assert table.frame["score"].to_list() == [*errors, None]


@pytest.mark.parametrize(
    ("text", "columns", "n"),
    [
        ("# a study\n# of 2026\na,b\n1,2\n", ["a", "b"], 1),
        ("# a study, of 2026, in 3 rooms\na,b\n1,2\n", ["a", "b"], 1),
        ("#a,b\n1,2\n", ["#a", "b"], 1),  # the header
        ("a,b\n1,2\na,b\n3,4\n a , b\n", ["a", "b"], 2),
        ("a,b\n1,2\na,c\n", ["a", "b"], 2),
        ("a\n1\na\n", ["a"], 2),
        ("a|b\n1|2\n", ["a", "b"], 1),
    ],
)
def test_comments_above_and_headers_that_are_repeated(tmp_path, text, columns, n):
    table = read_table(written(tmp_path, text))
    assert (table.frame.columns, table.frame.height) == (columns, n)


def test_workbooks_that_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected one sheet with values, got 'A', 'B'"):
        read_table(workbook(tmp_path / "t.xlsx", A=[["a"], [1]], B=[["a"], [1]]))
    (tmp_path / "u.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot be read as an Excel workbook"):
        read_table(tmp_path / "u.xlsx")
    with pytest.raises(InputError, match="several columns are named 'a'"):
        read_table(workbook(tmp_path / "v.xlsx", A=[["a", "a"], [1, 2]]))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end(tmp_path, end):
    frame = read_table(written(tmp_path, f"a,b{end}1,2{end}3,4{end}")).frame
    assert frame.to_dict(as_series=False) == {"a": ["1", "3"], "b": ["2", "4"]}


def test_errors_hold_no_advice_to_programmers(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text('[{"subject":"a","clip_id":"b","score":1}]')
    with pytest.raises(InputError, match="cannot be read as csv") as met:
        read_table(path)
    assert "infer_schema" not in str(met.value)
