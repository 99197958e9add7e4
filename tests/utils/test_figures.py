from __future__ import annotations

import re

import numpy as np
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


# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB under D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    t = np.clip(to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089]), 0, None)
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_kept_and_rejected_are_told_apart_by_everybody(repo, scheme, blindness):
    parts = (repo / "cards/page.css").read_text("utf-8").partition("@media")
    colours = dict(re.findall(r"--([a-z-]+): (#\w+)", parts[2 * scheme]))
    kept, rejected, paper = (
        lab(np.array(BLINDNESS[blindness]) @ linear(colours[name]))
        for name in ("kept", "rejected", "paper")
    )
    for candidate, other in ((kept, rejected), (kept, paper), (rejected, paper)):
        assert np.linalg.norm(candidate - other) > 30  # 2.3 is a just noticeable difference


def test_red_and_green_of_one_lightness_are_not_told_apart():
    """The measure finds what it is for."""
    red, green = (
        lab(np.array(BLINDNESS["deuteranopia"]) @ linear(c)) for c in ("#e05050", "#7f8a2e")
    )
    assert np.linalg.norm(red - green) < 30
