"""Cross-validation of a metric: measures over folds, by set, and without single features."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from theval_datasets.errors import InputError
from theval_datasets.evaluation.correlation import krcc, plcc, rmse, srcc
from theval_datasets.evaluation.resampling import MeanInterval, mean_interval
from theval_datasets.utils.progress import progress

from .models import fit
from .parameters import ModelName, ModelParameters
from .samples import Mask, Samples, filled, medians_of
from .tables import Floats, joined

TrainedOn = Literal["all", "same-set", "other-sets"]

MEASURES: Final = {"srcc": srcc, "plcc": plcc, "krcc": krcc, "rmse": rmse}
_RANGES: Final = {"rmse": (0.0, math.inf)}  # of what is no correlation


@dataclass(frozen=True)
class MetricResult:
    """Results of a metric on clips that it was not trained on.

    Attributes:
        features: Names of its features.
        without: Feature that the metric lacks, in an ablation; None for none.
        tested_on: Set of the tested clips; None for all clips.
        trained_on: Clips of the other folds that the metric was trained on: ``all``, those of the
            ``same-set``, or those of the ``other-sets``.
        n: Number of tested clips.
        measures: Mean over the folds of SRCC, PLCC, KRCC and RMSE, with its interval.
        folds: Measures by number of the fold; None where undefined.
        reason: Reason why there are no measures: ``no-training-clips`` if no clip of another fold may be
            used for training, ``constant`` if predictions or scores do not vary within any fold; None if
            there are measures.
    """

    features: tuple[str, ...]
    without: str | None
    tested_on: str | None
    trained_on: TrainedOn
    n: int
    measures: Mapping[str, MeanInterval]
    folds: Mapping[int, Mapping[str, float | None]]
    reason: str | None = None


def out_of_fold(
    samples: Samples,
    model: ModelName,
    parameters: ModelParameters,
    *,
    features: Sequence[str],
    train: Mask | None = None,
    test: Mask | None = None,
    done: Callable[[int], object] | None = None,
) -> Floats:
    """Predictions of each clip by a metric that was trained on the other folds.

    Nulls become the medians of the training clips.

    Args:
        samples: The clips.
        model: Name of the model.
        parameters: Parameters of the model.
        features: Names of the features.
        train: Whether each clip may be used for training, (clips,); None for all.
        test: Whether each clip is predicted, (clips,); None for all.
        done: Called with 1 after each fold, for progress.

    Returns:
        Predictions, (clips,): NaN for clips outside `test`, and where no clip of another fold may be used
        for training.
    """
    everything = np.ones(len(samples), bool)
    train = everything if train is None else train
    test = everything if test is None else test
    matrix = joined({name: samples.features[name] for name in features})
    predicted = np.full(len(samples), np.nan)
    for fold in np.unique(samples.folds[test]):
        fitting, held = train & (samples.folds != fold), test & (samples.folds == fold)
        if fitting.sum() >= 2:
            medians = medians_of(matrix[fitting])
            known = filled(matrix[fitting], medians)
            fitted = fit(model, known, samples.scores[fitting], parameters)
            predicted[held] = fitted.predict(filled(matrix[held], medians))
        if done is not None:
            done(1)
    return predicted


def measured(
    samples: Samples,
    predicted: Floats,
    *,
    features: Sequence[str],
    without: str | None = None,
    tested_on: str | None = None,
    trained_on: TrainedOn = "all",
) -> MetricResult:
    """The measures of predictions, fold by fold.

    Args:
        samples: The clips.
        predicted: (clips,): NaN for clips that are not tested.
        features: Names of the features.
        without: Feature that the metric lacks; None for none.
        tested_on: Set whose clips are tested; None for all.
        trained_on: See `MetricResult`.
    """
    judged = np.isfinite(predicted)
    if tested_on is not None:
        judged &= np.array(samples.sets) == tested_on
    folds: dict[int, dict[str, float | None]] = {}
    for fold in np.unique(samples.folds).tolist():
        here = judged & (samples.folds == fold)
        folds[fold] = {
            name: measure(predicted[here], samples.scores[here]) if here.any() else None
            for name, measure in MEASURES.items()
        }
    measures = {
        name: mean_interval(
            [v for of_fold in folds.values() if (v := of_fold[name]) is not None],
            bounds=_RANGES.get(name, (-1.0, 1.0)),
        )
        for name in MEASURES
    }
    reason = "constant" if measures["srcc"].n == 0 else None
    return MetricResult(
        features=tuple(features),
        without=without,
        tested_on=tested_on,
        trained_on=trained_on,
        n=int(judged.sum()),
        measures=measures,
        folds=folds,
        reason=reason if judged.any() else "no-training-clips",
    )


def cross_validate(
    samples: Samples,
    model: ModelName,
    parameters: ModelParameters,
    *,
    ablation: bool = False,
) -> tuple[list[MetricResult], Floats]:
    """Train and test a metric over the folds of its clips.

    With sets, each set is also tested separately: with the metric trained on all sets, with one trained on
    that set, and with one trained on the other sets. Training never uses clips of the tested fold, whatever
    their set, so that content shared between sets is never in both training and test.

    Args:
        samples: The clips.
        model: Name of the model.
        parameters: Parameters of the model.
        ablation: Whether to test also metrics that lack one feature each.

    Returns:
        The results, beginning with that of the whole metric over all clips; and its predictions, (clips,).

    Raises:
        InputError: An ablation was requested for a single feature.
    """
    names = tuple(samples.features)
    if ablation and len(names) < 2:
        raise InputError(f"an ablation needs at least 2 features, got {', '.join(names)}")
    sets = sorted(set(samples.sets))
    trainings = 1 + 2 * len(sets) + (len(names) if ablation else 0)
    with progress(trainings * len(np.unique(samples.folds)), "train", "fold") as bar:

        def predictions(features: Sequence[str], **masks: Mask) -> Floats:
            return out_of_fold(
                samples, model, parameters, features=features, done=bar.update, **masks
            )

        whole = predictions(names)
        results = _of_all(samples, whole, names, None)
        for name in sets:
            of_set = np.array(samples.sets) == name
            trained: dict[TrainedOn, Mask] = {"same-set": of_set, "other-sets": ~of_set}
            for trained_on, train in trained.items():
                predicted = predictions(names, train=train, test=of_set)
                results.append(
                    measured(
                        samples, predicted, features=names, tested_on=name, trained_on=trained_on
                    )
                )
        for lacking in names if ablation else ():
            others = tuple(name for name in names if name != lacking)
            results += _of_all(samples, predictions(others), others, lacking)
    return results, whole


def _of_all(
    samples: Samples, predicted: Floats, features: Sequence[str], without: str | None
) -> list[MetricResult]:
    """Results over all clips, and over those of each set."""
    return [
        measured(samples, predicted, features=features, without=without, tested_on=name)
        for name in (None, *sorted(set(samples.sets)))
    ]
