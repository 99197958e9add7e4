"""`predict` reads datasets, and manifests with cached features."""

from __future__ import annotations

import json

import pytest
from feature_factory import DECODER, Corpus
from feature_set import rated, write_set

import theval_datasets as td
from theval_datasets import media
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.thqa_mt import ThqaMt
from theval_datasets.errors import InputError
from theval_datasets.training.parameters import ModelParameters

pytest.importorskip("sklearn", reason="the extra [train] is not installed")
pytest.importorskip("safetensors", reason="the extra [train] is not installed")

FEATURES = ("lip_dynamics", "yaw_std", "lip_sync")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Twenty rated clips with cached features, the last without sound, and a metric of them."""
    folder = tmp_path_factory.mktemp("corpus")
    made = Corpus(folder)
    for i in range(19):
        made.add_clip(f"p{i}__gen", seed=i)
    made.add_silent("p19__gen", seed=19)
    ratings = folder / "ratings.csv"
    lines = [
        f"s{s},p{i}__gen,{min(5, i / 4 + s % 2 * 0.3):.2f}" for i in range(20) for s in range(6)
    ]
    ratings.write_text("\n".join(["subject,clip_id,score", *lines]) + "\n")
    inputs = Inputs(made.manifest, made.cache, tables={"ratings": ratings})
    built = write_release(ThqaMt, inputs, folder / "out", decoder=DECODER, configs=("features",))
    report = td.train(
        built.folder, folder / "metric", features=FEATURES, parameters=ModelParameters(epochs=30)
    )
    return made, built.folder, folder / "metric", report


def test_a_built_dataset_is_trained_on(corpus):
    _, _, _, report = corpus
    assert report.samples.nulls == {"lip_sync": 1}
    assert (
        "null, replaced by the median of the training clips: lip_sync of 1 clip" in report.to_text()
    )
    assert len(report.samples) == 20


def test_a_manifest_with_cached_features_gives_the_scores_of_the_dataset(corpus, monkeypatch):
    made, built, metric, _ = corpus
    monkeypatch.setattr(media, "decoder_version", lambda: DECODER)
    of_set = td.predict(metric, built)
    of_manifest = td.predict(metric, made.manifest, cache=str(made.folder / "cache"))
    assert of_manifest.clips == of_set.clips
    assert len(of_set.clips) == 20
    assert all(clip.score is not None for clip in of_set.clips)
    assert of_manifest.n_seen == 20
    silent = {clip.clip_id: clip for clip in of_set.clips}["p19__gen"]
    assert silent.null == ("lip_sync:no-audio",)
    in_folder = td.predict(metric, made.folder, cache=str(made.folder / "cache"))
    assert in_folder.clips == of_set.clips


def test_clips_without_features_have_no_score_and_the_reason(corpus, tmp_path, monkeypatch):
    made, _, metric, _ = corpus
    monkeypatch.setattr(media, "decoder_version", lambda: DECODER)
    report = td.predict(metric, made.manifest, tmp_path / "s.csv", cache=str(tmp_path / "empty"))
    assert report.exit_code == 1
    assert {clip.score for clip in report.clips} == {None}
    assert report.clips[0].null[0] == "lip_dynamics:not-extracted"
    assert "0 of 20 clips" in report.to_text()
    line = (tmp_path / "s.csv").read_text().splitlines()[1]
    assert line.startswith('p0__gen,,null-features,"lip_dynamics:not-extracted,yaw_std:')


def test_inputs_of_the_wrong_kind_are_refused(corpus, tmp_path):
    _, built, metric, _ = corpus
    with pytest.raises(InputError, match="--cache, --with and --set need a manifest"):
        td.predict(metric, built, cache=str(tmp_path))
    with pytest.raises(InputError, match="--cache, --with and --set need a manifest"):
        td.predict(metric, built, tables=["portraits=x"])
    with pytest.raises(InputError, match=r"ends in \.csv"):
        td.predict(metric, built, tmp_path / "scores.parquet")
    with pytest.raises(InputError, match="holds no trained metric"):
        td.predict(built, metric)
    with pytest.raises(InputError, match="is not a built dataset"):
        td.predict(metric, metric)
    with pytest.raises(InputError, match="expected the folder of a built dataset, or OWNER/NAME"):
        td.predict(metric, tmp_path / "nowhere")
    empty = tmp_path / "manifest.jsonl"
    empty.write_text("")
    with pytest.raises(InputError, match="lists no clip"):
        td.predict(metric, empty)


def test_scores_beyond_the_training_scores_are_remarked_on(corpus, tmp_path):
    _, built, metric, _ = corpus
    columns = rated(12)
    columns |= {"lip_dynamics": [1e4] * 12, "yaw_std": [5.0] * 12, "lip_sync": [0.2] * 12}
    folder = write_set(tmp_path / "far", columns)
    text = td.predict(metric, folder).to_text()
    assert "12 scores lie outside" in text
    assert "outside" not in td.predict(metric, built).to_text()


def test_names_at_the_hub_are_downloaded(corpus, monkeypatch, tmp_path):
    from theval_datasets.hub import download

    _, built, metric, _ = corpus
    asked = []

    def fake(name, patterns):
        asked.append((name, patterns))
        return download.Downloaded(built, "theval/thqa-mt", "0")

    monkeypatch.setattr(download, "download", fake)
    monkeypatch.chdir(tmp_path)
    assert len(td.predict(metric, "theval/thqa-mt@v0.1.0").clips) == 20
    assert asked == [("theval/thqa-mt@v0.1.0", ("info.json", "features/*"))]


def test_plain_values_are_json(corpus):
    _, built, metric, _ = corpus
    plain = json.loads(json.dumps(td.predict(metric, built).to_plain(), allow_nan=False))
    assert set(plain) == {"metric", "model", "target", "data", "clips", "trained_on", "agreement"}
    assert plain["clips"][0].keys() == {"clip_id", "score", "reason", "null"}
