"""Every source has a span or a reason, whatever it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from theval_datasets.curation.pipeline.segments import (
    Rejection,
    Segment,
    hashed,
    scan,
    whole_file,
)
from theval_datasets.curation.recipes.recipe import Recipe
from theval_datasets.curation.sources.base import SourceFile
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import MissingMediaError, NoVideoError
from theval_datasets.manifest.rows import Source
from theval_datasets.utils.files import sha256_file


def segment(path: Path) -> Segment:
    return Segment(path.stem, SourceFile(path, path.name, "in", Source("local", "")))


def test_what_holds_no_span_says_why(media, tmp_path, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(tmp_path / "face.png")
    names = ("text", "wav", "headless", "zero_frames", "plain")
    files = [*(media(name) for name in names), tmp_path / "face.png"]
    segments = [hashed(segment(file)) for file in files]
    parts = list(
        scan(segments, Recipe("r", "One.", cut="spans"), str(tmp_path / "cache"), LocalEngine(0))
    )
    rejected = [part for part in parts if isinstance(part, Rejection)]
    assert len(rejected) == len(parts)
    reasons = {
        candidate.segment.source.path.stem: (candidate.stage, candidate.failure.reason)
        for candidate in rejected
    }
    assert reasons == {
        "text": ("media", "not-media"),
        "wav": ("media", "no-video"),
        "headless": ("media", "not-media"),
        "zero_frames": ("media", "zero-frames"),
        "plain": ("segment", "short-shot"),
        "face": ("segment", "still"),
    }
    assert len({candidate.segment.clip_id for candidate in rejected}) == len(rejected)


def test_as_they_are_stills_are_clips(media, tmp_path):
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(tmp_path / "face.png")
    still = whole_file(hashed(segment(tmp_path / "face.png")))
    assert (still.clip_id, still.media.n_frames, still.path) == ("face", 1, tmp_path / "face.png")
    with pytest.raises(NoVideoError):
        whole_file(hashed(segment(media("wav"))))


def test_a_source_is_hashed_as_it_is_now(media, tmp_path):
    path = media("plain")
    known = Segment("a", SourceFile(path, "a", "in", Source("local", "", sha256="0" * 64)))
    assert hashed(known).source_sha256 == sha256_file(path)
    with pytest.raises(ValueError, match="not been hashed"):
        _ = segment(path).source_sha256
    with pytest.raises(MissingMediaError):
        hashed(segment(tmp_path / "none.mp4"))


def test_names_of_spans():
    source = SourceFile(Path("a.mp4"), "a.mp4", "in", Source("local", ""))
    assert Segment("a", source).clip_id == "a"
    assert Segment("a", source, 0.0404, 1.25).clip_id == "a-40-1250"
