"""Text files that are damaged, hostile or no files: one sentence, exit code 2, nothing written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from theval_datasets import cli
from theval_datasets.manifest.rows import ManifestRow, Source

ROW = json.loads(ManifestRow("a", "a.mp4", Source("local", "a.mp4"), "0" * 64).to_json())


def _line(**changes: object) -> bytes:
    return json.dumps(ROW | changes).encode() + b"\n"


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a loop of links": _loop,
    "a link to nothing": lambda path: path.symlink_to("gone"),
    "bytes that are not UTF-8": lambda path: path.write_bytes(_line(clip_id="b")[:-3] + b'\xff"}\n'),
    "a lone surrogate": lambda path: path.write_bytes(_line(clip_id="\ud800")),
    "a number of 400 digits": lambda path: path.write_bytes(_line(start=10**400)),
    "a list 900 deep": lambda path: path.write_bytes(
        _line(tools="DEEP").replace(b'"DEEP"', b"[" * 900 + b"]" * 900)
    ),
    "a list 90,000 deep": lambda path: path.write_bytes(b"[" * 90_000),
    "NUL bytes": lambda path: path.write_bytes(bytes(1000)),
    "NaN": lambda path: path.write_bytes(_line(start=float("nan"))),
    "one value": lambda path: path.write_bytes(b"7\n"),
}  # fmt: skip

READERS: dict[str, tuple[str, str]] = {
    "rebuild": ("manifest.jsonl", "rebuild IN/manifest.jsonl -o OUT"),
    "extract": ("manifest.jsonl", "extract IN --features vad --cache OUT"),
    "index": ("manifest.jsonl", "index IN -o OUT"),
    "funnel": ("manifest.jsonl", "funnel IN -o OUT"),
    "build": ("manifest.jsonl", "build theval --manifest IN -o OUT"),
    "takedown": ("manifest.jsonl", "takedown a --manifest IN"),
    "joined columns": ("x.parquet", "build theval --manifest GOOD --with features=IN/x.parquet -o OUT"),
    "study, CSV": ("ratings.csv", "study IN/ratings.csv -o OUT"),
    "study, JSON lines": ("ratings.jsonl", "study IN/ratings.jsonl -o OUT"),
    "study, Parquet": ("ratings.parquet", "study IN/ratings.parquet -o OUT"),
    "recipe": ("r.yaml", "curate GOOD --recipe IN/r.yaml -o OUT"),
    "archive": ("x.zip", "curate IN/x.zip --recipe as-is -o OUT"),
    "verify": ("info.json", "verify IN"),
    "diff": ("info.json", "diff IN IN"),
    "push": ("info.json", "push IN someone/name"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("reader", READERS)
def test_one_sentence_and_nothing_written(reader, kind, tmp_path, monkeypatch, capsys):
    name, command = READERS[reader]
    places = {word: tmp_path / word.lower() for word in ("IN", "OUT", "GOOD")}
    places["IN"].mkdir()
    HOSTILE[kind](places["IN"] / name)
    places["GOOD"].mkdir()
    (places["GOOD"] / "manifest.jsonl").write_bytes(_line())
    for word, place in places.items():
        command = command.replace(word, str(place))
    monkeypatch.setattr(sys, "argv", ["theval-data", *command.split()])
    with pytest.raises(SystemExit) as end:
        cli.main()
    error = capsys.readouterr().err
    assert end.value.code == 2, error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert len(error) < 1000
    assert not places["OUT"].exists()
    assert [path.name for path in places["IN"].iterdir()] == [name]
