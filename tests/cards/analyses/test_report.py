from __future__ import annotations

import io
import itertools
import re

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from browser import SCHEMES, WIDTHS, low_contrast, off_screen, show
from built_tables import built
from PIL import Image

import theval_datasets as td
from theval_datasets.cards.analyses.report import FAMILIES, PAGE
from theval_datasets.errors import InputError
from theval_datasets.evaluation.theval import DIMENSIONS, METRICS

# Texts of plots that reach beyond their drawing.
_CUT_TEXTS = """() => [...document.querySelectorAll('svg.plot')].flatMap((svg) => {
  const all = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < all.left - 2 || box.right > all.right + 2
      || box.top < all.top - 2 || box.bottom > all.bottom + 2;
  }).map((text) => text.textContent);
})"""
HOSTILE = "$\\frac{1}{0}$ <script>alert(1)</script> " + "x" * 500
MODELS = {"A": 0.9, "B": 0.7, "C": 0.5, "D": 0.2}


def figures(tables, tmp_path):
    report = td.report(tables.folder, tmp_path / "report")
    assert report.figures
    return {figure.name: figure for figure in report.figures}


def csv(tmp_path, name):
    return pl.read_csv(tmp_path / "report" / f"{name}.csv")


def rated(**more):
    return {
        "clip_id": list("abcdef"),
        "mos": [1.0, 2.0, 3.0, 4.0, 5.0, None],
        "generator": ["g", "g", HOSTILE, HOSTILE, None, "g"],
        "distortions": [["blur"], ["blur", "jump"], [], [], None, []],
        **more,
    }


def test_names_of_figures_are_unique_and_can_be_files():
    names = [figure.name for family in FAMILIES.values() for figure in family]
    assert len(names) == len(set(names)) > 40
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


def test_each_figure_is_on_the_page_as_png_and_as_csv(tmp_path):
    tables = built(tmp_path / "set", {"features": rated(difficulty=["Easy"] * 3 + ["Hard"] * 3)})
    made = figures(tables, tmp_path)
    drawn = {name for name, figure in made.items() if figure.reason is None}
    assert drawn == {
        "mos_distribution", "mos_by_generator", "mos_by_difficulty", "mos_by_distortions",
        "mos_by_number_of_distortions", "distortions_distribution", "distortions_by_generator",
    }  # fmt: skip
    for name in drawn:
        assert (tmp_path / "report" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert len(csv(tmp_path, name)) == made[name].rows > 0
    page = (tmp_path / "report" / PAGE).read_text("utf-8")
    assert page.count("<svg") == len(drawn)
    assert "<script" not in page
    assert csv(tmp_path, "mos_by_difficulty").select("group", "n", "mean").rows() == [
        ("Easy", 3, 2.0),
        ("Hard", 2, 4.5),
    ]
    assert csv(tmp_path, "mos_by_distortions").select("group", "n").rows() == [
        ("blur", 2), ("jump", 1), ("none", 2),
    ]  # fmt: skip
    rates = csv(tmp_path, "distortions_by_generator").filter(pl.col("group") == "g")
    assert rates.select("label", "count", "n").rows() == [("blur", 2, 3), ("jump", 1, 3)]


def test_a_report_has_the_same_bytes_each_time(tmp_path):
    tables = built(tmp_path / "set", {"features": {"mos": [1.0, 2.0], "generator": ["a", "b"]}})
    figures(tables, tmp_path)
    files = sorted((tmp_path / "report").iterdir())
    first = [path.read_bytes() for path in files]
    assert len(files) == 5
    figures(tables, tmp_path)
    assert [path.read_bytes() for path in files] == first


def test_a_figure_without_values_is_listed_with_the_reason(tmp_path):
    nothing = pa.array([None] * 6, pa.string())
    tables = built(
        tmp_path / "set",
        {"features": rated(difficulty=nothing)},
        missing={"difficulty:not-stated": 6},
    )
    figure = figures(tables, tmp_path)["mos_by_difficulty"]
    assert (figure.png, figure.csv) == (None, None)
    assert figure.reason == "features.difficulty has no value (not-stated in 6 rows)"
    assert not (tmp_path / "report/mos_by_difficulty.png").exists()
    assert figure.reason in (tmp_path / "report" / PAGE).read_text("utf-8")


def test_a_single_group_is_no_comparison(tmp_path):
    tables = built(tmp_path / "set", {"features": rated(language=["en"] * 6)})
    made = figures(tables, tmp_path)
    assert made["mos_by_language"].reason == "every clip with a mos has the language en"
    assert made["language"].reason is None


def test_a_single_label_is_no_comparison(tmp_path):
    """Dimensions are unknown where distortions are: clips without a distortion are left."""
    dimensions = [None, None, [], [], None, []]
    made = figures(built(tmp_path / "set", {"features": rated(dimensions=dimensions)}), tmp_path)
    assert made["mos_by_dimensions"].reason == "every clip with a mos has as dimensions none"
    assert made["mos_by_distortions"].reason is None
    other = figures(
        built(tmp_path / "b", {"features": rated(distortions=[[]] * 6)}), tmp_path / "b"
    )
    assert other["mos_by_number_of_distortions"].reason == (
        "every clip with a mos has as number of distortions 0"
    )


def still(column: int) -> dict:
    pixels = np.zeros((512, 1536), np.uint8)
    pixels[240:260, column : column + 20] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": "x.png"}


def test_marks_and_centre_bias(tmp_path):
    features = {
        "clip_id": ["a", "b", "c", "d"],
        "quality_mos": [80.0, 60.0, 40.0, None],
        "authenticity_mos": pa.array([None] * 4, pa.float64()),
    }
    saliency = {
        "clip_id": ["a", "b", "c", "d"],
        "map": [still(700), still(700), still(700), still(100)],
        "fixations": [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6], []],
    }
    tables = built(tmp_path / "set", {"features": features, "saliency": saliency}, name="gen3dhf")
    made = figures(tables, tmp_path)
    assert csv(tmp_path, "marks_by_quality_mos")["marks"].to_list() == [1, 2, 3]
    assert "authenticity_mos has no value" in (made["marks_by_authenticity_mos"].reason or "")
    cells = csv(tmp_path, "centre_bias")
    assert cells["share"].sum() == pytest.approx(1)
    views = cells.group_by(pl.col("column") // 16).agg(pl.col("share").sum()).sort("column")
    assert views["share"].to_list() == pytest.approx([0.25, 0.75, 0])


def test_marks_that_were_not_given_are_listed(tmp_path):
    features = {"clip_id": ["a"], "quality_mos": [1.0], "authenticity_mos": [1.0]}
    made = figures(built(tmp_path / "set", {"features": features}, name="gen3dhf"), tmp_path)
    assert "the config saliency was not built" in (made["centre_bias"].reason or "")


def leaderboard(models=MODELS, source="table"):
    return {
        "model": list(models),
        "kind": ["Audio-driven"] * len(models),
        "definition": ["release"] * len(models),
        "source": [source] * len(models),
        "rank": list(range(1, len(models) + 1)),
        "final": list(models.values()),
        **{name: list(models.values()) for name in (*METRICS, *DIMENSIONS)},
    }


def votes(names=(*MODELS, "GT")):
    """The better of two always wins, real videos against everybody; one tie."""
    value = {**MODELS, "GT": 1.0}
    pairs = [(a, b) for a in names for b in names if a != b]
    winners = [max(pair, key=lambda m: value.get(m, 0.0)) for pair in pairs]
    return {
        "left": [a for a, _ in pairs] + [names[0]],
        "right": [b for _, b in pairs] + [names[1]],
        "winner": [*winners, None],
    }


def test_generators_against_human_preference(tmp_path):
    tables = built(
        tmp_path / "set", {"leaderboard": leaderboard(), "preferences": votes()}, name="theval"
    )
    made = figures(tables, tmp_path)
    assert {"leaderboard", "radar", "preference", "preference_correlation"} <= {
        name for name, figure in made.items() if figure.reason is None
    }
    rates = dict(csv(tmp_path, "preference").select("model", "win_rate").iter_rows())
    assert rates == pytest.approx({"A": 6.5 / 9, "B": 4.5 / 9, "C": 2 / 8, "D": 0.0})
    table = csv(tmp_path, "preference_correlation")
    assert table["metric"].to_list() == [*METRICS, *DIMENSIONS, "final"]
    final = table.row(-1, named=True)
    assert (final["rho"], final["n"]) == (pytest.approx(1), 4)
    assert final["rho_with_real"] == pytest.approx(1)
    assert final["low"] <= 1 <= final["high"] + 1e-9
    assert csv(tmp_path, "leaderboard")["model"].to_list() == ["A", "B", "C", "D"]


def test_metrics_that_no_model_has_are_left_out(tmp_path):
    table = {**leaderboard(), "mouth_quality": [None] * 4, "final": [None] * 4}
    tables = built(tmp_path / "set", {"leaderboard": table, "preferences": votes()}, name="theval")
    made = figures(tables, tmp_path)
    assert made["leaderboard"].reason == "no model has all eight metrics"
    assert made["radar"].reason is None
    metrics = csv(tmp_path, "preference_correlation")["metric"].to_list()
    assert metrics
    assert not {"mouth_quality", "final"} & {*metrics}


def test_votes_on_other_names_are_said(tmp_path):
    tables = built(
        tmp_path / "set",
        {"leaderboard": leaderboard(), "preferences": votes(("a", "b"))},
        name="theval",
    )
    made = figures(tables, tmp_path)
    assert "by that name" in (made["preference"].reason or "")
    assert "same names" in (made["preference_correlation"].reason or "")


def test_models_with_votes_but_no_score_are_counted(tmp_path):
    board = {**leaderboard(), "final": [0.9, 0.8, 0.7, None]}
    tables = built(
        tmp_path / "set",
        {"leaderboard": board, "preferences": votes((*MODELS, "GT", "Unknown"))},
        name="theval",
    )
    assert figures(tables, tmp_path)["preference"].reason is None
    table = csv(tmp_path, "preference")
    assert table["model"].to_list() == ["A", "B", "C", "D", "Unknown"]
    assert table["final"].to_list() == [0.9, 0.8, 0.7, None, None]
    assert table["win_rate"].null_count() == 0
    page = (tmp_path / "report" / PAGE).read_text("utf-8")
    assert "3 models, release; 2 voted on without a score" in page


def test_headings_are_words_and_texts_are_plain():
    shown = [figure for family in FAMILIES.values() for figure in family]
    assert all(item.title[0].isupper() and "_" not in item.title for item in shown)
    assert not any("`" in item.title + item.about for item in shown)


def test_what_was_not_built_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match="not a built dataset"):
        td.report(tmp_path, tmp_path / "report")


def test_a_report_as_text_and_as_json(tmp_path):
    tables = built(
        tmp_path / "set",
        {"features": rated(language=pa.array([None] * 6, pa.string()))},
    )
    report = td.report(tables.folder, tmp_path / "report")
    text = report.to_text()
    assert "not shown: Opinion score by language; Language: features.language has no value" in text
    assert str(tmp_path / "report" / PAGE) in text
    assert {row["name"] for row in report.to_plain()["figures"]} >= {"language", "mos_distribution"}


def test_whether_is_answered_by_yes_and_no(tmp_path):
    features = {"clip_id": list("abcd"), "blood": [True, False, True, None]}
    made = figures(built(tmp_path / "set", {"features": features}, name="rsatalker"), tmp_path)
    assert made["blood"].reason is None
    assert csv(tmp_path, "blood").select("value", "count").rows() == [("yes", 2), ("no", 1)]


@pytest.mark.slow
def test_the_page_can_be_read_in_a_browser(page, tmp_path):
    """Every plot is seen whole, nothing lies off the window, and all texts stand out."""
    features = rated(difficulty=["Easy"] * 3 + ["Hard"] * 3, language=[None] * 6)
    tables = built(tmp_path / "set", {"features": features}, missing={"language:not-stated": 6})
    drawn = [figure for figure in figures(tables, tmp_path).values() if figure.reason is None]
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        show(page, width, scheme)
        page.goto((tmp_path / "report" / PAGE).as_uri())
        plots = page.locator("svg.plot")
        assert plots.count() == len(drawn) > 5
        boxes = [plots.nth(place).bounding_box() for place in range(plots.count())]
        assert all(box["width"] > 200 and box["x"] >= 0 for box in boxes)
        assert all(box["x"] + box["width"] <= width for box in boxes)
        assert page.evaluate(_CUT_TEXTS) == []
        assert off_screen(page) == []
        assert low_contrast(page) == []
        page.locator("summary").first.click()
        assert page.locator("details[open] td").first.is_visible()
        assert page.get_by_text("features.language has no value (not-stated in 6 rows)").count()
    links = page.locator("figcaption a").all()
    assert len(links) == 2 * len(drawn)
    for link in links:
        assert (tmp_path / "report" / link.get_attribute("href")).is_file()
