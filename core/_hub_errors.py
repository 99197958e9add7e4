"""What the Hub's client raises, in a sentence that says what to do."""

from __future__ import annotations

import re
from typing import Any, Final

_TOKEN: Final = re.compile(r"hf_[A-Za-z0-9]{8,}")
_QUERY: Final = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]*")  # a signed address is a key

_ADVICE: Final = {
    401: "the Hub does not know you: log in with `hf auth login`, or set HF_TOKEN",
    403: "your token has no right to write there: use one with write access to this repository",
    404: "it is not there, or your token may not see it",
    409: "it exists already",
    412: "somebody else committed to it since it was looked at; nothing was committed. "
    "Look at what changed, then push again",
    429: "the Hub asks for fewer requests: wait, then push again; what was sent is not sent twice",
}
_AGAIN: Final = "push again to go on: what was sent is not sent twice"


def said_plainly(error: BaseException, repo_id: str) -> str:
    """A sentence for an error of `huggingface_hub`, without tokens or signed addresses.

    Args:
        error: What was raised; an answer of the Hub is looked for along its causes.
        repo_id: What the request was about.
    """
    status, message = _answer(error)
    if status is None:
        return f"{repo_id}: {_clean(_root(error))}; {_AGAIN}"
    advice = _ADVICE.get(status, "that is the Hub's fault; " + _AGAIN if status >= 500 else _AGAIN)
    said = f" ({_clean(message)})" if message else ""
    return f"{repo_id}: the Hub answered {status}{said}: {advice}"


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
