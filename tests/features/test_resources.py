"""Extractors that run torch reserve a share of a GPU, others none."""

from __future__ import annotations

import ast
import functools

import pytest

from theval_datasets import catalog


@functools.cache
def runs_torch(path) -> bool:
    """Whether a module, or one of the networks that it imports, asks for torch's device."""
    text = path.read_text("utf-8")
    if path.name == "device.py":
        return False
    if "chosen_device(" in text:
        return True
    folder = path.parent if path.parent.name == "networks" else path.parent / "networks"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            module = (node.module or "").removeprefix("networks").lstrip(".")
            if path.parent.name != "networks" and not (node.module or "").startswith("networks"):
                continue
            names = [module] if module else [alias.name for alias in node.names]
            if any(runs_torch(folder / f"{n}.py") for n in names if (folder / f"{n}.py").exists()):
                return True
    return False


def test_the_extractors_that_run_torch_are_those_that_ask_for_a_gpu(repo):
    asking = {n for n in catalog.names("extractor") if catalog.load("extractor", n).gpus > 0}
    running = {
        name for name in catalog.names("extractor") if runs_torch(repo / "features" / f"{name}.py")
    }
    assert asking == running
    assert {"iqa", "vst", "qwen_sync"} <= running
    assert not {"vad", "landmarks", "arcface", "active_speaker"} & running


@pytest.mark.parametrize("name", catalog.names("extractor"))
def test_shares_are_shares(name):
    extractor = catalog.load("extractor", name)
    assert 0 <= extractor.gpus <= 1
    assert extractor.memory >= 0
    assert not extractor.memory or extractor.gpus
