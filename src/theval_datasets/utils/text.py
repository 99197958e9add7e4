"""Text that is safe to print: without terminal control characters, and without secrets.

Names and titles are untrusted, and addresses may grant access. Everything that the command line prints
or logs goes through here.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from typing import Final

_STEERING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, delete, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings and isolates of bidi text
    "\u2028\u2029\ufff9-\ufffb\ufeff\ud800-\udfff]"  # separators, annotations, lone surrogates
)
_SHOWN: Final = 5
_HUB_TOKEN: Final = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_BEARER: Final = re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}")
_USER: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#'\"<>@]+@")
_SECRET: Final = re.compile(
    r"""(?ix) ([?&;] (?: x-(?:amz|goog|ms|xet)-[\w-]* | se | sp | sv
    | [\w-]* (?: sig | token | secret | passw | auth | key | credential | policy | expire | session )
      [\w-]* ) = ) [^&;\s'"<>]+"""
)
_QUERY: Final = re.compile(r"(?i)\b(https?://[^\s?'\"<>]+)\?[^\s'\"<>]*")
_HIDDEN: Final = "***"
_SHORTEST_SECRET: Final = 8


def printable(text: str) -> str:
    r"""`text` with terminal control characters escaped, such as ``\u001b``.

    Newlines and tabs are kept. The escapes are those of JSON, so that JSON keeps its meaning.

    Examples:
        >>> printable("a\x1b[31mb")
        'a\\u001b[31mb'
    """
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def json_escapes(error: UnicodeError) -> tuple[str, int]:
    r"""Characters that an encoding lacks, as escapes of JSON: a handler for `codecs.register_error`.

    Raises:
        UnicodeError: It is not an error of encoding.

    Examples:
        >>> import codecs
        >>> codecs.register_error("json-escapes", json_escapes)
        >>> "a…\U0001f600".encode("ascii", "json-escapes")
        b'a\\u2026\\ud83d\\ude00'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4)), error.end


def one_line(value: object, limit: int = 300) -> str:
    """An error or text as one line of at most `limit` characters.

    Examples:
        >>> one_line("a\\n  b", 2)
        'a …'
    """
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[:limit] + "…"


def some_of(faults: Sequence[str]) -> str:
    """The first of many faults in one sentence, and the number of the others.

    Args:
        faults: Descriptions of faults.

    Examples:
        >>> some_of(["a is empty", "b is empty"])
        'a is empty; b is empty'
        >>> some_of(["empty"] * 7)
        'empty; empty; empty; empty; empty; and 2 more'
    """
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more


def some_names(names: Iterable[str], shown: int = 3) -> str:
    """The first of many names, and the number of the others.

    Args:
        names: Names.
        shown: Number of names that are shown.

    Examples:
        >>> some_names("abc"), some_names("abcde")
        ('a, b, c', 'a, b, c and 2 more')
    """
    listed = list(names)
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more


def count_of(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    Args:
        number: Number.
        one: Noun in the singular.
        many: Noun in the plural; None for the singular with an s.

    Examples:
        >>> count_of(1, "clip"), count_of(1200, "clip"), count_of(0, "entry", "entries")
        ('1 clip', '1,200 clips', '0 entries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def redacted(text: str, *, queries: bool = False) -> str:
    """`text` without tokens, passwords and signatures in addresses.

    Args:
        text: Any text.
        queries: Whether to remove queries of addresses altogether: at the Hub any part may be a key.

    Examples:
        >>> redacted("PUT https://host/file?X-Amz-Signature=abc&part=2")
        'PUT https://host/file?X-Amz-Signature=***&part=2'
    """
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        token = os.environ.get(name, "").strip()
        if len(token) >= _SHORTEST_SECRET:
            text = text.replace(token, _HIDDEN)
    text = _HUB_TOKEN.sub(f"hf_{_HIDDEN}", text)
    text = _BEARER.sub(rf"\1{_HIDDEN}", text)
    text = _USER.sub(rf"\1{_HIDDEN}@", text)
    return _QUERY.sub(r"\1", text) if queries else _SECRET.sub(rf"\1{_HIDDEN}", text)


class SafeFormatter(logging.Formatter):
    """Formats log records as text that is safe to print."""

    def format(self, record: logging.LogRecord) -> str:
        """The record in one or more lines."""
        return printable(redacted(super().format(record)))


class _Redaction(logging.Filter):
    """Removes secrets from a log record before any handler gets it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage(), queries=True), ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            record.exc_text = redacted(trace, queries=True)
        return True


_REDACTION: Final = _Redaction()


def redact_logs(*packages: str) -> None:
    """Remove secrets from all log records of some packages; may be called repeatedly.

    Args:
        packages: Names of top-level packages, such as ``huggingface_hub``.
    """
    for name in packages:
        logging.getLogger(name).addFilter(_REDACTION)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in packages:
            logging.getLogger(name).addFilter(_REDACTION)
