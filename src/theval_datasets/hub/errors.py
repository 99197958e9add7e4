"""Errors of the Hub's client as messages that advise what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from theval_datasets.utils.text import one_line, printable, redacted

_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice after an error.

    Attributes:
        retry: Advice after a fault of the network or the Hub.
        by_status: Advice by HTTP status of the answer.
    """

    retry: str
    by_status: Mapping[int, str]


PUSHING: Final = Advice(
    "push again to continue: files that were sent are not sent twice",
    {
        401: "you are not logged in: run `hf auth login`, or set HF_TOKEN",
        403: "your token has no right to write there: use one with write access to this repository",
        404: "it does not exist, or your token may not read it",
        409: "it already exists",
        412: "somebody else committed to it meanwhile; nothing was committed. Check what changed, then "
        "push again",
        429: "the Hub asks for fewer requests: wait, then push again; files that were sent are not sent twice",
    },
)
READING: Final = Advice(
    "try again to continue: files that were downloaded are not downloaded twice",
    {
        401: "it does not exist, or it is private and you are not logged in: check the name, or run "
        "`hf auth login` or set HF_TOKEN",
        403: "you may not read it: ask for access on its page at the Hub, and run `hf auth login` or "
        "set HF_TOKEN",
        404: "it does not exist, or your token may not read it: check the name and the revision",
        429: "the Hub asks for fewer requests: wait, then try again; files that were downloaded are not downloaded "
        "twice",
    },
)


def explain(error: BaseException, repo_id: str, advice: Advice = PUSHING) -> str:
    """Message for an error of `huggingface_hub`, without tokens or signed addresses.

    Args:
        error: The error; the answer of the Hub is taken from it or its causes.
        repo_id: Repository of the request.
        advice: Advice by kind of error.

    Examples:
        >>> explain(TimeoutError("timed out"), "theval/thqa-mt")
        'theval/thqa-mt: timed out; push again to continue: files that were sent are not sent twice'
    """
    status, message = _answer(error)
    if status is None:
        return f"{repo_id}: {_clean(_root(error))}; {advice.retry}"
    known = advice.by_status.get(status)
    what_to_do = known or ("the Hub has a fault; " if status >= 500 else "") + advice.retry
    details = f" ({_clean(message)})" if message else ""
    return f"{repo_id}: the Hub answered {status}{details}: {what_to_do}"


def status_of(error: BaseException) -> int | None:
    """HTTP status of the answer behind an error; None if there was no answer.

    Examples:
        >>> status_of(TimeoutError("timed out"))
    """
    return _answer(error)[0]


def _answer(error: BaseException | None) -> tuple[int | None, str]:
    while error is not None:
        response: Any = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code), str(getattr(error, "server_message", "") or "")
        error = error.__cause__
    return None, ""


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip() or type(error).__name__


def _clean(text: str) -> str:
    return printable(redacted(one_line(text, _LONGEST), queries=True)).rstrip(".")
