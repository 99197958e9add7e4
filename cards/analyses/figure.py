"""What a figure is: a name, what it shows, the table that it plots, and its drawing."""

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
        name: Of its files: small letters, digits and underscores.
        title: Heading.
        about: What is plotted, in a sentence or two: units, and what intervals mean.
        columns: Config to the columns that it reads. It belongs to a dataset that has them, or to
            one of `datasets`.
        data: Makes the table that is plotted, which is also its CSV.
        draw: Draws that table.
        datasets: Datasets that it is part of also where a config was not built, so that the report
            says so.
        on_card: Whether the dataset's card shows it.
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
        """Whether a report on this dataset shows the figure, or says why it cannot."""
        if tables.name in self.datasets:
            return True
        return all(tables.has(config, names) for config, names in self.columns.items())
