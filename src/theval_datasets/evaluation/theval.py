"""THEval's scores: normalised against real videos, averaged over eight metrics, and ranked.

``s = 1 - |m - GT| / |GT|``, not clamped; the final score is the mean of the eight. The published
leaderboard (Table 1 of the paper) and the published row of real videos are carried as data.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.utils.table_files import read_table

METRICS = (
    "global_aesthetics",
    "mouth_quality",
    "face_quality",
    "lip_dynamics",
    "head_motion",
    "eyebrow_dynamics",
    "silent_lip_stability",
    "lip_sync",
)
"""The eight metrics, in the order of the paper."""
DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "quality": METRICS[:3],
    "naturalness": METRICS[3:6],
    "synchronization": METRICS[6:],
}
"""Metrics of each of the paper's three dimensions."""
DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "paper": {
        **dict.fromkeys(METRICS, "theval_signals"),
        **dict.fromkeys(("global_aesthetics", "mouth_quality", "face_quality"), "iqa"),
    },
    "release": {
        **dict.fromkeys(METRICS, "theval_release"),
        **dict.fromkeys(("global_aesthetics", "mouth_quality", "face_quality"), "iqa_release"),
        "head_motion": "head_motion_release",
    },
}
"""Extractor of each metric by definition; its column has the metric's name."""
SCALE_INVARIANT = "head_motion_scale_invariant"
"""Head motion independent of the frame size; of the definition `paper` only."""
TABLE_SOURCE = "THEval: Evaluation Framework for Talking Head Video Generation, Table 1"


@dataclass(frozen=True)
class Reference:
    """Mean raw values of real videos.

    Attributes:
        name: Name of the row.
        definition: Definition of the values that it can normalise: `paper` or `release`.
        values: Mean raw value by metric, in the metric's unit.
        source: Publication or file that the values come from.
    """

    name: str
    definition: str
    values: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Partial:
    """The mean over fewer than eight metrics: no final score."""

    n: int
    value: float | None


@dataclass(frozen=True)
class Score:
    """A model's scores against a reference.

    Attributes:
        normalised: Normalised value by metric, at most 1; None where the raw value or the reference
            is undefined.
        dimensions: Mean over each dimension's metrics; None unless all of them are defined.
        final: Mean of the eight metrics; None unless all of them are defined.
        partial: Mean over the metrics that are defined, when `final` is None.
    """

    normalised: Mapping[str, float | None]
    dimensions: Mapping[str, float | None]
    final: float | None
    partial: Partial | None


@dataclass(frozen=True)
class LeaderboardEntry:
    """One model of a leaderboard.

    Attributes:
        model: Name of the model.
        kind: Audio-driven or Video-driven; None if unstated.
        normalised: Normalised value by metric, at most 1.
        final: Final score, at most 1; None unless all eight metrics are defined.
        rank: Rank from 1, the highest final score first; equal scores share the smaller rank. None
            without a final score.
    """

    model: str
    kind: str | None
    normalised: Mapping[str, float | None]
    final: float | None
    rank: int | None


def normalised_score(value: float | None, reference: float | None) -> float | None:
    """``1 - |value - reference| / |reference|``: 1 equals real videos; it may be negative.

    Args:
        value: Mean raw value of a model.
        reference: Mean raw value of real videos.

    Returns:
        At most 1; None if one of the two is None, or the reference is 0.

    Raises:
        InputError: If one of the two is not a finite number.

    Examples:
        >>> normalised_score(0.75, 1.0)
        0.75
        >>> normalised_score(None, 1.0) is None
        True
    """
    if value is None or reference is None:
        return None
    if not (math.isfinite(value) and math.isfinite(reference)):
        raise InputError(
            f"expected finite values, got {value} and {reference}; give None for what is undefined"
        )
    if reference == 0:
        return None
    return 1.0 - abs(value - reference) / abs(reference)


def score(values: Mapping[str, float | None], reference: Reference | Mapping[str, float]) -> Score:
    """Normalise a model's mean raw values and average them.

    Args:
        values: Mean raw value by metric; absent or None is undefined.
        reference: Values of real videos, in the same definition.

    Raises:
        UnknownNameError: A metric is none of the eight.

    Examples:
        >>> reference = published_reference()
        >>> scores = score({"lip_sync": reference.values["lip_sync"]}, reference)
        >>> scores.normalised["lip_sync"], scores.final, scores.partial
        (1.0, None, Partial(n=1, value=1.0))
    """
    row = reference.values if isinstance(reference, Reference) else reference
    for name in values:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    normalised = {name: normalised_score(values.get(name), row.get(name)) for name in METRICS}
    return combine(normalised)


def combine(normalised: Mapping[str, float | None]) -> Score:
    """Dimensions and final score of normalised values.

    Args:
        normalised: Normalised value by metric, at most 1; absent or None is undefined.

    Raises:
        InputError: A value is not finite.

    Examples:
        >>> combine(dict.fromkeys(METRICS, 0.5)).final
        0.5
        >>> combine({"lip_sync": 0.5}).partial
        Partial(n=1, value=0.5)
    """
    given = {name: normalised.get(name) for name in METRICS}
    final = _mean([given[name] for name in METRICS])
    defined = [value for value in given.values() if value is not None]
    if not all(map(math.isfinite, defined)):
        raise InputError(f"expected finite values, got {given}; give None for what is undefined")
    return Score(
        normalised=given,
        dimensions={
            name: _mean([given[metric] for metric in metrics])
            for name, metrics in DIMENSIONS.items()
        },
        final=final,
        partial=None
        if final is not None
        else Partial(len(defined), sum(defined) / len(defined) if defined else None),
    )


def leaderboard(
    models: Mapping[str, Mapping[str, float | None]],
    *,
    kinds: Mapping[str, str] | None = None,
) -> list[LeaderboardEntry]:
    """Models by final score, the best first; those without one come last, by name.

    Args:
        models: Model to its normalised value by metric; absent or None is undefined.
        kinds: Model to Audio-driven or Video-driven.

    Raises:
        InputError: A value is not finite.

    Examples:
        >>> rows = leaderboard({"A": dict.fromkeys(METRICS, 0.5), "B": dict.fromkeys(METRICS, 0.75)})
        >>> [(row.rank, row.model, row.final) for row in rows]
        [(1, 'B', 0.75), (2, 'A', 0.5)]
    """
    finals = {name: combine(values).final for name, values in models.items()}
    entries = [
        LeaderboardEntry(
            model=name,
            kind=(kinds or {}).get(name),
            normalised=combine(values).normalised,
            final=finals[name],
            rank=rank_of(finals[name], [f for f in finals.values() if f is not None]),
        )
        for name, values in models.items()
    ]
    return sorted(entries, key=lambda e: (e.final is None, -(e.final or 0.0), e.model))


def rank_of(final: float | None, others: list[float]) -> int | None:
    """Rank from 1: one more than the number of higher scores; None without a final score.

    Args:
        final: Final score of a model.
        others: Final scores to compare with.

    Examples:
        >>> rank_of(0.7, [0.9, 0.7, 0.5])
        2
    """
    return None if final is None else 1 + sum(other > final for other in others)


@lru_cache(maxsize=1)
def published_leaderboard() -> tuple[LeaderboardEntry, ...]:
    """Table 1 of the paper: 17 models, normalised to four digits, with final scores of our own.

    The finals are the means of the printed metrics; `published_finals` has the printed ones.

    Examples:
        >>> first = published_leaderboard()[0]
        >>> first.rank, len(published_leaderboard())
        (1, 17)
    """
    rows = _table()
    models = {row["model"]: {name: float(row[name]) for name in METRICS} for row in rows}
    return tuple(leaderboard(models, kinds={row["model"]: row["type"] for row in rows}))


def published_finals() -> dict[str, float]:
    """The final scores as the paper prints them, by model.

    Examples:
        >>> len(published_finals())
        17
    """
    return {row["model"]: float(row["final_score"]) for row in _table()}


def published_reference() -> Reference:
    """The row of real videos that the authors publish, in the units of their code (`release`).

    Examples:
        >>> published_reference().definition
        'release'
    """
    name, plain = "release", yaml.safe_load(_read("theval_references.yaml"))["release"]
    return Reference(name, plain["definition"], plain["values"], plain["source"])


def read_reference(path: Path, *, definition: str) -> Reference:
    """A reference from a table of one row, with a column for each metric.

    If it has a column `definition`, its value must equal the argument.

    Args:
        path: CSV of any usual delimiter and encoding, or an Excel workbook, with a header and one row.
        definition: Definition of the metrics that the values were measured by.

    Raises:
        InputError: If a column or the row is missing or doubled, or a value is not a number.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "real.csv"
        ...     _ = path.write_text(",".join(METRICS) + "\\n" + ",".join("1" * 8) + "\\n")
        ...     reference = read_reference(path, definition="paper")
        >>> reference.values["lip_sync"]
        1.0
    """
    if not path.is_file():
        raise InputError(f"there is no reference file {path}")
    table = read_table(path)
    frame = table.frame
    if len(frame) != 1:
        raise InputError(f"{path.name}: expected one row of values, got {len(frame)}")
    row = {name.strip(): cell for name, cell in frame.row(0, named=True).items()}
    stated = str(row.get("definition") or definition).strip()
    if stated != definition:
        raise InputError(
            f"{path.name} is in the definition {stated!r}, the values are in {definition!r}, which "
            "are not comparable; score with the definition of the reference"
        )
    lacking = [name for name in METRICS if name not in row]
    if lacking:
        raise InputError(f"{path.name}: missing the columns {', '.join(lacking)}")
    values: dict[str, float] = {}
    for name in METRICS:
        cell = row[name].strip() if isinstance(row[name], str) else row[name]
        if cell is None or cell == "":
            continue
        value = table.number(cell)
        if value is None:
            raise InputError(
                f"{path.name}: expected a finite number in {name}, got {cell!r}; leave the cell of an "
                "undefined value empty"
            )
        values[name] = value
    return Reference(path.stem, definition, values, path.name)


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if len(defined) == len(values) else None


def _table() -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(_read("theval_table1.csv"))))


def _read(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
