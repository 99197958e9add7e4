"""Recipes: rules of a curation run, as small YAML files read into frozen dataclasses.

A user's own file overrides an included recipe: `NAME.yaml` in the folder `THEVAL_RECIPES`, or in
`theval-datasets/recipes` of the user's configuration. A recipe may name another as its `base` and state
only the differences; a filter set to null is left out.
"""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from theval_datasets import catalog
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.extraction.weights import warn_once
from theval_datasets.utils.files import digest, write_text
from theval_datasets.utils.records import from_plain, to_plain
from theval_datasets.utils.yaml_files import parse_yaml, read_yaml

from ..clips.cut import Encoding
from ..filters.base import Filter, SetFilter
from ..segmentation.people import PersonRule
from ..segmentation.spans import SegmentRule

_PACKAGE: Final = "theval_datasets.curation.recipes"
_DEEPEST: Final = 8
_FORMER_NAMES_UNTIL: Final = "0.3"
RECIPE_NAME: Final = "recipe.yaml"
"""Name of the file beside a manifest that holds the recipe of its run, with the base merged in."""
_MERGED: Final = ("segment", "encoding", "person", "filters")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Rules of a curation run.

    Attributes:
        name: Short name; manifests record it with a hash of the recipe.
        about: Description in one line.
        cut: `whole`: each source is one clip, neither cut nor encoded again; `spans`: clips are cut at
            the spans that `segment` selects; `people`: each person of these spans is a clip.
        reference_frame: `middle`: the frame in the middle of the clip; `best`: the frame that shows
            everybody best.
        audio_track: Whether each clip's sound is also written as a separate track of 16 kHz mono.
        segment: Requirements of spans, for `spans` and `people`.
        encoding: Encoding of clips, for `spans` and `people`.
        person: Rule by which people are cut out of spans, for `people`.
        filters: Thresholds by name of the filter; filters judge in this order.
        on_undecided: Whether clips that a filter cannot judge are kept or rejected.
        people: Whether each person's size and pose, and the clip's difficulty, are recorded.
        measure: Names of further extractors to run, where their extras are installed.

    Examples:
        >>> text = "{name: long, about: Long clips, filters: {duration: {min_seconds: 9}}}"
        >>> recipe = parse_recipe(text, "long.yaml")
        >>> recipe.judges()[0][1].min_seconds
        9.0
        >>> recipe.plain
        False
        >>> recipe.identity.startswith("long:")
        True
    """

    name: str
    about: str
    cut: Literal["whole", "spans", "people"] = "whole"
    reference_frame: Literal["middle", "best"] = "middle"
    audio_track: bool = True
    segment: SegmentRule = field(default_factory=SegmentRule)
    encoding: Encoding = field(default_factory=Encoding)
    person: PersonRule = field(default_factory=PersonRule)
    filters: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    on_undecided: Literal["keep", "reject"] = "reject"
    people: bool = False
    measure: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.measure:
            if name not in catalog.names("extractor"):
                raise UnknownNameError("extractor", name, catalog.names("extractor"))
        self.judges()

    @property
    def plain(self) -> bool:
        """Whether sources become clips unchanged and without measurements."""
        judged = bool(self.filters) or self.people or bool(self.measure)
        return self.cut == "whole" and self.reference_frame == "middle" and not judged

    @property
    def identity(self) -> str:
        """Name, and hash of all settings that clips depend on."""
        decides = {key: value for key, value in to_plain(self).items() if key != "about"}
        judges = [[name, _hashed(judge)] for name, judge in self.judges()]
        if self.cut == "whole":
            del decides["segment"], decides["encoding"]
        if self.cut != "people":
            del decides["person"]
        return f"{self.name}:{digest(decides | {'filters': judges})[:16]}"

    def judges(self) -> list[tuple[str, Filter | SetFilter]]:
        """The filters with their thresholds, those that judge single clips first.

        Raises:
            InputError: A name is not that of a filter, or a threshold is invalid.
        """
        judges = [(name, _judge(name, given or {})) for name, given in self.filters.items()]
        return sorted(judges, key=lambda pair: isinstance(pair[1], SetFilter))


def _judge(name: str, given: Mapping[str, Any]) -> Filter | SetFilter:
    kind = catalog.load("filter", name)
    judge: Filter | SetFilter = from_plain(kind, given, f"filters.{name}")
    for parameter in fields(judge):
        value = getattr(judge, parameter.name)
        if isinstance(value, (int, float)) and value < 0 and parameter.name not in judge.signed:
            raise InputError(
                f"filters.{name}: expected {parameter.name} of at least 0, got {value}"
            )
    return judge


def _hashed(judge: Filter | SetFilter) -> dict[str, Any]:
    """A filter's thresholds under the names from which recipe hashes are computed.

    A field that was renamed keeps its former name here, so that manifests keep their recipe's hash.
    """
    former = {new: old for old, new in judge.renamed.items()}
    return {former.get(name, name): value for name, value in to_plain(judge).items()}


def _with_new_names(filters: Any, where: str) -> Any:
    """The filters of a recipe with every former name of a field replaced.

    Raises:
        InputError: A field is given under both names.
    """
    if not isinstance(filters, dict):
        return filters
    renewed: dict[Any, Any] = {}
    for name, given in filters.items():
        renewed[name] = given
        if not isinstance(given, dict) or name not in catalog.names("filter"):
            continue
        renamed = catalog.load("filter", name).renamed
        for old in sorted(renamed.keys() & given.keys()):
            new = renamed[old]
            if new in given:
                raise InputError(f"{where}: filters.{name}: {old} is the former name of {new}")
            warn_once(
                f"{where}: filters.{name}: {old} was renamed to {new}; the former name is accepted "
                f"until version {_FORMER_NAMES_UNTIL}"
            )
        renewed[name] = {renamed.get(key, key): value for key, value in given.items()}
    return renewed


def recipe_folders() -> Iterator[Path]:
    """Folders of the user's own recipes, in the order in which they are searched.

    Examples:
        >>> [*recipe_folders()][-1].parts[-2:]
        ('theval-datasets', 'recipes')
    """
    chosen = os.environ.get("THEVAL_RECIPES")
    if chosen:
        yield Path(chosen)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    yield Path(home) / "theval-datasets" / "recipes"


def recipe_names() -> list[str]:
    """Names of the included recipes and the user's own.

    Examples:
        >>> "as-is" in recipe_names()
        True
    """
    folder = importlib.resources.files(_PACKAGE)
    names = {
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    }
    own = {path.stem for place in recipe_folders() for path in place.glob("*.yaml")}
    return sorted(names | own)


def load_recipe(name: str) -> Recipe:
    """Read a recipe.

    Args:
        name: One of `recipe_names()`, or the path of a YAML file.

    Raises:
        UnknownNameError: There is no such recipe.
        InputError: The file is not a recipe; the message states the place and what was expected.

    Examples:
        >>> load_recipe("theval").cut
        'spans'
    """
    plain, where, folder = _read(name)
    return from_plain(Recipe, _with_base(plain, where, folder), where)


def parse_recipe(text: str, where: str, folder: Path | None = None) -> Recipe:
    """A recipe from YAML text.

    Args:
        text: The YAML.
        where: Name of the file in messages.
        folder: Folder that a path as `base` is relative to; None to allow named bases only.

    Raises:
        InputError: The text is not a recipe.

    Examples:
        >>> parse_recipe("base: as-is", "mine.yaml").plain
        True
    """
    return from_plain(Recipe, _with_base(parse_yaml(text, where), where, folder), where)


def write_recipe(recipe: Recipe, folder: Path) -> None:
    """Write a recipe beside a manifest, atomically.

    Examples:
        >>> write_recipe(load_recipe("as-is"), Path())
        >>> load_recipe("recipe.yaml").name
        'as-is'
    """
    text = yaml.safe_dump(to_plain(recipe), sort_keys=False, allow_unicode=True)
    write_text(folder / RECIPE_NAME, text)


def _read(name: str, folder: Path | None = None) -> tuple[Any, str, Path | None]:
    """Content, short name and folder of a recipe."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        path = folder / path if folder else path
        return read_yaml(path, "recipe file"), path.name, path.parent
    known = recipe_names()
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    for place in recipe_folders():
        if (place / f"{name}.yaml").is_file():
            return read_yaml(place / f"{name}.yaml", "recipe file"), f"{name}.yaml", place
    file = importlib.resources.files(_PACKAGE) / f"{name}.yaml"
    return read_yaml(file), f"{name}.yaml", None


def _with_base(plain: Any, where: str, folder: Path | None, depth: int = 0) -> Any:
    """A recipe's content merged with that of its base."""
    if not isinstance(plain, dict):
        return plain
    if "filters" in plain:
        plain["filters"] = _with_new_names(plain["filters"], where)
    if "base" not in plain:
        return plain
    base = plain.pop("base")
    if not isinstance(base, str) or depth >= _DEEPEST:
        raise InputError(f"{where}: expected the name of another recipe as base, got {base!r}")
    below = _with_base(*_read(base, folder), depth + 1)
    merged = {**below, **plain}
    for key in _MERGED:
        over, under = plain.get(key), below.get(key)
        if isinstance(over, dict) and isinstance(under, dict):
            merged[key] = _merged(under, over, deep=key == "filters")
    return merged


def _merged(under: dict[str, Any], over: dict[str, Any], *, deep: bool) -> dict[str, Any]:
    merged = {**under}
    for key, value in over.items():
        if deep and value is None:
            merged.pop(key, None)
        elif deep and isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = {**merged[key], **value}
        else:
            merged[key] = value
    return merged
