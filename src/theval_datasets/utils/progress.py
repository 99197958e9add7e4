"""Progress: a bar in terminals and notebooks, a line every 30 s elsewhere, one switch for both.

`THEVAL_NO_PROGRESS=1` turns everything off.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final, Self

from .text import printable

_INTERVAL: Final = 30.0  # seconds between two lines


def progress(total: int | None, description: str, unit: str = "clip") -> Any:
    """A progress counter; use it in a ``with`` statement and call ``update(n)``.

    Args:
        total: Number of units; None if unknown.
        description: Name of the work, in one word.
        unit: Name of the counted unit, in the singular.

    Returns:
        A tqdm bar on standard error where that is a terminal or in a notebook, else an object with
        the methods `update`, `set_postfix` and `close` that prints lines.
    """
    description = printable(description)
    if os.environ.get("THEVAL_NO_PROGRESS"):
        return Lines(total, description, unit, interval=float("inf"))
    if not shown():
        return Lines(total, description, unit)
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=description, unit=unit, dynamic_ncols=True, leave=True)


def shown() -> bool:
    """Whether bars are shown: in terminals and notebooks, unless progress is turned off."""
    return not os.environ.get("THEVAL_NO_PROGRESS") and (sys.stderr.isatty() or _in_notebook())


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class Lines:
    """Progress as lines on standard error, for logs.

    Args:
        total: Number of units; None if unknown.
        description: Name of the work.
        unit: Name of the counted unit, in the singular.
        interval: Seconds between two lines; nothing is printed for shorter work.
    """

    def __init__(
        self, total: int | None, description: str, unit: str, *, interval: float = _INTERVAL
    ) -> None:
        self._total = total
        self._description = description
        self._unit = unit
        self._interval = interval
        self._done = 0
        self._more = ""
        self._started = self._printed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Count `n` more units, and print a line if the interval has passed."""
        self._done += n
        now = time.monotonic()
        if now - self._printed >= self._interval:
            self._printed = now
            self._print(now - self._started)

    def set_postfix(self, refresh: bool = True, **values: object) -> None:
        """Set values that lines show after the counts."""
        self._more = "".join(f", {name} {value}" for name, value in values.items())

    def close(self) -> None:
        """End; print a last line if there were lines before."""
        if self._printed > self._started:
            self._print(time.monotonic() - self._started)

    def _print(self, elapsed: float) -> None:
        sys.stderr.write(self.line(elapsed) + "\n")
        sys.stderr.flush()

    def line(self, elapsed: float) -> str:
        """Counts, rate and time left after `elapsed` seconds.

        Examples:
            >>> lines = Lines(100, "extract", "clip")
            >>> lines.update(25)
            >>> lines.line(50.0)
            'extract: 25 of 100 clips (25 %), 0.5 clips/s, 2 min 30 s left'
        """
        rate = self._done / elapsed if elapsed > 0 else 0.0
        counted = f"{self._done:,} {self._unit}s"
        left = ""
        if self._total:
            share = 100 * self._done // self._total
            counted = f"{self._done:,} of {self._total:,} {self._unit}s ({share} %)"
            if rate > 0 and self._done < self._total:
                left = f", {duration((self._total - self._done) / rate)} left"
        return f"{self._description}: {counted}, {rate:.3g} {self._unit}s/s{left}{self._more}"


def duration(seconds: float) -> str:
    """A time span for people.

    Examples:
        >>> duration(42), duration(150), duration(7260)
        ('42 s', '2 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
