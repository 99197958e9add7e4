"""Values that the parts of a split share although they should not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from theval_datasets.errors import InputError

from .folds import is_absent

_SHOWN: Final = 3  # values


@dataclass(frozen=True)
class Leak:
    """Values of one column that two parts of a split share.

    Attributes:
        column: Name of the column.
        first: Name of one part.
        second: Name of the other part.
        values: Shared values, sorted.
        rows_first: Number of rows of the first part with a shared value.
        rows_second: Number of rows of the second part with a shared value.
        n_first: Number of rows of the first part.
        n_second: Number of rows of the second part.
    """

    column: str
    first: str
    second: str
    values: tuple[str, ...]
    rows_first: int
    rows_second: int
    n_first: int
    n_second: int

    def to_text(self) -> str:
        """One line for people.

        Examples:
            >>> Leak("voice", "test", "train", ("x",), 1, 2, 10, 90).to_text()
            'test and train share 1 value of voice (x): 1 of 10 and 2 of 90 rows'
        """
        count = len(self.values)
        shown = ", ".join(self.values[:_SHOWN]) + (", …" if count > _SHOWN else "")
        values = "1 value" if count == 1 else f"{count} values"
        return (
            f"{self.first} and {self.second} share {values} of {self.column} ({shown}): "
            f"{self.rows_first} of {self.n_first} and {self.rows_second} of {self.n_second} rows"
        )


def leak_report(split: Sequence[object], content: Mapping[str, Sequence[object]]) -> list[Leak]:
    """Every pair of parts and every column in which they share a value.

    Args:
        split: The part of each row: a name ("train") or the number of a fold; rows with None or NaN
            are left out.
        content: One sequence a column, one value per row; None and NaN are no value. For a combination of
            columns give a column of tuples.

    Returns:
        The leaks, in the order of the columns and then of the parts; empty if there are none.

    Raises:
        InputError: If lengths disagree.

    Examples:
        >>> (leak,) = leak_report(["train", "train", "test"], {"portrait": ["a", "b", "a"]})
        >>> print(leak.to_text())
        test and train share 1 value of portrait (a): 1 of 1 and 1 of 2 rows
    """
    names = [None if is_absent(part) else str(part) for part in split]
    sizes = Counter(name for name in names if name is not None)
    parts = sorted(sizes)
    leaks = []
    for column, values in content.items():
        if len(values) != len(split):
            raise InputError(
                f"the column {column!r} has {len(values)} values for {len(split)} rows"
            )
        counts: dict[str, dict[object, int]] = {part: {} for part in parts}
        for part, value in zip(names, values, strict=True):
            if part is not None and not is_absent(value):
                of_part = counts[part]
                of_part[value] = of_part.get(value, 0) + 1
        for first, second in combinations(parts, 2):
            shared = counts[first].keys() & counts[second].keys()
            if shared:
                leaks.append(
                    Leak(
                        column=column,
                        first=first,
                        second=second,
                        values=tuple(sorted(_text(value) for value in shared)),
                        rows_first=sum(counts[first][value] for value in shared),
                        rows_second=sum(counts[second][value] for value in shared),
                        n_first=sizes[first],
                        n_second=sizes[second],
                    )
                )
    return leaks


def _text(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, tuple) else str(value)
