"""Download of a release from the Hub: expected files of one revision, into the Hub's cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets.errors import BuildError, InputError

from .client import KIND, hub_session
from .errors import READING, explain, status_of

_NAME: Final = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w.-][\w./-]*))?", re.ASCII)
_WRONG: Final = (401, 403, 404)
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A release in the Hub's cache on this machine.

    Attributes:
        folder: Folder of its files, read-only.
        repo_id: Name of the repository.
        revision: Commit.
    """

    folder: Path
    repo_id: str
    revision: str


def is_name(text: str) -> bool:
    """Whether a text has the form ``OWNER/NAME`` or ``OWNER/NAME@REVISION``.

    Examples:
        >>> is_name("theval/thqa-mt@v0.1.0"), is_name("./work")
        (True, False)
    """
    return _NAME.fullmatch(text) is not None


def download(name: str, patterns: Sequence[str]) -> Downloaded:
    """Download the files of a dataset's repository that match any of several patterns.

    Files in the Hub's cache are not downloaded again; without a network only the cache is used.

    Args:
        name: ``OWNER/NAME`` or ``OWNER/NAME@REVISION``: a branch, a tag or a commit.
        patterns: Shell patterns; ``*`` also stands for ``/``.

    Raises:
        InputError: The repository or revision does not exist, may not be read, or holds none of the
            files.
        BuildError: The Hub cannot be reached or does not answer.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"expected OWNER/NAME or OWNER/NAME@REVISION, got {name!r}")
    repo_id, revision = match[1], match[2]
    try:
        with hub_session():
            folder = Path(
                snapshot_download(
                    repo_id, repo_type=KIND, revision=revision, allow_patterns=list(patterns)
                )
            )
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        kind = InputError if status_of(error) in _WRONG else BuildError
        raise kind(
            f"there is no folder {name}, and it could not be downloaded from the Hub: "
            f"{explain(error, name, READING)}"
        ) from None
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(
            f"{repo_id} at the Hub holds none of the expected files: {', '.join(patterns[:_SHOWN])}"
        )
    return Downloaded(folder, repo_id, folder.name)
