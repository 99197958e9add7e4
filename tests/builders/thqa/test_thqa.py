from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from feature_factory import DECODER, Corpus

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.thqa import Thqa
from theval_datasets.builders.thqa.dataset import column_of
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError


def table(folder: Path, rows: list[str], head: str = "Image,brisque,clipiqa+,Score") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "vvmf_results_a01.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


def names(n_portraits: int = 6) -> list[str]:
    return [
        f"{p}_voice_en_{p}{v}_{method},1.5,0.5,{(p + v) % 5}"
        for p in range(1, n_portraits + 1)
        for v in (1, 2)
        for method in ("ahead", "wav_lip")
    ]


def build(folder: Path, out: Path, **inputs):
    return write_release(Thqa, Inputs(release=folder, **inputs), out, decoder=DECODER)


def load(folder: Path, cache: Path) -> dict[str, dict]:
    rows = datasets.load_dataset(str(folder), cache_dir=str(cache))["train"]
    by_clip = {row["clip_id"]: row for row in rows}
    assert by_clip
    return by_clip


def test_scores_features_and_names(tmp_path):
    made = build(table(tmp_path / "in", names()), tmp_path / "out")
    rows = load(made.folder, tmp_path / "hf")
    row = rows["3_voice_en_32_wav_lip"]
    assert (row["portrait_id"], row["voice_id"], row["generator"]) == ("3", "32", "wav_lip")
    assert row["mos"] == 0.0
    assert row["published_brisque"] == 1.5
    assert row["published_clipiqa_plus"] == 0.5
    assert row["published_arcface"] is None
    assert row["arcface"] is None
    assert row["language"] == "en"
    assert row["content_id"] == "portrait-3"
    assert row["sha256"] is None
    assert "scores:not-given" in row["missing"]
    assert "vad:no-clip" in row["missing"]
    assert verify(made.folder).exit_code == 0
    assert made.info.counts == {
        "clips": 24, "contents": 6, "portraits": 6, "voices": 12, "generators": 2,
    }  # fmt: skip


def test_folds_share_no_portrait(tmp_path):
    rows = load(build(table(tmp_path / "in", names(10)), tmp_path / "out").folder, tmp_path / "hf")
    fold_of: dict[str, set[int]] = {}
    for row in rows.values():
        fold_of.setdefault(row["portrait_id"], set()).add(row["fold"])
    assert all(len(folds) == 1 for folds in fold_of.values())
    assert {row["fold"] for row in rows.values()} == {0, 1, 2, 3, 4}


def test_too_few_portraits_for_folds(tmp_path):
    made = build(table(tmp_path / "in", names(3)), tmp_path / "out")
    row = next(iter(load(made.folder, tmp_path / "hf").values()))
    assert row["fold"] is None
    assert "scores:too-few-portraits" in row["missing"]
    assert verify(made.folder).exit_code == 0


def test_a_name_of_another_kind_is_kept(tmp_path):
    made = build(table(tmp_path / "in", [*names(), "holiday,1,0.5,3"]), tmp_path / "out")
    row = load(made.folder, tmp_path / "hf")["holiday"]
    assert row["generator"] is None
    assert row["mos"] == 3
    assert "scores:unknown-name" in row["missing"]
    assert any("1 names follow no known pattern" in note for note in made.info.notes)
    assert verify(made.folder).exit_code == 0


def test_clips_fill_the_common_columns(tmp_path):
    corpus = Corpus(tmp_path / "corpus")
    corpus.folder.mkdir()
    corpus.add_clip("3_voice_en_31_ahead", 1)
    corpus.add_clip("stranger", 2)
    folder = table(tmp_path / "in", names())
    made = build(folder, tmp_path / "out", manifest_path=corpus.manifest, cache=corpus.cache)
    rows = load(made.folder, tmp_path / "hf")
    assert "stranger" not in rows
    assert rows["3_voice_en_31_ahead"]["lip_dynamics"] == 2.5
    assert rows["3_voice_en_31_ahead"]["sha256"] is not None
    assert rows["3_voice_en_31_wav_lip"]["lip_dynamics"] is None
    assert any("manifest: 1 of 2 names match a clip" in note for note in made.info.notes)
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1_voice_en_1_a,1,1,six"], ":2: expected a number as Score"),
        (["1_voice_en_1_a,1,1,nan"], "expected a number"),
        (["1_voice_en_1_a,1,1,5.5"], "between 0 and 5"),
        (["1_voice_en_1_a,1,1,-0.1"], "between 0 and 5"),
        (["x,1,1,1", "x,1,1,1"], ":3: 'x' is empty or occurs twice"),
        ([",1,1,1"], "empty"),
        (["x,1,1"], "expected 4 values"),
        (["x,1,1,1,1"], "expected 4 values"),
        (["x,much,1,1"], "expected a number as brisque"),
        (['"x,1,1,1'], "not a CSV table"),
    ],
)
def test_malformed_tables(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        build(table(tmp_path / "in", rows), tmp_path / "out")
    assert not (tmp_path / "out" / "theval" / "thqa").exists()


def test_other_files(tmp_path):
    with pytest.raises(InputError, match="expected different columns"):
        build(table(tmp_path / "in", ["a,1"], head="Image,MOS"), tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="there is no"):
        build(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "in" / "vvmf_results_a01.csv").write_bytes(b"Image,Score\n\x81\x8d,1\n")
    with pytest.raises(InputError, match="UTF-8"):
        build(tmp_path / "in", tmp_path / "out")
    with pytest.raises(InputError, match="--release"):
        write_release(Thqa, Inputs(), tmp_path / "out")


def test_names_of_columns():
    assert column_of("clipiqa+") == "published_clipiqa_plus"
    assert column_of("musiq-ava") == "published_musiq_ava"
    names_ = [field.name for field in Thqa.FIELDS["features"]]
    assert len(set(names_)) == len(names_)


@pytest.mark.real
def test_the_public_table(shared_data, tmp_path):
    made = build(shared_data / "public" / "thqa", tmp_path / "out")
    report = verify(made.folder, expect="paper")
    assert report.exit_code == 0, report.to_text()
    again = build(shared_data / "public" / "thqa", tmp_path / "again")
    assert made.info == again.info
