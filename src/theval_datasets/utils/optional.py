"""Optional dependencies: imported where they are used, with a helpful message when absent."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import shlex
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from theval_datasets.errors import MissingExtraError

_NAME: Final = "theval-datasets"


def require(module: str, *, extra: str) -> Any:
    """Import `module`, or say which extra brings it.

    Args:
        module: Dotted name of the module.
        extra: Extra of ``theval-datasets`` that installs it.

    Raises:
        MissingExtraError: The module is not installed.

    Example:
        >>> require("json", extra="demo").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"{module} is not installed. It comes with the extra [{extra}]: "
            f"{install_command(extra)}"
        ) from error


def available(module: str) -> bool:
    """Whether `module` could be imported, without importing it.

    Example:
        >>> available("json"), available("no_such_module")
        (True, False)
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def install_command(*extras: str) -> str:
    """The command that adds extras to this installation, from where it was installed.

    Args:
        extras: Names of extras, at least one.
    """
    names = ",".join(sorted(set(extras)))
    try:
        distribution = importlib.metadata.distribution(_NAME)
    except importlib.metadata.PackageNotFoundError:
        return _in_a_checkout(names)
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    if "dir_info" in origin:
        folder = Path(url2pathname(urlsplit(url).path))
        if not (folder / "pyproject.toml").is_file():
            return _in_a_checkout(names)
        words = ["pip", "install"]
        if (folder / "constraints.txt").is_file():
            words += ["-c", str(folder / "constraints.txt")]
        words += ["-e"] if origin["dir_info"].get("editable") else []
        return shlex.join([*words, f"{folder}[{names}]"])
    if "vcs_info" in origin:
        revision = origin["vcs_info"].get("requested_revision")
        url = f"{origin['vcs_info']['vcs']}+{url}" + (f"@{revision}" if revision else "")
    elif not url:
        address = _repository(distribution)
        url = f"git+{address}" if address else ""
    if not url:
        return _in_a_checkout(names)
    return shlex.join(["pip", "install", f"{_NAME}[{names}] @ {url}"])


def _repository(distribution: importlib.metadata.Distribution) -> str | None:
    """Address of the repository in the project's metadata; None if it states none."""
    for entry in distribution.metadata.get_all("Project-URL") or ():
        label, _, url = entry.partition(", ")
        if label.lower() == "repository":
            return str(url)
    return None


def _in_a_checkout(names: str) -> str:
    return f"pip install '.[{names}]' (in a checkout of {_NAME})"
