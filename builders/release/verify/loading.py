"""Checks of card, Croissant file and `load_dataset`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from theval_datasets.manifest.info import CARD_NAME, INFO_NAME
from theval_datasets.utils.files import sha256_file

from .built import BuiltDataset, Faults, types_differ

_CROISSANT: Final = "croissant.json"
_LOADED_WHOLE: Final = 64 << 20  # bytes of a config that is loaded and not only streamed


def check_card(built: BuiltDataset) -> Faults:
    """Contradictions of the card and the Croissant file with `info.json`."""
    import datasets
    from huggingface_hub import DatasetCard

    path = built.folder / CARD_NAME
    if sha256_file(path) != built.info.card_sha256:
        yield f"the hash of {CARD_NAME} differs from that in {INFO_NAME}"
    card = DatasetCard.load(path)
    infos = datasets.info.DatasetInfosDict.from_dataset_card_data(card.data)
    configs = {entry["config_name"]: entry for entry in card.data.get("configs") or []}
    if list(configs) != list(built.info.configs) or set(infos) != set(configs):
        yield f"configs {list(configs)} and {sorted(infos)} instead of {list(built.info.configs)}"
        return ""
    for name, config_info in built.info.configs.items():
        if str(configs[name].get("version")) != built.info.version:
            yield f"{name}: version {configs[name].get('version')} instead of {built.info.version}"
        files = {e["split"]: tuple(e["path"]) for e in configs[name]["data_files"]}
        if files != {split: numbers.files for split, numbers in config_info.splits.items()}:
            yield f"{name}: the card and {INFO_NAME} name different files"
        rows = {s: info.num_examples for s, info in (infos[name].splits or {}).items()}
        if rows != {split: numbers.rows for split, numbers in config_info.splits.items()}:
            yield f"{name}: the card says {rows} rows"
        types = {c: repr(kind) for c, kind in (infos[name].features or {}).items()}
        declared = {column.name: column.type for column in config_info.columns}
        if types != declared:
            yield f"{name}: the card's features: {types_differ(declared, types)}"
    path = built.folder / _CROISSANT
    if path.is_file():
        plain = json.loads(path.read_text(encoding="utf-8"))
        described = {
            record_set["name"]: [f["name"].partition("/")[2] for f in record_set["field"]]
            for record_set in plain["recordSet"]
        }
        if plain["version"] != built.info.version or described != {
            name: [column.name for column in config_info.columns]
            for name, config_info in built.info.configs.items()
        }:
            yield f"{_CROISSANT} describes another version, other configs or other columns"
    return f"{CARD_NAME} and what else describes them agree with the files"


def check_load(built: BuiltDataset) -> Faults:
    """Faults of splits, columns, rows and the default config as loaded into a new cache."""
    import datasets

    place = str(built.folder.resolve())
    with tempfile.TemporaryDirectory(prefix="theval-verify-") as scratch, _quietly():
        for config, config_info in built.info.configs.items():
            declared = {column.name: column.type for column in config_info.columns}
            streamed = (
                sum(split.arrow_bytes for split in config_info.splits.values()) > _LOADED_WHOLE
            )
            rows = datasets.load_dataset(
                place, config, cache_dir=f"{scratch}/{config}", streaming=streamed
            )
            if set(rows) != set(config_info.splits):
                yield f"{config}: splits {sorted(rows)} instead of {sorted(config_info.splits)}"
            for split in set(rows) & set(config_info.splits):
                n_rows = rows[split]
                types = {name: repr(kind) for name, kind in (n_rows.features or {}).items()}
                if types != declared:
                    yield f"{config}/{split}: {types_differ(declared, types)}"
                count = (
                    _streamed(place, config, split, config_info.key[0]) if streamed else len(n_rows)
                )
                if count != config_info.splits[split].rows:
                    yield f"{config}/{split}: {count} rows load instead of {config_info.splits[split].rows}"
        default = datasets.load_dataset(place, cache_dir=f"{scratch}/default", streaming=True)
        columns = [column.name for column in built.info.configs[built.first].columns]
        if any(list(rows.features or ()) != columns for rows in default.values()):
            yield f"load_dataset without a config name does not load {built.first!r}"
    total = sum(config.rows for config in built.info.configs.values())
    return f"load_dataset gives {total} rows in a fresh cache"


def _streamed(place: str, config: str, split: str, column: str) -> int:
    """Number of rows when one column of a split is streamed; a whole row is read too."""
    import datasets

    options = {"batch_size": 1}  # else 16 row groups are read ahead
    next(iter(datasets.load_dataset(place, config, split=split, streaming=True, **options)), None)
    rows = datasets.load_dataset(place, config, split=split, streaming=True, columns=[column])
    return sum(1 for _ in rows)


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress the progress bars of `datasets`."""
    import datasets

    off = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not off:
            datasets.enable_progress_bars()
