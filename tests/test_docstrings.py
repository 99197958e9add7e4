"""Examples in docstrings run, and every public function that is cheap has one.

Public is what the reference documents: `td.*`, `td.evaluation.*` and `reference.LIBRARY`. A method or
property counts as shown if its own docstring or that of its class has an example of it. Beyond that,
every function that takes plain values or paths, and returns something, has an example, public or not.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import reference

import theval_datasets
from theval_datasets import evaluation

_OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL | doctest.ELLIPSIS


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
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # examples may write files
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


WITHOUT_EXAMPLE = {
    "pages of docs/ show these commands on videos and built datasets, and run as tests": """
        build collection_status curate demo_collection diff export export_collection extract funnel
        import_list index inspect locate predict prepare_collection push rebuild report score
        serve_collection train verify view builders.release.write.write_release
    """,
    "describes this machine": "doctor",
    "reads videos": """
        demo.clips.make_sample evaluation.references.video_distances extraction.measure.compute media.*
    """,
    "needs weights or a package that is not always there": """
        engines.ray.RayEngine.* evaluation.pictures.lpips fetch_models
    """,
    "trains on a built dataset, or scores one": "training.crossval.* training.saved.*",
    "offered to an extractor, whose own test calls it": "extraction.extractor.ClipInputs.*",
    "for extractors with frames, needs or weights to override": "extraction.extractor.Extractor.*",
    "called by the release writer, or for datasets to override; CONTRIBUTING.md has a whole one": """
        builders.base.builder.Builder.* builders.base.scored.ScoredBuilder.*
    """,
    "part of an extraction run": """
        extraction.cache.Cache.specs extraction.store.FeatureStore.keep
        extraction.store.FeatureStore.report
    """,
}
"""Public names that no example shows, by reason."""

PLAIN = {
    "Any", "Callable", "Iterable", "Literal", "Mapping", "NDArray", "None", "Path", "Sequence", "bool", "bool_",
    "bytes", "dict", "float", "float32", "float64", "int", "int32", "int64", "list", "np", "npt", "object",
    "set", "str", "tuple", "uint8",
}  # fmt: skip
"""Names in the annotations of plain parameters: values, arrays, and places of files."""

NOT_SHOWN = {
    "loads a model, or asks for its file": """
        face_mesh.load_mediapipe facexformer.identity facexformer.locate pack.find_pack pack.need_pack
        pack.need_recogniser pack.weights_of reference_index.recogniser syncnet.identity
        syncnet.network anonymous.blurred device.chosen_device pictures.lpips loading.identity
        loading.loaded mobilenet.mobilenet_identity siglip.siglip_identity
        pack.load_model pyannote.identity pyannote.load qwen_omni.base_of
        tfjs_files.read_tensors torch_files.read_tensors
    """,
    "reads or makes videos, sound, meshes or pictures": """
        audio_tracks.speaker_files audio_tracks.write_mono audio_tracks.write_original
        dualtalk.speech_seconds generated.make_faces generated.make_rated join.join_streams
        locate.feature_of_file media.sound meshes.find_meshes motion.motion_row motion.read_motion
        pictures.find_pictures reference_frame.middle
    """,
    "works on a built dataset, a release, a study or a whole folder": """
        diff.diff examples.read_examples export.export_dataset labels.read_labels place.put_in_place
        place.scratch_beside plan.read_plan prepare.prepare_study prepared.read_prepared
        publish.plan_push reference_index.read_index report.write_report saved.read_metric
        tables.read_features takedown.take_down write.write_explorer
    """,
    "takes a message or a file of another program": "glb.read_glb face_mesh.points_of",
    "asks the network, the terminal or an installed program": """
        download.download files.tools options.runtimes_here progress.progress progress.shown
        ray.device_there
    """,
    "renders a template with many variables": "pages.render_page",
}
"""Functions of plain values or paths without an example: module and name, by reason."""


def resolved(name: str) -> Any:
    """The object of a dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def documented() -> dict[str, Any]:
    """Every public class and function, by dotted name without the package's."""
    names = [f"theval_datasets.{name}" for name in theval_datasets.__all__ if name != "evaluation"]
    names += [f"theval_datasets.evaluation.{name}" for name in evaluation.__all__]
    names += [name for names in reference.library().values() for name in names]
    objects = {name.removeprefix("theval_datasets."): resolved(name) for name in names}
    return {name: value for name, value in objects.items() if callable(value)}


def has_example(value: Any) -> bool:
    return ">>>" in (inspect.getdoc(value) or "")


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """The methods and properties that a class adds to those of its bases."""
    for name, value in vars(kind).items():
        bare = getattr(value, "__func__", value)
        shown = inspect.isfunction(bare) or isinstance(value, property) or hasattr(value, "func")
        if shown and not name.startswith("_") and not any(hasattr(b, name) for b in kind.__bases__):
            yield name, bare


def not_shown(name: str, value: Any) -> list[str]:
    """A function that has no example, or the members of a class that none shows."""
    if not inspect.isclass(value):
        return [] if has_example(value) else [name]
    lines = (value.__doc__ or "").splitlines()
    code = [line for line in lines if re.match(r"\s*(>>>|\.\.\.)", line)]
    return [
        f"{name}.{member}"
        for member, method in members(value)
        if not has_example(method)
        and not any(re.search(rf"\.{member}\b|def {member}\b", line) for line in code)
    ]


def without_example() -> list[str]:
    """The public functions, methods and properties that no example shows."""
    return sorted(name for one in documented().items() for name in not_shown(*one))


def test_every_public_function_that_is_cheap_has_an_example():
    patterns = [pattern for names in WITHOUT_EXAMPLE.values() for pattern in names.split()]
    lacking = without_example()
    assert [name for name in lacking if not any(fnmatchcase(name, p) for p in patterns)] == []
    assert [p for p in patterns if not any(fnmatchcase(name, p) for name in lacking)] == []


def imports_of(text: str) -> set[str]:
    """Dotted names, without the package's, that Python code in a page or script imports from it."""
    found = set()
    for match in re.finditer(
        r"^\s*from theval_datasets\.?(\S*) import ([^(\n]+)", text, re.MULTILINE
    ):
        module, names = match.groups()
        found |= {f"{module}.{name.split()[0]}".lstrip(".") for name in names.split(",")}
    return found


def test_everything_that_pages_and_examples_import_is_documented(repo):
    places = [repo / "README.md", repo / "DATASETS.md", repo / "CONTRIBUTING.md"]
    places += [*(repo / "docs").rglob("*.md"), *(repo / "examples").glob("*.py")]
    imported = {name for place in places for name in imports_of(place.read_text("utf-8"))}
    assert "extraction.extractor.Extractor" in imported
    units = ("features.", "curation.filters.", "builders.")  # found by name; each has its own page
    public = {*documented(), "evaluation.pictures", "evaluation.references"}
    assert {
        name
        for name in imported - public
        if not name.rpartition(".")[2].isupper() and not name.startswith(units)
    } == {"commands.verify.verify", "extraction.outcomes.Values"}


def takes_plain_values(function: ast.FunctionDef) -> bool:
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    given += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    kinds = " ".join(ast.unparse(one.annotation) for one in given if one.annotation is not None)
    return set(re.findall(r"[A-Za-z_]\w*", re.sub(r"Literal\[[^]]*\]", "", kinds))) <= PLAIN


def functions_of_plain_values_without_example(root: Path) -> list[str]:
    """Public functions of all modules but the command line's that return something."""
    lacking = []
    for place in ("builders", "cards", "curation", "features", "src/theval_datasets"):
        for path in sorted((root / place).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if any(part.startswith("_") for part in parts) or {"commands", "cli"} & set(parts):
                continue
            lacking += [
                f"{path.stem}.{node.name}"
                for node in ast.parse(path.read_text("utf-8")).body
                if isinstance(node, ast.FunctionDef)
                and not node.name.startswith("_")
                and node.returns is not None
                and ast.unparse(node.returns) not in ("None", "Iterator[None]")
                and takes_plain_values(node)
                and ">>>" not in (ast.get_docstring(node) or "")
            ]
    return sorted(set(lacking))


def test_every_function_of_plain_values_or_paths_has_an_example(repo):
    listed = [name for names in NOT_SHOWN.values() for name in names.split()]
    assert functions_of_plain_values_without_example(repo) == sorted(listed)


@pytest.mark.parametrize(
    ("code", "lacking"),
    [
        ("def f(x: int) -> int: ...", ["new.f"]),
        ("def f(x: npt.NDArray[np.float64], kind: Literal['a']) -> str: ...", ["new.f"]),
        ("def f(x: int) -> int:\n    '>>> f(1)'", []),
        ("def f(x: Path) -> int: ...", ["new.f"]),
        ("def f(x: Path, clip: ManifestRow) -> int: ...", []),
        ("def f(x: int) -> None: ...", []),
        ("def _f(x: int) -> int: ...", []),
    ],
)
def test_a_planted_function_without_example_is_seen(tmp_path, code, lacking):
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "new.py").write_text(code)
    assert functions_of_plain_values_without_example(tmp_path) == lacking


def test_a_member_counts_as_shown_by_the_example_of_its_class():
    class Counter:
        """Counts what `take` takes.

        Examples:
            >>> Counter().add(2)
        """

        def add(self, n: int) -> int:
            return n

        def take(self, n: int) -> int:
            return n

    assert not_shown("Counter", Counter) == ["Counter.take"]
