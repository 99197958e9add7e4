"""Command line of a function: options from its signature, help from its docstring."""

from __future__ import annotations

import copy
import functools
import inspect
import os
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, ForwardRef, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

from theval_datasets.utils.quiet import results_only

from .options import Fields

_SECTION: Final = re.compile(r"^(Args|Attributes|Returns|Raises|Examples?|Yields):\n", re.MULTILINE)
_ENTRY: Final = re.compile(r"^(\w+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Documentation:
    """The parsed parts of a docstring in Google style.

    Attributes:
        text: Text before the first section.
        entries: Description by name of the parameter or attribute.
    """

    text: str
    entries: Mapping[str, str]

    @classmethod
    def of(cls, documented: Callable[..., Any]) -> Documentation:
        """Read the docstring of a function or dataclass."""
        text, *sections = _SECTION.split(inspect.getdoc(documented) or "")
        entries: dict[str, str] = {}
        for title, section in zip(sections[::2], sections[1::2], strict=True):
            if title in ("Args", "Attributes"):
                body = textwrap.dedent(section.partition("\n\n")[0])
                _, *parts = _ENTRY.split(body)
                entries |= {
                    name: _plain(value) for name, value in zip(parts[::2], parts[1::2], strict=True)
                }
        return cls(text.strip().replace("``", "`"), entries)


def command_line(
    function: Callable[..., Any], show: Callable[[Any, bool], None]
) -> Callable[..., None]:
    """A function that `typer` can make a command of: with help texts, and the option ``--json``.

    Args:
        function: Function that returns a report. A parameter ``str | os.PathLike[str]`` becomes a
            path, a sequence an option that may be repeated, ``str | Sequence[str]`` a text with
            commas, and a parameter marked with `Fields` an option for each field.
        show: Called with the report, and with True if ``--json`` was given.

    Raises:
        TypeError: The docstring does not explain a parameter.
    """
    known = Documentation.of(function)
    parameters = [*_parameters(function, known.entries), _JSON]
    grouped = {p.name: mark for p, _, mark in _declared(function) if isinstance(mark, Fields)}

    @functools.wraps(function)
    def command(*, as_json: bool, **given: Any) -> None:
        for name, marker in grouped.items():
            kind = marker.load()
            given[name] = kind(**{key: given.pop(key) for key in _options_of(kind, marker)})
        with results_only():
            report = function(**given)
        show(report, as_json)

    signature = inspect.Signature(parameters)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = known.text
    del command.__wrapped__
    return command


def python_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a command's function as callers in Python need it: without the command line's.

    Examples:
        >>> from theval_datasets.commands.verify import verify
        >>> str(python_signature(verify)).partition(",")[0]
        '(folder: str | os.PathLike[str]'
    """
    parameters = [
        parameter.replace(annotation=kind.__forward_arg__ if isinstance(kind, ForwardRef) else kind)
        for parameter, kind, _ in _declared(function)
    ]
    return inspect.signature(function).replace(parameters=parameters)


_JSON: Final = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--json", help="Machine-readable result on standard output.")
    ],
)


def _declared(
    function: Callable[..., Any],
) -> Iterator[tuple[inspect.Parameter, Any, Fields | ParameterInfo | None]]:
    """Each parameter with its evaluated type and its `Annotated` settings for the command line."""
    for parameter in inspect.signature(function).parameters.values():
        kind = function.__annotations__.get(parameter.name, parameter.annotation)
        if isinstance(kind, str):
            kind = eval(kind, vars(sys.modules[function.__module__]))  # noqa: S307  # our own code
        marks: Sequence[Any] = ()
        if get_origin(kind) is Annotated:
            kind, *marks = get_args(kind)
        mark = next((m for m in marks if isinstance(m, (Fields, ParameterInfo))), None)
        yield parameter, kind, mark


def _parameters(
    function: Callable[..., Any], documented: Mapping[str, str]
) -> Iterator[inspect.Parameter]:
    for parameter, kind, mark in _declared(function):
        name = parameter.name
        if isinstance(mark, Fields):
            yield from _field_parameters(mark)
            continue
        if name not in documented:
            raise TypeError(f"the docstring of {function.__name__} does not explain {name}")
        positional = parameter.kind is not parameter.KEYWORD_ONLY
        option = mark or (typer.Argument() if positional else typer.Option())
        yield _parameter(name, kind, option, parameter.default, documented[name])


def _field_parameters(marker: Fields) -> Iterator[inspect.Parameter]:
    kind = marker.load()
    documented = Documentation.of(kind).entries
    hints = get_type_hints(kind)
    defaults = {field.name: field.default for field in fields(kind)}
    for name in _options_of(kind, marker):
        names = marker.names.get(name, ())
        option = typer.Option(*names, metavar=marker.metavars.get(name))
        yield _parameter(name, hints[name], option, defaults[name], documented[name])


def _options_of(kind: type[Any], marker: Fields) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in marker.hidden]


def _parameter(
    name: str, annotation: Any, option: ParameterInfo, default: Any, text: str
) -> inspect.Parameter:
    """A parameter in the form that `typer` reads."""
    given = copy.copy(option)
    given.help = text
    optional = default is not inspect.Parameter.empty and default is not MISSING
    if annotation is bool and default is False and given.default is ...:
        given.param_decls = (f"--{name.replace('_', '-')}",)  # without --no-NAME
    plain = str if given.parser else _readable(annotation)
    if given.parser and (get_origin(annotation) is Sequence or _is_one_or_many(annotation)):
        plain = list[str]
    if default == () and optional:
        default = "" if plain is str else []
        given.show_default = False
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default if optional else inspect.Parameter.empty,
        annotation=Annotated[plain, given],
    )


def _is_one_or_many(annotation: Any) -> bool:
    """Whether callers in Python may give one path or several."""
    return os.PathLike[str] in get_args(annotation) and any(
        get_origin(member) is Sequence for member in get_args(annotation)
    )


def _readable(annotation: Any) -> Any:
    """The type that `typer` reads in place of a type for callers in Python."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        members = [option for option in arguments if option is not type(None)]
        if str in members and os.PathLike[str] in members:
            plain: Any = Path
        elif str in members:
            plain = str
        else:
            (only,) = members
            plain = _readable(only)
        return plain | None if type(None) in arguments else plain
    if origin is Sequence:
        return list[_readable(arguments[0])]  # type: ignore[misc]
    return annotation


def _plain(text: str) -> str:
    """Docstring text in one line, without markup."""
    return " ".join(text.replace("``", "`").split())
