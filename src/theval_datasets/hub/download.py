"""Files of a release at the Hub: only the known ones, of one revision, into the Hub's own cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets.errors import BuildError, InputError

from .client import KIND, own_bars
from .errors import READING, said_plainly, status_of

_NAME: Final = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w.-][\w./-]*))?", re.ASCII)
_WRONG: Final = (401, 403, 404)
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A release that was fetched, or was here already.

    Attributes:
        folder: Where its files are; to be read only.
        repo_id: Its repository.
        revision: The commit.
    """

    folder: Path
    repo_id: str
    revision: str


def is_name(text: str) -> bool:
    """Whether it reads as ``OWNER/NAME`` or ``OWNER/NAME@REVISION``."""
    return _NAME.fullmatch(text) is not None


def download(name: str, patterns: Sequence[str]) -> Downloaded:
    """Fetch the files of a dataset's repository that match one of some patterns.

    What is in the Hub's cache is not fetched again; without a network that is what is taken.

    Args:
        name: ``OWNER/NAME`` or ``OWNER/NAME@REVISION``: a branch, a tag or a commit.
        patterns: As in the shell; ``*`` also stands for ``/``.

    Raises:
        InputError: There is no such repository or revision, or it may not be read, or holds none
            of the files.
        BuildError: The Hub cannot be reached or does not answer.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"expected OWNER/NAME or OWNER/NAME@REVISION, got {name!r}")
    repo_id, revision = match[1], match[2]
    try:
        with own_bars():
            folder = Path(
                snapshot_download(
                    repo_id, repo_type=KIND, revision=revision, allow_patterns=list(patterns)
                )
            )
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        said = said_plainly(error, name, READING)
        kind = InputError if status_of(error) in _WRONG else BuildError
        raise kind(
            f"There is no folder {name}, and from the Hub it cannot be had: {said}"
        ) from None
    if not folder.is_dir() or not any(folder.iterdir()):
        raise InputError(
            f"{repo_id} at the Hub holds none of the files that are looked for: "
            f"{', '.join(patterns[:_SHOWN])}"
        )
    return Downloaded(folder, repo_id, folder.name)
