"""Clips to train on: features without gaps, opinion scores, folds and sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.evaluation.folds import grouped_folds, plain_folds
from theval_datasets.evaluation.leaks import leak_report

from .parameters import ModelName, Nulls
from .tables import FeatureRows, Floats, is_known, matching

Mask = npt.NDArray[np.bool_]

PLAIN = "none"
"""Value of `content` for folds of shuffled clips."""
N_FOLDS = 5
_FEWEST = 10
"""Number of clips in a fold below which a correlation means little."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Clips for training and testing a metric.

    Attributes:
        rows: Rows of the clips.
        target: Name of the predicted column.
        features: Features by name, (clips, size); a row is NaN where the value is null.
        scores: (clips,): the target.
        folds: (clips,): number of each clip's fold.
        sets: Name of each clip's set; () if there is only one set.
        folding: Description of the folds.
        left_out: Number of the dataset's clips that are left out, by reason.
        nulls: Number of clips that are used although a feature is null, by feature.
        without_values: Default features that have no value, with the reason.
        remarks: Remarks that readers of the results need.
    """

    rows: FeatureRows
    target: str
    features: Mapping[str, Floats]
    scores: Floats
    folds: npt.NDArray[np.int64]
    sets: tuple[str, ...] = ()
    folding: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    nulls: Mapping[str, int] = field(default_factory=dict)
    without_values: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)


def samples_of(
    rows: FeatureRows,
    *,
    model: ModelName,
    target: str = "mos",
    features: Sequence[str] = (),
    without: Sequence[str] = (),
    fold_column: str = "fold",
    content: Sequence[str] = (),
    sets: str | None = None,
    nulls: Nulls = "median",
    seed: int = 0,
) -> Samples:
    """The clips of a dataset that have a score, a fold and at least one feature.

    Args:
        rows: Rows of the config `features`.
        model: Model, which determines the default features.
        target: Column to predict.
        features: Columns, or shell patterns of them; () for the model's default features.
        without: Features to leave out, or shell patterns of them.
        fold_column: Column with the fold of each clip.
        content: Columns whose values no two folds may share: five folds are then drawn anew, and
            `fold_column` is not read. ``none`` shuffles the clips.
        sets: Column with the set of each clip.
        nulls: Treatment of clips with a null feature: ``median`` keeps them, ``leave-out`` does not.
        seed: Seed of folds that are drawn anew.

    Raises:
        InputError: These rows do not allow training and testing; the message states the reason.
    """
    scores = _target(rows, target)
    has_score = np.isfinite(scores)
    if not has_score.any():
        raise InputError(
            f"no clip of {rows.name} has a {target} ({rows.why_null(target)}): expected a dataset "
            "that was built with ratings or published scores"
        )
    chosen, without_values = rows.chosen(features, target=target, model=model)
    chosen = _without(chosen, without)
    rows.check_comparable(chosen)
    rows.check_scale(target)
    known = np.stack(list(is_known(chosen).values()))
    left_out = {f"no {target}": int((~has_score).sum())}
    usable = known.all(axis=0) if nulls == "leave-out" else known.any(axis=0)
    why = "a null feature" if nulls == "leave-out" else "null features only"
    left_out[why] = int((has_score & ~usable).sum())
    kept = has_score & usable
    set_names: list[str | None] = [] if sets is None else rows.texts(sets)
    if sets is not None:
        has_set = np.array([name is not None for name in set_names])
        left_out[f"no {sets}"] = int((kept & ~has_set).sum())
        kept &= has_set
    if not content:
        rows.need(fold_column)
        has_fold = np.array([value is not None for value in rows.texts(fold_column)])
        left_out[f"no {fold_column}"] = int((kept & ~has_fold).sum())
        kept &= has_fold
    places = np.flatnonzero(kept)
    if len(places) < 2:
        reasons = ", ".join(f"{n} with {why}" for why, n in left_out.items() if n)
        raise InputError(
            f"{len(places)} of {len(scores)} clips of {rows.name} can be trained on, which is too few; left "
            f"out are {reasons}"
        )
    if np.ptp(scores[places]) == 0:
        raise InputError(
            f"{target} is {scores[places][0]:g} for all {len(places)} clips: nothing can be learnt"
        )
    rows = rows.take(places)
    folds, folding, remarks = _folds(rows, scores[places], list(chosen), fold_column, content, seed)
    return Samples(
        rows=rows,
        target=target,
        features={name: matrix[places] for name, matrix in chosen.items()},
        scores=scores[places],
        folds=folds,
        sets=tuple(str(set_names[place]) for place in places) if sets is not None else (),
        folding=folding,
        left_out={why: n for why, n in left_out.items() if n},
        nulls={
            name: n
            for name, is_known in zip(chosen, known, strict=True)
            if (n := int((~is_known[places]).sum()))
        },
        without_values=without_values,
        remarks=(*remarks, *_in_one_fold(set_names, places, folds)),
    )  # fmt: skip


def medians_of(features: Floats) -> Floats:
    """The value that replaces null in each column: the median of the known values.

    Args:
        features: (clips, size), NaN where null.

    Returns:
        Medians, (size,): 0 for columns without any known value, so that they are constant.

    Examples:
        >>> medians_of(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])).tolist()
        [2.0, 0.0]
    """
    known = np.isfinite(features).any(axis=0)
    medians = np.zeros(features.shape[1])
    medians[known] = np.nanmedian(features[:, known], axis=0)
    return medians


def filled(features: Floats, medians: Floats) -> Floats:
    """Features with medians in place of NaN.

    Args:
        features: (clips, size), NaN where null.
        medians: (size,), finite.

    Returns:
        (clips, size), finite.

    Examples:
        >>> filled(np.array([[1.0, np.nan]]), medians=np.array([0.0, 5.0])).tolist()
        [[1.0, 5.0]]
    """
    return np.where(np.isfinite(features), features, medians)


def _in_one_fold(
    sets: Sequence[str | None], places: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]
) -> Iterator[str]:
    """Remarks on sets whose clips lie in one fold."""
    names = np.array([sets[place] for place in places] if sets else [], object)
    for name in sorted(set(names.tolist())):
        if len(np.unique(folds[names == name])) == 1:
            yield (
                f"all clips of the set {name} lie in one fold: it has no interval, and nothing can be "
                "trained on it alone; --content draws other folds"
            )


def _mixed(rows: FeatureRows, features: Sequence[str]) -> Iterator[str]:
    """Remarks on features whose reference differs between clips."""
    for name in features:
        against = rows.references(name)
        known = set(against) - {None}
        if len(known) > 1:
            listed = ", ".join(
                f"{reference} in {against.count(reference)} clips"
                for reference in sorted(map(str, known))
            )
            yield f"{name} is measured against different references: {listed}"


def _target(rows: FeatureRows, target: str) -> Floats:
    scores = rows.numbers(target)
    if scores.shape[1] != 1:
        raise InputError(f"expected one number a clip as target, got vectors in {target}")
    return scores[:, 0]


def _without(chosen: Mapping[str, Floats], without: Sequence[str]) -> dict[str, Floats]:
    dropped = matching(without, list(chosen), "feature among those trained on")
    kept = {name: matrix for name, matrix in chosen.items() if name not in dropped}
    if not kept:
        raise InputError(f"without {', '.join(without)} no feature is left")
    return kept


def _folds(
    rows: FeatureRows,
    scores: Floats,
    features: Sequence[str],
    column: str,
    content: Sequence[str],
    seed: int,
) -> tuple[npt.NDArray[np.int64], str, tuple[str, ...]]:
    ids = rows.clip_ids
    if not content:
        values = rows.texts(column)
        names = sorted(set(values), key=lambda name: (len(str(name)), str(name)))
        folds = np.array([names.index(value) for value in values], np.int64)
        words = f"{len(names)} folds of the column {column}"
    elif tuple(content) == (PLAIN,):
        folds = plain_folds(ids, N_FOLDS, seed=seed)
        words = f"{N_FOLDS} folds of shuffled clips"
    else:
        shared = {name: rows.texts(name) for name in content}
        folds = grouped_folds(shared, ids, N_FOLDS, mos=scores.tolist(), seed=seed)
        words = f"{N_FOLDS} folds without shared {', '.join(content)}"
    sizes = np.bincount(folds)
    if len(sizes) < 2:
        raise InputError(
            f"all {len(ids)} clips are in one fold of the column {column}: nothing would be left to "
            "train on. Name another --fold-column, or columns as --content to draw folds"
        )
    if sizes.max() < 2:
        raise InputError(
            f"each of the {len(sizes)} folds holds one clip: correlations need at least 2. Expected "
            "more clips, or fewer folds"
        )
    remarks = list(_mixed(rows, features))
    if sizes.min() < _FEWEST:
        remarks.append(
            f"the smallest fold has {sizes.min()} clips: correlations within it mean little"
        )
    if tuple(content) == (PLAIN,):
        remarks.append("folds of shuffled clips share content, which flatters a metric")
    else:
        watched = ("sha256",) if content else ("sha256", "content_id")
        there = [name for name in watched if name in rows.rows.column_names]
        leaks = leak_report(folds.tolist(), {name: rows.texts(name) for name in there})
        remarks += [
            f"folds share content, which flatters a metric: {leak.to_text()}" for leak in leaks[:1]
        ]
    return folds, words, tuple(remarks)
