from __future__ import annotations

import re

import pytest

from theval_datasets.utils.figures import COLOURS, label_axes, new_figure, png, svg

HOSTILE = '<script>alert(1)</script> & $\\frac{1}{0}$ "'


@pytest.fixture
def figure():
    made, axes = new_figure(2)
    axes.bar([1, 2], [1, 2], color=[COLOURS["kept"], COLOURS["rejected"]])
    label_axes(axes, HOSTILE, HOSTILE, HOSTILE)
    return made


def test_one_figure_gives_the_same_bytes(figure):
    assert png(figure) == png(figure)
    assert b"Software" not in png(figure)
    assert svg(figure, "x") == svg(figure, "x")


def test_an_svg_takes_its_colours_and_letters_from_the_page(figure):
    drawn = svg(figure, "x")
    assert "var(--kept)" in drawn
    assert "var(--rejected)" in drawn
    assert "var(--ink)" in drawn
    assert not re.search(r"#[0-9a-f]{6}", drawn)
    assert "font-family" not in drawn
    assert not re.search(r"<svg[^>]* (width|height)=", drawn)
    assert ">1.0<" in drawn  # texts stay texts


def test_text_in_an_svg_is_no_markup(figure):
    drawn = svg(figure, HOSTILE)
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 4
    assert drawn.startswith('<svg class="plot" role="img" aria-label="&lt;script')


def test_colours_are_those_of_the_style_of_pages(repo):
    light = (repo / "cards/page.css").read_text("utf-8").partition("@media")[0]
    assert dict(re.findall(r"--([a-z-]+): (#\w+)", light)).items() >= (COLOURS.items())
