"""Assignment of free descriptions of distortions to Gen3DHF's nine categories, by a keyword table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from theval_datasets.errors import InputError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import read_yaml

CATEGORIES = (
    "Eye Distortions",
    "Mouth Distortions",
    "Hair Distortions",
    "Facial Feature Distortions",
    "Head Structure Distortions",
    "Overlap or Blending Issues",
    "Blurring / Exposure / Grain",
    "Accessories or Cloth Distortions",
    "No Distortion",
)
"""Names of the categories in Gen3DHF."""


@dataclass(frozen=True)
class CategoryAssignment:
    """The categories assigned to a description.

    Attributes:
        categories: Categories in the order of the table; empty if no keyword occurs.
        words: Matched keywords by category.
    """

    categories: tuple[str, ...]
    words: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class KeywordTable:
    """Keywords of each category.

    Attributes:
        name: Name of the table.
        categories: Words and phrases of each category.
        nothing: Category that applies only if no other does; None if there is none.
    """

    name: str
    categories: dict[str, tuple[str, ...]]
    nothing: str | None = None

    def __post_init__(self) -> None:
        if self.nothing is not None and self.nothing not in self.categories:
            raise InputError(f"expected one of the categories as `nothing`, got {self.nothing!r}")
        seen: dict[str, str] = {}
        for category, words in self.categories.items():
            for word in words:
                other = seen.setdefault(word.lower(), category)
                if other != category:
                    raise InputError(f"the word {word!r} is listed for {other!r} and {category!r}")

    @cached_property
    def _pattern(self) -> tuple[re.Pattern[str], dict[str, str]]:
        owner = {word.lower(): name for name, many in self.categories.items() for word in many}
        phrases = sorted(owner, key=lambda word: (-len(word), word))
        body = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in phrases)
        return re.compile(rf"(?<!\w)({body})(?:s|es)?(?!\w)"), owner

    def assign(self, text: str) -> CategoryAssignment:
        """The categories of a description, in any mixture of upper and lower case.

        Examples:
            >>> load_keywords().assign("Flickering, and one hand is BLURRY").words
            {'Blurring / Exposure / Grain': ('flickering', 'blurry')}
        """
        pattern, owner = self._pattern
        rows: dict[str, list[str]] = {}
        for match in pattern.finditer(text.lower()):
            word = " ".join(match.group(1).split())
            rows.setdefault(owner[word], []).append(word)
        if self.nothing in rows and len(rows) > 1:
            del rows[self.nothing]
        ordered = tuple(name for name in self.categories if name in rows)
        return CategoryAssignment(ordered, {name: tuple(rows[name]) for name in ordered})


def load_keywords(path: Path | None = None) -> KeywordTable:
    """Read a keyword table.

    Args:
        path: YAML file; None for the table of Gen3DHF's nine categories.

    Raises:
        InputError: If it does not exist or is malformed.

    Examples:
        >>> len(load_keywords().categories)
        9
    """
    source = path or resources.files(__package__ or "") / "descriptions.yaml"
    return from_plain(KeywordTable, read_yaml(source, "keyword table"), source.name)
