"""Extractors by name, with parameters that differ from their defaults.

A setting is a text such as ``vst.size=base``: the extractor, its parameter, and the value as YAML writes
it (``0.5``, ``true``, ``[640, 480]``, text).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from theval_datasets import catalog
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import parse_yaml

from .extractor import Extractor
from .store import with_needs

Settings: TypeAlias = Mapping[str, Extractor]
"""Extractors with stated parameters, by name."""


def read_settings(texts: Iterable[str]) -> dict[str, Extractor]:
    """Extractors with the parameters that settings state; the others keep their defaults.

    Args:
        texts: Settings, ``NAME.PARAMETER=VALUE``.

    Raises:
        UnknownNameError: There is no such extractor or parameter.
        InputError: A text is no setting, a parameter is set twice, or a value does not fit.

    Examples:
        >>> read_settings(["vst.size=base", "vst.windows=2"])["vst"].parameters()
        {'size': 'base', 'windows': 2, 'view': 'whole', 'precision': 'float32'}
    """
    stated: dict[str, dict[str, str]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        name, dot, parameter = (part.strip() for part in place.partition("."))
        if not (equals and dot and name and parameter):
            raise InputError(
                f"expected --set NAME.PARAMETER=VALUE, such as vst.size=base, got {text!r}"
            )
        if parameter in stated.setdefault(name, {}):
            raise InputError(f"--set {name}.{parameter} is stated twice")
        stated[name][parameter] = value.strip()
    return {name: _with_parameters(name, values) for name, values in stated.items()}


def load_extractor(name: str, settings: Settings) -> Extractor:
    """An extractor with the parameters of its settings, or else its defaults.

    Raises:
        UnknownNameError: If there is no extractor of that name.
    """
    made: Extractor = settings[name] if name in settings else catalog.load("extractor", name)()
    return made


def check_settings(settings: Settings, extractors: Sequence[Extractor], where: str) -> None:
    """Check that each setting has an effect, and one only.

    Args:
        settings: Extractors with stated parameters.
        extractors: Extractors that are run or read.
        where: What they are, for messages.

    Raises:
        InputError: A setting is of an extractor that is not among them, or that another one needs with
            other parameters: its results would be two under one name.
    """
    names = [extractor.name for extractor in extractors]
    for name in settings:
        if name not in names:
            raise InputError(
                f"--set {name}: expected one of {where}, which are "
                f"{', '.join(sorted(names)) or 'none'}"
            )
        for extractor in extractors:
            if any(n.name == name and n != settings[name] for n in with_needs([extractor])[:-1]):
                raise InputError(
                    f"--set {name}: {extractor.name} needs {name} with its own parameters; "
                    f"run the two in separate calls"
                )


def describe_settings(settings: Settings) -> str:
    """The parameters that differ from the defaults, as settings; "" if none does.

    Examples:
        >>> describe_settings(read_settings(["vst.windows=2", "vst.size=tiny"]))
        'vst.windows=2'
    """
    parts = []
    for name, extractor in sorted(settings.items()):
        defaults = catalog.load("extractor", name)().parameters()
        parts += [
            f"{name}.{key}={value}"
            for key, value in extractor.parameters().items()
            if value != defaults[key]
        ]
    return ", ".join(parts)


def _with_parameters(name: str, stated: Mapping[str, str]) -> Extractor:
    kind: type[Extractor] = catalog.load("extractor", name)
    fields = [field.name for field in dataclasses.fields(kind) if field.init]
    values: dict[str, Any] = {}
    for parameter, text in stated.items():
        if parameter not in fields:
            raise UnknownNameError(f"parameter of {name}", parameter, fields)
        values[parameter] = _value(kind, parameter, text)
    return from_plain(kind, values, f"--set {name}")


def _value(kind: type[Extractor], parameter: str, text: str) -> Any:
    """A value as YAML reads it; as it is written where only text fits, as ``no`` or ``12`` may be."""
    try:
        value = parse_yaml(text, parameter)
    except InputError:
        return text
    if not isinstance(value, str):
        try:
            from_plain(kind, {parameter: value}, "")
        except InputError:
            try:
                from_plain(kind, {parameter: text}, "")
            except InputError:
                return value
            return text
    return value
