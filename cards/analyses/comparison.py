"""Comparison of generators: leaderboard, radar, and metrics against human preference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import InputError
from theval_datasets.evaluation.preference import REFERENCE, preference_correlation
from theval_datasets.evaluation.theval import DIMENSIONS, METRICS, TABLE_SOURCE
from theval_datasets.utils.figures import COLOURS, label_axes

from ..escape import plain_line
from .drawing import draw_bars, draw_intervals, grid, plot_scatter
from .figure import AnalysisFigure
from .tables import BuiltTables, NoValuesError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

_RESAMPLES: Final = 10_000
_DATASET: Final = ("theval",)
_ENTRY: Final = ("model", "kind", "definition", "source", "rank", "final")
_SCORES: Final = (*METRICS, *DIMENSIONS, "final")
_VOTES: Final = ("left", "right", "winner")
_RADARS: Final = 24


def comparison_figures() -> Iterator[AnalysisFigure]:
    """Leaderboard, radar, scatter, and the table of correlations.

    Examples:
        >>> [figure.name for figure in comparison_figures()][:2]
        ['leaderboard', 'radar']
    """
    yield AnalysisFigure(
        "leaderboard",
        "Leaderboard",
        "Final score of each model: the mean of eight metrics, each normalised so that 1 is like real "
        "videos. Models without all eight have none. Scores of different definitions are not "
        "comparable.",
        {"leaderboard": (*_ENTRY, *METRICS)},
        _leaderboard,
        _draw_leaderboard,
        datasets=_DATASET,
        on_card=True,
    )
    yield AnalysisFigure(
        "radar",
        "Metrics of each model",
        "The eight normalised metrics; the outer ring is 1, like real videos, the centre 0 and "
        "less. Numbers are those of the metrics: "
        + "; ".join(f"{place} {name.replace('_', ' ')}" for place, name in enumerate(METRICS, 1))
        + ".",
        {"leaderboard": (*_ENTRY, *METRICS)},
        _radar,
        _draw_radar,
        datasets=_DATASET,
    )
    yield AnalysisFigure(
        "preference",
        "Final score and human preference",
        "Each point is a model: its final score, and the share of its votes that it won (a tie is "
        "half a win).",
        {"leaderboard": (*_ENTRY,), "preferences": _VOTES},
        _preference,
        _draw_preference,
        datasets=_DATASET,
    )
    yield AnalysisFigure(
        "preference_correlation",
        "Correlation of each metric with human preference",
        f"Spearman's correlation of normalised metrics with win rates over the models, with 95 % "
        f"bootstrap intervals ({_RESAMPLES:,} resamples of the models) and p values by permutation; "
        "in brackets the number of models. The CSV also holds the correlation with the row of real "
        "videos, where voters saw them.",
        {"leaderboard": (*_ENTRY, *_SCORES[:-1]), "preferences": _VOTES},
        _correlation,
        _draw_correlation,
        datasets=_DATASET,
        on_card=True,
    )  # fmt: skip


def _entries(tables: BuiltTables, columns: tuple[str, ...]) -> pl.DataFrame:
    """Rows of the leaderboard; a column of it may be null everywhere."""
    import polars as pl

    kept = [*tables.batches("leaderboard", columns)]
    return pl.DataFrame(kept, infer_schema_length=None)


def _leaderboard(tables: BuiltTables) -> pl.DataFrame:
    made = _entries(tables, (*_ENTRY, *METRICS))
    if made["final"].null_count() == len(made):
        raise NoValuesError("no model has all eight metrics")
    return made.sort(
        ["definition", "final", "model"], descending=[False, True, False], nulls_last=True
    )


def _draw_leaderboard(frame: pl.DataFrame) -> Figure:
    known = frame.drop_nulls("final").with_columns(name=_named(frame))
    return draw_bars(known, "name", "final", "final score")


def _named(frame: pl.DataFrame) -> Any:
    """Names of models; with the definition of their metrics where they come from several tables."""
    import polars as pl

    if frame.select("definition", "source").n_unique() < 2:
        return pl.col("model")
    return pl.col("model") + _origin()


def _origin() -> Any:
    """The definition of a row in brackets, or that the row is a published one."""
    import polars as pl

    published = pl.col("source") == TABLE_SOURCE
    return (
        pl.when(published).then(pl.lit(" (published)")).otherwise(" (" + pl.col("definition") + ")")
    )


def _radar(tables: BuiltTables) -> pl.DataFrame:
    import polars as pl

    made = _entries(tables, (*_ENTRY, *METRICS)).sort(["definition", "kind", "rank", "model"])
    known = made.filter(pl.any_horizontal(pl.col(name).is_not_null() for name in METRICS))
    if not len(known):
        raise NoValuesError("no model has a normalised metric")
    return known.select("model", "kind", "definition", "source", *METRICS)


def _draw_radar(frame: pl.DataFrame) -> Figure:
    shown = frame.head(_RADARS).with_columns(name=_named(frame))
    columns = 3
    figure, plots = grid(len(shown), 1.55, columns, 4.6, projection="polar")
    angles = [2 * math.pi * place / len(METRICS) for place in range(len(METRICS))]
    for axes, row in zip(plots, shown.iter_rows(named=True), strict=True):
        values = [row[name] for name in METRICS]
        points = [(a, max(v, 0.0)) for a, v in zip(angles, values, strict=True) if v is not None]
        closed = [*points, points[0]]
        axes.plot(*zip(*closed, strict=True), color=COLOURS["kept"], linewidth=1.2)
        axes.fill(*zip(*closed, strict=True), color=COLOURS["kept"], alpha=0.25, linewidth=0)
        axes.plot(
            [a for a, _ in points], [v for _, v in points], "o", color=COLOURS["kept"], markersize=2
        )
        polar: Any = axes
        polar.set_theta_offset(math.pi / 2)
        polar.set_theta_direction(-1)
        polar.set_rlim(0, 1)
        polar.set_rticks([0.5, 1.0])
        polar.set_yticklabels([])
        polar.set_xticks(angles)
        polar.set_xticklabels([str(place) for place in range(1, len(METRICS) + 1)], fontsize=6)
        polar.tick_params(pad=-3)
        polar.grid(color=COLOURS["line"], linewidth=0.6)
        polar.spines["polar"].set_visible(True)
        polar.spines["polar"].set_color(COLOURS["quiet"])
        final = row["kind"] or ""
        polar.set_title(
            f"{plain_line(row['name'], 22)}\n{plain_line(final, 22)}".strip(),
            fontsize=7,
            color=COLOURS["ink"],
            parse_math=False,
        )
    return figure


def _win_rates(tables: BuiltTables) -> dict[str, tuple[float, int]]:
    """Share of its votes that each model won, with a tie as half a win, and their number."""
    wins: dict[str, float] = {}
    votes: dict[str, int] = {}
    for row in tables.batches("preferences", _VOTES):
        for model in (row["left"], row["right"]):
            won = 0.5 if row["winner"] is None else float(row["winner"] == model)
            wins[model] = wins.get(model, 0.0) + won
            votes[model] = votes.get(model, 0) + 1
    return {model: (wins[model] / votes[model], votes[model]) for model in wins}


def _preference(tables: BuiltTables) -> pl.DataFrame:
    """Models with their final scores, then those voted on that have none."""
    import polars as pl

    rates = _win_rates(tables)
    known = _entries(tables, _ENTRY).filter(
        pl.col("final").is_not_null() & pl.col("model").is_in(list(rates))
    )
    if not len(known):
        raise NoValuesError(
            "no model of the leaderboard with a final score was voted on by that name"
        )
    scored = known.select("model", "kind", "definition", "source", "final")
    unscored = pl.DataFrame({"model": sorted({*rates} - {*known["model"], REFERENCE})})
    both = pl.concat([scored, unscored], how="diagonal_relaxed")
    return both.with_columns(
        win_rate=pl.Series([rates[model][0] for model in both["model"]]),
        n_votes=pl.Series([rates[model][1] for model in both["model"]]),
    )


def _draw_preference(frame: pl.DataFrame) -> Figure:
    """One plot for each table of metrics: scores of different definitions are not comparable."""
    scored = frame.drop_nulls("final")
    unscored = len(frame) - len(scored)
    lacking = f"; {unscored} voted on without a score" if unscored else ""
    parts = scored.partition_by("definition", "source", maintain_order=True)
    figure, plots = grid(len(parts), 3.0)
    for axes, part in zip(plots, parts, strict=True):
        origin = "published" if part["source"][0] == TABLE_SOURCE else part["definition"][0]
        title = f"{len(part)} models, {origin}{lacking}"
        plot_scatter(axes, part, ("final", "win_rate"), "model")
        label_axes(axes, "final score", "win rate", title)
    return figure


def _correlation(tables: BuiltTables) -> pl.DataFrame:
    """One row per definition, source and metric, in the order of the paper's Table 2."""
    import polars as pl

    rates = {model: rate for model, (rate, _) in _win_rates(tables).items()}
    entries = _entries(tables, (*_ENTRY, *_SCORES[:-1]))
    rows: list[dict[str, Any]] = []
    too_few = ""
    for (definition, source), part in sorted(
        entries.partition_by("definition", "source", as_dict=True).items()
    ):
        for metric in _SCORES:
            values: dict[str, float | None] = dict(part.select("model", metric).iter_rows())
            try:
                rows.append(
                    {"definition": definition, "source": source, "metric": metric}
                    | _correlated(values, rates)
                )
            except InputError as error:
                too_few = str(error)
    if not rows:
        raise NoValuesError(too_few.rstrip("?."))
    return pl.DataFrame(rows, infer_schema_length=None)


def _correlated(values: Mapping[str, float | None], rates: Mapping[str, float]) -> dict[str, Any]:
    """Real videos score 1 in every normalised metric, so their row is known where they were shown."""
    both = preference_correlation({**values, REFERENCE: 1.0}, rates, n_resamples=_RESAMPLES)
    without, real = both["without"], both.get("with")
    return {
        "rho": without.interval.value,
        "low": without.interval.low,
        "high": without.interval.high,
        "p_value": without.p_value,
        "n": len(without.models),
        "rho_with_real": None if real is None else real.interval.value,
        "low_with_real": None if real is None else real.interval.low,
        "high_with_real": None if real is None else real.interval.high,
        "p_value_with_real": None if real is None else real.p_value,
    }


def _draw_correlation(frame: pl.DataFrame) -> Figure:
    import polars as pl

    named = pl.col("metric").str.replace_all("_", " ")
    if frame.select("definition", "source").n_unique() > 1:
        named = named + _origin()
    rho = "ρ with the win rate"
    return draw_intervals(
        frame.with_columns(name=named, **{rho: pl.col("rho")}), "name", rho, (-1.05, 1.05)
    )
