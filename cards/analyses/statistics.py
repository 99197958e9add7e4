"""Numbers of distributions: bins, quartiles, means with their intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .tables import NoValuesError

if TYPE_CHECKING:
    import polars as pl

_BINS: Final = 25
_WHISKER: Final = 1.5


def bin_edges(values: Sequence[float]) -> list[float]:
    """Edges of equally wide bars; for values on a grid each bar spans a whole number of its steps.

    Args:
        values: At least one, finite.

    Returns:
        Ascending; the first is at most the smallest value, the last at least the largest.

    Examples:
        >>> bin_edges([1.0, 2.0, 3.0])
        [0.5, 1.5, 2.5, 3.5]
    """
    distinct = sorted(set(values))
    low, high = distinct[0], distinct[-1]
    gaps = [b - a for a, b in itertools.pairwise(distinct)]
    if not gaps:
        return [low - 0.5, low + 0.5]
    step = min(gaps)
    bins = min(_BINS, 5 + len(values) // 4)
    if (high - low) / step > 4 * bins:
        width = (high - low) / bins
        return [*(low + width * k for k in range(bins)), high]
    width = step * max(1, round((high - low) / step / bins))
    count = math.ceil((high - low + step / 2) / width)
    return [low - step / 2 + width * k for k in range(count + 1)]


def histogram(frame: pl.DataFrame, units: Mapping[str, str]) -> pl.DataFrame:
    """Counts of the values of each column, in bins of its own; a column without values is left out.

    Args:
        frame: Table of numeric columns; nulls are left out.
        units: Unit by column.

    Returns:
        One row per column and bin: `column, unit, low, high, count, n, mean` (`n` and `mean` of the
        column).

    Examples:
        >>> import polars as pl
        >>> histogram(pl.DataFrame({"fps": [25.0, 25.0, 30.0]}), {"fps": "1/s"})["count"].sum()
        3
    """
    import polars as pl

    rows = []
    for name in frame.columns:
        values = frame[name].drop_nulls().cast(pl.Float64).to_numpy()
        if not len(values):
            continue
        edges = bin_edges(values.tolist())
        inside, _ = np.histogram(values, edges)
        whole = {"n": len(values), "mean": float(values.mean())}
        for (low, high), count in zip(itertools.pairwise(edges), inside.tolist(), strict=True):
            rows.append(
                {
                    "column": name,
                    "unit": units[name],
                    "low": low,
                    "high": high,
                    "count": count,
                    **whole,
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None)


def grouped(frame: pl.DataFrame, group: str, value: str, order: Sequence[str] = ()) -> pl.DataFrame:
    """Quartiles and means of a value by group.

    Args:
        frame: Table with both columns; rows where either is null are left out.
        group: Column of groups: text or whole numbers.
        value: Numeric column.
        order: Groups that come first, in this order; others follow by their median, or by their
            number where groups are numbers.

    Returns:
        One row per group: `group, n, mean, ci95_low, ci95_high, whisker_low, q1, median, q3,
        whisker_high`. The interval is Student's of the mean, null for one value; whiskers end at the
        last value within 1.5 interquartile ranges of the box.

    Raises:
        NoValuesError: No row has both.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"generator": ["x", "y", "y"], "mos": [4.0, 1.0, 2.0]})
        >>> grouped(frame, "generator", "mos").select("group", "n", "median").rows()
        [('y', 2, 1.5), ('x', 1, 4.0)]
    """
    import polars as pl

    known = frame.select(group, value).drop_nulls()
    if not len(known):
        raise NoValuesError(f"no row has both {group} and {value}")
    numeric = known[group].dtype.is_numeric()
    parts = known.partition_by(group, as_dict=True)
    rows = [
        {"group": key, **summary(part[value].cast(pl.Float64).to_numpy())}
        for (key,), part in parts.items()
    ]

    def place(row: dict[str, Any]) -> tuple[int, Any, str]:
        key = str(row["group"])
        if key in order:
            return order.index(key), 0, key
        return len(order), row["group"] if numeric else row["median"], key

    made = sorted(rows, key=place)
    return pl.DataFrame(
        [{**row, "group": str(row["group"])} for row in made], infer_schema_length=None
    )


def summary(values: Any) -> dict[str, Any]:
    """Quartiles, whiskers, and the mean with its 95 % interval.

    Args:
        values: (n,) finite numbers, n at least 1.

    Examples:
        >>> row = summary(np.array([1.0, 2.0, 3.0, 10.0]))
        >>> row["median"], row["mean"], row["whisker_high"]
        (2.5, 4.0, 3.0)
    """
    from scipy.stats import t

    n = len(values)
    q1, median, q3 = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    reach = _WHISKER * (q3 - q1)
    inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
    mean = float(np.mean(values))
    half = None
    if n > 1:
        half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return {
        "n": n,
        "mean": mean,
        "ci95_low": None if half is None else mean - half,
        "ci95_high": None if half is None else mean + half,
        "whisker_low": float(inside.min()),
        "q1": q1,
        "median": median,
        "q3": q3,
        "whisker_high": float(inside.max()),
    }


def shares(frame: pl.DataFrame, group: str, labels: str) -> pl.DataFrame:
    """Share of each group's rows that carry each label.

    Args:
        frame: Table with both columns; rows where either is null are left out.
        group: Column of groups.
        labels: Column of lists of text.

    Returns:
        One row per group and label, the most frequent label first: `group, label, count, n, share`,
        share of 0 to 1 and n rows of the group.

    Raises:
        NoValuesError: No row has both, or none has a label.

    Examples:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"generator": ["x", "x"], "faults": [["blur"], []]})
        >>> shares(frame, "generator", "faults").rows(named=True)[0]["share"]
        0.5
    """
    import polars as pl

    known = frame.select(pl.col(group).cast(pl.String), labels).drop_nulls()
    single = known.explode(labels).drop_nulls()
    if not len(single):
        raise NoValuesError(
            f"no row has both {group} and {labels}" if not len(known) else f"{labels} is empty"
        )
    counted = single[labels].value_counts().sort(["count", labels], descending=[True, False])
    ordered = counted[labels].to_list()
    sizes = dict(sorted(known[group].value_counts().iter_rows()))
    counts = {(g, label): n for g, label, n in single.group_by(group, labels).len().iter_rows()}
    return pl.DataFrame(
        [
            {
                "group": group_name,
                "label": label,
                "count": counts.get((group_name, label), 0),
                "n": n,
                "share": counts.get((group_name, label), 0) / n,
            }
            for group_name, n in sizes.items()
            for label in ordered
        ]
    )


def counts(values: pl.Series, order: Sequence[str] = ()) -> pl.DataFrame:
    """Frequency of each value.

    Args:
        values: Null is left out.
        order: Values that come first. Numbers follow in their order, others by their frequency.

    Returns:
        One row per value: `value, count, n`, with n values in all.

    Examples:
        >>> import polars as pl
        >>> counts(pl.Series(["a", "b", "b", None])).rows()
        [('b', 2, 3), ('a', 1, 3)]
    """
    import polars as pl

    known = values.drop_nulls()
    numeric = known.dtype.is_numeric()
    table = known.alias("value").value_counts().iter_rows()

    def place(row: tuple[Any, int]) -> tuple[int, Any, str]:
        value, count = row
        rank = order.index(value) if value in order else len(order)
        return rank, value if numeric else -count, str(value)

    rows = [(str(value), count, len(known)) for value, count in sorted(table, key=place)]
    return pl.DataFrame(rows, ["value", "count", "n"], orient="row")
