import dataclasses

import pytest

from theval_datasets import catalog
from theval_datasets.curation.recipes.recipe import load_recipe, parse_recipe, recipe_names
from theval_datasets.errors import InputError, UnknownNameError


def test_every_recipe_that_comes_along_loads_under_its_own_name():
    names = recipe_names()
    assert "as-is" in names
    assert [load_recipe(name).name for name in names] == names


def test_an_unknown_recipe_suggests_a_close_one():
    with pytest.raises(UnknownNameError, match="did you mean as-is"):
        load_recipe("as_is")


def test_a_recipe_of_ones_own_is_read_from_its_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nabout: Without sound.\naudio_track: false\n")
    assert load_recipe(str(file)).audio_track is False


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: x\nabout: y\nreference_fram: middle\n", "did you mean 'reference_frame'"),
        (
            "name: x\nabout: y\ncut: shots\n",
            "expected one of 'whole', 'spans', 'people', got 'shots'",
        ),
        ("name: x\nabout: y\naudio_track: 1\n", "expected true or false, got 1"),
        ("name: x\n", "missing about"),
        ("- a\n", "expected a mapping"),
        ("a: [", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("[" * 5000, "is not YAML"),
    ],
)
def test_what_is_wrong_is_said(text, complaint):
    with pytest.raises(InputError, match=r"^r\.yaml") as caught:
        parse_recipe(text, "r.yaml")
    assert complaint in str(caught.value)


def test_the_identity_is_of_what_decides_about_clips():
    plain = parse_recipe("name: a\nabout: One.\n", "r")
    assert plain.identity == parse_recipe("name: a\nabout: Two.\n", "r").identity
    assert (
        plain.identity != parse_recipe("name: a\nabout: One.\naudio_track: false\n", "r").identity
    )


def test_a_missing_or_huge_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no recipe file"):
        load_recipe(str(tmp_path / "none.yaml"))
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (1 << 21))
    with pytest.raises(InputError, match="not a recipe"):
        load_recipe(str(huge))


FORMER = """
name: r
about: One.
filters:
  brightness: {least: 0.1, most: 0.9}
  sharpness: {least: 8}
  motion: {least: 0.3, share: 0.6}
  subjects: {least: 1, most: 2, visible: 0.7}
  frontal: {share: 0.6}
  identity_balance: {most: 5, same: 0.5}
  leakage: {same: 0.5, frames: 0.1, audio: 0.2, mute: 0.04}
  near_duplicates: {frames: 0.1}
"""
TODAY = """
name: r
about: One.
filters:
  brightness: {min_brightness: 0.1, max_brightness: 0.9}
  sharpness: {min_sharpness: 8}
  motion: {min_motion: 0.3, min_moving: 0.6}
  subjects: {min_people: 1, max_people: 2, min_visible: 0.7}
  frontal: {min_frontal: 0.6}
  identity_balance: {max_clips: 5, min_cosine: 0.5}
  leakage: {min_cosine: 0.5, max_frames: 0.1, max_audio: 0.2, max_mute: 0.04}
  near_duplicates: {max_frames: 0.1}
"""


def test_former_names_of_thresholds_are_accepted_with_a_warning(caplog):
    recipe = parse_recipe(FORMER, "r.yaml")
    assert recipe.filters == parse_recipe(TODAY, "today.yaml").filters
    assert "r.yaml: filters.brightness: least was renamed to min_brightness" in caplog.text
    assert "until version" in caplog.text
    assert len(caplog.records) == 16
    caplog.clear()
    assert parse_recipe(TODAY, "r.yaml") == recipe
    assert not caplog.records


def test_former_names_are_replaced_before_a_base_is_merged():
    loose = parse_recipe(
        "base: theval\nname: l\nabout: L.\nfilters: {brightness: {least: 0.01}}\n", "l.yaml"
    )
    assert loose.filters["brightness"] == {"min_brightness": 0.01, "max_brightness": 0.92}


def test_a_threshold_under_both_names_is_refused():
    text = "name: r\nabout: R.\nfilters: {sharpness: {least: 1, min_sharpness: 2}}\n"
    with pytest.raises(InputError, match="least is the former name of min_sharpness"):
        parse_recipe(text, "r.yaml")


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("as-is", "as-is:1a5a2b0e621f193f"),
        ("theval", "theval:95a43375e5e8c0d1"),
        ("thqa-mt", "thqa-mt:53111b8745643353"),
    ],
)
def test_recipes_keep_their_hash_so_that_earlier_rows_are_reused(name, identity):
    assert load_recipe(name).identity == identity


def test_every_former_name_leads_to_a_field():
    renamed = 0
    for name in catalog.names("filter"):
        judge = catalog.load("filter", name)
        fields = {field.name for field in dataclasses.fields(judge)}
        assert set(judge.renamed.values()) <= fields
        assert not set(judge.renamed) & fields
        assert not {"least", "most"} & fields
        renamed += len(judge.renamed)
    assert renamed >= 15


@pytest.mark.parametrize(
    ("thresholds", "complaint"),
    [
        (
            "duration: {min_seconds: -1}",
            "filters.duration: expected min_seconds of at least 0, got -1",
        ),
        ("motion: {min_motion: -0.1}", "expected min_motion of at least 0"),
        ("identity_balance: {max_clips: -5}", "max_clips"),
    ],
)
def test_a_negative_threshold_is_refused(thresholds, complaint):
    with pytest.raises(InputError, match=complaint):
        parse_recipe(f"name: x\nabout: y\nfilters:\n  {thresholds}\n", "r.yaml")


@pytest.mark.parametrize(
    "thresholds",
    [
        "duration: {min_seconds: 0}",
        "loudness: {min_lufs: -60, max_lufs: -10}",
        "face_size: {min_margin: -0.2}",
        "speech: {min_snr_db: -3}",
        "identity_balance: {min_cosine: -0.1}",
        "leakage: {min_cosine: -0.1}",
    ],
)
def test_what_may_be_negative_may(thresholds):
    parse_recipe(f"name: x\nabout: y\nfilters:\n  {thresholds}\n", "r.yaml")
