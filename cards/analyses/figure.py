"""Declaration of a figure: name, description, plotted table and drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .tables import BuiltTables

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AnalysisFigure:
    """A figure of a report.

    Attributes:
        name: Name of the files: small letters, digits and underscores.
        title: Heading.
        about: Description in a sentence or two, with units and the meaning of intervals.
        columns: Columns that are read, by config. The figure belongs to every dataset that has them, and
            to those in `datasets`.
        data: Function that makes the plotted table, which is also the CSV.
        draw: Function that draws the table.
        datasets: Datasets to which the figure belongs even if a config was not built, so that the report
            lists it with the reason.
        on_card: Whether the dataset's card shows the figure.
    """

    name: str
    title: str
    about: str
    columns: Mapping[str, Sequence[str]]
    data: Callable[[BuiltTables], pl.DataFrame]
    draw: Callable[[pl.DataFrame], Figure]
    datasets: tuple[str, ...] = ()
    on_card: bool = False

    def belongs_to(self, tables: BuiltTables) -> bool:
        """Whether a report on this dataset shows the figure, or the reason why it cannot."""
        if tables.name in self.datasets:
            return True
        return all(tables.has(config, names) for config, names in self.columns.items())
