"""Train a quality metric on a built dataset, without a video in sight.

Reads the config `features` of `theval/thqa-mt` (or any dataset with opinion scores and folds), and
for every fold trains on the others and predicts it:

* `regressor`: two fully connected layers over the pooled features, mean squared error, as
  EvalTalker's head is; needs torch, and is left out where it is not installed,
* `trees`: a random forest; needs scikit-learn only.

Prints mean and 95 % confidence interval over the folds of SRCC, PLCC, KRCC and RMSE. No content is
shared between folds: they are the dataset's own column.

    python examples/train_metric.py theval/thqa-mt
    python examples/train_metric.py demo-out/theval/thqa-mt --model trees

Null features become the median of the training clips. Columns that tell the answer (scores, votes)
or only name the clip (generator, portrait) are not used.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from datasets import load_dataset

from theval_datasets.evaluation import krcc, plcc, rmse, srcc

MEASURES = {"SRCC": srcc, "PLCC": plcc, "KRCC": krcc, "RMSE": rmse}
HIDDEN = 128
EPOCHS = 300
RATE = 1e-3
DECAY = 1e-2
TREES = 300
SEED = 0
FEW = 10
_ANSWERS = ("mos", "n_ratings", "fold", "seed", "level")
_NAMES = ("source_start", "source_end")

Predict = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Table:
    """Features of the clips that have a score and a fold.

    Attributes:
        names: Of the features; an embedding counts for each of its numbers.
        features: (clips, features), NaN where null.
        scores: (clips,).
        folds: (clips,).
    """

    names: list[str]
    features: np.ndarray
    scores: np.ndarray
    folds: np.ndarray


def read(dataset: str, target: str = "mos", revision: str | None = None) -> Table:
    """Load a dataset from the Hub or a folder."""
    splits = load_dataset(dataset, "features", revision=revision)
    rows = [row for split in splits.values() for row in split]
    rows = [row for row in rows if row[target] is not None and row["fold"] is not None]
    if not rows:
        raise SystemExit(f"{dataset} has no clip with {target} and a fold")
    names, columns = [], []
    for name in rows[0]:
        if name in _NAMES or any(part in name for part in _ANSWERS):
            continue
        values = [row[name] for row in rows]
        first = next((value for value in values if value is not None), None)
        if isinstance(first, (int, float)) and not isinstance(first, bool):
            names.append(name)
            columns.append([np.nan if value is None else float(value) for value in values])
        elif isinstance(first, list) and first and isinstance(first[0], float):
            blank = [np.nan] * len(first)
            names += [f"{name}[{i}]" for i in range(len(first))]
            columns += np.array([blank if v is None else v for v in values], float).T.tolist()
    if not columns:
        raise SystemExit(f"{dataset} has no feature that is a number: nothing to train on")
    return Table(
        names,
        np.array(columns).T,
        np.array([row[target] for row in rows]),
        np.array([row["fold"] for row in rows]),
    )


def filled(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nulls as the training clips' median, everything in their standard deviations."""
    known = np.isfinite(train).any(axis=0)
    train, test = train[:, known], test[:, known]
    middle = np.nanmedian(train, axis=0)
    train, test = (np.where(np.isfinite(part), part, middle) for part in (train, test))
    centre, spread = train.mean(axis=0), train.std(axis=0)
    spread[spread == 0] = 1.0
    return (train - centre) / spread, (test - centre) / spread


def trees(train: np.ndarray, scores: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """A random forest."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=TREES, random_state=seed, n_jobs=-1)
    return np.asarray(forest.fit(train, scores).predict(test))


def regressor(train: np.ndarray, scores: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Two fully connected layers, mean squared error."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    torch.set_num_threads(1)  # the net is small: more threads wait for each other
    net = nn.Sequential(nn.Linear(train.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
    steps = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    loss = nn.MSELoss()
    x = torch.tensor(train, dtype=torch.float32)
    middle, spread = scores.mean(), scores.std() or 1.0
    y = torch.tensor((scores - middle) / spread, dtype=torch.float32)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(64):
            steps.zero_grad()
            loss(net(x[batch]).squeeze(1), y[batch]).backward()
            steps.step()
    with torch.no_grad():
        predicted = net(torch.tensor(test, dtype=torch.float32)).squeeze(1).numpy()
    return np.asarray(predicted, float) * spread + middle


MODELS: dict[str, Predict] = {"regressor": regressor, "trees": trees}


def cross_validate(table: Table, predict: Predict, seed: int = SEED) -> dict[str, list[float]]:
    """Each measure on each fold; a fold in which one is undefined is left out."""
    scores: dict[str, list[float]] = {name: [] for name in MEASURES}
    for fold in np.unique(table.folds):
        test = table.folds == fold
        train, held = filled(table.features[~test], table.features[test])
        predicted = predict(train, table.scores[~test], held, seed)
        for name, measure in MEASURES.items():
            value = measure(predicted, table.scores[test])
            if value is not None:
                scores[name].append(value)
    return scores


def interval(values: list[float]) -> tuple[float, float]:
    """Mean, and half-width of its 95 % confidence interval over folds (Student's t)."""
    from scipy.stats import t

    if len(values) < 2:
        return (values[0] if values else float("nan")), float("nan")
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(half)


def main() -> int:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", help="folder of a built dataset, or its name on the Hub")
    parser.add_argument("--target", default="mos", help="column to predict")
    parser.add_argument("--model", choices=(*MODELS, "all"), default="all")
    parser.add_argument("--revision", help="such as v0.1.0, for a dataset on the Hub")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    table = read(options.dataset, options.target, options.revision)
    folds, sizes = np.unique(table.folds, return_counts=True)
    print(f"{len(table.scores)} clips, {len(table.names)} features, {len(folds)} folds")
    if len(folds) < 2:
        raise SystemExit("there is one fold only: nothing to train on when it is held out")
    if sizes.min() < FEW:
        print(f"a fold has {sizes.min()} clips only: correlations within it mean little")
    for name in MODELS if options.model == "all" else (options.model,):
        if name == "regressor" and importlib.util.find_spec("torch") is None:
            print(f"{name:<10} left out: torch is not installed")
            continue
        results = cross_validate(table, MODELS[name], options.seed)
        shown = [f"{m} {mean:.3f} ± {half:.3f}" for m, (mean, half) in
                 ((m, interval(values)) for m, values in results.items())]  # fmt: skip
        print(f"{name:<10} " + "  ".join(shown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
