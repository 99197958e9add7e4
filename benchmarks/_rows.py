"""Figures that benchmarks report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: Measured quantity, in a few words.
        value: Value; ratios are preferred, since they hold on other machines too.
        unit: Unit, such as ``x``, ``s``, ``MB``, ``clips/s``.
        target: Target, such as ``>= 1.7``; None if there is none.
        ok: Whether the target is met; None without a target.
        note: Explanation: the input, or the profile behind a miss.
    """

    name: str
    value: float
    unit: str
    target: str | None = None
    ok: bool | None = None
    note: str = ""


def at_least(name: str, value: float, unit: str, limit: float, note: str = "") -> Row:
    """A row whose value must be at least `limit`."""
    return Row(name, value, unit, f">= {limit:g}", value >= limit, note)


def at_most(name: str, value: float, unit: str, limit: float, note: str = "") -> Row:
    """A row whose value must be at most `limit`."""
    return Row(name, value, unit, f"<= {limit:g}", value <= limit, note)
