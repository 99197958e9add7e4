"""Rank of a model among the published ones of THEval.

Takes the mean raw values of a model's clips (definition `release`, as `theval-data score
--definition release --json` gives them under `mean`, or a CSV with the eight metrics as columns),
normalises them by the published row of real videos, and prints the leaderboard including the model.
Without a file, it prints the published table.

    python examples/theval_leaderboard.py
    theval-data score my-model/ --definition release --json > mine.json
    python examples/theval_leaderboard.py mine.json --name "My model"

A model that lacks one of the eight metrics has no final score and no rank; its normalised metrics are
still shown.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from theval_datasets.evaluation import published_leaderboard, published_reference, rank_of, score
from theval_datasets.evaluation.theval import METRICS

SHORT = ("aesthetic", "mouth", "face", "lips", "head", "brow", "silent", "sync")


def read_means(path: Path) -> dict[str, float | None]:
    """Mean raw values by metric, from `score --json` or a CSV of one row per clip."""
    if path.suffix.lower() == ".json":
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["definition"] != "release":
            raise SystemExit(
                f"{path} holds the definition {plain['definition']!r}; the published values are in "
                "`release`: score with --definition release"
            )
        return {name: plain["mean"][name]["value"] for name in METRICS}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    means: dict[str, float | None] = {}
    for name in METRICS:
        values = [float(row[name]) for row in rows if (row.get(name) or "").strip()]
        means[name] = sum(values) / len(values) if values else None
    return means


def board(means: Mapping[str, float | None] | None, name: str) -> list[dict[str, object]]:
    """Rows from the best to the worst; those without a final score come last."""
    published = published_leaderboard()
    finals = [entry.final for entry in published]
    rows: list[dict[str, object]] = [
        {"model": entry.model, "final": entry.final, **entry.normalised} for entry in published
    ]
    if means is not None:
        mine = score(means, published_reference())
        rows.append({"model": name, "final": mine.final, **mine.normalised})
        if mine.final is not None:
            finals.append(mine.final)
    for row in rows:
        final = row["final"]
        row["rank"] = rank_of(final if isinstance(final, float) else None, finals)
    return sorted(rows, key=lambda row: (row["rank"] is None, row["rank"] or 0))


def line(row: Mapping[str, object]) -> str:
    """A row of the printed table."""
    cells = [row["final"], *(row[name] for name in METRICS)]
    shown = [f"{cell:10.4f}" if isinstance(cell, float) else f"{'–':>10}" for cell in cells]
    return f"{row['rank'] or '–'!s:>4}  {row['model']!s:<20}" + "".join(shown)


def main() -> int:
    """Print the leaderboard."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("means", type=Path, nargs="?", help="JSON of `score`, or a CSV")
    parser.add_argument("--name", default="this model")
    options = parser.parse_args()
    means = None if options.means is None else read_means(options.means)
    print(f"{'rank':>4}  {'model':<20}" + "".join(f"{h:>10}" for h in ("final", *SHORT)))
    for row in board(means, options.name):
        print(line(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
