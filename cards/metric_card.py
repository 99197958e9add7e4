"""Card of a trained metric: YAML for the Hub, then prose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import yaml

from theval_datasets.evaluation.resampling import MeanInterval
from theval_datasets.training.crossval import MetricResult
from theval_datasets.training.saved import MetricConfig
from theval_datasets.training.tables import SEPARATOR

from .papers import PAPERS
from .render import card_environment

_TITLES: Final = {
    "evaltalker": "EvalTalker's head for {}",
    "forest": "A random forest for {}",
}
_SUMMARIES: Final = {
    "evaltalker": "A quality metric of talking heads: pooled features side by side, two fully connected "
    "layers, mean squared error, as EvalTalker's regression is described.",
    "forest": "A quality metric of talking heads: a random forest on features of clips.",
}
_TAGS: Final = ("talking-head", "video-quality-assessment")


def render_metric_card(
    config: MetricConfig, results: Sequence[MetricResult], remarks: Sequence[str]
) -> str:
    """The card of a trained metric as Markdown with YAML front matter.

    Args:
        config: Description of the metric.
        results: Results on clips that it was not trained on.
        remarks: Remarks that readers of the results need.
    """
    environment = card_environment()
    environment.filters["interval"] = interval_text
    front = {
        "library_name": "theval-datasets",
        "pipeline_tag": "tabular-regression",
        "tags": list(_TAGS),
        **({"datasets": config.dataset.split(SEPARATOR)} if config.dataset_version else {}),
    }
    body = environment.get_template("metric.md.jinja").render(
        config=config,
        results=results,
        remarks=remarks,
        title=_TITLES[config.model].format(config.dataset),
        summary=_SUMMARIES[config.model],
        hidden=config.parameters.get("hidden"),
        paper=PAPERS["evaltalker"] if config.model == "evaltalker" else None,
    )
    shown: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    return f"---\n{shown}---\n\n{body}"


def interval_text(interval: MeanInterval) -> str:
    """A mean with its interval: ``0.812 [0.790, 0.834]``.

    Examples:
        >>> interval_text(MeanInterval(0.8, 0.7, 0.9, 0.95, 5)), interval_text(
        ...     MeanInterval(None, None, None, 0.95, 0)
        ... )
        ('0.800 [0.700, 0.900]', '–')
    """
    if interval.mean is None:
        return "–"
    if interval.low is None:
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
