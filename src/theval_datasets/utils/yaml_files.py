"""YAML from untrusted files: recipes, plans, protocols, taxonomies and this package's own tables."""

from __future__ import annotations

import math
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import yaml

from theval_datasets.errors import InputError

from .text import one_line

LARGEST: Final = 1 << 20
"""Maximum size of a YAML file in bytes."""
_MOST_NODES: Final = 1_000_000


def read_yaml(source: Path | Traversable, what: str = "file") -> Any:
    """The content of a YAML file as plain data; None if it is empty.

    Args:
        source: A file, or a file of an installed package.
        what: The kind of file, for messages.

    Raises:
        InputError: There is no such file, it cannot be read, or it is not YAML; see `parse_yaml`.

    Examples:
        >>> read_yaml(Path("no.yaml"), "recipe")
        Traceback (most recent call last):
        ...
        theval_datasets.errors.InputError: there is no recipe no.yaml
    """
    if not source.is_file():
        raise InputError(f"there is no {what} {source}")
    try:
        with source.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise InputError(f"{source} has more than {LARGEST} bytes: it is not a {what}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8 text: {error}") from None
    return parse_yaml(text, source.name)


def parse_yaml(text: str, where: str) -> Any:
    """YAML text as plain data: scalars, lists and dictionaries; None if there is no content.

    Args:
        text: One YAML document.
        where: Name of the file, for messages.

    Raises:
        InputError: The text is not YAML, states a key twice, or has references to itself or so many
            references that they multiply it.

    Examples:
        >>> parse_yaml("sizes: [1, 2]", "s.yaml")
        {'sizes': [1, 2]}
        >>> parse_yaml("{a: 1, a: 2}", "s.yaml")
        Traceback (most recent call last):
        ...
        theval_datasets.errors.InputError: s.yaml:1: the key 'a' occurs twice
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            if _n_nodes(root, where, {}) > _MOST_NODES:
                raise InputError(
                    f"{where}: its references (*name) multiply the content; write it out"
                )
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{where} is not YAML: {one_line(error)}") from None


def _n_nodes(node: yaml.Node, where: str, known: dict[int, float]) -> float:
    """Number of nodes once references are replaced; infinite for a node that contains itself."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = math.inf
    below: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        below = node.value
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in keys:
                    line = key.start_mark.line + 1
                    raise InputError(f"{where}:{line}: the key {key.value!r} occurs twice")
                keys.add(key.value)
            below += (key, value)
    known[id(node)] = 1 + sum(_n_nodes(child, where, known) for child in below)
    return known[id(node)]
