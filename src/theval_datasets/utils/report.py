"""Base class of what commands return: text for people, plain values for machines, a table for both."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .records import to_plain

if TYPE_CHECKING:
    import polars as pl


class Report(ABC):
    """Base of the reports of commands; a subclass is a dataclass."""

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 0, or 1 if something failed."""
        return 0

    def to_plain(self) -> dict[str, Any]:
        """Output of ``--json``: only dicts, lists, text, numbers, booleans and None; by default the fields."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @abstractmethod
    def to_text(self) -> str:
        """Human-readable output of the command."""

    def wait(self) -> None:  # noqa: B027  # few reports have anything to wait for
        """Wait for what goes on after the report is shown, as a server does; nothing by default."""

    def table(self) -> Sequence[Mapping[str, Any]]:
        """The report as a table, one mapping per row with the same keys; () if it has no table."""
        return ()

    def to_polars(self) -> pl.DataFrame:
        """The report as a table.

        Raises:
            TypeError: The report has no table.
        """
        import polars as pl

        rows = self.table()
        if not rows and type(self).table is Report.table:
            raise TypeError(f"{type(self).__name__} has no table: use to_plain() or to_text()")
        return pl.DataFrame(rows, infer_schema_length=None)

    def _repr_html_(self) -> str:
        """The table and the text, for notebooks."""
        text = f"<pre>{html.escape(self.to_text())}</pre>"
        rows = self.table()
        if not rows:
            return text
        cells = "".join(
            f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row.values())}</tr>"
            for row in rows[:_SHOWN]
        )
        head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
        more = f"<p>{len(rows) - _SHOWN} more rows: to_polars()</p>" if rows[_SHOWN:] else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>{more}"
        return f"{table}<details><summary>as text</summary>{text}</details>"


_SHOWN = 100


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))
