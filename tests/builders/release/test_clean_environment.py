"""What a stranger sees: `datasets` alone, without this package, torch, or a decoder."""

from __future__ import annotations

from pathlib import Path

import pytest
from clean_environment import load_in
from feature_factory import values

SCRIPT = """
import importlib.util, json
assert importlib.util.find_spec("torch") is None
assert importlib.util.find_spec("theval_datasets") is None
from datasets import load_dataset
rows = load_dataset("theval/theval", split="train")
table = rows.to_pandas()
rows = frames = load_dataset("theval/theval", "landmarks", split="train")
rows = rows.filter(lambda row: row["clip_id"] == "talk-0-800")
READER
print(json.dumps({
    "ids": table["clip_id"].tolist(),
    "lip_sync": [None if v != v else v for v in table["lip_sync"]],
    "frames": frames.num_rows,
    "mesh": list(pixels.shape),
    "first": pixels[0, 0].tolist(),
    "version": str(rows.version),
}))
"""


@pytest.mark.slow
def test_plain_datasets_loads_it(clean_env_python: Path, build, tmp_path: Path):
    from theval_datasets.builders.theval import Theval

    folder = build(version="0.3.0").folder
    script = SCRIPT.replace("READER", Theval.builder_configs["landmarks"].reader)
    result = load_in(clean_env_python, script, folder.parents[1], tmp_path / "hf")
    assert result["ids"] == ["mute", "room", "talk-0-800", "talk-800-1600"]
    assert result["lip_sync"] == [None, None, 0.25, 0.25]
    assert result["frames"] == 4
    assert result["mesh"] == [18, 478, 3]
    assert result["version"] == "0.3.0"
    expected = values(1)["landmarks"]["mesh"][0, 0] / 16384 * [512, 384, 512]
    assert result["first"] == pytest.approx(expected.tolist(), rel=1e-6)


EVERY_CONFIG = """
import json
import datasets
from datasets import get_dataset_config_names, load_dataset
found = {"version": datasets.__version__}
for name in get_dataset_config_names("theval/gen3dhf"):
    splits = load_dataset("theval/gen3dhf", name)
    found[name] = {split: rows.num_rows for split, rows in splits.items()}
    assert all(rows.with_format("arrow")[:] for rows in splits.values())
frame = load_dataset("theval/gen3dhf", "mesh", split="train")[0]["mesh"]
print(json.dumps({**found, "path": frame["path"], "glb": frame["bytes"][:4].decode()}))
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """theval/gen3dhf with every config, the parent of its namespace."""
    pytest.importorskip("trimesh", reason="meshes need the extra [mesh]")
    from gen3dhf_release import make_labels, make_release

    from theval_datasets.builders.gen3dhf import Gen3dhf
    from theval_datasets.commands.build import build as command

    root = tmp_path_factory.mktemp("everything")
    release = make_labels(make_release(root / "release"))
    meshes = root / "meshes" / "seed0001"
    meshes.mkdir(parents=True)
    (meshes / "1.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n")
    ratings = root / "ratings.csv"
    given = ("seed0000,3", "seed0001,4", "seed0005,2")
    lines = [
        f"s{n},{clip},{d}" for n in range(3) for clip in given for d in ("quality", "authenticity")
    ]
    ratings.write_text("subject,clip_id,score,dimension\n" + "\n".join(lines) + "\n")
    tables = (f"meshes={meshes.parent}", f"ratings={ratings}")
    made = command("gen3dhf", root / "out", release=release, tables=tables)
    assert set(made.release.info.configs) == set(Gen3dhf.FIELDS)
    return root / "out"


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["oldest_env_python", "clean_env_python"])
def test_every_config_loads_there(everything, environment, request, tmp_path):
    from theval_datasets.manifest.info import read_info

    python = request.getfixturevalue(environment)
    result = load_in(python, EVERY_CONFIG, everything, tmp_path / "hf")
    assert result.pop("version").startswith("4.0." if environment.startswith("oldest") else "5.")
    assert (result.pop("path"), result.pop("glb")) == ("seed0001-00000.glb", "glTF")
    info = read_info(everything / "theval" / "gen3dhf")
    assert result == {
        name: {split: numbers.rows for split, numbers in config.splits.items()}
        for name, config in info.configs.items()
    }
    assert result["mesh"] == {"train": 1}  # a split without rows would make all of them unloadable


def test_every_type_is_one_that_the_oldest_version_knows():
    """One unknown type makes every config of a repository unloadable."""
    import datasets

    from theval_datasets import catalog

    known = (datasets.Value, datasets.List, datasets.Image, datasets.Audio, datasets.Video)

    def types(feature):
        if isinstance(feature, dict):
            return [kind for item in feature.values() for kind in types(item)]
        inner = [feature.feature] if isinstance(feature, datasets.List) else []
        return [feature, *(kind for item in inner for kind in types(item))]

    names = catalog.names("dataset")
    assert "gen3dhf" in names
    for name in names:
        for config, fields in catalog.load("dataset", name).FIELDS.items():
            for field in fields:
                assert all(isinstance(kind, known) for kind in types(field.type)), (
                    f"{name}, {config}: {field.name}"
                )


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [
        ("thqa", "thqa", {"train": 800}),
        ("thqa-ntire", "thqa_ntire", {"train": 8927, "validation": 1714, "test": 1606}),
        ("gen3dhf", "gen3dhf_release", {"train": 1600, "test": 400}),
    ],
)
def test_public_scores_load_there(clean_env_python, shared_data, tmp_path, name, source, rows):
    from theval_datasets.commands.build import build as command

    command(name, tmp_path, release=shared_data / "public" / source)
    script = f"""
import json
from datasets import load_dataset
loaded = load_dataset("theval/{name}")
print(json.dumps({{split: rows.num_rows for split, rows in loaded.items()}}))
"""
    assert load_in(clean_env_python, script, tmp_path, tmp_path / "hf") == rows
