"""`theval-data report`: the papers' analyses of a built dataset."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from .options import Folder, Output

if TYPE_CHECKING:
    from theval_datasets.cards.analyses.report import ReportedFigure


@dataclass(frozen=True, slots=True)
class AnalysisReport(Report):
    """The figures of a built dataset.

    Attributes:
        dataset: Folder of the dataset.
        page: The HTML.
        figures: In the order of the page; those that could not be drawn have a reason.
    """

    dataset: Path
    page: Path
    figures: tuple[ReportedFigure, ...]

    def table(self) -> list[dict[str, Any]]:
        """One row a figure."""
        return [asdict(figure) for figure in self.figures]

    def to_text(self) -> str:
        """Drawn figures, figures that were not drawn with the reason, and the page."""
        drawn = [figure for figure in self.figures if figure.reason is None]
        lines = [f"{count_of(len(drawn), 'figure')}, each as PNG and CSV"]
        reasons: dict[str, list[str]] = {}
        for figure in self.figures:
            if figure.reason is not None:
                reasons.setdefault(figure.reason, []).append(figure.title)
        lines += [f"not shown: {'; '.join(titles)}: {why}" for why, titles in reasons.items()]
        return "\n".join([*lines, f"page: {self.page}"])


def report(folder: Folder, output: Output) -> AnalysisReport:
    """Draw the papers' analyses of a built dataset: a page, and a PNG and a CSV for each figure.

    Args:
        folder: Folder of a built dataset, such as ``out/theval/thqa-mt``.
        output: Folder to write to.

    Raises:
        InputError: The folder is no built dataset, or the output folder is one.
    """
    from theval_datasets.cards.analyses.report import PAGE, write_report
    from theval_datasets.manifest.info import refuse_dataset

    refuse_dataset(Path(output))
    figures = write_report(Path(folder), Path(output))
    return AnalysisReport(Path(folder), Path(output) / PAGE, tuple(figures))
