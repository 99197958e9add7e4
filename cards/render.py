"""Rendering of the card of a release: YAML for the Hub and `load_dataset`, then prose."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import datasets
import jinja2
import yaml
from huggingface_hub import DatasetCardData

from theval_datasets.manifest.info import ExtractorInfo, Info, shown_of_people

from .croissant import croissant
from .escape import code, markdown, plain_line
from .facts import ConfigFacts, ReleaseFacts
from .papers import PAPERS

_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")
_LICENSES: Final = (
    "apache-2.0", "mit", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0", "pddl", "odbl", "odc-by",
)  # fmt: skip
"""Licence identifiers of the Hub that sources use."""


@dataclass(frozen=True)
class CardText:
    """The author's part of a card; everything else is read from the files.

    Attributes:
        title: Display name.
        summary: Summary in one paragraph.
        tasks: Task categories of the Hub.
        tags: Further tags.
        limits: Known limits, one sentence each.
        privacy: Note on the people who are shown, and on the duties of users.
        cites: Keys of `PAPERS`.
        default_config: Config that `load_dataset` opens by default.
        readers: Lines of Python that read a row, given `rows`, by config.
    """

    title: str
    summary: str
    tasks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    privacy: str = ""
    cites: tuple[str, ...] = ()
    default_config: str = "features"
    readers: Mapping[str, str] = field(default_factory=dict)


def croissant_json(info: Info, facts: ReleaseFacts, text: CardText) -> str:
    """The Croissant metadata of a release, as the text of its file.

    Args:
        info: Description of the release, written to `info.json`.
        facts: Facts read from the files.
        text: The author's part.
    """
    plain = croissant(
        info,
        facts,
        title=text.title,
        summary=text.summary,
        license_id=_license(facts),
        papers=[PAPERS[key] for key in text.cites],
    )
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render_card(
    info: Info, facts: ReleaseFacts, text: CardText, pictures: Mapping[str, str] | None = None
) -> str:
    """The card of a release as Markdown with YAML front matter.

    Args:
        info: Description of the release, written to `info.json`.
        facts: Facts read from the files.
        text: The author's part.
        pictures: Description of each picture, by path in the release.
    """
    environment = card_environment()
    body = environment.get_template("dataset.md.jinja").render(
        info=info,
        text=text,
        facts=facts,
        pictures=pictures or {},
        papers=[PAPERS[key] for key in text.cites],
        people=shown_of_people(info, lambda name, column: facts.configs[name].has_values(column)),
        length=_length(info.counts.get("seconds")),
        extractors=_extractors(info, facts),
    )
    return f"---\n{front_matter(info, facts, text)}---\n\n{body}"


def card_environment() -> jinja2.Environment:
    """The templates of this folder, with the filters that cards use.

    Examples:
        >>> card_environment().from_string("{{ name | code }}").render(name="a`b")
        "`a'b`"
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("theval_datasets.cards", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown: the filters `md` and `code` escape every input
    )
    environment.filters |= {
        "md": markdown,
        "code": code,
        "bytes": _bytes,
        "parameters": _parameters,
        "kind": kind_in_words,
        "figure": _figure,
    }
    return environment


def _extractors(info: Info, facts: ReleaseFacts) -> dict[str, ExtractorInfo]:
    """The extractors of columns that have values, and the extractors on which these depend."""
    wanted = {
        column.origin
        for name, config in info.configs.items()
        for column in config.columns
        if facts.configs[name].has_values(column.name)
    }
    while more := {need for name in wanted & set(info.extractors)
                   for need in info.extractors[name].needs} - wanted:  # fmt: skip
        wanted |= more
    return {name: extractor for name, extractor in info.extractors.items() if name in wanted}


def front_matter(info: Info, facts: ReleaseFacts, text: CardText) -> str:
    """The YAML block: configs with files and version, their features and sizes, tags."""
    card = DatasetCardData(
        pretty_name=text.title,
        language=_languages(facts),
        license=_license(facts),
        task_categories=list(text.tasks),
        tags=list(text.tags),
        size_categories=[_size(facts.configs[next(iter(facts.configs))].total)],
    )
    infos = datasets.info.DatasetInfosDict(
        {name: _dataset_info(name, config, info) for name, config in facts.configs.items()}
    )
    infos.to_dataset_card_data(card)
    plain = card.to_dict()
    plain["configs"] = [
        {
            "config_name": name,
            **({"default": True} if name == text.default_config else {}),
            "version": info.version,
            "data_files": [
                {"split": split, "path": list(split_info.files)}
                for split, split_info in info.configs[name].splits.items()
            ],
        }
        for name in facts.configs
    ]
    kept = {key: value for key, value in plain.items() if value not in (None, [], {})}
    rendered: str = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=100)
    return rendered


def _dataset_info(name: str, config: ConfigFacts, info: Info) -> datasets.DatasetInfo:
    splits = {
        split: datasets.SplitInfo(
            name=split,
            num_bytes=info.configs[name].splits[split].arrow_bytes,
            num_examples=rows,
        )
        for split, rows in config.rows.items()
    }
    return datasets.DatasetInfo(
        features=config.features,
        config_name=name,
        splits=datasets.SplitDict(splits),
        download_size=sum(config.n_bytes.values()),
        dataset_size=sum(split.num_bytes for split in splits.values()),
    )


def _languages(facts: ReleaseFacts) -> list[str]:
    languages = [v for v in facts.values.get("language", {}) if v is not None]
    return sorted(v for v in languages if _LANGUAGE.fullmatch(v))


def _license(facts: ReleaseFacts) -> str:
    licenses = {v if v is None else v.lower() for v in facts.values.get("license", {None: 1})}
    if licenses <= {None}:
        return "unknown"
    only = licenses.pop()
    return only if not licenses and only in _LICENSES else "other"


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "n>10M")


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _length(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def kind_in_words(feature: Any) -> str:
    """A type in words, such as ``float64``, ``list of int16`` or ``Video``.

    Examples:
        >>> import datasets
        >>> kind_in_words(datasets.List(datasets.Value("float32")))
        'list of float32'
    """
    if isinstance(feature, datasets.Value):
        return str(feature.dtype)
    if isinstance(feature, datasets.List):
        return f"list of {kind_in_words(feature.feature)}"
    if isinstance(feature, dict):
        return "struct of " + ", ".join(
            f"{name}: {kind_in_words(inner)}" for name, inner in feature.items()
        )
    if isinstance(feature, datasets.ClassLabel):
        return "class of " + ", ".join(feature.names)
    return type(feature).__name__


def _parameters(value: Mapping[str, Any]) -> str:
    return plain_line(", ".join(f"{k} = {v}" for k, v in sorted(value.items())) or "none")
