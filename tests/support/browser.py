"""Chromium for tests of pages: headless, and without the network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = (1440, 1024, 390)
SCHEMES = ("light", "dark")

# Texts whose contrast with what is painted behind them is too low; see `low_contrast`.
_CONTRAST = """(least) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      layers.push(rgba(getComputedStyle(e).backgroundColor));
    }
    const page = matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
    return layers.reverse().reduce((below, top) => over(top, below), page);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map(
      (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const shown = element.getClientRects().length && element.checkVisibility({opacityProperty: true, visibilityProperty: true});
    if (!walker.currentNode.data.trim() || !shown || element.closest('script, style, option')) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const below = behind(element);
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [luminance(over(ink, below)), luminance(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) low.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return {low, texts};
}"""

# Elements that reach beyond the window and are in no scrolling box; see `off_screen`.
_OFF_SCREEN = """() => {
  const wide = [];
  for (const e of document.body.querySelectorAll('*')) {
    const box = e.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1) continue;
    let inside = e.parentElement;
    while (inside && !['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(inside).overflowX)) {
      inside = inside.parentElement;
    }
    if (!inside) wide.push(`${e.tagName}.${e.getAttribute('class') || ''} to ${Math.round(box.right)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) wide.push('the page scrolls sideways');
  return wide;
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A started browser; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="pages are tested with playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What a page logged as an error, threw, or wanted from the network."""

    expected: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def unexpected(self) -> list[str]:
        return [t for t in self.texts if not any(part in t for part in self.expected)]


@contextmanager
def watched_page(browser: Any, **options: Any) -> Iterator[Any]:
    """A page of its own context: it reaches files and loopback only, and may log no error.

    `page.complaints.expected` takes parts of messages that a test expects.
    """
    context = browser.new_context(**options)
    complaints = Complaints()

    def only_local(route: Any) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("http", "https") and parts.hostname not in ("127.0.0.1", "localhost"):
            complaints.texts.append(f"asked the network for {route.request.url}")
            route.abort()
        else:
            route.continue_()

    context.route("**/*", only_local)
    context.set_default_timeout(180_000)
    page = context.new_page()
    page.complaints = complaints
    page.on("pageerror", lambda error: complaints.texts.append(str(error)))
    page.on(
        "console",
        lambda line: complaints.texts.append(line.text) if line.type == "error" else None,
    )
    yield page
    context.close()
    assert complaints.unexpected() == []


def show(page: Any, width: int, scheme: str, height: int = 900) -> None:
    """Give the window a width and a colour scheme."""
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)


def low_contrast(page: Any, least: float = 4.5) -> list[str]:
    """Visible texts with a contrast below WCAG's 4.5 : 1; there must be text at all."""
    result = page.evaluate(_CONTRAST, least)
    assert result["texts"] > 0, "the page shows no text"
    return result["low"]


def off_screen(page: Any) -> list[str]:
    """Elements that lie beyond the right edge of the window and cannot be scrolled to in a box."""
    return page.evaluate(_OFF_SCREEN)


def until(page: Any, expression: str, seconds: float = 300.0) -> None:
    """Wait until an expression is true in a page, whose policy may forbid playwright's own waiting."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            pytest.fail(f"never true: {expression}")
        page.wait_for_timeout(20)
