"""People of scenes as clips, from the source to the rebuilt manifest."""

from __future__ import annotations

import shutil
import wave

import numpy as np
import pytest

from theval_datasets.curation.clips.cut import Encoding, Piece, cut
from theval_datasets.curation.pipeline import candidate_store, segments
from theval_datasets.curation.pipeline.curate import CurateOptions, curate
from theval_datasets.curation.pipeline.preflight import shortcomings
from theval_datasets.curation.rebuild.rebuild import RebuildOptions, rebuild
from theval_datasets.curation.recipes.recipe import load_recipe, parse_recipe
from theval_datasets.curation.sources.choose import source_of
from theval_datasets.curation.takedown import take_down
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import InputError
from theval_datasets.features.active_speaker import Turn
from theval_datasets.manifest.rows import read_manifest, read_rows
from theval_datasets.utils.files import sha256_file

RECIPE = """
name: r
about: People.
cut: people
segment: {min_seconds: 1, aim_seconds: 9, max_seconds: 20, min_speech: 0}
encoding: {preset: ultrafast}
person: {min_seconds: 1, margin: 0.2}
"""


@pytest.fixture
def no_models(monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))


def test_without_a_model_of_who_speaks_nothing_begins(no_models):
    with pytest.raises(InputError, match="models fetch lr-asd") as refused:
        shortcomings(load_recipe("people"), ())
    assert "person: {others: keep, min_speaking: 0}" in str(refused.value)
    keeping = "base: people\nperson: {others: keep}\n"
    assert not any("who speaks" in note for note in shortcomings(parse_recipe(keeping, "r"), ()))


def test_other_recipes_do_not_depend_on_how_people_are_cut():
    spans, people = (
        parse_recipe(RECIPE.replace("cut: people", cut), "r")
        for cut in ("cut: spans", "cut: people")
    )
    assert (
        spans.identity
        == parse_recipe(
            RECIPE.replace("cut: people", "cut: spans").replace("0.2", "0.3"), "r"
        ).identity
    )
    assert people.identity != parse_recipe(RECIPE.replace("0.2", "0.3"), "r").identity


def go(folder, recipe=RECIPE):
    source = source_of(str(folder / "in"), folder / "out", root=folder)
    options = CurateOptions(str(folder / "cache"), engine=LocalEngine(0))
    return curate([source], parse_recipe(recipe, "r.yaml"), folder / "out", options)


def tree(folder):
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(name): sha256_file(folder / name) for name in names}


@pytest.mark.slow
def test_from_the_source_to_the_rebuilt_clip(talking, tmp_path, no_models, monkeypatch):
    torch = pytest.importorskip("torch", reason="no extra with torch is installed")
    from lr_asd_reference import random_reference

    weights = tmp_path / "none" / "lr_asd" / "finetuning_TalkSet.model"
    weights.parent.mkdir(parents=True)
    torch.save(random_reference(3).state_dict(), weights)
    # What a network with random weights makes of a face is nobody's turns.
    monkeypatch.setattr(segments, "turns", lambda values: [Turn(0.5, 1.25, 0)])
    cut(talking, Piece(0.0, 1.6), tmp_path / "in" / "talk.mp4", Encoding(preset="ultrafast"))
    result = go(tmp_path)
    out = tmp_path / "out"
    (row,) = result.kept
    assert not result.rejected
    assert row.clip_id.startswith("talk-0-")
    assert row.clip_id.endswith("-person0")
    assert (row.person, row.turns, row.audible) == (0, ((0.5, 1.25, 0),), ((0.4, 1.35),))
    assert row.region is not None
    assert row.media.width == row.media.height < 512
    with wave.open(str(out / row.audio)) as track:
        sound = np.abs(np.frombuffer(track.readframes(1 << 24), "<i2").astype(float))
    assert sound[int(0.5 * 16_000) : int(1.2 * 16_000)].max() > 500
    assert sound[: int(0.35 * 16_000)].max() < 30
    assert sound[int(1.4 * 16_000) :].max() < 30
    assert "person0" in (out / "turns.rttm").read_text()

    before = tree(out)
    monkeypatch.setattr(candidate_store, "cut", None)  # everything is there
    assert go(tmp_path).reused == 1
    assert tree(out) == before
    monkeypatch.setattr(candidate_store, "cut", cut)

    options = RebuildOptions(str(tmp_path / "cache"), root=tmp_path, engine=LocalEngine(0))
    (again,) = rebuild(read_manifest(out), tmp_path / "again", options)
    assert again.status == "identical"
    made = tree(tmp_path / "again")
    shared = [name for name in made if name.startswith(("clips", "audio", "frames", "turns"))]
    assert len(shared) == 6
    assert all(made[name] == before[name] for name in shared)

    cuts = (out / ".candidates").glob("talk-*.mp4")
    (scene,) = (path for path in cuts if "person" not in path.name)
    other = scene.with_name("other-0-1000.mp4")
    shutil.copy(scene, other)
    assert str(scene.relative_to(out)) in take_down([row.clip_id], out, "2026-11-29").removed
    assert other.is_file()
    assert not scene.exists()
    assert not list(out.glob("turns.*"))
    assert not read_manifest(out).rows
    assert not list(read_rows(out / "rejected.jsonl"))
    assert not go(tmp_path).kept
    assert not list((out / ".candidates").glob("*.mp4"))
