"""Escaping of text from manifests and tables for Markdown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]|~$])")
_FIRST: Final = re.compile(r"^([#+=-]|\d+(?=[.)]))")
_LONGEST: Final = 160


def plain_line(text: object, longest: int = _LONGEST) -> str:
    """Text as one line of bounded length, without control or direction characters.

    Examples:
        >>> plain_line("two   words")
        'two words'
    """
    shown = "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in str(text)
        if unicodedata.category(c) not in ("Cf", "Cs", "Co")
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def markdown(text: object, longest: int = _LONGEST) -> str:
    """Text that Markdown and HTML show literally, without links, tags or table cells.

    Addresses are broken up by a zero-width space after ``:``, ``@`` and ``www``, so that none is
    converted to a link automatically.

    Examples:
        >>> markdown("<b>")
        '&lt;b&gt;'
    """
    shown = (
        plain_line(text, longest).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    )
    shown = _FIRST.sub(r"&#8203;\1", _SPECIAL.sub(r"\\\1", shown))
    return shown.replace("://", ":&#8203;//").replace("@", "&#64;").replace("www.", "www&#46;")


def code(text: object) -> str:
    """Text as inline code; backticks inside become apostrophes, bars are escaped for tables.

    Examples:
        >>> code("say `hi`")
        "`say 'hi'`"
    """
    return "`" + plain_line(text).replace("`", "'").replace("|", "\\|") + "`"
