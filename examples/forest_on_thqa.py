"""Effect of the split on a result: a random forest on the published features of THQA.

THQA (800 clips, 20 portraits with five voices each, 8 generators) publishes 24 quality features and
an opinion score for each clip. The same forest is tested over five folds of four kinds:

* plain: shuffled clips, regardless of what they show,
* by portrait: no portrait in two folds,
* by voice: no voice in two folds (each portrait has voices of its own),
* by method: no generator in two folds.

Plain folds give the best result, because the forest has been trained on the same portraits. On new
portraits, or on an unseen generator, a metric reaches less: choose the column that folds must not
share, and report it with the result.

    python examples/forest_on_thqa.py vvmf_results_a01.csv

Needs scikit-learn (in the extra [dev]). The seed of the folds and of the forest is 0; `--seed`
changes both. A run takes about half a minute.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from theval_datasets.evaluation import grouped_folds, leak_report, plain_folds, srcc

NAME = re.compile(r"(?P<portrait>.+)_voice_en_(?P<voice>\d+)_(?P<method>.+)")
SEED = 0
FOLDS = 5
TREES = 300


@dataclass(frozen=True)
class Table:
    """Features (clips, 24), opinion scores, and the properties stated by each clip's name."""

    ids: list[str]
    features: np.ndarray
    scores: np.ndarray
    content: dict[str, list[str]]


def read(path: Path) -> Table:
    """Read the published file, whose columns are name, features and score."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    names = [row[0].removesuffix(".mp4") for row in rows]
    matches = [NAME.fullmatch(name) for name in names]
    content = {
        column: [
            match[column] if match else name for name, match in zip(names, matches, strict=True)
        ]
        for column in ("portrait", "voice", "method")
    }
    return Table(
        ids=names,
        features=np.array([[float(cell) for cell in row[1:-1]] for row in rows]),
        scores=np.array([float(row[-1]) for row in rows]),
        content=content,
    )


def folds_of(table: Table, column: str | None, seed: int) -> np.ndarray:
    """Five folds; plain ones without a column."""
    if column is None:
        return plain_folds(table.ids, FOLDS, seed=seed)
    folds = grouped_folds(
        {column: table.content[column]}, table.ids, FOLDS, mos=table.scores.tolist(), seed=seed
    )
    if leak_report(folds.tolist(), {column: table.content[column]}):
        raise RuntimeError(f"folds share a {column}")
    return folds


def forest_srcc(table: Table, folds: np.ndarray, seed: int) -> list[float]:
    """SRCC of the forest on each fold, trained on the others."""
    from sklearn.ensemble import RandomForestRegressor

    results = []
    for fold in range(FOLDS):
        test = folds == fold
        forest = RandomForestRegressor(n_estimators=TREES, random_state=seed, n_jobs=-1)
        forest.fit(table.features[~test], table.scores[~test])
        value = srcc(forest.predict(table.features[test]), table.scores[test])
        results.append(0.0 if value is None else value)
    return results


def run(path: Path, seed: int = SEED) -> dict[str, list[float]]:
    """SRCC on each fold, by the kind of folds."""
    table = read(path)
    return {
        kind: forest_srcc(table, folds_of(table, column, seed), seed)
        for kind, column in {
            "plain": None,
            "portrait": "portrait",
            "voice": "voice",
            "method": "method",
        }.items()
    }


def main() -> int:
    """Print one line for each kind of folds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("table", type=Path, help="vvmf_results_a01.csv of THQA")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    for kind, values in run(options.table, options.seed).items():
        folds = " ".join(f"{value:.3f}" for value in values)
        print(f"{kind:<9} SRCC {np.mean(values):.3f} ± {np.std(values):.3f}   folds {folds}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
