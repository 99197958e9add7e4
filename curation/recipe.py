"""Recipes: what a curated run shall keep, as small YAML files read into frozen dataclasses."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import yaml

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.files import digest
from theval_datasets.records import from_plain, to_plain

_PACKAGE: Final = "theval_datasets.curation.recipes"
_LARGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run goes about its sources.

    Attributes:
        name: Short name; also what manifests record, with a hash of the whole.
        about: One line for people.
        cut: `whole`: each source is one clip, neither cut nor encoded again.
        reference_frame: `middle`: the frame in the middle of the clip.
        audio_track: Whether each clip's sound is also written as 16 kHz mono.
    """

    name: str
    about: str
    cut: Literal["whole"] = "whole"
    reference_frame: Literal["middle"] = "middle"
    audio_track: bool = True

    @property
    def identity(self) -> str:
        """Name and hash of all that decides about clips."""
        decides = {key: value for key, value in to_plain(self).items() if key != "about"}
        return f"{self.name}:{digest(decides)[:16]}"


def recipe_names() -> list[str]:
    """The recipes that come with the toolkit."""
    folder = importlib.resources.files(_PACKAGE)
    return sorted(
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    )


def load_recipe(name: str) -> Recipe:
    """Read a recipe.

    Args:
        name: One of `recipe_names()`, or the path of a YAML file.

    Raises:
        UnknownNameError: There is no such recipe.
        InputError: The file is not a recipe; says where and what was expected.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise InputError(f"There is no recipe file {path}.")
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} has {path.stat().st_size} bytes: that is no recipe.")
        return parse_recipe(path.read_text(encoding="utf-8"), path.name)
    known = recipe_names()
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    file = importlib.resources.files(_PACKAGE) / f"{name}.yaml"
    return parse_recipe(file.read_text(encoding="utf-8"), f"{name}.yaml")


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from YAML text.

    Raises:
        InputError: It is not one.
    """
    try:
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{where} is not YAML: {error}") from None
    return from_plain(Recipe, plain, where)
