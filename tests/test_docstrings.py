"""Examples in docstrings run, and every public function of the evaluation has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import theval_datasets
from theval_datasets import evaluation

_OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def modules() -> list[str]:
    """Names of all modules of the floor and the rooms."""
    return sorted(
        module.name
        for module in pkgutil.walk_packages(theval_datasets.__path__, "theval_datasets.")
        if not module.name.endswith("__main__")
    )


def examples(name: str) -> list[doctest.DocTest]:
    """The docstrings of a module that hold examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    module = importlib.import_module(name)
    return [test for test in finder.find(module, name) if test.examples]


def test_there_are_examples():
    assert len(modules()) > 200
    assert sum(len(examples(name)) for name in modules() if ".evaluation" in name) >= 40


@pytest.mark.parametrize("name", modules())
def test_examples_run(name):
    failures: list[str] = []
    for test in examples(name):
        runner = doctest.DocTestRunner(optionflags=_OPTIONS)
        runner.run(test, out=failures.append)
    assert not failures, "".join(failures)


def test_a_wrong_example_is_seen():
    failures: list[str] = []
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    doctest.DocTestRunner(optionflags=_OPTIONS).run(test, out=failures.append)
    assert failures


@pytest.mark.parametrize("name", evaluation.__all__)
def test_every_function_of_the_evaluation_has_an_example(name):
    value = getattr(evaluation, name)
    if inspect.isfunction(value) or hasattr(value, "__wrapped__"):
        assert ">>>" in (inspect.getdoc(value) or "")
