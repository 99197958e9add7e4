"""Work ahead: overlap, order, bounds, errors and ends."""

from __future__ import annotations

import threading
import weakref

import pytest

from theval_datasets.utils.ahead import made_ahead

PATIENCE = 30.0


def workers():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_the_next_item_is_made_while_one_is_used():
    begun = [threading.Event() for _ in range(4)]

    def items():
        for number, event in enumerate(begun):
            event.set()
            yield number

    seen = []
    for item in made_ahead(items()):
        if item + 1 < len(begun):
            assert begun[item + 1].wait(PATIENCE)
        seen.append(item)
    assert seen == [0, 1, 2, 3]
    assert not workers()


def test_no_more_than_one_item_is_made_ahead():
    made = []

    def items():
        for number in range(6):
            made.append(number)
            yield number

    ahead = made_ahead(items())
    for number in range(5):
        assert next(ahead) == number
        assert max(made) <= number + 1
    assert list(ahead) == [5]


class Item:
    """Something to which a weak reference can be had."""


def test_used_items_are_let_go():
    ahead = made_ahead(Item() for _ in range(3))
    first = weakref.ref(next(ahead))
    next(ahead)
    assert first() is None
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise LookupError("the third")

    ahead = made_ahead(items())
    assert [next(ahead), next(ahead)] == [1, 2]
    with pytest.raises(LookupError, match="the third"):
        next(ahead)
    assert not workers()


def test_closing_waits_for_the_item_in_progress():
    entered, leave, left = threading.Event(), threading.Event(), []

    def items():
        yield 1
        entered.set()
        assert leave.wait(PATIENCE)
        left.append(True)
        yield 2

    ahead = made_ahead(items())
    assert next(ahead) == 1
    assert entered.wait(PATIENCE)
    threading.Timer(0.05, leave.set).start()
    ahead.close()
    assert left == [True]
    assert not workers()


def test_nothing_is_made_before_the_first_request():
    def items():
        raise AssertionError("nobody asked")
        yield

    made_ahead(items()).close()
    assert list(made_ahead(())) == []
