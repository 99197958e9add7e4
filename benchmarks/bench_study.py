"""Subjective statistics against the public reference program, in the same run."""

from __future__ import annotations

import contextlib
import io
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl

from benchmarks._rows import Row, at_least, at_most
from theval_datasets.curation.study.mos import opinion_scores
from theval_datasets.curation.study.parameters import preset
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.study import run_study
from theval_datasets.curation.study.tables import from_frame, read_ratings
from theval_datasets.evaluation import FitBoundWarning, bootstrap, fit_map

SIZES = ((40, 5_492), (24, 2_000))
"""Numbers of subjects and clips: those of THQA-MT, and roughly those of Gen3DHF."""


def run() -> list[Row]:
    """Measure all figures; this takes about a minute."""
    rows: list[Row] = []
    for subjects, clips in SIZES:
        rows += _against_sureal(subjects, clips)
    rows += _ten_million()
    rows.append(_bootstrap())
    rows += _logistic()
    return rows


def made(subjects: int, clips: int, seed: int = 0) -> np.ndarray:
    """Whole-number ratings 1–5, (clips, subjects); three subjects guess."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(3, 0.9, (clips, 1)) + rng.normal(0, 0.7, (clips, subjects))
    matrix[:, :3] = rng.uniform(1, 5, (clips, 3))
    return np.clip(np.round(matrix), 1, 5)


def _against_sureal(subjects: int, clips: int) -> list[Row]:
    from sureal.dataset_reader import RawDatasetReader
    from sureal.subjective_model import SubjrejMosModel

    matrix = made(subjects, clips)
    names = [f"s{i:04d}" for i in range(subjects)]
    dataset = SimpleNamespace(
        dataset_name="made",
        ref_videos=[{"content_id": 0, "content_name": "c", "path": "r"}],
        dis_videos=[
            {
                "content_id": 0,
                "asset_id": i,
                "path": f"v{i}",
                "os": dict(zip(names, row.tolist(), strict=True)),
            }
            for i, row in enumerate(matrix)
        ],
    )
    reader = RawDatasetReader(dataset)
    reference, parameters = preset("sureal"), preset("bt500")

    def theirs() -> object:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SubjrejMosModel(reader).run_modeling()

    def fresh() -> Ratings:
        return Ratings.from_matrix(matrix)

    def ours(ratings: Ratings) -> object:
        return opinion_scores(ratings.panel(), parameters)

    fast = _best_of_fresh(fresh, ours, 15)
    slow = _best(theirs, 3)
    fast = min(fast, _best_of_fresh(fresh, ours, 15))
    exact = _best_of_fresh(fresh, lambda ratings: opinion_scores(ratings.panel(), reference), 3)
    clip, subject = np.indices(matrix.shape).reshape(2, -1)
    frame = pl.DataFrame(
        {
            "subject": [names[i] for i in subject],
            "clip_id": [f"c{i:05d}" for i in clip],
            "score": matrix.ravel(),
        }
    )
    from_text = _best(lambda: opinion_scores(from_frame(frame).panel(), parameters), 5)
    ours = opinion_scores(fresh().panel(), reference)
    reference_scores = theirs()
    difference = float(np.abs(ours.mos - np.array(reference_scores["quality_scores"])).max())  # type: ignore[index]
    size = f"BT.500, {subjects} x {clips:,}"
    note = f"sureal {1e3 * slow:.0f} ms, ours {1e3 * fast:.2f} ms from a long table in memory"
    return [
        at_least(f"{size}: against sureal 0.9.0", slow / fast, "x", 300, note),
        Row(f"{size}: preset sureal, with its rounding", slow / exact, "x", note=f"{exact:.3f} s"),
        Row(f"{size}: from a table of names", slow / from_text, "x", note=f"{from_text:.3f} s"),
        at_most(f"{size}: largest difference from sureal's MOS", difference, "", 1e-9),
    ]


def _ten_million() -> list[Row]:
    subjects, clips = 200, 50_000
    matrix = made(subjects, clips, seed=1).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.parquet"
        clip = pl.Series("clip_id", [f"clip_{i:06d}" for i in range(clips)], dtype=pl.String)
        subject = pl.Series("subject", [f"subject_{i:03d}" for i in range(subjects)])
        order = np.random.default_rng(0).permutation(matrix.size)
        pl.DataFrame(
            {
                "subject": subject.gather(order % subjects),
                "clip_id": clip.gather(order // subjects),
                "score": matrix.ravel()[order],
            }
        ).write_parquet(path)
        del matrix, order
        start = time.perf_counter()
        ratings = read_ratings(path)
        loaded = time.perf_counter()
        scores = opinion_scores(ratings.panel(), preset("thqa-mt"))
        scored = time.perf_counter()
        run_study(ratings, preset("bt500"))
        reported = time.perf_counter()
    if len(ratings) != subjects * clips or not np.isfinite(scores.mos).all():
        raise RuntimeError("the table did not come back whole")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    parts = f"{loaded - start:.1f} s to read, check and sort, {scored - loaded:.1f} s to score"
    return [
        at_most("10,000,000 ratings, Parquet to MOS", scored - start, "s", 30, parts),
        Row("10,000,000 ratings, reports on subjects too", reported - scored, "s"),
        at_most("10,000,000 ratings, peak memory", peak, "GiB", 8),
    ]


def _bootstrap() -> Row:
    rng = np.random.default_rng(0)
    x = rng.normal(size=17)
    y = x + rng.normal(size=17)
    seconds = _best(lambda: bootstrap(x, y, "srcc", n_resamples=10_000), 5)
    return at_most("bootstrap of SRCC, 17 models, 10,000 resamples", seconds, "s", 0.1)


def _logistic() -> list[Row]:
    """Seconds on 5,000 pairs: the slower of smooth data and a step."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, 5000)
    kinds = (5 / (1 + np.exp(5 - x)) + 0.3 * rng.normal(size=5000), (x > 5) * 4.0)
    rows = []
    for name in ("logistic4", "logistic5"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitBoundWarning)
            seconds = max(_best(lambda y=y, name=name: fit_map(x, y, name), 5) for y in kinds)
        rows.append(at_most(f"{name} map of 5,000 pairs", seconds, "s", 0.05))
    return rows


def _best(work: Callable[[], object], times: int) -> float:
    return _best_of_fresh(lambda: None, lambda _: work(), times)


def _best_of_fresh(make: Callable[[], object], work: Callable[..., object], times: int) -> float:
    """Seconds of the fastest of several runs, each on a fresh input, whose creation is not timed."""
    seconds = []
    for _ in range(times):
        given = make()
        start = time.perf_counter()
        work(given)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
