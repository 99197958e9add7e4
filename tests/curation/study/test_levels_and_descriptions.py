"""Quality levels against the 2,000 official scores, and the keyword table."""

import csv
from pathlib import Path

import pytest

from theval_datasets.curation.study.descriptions import CATEGORIES, load_keywords
from theval_datasets.curation.study.levels import LEVELS, level_edges, quality_levels
from theval_datasets.errors import InputError


@pytest.mark.real
@pytest.mark.parametrize("dimension", ["quality", "authenticity"])
def test_the_official_scores_get_their_official_levels(shared_data: Path, dimension):
    with (shared_data / "golden" / "gen3dhf_mos.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2000
    scores = [float(row[f"{dimension}_mos"]) for row in rows]
    printed = [row[f"{dimension}_level"] for row in rows]
    official = quality_levels(scores, mode="official")
    assert [level or "None" for level in official] == printed
    closed = quality_levels(scores)
    different = [row["video_id"] for row, a, b in zip(rows, closed, printed, strict=True) if a != b]
    assert different == [{"quality": "seed0642", "authenticity": "seed0750"}[dimension]]


def test_the_edges_belong_to_the_level_below():
    assert quality_levels([0, 1, 2, 3, 4, 5]) == ["bad", *LEVELS]
    assert quality_levels([0, 1, 2, 3, 4, 5], mode="official") == [None, *LEVELS]
    assert quality_levels([0, 1.0001, 5])[1] == "poor"
    assert level_edges([0, 5]).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("scores", [[], [1, 1], [1, float("nan")]])
def test_levels_need_different_finite_scores(scores):
    with pytest.raises(InputError, match="finite"):
        quality_levels(scores)


@pytest.mark.parametrize(
    ("text", "categories"),
    [
        ("The left eye is missing", ["Eye Distortions"]),
        ("Teeth and LIPS are smeared", ["Mouth Distortions"]),
        (
            "her earrings melt into the hair",
            ["Hair Distortions", "Accessories or Cloth Distortions"],
        ),
        ("the ears have different sizes", ["Facial Feature Distortions"]),
        ("back of the head is hollow", ["Head Structure Distortions"]),
        ("two faces overlapping", ["Overlap or Blending Issues"]),
        ("very blurry, too dark", ["Blurring / Exposure / Grain"]),
        ("no obvious distortion", ["No Distortion"]),
        ("no distortion except the eyes", ["Eye Distortions"]),
        ("eyeglasses are broken", ["Accessories or Cloth Distortions"]),
        ("xyzzy", []),
        ("", []),
    ],
)
def test_descriptions_become_categories(text, categories):
    result = load_keywords().assign(text)
    assert list(result.categories) == categories


def test_the_table_has_exactly_the_nine_published_names():
    assert tuple(load_keywords().categories) == CATEGORIES


def test_another_table_can_be_given(tmp_path):
    (tmp_path / "k.yaml").write_text("name: k\ncategories:\n  Rain: [wet, drops]\n")
    result = load_keywords(tmp_path / "k.yaml").assign("Wet drops")
    assert result.categories == ("Rain",)
    assert result.words == {"Rain": ("wet", "drops")}
    (tmp_path / "k.yaml").write_text("name: k\ncategories:\n  A: [wet]\n  B: [Wet]\n")
    with pytest.raises(InputError, match="is listed for 'A' and 'B'"):
        load_keywords(tmp_path / "k.yaml")
