"""`theval-data study`: ratings in, opinion scores, reports, labels and plots out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from theval_datasets.errors import InputError
from theval_datasets.utils.records import from_plain, to_plain
from theval_datasets.utils.report import Report

from .options import StrPath

if TYPE_CHECKING:
    from theval_datasets.curation.study.parameters import StudyParameters
    from theval_datasets.curation.study.study import StudyResult


@dataclass(frozen=True, eq=False)
class StudyReport(Report):
    """A study, for people and for machines.

    Attributes:
        study: What came out.
        preset: The preset's name.
        model: The reference model's name, if one was asked for.
        files: What was written.
    """

    study: StudyResult
    preset: str
    model: str | None
    files: tuple[Path, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As JSON: preset, parameters, clips, subjects, and what else there is."""
        study = self.study
        plain: dict[str, Any] = {
            "preset": self.preset,
            "model": self.model,
            "parameters": to_plain(study.parameters),
            "clips": study.clip_rows(),
            "subjects": [to_plain(report) for report in study.subjects],
            "sessions": [to_plain(report) for report in study.sessions],
            "dimensions": {name: _fit(study, name) for name in study.opinions},
            "n_ratings": len(study.ratings),
            "n_missing": study.ratings.n_missing,
        }
        if study.labels is not None:
            plain["distortions"] = {
                "taxonomy": to_plain(study.labels.taxonomy),
                "instances": study.labels.instances,
                "rates": study.labels.rates(),
                "dimension_rates": study.labels.dimension_rates(),
                "clips": study.label_rows(),
            }
        return plain

    def table(self) -> list[dict[str, Any]]:
        """One row a clip and dimension."""
        rows: list[dict[str, Any]] = self.study.clip_rows()
        return rows

    def to_text(self) -> str:
        """A readable summary."""
        from theval_datasets.curation.study.outputs import facts

        study = self.study
        lines = [", ".join(f"{value} {name}" for name, value in facts(study))]
        for dimension, found in study.opinions.items():
            values = [value for value in found.mos.tolist() if math.isfinite(value)]
            if values:
                lines.append(
                    f"{dimension}: MOS {min(values):.3f} … {max(values):.3f}, mean "
                    f"{sum(values) / len(values):.3f} over {len(values)} clips"
                )
        for report in study.subjects:
            if report.rejected:
                counts = (
                    f", {report.above} above and {report.below} below the limits of "
                    f"{report.n} ratings"
                    if report.above is not None
                    else ""
                )
                lines.append(
                    f"rejected {report.subject} ({report.dimension}, {report.reason}){counts}, "
                    f"correlation with the others {_number(report.correlation)}"
                )
        if any(one.screening.all_kept for one in study.opinions.values()):
            lines.append("every subject would have been rejected, so none was")
        if study.labels is not None:
            rates = study.labels.rates()
            lines.append(f"{study.labels.instances} distortions by {len(rates)} generators")
        lines += [f"wrote {path}" for path in self.files]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class PairwiseReport(Report):
    """A pairwise study."""

    plain: dict[str, Any]
    files: tuple[Path, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return self.plain

    def table(self) -> list[dict[str, Any]]:
        """One row a model."""
        return [
            {
                "model": row["model"],
                "win_rate": row["win_rate"],
                **{name: (row["strength"] or {}).get(name) for name in ("value", "low", "high")},
            }
            for row in self.plain["models"]
        ]

    def to_text(self) -> str:
        """A readable summary, the strongest model first."""
        plain = self.plain
        lines = [f"{plain['n_votes']} votes between {len(plain['models'])} models"]
        for row in plain["models"]:
            strength = row["strength"]
            shown = (
                f", strength {strength['value']:.3f} [{strength['low']:.3f}, {strength['high']:.3f}]"
                if strength
                else ""
            )
            lines.append(f"{row['model']}: wins {100 * row['win_rate']:.1f} %{shown}")
        if plain["reason"]:
            lines.append(
                "no strengths: some models never won or never lost against the rest "
                f"({plain['reason']})"
            )
        side, agreed = plain["position"], plain["agreement"]
        lines.append(
            f"left side wins {_number(side['left_rate'])} of {side['n']} "
            f"(p = {_number(side['p_value'])})"
        )
        lines.append(
            f"Krippendorff's alpha {_number(agreed['alpha'])} over {agreed['n_units']} units "
            f"({agreed['unit']})"
        )
        return "\n".join([*lines, *(f"wrote {path}" for path in self.files)])


def study(
    ratings: Annotated[StrPath, typer.Argument(metavar="RATINGS")],
    *,
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="DIR")] = None,
    preset: Annotated[str, typer.Option(metavar="NAME")] = "bt500",
    model: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    manifest: Annotated[StrPath | None, typer.Option(metavar="MANIFEST")] = None,
    taxonomy: Annotated[StrPath | None, typer.Option(metavar="FILE")] = None,
    ignore: Annotated[Sequence[str], typer.Option(metavar="COLUMN")] = (),
    score_range: Annotated[
        tuple[float, float] | None, typer.Option("--scale", metavar="LOW HIGH")
    ] = None,
    degenerate: Literal["error", "reject", "keep"] | None = None,
    plots: bool = True,
) -> StudyReport | PairwiseReport:
    """Turn ratings or pairwise votes into opinion scores, reports, distortion labels and plots.

    Args:
        ratings: Table of ratings (CSV, TSV, Parquet or JSON lines). A table with the columns left,
            right and winner is a pairwise study.
        output: Folder for tables, plots and the page. Default: nothing is written.
        preset: Name of the published study whose parameters are used.
        model: Name of one of sureal's models, for the preset ``sureal``.
        manifest: Manifest that lists every clip; ratings of other clips are an error.
            Default: clips are not checked.
        taxonomy: File with the names of the distortions that were voted on. Default: THQA-MT's.
        ignore: Column to leave out; may be repeated.
        score_range: Lowest and highest rating. Default: the preset's.
        degenerate: Treatment of subjects whose ratings do not vary. Default: the preset's.
        plots: Plots and page beside the tables.

    Raises:
        InputError: If the table, or the choice of parameters, does not fit.
    """
    from theval_datasets.curation.study.outputs import write_study
    from theval_datasets.curation.study.study import run_study
    from theval_datasets.curation.study.tables import TableOptions, from_frame, read_frame
    from theval_datasets.curation.study.taxonomy import load_taxonomy

    ratings = Path(ratings)
    out = None if output is None else Path(output)
    parameters = _parameters(preset, model, degenerate)
    frame = read_frame(ratings)
    if _is_pairwise(frame.columns):
        return _pairwise(frame.drop([c for c in ignore if c in frame.columns]), ratings.name, out)
    types = load_taxonomy(None if taxonomy is None else Path(taxonomy))
    table = from_frame(
        frame,
        TableOptions(
            score_range=score_range or parameters.rating_range,
            clips=_clips(None if manifest is None else Path(manifest)),
            taxonomy=types,
            ignore=tuple(ignore),
        ),
        where=ratings.name,
    )
    report = StudyReport(run_study(table, parameters, types), preset, model)
    if out is None:
        return report
    from theval_datasets.cards.study_page import render_study_page

    files = write_study(
        report.study,
        report.to_plain(),
        out,
        name=ratings.stem,
        render=render_study_page if plots else None,
    )
    return replace(report, files=tuple(files))


def _parameters(preset: str, model: str | None, degenerate: str | None) -> StudyParameters:
    from theval_datasets.curation.study import parameters as known

    if model is not None and preset != "sureal":
        raise InputError(
            f"a model goes with the preset sureal, which is the program that has it; got {preset!r}"
        )
    chosen = known.preset(preset) if model is None else known.reference_model(model)
    if degenerate is None:
        return chosen
    return from_plain(type(chosen), {**to_plain(chosen), "degenerate": degenerate}, "degenerate")


def _clips(manifest: Path | None) -> set[str] | None:
    if manifest is None:
        return None
    from theval_datasets.manifest.rows import read_manifest

    return {row.clip_id for row in read_manifest(manifest).rows}


def _is_pairwise(columns: Sequence[str]) -> bool:
    names = {column.strip().lower() for column in columns}
    winner = {"winner", "choice", "vote", "preferred"} & names
    return bool(winner) and bool({"left", "left_model", "model_left", "model_a", "a"} & names)


def _pairwise(frame: Any, where: str, out: Path | None) -> PairwiseReport:
    import json

    from theval_datasets.curation.study.bradley_terry import bradley_terry
    from theval_datasets.curation.study.pairwise import (
        agreement,
        position_bias,
        votes_from_frame,
        win_rates,
    )
    from theval_datasets.utils.files import write_text

    votes = votes_from_frame(frame, where=where)
    rates, fit = win_rates(votes), bradley_terry(votes)
    strengths = fit.strengths or {}
    order = sorted(rates, key=lambda name: (-rates[name], name))
    plain = {
        "n_votes": len(votes),
        "models": [
            {
                "model": name,
                "win_rate": rates[name],
                "strength": to_plain(strengths[name]) if name in strengths else None,
            }
            for name in order
        ],
        "reason": fit.reason,
        "position": to_plain(position_bias(votes)),
        "agreement": to_plain(agreement(votes)),
    }
    if out is None:
        return PairwiseReport(plain)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(out / "study.json", text + "\n")
    return PairwiseReport(plain, (out / "study.json",))


def _fit(study: StudyResult, dimension: str) -> dict[str, Any]:
    from theval_datasets.curation.study.reports import optional

    found = study.opinions[dimension]
    plain: dict[str, Any] = {
        "n_clips": len(found.clips),
        "n_rejected": int(found.screening.rejected.sum()),
        "all_kept": found.screening.all_kept,
        "threshold": found.screening.threshold,
        "fit": None if found.fit is None else to_plain(found.fit),
    }
    if found.model is not None and found.model.ambiguity is not None:
        plain["ambiguity"] = {
            name: optional(value)
            for name, value in zip(found.model.contents, found.model.ambiguity, strict=True)
        }
    return plain


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
