"""Files of a study: tables as Parquet and CSV, JSON, plots, and a page of the results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from theval_datasets.utils.figures import png, svg
from theval_datasets.utils.files import atomic_write, write_text
from theval_datasets.utils.records import to_plain

from .plots import StudyPlot, draw_all
from .reports import SessionReport, SubjectReport
from .study import StudyResult

MOST_CLIPS: Final = 500
"""Clips and dimensions up to which the page lists every score; the tables hold all."""


def write_study(
    study: StudyResult,
    plain: Mapping[str, Any],
    out: Path,
    *,
    name: str,
    render: Callable[[dict[str, Any]], str] | None,
) -> list[Path]:
    """Write the results of a study.

    Args:
        study: Results of the study.
        plain: Results for JSON.
        out: Output folder, created if needed.
        name: Title of the study on the page.
        render: Function that renders the result of `page_of`; None for neither plots nor page.

    Returns:
        The written files: `opinions`, `subjects`, and if there are any `generators`, `sessions` and
        `distortions`, each as `.parquet` and `.csv`; `study.json`, `plots/*.png`, `study.html`.
    """
    tables: dict[str, list[dict[str, Any]]] = {
        "opinions": study.clip_rows(),
        "generators": _generators(study),
        "subjects": [to_plain(report) for report in study.subjects],
        "sessions": [to_plain(report) for report in study.sessions],
        "distortions": study.label_rows(),
    }
    written = [
        path for title, rows in tables.items() if rows for path in _tables(out / title, rows)
    ]
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(out / "study.json", text + "\n")
    written.append(out / "study.json")
    if render is not None:
        plots = draw_all(study)
        for file, plot in plots.items():
            with atomic_write(out / "plots" / f"{file}.png") as stream:
                stream.write(png(plot.figure))
            written.append(out / "plots" / f"{file}.png")
        write_text(out / "study.html", render(page_of(study, plain, plots, name=name)))
        written.append(out / "study.html")
    return written


def page_of(
    study: StudyResult,
    plain: Mapping[str, Any],
    plots: Mapping[str, StudyPlot],
    *,
    name: str,
) -> dict[str, Any]:
    """Content of the study's page, as plain data.

    Args:
        study: Results of the study.
        plain: Results for JSON.
        plots: Result of `draw_all`.
        name: Title of the study.
    """
    clips = study.clip_rows()
    ordered = sorted(study.subjects, key=lambda report: not report.rejected)
    return {
        "title": f"Study {name}",
        "preset": plain["preset"],
        "model": plain.get("model"),
        "facts": facts(study),
        "table": study.ratings.to_text(),
        "protocol": list(plain.get("protocol", {}).items()),
        "rejected": [
            {
                "subject": report.subject,
                "dimension": report.dimension,
                "reason": _WHY.get(report.reason or "", report.reason),
                "n": report.n,
                "correlation": _cell(report.correlation) or "undefined",
            }
            for report in ordered
            if report.rejected
        ],
        "all_kept": [d for d, opinion in study.opinions.items() if opinion.screening.all_kept],
        "reliability": [
            {
                "dimension": dimension,
                "icc": _interval(agreement.icc2k, agreement.icc2k_low, agreement.icc2k_high),
                "split_half": _cell(agreement.split_half) or "undefined",
                "sos": _cell(agreement.sos) or "undefined",
                "n_subjects": agreement.n_subjects,
                "n_clips": agreement.n_clips,
                "reasons": "; ".join(f"{k}: {why}" for k, why in agreement.reasons.items()),
            }
            for dimension, agreement in study.reliability.items()
        ],
        "plots": [
            {
                "name": file,
                "title": plot.title,
                "wide": plot.wide,
                "svg": svg(plot.figure, plot.title),
            }
            for file, plot in plots.items()
        ],
        "generators": [_texts(row) for row in _generators(study)],
        "clips": [_texts(row) for row in clips] if len(clips) <= MOST_CLIPS else [],
        "n_clips": len(clips),
        "subject_columns": [field.name for field in fields(SubjectReport)],
        "subjects": [
            {"rejected": report.rejected, "cells": list(_texts(to_plain(report)).values())}
            for report in ordered
        ],
        "session_columns": [field.name for field in fields(SessionReport)],
        "sessions": [list(_texts(to_plain(report)).values()) for report in study.sessions],
        "parameters": list(to_plain(study.parameters).items()),
    }


_WHY: Final = {
    "outliers": "too many outliers",
    "correlation": "too low a correlation with the panel",
    "degenerate": "one rating only, or all ratings equal",
}


def _generators(study: StudyResult) -> list[dict[str, Any]]:
    return [row for dimension in study.opinions for row in study.generator_rows(dimension)]


def facts(study: StudyResult) -> list[tuple[str, str]]:
    """Key figures of a study, for people."""
    facts_of_study: list[tuple[str, str]] = [
        ("ratings", f"{len(study.ratings):,}"),
        ("clips", f"{len(study.ratings.clips):,}"),
        ("subjects", f"{len(study.ratings.subjects):,}"),
        ("rejected", f"{len(study.rejected):,}"),
    ]
    if study.ratings.n_missing:
        facts_of_study.append(("empty scores", f"{study.ratings.n_missing:,}"))
    if study.labels is not None:
        facts_of_study.append(("distortions", f"{study.labels.instances:,}"))
    return facts_of_study


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f} [{_cell(low) or '–'}, {_cell(high) or '–'}]"


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: _cell(value) for name, value in row.items()}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)


def _tables(path: Path, rows: list[dict[str, Any]]) -> tuple[Path, Path]:
    """Write rows as Parquet, and as CSV in which a list is JSON."""
    import polars as pl

    texts = {"reason", "level", "generator", "session", "subject", "clip_id", "dimension"}
    frame = pl.DataFrame(rows, infer_schema_length=None)
    frame = frame.with_columns(
        pl.col(name).cast(pl.String if name in texts else pl.Float64)
        for name, kind in frame.schema.items()
        if kind == pl.Null
    )
    parquet, csv = path.with_name(f"{path.name}.parquet"), path.with_name(f"{path.name}.csv")
    with atomic_write(parquet) as stream:
        frame.write_parquet(stream, compression="zstd")
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    flat = frame.with_columns(
        pl.Series(name, [json.dumps(v, ensure_ascii=False) for v in frame[name].to_list()])
        for name in lists
    )
    with atomic_write(csv) as stream:
        flat.write_csv(stream)
    return parquet, csv
