"""`theval-data study`: turns ratings into opinion scores, reports, labels and plots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from theval_datasets.errors import InputError, RatingsError, UnknownNameError
from theval_datasets.utils.records import from_plain, to_plain
from theval_datasets.utils.report import Report

from . import completion
from .options import StrPath

if TYPE_CHECKING:
    import polars as pl

    from theval_datasets.curation.study.parameters import StudyParameters
    from theval_datasets.curation.study.ratings import Ratings
    from theval_datasets.curation.study.study import StudyResult
    from theval_datasets.manifest.joins import Join


@dataclass(frozen=True, eq=False)
class StudyReport(Report):
    """Result of a rating study.

    Attributes:
        study: Results of the study.
        preset: Name of the preset.
        model: Name of the reference model; None without one.
        files: Files that were written.
        join: Match of the names in the table with a manifest; None without a manifest.
        protocol: Stated fields of the study's protocol.
    """

    study: StudyResult
    preset: str
    model: str | None
    files: tuple[Path, ...] = ()
    join: Join | None = None
    protocol: Mapping[str, str] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Preset, parameters, clips, subjects and further results."""
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
            "table": _table(study.ratings),
            "protocol": dict(self.protocol),
        }
        if self.join is not None:
            plain["manifest"] = {
                "matched": len(self.join.matched),
                "unmatched": list(self.join.unmatched),
                "without": list(self.join.without),
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
        """One row per clip and dimension."""
        rows: list[dict[str, Any]] = self.study.clip_rows()
        return rows

    def to_text(self) -> str:
        """A readable summary."""
        from theval_datasets.curation.study.outputs import facts

        study = self.study
        lines = [
            f"table: {study.ratings.to_text()}",
            ", ".join(f"{value} {name}" for name, value in facts(study)),
        ]
        if self.join is not None:
            lines.append(self.join.to_text())
        for dimension, scores in study.opinions.items():
            values = [value for value in scores.mos.tolist() if math.isfinite(value)]
            if values:
                lines.append(
                    f"{dimension}: MOS {min(values):.3f} … {max(values):.3f}, mean "
                    f"{sum(values) / len(values):.3f} over {len(values)} clips"
                )
            lines.append(f"{dimension}: {study.reliability[dimension].to_text()}")
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
        if any(scores.screening.all_kept for scores in study.opinions.values()):
            lines.append("every subject would have been rejected, so none was rejected")
        if study.labels is not None:
            rates = study.labels.rates()
            lines.append(f"{study.labels.instances} distortions by {len(rates)} generators")
        return "\n".join([*lines, *_ending(self.files, "build NAME --with ratings=RATINGS -o DIR")])


@dataclass(frozen=True, eq=False)
class PairwiseReport(Report):
    """Result of a pairwise study."""

    plain: dict[str, Any]
    files: tuple[Path, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return self.plain

    def table(self) -> list[dict[str, Any]]:
        """One row per model."""
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
        return "\n".join([*lines, *_ending(self.files, "build theval --with votes=RATINGS -o DIR")])


def _ending(files: Sequence[Path], command: str) -> list[str]:
    """The files that were written, and what usually follows."""
    if not files:
        return ["next: with -o DIR, the scores, plots and a page are written there"]
    return [*(f"wrote {path}" for path in files), f"next: theval-data {command}"]


def study(
    ratings: Annotated[StrPath, typer.Argument(metavar="RATINGS")],
    *,
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="DIR")] = None,
    preset: Annotated[
        str, typer.Option(metavar="NAME", autocompletion=completion.presets)
    ] = "bt500",
    model: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    manifest: Annotated[StrPath | None, typer.Option(metavar="MANIFEST")] = None,
    taxonomy: Annotated[StrPath | None, typer.Option(metavar="FILE")] = None,
    columns: Annotated[Sequence[str], typer.Option("--column", metavar="NAME=COLUMN")] = (),
    ignore: Annotated[Sequence[str], typer.Option(metavar="COLUMN")] = (),
    score_range: Annotated[
        tuple[float, float] | None, typer.Option("--scale", metavar="LOW HIGH")
    ] = None,
    missing_codes: Annotated[
        Sequence[float], typer.Option("--missing-code", metavar="NUMBER")
    ] = (),
    protocol: Annotated[StrPath | None, typer.Option(metavar="FILE")] = None,
    degenerate: Literal["error", "reject", "keep"] | None = None,
    plots: bool = True,
) -> StudyReport | PairwiseReport:
    r"""Turn ratings or pairwise votes into opinion scores, reports, distortion labels and plots.

    Args:
        ratings: Table of ratings (CSV of any usual dialect, Excel, Parquet or JSON lines), also as
            AVrateNG, webMUSHRA and Google Forms export it. A table with the columns left, right
            and winner is a pairwise study.
        output: Folder for tables, plots and the page. Default: nothing is written.
        preset: Name of the published study whose parameters are used.
        model: Name of one of sureal's models, for the preset ``sureal``.
        manifest: Manifest whose clip ids replace the names in the table; names without a clip
            are reported, and it is an error if no name matches. Default: names are kept.
        taxonomy: File with the names of the distortions that were voted on. Default: THQA-MT's.
        columns: Standard name of a column and its name in the table, such as ``subject=user_ID``;
            may be repeated. Default: columns are recognised by common names.
        ignore: Column to leave out; may be repeated.
        score_range: Lowest and highest rating. Default: the protocol's, else the preset's, else
            the scale that the ratings suggest.
        missing_codes: Number in the table that stands for "not rated"; may be repeated.
        protocol: YAML file that states scale, missing codes, subjects, sessions, display,
            instructions, consent, intended and forbidden uses.
        degenerate: Treatment of subjects whose ratings do not vary. Default: the preset's.
        plots: Write plots and a page beside the tables.

    Raises:
        InputError: If the table is malformed, parameters contradict each other, or the output folder is
            that of a built dataset.

    Examples:
        >>> _ = Path("ratings.csv").write_text("subject,clip_id,score\nanna,x,3\nanna,y,5\nbea,x,2\nbea,y,4\n")
        >>> study("ratings.csv", preset="bt500").to_polars().select("clip_id", "mos", "n").rows()
        [('x', 2.5, 2), ('y', 4.5, 2)]
    """
    from theval_datasets.curation.study.outputs import write_study
    from theval_datasets.curation.study.protocol import read_protocol
    from theval_datasets.curation.study.study import run_study
    from theval_datasets.curation.study.tables import TableOptions, from_frame
    from theval_datasets.curation.study.taxonomy import load_taxonomy
    from theval_datasets.manifest.info import refuse_dataset
    from theval_datasets.manifest.joins import join_clips
    from theval_datasets.manifest.rows import read_manifest
    from theval_datasets.manifest.tombstones import TOMBSTONES_NAME, read_tombstones
    from theval_datasets.utils.table_files import read_table

    ratings = Path(ratings)
    out = None if output is None else Path(output)
    if out is not None:
        refuse_dataset(out)
    parameters = _parameters(preset, model, degenerate)
    stated = read_protocol(None if protocol is None else Path(protocol))
    file = read_table(ratings, error=RatingsError)
    frame = _with_names(file.frame, columns)
    if _is_pairwise(frame.columns):
        kept = frame.drop([c for c in ignore if c in frame.columns])
        return _pairwise(kept, ratings.name, file.rows, out)
    types = load_taxonomy(None if taxonomy is None else Path(taxonomy))
    table = from_frame(
        frame,
        TableOptions(
            score_range=score_range or stated.scale or parameters.rating_range,
            missing_codes=(*missing_codes, *stated.missing_codes),
            taxonomy=types,
            ignore=tuple(ignore),
        ),
        where=ratings.name,
        rows=file.rows,
        form=file.form,
    )
    join = None
    if manifest is not None:
        known = read_manifest(Path(manifest))
        gone = {stone.clip_id for stone in read_tombstones(known.folder / TOMBSTONES_NAME)}
        clip_ids = [row.clip_id for row in known.rows]
        join = join_clips("ratings", table.clips, clip_ids, gone=gone)
        table = table.renamed(join.matched)
    report = StudyReport(
        run_study(table, parameters, types), preset, model, join=join, protocol=stated.facts()
    )
    if out is None:
        return report
    from functools import partial

    from theval_datasets.cards.pages import render_page

    files = write_study(
        report.study,
        report.to_plain(),
        out,
        name=ratings.stem,
        render=partial(render_page, "study.html.jinja") if plots else None,
    )
    return replace(report, files=tuple(files))


def _parameters(preset: str, model: str | None, degenerate: str | None) -> StudyParameters:
    from theval_datasets.curation.study import parameters as known

    if model is not None and preset != "sureal":
        raise InputError(f"--model needs the preset sureal, got the preset {preset!r}")
    chosen = known.preset(preset) if model is None else known.reference_model(model)
    if degenerate is None:
        return chosen
    return from_plain(type(chosen), {**to_plain(chosen), "degenerate": degenerate}, "degenerate")


def _with_names(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """A table with its columns renamed as stated by ``NAME=COLUMN``."""
    names: dict[str, str] = {}
    for stated in columns:
        name, equals, column = (part.strip() for part in stated.partition("="))
        if not (name and equals and column):
            raise InputError(f"expected --column NAME=COLUMN, such as subject=id, got {stated!r}")
        if column not in frame.columns:
            raise UnknownNameError("column", column, frame.columns)
        if column in names:
            raise InputError(f"two names were stated for the column {column}")
        names[column] = name
    renamed = [names.get(column, column) for column in frame.columns]
    twice = sorted({name for name in names.values() if renamed.count(name) > 1})
    if twice:
        raise InputError(
            f"two columns would be named {', '.join(twice)}: leave one out of the table"
        )
    return frame.rename(names)


def _is_pairwise(columns: Sequence[str]) -> bool:
    from theval_datasets.curation.study.pairwise import meaning_of

    return {"left", "winner"} <= {meaning_of(column) for column in columns}


def _pairwise(frame: Any, where: str, numbers: Sequence[int], out: Path | None) -> PairwiseReport:
    import json

    from theval_datasets.curation.study.bradley_terry import bradley_terry
    from theval_datasets.curation.study.pairwise import (
        agreement,
        position_bias,
        votes_from_frame,
        win_rates,
    )
    from theval_datasets.utils.files import write_text

    votes = votes_from_frame(frame, where=where, rows=numbers)
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


def _table(ratings: Ratings) -> dict[str, Any]:
    """Interpretation of the table: layout, columns, scale."""
    source = ratings.source
    return {
        "format": None if source is None else source.form,
        "layout": None if source is None else source.layout,
        "scale": None if source is None else [source.scale.low, source.scale.high],
        "scale_declared": None if source is None else source.scale.declared,
        "columns_left_out": [] if source is None else list(source.left_out),
        "subjects": len(ratings.subjects),
        "clips": len(ratings.clips),
        "dimensions": list(ratings.dimensions),
    }


def _fit(study: StudyResult, dimension: str) -> dict[str, Any]:
    from theval_datasets.curation.study.reports import optional

    scores = study.opinions[dimension]
    plain: dict[str, Any] = {
        "n_clips": len(scores.clips),
        "n_rejected": int(scores.screening.rejected.sum()),
        "all_kept": scores.screening.all_kept,
        "threshold": scores.screening.threshold,
        "fit": None if scores.fit is None else to_plain(scores.fit),
        "reliability": to_plain(study.reliability[dimension]),
    }
    if scores.model is not None and scores.model.ambiguity is not None:
        plain["ambiguity"] = {
            name: optional(value)
            for name, value in zip(scores.model.contents, scores.model.ambiguity, strict=True)
        }
    return plain


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
