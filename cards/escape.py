"""Text from manifests and tables made harmless inside Markdown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]|~$])")
_FIRST: Final = re.compile(r"^([#+=-]|\d+(?=[.)]))")
_LONGEST: Final = 160


def plain_line(text: object, longest: int = _LONGEST) -> str:
    """One line without control or direction characters, of bounded length.

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
    """Text that Markdown and HTML show literally: no links, no tags, no table cells of its own.

    Addresses lose their meaning too (a zero-width space after ``:`` and ``@`` and ``www``), so that
    nothing becomes a link by itself.

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
