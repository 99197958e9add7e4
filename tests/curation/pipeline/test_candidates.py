"""Every source has a span or a reason, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from theval_datasets.curation.pipeline.candidates import Material, scan, whole_files
from theval_datasets.curation.recipes.recipe import Recipe
from theval_datasets.curation.sources.base import SourceFile
from theval_datasets.manifest.rows import Source
from theval_datasets.utils.files import sha256_file


def material(path: Path) -> Material:
    found = SourceFile(path, path.name, "in", Source("local", ""))
    return Material(path.stem, found, sha256_file(path))


def test_what_holds_no_span_says_why(media, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(tmp_path / "face.png")
    names = ("text", "wav", "headless", "zero_frames", "plain")
    materials = [material(media(name)) for name in names] + [material(tmp_path / "face.png")]
    spans, lost = scan(materials, Recipe("r", "One.", cut="spans"), str(tmp_path / "cache"), 0)
    assert spans == []
    reasons = {one.material.found.path.stem: (one.stage, one.reason) for one in lost}
    assert reasons == {
        "text": ("media", "not-media"),
        "wav": ("media", "no-video"),
        "headless": ("media", "not-media"),
        "zero_frames": ("media", "zero-frames"),
        "plain": ("segment", "short-shot"),
        "face": ("segment", "still"),
    }
    assert len({one.clip_id for one in lost}) == len(lost)


def test_as_they_are_stills_are_clips(media, tmp_path):
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(tmp_path / "face.png")
    found, lost = whole_files([material(tmp_path / "face.png"), material(media("wav"))])
    assert [(one.clip_id, one.media.n_frames) for one in found] == [("face", 1)]
    assert [(one.stage, one.reason) for one in lost] == [("media", "no-video")]
