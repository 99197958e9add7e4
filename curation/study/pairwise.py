"""Pairwise votes: win rates, agreement of voters, and position bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import RatingsError

from .ids import clean_name, encode_names
from .layouts import column_names, meant_by

if TYPE_CHECKING:
    import polars as pl

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_ALIASES = {
    "subject": ("voter", "voter_id"),  # and the names of subjects in tables of ratings
    "left": ("left", "left_model", "model_left", "model_a", "a"),
    "right": ("right", "right_model", "model_right", "model_b", "b"),
    "winner": ("winner", "choice", "vote", "preferred"),
    "clip_id": (),  # the names of clips in tables of ratings
    "time": ("time", "timestamp", "voted_at", "datetime"),
}
_SHARED = ("subject", "clip_id")
_TIES = {"tie", "equal", "both", "draw", "tie_(bothbad)"}


@dataclass(frozen=True, eq=False)
class PairwiseVotes:
    """Votes between two models that show the same clip.

    Attributes:
        models: Names of the models; sorted.
        left: int64 (n,): index of the model on the left.
        right: int64 (n,): index of the model on the right.
        outcome: float64 (n,): 1 if the left one wins, 0 if the right one wins, 0.5 for a tie.
        clip: Names of the common clips; None if the table has none.
        subject: Names of the voters, "" where a row names none; None if the table has none.

    Examples:
        >>> votes = make_votes(["a", "a", "b"], ["b", "b", "a"], ["left", "tie", "b"])
        >>> votes.models
        ('a', 'b')
        >>> votes.wins
        array([[0. , 1.5],
               [1.5, 0. ]])
    """

    models: tuple[str, ...]
    left: Codes
    right: Codes
    outcome: Floats
    clip: tuple[str, ...] | None = None
    subject: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def wins(self) -> Floats:
        """float64 (models, models): wins of the row's model over the column's; a tie is half a win."""
        table = np.zeros((len(self.models), len(self.models)))
        np.add.at(table, (self.left, self.right), self.outcome)
        np.add.at(table, (self.right, self.left), 1.0 - self.outcome)
        return table


def read_pairwise_votes(path: Path) -> PairwiseVotes:
    r"""Read a votes table with `left`, `right`, `winner`, and optionally `clip_id` and `subject`.

    Args:
        path: ``.csv``, ``.tsv``, ``.parquet``, ``.jsonl`` or ``.ndjson``. `winner` is `left`,
            `right`, `tie`, or the name of one of the two.

    Raises:
        RatingsError: For the first fault.

    Examples:
        >>> _ = Path("votes.csv").write_text("left,right,winner\nours,theirs,left\n")
        >>> read_pairwise_votes(Path("votes.csv")).outcome
        array([1.])
    """
    from theval_datasets.utils.table_files import read_table

    table = read_table(path, error=RatingsError)
    return votes_from_frame(table.frame, where=path.name, rows=table.rows)


def votes_from_frame(
    frame: pl.DataFrame, *, where: str = "the table", rows: Sequence[int] | None = None
) -> PairwiseVotes:
    """Check a polars table of votes; see `read_pairwise_votes`.

    Examples:
        >>> import polars as pl
        >>> table = pl.DataFrame({"model_a": ["x"], "model_b": ["y"], "winner": ["y"]})
        >>> votes_from_frame(table).outcome.tolist()
        [0.0]
    """
    names: dict[str, str] = {}
    for column in frame.columns:
        target = meaning_of(column)
        if target is None:
            raise RatingsError(
                f"{where}: unknown column {column!r}; known: {', '.join(sorted(_ALIASES))}"
            )
        if target in names.values():
            raise RatingsError(f"{where}: two columns are {target}; leave one out")
        names[column] = target
    lacking = {"left", "right", "winner"} - set(names.values())
    if lacking:
        raise RatingsError(f"{where}: missing the columns {', '.join(sorted(lacking))}")
    table: dict[str, list[Any]] = frame.rename(names).to_dict(as_series=False)
    return make_votes(
        table["left"],
        table["right"],
        table["winner"],
        clip=table.get("clip_id"),
        subject=table.get("subject"),
        where=where,
        rows=rows,
    )


def meaning_of(column: str) -> str | None:
    """Canonical name of a votes table's column: `left`, `right`, `winner`, `clip_id`, `subject` or `time`.

    None for other columns.

    Examples:
        >>> meaning_of("Left Model"), meaning_of("Rater ID"), meaning_of("score") is None
        ('left', 'subject', True)
    """
    shared = column_names()["aliases"]
    return meant_by(
        {name: (*own, *shared[name]) if name in _SHARED else own for name, own in _ALIASES.items()},
        clean_name(column),
    )


def _plain(text: str) -> str:
    return clean_name(text).lower().replace(" ", "_").replace("-", "_")


def make_votes(
    left: Sequence[str],
    right: Sequence[str],
    winner: Sequence[str],
    *,
    clip: Sequence[Any] | None = None,
    subject: Sequence[Any] | None = None,
    where: str = "the table",
    rows: Sequence[int] | None = None,
) -> PairwiseVotes:
    """Votes from parallel sequences; see `read_pairwise_votes`.

    Names are cleaned and compared as those of ratings: spaces around them do not count, and two
    spellings of what may be one name are an error.

    Args:
        left: Model on the left of each vote.
        right: Model on the right.
        winner: `left`, `right`, `tie`, the name of one of the two, or that of its column.
        clip: Clip that both show.
        subject: Who voted.
        where: Name of the table for messages.
        rows: Row of the file of each vote; numbered from 1 if None.

    Raises:
        RatingsError: If there are none, a model meets itself, a winner is neither, the name of a
            model or clip is empty, or two names differ only in spelling.

    Examples:
        >>> make_votes(["a", "a"], ["b", "b"], ["left", "tie"]).outcome.tolist()
        [1.0, 0.5]
    """
    if not len(left):
        raise RatingsError(f"{where} holds no votes")
    rows = range(1, len(left) + 1) if rows is None else rows
    models, codes = _encode([*left, *right], "model", where, [*rows, *rows])
    first, second = codes[: len(left)], codes[len(left) :]
    outcome = np.empty(len(left))
    for place, (row, won) in enumerate(zip(rows, winner, strict=True)):
        left_model, right_model = models[first[place]], models[second[place]]
        if left_model == right_model:
            raise RatingsError(
                f"{where}, row {row}: expected two different models, got {left_model!r} twice"
            )
        word = clean_name(str(won))
        if word in (left_model, right_model):
            outcome[place] = float(word == left_model)
        elif _plain(word) in _ALIASES["left"]:
            outcome[place] = 1.0
        elif _plain(word) in _ALIASES["right"]:
            outcome[place] = 0.0
        elif _plain(word) in _TIES:
            outcome[place] = 0.5
        else:
            raise RatingsError(
                f"{where}, row {row}: expected the winner left, right, tie, {left_model!r} or "
                f"{right_model!r}, got {won!r}"
            )
    return PairwiseVotes(
        models=models,
        left=first,
        right=second,
        outcome=outcome,
        clip=None if clip is None else _names(clip, "clip_id", where, rows),
        subject=None if subject is None else _names(subject, "subject", where, rows),
    )


def _encode(
    values: Sequence[Any], column: str, where: str, rows: Sequence[int]
) -> tuple[tuple[str, ...], Codes]:
    """Distinct names and the index of each row among them, cleaned as those of ratings."""
    import polars as pl

    alike = len({type(value) for value in values} - {type(None)}) == 1
    texts = values if alike else [None if value is None else str(value) for value in values]
    empty = "" if column == "subject" else None
    return encode_names(pl.Series(texts), column, where, rows, empty=empty)


def _names(values: Sequence[Any], column: str, where: str, rows: Sequence[int]) -> tuple[str, ...]:
    names, codes = _encode(values, column, where, rows)
    return tuple(names[code] for code in codes.tolist())


def win_rates(votes: PairwiseVotes) -> dict[str, float]:
    """Share of its votes that each model won; a tie is half a win.

    Examples:
        >>> win_rates(make_votes(["a", "b"], ["b", "a"], ["a", "tie"]))
        {'a': 0.75, 'b': 0.25}
    """
    wins = votes.wins
    rate = wins.sum(axis=1) / (wins + wins.T).sum(axis=1)
    return dict(zip(votes.models, rate.tolist(), strict=True))


@dataclass(frozen=True)
class PositionBias:
    """Influence of the side on votes.

    Attributes:
        left_wins: Number of votes for the left side, without ties.
        n: Number of votes without ties.
        left_rate: Share of them for the left; None without any.
        p_value: Two-sided p value of an exact binomial test against one half; None without any.
    """

    left_wins: int
    n: int
    left_rate: float | None
    p_value: float | None


def position_bias(votes: PairwiseVotes) -> PositionBias:
    """Test whether the left side wins half of the votes.

    Examples:
        >>> position_bias(make_votes(["a"] * 4, ["b"] * 4, ["left", "left", "left", "tie"]))
        PositionBias(left_wins=3, n=3, left_rate=1.0, p_value=0.25)
    """
    from scipy.stats import binomtest

    decided = votes.outcome[votes.outcome != 0.5]
    wins, n = int(decided.sum()), len(decided)
    if not n:
        return PositionBias(0, 0, None, None)
    return PositionBias(wins, n, wins / n, float(binomtest(wins, n).pvalue))


@dataclass(frozen=True)
class VoteAgreement:
    """Agreement of several voters on the same pair.

    Attributes:
        alpha: Krippendorff's alpha for nominal values; None if undefined (nothing to compare, or all
            votes are equal).
        share: Share of pairs of votes on the same unit that agree; None without any.
        n_units: Number of units with at least two votes.
        unit: Kind of unit: `pair and clip`, or `pair` where the table names no clips.
    """

    alpha: float | None
    share: float | None
    n_units: int
    unit: str


def agreement(votes: PairwiseVotes) -> VoteAgreement:
    """Krippendorff's alpha (nominal) over pairs of models, and raw agreement.

    Reference: K. Krippendorff, Content Analysis, 4th ed., 2018, chapter 12. A value is "the first
    in alphabetical order wins", "the second wins" or "tie", whatever side it was shown on.

    Examples:
        >>> agreement(make_votes(list("abac"), list("baca"), list("aacc")))
        VoteAgreement(alpha=1.0, share=1.0, n_units=2, unit='pair')
    """
    swapped = votes.left > votes.right
    value = np.where(swapped, 1.0 - votes.outcome, votes.outcome)
    low, high = np.minimum(votes.left, votes.right), np.maximum(votes.left, votes.right)
    clips = np.zeros(len(votes), np.int64)
    if votes.clip is not None:
        _, clips = np.unique(np.array(votes.clip), return_inverse=True)
    key = np.stack([clips, low, high], axis=1)
    _, unit = np.unique(key, axis=0, return_inverse=True)
    counts = np.zeros((int(unit.max()) + 1, 3))
    np.add.at(counts, (unit.ravel(), (value * 2).astype(np.int64)), 1.0)
    total = counts.sum(axis=1)
    counts, total = counts[total >= 2], total[total >= 2]
    name = "pair" if votes.clip is None else "pair and clip"
    if not len(counts):
        return VoteAgreement(None, None, 0, name)
    same = (counts * (counts - 1)).sum(axis=1)
    share = float(same.sum() / (total * (total - 1)).sum())
    n = total.sum()
    observed = float(((total**2 - (counts**2).sum(axis=1)) / (total - 1)).sum() / n)
    margin = counts.sum(axis=0)
    expected = float((n**2 - (margin**2).sum()) / (n * (n - 1)))
    alpha = 1.0 - observed / expected if expected > 0 else None
    return VoteAgreement(alpha, share, len(counts), name)
