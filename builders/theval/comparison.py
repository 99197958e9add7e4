"""THEval's comparison of generators: raw metrics by model and clip, leaderboard, pairwise votes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.errors import InputError
from theval_datasets.evaluation.theval import (
    DIMENSIONS,
    METRICS,
    TABLE_SOURCE,
    Reference,
    Score,
    combine,
    published_leaderboard,
    published_reference,
    rank_of,
    score,
)
from theval_datasets.manifest.joins import Join, reason_of

from ..base.fields import CLIP_ID, DOUBLE, INT, MISSING, STRING, Field
from ..tables.csv_files import number, read_csv

if TYPE_CHECKING:
    from theval_datasets.curation.study.pairwise import PairwiseVotes

DEFINITIONS: Final = ("paper", "release")
_ORIGIN: Final = "metrics"
_TABLE: Final = "metrics table"


def _metric(name: str, what: str, prefix: str = "") -> Field:
    return Field(prefix + name, DOUBLE, f"{what} `{name}`.", origin=_ORIGIN)


_MODEL: Final = Field("model", STRING, "The generator.", origin=_ORIGIN, required=True)
_DEFINITION: Final = Field(
    "definition",
    STRING,
    "Definition of the metrics: `paper` or `release`.",
    origin=_ORIGIN,
    required=True,
)

GENERATED_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    _MODEL,
    _DEFINITION,
    *(_metric(name, "Raw value of") for name in METRICS),
    MISSING,
)
"""One row per generated clip, under the id of its real counterpart."""

LEADERBOARD_FIELDS: Final[tuple[Field, ...]] = (
    _MODEL,
    Field("kind", STRING, "Audio-driven or Video-driven.", origin="kind"),
    _DEFINITION,
    *(_metric(name, "Mean raw value of", "raw_") for name in METRICS),
    *(_metric(name, "Normalised") for name in METRICS),
    *(_metric(name, "Mean of the normalised metrics of") for name in DIMENSIONS),
    Field("final", DOUBLE, "Mean of the eight normalised metrics; null unless all are there.",
          origin=_ORIGIN),
    Field("rank", INT, "Rank by final score among the models of the same definition, from 1.", "",
          1, origin=_ORIGIN),
    Field("source", STRING, "Source of the row.", origin=_ORIGIN, required=True),
    MISSING,
)  # fmt: skip
"""One row per model and definition."""

PREFERENCE_FIELDS: Final[tuple[Field, ...]] = (
    Field("vote", INT, "Number of the vote in the table.", "", 0, origin="votes", required=True),
    Field("clip_id", STRING, "The clip that both models show; null if it is not in `features`.",
          origin="votes"),
    Field("left", STRING, "Model shown on the left.", origin="votes", required=True),
    Field("right", STRING, "Model shown on the right.", origin="votes", required=True),
    Field("winner", STRING, "The model that looked more realistic; null for a tie.",
          origin="tie"),
    Field("subject", STRING, "Name of the voter in the table; null if it has none.",
          origin="subject"),
    MISSING,
)  # fmt: skip
"""One row per vote."""


@dataclass(frozen=True)
class MetricRow:
    """Raw metrics of a model, of one clip or as means.

    Attributes:
        model: The generator.
        kind: Audio-driven or Video-driven; None if unstated.
        clip_id: The real clip; None for means over clips.
        definition: `paper` or `release`.
        values: Values by metric; None if undefined.
        source: Origin of the values.
        reasons: Reasons of undefined values.
    """

    model: str
    kind: str | None
    clip_id: str | None
    definition: str
    values: Mapping[str, float | None]
    source: str = _TABLE
    reasons: tuple[str, ...] = ("undefined",)


def read_metrics(path: Path) -> list[MetricRow]:
    r"""Read raw metrics: columns `model`, `definition`, the eight metrics, and perhaps `clip_id`, `kind`.

    Empty cells are undefined values.

    Raises:
        InputError: At the first row that does not fit.

    Examples:
        >>> table = Path("metrics.csv")
        >>> _ = table.write_text(f"model,definition,{','.join(METRICS)}\nours,paper{',0.5' * 7},\n")
        >>> read_metrics(table)[0].values["lip_sync"] is None  # the last cell is empty
        True
    """
    rows = []
    seen: set[tuple[str, str | None, str]] = set()
    for where, row in read_csv(path, ("model", "definition", *METRICS), ("clip_id", "kind")):
        model, definition = row["model"].strip(), row["definition"].strip()
        clip = (row.get("clip_id") or "").strip() or None
        if not model or definition not in DEFINITIONS:
            raise InputError(
                f"{where}: expected a model and a definition out of {', '.join(DEFINITIONS)}, got "
                f"{model!r}, {definition!r}"
            )
        if (model, clip, definition) in seen:
            raise InputError(f"{where}: {model!r} with the clip {clip!r} occurs twice")
        seen.add((model, clip, definition))
        values = {n: number(row, n, where) if row[n].strip() else None for n in METRICS}
        kind = (row.get("kind") or "").strip() or None
        rows.append(MetricRow(model, kind, clip, definition, values))
    if len({row.clip_id is None for row in rows}) > 1:
        raise InputError(f"{path}: some rows have a clip_id and others have none")
    return rows


def generated_rows(rows: Sequence[MetricRow], known: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Rows of `generated`, of the clips that `features` has."""
    ordered = sorted(
        (row for row in rows if row.clip_id in known),
        key=lambda row: (row.clip_id or "", row.model, row.definition),
    )
    for row in ordered:
        lacking = None in row.values.values()
        yield {
            "clip_id": row.clip_id,
            "model": row.model,
            "definition": row.definition,
            **row.values,
            "missing": [f"{_ORIGIN}:{reason}" for reason in row.reasons] if lacking else [],
        }


def leaderboard_rows(
    rows: Sequence[MetricRow], real: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """Rows of `leaderboard`: the published models and those of a metrics table.

    Args:
        rows: Rows of the table; several clips of a model are averaged.
        real: Mean `paper` values of the real clips, by which `paper` values are normalised.
    """
    references = {
        "release": published_reference(),
        "paper": Reference("real clips", "paper", _there(real), "this dataset"),
    }
    entries: list[tuple[str, str | None, str, Mapping[str, float | None], Score, str]] = [
        (e.model, e.kind, "release", {}, combine(e.normalised), TABLE_SOURCE)
        for e in published_leaderboard()
    ]
    for (model, definition, source), group in sorted(_by_model(rows).items()):
        means = {name: _mean([row.values[name] for row in group]) for name in METRICS}
        kind = next((row.kind for row in group if row.kind), None)
        made = score(means, references[definition])
        entries.append((model, kind, definition, means, made, source))
    finals = {d: [s.final for *_, of, _, s, _ in entries if of == d and s.final is not None]
              for d in DEFINITIONS}  # fmt: skip
    made_rows = [
        _leaderboard_row(*entry, rank=rank_of(entry[4].final, finals[entry[2]]))
        for entry in entries
    ]
    return sorted(
        made_rows,
        key=lambda r: (r["definition"], r["rank"] is None, r["rank"] or 0, r["model"], r["source"]),
    )


def preference_rows(votes: PairwiseVotes, join: Join | None) -> Iterator[dict[str, Any]]:
    """Rows of `preferences`, in the order of the table.

    Args:
        votes: The table.
        join: Match of its clips to those of `features`; None if it names none.
    """
    matched = {} if join is None else join.matched
    for number_, outcome in enumerate(votes.outcome.tolist()):
        left = votes.models[int(votes.left[number_])]
        right = votes.models[int(votes.right[number_])]
        clip = None if votes.clip is None else matched.get(votes.clip[number_])
        subject = None if votes.subject is None else votes.subject[number_] or None
        winner = {1.0: left, 0.0: right}.get(outcome)
        missing = {
            f"votes:{reason_of(join)}": clip is None,
            "tie:no-preference": winner is None,
            "subject:not-given": subject is None,
        }
        yield {
            "vote": number_,
            "clip_id": clip,
            "left": left,
            "right": right,
            "winner": winner,
            "subject": subject,
            "missing": sorted(entry for entry, holds in missing.items() if holds),
        }


def _leaderboard_row(
    model: str,
    kind: str | None,
    definition: str,
    raw: Mapping[str, float | None],
    made: Score,
    source: str,
    *,
    rank: int | None,
) -> dict[str, Any]:
    values: dict[str, Any] = {
        **{f"raw_{name}": raw.get(name) for name in METRICS},
        **made.normalised,
        **made.dimensions,
        "final": made.final,
        "rank": rank,
    }
    missing = [] if kind else ["kind:not-stated"]
    if None in values.values():
        missing.append(f"{_ORIGIN}:{'not-published' if not raw else 'undefined'}")
    return {
        "model": model,
        "kind": kind,
        "definition": definition,
        **values,
        "source": source,
        "missing": missing,
    }


def _by_model(rows: Sequence[MetricRow]) -> dict[tuple[str, str, str], list[MetricRow]]:
    groups: dict[tuple[str, str, str], list[MetricRow]] = {}
    for row in rows:
        groups.setdefault((row.model, row.definition, row.source), []).append(row)
    return groups


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _there(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
