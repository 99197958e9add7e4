"""`theval-data funnel`: clips rejected by each filter of a curation run."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from theval_datasets.utils.files import atomic_write, write_text
from theval_datasets.utils.report import Report

from .options import Folder, StrPath

if TYPE_CHECKING:
    from theval_datasets.curation.funnel.funnel import Funnel
    from theval_datasets.curation.funnel.thresholds import Border

PAGE: Final = "funnel.html"
PLOT: Final = "funnel.png"


@dataclass(frozen=True, slots=True)
class FunnelReport(Report):
    """The funnel of a curation run, with its page and plot.

    Attributes:
        funnel: Counts by filter, and distributions of the measured values.
        page: Path of the HTML page.
        plot: Path of the PNG.
    """

    funnel: Funnel
    page: Path
    plot: Path

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "recipe": self.funnel.recipe,
            "kept": self.funnel.kept,
            "seconds": round(self.funnel.seconds, 3),
            "steps": [
                {
                    "step": step.name,
                    "came": step.input,
                    "fell": step.rejected,
                    "reasons": step.reasons,
                    "alone": step.rejected_alone,
                    "undecided": step.undecided,
                }
                for step in self.funnel.steps
            ],
            "page": str(self.page),
            "plot": str(self.plot),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per filter."""
        rows: list[dict[str, Any]] = self.to_plain()["steps"]
        return [{**row, "reasons": ", ".join(row["reasons"])} for row in rows]

    def to_text(self) -> str:
        """A table of steps."""
        width = max((len(step.name) for step in self.funnel.steps), default=4)
        lines = [f"{'step':<{width}}  {'input':>8} {'rejected':>8} {'alone':>8}  reasons"]
        for step in self.funnel.steps:
            reasons = ", ".join(f"{reason} × {count}" for reason, count in step.reasons.items())
            numbers = f"{step.input:>8} {step.rejected:>8} {step.rejected_alone:>8}"
            lines.append(f"{step.name:<{width}}  {numbers}  {reasons}".rstrip())
        lines.append(f"{'kept':<{width}}  {self.funnel.kept:>8}  ({self.funnel.seconds:.1f} s)")
        return "\n".join([*lines, f"page: {self.page}", f"plot: {self.plot}"])


def funnel(
    folder: Folder,
    *,
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="DIR")] = None,
    recipe: Annotated[StrPath | None, typer.Option(metavar="NAME|FILE", parser=str)] = None,
    anonymise: bool = False,
) -> FunnelReport:
    """Show how many clips each filter rejected, with distributions and borderline frames.

    Args:
        folder: Output folder of ``curate``.
        output: Folder for the page and the plot. Default: the output folder of ``curate``.
        recipe: Name or YAML file of the recipe whose thresholds are drawn, if the manifest does not
            name one.
        anonymise: Blur faces in sample frames.

    Raises:
        InputError: There is no manifest, or it is empty.
    """
    from theval_datasets.cards.funnel_page import draw_distribution, draw_steps
    from theval_datasets.cards.pages import render_page
    from theval_datasets.curation.funnel.funnel import filter_about, funnel_of
    from theval_datasets.curation.recipes.recipe import load_recipe

    result = funnel_of(Path(folder), load_recipe(os.fspath(recipe)) if recipe else None)
    total = max((step.input for step in result.steps), default=1) or 1
    plots = []
    for d in result.distributions:
        title = f"{d.filter}: {d.name}"
        drawn = draw_distribution(title, d.kept, d.rejected, d.others, d.limits)
        plots.append({"title": title, "decided": len(d.rejected), "svg": drawn})
    page = render_page(
        "funnel.html.jinja",
        {
            "title": f"Clips kept and rejected in {result.folder.resolve().name}",
            "recipe": result.recipe,
            "thresholds": any(d.limits for d in result.distributions),
            "facts": [
                ("kept", result.kept),
                ("rejected", sum(step.rejected for step in result.steps)),
                ("seconds kept", round(result.seconds, 1)),
                ("mean length, s", round(result.seconds / result.kept, 2) if result.kept else "–"),
            ],
            "steps": [
                {
                    "name": step.name,
                    "about": filter_about(step.name),
                    "input": step.input,
                    "rejected": step.rejected,
                    "rejected_alone": step.rejected_alone,
                    "undecided": step.undecided,
                    "reasons": list(step.reasons.items()),
                    "left_percent": round(100 * (step.input - step.rejected) / total, 2),
                    "rejected_percent": round(100 * step.rejected / total, 2),
                }
                for step in result.steps
            ],
            "plots": plots,
            "borders": _groups(result.borders, anonymise),
        },
    )
    place = Path(output or result.folder)
    write_text(place / PAGE, page)
    with atomic_write(place / PLOT) as stream:
        stream.write(draw_steps([(s.name, s.input, s.rejected) for s in result.steps], result.kept))
    return FunnelReport(result, place / PAGE, place / PLOT)


def _verdict(border: Border) -> str:
    """Verdict of a filter on a clip, in words."""
    if border.kept:
        return "passes"
    return "rejected" if border.decided else f"rejected for {border.reason}"


def _groups(borders: tuple[Border, ...], anonymise: bool) -> list[dict[str, Any]]:
    """The clips near each threshold, each with a small picture in base64; "" where there is none."""
    from theval_datasets.curation.funnel.thumbnails import Thumbnail
    from theval_datasets.curation.tasks import Tasks
    from theval_datasets.engines.local import LocalEngine

    files = list(dict.fromkeys(border.file for border in borders if border.file is not None))
    with Tasks(LocalEngine(1)) as tasks:
        made = tasks.run(Thumbnail(anonymise), files, "frames", path=Path)
        pictures = {
            file: base64.b64encode(picture).decode()
            for file, picture in made
            if isinstance(picture, bytes)
        }
    groups = []
    for (filter_, name, limit), clips in groupby(borders, lambda b: (b.filter, b.name, b.limit)):
        shown = [
            {
                "clip_id": clip.clip_id,
                "value": f"{clip.value:g}",
                "kept": clip.kept,
                "verdict": _verdict(clip),
                "data": pictures.get(clip.file, "") if clip.file else "",
            }
            for clip in clips
        ]
        groups.append({"filter": filter_, "name": name, "limit": f"{limit:g}", "clips": shown})
    return groups
