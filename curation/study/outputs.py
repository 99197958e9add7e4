"""Files of a study: Parquet tables, JSON, plots, and a page of the results."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from theval_datasets.utils.files import atomic_write, write_text
from theval_datasets.utils.records import to_plain

from .plots import draw_all
from .reports import SessionReport, SubjectReport
from .study import StudyResult


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
        The written files: `opinions.parquet`, `subjects.parquet`, `sessions.parquet` and
        `distortions.parquet` if there are any, `study.json`, `plots/*.png`, `study.html`.
    """
    tables: dict[str, list[dict[str, Any]]] = {
        "opinions": study.clip_rows(),
        "subjects": [to_plain(report) for report in study.subjects],
        "sessions": [to_plain(report) for report in study.sessions],
        "distortions": study.label_rows(),
    }
    written = [_parquet(out / f"{title}.parquet", rows) for title, rows in tables.items() if rows]
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(out / "study.json", text + "\n")
    written.append(out / "study.json")
    if render is not None:
        drawn = draw_all(study)
        for file, (_, png) in drawn.items():
            with atomic_write(out / "plots" / f"{file}.png") as stream:
                stream.write(png)
            written.append(out / "plots" / f"{file}.png")
        write_text(out / "study.html", render(page_of(study, plain, drawn, name=name)))
        written.append(out / "study.html")
    return written


def page_of(
    study: StudyResult,
    plain: Mapping[str, Any],
    plots: Mapping[str, tuple[str, bytes]],
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
    return {
        "title": f"Study {name}",
        "preset": plain["preset"],
        "model": plain.get("model"),
        "facts": [*facts(study), *_reliability(study)],
        "table": study.ratings.to_text(),
        "protocol": list(plain.get("protocol", {}).items()),
        "plots": [
            (file, caption, base64.b64encode(png).decode())
            for file, (caption, png) in plots.items()
        ],
        "subject_columns": [field.name for field in fields(SubjectReport)],
        "subjects": [
            {"rejected": report.rejected, "cells": _cells(report)} for report in study.subjects
        ],
        "session_columns": [field.name for field in fields(SessionReport)],
        "sessions": [_cells(report) for report in study.sessions],
        "parameters": list(to_plain(study.parameters).items()),
    }


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


def _reliability(study: StudyResult) -> list[tuple[str, str]]:
    """ICC(2,k), split-half reliability and SOS exponent of each dimension."""
    shown = []
    for dimension, one in study.reliability.items():
        suffix = "" if len(study.reliability) == 1 else f", {dimension}"
        for name, value in (
            ("ICC(2,k)", one.icc2k), ("split-half", one.split_half), ("SOS exponent", one.sos)
        ):  # fmt: skip
            shown.append((f"{name}{suffix}", "undefined" if value is None else f"{value:.3f}"))
    return shown


def _cells(report: SubjectReport | SessionReport) -> Sequence[str]:
    cells = []
    for value in to_plain(report).values():
        if isinstance(value, bool):
            cells.append("yes" if value else "")
        elif isinstance(value, float):
            cells.append(f"{value:.3f}")
        else:
            cells.append("" if value is None else str(value))
    return cells


def _parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import polars as pl

    texts = {"reason", "level", "generator", "session", "subject", "clip_id", "dimension"}
    frame = pl.DataFrame(rows, infer_schema_length=None)
    frame = frame.with_columns(
        pl.col(name).cast(pl.String if name in texts else pl.Float64)
        for name, kind in frame.schema.items()
        if kind == pl.Null
    )
    with atomic_write(path) as stream:
        frame.write_parquet(stream, compression="zstd")
    return path
