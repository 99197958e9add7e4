import pytest

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
        ("name: x\nabout: y\ncut: shots\n", "expected one of 'whole', 'spans', got 'shots'"),
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
    with pytest.raises(InputError, match="no recipe"):
        load_recipe(str(huge))
