"""Rendering of HTML pages: self-contained files with style, plots and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2


def render_page(template: str, content: Mapping[str, Any]) -> str:
    """A page as HTML.

    All text is escaped, and the page's content security policy allows neither scripts nor external
    resources.

    Args:
        template: Name of a template of this package that extends ``page.html.jinja``.
        content: Variables of the template, including ``title``. Plots are `markupsafe.Markup`, or text
            that the template marks as safe: the output of `theval_datasets.utils.figures.svg`.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("theval_datasets.cards", "."),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)
