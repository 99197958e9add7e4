"""Train two quality metrics on a built dataset and compare them; no video is needed.

Reads the config `features` of `theval/thqa-mt` (or of any built dataset with opinion scores and folds),
tests EvalTalker's head and a random forest over its folds on the same features, and compares the two by
their paired results on each fold.

    python examples/train_metric.py theval/thqa-mt
    python examples/train_metric.py out/theval/thqa --features 'published_*'

The command `theval-data train` does the same for one model, and saves the metric.
"""

from __future__ import annotations

import argparse
import sys

import theval_datasets as td


def main() -> int:
    """Print the report of each model, and the difference of their SRCC."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("dataset", help="folder of a built dataset, or its name on the Hub")
    parser.add_argument("--target", default="mos", help="column to predict")
    parser.add_argument("--features", default="", help="columns, with commas between them")
    options = parser.parse_args()
    srcc = []
    for model in ("evaltalker", "forest"):
        report = td.train(
            options.dataset, model=model, target=options.target, features=options.features
        )
        print(report.to_text(), end="\n\n")
        srcc.append([fold["srcc"] for fold in report.results[0].folds.values()])
    pairs = [(a, b) for a, b in zip(*srcc, strict=True) if a is not None and b is not None]
    gain = td.evaluation.mean_interval([a - b for a, b in pairs])
    if gain.mean is not None and gain.low is not None and gain.high is not None:
        print(
            f"SRCC of evaltalker less that of forest, over {gain.n} folds: {gain.mean:+.3f} "
            f"[{gain.low:+.3f}, {gain.high:+.3f}]"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
