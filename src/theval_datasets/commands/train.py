"""`theval-data train`: trains a quality metric on the features of a built dataset, and tests it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from theval_datasets import __version__
from theval_datasets.errors import InputError
from theval_datasets.training.parameters import ModelName, ModelParameters, Nulls
from theval_datasets.utils.records import to_plain
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of, some_names

from .options import Fields, StrPath

if TYPE_CHECKING:
    from theval_datasets.evaluation.resampling import MeanInterval
    from theval_datasets.training.crossval import MetricResult
    from theval_datasets.training.samples import Samples
    from theval_datasets.training.tables import FeatureRows

_SHOWN: Final = 8

Parameters = Annotated[
    ModelParameters | None,
    Fields("theval_datasets.training.parameters", "ModelParameters"),
]


@dataclass(frozen=True, eq=False)
class TrainReport(Report):
    """Results of a trained metric on clips that it was not trained on.

    Attributes:
        model: Name of the model.
        samples: Clips of training and test.
        results: Results over the folds; the first is that of the whole metric over all clips.
        parameters: Parameters of the model.
        files: Written files; () without an output.
    """

    model: ModelName
    samples: Samples
    results: tuple[MetricResult, ...]
    parameters: dict[str, int | float]
    files: tuple[Path, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        samples = self.samples
        return {
            "dataset": samples.rows.name,
            "version": samples.rows.version,
            "model": self.model,
            "parameters": self.parameters,
            "target": samples.target,
            "features": {name: matrix.shape[1] for name, matrix in samples.features.items()},
            "without_values": dict(samples.without_values),
            "clips": len(samples),
            "left_out": dict(samples.left_out),
            "null_features": dict(samples.nulls),
            "folding": samples.folding,
            "results": [to_plain(result) for result in self.results],
            "remarks": list(samples.remarks),
            "files": [str(path) for path in self.files],
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per result: the test, and mean and interval of each measure."""
        return [
            {
                "without": result.without,
                "tested_on": result.tested_on,
                "trained_on": result.trained_on,
                "clips": result.n,
                **{
                    f"{name}{suffix}": getattr(value, part)
                    for name, value in result.measures.items()
                    for suffix, part in (("", "mean"), ("_low", "low"), ("_high", "high"))
                },
            }
            for result in self.results
        ]

    def to_text(self) -> str:
        """The clips, a table of results, and the written files."""
        samples = self.samples
        name = f"{samples.rows.name} {samples.rows.version}".rstrip()
        sizes = (
            f"{feature} ({matrix.shape[1]})" if matrix.shape[1] > 1 else feature
            for feature, matrix in samples.features.items()
        )
        n_features = len(samples.features)
        lines = [
            f"{name}: {len(samples)} clips with {samples.target}, {samples.folding}",
            f"{self.model} on {n_features} feature{'s' * (n_features != 1)}: {some_names(sizes, _SHOWN)}",
        ]
        lacking: dict[str, list[str]] = {}
        for feature, why in samples.without_values.items():
            lacking.setdefault(why, []).append(feature)
        lines += [
            f"no values ({why}): {some_names(names, _SHOWN)}" for why, names in lacking.items()
        ]
        if samples.left_out:
            listed = ", ".join(f"{n} with {why}" for why, n in samples.left_out.items())
            lines.append(f"clips left out: {listed}")
        if samples.nulls:
            listed = ", ".join(
                f"{feature} of {count_of(n, 'clip')}" for feature, n in samples.nulls.items()
            )
            lines.append(f"null, replaced by the median of the training clips: {listed}")
        lines += [f"note: {remark}" for remark in samples.remarks]
        lines += ["", *self._results()]
        if self.files:
            lines += ["", *(f"wrote {path}" for path in self.files)]
        return "\n".join(lines)

    def _results(self) -> list[str]:
        """A table: mean over the folds ± half of its 95 % interval."""
        rows = [_label(result) for result in self.results]
        width = max(map(len, [*rows, "tested on"]))
        head = "".join(f"  {name:<14}" for name in ("SRCC", "PLCC", "KRCC", "RMSE"))
        lines = [f"{'tested on':<{width}}  {'clips':>5}{head}".rstrip()]
        for label, result in zip(rows, self.results, strict=True):
            cells = "".join(f"  {_cell(value):<14}" for value in result.measures.values())
            why = f"  ({result.reason})" if result.reason else ""
            lines.append(f"{label:<{width}}  {result.n:>5}{cells}".rstrip() + why)
        lines.append("mean over the folds ± half of its 95 % interval (Student's t)")
        return lines


def train(
    data: Annotated[
        StrPath | Sequence[StrPath], typer.Argument(metavar="DIR|OWNER/NAME[@REV]", parser=str)
    ],
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="DIR")] = None,
    *,
    model: ModelName = "evaltalker",
    target: Annotated[str, typer.Option(metavar="COLUMN")] = "mos",
    features: Annotated[str | Sequence[str], typer.Option(metavar="COLUMN,...")] = (),
    without: Annotated[str | Sequence[str], typer.Option(metavar="COLUMN,...")] = (),
    ablation: bool = False,
    sets: Annotated[str | None, typer.Option(metavar="COLUMN")] = None,
    fold_column: Annotated[str, typer.Option(metavar="COLUMN")] = "fold",
    content: Annotated[str | Sequence[str], typer.Option(metavar="COLUMN,...|none")] = (),
    nulls: Nulls = "median",
    parameters: Parameters = None,
) -> TrainReport:
    """Train a quality metric on the features of a built dataset, and test it over the dataset's folds.

    Args:
        data: Folders of built datasets, such as ``out/theval/thqa-mt``, or their names at the Hub. Each of
            several is a set (see ``sets``), and features that one of them lacks are left out.
        output: Folder for the metric, trained on all clips. Default: the metric is only tested.
        model: Model: ``evaltalker``, two fully connected layers over the features side by side, or
            ``forest``, a random forest.
        target: Column to predict.
        features: Columns of numbers or vectors, or patterns such as ``published_*``. Default: for
            ``evaltalker`` those of vst, sapiens, identity_consistency and qwen_sync that the dataset
            has, for ``forest`` all measurements of the clips.
        without: Features to leave out.
        ablation: Also test the metric without each of its features.
        sets: Column with the set of each clip, such as ``pattern`` in ``theval/thqa-ntire``; each set is
            also tested with a metric trained on that set, and with one trained on the other sets. Default:
            the dataset of each clip, if there are several.
        fold_column: Column with the fold of each clip.
        content: Columns whose values no two folds may share; five folds are then drawn anew. ``none``
            shuffles the clips, for comparison only.
        nulls: Treatment of a null feature: it is replaced by the ``median`` of the training clips, or its
            clip is left out (``leave-out``).
        parameters: Parameters of the model.

    Raises:
        InputError: Nothing can be learnt from the dataset, or the output folder has other files of the
            names of a metric's.
        MissingExtraError: The extra [train] is not installed.
    """
    from theval_datasets.training.crossval import cross_validate
    from theval_datasets.training.models import EXTRA
    from theval_datasets.training.samples import samples_of
    from theval_datasets.training.saved import check_place
    from theval_datasets.training.tables import DATASET, combined
    from theval_datasets.utils.optional import need

    parameters = parameters or ModelParameters()
    parameters.check(model)
    need(EXTRA)
    if output is not None:
        check_place(Path(output))
    places = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    if not places:
        raise InputError("expected at least one dataset to train on, got none")
    rows = combined([built_rows(place) for place in places])
    if sets is None and rows.sources:
        sets = DATASET
    samples = samples_of(
        rows,
        model=model,
        target=target,
        features=names_of(features),
        without=names_of(without),
        fold_column=fold_column,
        content=names_of(content),
        sets=sets,
        nulls=nulls,
        seed=parameters.seed,
    )
    results, predicted = cross_validate(samples, model, parameters, ablation=ablation)
    files: tuple[Path, ...] = ()
    if output is not None:
        files = _write(Path(output), samples, model, parameters, nulls, results, predicted)
    return TrainReport(model, samples, tuple(results), parameters.of(model), files)


def built_rows(data: StrPath) -> FeatureRows:
    """The config `features` of a dataset in a folder, or at the Hub.

    Raises:
        InputError: There is no such dataset.
    """
    from theval_datasets.hub.download import download, is_name
    from theval_datasets.manifest.info import INFO_NAME
    from theval_datasets.training.tables import CONFIG, read_features

    folder = Path(data)
    if folder.exists() or not is_name(str(data)):
        if not folder.is_dir():
            raise InputError(f"expected the folder of a built dataset, or OWNER/NAME, got {data}")
        return read_features(folder)
    fetched = download(str(data), (INFO_NAME, f"{CONFIG}/*"))
    return read_features(fetched.folder)


def names_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Names from texts, each of which may hold several names separated by commas.

    Examples:
        >>> names_of("vst, arcface"), names_of(["vst"])
        (('vst', 'arcface'), ('vst',))
    """
    texts = [given] if isinstance(given, str) else given
    parts = (part.strip() for text in texts for part in text.split(","))
    return tuple(dict.fromkeys(part for part in parts if part))


def _write(
    folder: Path,
    samples: Samples,
    model: ModelName,
    parameters: ModelParameters,
    nulls: Nulls,
    results: Sequence[MetricResult],
    predicted: Any,
) -> tuple[Path, ...]:
    """Train on all clips, and write the metric with its card."""
    from theval_datasets.cards.metric_card import render_metric_card
    from theval_datasets.training.saved import CARD_NAME, train_metric, write_metric
    from theval_datasets.utils.files import write_text

    metric = train_metric(samples, model, parameters, nulls, __version__)
    files = write_metric(folder, metric, samples, predicted)
    card = folder / CARD_NAME
    write_text(card, render_metric_card(metric.config, results, samples.remarks))
    return (*files, card)


def _label(result: MetricResult) -> str:
    tested = result.tested_on or "all"
    if result.without is not None:
        return f"{tested}, without {result.without}"
    by = {"all": "", "same-set": ", trained on it alone", "other-sets": ", trained on the others"}
    return tested + by[result.trained_on]


def _cell(value: MeanInterval) -> str:
    if value.mean is None:
        return "–"
    if value.high is None:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} ± {value.high - value.mean:.3f}"
