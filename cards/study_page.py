"""The page that shows a rating study: facts, plots, subjects, sessions, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2


def render_study_page(page: Mapping[str, Any]) -> str:
    """The page as HTML, with the plots inside and every text escaped.

    Args:
        page: What `theval_datasets.curation.study.outputs.page_of` gives.
    """
    source = resources.files(__package__ or "").joinpath("study.html.jinja")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(source.read_text(encoding="utf-8")).render(**page)
