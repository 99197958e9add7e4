"""What a recipe asks for and this machine does not have is said before the work begins."""

from __future__ import annotations

import json
import re
import shutil
import sys

import numpy as np
import pytest
import tiny_mobilenet
from extractor_contract import run

from theval_datasets.commands.curate import curate
from theval_datasets.commands.funnel import funnel
from theval_datasets.curation.duplicates.matching import Prints
from theval_datasets.curation.duplicates.reference_index import (
    ReferenceClip,
    recogniser,
    write_index,
)
from theval_datasets.curation.filters.not_drawn import NotDrawn
from theval_datasets.curation.pipeline import curate as curating
from theval_datasets.curation.pipeline import preflight
from theval_datasets.curation.pipeline.preflight import shortcomings
from theval_datasets.curation.recipes.recipe import load_recipe, parse_recipe
from theval_datasets.errors import InputError
from theval_datasets.extraction.weights import known
from theval_datasets.features import depiction
from theval_datasets.features.active_speaker import ActiveSpeaker
from theval_datasets.features.depiction import KINDS, Depiction
from theval_datasets.features.drawn import Drawn
from theval_datasets.features.identity import Identity
from theval_datasets.manifest.rows import read_manifest, read_rows

RECIPE = """
name: r
about: One.
on_undecided: reject
measure: [speakers]
filters:
  duration: {min_seconds: 1}
  identity_balance: {max_clips: 1}
  leakage: {}
"""

DRAWN = "name: d\nabout: One.\nfilters: {not_drawn: {%s}}\n"


@pytest.fixture
def folder(media, tmp_path, monkeypatch):
    """Two clips, and no models anywhere."""
    (tmp_path / "in").mkdir()
    for name in ("plain", "vfr"):
        shutil.copy(media(name), tmp_path / "in")
    (tmp_path / "r.yaml").write_text(RECIPE)
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def go(folder, **options):
    return curate(
        [str(folder / "in")],
        folder / "out",
        recipe=str(folder / "r.yaml"),
        workers=1,
        cache=str(folder / "features"),
        **options,
    )


def test_missing_models_are_named_first_and_at_the_end(folder, caplog, monkeypatch):
    order = []
    real = curating.clip_ids
    monkeypatch.setattr(
        curating, "clip_ids", lambda names: order.append(len(caplog.records)) or real(names)
    )
    report = go(folder)
    pack, unable, extra = report.notes
    assert "MediaPipe" in pack
    assert "theval-data models fetch buffalo_l" in pack
    assert "[identity-open]" in pack
    assert "--features identity_open" in pack
    assert unable.startswith("identity_balance (after the first 1 clips) cannot judge: ")
    assert "rejected" in unable
    assert "speakers will not be measured" in extra
    assert order[0] >= 3  # they were said before any file was looked at
    assert all(note in caplog.text for note in report.notes)
    assert "note: " in report.to_text()
    assert json.loads(json.dumps(report.to_plain()))["notes"] == list(report.notes)
    # within the quota nobody has to be known, beyond it the machine cannot say
    rows = list(read_rows(folder / "out/rejected.jsonl"))
    assert report.kept == 1
    assert [row.reason for row in rows] == ["arcface:weights-missing"]


def test_undecided_clips_are_kept_where_the_recipe_says_so(folder):
    text = RECIPE.replace("on_undecided: reject", "on_undecided: keep")
    (folder / "r.yaml").write_text(text)
    report = go(folder)
    assert report.kept == 2
    assert any("then undecided and kept" in note for note in report.notes)


def test_a_reference_that_cannot_be_heeded_stops_the_run(folder):
    write_index(folder / "theirs.jsonl", [])
    assert go(folder, references=[folder / "theirs.jsonl"]).kept == 1  # it holds nobody

    prints = Prints(np.arange(8, dtype=np.uint64), np.zeros(0, np.uint32))
    theirs = ReferenceClip("a", prints, np.eye(1, 4, dtype=np.float32), "p")
    write_index(folder / "theirs.jsonl", [theirs])
    with pytest.raises(InputError, match="people: false"):
        go(folder, references=[folder / "theirs.jsonl"])
    text = RECIPE.replace("leakage: {}", "leakage: {people: false}")
    (folder / "r.yaml").write_text(text)
    assert go(folder, references=[folder / "theirs.jsonl"]).kept == 1


@pytest.mark.real
def test_people_of_another_pack_cannot_be_known_again(folder, shared_data, monkeypatch):
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    prints = Prints(np.arange(8, dtype=np.uint64), np.zeros(0, np.uint32))
    people = np.eye(1, 128, dtype=np.float32)
    write_index(folder / "theirs.jsonl", [ReferenceClip("a", prints, people, "arcface-other")])
    with pytest.raises(InputError, match="another InsightFace pack"):
        go(folder, references=[folder / "theirs.jsonl"])
    write_index(folder / "theirs.jsonl", [ReferenceClip("a", prints, people, recogniser())])
    report = go(folder, references=[folder / "theirs.jsonl"])
    assert report.kept == 2  # nobody is in them, so nobody is there too often or in another set


def test_sources_without_a_language_stop_a_recipe_that_wants_one(folder):
    text = "name: l\nabout: One.\nfilters:\n  language: {languages: [en, fr]}\n"
    (folder / "r.yaml").write_text(text)
    with pytest.raises(InputError, match="--language"):
        go(folder)
    assert go(folder, language="en").kept == 2
    assert go(folder, language="de").reasons == {"other-language": 2}
    (folder / "r.yaml").write_text(text + "on_undecided: keep\n")
    report = go(folder)
    assert report.kept == 2
    assert any("undecided about them, and they are kept" in note for note in report.notes)


def test_where_no_source_says_its_language_the_run_listens(folder, talking, monkeypatch):
    pytest.importorskip("faster_whisper", reason="listening needs the extra [language]")
    from tiny_whisper import write_tiny_whisper

    models = folder / "models"
    write_tiny_whisper(models / "whisper/faster-whisper-small", favourite="fr")
    monkeypatch.setenv("THEVAL_MODELS", str(models))
    shutil.copy(talking, folder / "in")
    recipe = "name: l\nabout: One.\nfilters:\n  language: {languages: [fr]}\n"
    (folder / "r.yaml").write_text(recipe)
    report = go(folder)
    assert "detected from their sound" in report.notes[-1]
    assert report.reasons == {"language-unknown": 2}  # nobody speaks in them
    (row,) = read_manifest(folder / "out").rows
    assert row.source.language == "fr"
    (judgement,) = row.judgements
    assert judgement.measured["probability"] > 0.9
    (folder / "r.yaml").write_text(recipe.replace("[fr]", "[en]"))
    assert go(folder).reasons == {"language-unknown": 2, "other-language": 1}
    declared = go(folder, language="en")
    assert declared.kept == 3  # what is declared counts, and nothing is heard


def test_where_who_speaks_is_not_required_it_is_said_that_clips_pass(folder):
    filters = "filters: {speaker_visible: {required: %s}}"
    needed = ActiveSpeaker()
    for required, fate in (("false", "Clips pass it."), ("true", "Clips are then undecided")):
        recipe = parse_recipe(f"base: as-is\n{filters % required}", "r.yaml")
        notes = [note for note in shortcomings(recipe, (needed,)) if "cannot judge" in note]
        assert notes
        assert all(note.startswith("speaker_visible cannot judge: ") for note in notes)
        assert all(fate in note for note in notes)
        assert any("theval-data models fetch lr-asd" in note for note in notes)


def test_without_the_reader_of_text_clips_pass_the_filter_of_watermarks(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    for name in ("theval", "thqa-mt"):
        recipe = load_recipe(name)
        assert "watermarks" in dict(recipe.judges())
        (note,) = (note for note in shortcomings(recipe, ()) if note.startswith("watermarks"))
        assert "[ocr]" in note
        assert note.endswith("Clips pass it.")
    strict = parse_recipe("base: as-is\nfilters: {watermarks: {}}", "r.yaml")
    (note,) = (note for note in shortcomings(strict, ()) if note.startswith("watermarks"))
    assert "Clips are then undecided" in note


@pytest.mark.parametrize("lacking", ["package", "weights", "whole weights"])
def test_without_what_tells_drawn_faces_clips_pass_and_it_is_said(folder, monkeypatch, lacking):
    place = folder / "none" / known("siglip").path
    if lacking == "package":
        monkeypatch.setitem(sys.modules, "transformers", None)
        remedy = r"\[depiction\]"
    else:
        pytest.importorskip("transformers", reason="needs the extra [depiction]")
        remedy = "theval-data models fetch siglip"
    if lacking == "whole weights":
        place.mkdir(parents=True)
        for name in known("siglip").files:
            (place / name).write_text('{"model_type": "siglip"}')
        remedy = f"{place / 'model.safetensors'} are damaged or incomplete.*fetch the model again"
    for name in ("theval", "thqa-mt"):
        recipe = load_recipe(name)
        assert "photographed" in dict(recipe.judges())
        (note,) = (note for note in shortcomings(recipe, ()) if note.startswith("photographed"))
        assert re.search(remedy, note)
        assert note.endswith("Clips pass it.")
    strict = parse_recipe("base: as-is\nfilters: {photographed: {}}", "r.yaml")
    (note,) = (note for note in shortcomings(strict, ()) if note.startswith("photographed"))
    assert "Clips are then undecided and rejected" in note


def test_without_the_weights_of_drawn_people_clips_pass_and_it_is_said(folder, talking):
    for name in ("theval", "thqa-mt"):
        recipe = load_recipe(name)
        assert dict(recipe.judges())["not_drawn"] == NotDrawn(required=False)
        (note,) = (note for note in shortcomings(recipe, ()) if note.startswith("not_drawn"))
        for weights in ("nsfwjs", "nsfwjs-layers"):
            assert f"theval-data models fetch {weights}`" in note
        assert note.endswith("Clips pass it.")
    shutil.copy(talking, folder / "in")
    (folder / "r.yaml").write_text(DRAWN % "required: false")
    report = go(folder)
    assert report.reasons == {}
    assert any(note.startswith("not_drawn cannot judge") for note in report.notes)
    assert all(
        row.judgements[-1].measured["drawn"] is None for row in read_manifest(folder / "out").rows
    )
    (folder / "r.yaml").write_text(DRAWN % "required: true")
    assert go(folder).reasons == {"drawn:weights-missing": 3}


def test_damaged_weights_of_drawn_people_are_named_before_the_work_begins(folder):
    file = tiny_mobilenet.write(folder / "none")
    file.write_text("<html>")
    (note,) = (n for n in shortcomings(load_recipe("theval"), ()) if n.startswith("not_drawn"))
    assert str(file) in note
    assert "Delete both and fetch them again" in note
    assert note.endswith("Clips pass it.")


def test_weights_of_drawn_people_are_fetched_at_the_start(folder, monkeypatch):
    fetched = []
    monkeypatch.setattr(
        "theval_datasets.extraction.extractor.fetch_if_missing", lambda w: fetched.append(w.name)
    )
    (folder / "r.yaml").write_text(DRAWN % "required: false")
    go(folder)
    assert {"nsfwjs", "nsfwjs-layers"} <= set(fetched)


@pytest.mark.slow
def test_a_curated_clip_states_how_much_its_people_look_drawn(folder, talking, monkeypatch):
    tiny_mobilenet.write(folder / "none")
    shutil.copy(talking, folder / "in")
    (folder / "r.yaml").write_text(DRAWN % "max_drawn: 1")
    report = go(folder)
    assert not any("not_drawn" in note for note in report.notes)
    assert report.reasons == {"no-face": 2}
    (row,) = read_manifest(folder / "out").rows
    drawn = row.judgements[-1].measured["drawn"]
    assert 0 < drawn < 1
    measuring = []
    monkeypatch.setattr(Drawn, "setup", lambda self: measuring.append(self))
    (folder / "r.yaml").write_text(DRAWN % f"max_drawn: {drawn / 2}")
    assert go(folder).reasons == {"no-face": 2, "drawn-face": 1}
    assert not measuring  # a new threshold needs no new measurement
    assert "drawn-face" in funnel(folder / "out", output=folder / "funnel").to_text()


def test_every_optional_filter_whose_package_is_missing_is_said_to_pass(monkeypatch, tmp_path):
    """Also if its weights are there."""
    weights = tmp_path / known("lr-asd").path
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    for module in ("onnx", "rapidocr", "transformers"):
        monkeypatch.setitem(sys.modules, module, None)
    recipe = load_recipe("thqa-mt")
    optional = {name for name, judge in recipe.judges() if not getattr(judge, "required", True)}
    assert optional == {"speaker_visible", "watermarks", "not_drawn", "photographed"}
    notes = [note for note in shortcomings(recipe, ()) if note.endswith("Clips pass it.")]
    assert {note.partition(" ")[0] for note in notes} == optional
    assert all("pip install" in note for note in notes if not note.startswith("not_drawn"))


def test_models_are_not_fetched_for_packages_that_are_not_installed(monkeypatch):
    fetched = []
    for module in ("theval_datasets.extraction.extractor", "theval_datasets.features.faces"):
        monkeypatch.setattr(f"{module}.fetch_if_missing", lambda weights: fetched.append(weights))
    monkeypatch.setattr(depiction, "available", lambda name: False)
    extractors = (Depiction(), ActiveSpeaker())
    preflight.fetch_weights(extractors)
    names = [weights.name for weights in fetched]
    assert "lr-asd" in names
    assert "siglip" not in names
    monkeypatch.setattr(depiction, "available", lambda name: True)
    preflight.fetch_weights(extractors)
    assert [weights.name for weights in fetched].count("siglip") == 1


@pytest.mark.slow
def test_a_curated_clip_states_how_its_people_are_depicted(folder, talking, monkeypatch):
    pytest.importorskip("transformers", reason="needs the extra [depiction]")
    from tiny_networks import write_siglip

    write_siglip(folder / "none" / known("siglip").path, [t for k in KINDS.values() for t in k])
    shutil.copy(talking, folder / "in")
    # In this process, since torchvision may not be importable in others (see torchvision_operators).
    run(Depiction(), sorted((folder / "in").iterdir()), folder / "features")
    recipe = "name: d\nabout: One.\nfilters: {photographed: {min_photo: %s, required: false}}\n"
    (folder / "r.yaml").write_text(recipe % 0)
    report = go(folder)
    assert not any("photographed" in note for note in report.notes)
    assert report.reasons == {"no-face": 2}
    (row,) = read_manifest(folder / "out").rows
    (judgement,) = row.judgements
    assert 0 < judgement.measured["photo"] < 1
    assert judgement.measured["kind"] in KINDS
    measuring = []
    monkeypatch.setattr(Depiction, "setup", lambda self: measuring.append(self))
    (folder / "r.yaml").write_text(recipe % 1)
    assert go(folder).reasons == {"no-face": 2, "drawn-face": 1}
    assert not measuring  # a new threshold needs no new measurement
    found = funnel(folder / "out", output=folder / "funnel")
    assert "drawn-face" in found.to_text()


@pytest.mark.parametrize("installed", [True, False])
def test_an_identity_without_a_download_is_offered(folder, monkeypatch, installed):
    known = preflight.available
    monkeypatch.setattr(
        preflight,
        "available",
        lambda name: installed if name in ("dlib", "face_recognition_models") else known(name),
    )
    recipe = parse_recipe(RECIPE.replace("speakers", "identity"), "r.yaml")
    extractors = (Identity(),)
    *_, note = shortcomings(recipe, extractors)
    assert note.startswith("identity will not be measured")
    assert "--features identity_open" in note
    assert ("pip install" in note) != installed
    (other,) = (n for n in shortcomings(parse_recipe(RECIPE, "r.yaml"), ()) if "speakers" in n)
    assert "identity_open" not in other
