"""Work ahead: the next item of an iterator is made while the one before is used."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_END: Final = object()


def made_ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """Items of an iterable, each made in a thread while the one before is in use.

    One item is made ahead and no more, so that memory is bounded. What making an item raises is raised in
    its place. Close the result to end the thread before the last item.

    Args:
        items: Items, used by nobody else meanwhile.

    Examples:
        >>> list(made_ahead(range(3)))
        [0, 1, 2]
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(next, iterator, _END)
        while (item := following.result()) is not _END:
            following = thread.submit(next, iterator, _END)
            yield item  # type: ignore[misc]  # not the end
            del item  # it need not outlive its use
