"""A trained metric as a folder: weights as safetensors, `config.json`, card, out-of-fold predictions."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from theval_datasets.errors import InputError
from theval_datasets.utils.files import atomic_write, write_text
from theval_datasets.utils.json_files import read_json
from theval_datasets.utils.optional import require
from theval_datasets.utils.records import from_plain, to_plain

from .models import EXTRA, KINDS, Fitted, fit
from .parameters import ModelName, ModelParameters, Nulls
from .samples import Samples, filled, medians_of
from .tables import FeatureRows, Floats, is_known, joined

WEIGHTS_NAME: Final = "model.safetensors"
CONFIG_NAME: Final = "config.json"
PREDICTIONS_NAME: Final = "predictions.csv"
CARD_NAME: Final = "README.md"
FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class TrainedFeature:
    """A feature of a trained metric.

    Attributes:
        name: Column of the config `features`.
        size: Length of the vector; 1 for a number.
        origin: Extractor, or kind of input, from which the column comes.
        digest: Digest of the extractor's code, parameters and weights; "" for other origins.
        median: Values that replace null, of length `size`.
        references: References of the measurement in the training clips, such as ``portrait``; () if the
            dataset states none.
    """

    name: str
    size: int
    origin: str
    digest: str
    median: tuple[float, ...]
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.median) != self.size:
            raise InputError(f"expected {self.size} medians of {self.name}, got {len(self.median)}")


@dataclass(frozen=True)
class MetricConfig:
    """Description of a trained metric.

    Attributes:
        model: ``evaltalker`` or ``forest``.
        target: Column that it predicts.
        features: Its features, in the order of its input.
        nulls: Treatment of clips with a null feature: ``median`` or ``leave-out``.
        parameters: Parameters of the model.
        dataset: Name of the training dataset.
        dataset_version: Version of that dataset.
        n_clips: Number of training clips.
        low: Smallest score of the training clips.
        high: Largest score of the training clips.
        folding: Description of the folds of its test.
        toolkit: Version of this package that trained the metric.
        format_version: Version of this layout.

    Examples:
        >>> features = TrainedFeature("fps", 1, "media", "", (25.0,)), TrainedFeature("sync", 2, "lip", "", (0, 0))
        >>> MetricConfig("forest", "mos", features, "median", {}, "me/clips", "1.0.0", 9, 1, 5, "", "0.1").size
        3
    """

    model: ModelName
    target: str
    features: tuple[TrainedFeature, ...]
    nulls: Nulls
    parameters: Mapping[str, float]
    dataset: str
    dataset_version: str
    n_clips: int
    low: float
    high: float
    folding: str
    toolkit: str
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if not self.features:
            raise InputError("expected at least one feature")

    @property
    def size(self) -> int:
        """Length of the input vector."""
        return sum(feature.size for feature in self.features)


@dataclass(frozen=True)
class Scored:
    """Score of a clip.

    Attributes:
        clip_id: Id of the clip.
        score: Score on the scale of the target; None if the metric cannot score the clip.
        reason: ``null-features`` if there is no score, else None.
        null: Features that are null, with the reason, such as ``lip_sync:no-audio``; if there is a score,
            medians replaced them.
    """

    clip_id: str
    score: float | None
    reason: str | None = None
    null: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainedMetric:
    """A trained metric.

    Attributes:
        config: Description of the metric.
        fitted: Fitted model.
        seen: Id and SHA-256 of each training clip, the latter None where it is unknown; None if the
            folder does not list them.
    """

    config: MetricConfig
    fitted: Fitted
    seen: frozenset[tuple[str, str | None]] | None = None

    def score(self, rows: FeatureRows) -> tuple[Scored, ...]:
        """Score the clips of a dataset, in the order of its rows.

        Raises:
            InputError: A feature is not in the rows, has another size, or was computed in another way
                than that of the training clips.
        """
        features: dict[str, Floats] = {}
        reasons: dict[str, list[tuple[str, ...]]] = {}
        for feature in self.config.features:
            features[feature.name], reasons[feature.name] = self._matrix(feature, rows)
        known = is_known(features)
        medians = np.concatenate([feature.median for feature in self.config.features])
        predicted = self.fitted.predict(filled(joined(features), medians))
        scored = []
        for row, clip_id in enumerate(rows.clip_ids):
            null = tuple(
                f"{name}:{'+'.join(reasons[name][row]) or 'null'}"
                for name in features
                if not known[name][row]
            )
            hopeless = len(null) == len(features) or (null and self.config.nulls == "leave-out")
            scored.append(
                Scored(clip_id, None, "null-features", null)
                if hopeless
                else Scored(clip_id, float(predicted[row]), None, null)
            )
        return tuple(scored)

    def has_seen(self, rows: FeatureRows) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Whether each clip of a dataset is a training clip, (rows,); None if these are unknown.

        Clips are compared by file, or by id if the hash of either is unknown.
        """
        if self.seen is None:
            return None
        hashes = {sha256 for _, sha256 in self.seen}
        ids = {clip_id for clip_id, _ in self.seen}
        unhashed = {clip_id for clip_id, sha256 in self.seen if sha256 is None}
        return np.array(
            [
                clip_id in ids if sha256 is None else sha256 in hashes or clip_id in unhashed
                for clip_id, sha256 in zip(rows.clip_ids, rows.hashes, strict=True)
            ],
            bool,
        )

    def _matrix(
        self, feature: TrainedFeature, rows: FeatureRows
    ) -> tuple[Floats, list[tuple[str, ...]]]:
        """Values of a feature, NaN where they are null, and for each clip the reasons."""
        if feature.name not in rows.rows.column_names:
            raise InputError(
                f"the metric needs the feature {feature.name} ({feature.origin}), which {rows.name} lacks"
            )
        digest = rows.digests.get(rows.origins.get(feature.name, ""), "")
        matrix, reasons = rows.numbers(feature.name), rows.reasons(feature.name)
        if not matrix.shape[1]:
            return np.full((len(matrix), feature.size), np.nan), reasons
        if digest and feature.digest and digest != feature.digest:
            raise InputError(
                f"{feature.name} in {rows.name} was computed by another version, with other parameters or "
                f"with other weights of {feature.origin} than the metric was trained on; extract it in the "
                "same way, or train the metric again"
            )
        if matrix.shape[1] != feature.size:
            raise InputError(
                f"expected {feature.size} numbers a clip in {feature.name}, got {matrix.shape[1]} in {rows.name}"
            )
        for row, against in enumerate(rows.references(feature.name) if feature.references else ()):
            if against is not None and against not in feature.references:
                matrix[row], reasons[row] = np.nan, (f"against-{against}",)
        return matrix, reasons


def train_metric(
    samples: Samples,
    model: ModelName,
    parameters: ModelParameters,
    nulls: Nulls,
    toolkit: str,
) -> TrainedMetric:
    """Train a metric on all clips.

    Args:
        samples: The clips.
        model: Name of the model.
        parameters: Parameters of the model.
        nulls: Treatment of clips with a null feature: ``median`` or ``leave-out``.
        toolkit: Version of this package.
    """
    matrix = joined(samples.features)
    medians = medians_of(matrix)
    fitted = fit(model, filled(matrix, medians), samples.scores, parameters)
    rows = samples.rows
    features, at = [], 0
    for name, values in samples.features.items():
        size = values.shape[1]
        origin = rows.origins.get(name, "")
        features.append(
            TrainedFeature(
                name, size, origin, rows.digests.get(origin, ""),
                tuple(medians[at : at + size].tolist()),
                tuple(sorted({reference for reference in rows.references(name) if reference is not None})),
            )
        )  # fmt: skip
        at += size
    config = MetricConfig(
        model=model,
        target=samples.target,
        features=tuple(features),
        nulls=nulls,
        parameters=parameters.of(model),
        dataset=rows.name,
        dataset_version=rows.version,
        n_clips=len(samples),
        low=float(samples.scores.min()),
        high=float(samples.scores.max()),
        folding=samples.folding,
        toolkit=toolkit,
    )
    seen = frozenset(zip(rows.clip_ids, rows.hashes, strict=True))
    return TrainedMetric(config, fitted, seen)


def check_place(folder: Path) -> None:
    """Check that a metric written to a folder replaces nothing but an earlier metric.

    Args:
        folder: Folder to write to; it need not exist.

    Raises:
        InputError: It is a file, or holds files of these names that are not those of a metric.

    Examples:
        >>> _ = Path("README.md").write_text("# My project")
        >>> check_place(Path())
        Traceback (most recent call last):
        theval_datasets.errors.InputError: the folder . has README.md, which is of no trained metric ...
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected a folder with -o, got the file {folder}; name a folder")
    names = (CONFIG_NAME, WEIGHTS_NAME, PREDICTIONS_NAME, CARD_NAME)
    there = [name for name in names if os.path.lexists(folder / name)]
    if there and not _is_config(folder / CONFIG_NAME):
        raise InputError(
            f"the folder {folder} has {' and '.join(there)}, which is of no trained metric and would be "
            "replaced; name another folder with -o"
        )


def _is_config(path: Path) -> bool:
    """Whether a file is the description of a trained metric, of any version."""
    try:
        plain = read_json(path)
    except (InputError, OSError):
        return False
    return isinstance(plain, dict) and {"format_version", "target", "features"} <= plain.keys()


def write_metric(
    folder: Path, metric: TrainedMetric, samples: Samples, predicted: Floats
) -> list[Path]:
    """Write a trained metric, without its card.

    Args:
        folder: Folder to write to; files of an earlier metric are replaced.
        metric: The metric.
        samples: Training clips.
        predicted: (clips,): out-of-fold predictions of the clips.

    Returns:
        The files: weights, configuration, out-of-fold predictions.
    """
    safetensors = require("safetensors.numpy", extra=EXTRA)
    places = [folder / name for name in (WEIGHTS_NAME, CONFIG_NAME, PREDICTIONS_NAME)]
    text = json.dumps(to_plain(metric.config), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(places[1], text + "\n")  # first, since `check_place` recognises a metric by it
    with atomic_write(places[0]) as stream:
        tensors = {name: np.ascontiguousarray(t) for name, t in metric.fitted.tensors.items()}
        stream.write(safetensors.save(tensors, metadata={"format": "pt"}))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["clip_id", "sha256", "fold", "set", samples.target, "predicted"])
    for row, (clip_id, sha256) in enumerate(
        zip(samples.rows.clip_ids, samples.rows.hashes, strict=True)
    ):
        value = predicted[row]
        writer.writerow([
            clip_id, sha256 or "", samples.folds[row],
            samples.sets[row] if samples.sets else "", float(samples.scores[row]),
            float(value) if np.isfinite(value) else "",
        ])  # fmt: skip
    write_text(places[2], table.getvalue())
    return places


def read_metric(folder: Path) -> TrainedMetric:
    """Read a trained metric.

    Raises:
        InputError: The folder holds none, or one that is damaged or of a newer format.
        MissingExtraError: safetensors is not installed.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise InputError(
            f"{folder} holds no trained metric: it has no {CONFIG_NAME}. "
            "`theval-data train DIR -o OUT` writes one to OUT"
        )
    safetensors = require("safetensors.numpy", extra=EXTRA)
    safetensors_error = require("safetensors", extra=EXTRA).SafetensorError
    plain = read_json(path)
    at = plain.get("format_version") if isinstance(plain, dict) else None
    if at != FORMAT_VERSION or isinstance(at, bool):
        raise InputError(
            f"{path}: expected format_version {FORMAT_VERSION}, got {at!r}; a newer package may read it"
        )
    config = from_plain(MetricConfig, plain, str(path))
    weights = folder / WEIGHTS_NAME
    try:
        tensors = safetensors.load(weights.read_bytes())
    except (OSError, safetensors_error, ValueError, KeyError) as error:
        raise InputError(f"{weights} cannot be read as safetensors: {error}") from None
    fitted = KINDS[config.model](tensors)
    try:
        fitted.check(config.size)
    except InputError as error:
        raise InputError(f"{weights}: {error}") from None
    return TrainedMetric(config, fitted, _read_seen(folder / PREDICTIONS_NAME, config.n_clips))


def _read_seen(path: Path, n_clips: int) -> frozenset[tuple[str, str | None]] | None:
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [(row["clip_id"], row["sha256"] or None) for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise InputError(f"{path} cannot be read as the predictions of a metric: {error}") from None
    if len(rows) != n_clips:
        raise InputError(
            f"{path} lists {len(rows)} training clips, {CONFIG_NAME} says {n_clips}: copy the metric again"
        )
    return frozenset(rows)
