"""What the cards tell people to type runs, for every config of every dataset."""

from __future__ import annotations

import os
import re
import wave
from pathlib import Path

import datasets
import numpy as np
import pytest
from feature_factory import DECODER, small_corpus
from PIL import Image

from theval_datasets import catalog
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.manifest.rows import ManifestRow, Source, write_manifest
from theval_datasets.utils.files import sha256_file

_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def theval(folder: Path, media) -> Inputs:
    corpus = small_corpus(folder)
    os.link(media("plain"), folder / "clip.mp4")
    row = ManifestRow("clip", "clip.mp4", Source("local", "clip.mp4"), sha256_file(media("plain")))
    write_manifest(corpus.manifest, [*corpus.rows, row])
    return Inputs(corpus.manifest, corpus.cache)


def thqa(folder: Path, media) -> Inputs:
    lines = [f"{p}_voice_en_{p}_ahead,{p % 5}" for p in range(8)]
    (folder / "vvmf_results_a01.csv").write_text("\n".join(["Image,Score", *lines]))
    return Inputs(release=folder)


def thqa_ntire(folder: Path, media) -> Inputs:
    for part, prompts in (("train", range(8)), ("val", [8]), ("test", [9])):
        lines = [f"{p}_flux_common_voice_en_{p}_eat.mp4,{p % 5}" for p in prompts]
        (folder / f"thqa_ntire_{part}.csv").write_text("\n".join(["Video,Score", *lines]))
    return Inputs(release=folder)


def gen3dhf(folder: Path, media) -> Inputs:
    lines = [
        f"s{s},seed{v:04d},{d},{(s * 3 + v * 2 + s * v) % 6}"
        for s in range(4)
        for v in range(10)
        for d in ("quality", "authenticity")
    ]
    path = folder / "ratings.csv"
    path.write_text("\n".join(["subject,clip,dimension,score", *lines]))
    (folder / "marks").mkdir()
    Image.new("RGB", (1536, 512)).save(folder / "marks" / "seed0000.png")
    return Inputs(tables={"ratings": path, "marks": folder / "marks"})


def thqa_mt(folder: Path, media) -> Inputs:
    inputs = theval(folder, media)
    (folder / "portraits").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "portraits" / "a.png")
    names = ("talk-0-800", "talk-800-1600", "room", "mute", "clip")
    (folder / "clips.csv").write_text(
        "\n".join(["clip_id,generator,portrait_id", *(f"{n},X,a" for n in names)])
    )
    lines = [f"s{s},{n},{(s + i) % 5}" for s in range(4) for i, n in enumerate(names)]
    (folder / "ratings.csv").write_text("\n".join(["subject,clip_id,score", *lines]))
    tables = {kind: folder / f"{kind}.csv" for kind in ("clips", "ratings")}
    return Inputs(
        inputs.manifest_path, inputs.cache, tables={**tables, "portraits": folder / "portraits"}
    )


def rsatalker(folder: Path, media) -> Inputs:
    (folder / "train").mkdir()
    for speaker in (1, 2):
        stem = f"abc_sub_video_1_speaker{speaker}"
        with wave.open(str(folder / "train" / f"{stem}.wav"), "wb") as track:
            track.setnchannels(1)
            track.setsampwidth(2)
            track.setframerate(16000)
            track.writeframes(bytes(3200))
        np.savez(folder / "train" / f"{stem}.npz", exp=np.zeros((4, 50)), pose=np.zeros((4, 6)))
    return Inputs(release=folder)


MAKERS = {
    "clips": theval,
    "theval": theval,
    "thqa": thqa,
    "thqa_ntire": thqa_ntire,
    "gen3dhf": gen3dhf,
    "thqa_mt": thqa_mt,
    "rsatalker": rsatalker,
}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_line_on_the_card_runs(name, media, tmp_path, monkeypatch):
    source = tmp_path / "in"
    source.mkdir()
    inputs = MAKERS[name](source, media)
    made = write_release(catalog.load("dataset", name), inputs, tmp_path, decoder=DECODER)
    monkeypatch.chdir(tmp_path)
    load = datasets.load_dataset

    def load_whole_first(*names: str, **options):
        """With a clip that has everything in front, as the examples read the first row."""
        rows = load(*names, cache_dir=str(tmp_path / "hf"), **options)
        if "clip_id" not in rows.column_names:
            return rows
        wanted = "clip" if "media" in names else "talk-0-800"
        first = [n for n, candidate in enumerate(rows["clip_id"]) if candidate == wanted]
        return rows.select([*first, *range(len(rows))])

    monkeypatch.setattr(datasets, "load_dataset", load_whole_first)
    blocks = _BLOCK.findall((made.folder / "README.md").read_text())
    assert len(blocks) >= len(made.info.configs)
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)
    assert "rows" in scope
    if name == "theval":
        assert scope["pixels"].shape == (18, 478, 3)
        assert (tmp_path / "clip.mp4").read_bytes() == media("plain").read_bytes()


def test_every_dataset_is_tried_here():
    assert set(MAKERS) == set(catalog.names("dataset"))
