from __future__ import annotations

from pathlib import Path

import pytest

from theval_datasets.errors import InputError
from theval_datasets.utils.yaml_files import LARGEST, parse_yaml, read_yaml


def nested(levels: int, references: int) -> str:
    """YAML in which every level refers several times to the one below."""
    lines = ["l0: &l0 [x, x]"]
    for level in range(1, levels + 1):
        lines.append(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * references)}]")
    return "\n".join(lines)


def test_references_are_replaced() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: {d: 1}, e: 2}", "f.yaml") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "e": 2},
    }
    assert parse_yaml("", "f.yaml") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nested(9, 9), r"f\.yaml: its references .*multiply"),
        ("&a [*a]", r"f\.yaml: its references .*multiply"),
        ("a: 1\nb: 2\na: 3", r"f\.yaml:3: the key 'a' occurs twice"),
        ("x: {y: [{a: 1, a: 1}]}", r"f\.yaml:1: the key 'a' occurs twice"),
        ("a: [", r"f\.yaml is not YAML"),
        ("a: 1\n---\nb: 2", r"f\.yaml is not YAML"),
        ("!!python/object/apply:os.system ['true']", r"f\.yaml is not YAML"),
        ("[" * 5000, r"f\.yaml is not YAML"),
        ("a: 2026-99-99", r"f\.yaml is not YAML"),
        ("{[a]: 1}", r"f\.yaml is not YAML"),
        ("a: \x00", r"f\.yaml is not YAML"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_yaml(text, "f.yaml")


def test_many_references_to_something_small_are_allowed() -> None:
    assert len(parse_yaml(nested(5, 9), "f.yaml")["l5"]) == 9


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    with pytest.raises(InputError, match=r"there is no plan .*plan\.yaml"):
        read_yaml(path, "plan")
    path.write_bytes("\ufeffname: café".encode())
    assert read_yaml(path) == {"name": "café"}
    path.write_bytes("name: café".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_yaml(path)
    path.write_bytes(b"#" * LARGEST)
    assert read_yaml(path) is None
    path.write_bytes(b"#" * (LARGEST + 1))
    with pytest.raises(InputError, match="more than 1048576 bytes: it is not a plan"):
        read_yaml(path, "plan")
