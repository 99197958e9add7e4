"""Markdown about datasets, columns, units and commands, generated from the code's declarations."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

import typer.main

import theval_datasets as td
from theval_datasets import catalog
from theval_datasets.builders.base.fields import Field
from theval_datasets.cards.papers import PAPERS
from theval_datasets.cards.render import kind_in_words
from theval_datasets.cli import GROUPS, app
from theval_datasets.commands.explain import Explanation
from theval_datasets.commands.signatures import Documentation
from theval_datasets.manifest.rows import (
    Judgement,
    ListEntry,
    ManifestRow,
    MediaFacts,
    Region,
    Source,
)

_COLUMN_HEAD: Final = ("column", "type", "unit", "meaning", "from")
LIBRARY: Final[Mapping[str, Mapping[str, str]]] = {
    "Units by name": {"catalog": "names load"},
    "Video and audio": {
        "media": "probe read_frames sample_frames read_audio frame_index",
        "media.facts": "MediaFacts SourcePicture",
        "media.frames": "FrameRequest Frames Audio Header",
    },
    "Extractors": {
        "extraction.extractor": "Extractor Column ClipInputs Accumulator",
        "extraction.outcomes": "Outcome Feature outcome_of decided_by_media compute_each",
    },
    "Features of clips": {
        "extraction.store": "FeatureStore StoredFeatures values_of",
        "extraction.jobs": "ClipJob ClipReport jobs_of",
        "extraction.measure": "compute",
        "extraction.cache": "Cache FeatureSpec spec_of key_of default_location",
        "features.active_speaker": "SpeakingRule turns",
    },
    "Engines": {
        "engines.base": "Engine Pool Resources",
        "engines.local": "LocalEngine",
        "engines.ray": "RayEngine",
        "engines.messages": "WorkerLost",
    },
    "Filters and recipes": {
        "curation.filters.base": "Clip Features Filter SetFilter Verdict keep reject undecided",
        "curation.recipes.recipe": "Recipe load_recipe parse_recipe recipe_names write_recipe",
    },
    "Manifests": {
        "manifest.rows": "ManifestRow Source MediaFacts Region ListEntry Judgement Manifest "
        "read_manifest write_manifest",
        "manifest.tombstones": "Tombstone read_tombstones write_tombstones",
    },
    "Rating studies": {
        "curation.study.ratings": "Ratings",
        "curation.study.tables": "TableOptions read_ratings read_votes from_frame",
        "curation.study.parameters": "StudyParameters preset presets",
        "curation.study.study": "StudyResult run_study",
        "curation.study.mos": "OpinionScores opinion_scores",
        "curation.study.screening": "Screening screen",
        "curation.study.reliability": "Reliability reliability icc_2k split_half sos_exponent",
        "curation.study.pairwise": "PairwiseVotes read_pairwise_votes votes_from_frame win_rates "
        "position_bias agreement",
        "curation.study.bradley_terry": "BradleyTerry bradley_terry",
        "curation.study.taxonomy": "Taxonomy load_taxonomy",
        "curation.study.votes": "DistortionLabels distortion_labels",
        "curation.study.marks": "DotParameters find_dots",
        "curation.study.saliency": "SaliencyMap fixation_map saliency_from_fixations "
        "saliency_from_marks",
        "curation.study.levels": "quality_levels",
    },
    "Datasets": {
        "builders.base.builder": "Builder TableConfig",
        "builders.base.inputs": "Inputs parse_tables",
        "builders.base.fields": "Field features_of schema_of list_of",
        "builders.base.scored": "ScoredBuilder ScoredRow scored_fields",
        "builders.tables.csv_files": "read_csv number",
        "builders.tables.arrow": "table_of",
        "builders.release.write": "Release write_release",
        "manifest.info": "Info ConfigInfo ColumnInfo ExtractorInfo FileInfo SplitInfo read_info",
    },
    "Generated beside real clips": {
        "evaluation.pictures": "psnr ssim lpips",
        "evaluation.references": "Pairing pair_by_time video_distances landmark_distances read_lse",
    },
    "Trained metrics": {
        "training.saved": "TrainedMetric MetricConfig Scored train_metric read_metric write_metric",
        "training.crossval": "MetricResult cross_validate",
    },
    "Samples and files": {
        "demo.clips": "make_sample",
        "utils.files": "sha256_file",
    },
    "Errors": {
        "errors": "ThevalError InputError UnknownNameError MediaError AbsentError BuildError "
        "CacheError ManifestError MissingExtraError StorageError UnsafePathError "
        "WeightsMissingError",
    },
}
"""Public names beside `td.*` and `td.evaluation`, by purpose and module below `theval_datasets`."""
Described = tuple[str, str, str, str, str]
"""Name, type, unit, meaning and origin of a column, by which identical columns are recognised."""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; bars inside cells are escaped.

    Examples:
        >>> print(table(("name", "unit"), [("fps", "1/s")]), end="")
        | name | unit |
        | --- | --- |
        | fps | 1/s |
    """
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def library() -> dict[str, list[str]]:
    """The dotted names of `LIBRARY`, by purpose.

    Examples:
        >>> library()["Units by name"]
        ['theval_datasets.catalog.names', 'theval_datasets.catalog.load']
    """
    return {
        purpose: [
            f"theval_datasets.{module}.{name}"
            for module, names in modules.items()
            for name in names.split()
        ]
        for purpose, modules in LIBRARY.items()
    }


def library_page() -> str:
    """A page about the names of `LIBRARY`."""
    parts = [
        "# Library\n\nWhat is needed to write an extractor, a filter or a dataset, and to work with "
        "manifests, features and ratings in Python. These names, those of `theval_datasets` and "
        "those of `theval_datasets.evaluation` are public; other names may change.\n"
    ]
    for purpose, names in library().items():
        parts.append(f"## {purpose}\n")
        parts += [f"::: {name}\n    options:\n      heading_level: 3\n" for name in names]
    return "\n".join(parts)


def dataset_units() -> list[Any]:
    """The builders, sorted by name."""
    return [catalog.load("dataset", name) for name in catalog.names("dataset")]


def datasets_table() -> str:
    """A table of all datasets: description, configs, paper."""
    rows = []
    for unit in dataset_units():
        configs = ", ".join(f"`{config.name}`" for config in unit.BUILDER_CONFIGS)
        papers = ", ".join(PAPERS[key].title for key in unit.CITES)
        rows.append((f"`{unit.repository()}`", unit.SUMMARY, configs, papers))
    return table(("dataset", "what it is", "configs", "paper"), rows)


def common_inputs() -> dict[str, str]:
    """Kinds of ``--with KIND=PATH`` that every dataset accepts, with their meaning."""
    first, *rest = (unit.kinds() for unit in dataset_units())
    return {
        kind: meaning
        for kind, meaning in first.items()
        if all(kinds.get(kind) == meaning for kinds in rest)
    }


def inputs_table(kinds: Mapping[str, str]) -> str:
    """A table of kinds of input, with their meaning."""
    rows = [(f"`{kind}`", meaning) for kind, meaning in kinds.items()]
    return table(("`--with`", "what it is"), rows)


def common_inputs_table() -> str:
    """A table of the inputs that every dataset accepts."""
    return inputs_table(common_inputs())


def described(field: Field) -> Described:
    """The properties of a column that pages show."""
    return (field.name, kind_in_words(field.type), field.unit, field.meaning, field.origin)


def common_columns() -> dict[Described, Field]:
    """The columns that the table `features` has in every dataset."""
    first, *rest = (unit.FIELDS["features"] for unit in dataset_units())
    others = [{described(field) for field in fields} for fields in rest]
    return {
        described(field): field
        for field in first
        if all(described(field) in other for other in others)
    }


def columns_table(fields: list[Field]) -> str:
    """A table with one row per column."""
    rows = []
    for field in fields:
        name, kind, unit, meaning, origin = described(field)
        rows.append((f"`{name}`", kind, unit, meaning, f"`{origin}`"))
    return table(_COLUMN_HEAD, rows)


def common_columns_table() -> str:
    """The columns that all tables `features` share."""
    return columns_table(list(common_columns().values()))


def special_sections() -> str:
    """The own inputs of every dataset, and its columns.

    A column that another table of the page already describes identically is only named.
    """
    known: dict[Described, str] = dict.fromkeys(common_columns(), "")
    parts = []
    for unit in dataset_units():
        own = {k: v for k, v in unit.kinds().items() if k not in common_inputs()}
        parts.append(f"## `{unit.repository()}`\n\n{unit.SUMMARY}\n\n{inputs_table(own)}")
        for config in unit.BUILDER_CONFIGS:
            fields = unit.FIELDS[config.name]
            new = [field for field in fields if described(field) not in known]
            parts.append(f"### `{config.name}` of `{unit.NAME}`\n\n{config.description}\n")
            if new:
                parts.append(columns_table(new))
            parts.append(_mentioned(fields, known, config.name))
            known |= {described(field): f"`{config.name}` of `{unit.NAME}`" for field in new}
    return "\n".join(part for part in parts if part)


def _mentioned(fields: tuple[Field, ...], known: dict[Described, str], config: str) -> str:
    """A sentence for each table that describes some of the columns."""
    places: dict[str, list[str]] = {}
    for field in fields:
        if described(field) in known:
            places.setdefault(known[described(field)], []).append(f"`{field.name}`")
    lines = []
    for place, names in places.items():
        if not place and config == "features":
            lines.append("It has all common columns too.\n")
        elif not place:
            lines.append(f"Common columns: {', '.join(names)}.\n")
        else:
            lines.append(f"As in {place}: {', '.join(names)}.\n")
    return "\n".join(lines)


def record_table(kind: type[Any]) -> str:
    """The attributes of a record with their meanings from its docstring."""
    entries = Documentation.of(kind).entries
    return table(("field", "meaning"), [(f"`{name}`", text) for name, text in entries.items()])


def manifest_tables() -> str:
    """The fields of a manifest's row, and of the records inside it."""
    kinds = (ManifestRow, Source, Region, ListEntry, MediaFacts, Judgement)
    titles = ("A row", "`source`", "`region`", "`listed`", "`media`", "An entry of `judgements`")
    return "\n".join(
        f"## {title}\n\n{record_table(kind)}" for title, kind in zip(titles, kinds, strict=True)
    )


def dataset_page(unit: Any) -> str:
    """A page about one dataset, with every column of every table."""
    papers = "".join(f"- {PAPERS[key].title}\n" for key in unit.CITES)
    parts = [
        f"# {unit.NAME}\n\n{unit.SUMMARY}\n",
        f'```python\nfrom datasets import load_dataset\n\nrows = load_dataset("{unit.repository()}")\n```\n',
        *([f"Described in:\n\n{papers}"] if papers else []),
        f"## Inputs\n\n`theval-data build {unit.NAME}` takes these by `--with KIND=PATH`:\n",
        inputs_table(unit.kinds()),
        "## Tables\n",
    ]
    for config in unit.BUILDER_CONFIGS:
        fields = list(unit.FIELDS[config.name])
        parts.append(f"### {config.name}\n\n{config.description}\n\n{columns_table(fields)}")
    return "\n".join(parts)


def units_page(kind: str, title: str, text: str) -> str:
    """A page about all units of a kind, as `theval-data explain` describes each.

    Args:
        kind: Kind as for `theval-data list`, such as `filters`.
        title: Title of the page.
        text: First paragraph of the page.
    """
    parts = [f"# {title}\n\n{text}\n"]
    for unit in td.list_units(kind).units:  # type: ignore[arg-type]
        for explanation in td.explain(unit.name).explanations:
            if explanation.unit.kind == unit.kind and explanation.unit.name == unit.name:
                parts.append(_explained(explanation))
    return "\n".join(parts)


def _explained(explanation: Explanation) -> str:
    parts = [f"## {explanation.unit.name}\n\n{explanation.unit.summary}\n"]
    if explanation.text:
        parts.append(f"{explanation.text}\n")
    if explanation.facts:
        parts.append("".join(f"- {label}: {value}\n" for label, value in explanation.facts.items()))
    if explanation.parameters:
        rows = [
            (
                f"`{row['name']}`",
                f"`{row['value']}`" if row.get("value") is not None else "",
                str(row["meaning"]),
            )
            for row in explanation.parameters
        ]
        parts.append(table(("parameter", "default", "meaning"), rows))
    if explanation.columns:
        rows = [
            (f"`{row['name']}`", str(row["type"]), str(row.get("unit") or ""), str(row["meaning"]))
            for row in explanation.columns
        ]
        parts.append(table(("column", "type", "unit", "meaning"), rows))
    return "\n".join(parts)


def commands_page() -> str:
    """A page about the command line, from the declarations of the commands."""
    group = typer.main.get_command(app)
    parts = [
        "# Command line\n\nExit codes: 0 done, 1 something failed, 2 wrong use or input. Every command takes "
        "`--json`, which prints machine-readable output, errors included, on standard output.\n"
    ]
    for title, commands in GROUPS.items():
        parts.append(f"## {title}\n")
        for name, (_, example) in commands.items():
            command: Any = group
            for word in name.split():
                command = command.commands[word]
            parts.append(f"### {name}\n\n{_paragraphs(command.help)}\n")
            parts.append(f"```sh\n{' '.join(['theval-data', name, example]).strip()}\n```\n")
            rows = list(_options(command))
            if rows:
                parts.append(table(("argument or option", "meaning"), rows))
    return "\n".join(parts)


def _paragraphs(text: str) -> str:
    return inspect.cleandoc(text.replace("\b", "").replace("\f", "")).replace("<", "&lt;")


def _options(command: Any) -> Iterator[tuple[str, str]]:
    """Names, values and help texts of arguments and options."""
    context = typer.Context(command)
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and parameter.name not in ("help", "json_"):
            names, meaning = record
            yield f"`{' '.join(names.split())}`", " ".join(meaning.split()).replace("<", "&lt;")
