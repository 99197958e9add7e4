"""Cross-validation folds that share no content.

Content may be several columns at once (the portrait *and* the voice): rows that share a value in
any of them belong together, and so do rows that are joined through others. Folds do not depend on
the order of the rows: they follow from the values, the opinion scores and the seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

Codes = npt.NDArray[np.int64]


def content_groups(content: Mapping[str, Sequence[object]], ids: Sequence[str]) -> Codes:
    """Groups of rows that share content: connected components over shared values.

    Args:
        content: Values by column, one per row; None and NaN are shared with no row.
        ids: Unique name of each row, for rows without any content.

    Returns:
        int64 (rows,): the group of each row, numbered in the order of the groups' smallest ids.

    Raises:
        InputError: If lengths disagree or ids repeat.

    Examples:
        >>> content = {"portrait": ["a", "a", "b"], "voice": ["x", "y", "y"]}
        >>> content_groups(content, ["clip-1", "clip-2", "clip-3"]).tolist()
        [0, 0, 0]
        >>> content_groups({"portrait": ["a", "a", None]}, ["clip-1", "clip-2", "clip-3"]).tolist()
        [0, 0, 1]
    """
    n = len(ids)
    if len(set(ids)) != n:
        twice = next(name for name in ids if list(ids).count(name) > 1)
        raise InputError(f"expected unique ids, got {twice!r} more than once")
    for name, values in content.items():
        if len(values) != n:
            raise InputError(f"the column {name!r} has {len(values)} values for {n} rows")
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for values in content.values():
        first: dict[object, int] = {}
        for row, value in enumerate(values):
            if is_absent(value):
                continue
            a, b = root(first.setdefault(value, row)), root(row)
            if a != b:
                parent[max(a, b)] = min(a, b)
    roots = [root(row) for row in range(n)]
    smallest: dict[int, str] = {}
    for row, group in enumerate(roots):
        smallest[group] = min(smallest.get(group, ids[row]), ids[row])
    number = {group: i for i, group in enumerate(sorted(smallest, key=lambda g: smallest[g]))}
    return np.array([number[group] for group in roots], np.int64)


def grouped_folds(
    content: Mapping[str, Sequence[object]],
    ids: Sequence[str],
    k: int = 5,
    *,
    mos: Sequence[float | None] | None = None,
    bins: int = 5,
    seed: int = 0,
) -> Codes:
    """k folds of about equal size without shared content.

    Groups are assigned from the largest to the smallest, ties in an order drawn from the seed, each to
    the fold that keeps sizes and distributions of opinion scores most even.

    Args:
        content: See `content_groups`; an empty mapping gives plain folds.
        ids: Unique name of each row.
        k: Number of folds, at least 2.
        mos: Opinion scores to stratify on, by quantiles; None to balance sizes alone.
        bins: Number of quantiles.
        seed: Seed of the order.

    Returns:
        int64 (rows,): the fold of each row, 0 … k-1.

    Raises:
        InputError: If there are fewer groups than folds.

    Examples:
        >>> portraits = ["a", "a", "b", "b", "c", "c"]
        >>> folds = grouped_folds({"portrait": portraits}, [f"clip-{i}" for i in range(6)], k=3)
        >>> len({(portrait, int(fold)) for portrait, fold in zip(portraits, folds)})
        3
    """
    groups = content_groups(content, ids)
    n_groups = int(groups.max(initial=-1)) + 1
    if k < 2 or n_groups < k:
        names = ", ".join(content) or "nothing"
        raise InputError(
            f"{k} folds without shared {names} need at least {max(k, 2)} groups, and there are "
            f"{n_groups}; take fewer folds, or fewer columns as content"
        )
    strata = _strata(mos, len(ids), bins)
    table = np.zeros((n_groups, int(strata.max(initial=0)) + 1))
    np.add.at(table, (groups, strata), 1.0)
    keys = [""] * n_groups
    for row in sorted(range(len(ids)), key=lambda r: ids[r], reverse=True):
        keys[int(groups[row])] = ids[row]
    order = sorted(range(n_groups), key=lambda g: (-table[g].sum(), _draw(seed, keys[g]), keys[g]))
    target = table.sum(axis=0) / k
    held = np.zeros((k, table.shape[1]))
    fold_of = np.zeros(n_groups, np.int64)
    for group in order:
        after = held + table[group]
        size_cost = after.sum(axis=1) ** 2 - held.sum(axis=1) ** 2
        shape_cost = ((after - target) ** 2 - (held - target) ** 2).sum(axis=1)
        fold = min(
            range(k),
            key=lambda f: (
                round(float(size_cost[f] + table.shape[1] * shape_cost[f]), 6),
                _draw(seed, f"{keys[group]}:{f}"),
            ),
        )
        fold_of[group] = fold
        held[fold] += table[group]
    return fold_of[groups]


def plain_folds(ids: Sequence[str], k: int = 5, *, seed: int = 0) -> Codes:
    """k folds of equal size that ignore content, as a plain shuffle gives them.

    For comparison only: scores across such folds are too optimistic wherever content repeats.

    Args:
        ids: Unique name of each row.
        k: Number of folds, at least 2.
        seed: Seed of the order.

    Returns:
        int64 (rows,): the fold of each row, 0 … k-1.

    Examples:
        >>> sorted(plain_folds([f"clip-{i}" for i in range(6)], k=3).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    return grouped_folds({}, ids, k, seed=seed)


def is_absent(value: object) -> bool:
    """Whether a value of a column is none: None, or NaN, which tables in Python use for it.

    Examples:
        >>> is_absent(None), is_absent(float("nan")), is_absent(""), is_absent(0)
        (True, True, False, False)
    """
    return value is None or (isinstance(value, (float, np.floating)) and bool(np.isnan(value)))


def _strata(mos: Sequence[float | None] | None, n: int, bins: int) -> Codes:
    if mos is None:
        return np.zeros(n, np.int64)
    if len(mos) != n:
        raise InputError(f"expected {n} opinion scores, got {len(mos)}")
    values = np.array([np.nan if value is None else value for value in mos], np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(n, np.int64)
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)[1:-1]))
    strata = np.full(n, len(edges) + 1, np.int64)
    strata[known] = np.searchsorted(edges, values[known], side="left")
    return strata


def _draw(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()
