"""What the Hub's client raises, in a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_TOKEN: Final = re.compile(r"hf_[A-Za-z0-9]{8,}")
_QUERY: Final = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]*")  # a signed address is a key


@dataclass(frozen=True, slots=True)
class Doing:
    """What a request was for.

    Attributes:
        again: What to do after a fault of the network or the Hub.
        advice: What to do, by the status of the answer.
    """

    again: str
    advice: Mapping[int, str]


PUSHING: Final = Doing(
    "push again to go on: what was sent is not sent twice",
    {
        401: "the Hub does not know you: log in with `hf auth login`, or set HF_TOKEN",
        403: "your token has no right to write there: use one with write access to this repository",
        404: "it is not there, or your token may not see it",
        409: "it exists already",
        412: "somebody else committed to it since it was looked at; nothing was committed. "
        "Look at what changed, then push again",
        429: "the Hub asks for fewer requests: wait, then push again; what was sent is not sent "
        "twice",
    },
)
READING: Final = Doing(
    "try again to go on: what came is not fetched twice",
    {
        401: "it is not there, or it is private and the Hub does not know you: look at the name, "
        "or log in with `hf auth login` or HF_TOKEN",
        403: "you may not read it: ask for access on its page at the Hub, and log in with "
        "`hf auth login` or HF_TOKEN",
        404: "it is not there, or your token may not see it: look at the name and the revision",
        429: "the Hub asks for fewer requests: wait, then try again; what came is not fetched twice",
    },
)


def said_plainly(error: BaseException, repo_id: str, doing: Doing = PUSHING) -> str:
    """A sentence for an error of `huggingface_hub`, without tokens or signed addresses.

    Args:
        error: What was raised; an answer of the Hub is looked for along its causes.
        repo_id: What the request was about.
        doing: What it was for.
    """
    status, message = _answer(error)
    if status is None:
        return f"{repo_id}: {_clean(_root(error))}; {doing.again}"
    known = doing.advice.get(status)
    advice = known or ("that is the Hub's fault; " if status >= 500 else "") + doing.again
    said = f" ({_clean(message)})" if message else ""
    return f"{repo_id}: the Hub answered {status}{said}: {advice}"


def status_of(error: BaseException) -> int | None:
    """The status of the Hub's answer that an error comes from; None if it gave none."""
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
    one_line = " ".join(text.split())[:500]
    return _QUERY.sub(r"\1", _TOKEN.sub("hf_***", one_line)).rstrip(".")
