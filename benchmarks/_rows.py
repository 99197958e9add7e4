"""What a benchmark reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: What was measured, in a few words.
        value: The figure; ratios are preferred, since they hold on other machines too.
        unit: Such as ``x``, ``s``, ``MB``, ``clips/s``.
        target: What it must reach, such as ``>= 1.7``; None if there is none.
        ok: Whether the target is met; None without one.
        note: What explains it: the input, or the profile behind a miss.
    """

    name: str
    value: float
    unit: str
    target: str | None = None
    ok: bool | None = None
    note: str = ""


def at_least(name: str, value: float, unit: str, limit: float, note: str = "") -> Row:
    """A row whose value must be `limit` or more."""
    return Row(name, value, unit, f">= {limit:g}", value >= limit, note)


def at_most(name: str, value: float, unit: str, limit: float, note: str = "") -> Row:
    """A row whose value must be `limit` or less."""
    return Row(name, value, unit, f"<= {limit:g}", value <= limit, note)
