"""`theval-data list` and `theval-data explain`: the units of the toolkit and their descriptions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Final, Literal, cast, get_args

import typer

from theval_datasets import catalog
from theval_datasets.errors import UnknownNameError
from theval_datasets.utils.report import Report

from .signatures import Documentation

Kind = Literal[
    "recipes", "filters", "extractors", "datasets", "lists", "presets", "models", "generators"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """A recipe, filter, extractor, dataset, format of clip lists, preset, model or generator.

    Attributes:
        kind: Kind of unit, in the singular.
        name: Name in commands and recipes.
        summary: Description in one sentence.
    """

    kind: str
    name: str
    summary: str


@dataclass(frozen=True, slots=True)
class ListReport(Report):
    """The units of one or all kinds.

    Attributes:
        units: Units, by kind and then by name.
    """

    units: tuple[Unit, ...]

    def to_plain(self) -> dict[str, Any]:
        """Names and summaries of the units, by kind."""
        plain: dict[str, Any] = {}
        for unit in self.units:
            entry = {"name": unit.name, "summary": unit.summary}
            plain.setdefault(f"{unit.kind}s", []).append(entry)
        return plain

    def table(self) -> list[dict[str, Any]]:
        """One row per unit."""
        return [{"kind": u.kind, "name": u.name, "summary": u.summary} for u in self.units]

    def to_text(self) -> str:
        """One line per unit, below the name of its kind."""
        width = max((len(unit.name) for unit in self.units), default=0)
        lines: list[str] = []
        kind = ""
        for unit in self.units:
            if unit.kind != kind:
                kind = unit.kind
                lines += ([""] if lines else []) + [f"{kind}s"]
            lines.append(f"  {unit.name:<{width}}  {unit.summary}".rstrip())
        return "\n".join([*lines, "", "details of a unit: theval-data explain NAME"])


@dataclass(frozen=True, slots=True)
class Explanation:
    """Description of a unit.

    Attributes:
        unit: The unit.
        text: Full description; "" if there is none beyond the summary.
        facts: Facts by label, such as version or source.
        parameters: Name, value (the default) and meaning of each parameter.
        columns: Name, type, unit, range and meaning of each column that it writes or reads.
    """

    unit: Unit
    text: str = ""
    facts: Mapping[str, str] | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    columns: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ExplainReport(Report):
    """Descriptions of the units of one name.

    Attributes:
        explanations: A description for each kind that has a unit of this name.
    """

    explanations: tuple[Explanation, ...]

    def to_plain(self) -> dict[str, Any]:
        """One entry per unit."""
        return {
            "units": [
                {
                    "kind": explanation.unit.kind,
                    "name": explanation.unit.name,
                    "summary": explanation.unit.summary,
                    "text": explanation.text,
                    "facts": dict(explanation.facts or {}),
                    "parameters": [dict(row) for row in explanation.parameters],
                    "columns": [dict(row) for row in explanation.columns],
                }
                for explanation in self.explanations
            ]
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per parameter or column."""
        return [
            {
                "unit": f"{explanation.unit.kind} {explanation.unit.name}",
                "name": row["name"],
                "value": str(row.get("value", row.get("type"))),
                "meaning": row["meaning"],
            }
            for explanation in self.explanations
            for row in (*explanation.parameters, *explanation.columns)
        ]

    def to_text(self) -> str:
        """One section per unit."""
        return "\n\n".join("\n".join(_lines(explanation)) for explanation in self.explanations)


def list_units(
    kind: Annotated[Kind | None, typer.Argument(metavar="KIND")] = None,
) -> ListReport:
    """List recipes, filters, extractors, datasets, formats of lists, presets, models, generators.

    Args:
        kind: Kind of unit: recipes, filters, extractors, datasets, lists (formats of clip lists, for
            ``import``), presets (of studies), models (of ``train``) or generators. Default: all kinds.

    Examples:
        >>> [unit.name for unit in list_units("presets").units]
        ['bt500', 'gen3dhf', 'p913', 'sureal', 'thqa-mt']
    """
    if kind is not None and kind not in get_args(Kind):
        raise UnknownNameError("kind of unit", kind, get_args(Kind))
    kinds = get_args(Kind) if kind is None else (kind,)
    return ListReport(tuple(unit for unit_kind in kinds for unit in _UNITS[unit_kind]()))


def _completed(incomplete: str) -> list[str]:
    """Names that begin with the text typed so far, for shell completion."""
    names = {unit.name for unit in list_units().units}
    return sorted(name for name in names if name.startswith(incomplete))


def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=_completed)],
) -> ExplainReport:
    """Explain a recipe, filter, extractor, dataset, format of lists, preset, model or generator.

    Args:
        name: Name of the unit (see ``theval-data list``), or of a column that extractors write, such
            as ``lip_sync``. Every unit of this name is explained.

    Raises:
        UnknownNameError: There is no unit of that name.

    Examples:
        >>> explanation = explain("speech").explanations[0]
        >>> explanation.unit.kind, [row["name"] for row in explanation.parameters]
        ('filter', ['min_ratio', 'max_pause', 'min_snr_db'])
    """
    spelled = name.removeprefix("theval/").replace("-", "_").lower()
    units = [unit for make in _UNITS.values() for unit in make()]
    chosen = [unit for unit in units if unit.name.replace("-", "_").lower() == spelled]
    chosen = chosen or [unit for unit in units if name in _columns_of(unit)]
    if not chosen:
        raise UnknownNameError("unit", name, {unit.name for unit in units})
    return ExplainReport(tuple(_EXPLAIN[unit.kind](unit) for unit in chosen))


def _columns_of(unit: Unit) -> set[str]:
    """Names of the columns that an extractor writes; empty for other units."""
    if unit.kind != "extractor":
        return set()
    return {column.name for column in catalog.load("extractor", unit.name).writes}


def _first_line(unit: type[Any]) -> str:
    return (inspect.getdoc(unit) or "").partition("\n")[0].replace("``", "`")


def _classes(kind: catalog.Kind) -> Iterator[Unit]:
    for name in catalog.names(kind):
        yield Unit(kind, name, _first_line(catalog.load(kind, name)))


def _datasets() -> Iterator[Unit]:
    for name in catalog.names("dataset"):
        dataset = catalog.load("dataset", name)
        yield Unit("dataset", dataset.NAME, dataset.SUMMARY)


def _lists() -> Iterator[Unit]:
    for name in catalog.names("list"):
        reader = catalog.load("list", name)
        yield Unit("list", reader.NAME, _first_line(reader))


def _recipes() -> Iterator[Unit]:
    from theval_datasets.curation.recipes.recipe import load_recipe, recipe_names

    for name in recipe_names():
        yield Unit("recipe", name, load_recipe(name).about)


def _presets() -> Iterator[Unit]:
    from theval_datasets.curation.study.parameters import presets

    for name, parameters in sorted(presets().items()):
        changed = ", ".join(f"{key} {value}" for key, value in _changed(parameters))
        yield Unit("preset", name, changed or "the defaults")


def _models() -> Iterator[Unit]:
    from theval_datasets.training.parameters import MODELS

    for name, summary in MODELS.items():
        yield Unit("model", name, summary)


def _generators() -> Iterator[Unit]:
    from theval_datasets.evaluation.theval import published_leaderboard

    for entry in sorted(published_leaderboard(), key=lambda row: row.model.lower()):
        yield Unit("generator", entry.model, f"{entry.kind}; in THEval's leaderboard")


def _changed(parameters: Any) -> list[tuple[str, Any]]:
    """The fields of a dataclass that differ from their defaults."""
    return [
        (field.name, getattr(parameters, field.name))
        for field in fields(parameters)
        if getattr(parameters, field.name) != field.default
    ]


def _parameters(kind: type[Any]) -> list[dict[str, Any]]:
    """Fields of a dataclass with their defaults, and their descriptions from its docstring."""
    documented = _meanings(kind)
    return [
        {
            "name": field.name,
            "value": None if field.default is MISSING else field.default,
            "meaning": documented.get(field.name, ""),
        }
        for field in fields(kind)
    ]


def _meanings(kind: type[Any]) -> dict[str, str]:
    """Descriptions of a dataclass's fields, from its docstring and those of its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        meanings |= Documentation.of(base).entries
    return meanings


def _explain_extractor(unit: Unit) -> Explanation:
    kind = catalog.load("extractor", unit.name)
    extractor = kind()
    facts = {
        "version": str(kind.version),
        "source": kind.source,
        "extra": f"[{kind.extra}]" if kind.extra else "[media]",
        "reads": ", ".join(needed.name for needed in extractor.needs()) or _inputs(extractor),
        "weights": ", ".join(weights.name for weights in extractor.weights()),
        "run by default": "yes" if kind.default_enabled else "no",
    }
    columns = [
        {
            "name": column.name,
            "type": column.dtype + (f"[{', '.join(map(str, column.dims))}]" if column.dims else ""),
            "unit": column.unit,
            "low": column.low,
            "high": column.high,
            "meaning": column.meaning,
        }
        for column in kind.writes
    ]
    return Explanation(unit, _text(kind), facts, _parameters(kind), columns)


def _inputs(extractor: Any) -> str:
    parts = ["frames"] if extractor.frames is not None else []
    return " and ".join(parts + (["sound"] if extractor.needs_audio else []))


def _explain_filter(unit: Unit) -> Explanation:
    from theval_datasets.curation.filters.base import Filter

    kind = catalog.load("filter", unit.name)
    facts = {
        "reads": ", ".join(needed.name for needed in kind().needs()) or "the file's facts",
        "judges": "one clip at a time" if issubclass(kind, Filter) else "the whole set",
    }
    return Explanation(unit, _text(kind), facts, _parameters(kind))


def _explain_dataset(unit: Unit) -> Explanation:
    from theval_datasets.cards.papers import PAPERS

    kind = catalog.load("dataset", unit.name)
    facts = {
        "repository": kind.repository(),
        "papers": "; ".join(PAPERS[k].title for k in kind.CITES),
    }
    inputs = [
        {"name": f"--with {name}=PATH", "value": None, "meaning": meaning}
        for name, meaning in kind.kinds().items()
    ]
    configs = [
        {"name": config.name, "type": "config", "meaning": config.description}
        for config in kind.BUILDER_CONFIGS
    ]
    return Explanation(unit, "", facts, inputs, configs)


def _explain_list(unit: Unit) -> Explanation:
    kind = catalog.load("list", unit.name)
    facts = {"read by": f"theval-data import LIST --as {unit.name} -o DIR"}
    return Explanation(unit, _text(kind), facts, _parameters(kind))


_CUTS: Final = {
    "whole": "whole sources",
    "spans": "cut at the spans that the segment rule selects",
    "people": "each person of the spans that the segment rule selects",
}


def _explain_recipe(unit: Unit) -> Explanation:
    from theval_datasets.curation.recipes.recipe import load_recipe

    recipe = load_recipe(unit.name)
    facts = {
        "clips": _CUTS[recipe.cut],
        "undecided clips": recipe.on_undecided,
        "reference frame": recipe.reference_frame,
    }
    thresholds = [
        {"name": f"{name}.{field.name}", "value": getattr(judge, field.name),
         "meaning": _meanings(type(judge)).get(field.name, "")}
        for name, judge in recipe.judges()
        for field in fields(judge)
    ]  # fmt: skip
    return Explanation(unit, "", facts, thresholds)


def _explain_preset(unit: Unit) -> Explanation:
    from theval_datasets.curation.study.parameters import StudyParameters, preset

    chosen = preset(unit.name)
    rows = [{**row, "value": getattr(chosen, row["name"])} for row in _parameters(StudyParameters)]
    return Explanation(unit, _text(StudyParameters), {}, rows)


def _explain_model(unit: Unit) -> Explanation:
    from theval_datasets.cards.papers import PAPERS
    from theval_datasets.training.parameters import EVALTALKER, ModelParameters

    defaults = ModelParameters().of(cast(Any, unit.name))
    rows = [row for row in _parameters(ModelParameters) if row["name"] in defaults]
    facts = {"extra": "[train]", "trained by": f"theval-data train DIR --model {unit.name} -o OUT"}
    if unit.name == "evaltalker":
        facts |= {"features": ", ".join(EVALTALKER), "source": PAPERS["evaltalker"].title}
    return Explanation(unit, "", facts, rows)


def _explain_generator(unit: Unit) -> Explanation:
    from theval_datasets.evaluation.theval import TABLE_SOURCE, published_leaderboard

    entry = next(row for row in published_leaderboard() if row.model == unit.name)
    facts = {"kind": str(entry.kind), "final score": f"{entry.final:.4f}", "rank": str(entry.rank)}
    rows = [
        {"name": name, "value": value, "meaning": "normalised; 1 equals real videos"}
        for name, value in entry.normalised.items()
    ]
    return Explanation(unit, "", {**facts, "source": TABLE_SOURCE}, rows)


def _text(kind: type[Any]) -> str:
    """The description in a class's docstring, after its first line."""
    return Documentation.of(kind).text.partition("\n")[2].strip()


def _lines(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.unit.kind} {explanation.unit.name}"
    yield f"  {explanation.unit.summary}"
    if explanation.text:
        yield ""
        yield from (f"  {line}".rstrip() for line in explanation.text.split("\n"))
    facts = {label: value for label, value in (explanation.facts or {}).items() if value}
    if facts:
        yield ""
        width = max(map(len, facts))
        yield from (f"  {label:<{width}}  {value}" for label, value in facts.items())
    if explanation.parameters:
        yield from ("", "  parameters")
        for row in explanation.parameters:
            value = "" if row["value"] is None else f" = {row['value']}"
            yield f"    {row['name']}{value}"
            if row["meaning"]:
                yield f"        {row['meaning']}"
    if explanation.columns:
        yield from ("", "  columns" if "unit" in explanation.columns[0] else "  tables")
        for row in explanation.columns:
            unit = f", {row['unit']}" if row.get("unit") else ""
            low, high = row.get("low"), row.get("high")
            bounds = "" if low is None and high is None else f", {_bound(low)} to {_bound(high)}"
            yield f"    {row['name']} ({row['type']}{unit}{bounds})"
            yield f"        {row['meaning']}"


def _bound(value: float | None) -> str:
    return "…" if value is None else f"{value:g}"


_UNITS: Final[Mapping[str, Callable[[], Iterator[Unit]]]] = {
    "recipes": _recipes,
    "filters": lambda: _classes("filter"),
    "extractors": lambda: _classes("extractor"),
    "datasets": _datasets,
    "lists": _lists,
    "presets": _presets,
    "models": _models,
    "generators": _generators,
}
_EXPLAIN: Final[Mapping[str, Callable[[Unit], Explanation]]] = {
    "recipe": _explain_recipe,
    "filter": _explain_filter,
    "extractor": _explain_extractor,
    "dataset": _explain_dataset,
    "list": _explain_list,
    "preset": _explain_preset,
    "model": _explain_model,
    "generator": _explain_generator,
}
