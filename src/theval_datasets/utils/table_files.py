"""Tables read into text cells: CSV of any usual dialect, Excel, Parquet, JSON lines.

Delimiter (comma, semicolon, tab, bar), encoding (UTF-8 and UTF-16 with or without byte-order mark, else
Windows-1252), blank rows, the line ``sep=;`` that Excel reads, comments above the header, and
repeated headers are recognised. Ambiguous tables are refused: columns of one name, columns
without a name that hold values, rows longer than the header, workbooks with several visible sheets.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import InputError

from .text import one_line

if TYPE_CHECKING:
    import polars as pl

LARGEST: Final = 512 << 20  # largest size of a table's file, bytes
_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SEPARATOR: Final = re.compile(r"\s*sep=([,;\t|])[ \t]*(?:\r\n|\n|\r)", re.IGNORECASE)
_DECIMAL_COMMA: Final = re.compile(r"\s*[-+]?\d+,\d+\s*")
_BLANKS: Final = re.compile(r"\s*(?:\r\n|\n|\r)")
_SAMPLE: Final = 50  # number of records that decide the delimiter
_TEXT: Final = (".csv", ".tsv", ".txt")
_JSON: Final = (".jsonl", ".ndjson")
SUFFIXES: Final = (*_TEXT, ".xlsx", ".parquet", *_JSON)


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table read from a file.

    Attributes:
        frame: The table. Cells of text files and workbooks are text or null; blank rows are left
            out.
        rows: Row in the file of each row of `frame`, from 1 for the first below the header.
        form: Format, encoding and delimiter in words, such as ``CSV, UTF-8, semicolon``.
    """

    frame: pl.DataFrame
    rows: tuple[int, ...]
    form: str

    def number(self, cell: object) -> float | None:
        """See `finite_number`; in a CSV with commas, ``1,234`` may be a thousand and is no number."""
        grouped = self.form.endswith(_DELIMITERS[","]) and isinstance(cell, str) and "," in cell
        return None if grouped else finite_number(cell)


def read_table(path: Path, *, error: type[InputError] = InputError) -> TableFile:
    """Read a table of any supported format.

    Args:
        path: A file that ends in one of `SUFFIXES`.
        error: Exception to raise.

    Raises:
        InputError: If there is no such file, or it cannot be read as a table.
    """
    import polars as pl

    if not path.is_file():
        raise error(f"there is no file {path}")
    if path.stat().st_size > LARGEST:
        raise error(f"{path} has {path.stat().st_size} bytes; at most {LARGEST} are read")
    suffix = path.suffix.lower()
    try:
        if suffix in _TEXT:
            frame, form = _delimited(path, error)
        elif suffix == ".xlsx":
            frame, form = _workbook(path, error)
        elif suffix == ".parquet":
            frame, form = pl.read_parquet(path), "Parquet"
        elif suffix in _JSON:
            frame, form = pl.read_ndjson(path, infer_schema_length=None), "JSON lines"
        else:
            raise error(f"expected a table ending in {', '.join(SUFFIXES)}, got {path.name}")
    except (pl.exceptions.PolarsError, OSError) as reason:
        why = one_line(str(reason).partition("You might want to try")[0])  # advice to programmers
        raise error(f"{path.name} cannot be read as {suffix[1:]}: {why}") from None
    _refuse_nested(frame, path.name, error)
    return _without_blanks(frame, form, path.name, error)


def finite_number(cell: object) -> float | None:
    """A cell as a finite number, with a decimal point or comma; None if it is no such number.

    Examples:
        >>> [finite_number(cell) for cell in ("3,5", " 2 ", 4, "nan", "three", "", None, True)]
        [3.5, 2.0, 4.0, None, None, None, None, None]
    """
    if isinstance(cell, str):
        cell = cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell
    elif isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    try:
        value = float(cell)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None


def _refuse_nested(frame: pl.DataFrame, name: str, error: type[InputError]) -> None:
    """Check that cells hold text, numbers, dates or lists of these."""
    import polars as pl

    for column, kind in frame.schema.items():
        inner = kind.inner if isinstance(kind, pl.List) else kind
        if isinstance(inner, (pl.Struct, pl.List, pl.Array, pl.Binary, pl.Object)):
            raise error(
                f"{name}: expected text, numbers or a list of them in column {one_line(column, 60)!r}, "
                f"got {one_line(kind, 60)}"
            )


def _without_blanks(
    frame: pl.DataFrame, form: str, name: str, error: type[InputError]
) -> TableFile:
    import polars as pl

    texts = [c for c, kind in frame.schema.items() if kind == pl.String]
    blank = pl.all_horizontal(
        pl.col(c).str.strip_chars().is_in(["", None], nulls_equal=True) if c in texts
        else pl.col(c).is_null() for c in frame.columns
    ) if frame.width else pl.lit(value=True)  # fmt: skip
    kept = frame.with_row_index("\0row", offset=1).filter(~blank)
    names = [c for c in texts if c.strip() and not c.startswith(_UNNAMED)]
    if len(names) > 1:  # a header that is repeated where tables were joined
        kept = kept.filter(
            ~pl.all_horizontal(pl.col(c).str.strip_chars() == c.strip() for c in names)
        )
    rows = tuple(kept["\0row"].to_list())
    kept = kept.drop("\0row")
    unnamed = [c for c in kept.columns if not c.strip() or c.startswith(_UNNAMED)]
    empty = [
        c for c in unnamed if kept[c].cast(pl.String).fill_null("").str.strip_chars().eq("").all()
    ]
    kept = kept.drop(empty)
    if len(unnamed) - len(empty) > 1:
        raise error(
            f"{name}: {len(unnamed) - len(empty)} columns with values have no name in the header; the header "
            "has to be the first line, one line, without merged cells"
        )
    return TableFile(kept.rename({c: "" for c in unnamed if c not in empty}), rows, form)


_FAILED: Final = re.compile(r"Error\((\w+)\)")
_ERRORS: Final = {
    "Div0": "#DIV/0!", "NA": "#N/A", "Name": "#NAME?", "Null": "#NULL!", "Num": "#NUM!", "Ref": "#REF!",
    "Value": "#VALUE!",
}  # fmt: skip
"""Errors of formulas as Excel shows them, by their names in the workbook reader."""
_UNNAMED: Final = "__UNNAMED__"  # prefix by which the workbook reader names columns without a name


@dataclass(frozen=True)
class DelimitedText:
    """The text of a delimited table.

    Attributes:
        text: The text from the header on.
        encoding: Name of the encoding.
        delimiter: Delimiter of the cells.
        skipped: Number of lines before the header.
    """

    text: str
    encoding: str
    delimiter: str
    skipped: int


def read_delimited(path: Path, *, error: type[InputError] = InputError) -> DelimitedText:
    """The text of a delimited table.

    Args:
        path: The file.
        error: Exception to raise.

    Raises:
        InputError: If it is too large, or not text.
    """
    if path.stat().st_size > LARGEST:
        raise error(f"{path} has {path.stat().st_size} bytes; at most {LARGEST} are read")
    text, encoding = _decoded(path.read_bytes(), path.name, error)
    if "\n" not in text:
        text = text.replace("\r", "\n")  # line ends of old Macintosh programs
    stated = _SEPARATOR.match(text)
    start = stated.end() if stated else 0
    blank = _BLANKS.match(text, start)
    start = blank.end() if blank else start
    start += _length_of_comments(text[start:])
    skipped, text = len(text[:start].splitlines()), text[start:]
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    return DelimitedText(text, encoding, stated[1] if stated else _delimiter(text, usual), skipped)


def _length_of_comments(text: str) -> int:
    """Number of characters of the lines before the header that begin with ``#``.

    A line with the delimiters of the line below it is the header, whatever it begins with.
    """
    length, lines = 0, text.splitlines(keepends=True)[:_SAMPLE]
    for line, below in itertools.pairwise(lines):
        counts = [line.count(delimiter) for delimiter in _DELIMITERS]
        alike = any(counts) and counts == [below.count(delimiter) for delimiter in _DELIMITERS]
        if not line.startswith("#") or alike:
            break
        length += len(line)
    return length


def _delimited(path: Path, error: type[InputError]) -> tuple[pl.DataFrame, str]:
    import polars as pl

    read = read_delimited(path, error=error)
    text, encoding, delimiter = read.text, read.encoding, read.delimiter
    head = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    _refuse_doubled(head, path.name, error)
    names = [name if name.strip() else f"{_UNNAMED}{i}" for i, name in enumerate(head)]
    try:
        frame = pl.read_csv(
            text.encode(), separator=delimiter, has_header=False, skip_rows=0, new_columns=names,
            infer_schema=False, truncate_ragged_lines=False, encoding="utf8",
        )[1:]  # fmt: skip
    except pl.exceptions.ComputeError:
        _refuse_wider(text, delimiter, path.name, error)
        raise
    return frame, f"CSV, {encoding}, {_DELIMITERS[delimiter]}"


def _refuse_wider(text: str, delimiter: str, name: str, error: type[InputError]) -> None:
    """Refuse a row with more cells than the header."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    head = next(rows, [])
    for number, row in enumerate(rows, start=1):
        if len(row) > len(head):
            raise error(
                f"{name}: row {number} has {len(row)} cells, the header {len(head)}; the header has to be "
                "the first line, and cells that hold the delimiter have to be quoted"
            )


def _refuse_doubled(head: Sequence[str], name: str, error: type[InputError]) -> None:
    doubled = [
        column for column, n in Counter(c.strip() for c in head if c.strip()).items() if n > 1
    ]
    if doubled:
        raise error(f"{name}: several columns are named {doubled[0]!r}; rename them")


def _decoded(data: bytes, name: str, error: type[InputError]) -> tuple[str, str]:
    """The text of a file, and the name of its encoding."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, label = "utf-16", "UTF-16"
    elif data[:200].count(b"\0") * 3 > len(data[:200]):
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        label = "UTF-16"
    else:
        encoding, label = "utf-8-sig", "UTF-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if label == "UTF-16":
            raise error(f"{name} begins like UTF-16 text, but is not valid UTF-16") from None
        try:
            text, label = data.decode("cp1252"), "Windows-1252"
        except UnicodeDecodeError:
            raise error(
                f"expected text in UTF-8, UTF-16 or Windows-1252, got other bytes in {name}"
            ) from None
    if "\0" in text:
        raise error(f"{name} holds NUL characters: it is not a text table")
    return text, label


def _delimiter(text: str, usual: str) -> str:
    """The delimiter by which most of the first records are as wide as the header."""
    best, score = usual, (0.0, 0)
    for delimiter in sorted(_DELIMITERS, key=lambda delimiter: delimiter != usual):
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            widths = [len(row) for row, _ in zip(reader, range(_SAMPLE), strict=False) if any(row)]
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            reached = (widths.count(widths[0]) / len(widths), widths[0])
            if reached > score:
                best, score = delimiter, reached
    return best


def _workbook(path: Path, error: type[InputError]) -> tuple[pl.DataFrame, str]:
    import fastexcel

    try:
        book = fastexcel.read_excel(path)
        loaded = {
            name: book.load_sheet(name, dtypes="string", header_row=None)
            for name in book.sheet_names
        }
        sheets = {name: _cells(sheet) for name, sheet in loaded.items()}
    except fastexcel.FastExcelError as reason:
        raise error(
            f"{path.name} cannot be read as an Excel workbook: {one_line(reason)}"
        ) from None
    filled = {name: sheet for name, sheet in sheets.items() if sheet.height and sheet.width}
    hidden = [name for name in filled if loaded[name].visible != "visible"]
    if len(filled) - len(hidden) == 1:
        filled = {name: sheet for name, sheet in filled.items() if name not in hidden}
    else:
        hidden = []
    if len(filled) != 1:
        listed = ", ".join(map(repr, filled)) or "none"
        raise error(
            f"{path.name}: expected one sheet with values, got {listed}; save the sheet as a file"
        )
    ((name, sheet),) = filled.items()
    head = [str(cell) if cell is not None else "" for cell in sheet.row(0)]
    _refuse_doubled(head, path.name, error)
    names = [cell if cell.strip() else f"{_UNNAMED}{i}" for i, cell in enumerate(head)]
    body: pl.DataFrame = sheet[1:].rename(dict(zip(sheet.columns, names, strict=True)))
    left_out = f" (hidden sheets left out: {', '.join(map(repr, hidden))})" if hidden else ""
    return body, f"Excel, sheet {name!r}{left_out}"


def _cells(sheet: Any) -> pl.DataFrame:
    """The cells of a sheet as text; a cell whose formula failed holds the error as Excel shows it."""
    import polars as pl

    batch, failed = sheet.to_arrow_with_errors()
    frame = pl.DataFrame(pl.from_arrow(batch))
    by_column: dict[int, dict[int, str]] = {}
    for cell in () if failed is None else failed.errors:
        row, column = cell.position
        kind = _FAILED.search(cell.detail)
        text = _ERRORS.get(kind[1], "#VALUE!") if kind else "#VALUE!"
        by_column.setdefault(column, {})[row] = text
    for column, texts in by_column.items():
        cells = frame.to_series(column)
        frame.replace_column(column, cells.scatter(list(texts), list(texts.values())))
    return frame
