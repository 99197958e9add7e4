"""Distances of generated clips from their real counterparts: the baselines that THEval is compared with.

Counterparts have the same name in two folders. Prints for each pair, and as means, PSNR and SSIM of
frames at the same time, LMD-F and LMD-M of the meshes, LPIPS if the extra [lpips] and its backbone are
installed, and LSE-C and LSE-D if a table of SyncNet's results (``clip_id,lse_c,lse_d``) is given. An
undefined value is printed as a dash.

    python examples/compare_with_real.py real generated --cache cache --lse lse.csv

For FID and FVD, compute the Fréchet distance of your own features:
`theval_datasets.evaluation.frechet`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import AbsentError, MissingExtraError, WeightsMissingError
from theval_datasets.evaluation import pictures, references
from theval_datasets.extraction.cache import default_location
from theval_datasets.extraction.jobs import ClipJob
from theval_datasets.extraction.measure import compute
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.utils.files import sha256_file

Row = dict[str, float | None]


def partners(real: Path, generated: Path) -> list[tuple[str, Path, Path]]:
    """Name, real file and generated file of each clip that is in both folders."""
    ours = {p.stem: p for p in generated.iterdir() if p.is_file()}
    theirs = {p.stem: p for p in real.iterdir() if p.is_file()}
    return [(name, theirs[name], ours[name]) for name in sorted(ours.keys() & theirs.keys())]


def meshes(paths: list[Path], cache: str) -> list[Values | None]:
    """Landmarks of clips, computed if they are not in the cache; None without a face."""
    store = FeatureStore((Landmarks(),), cache)
    jobs = [ClipJob(path.stem, str(path), sha256_file(path)) for path in paths]
    compute(store, jobs, LocalEngine(0), "landmarks")
    values: list[Values | None] = []
    for job in jobs:
        feature = store.find("landmarks", job.sha256)
        values.append(feature.values if feature and feature.outcome.status == "ok" else None)
    return values


def distances(real: Path, generated: Path, measures: dict, cache: str) -> Row:
    """All distances of one pair of clips; None for what is undefined."""
    row: Row = dict.fromkeys((*measures, "lmd_f", "lmd_m"))
    try:
        row |= references.video_distances(generated, real, measures)
        a, b = meshes([generated, real], cache)
        if a is not None and b is not None:
            row["lmd_f"], row["lmd_m"] = references.landmark_distances(a, b)
    except AbsentError as error:
        print(f"{generated.name}: {error}", file=sys.stderr)
    return {name: value for name, value in row.items() if name != "pairs"}


def main() -> int:
    """Print a line per pair, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("real", type=Path)
    parser.add_argument("generated", type=Path)
    parser.add_argument("--cache", default=None, help="feature cache; the one of `extract`")
    parser.add_argument("--lse", type=Path, help="CSV with clip_id, lse_c, lse_d")
    options = parser.parse_args()
    measures = {"psnr": pictures.psnr, "ssim": pictures.ssim}
    try:
        measures["lpips"] = pictures.lpips()
    except (MissingExtraError, WeightsMissingError) as error:
        print(f"no LPIPS: {error}", file=sys.stderr)
    lse = references.read_lse(options.lse) if options.lse else {}
    rows: dict[str, Row] = {}
    for name, real, generated in partners(options.real, options.generated):
        rows[name] = distances(real, generated, measures, options.cache or default_location())
        if options.lse:
            rows[name] |= dict(zip(("lse_c", "lse_d"), lse.get(name, (None, None)), strict=True))
    if not rows:
        raise SystemExit(f"no clip has the same name in {options.real} and {options.generated}")
    columns = list(next(iter(rows.values())))
    print("  ".join(f"{column:>8}" for column in columns) + "  clip")
    for name, row in (*rows.items(), ("mean", mean_of(list(rows.values())))):
        shown = ("-" if row[c] is None else f"{row[c]:.4f}" for c in columns)
        print("  ".join(f"{value:>8}" for value in shown) + f"  {name}")
    return 0


def mean_of(rows: list[Row]) -> Row:
    """Means over the pairs that have a value."""
    means: Row = {}
    for column in rows[0]:
        values = [row[column] for row in rows if row[column] is not None]
        means[column] = sum(values) / len(values) if values else None
    return means


if __name__ == "__main__":
    sys.exit(main())
