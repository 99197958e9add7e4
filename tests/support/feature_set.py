"""Built datasets of made-up features and scores, for tests of trained metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from theval_datasets.manifest.info import (
    ColumnInfo,
    ConfigInfo,
    ExtractorInfo,
    Info,
    SplitInfo,
    write_info,
)

ORIGINS = {
    "vst": "vst", "sapiens": "sapiens", "qwen_sync": "qwen_sync", "arcface": "arcface",
    "identity_consistency": "identity", "lip_sync": "theval_signals", "head_motion": "theval_signals",
    "mos": "ratings", "mos_std": "ratings", "n_ratings": "ratings", "fold": "folds",
    "duration": "media", "width": "media", "generator": "clips", "own": "features",
}  # fmt: skip


def write_set(
    folder: Path,
    columns: Mapping[str, Sequence[Any] | pa.Array],
    *,
    name: str = "thqa-mt",
    weights: Mapping[str, str] = {},
    origins: Mapping[str, str] = {},
) -> Path:
    """Write a dataset of one config `features`.

    Args:
        folder: To write to.
        columns: Of the table.
        name: Of the dataset.
        weights: Weights of extractors, by their name.
        origins: Of columns that are not in `ORIGINS`.
    """
    table = pa.table(dict(columns))
    path = folder / "features" / "train.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    known = {**ORIGINS, **origins}
    config = ConfigInfo(
        "",
        tuple(ColumnInfo(item, "", "", origin=known.get(item, "manifest")) for item in columns),
        {"train": SplitInfo(len(table), 0, 0, ("features/train.parquet",))},
    )
    extractors = {
        item: ExtractorInfo(1, {}, text, "decoder", {}, text) for item, text in weights.items()
    }
    write_info(
        folder,
        Info(f"theval/{name}", "0.1.0", "0", {"features": config}, {}, "", extractors=extractors),
    )
    return folder


def rated(n: int = 60, *, seed: int = 0, n_folds: int = 5) -> dict[str, Any]:
    """Columns of clips whose score follows one number of `vst` and `identity_consistency`."""
    rng = np.random.default_rng(seed)
    vst = rng.normal(size=(n, 4)).astype(np.float32)
    same = rng.uniform(0.2, 0.9, n)
    mos = 2.5 + 0.6 * vst[:, 1] + 2.0 * (same - 0.55) + rng.normal(0, 0.1, n)
    return {
        "clip_id": [f"clip-{i:03}" for i in range(n)],
        "sha256": [f"{i:064x}" for i in range(n)],
        "content_id": [f"portrait-{i}" for i in range(n)],
        "duration": rng.uniform(3, 5, n).tolist(),
        "vst": pa.array(vst.tolist(), pa.list_(pa.float32())),
        "sapiens": pa.array(rng.normal(size=(n, 3)).tolist(), pa.list_(pa.float32())),
        "identity_consistency": same.tolist(),
        "qwen_sync": pa.nulls(n, pa.list_(pa.float32())),
        "mos": np.clip(mos, 0, 5).tolist(),
        "mos_std": rng.random(n).tolist(),
        "n_ratings": [20] * n,
        "generator": [f"generator-{i % 3}" for i in range(n)],
        "fold": [i % n_folds for i in range(n)],
        "missing": [["qwen_sync:weights-missing"] for _ in range(n)],
    }
