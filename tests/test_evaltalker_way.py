"""EvalTalker from clips to scores: extract, build, train, predict, with small random networks."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tiny_networks as tiny
from media_factory import ffmpeg

import theval_datasets as td
from theval_datasets.engines.local import LocalEngine

pytest.importorskip("torch", reason="the extra [evaltalker] is not installed")
pytest.importorskip("transformers", reason="the extra [evaltalker] is not installed")
pytest.importorskip("sklearn", reason="the extra [train] is not installed")

PORTRAITS = tuple(f"p{i}" for i in range(5))
BLUR = {"SadTalker": 0, "Hallo": 6}
FEATURES = ("vst", "sapiens", "qwen_sync")


def table(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_evaltalker_from_clips_to_scores(talking, tmp_path, monkeypatch):
    import torchvision

    models = tmp_path / "models"
    tiny.write_vst(models)
    tiny.write_sapiens(models)
    tiny.write_qwen(models / "qwen-sync")
    monkeypatch.setenv("THEVAL_MODELS", str(models))
    monkeypatch.setattr(torchvision.models.video, "swin3d_t", tiny.tiny_swin3d)
    # torchvision is prepared in this process only, so extraction stays in it.
    monkeypatch.setattr("theval_datasets.engines.choose.engine_of", lambda *_: LocalEngine(0))

    videos = tmp_path / "videos"
    videos.mkdir()
    clips, ratings = [], []
    for i, portrait in enumerate(PORTRAITS):
        for generator, blur in BLUR.items():
            name = f"{portrait}__{generator}"
            ffmpeg("-ss", str(0.3 * i), "-i", talking, "-t", "0.8", "-vf",
                   f"scale=128:-2,boxblur={blur}", "-c:v", "libx264", "-preset", "ultrafast",
                   "-c:a", "aac", videos / f"{name}.mp4")  # fmt: skip
            clips.append({"clip_id": name, "generator": generator, "portrait_id": portrait})
            ratings += [
                {"subject": f"s{s}", "clip_id": name, "score": 4.5 - blur / 2 - 0.1 * (s + i)}
                for s in range(4)
            ]
    work = tmp_path / "work"
    td.curate([str(videos)], work, recipe="as-is", root=tmp_path)
    cache = str(tmp_path / "cache")
    done = td.extract(work, features=FEATURES, cache=cache)
    assert done.exit_code == 0, done.to_text()
    assert {name: count["ok"] for name, count in done.counts.items()} == dict.fromkeys(FEATURES, 10)

    tables = [
        f"clips={table(tmp_path / 'clips.csv', clips)}",
        f"ratings={table(tmp_path / 'ratings.csv', ratings)}",
    ]
    built = td.build("thqa-mt", tmp_path / "out", manifest=work, cache=cache, tables=tables)
    folder = built.release.folder
    assert td.verify(folder).exit_code == 0
    import datasets

    rows = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "hf"))
    widths = (tiny.VST_WIDTH, tiny.SAPIENS_WIDTH, tiny.QWEN_WIDTH)
    for name, width in zip(FEATURES, widths, strict=True):
        vectors = np.array(rows[name], np.float32)
        assert vectors.shape == (10, width)
        assert len(np.unique(vectors, axis=0)) == 10
        assert not any(entry.startswith(f"{name}:") for row in rows["missing"] for entry in row)
    info = built.release.folder / "info.json"
    assert '"windows": 4' in info.read_text()

    assert "default parameters" not in info.read_text()

    centre = ["vst.view=centre"]
    td.extract(work, features="vst", cache=cache, settings=centre)
    other = td.build(
        "thqa-mt", tmp_path / "centre", manifest=work, cache=cache, tables=tables, settings=centre
    ).release.folder
    assert '"view": "centre"' in (other / "info.json").read_text()
    assert "vst.view=centre" in (other / "README.md").read_text()
    changed = datasets.load_dataset(str(other), split="train", cache_dir=str(tmp_path / "hf"))
    assert not np.array_equal(changed["vst"], rows["vst"])
    assert np.array_equal(changed["sapiens"], rows["sapiens"])

    report = td.train(folder, tmp_path / "metric", model="evaltalker")
    assert len(report.samples) == 10
    assert tuple(report.samples.features) == FEATURES
    assert "identity_consistency" in report.samples.without_values
    scores = td.predict(tmp_path / "metric", folder)
    anew = td.predict(tmp_path / "metric", work, cache=cache)
    assert [clip.reason for clip in scores.clips] == [None] * 10
    assert {c.clip_id: c.score for c in anew.clips} == {c.clip_id: c.score for c in scores.clips}
