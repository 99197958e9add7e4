from __future__ import annotations

from pathlib import Path

import datasets
import pytest

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.thqa.scores import ClipOrigin, parse_name
from theval_datasets.builders.thqa_ntire import ThqaNtire
from theval_datasets.builders.thqa_ntire.dataset import clean_parts
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "14_sd21_common_voice_en_35729059_audio2head",
            ClipOrigin("prompted", "14", "sd21", None, "35729059", "audio2head", language="en"),
        ),
        (
            "3_voice_en_34960039_wavlip",
            ClipOrigin("thqa", None, None, "3", "34960039", "wavlip", language="en"),
        ),
        (
            "002421669_SEN_do_they_make_class_biased_decisions_audio_lead_0.5",
            ClipOrigin("sentence", subject="002421669", sentence="do_they_make_class_biased_decisions",
                    distortion="audio_lead", level=0.5),
        ),
        (
            "7_SEN_the_small_boy_put_the_worm_on_the_hook_stream_level_-2",
            ClipOrigin("sentence", subject="7", sentence="the_small_boy_put_the_worm_on_the_hook",
                    distortion="stream_level", level=-2.0),
        ),
        (
            "7_SEN_the_pause_start_2",
            ClipOrigin("sentence", subject="7", sentence="the", distortion="pause_start", level=2.0),
        ),
        ("7_SEN_the_pause_start_2.3.4", ClipOrigin("unknown")),
        ("holiday", ClipOrigin("unknown")),
        ("", ClipOrigin("unknown")),
    ],
)  # fmt: skip
def test_names(name, expected):
    assert parse_name(name) == expected


def test_clean_parts_drop_and_never_move():
    names = ["a", "b", "c", "d", "e", "f", "g"]
    parts = ["train", "val", "val", "train", "test", "train", "test"]
    content = {"prompt": ["1", "1", "1", "2", "2", None, None]}
    assert clean_parts(parts, content, names) == [
        None, "val", "val",  # most of prompt 1 is in val
        None, "test",  # a tie: the later part keeps it
        "train", "test",  # nothing to share
    ]  # fmt: skip


def tables(folder: Path, further: dict[str, list[str]] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    rows: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for prompt, part in enumerate(["train"] * 6 + ["val", "test"]):
        for model in ("sd21", "flux"):
            rows[part].append(f"{prompt}_{model}_common_voice_en_{prompt}00_eat.mp4,{prompt % 5}")
    rows["train"].append("6_sd15_common_voice_en_600_eat.mp4,2.5")  # leaks from val
    for part, subject in (("train", 1), ("train", 2), ("val", 3), ("test", 4)):
        rows[part].append(f"{subject}_SEN_a_sentence_audio_lead_1.mp4,3")
    for part, lines in (further or {}).items():
        rows[part] += lines
    for part, lines in rows.items():
        (folder / f"thqa_ntire_{part}.csv").write_text("\n".join(["Video,Score", *lines]) + "\n")
    return folder


def build(folder: Path, out: Path):
    return write_release(ThqaNtire, Inputs(release=folder), out)


def test_official_and_clean_split(tmp_path):
    made = build(tables(tmp_path / "in", {"test": ["strange name!.mp4,5"]}), tmp_path / "out")
    loaded = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "hf"))
    assert list(loaded) == ["train", "validation", "test"]
    assert [len(rows) for rows in loaded.values()] == [15, 3, 4]
    rows = {row["clip_id"]: row for split in loaded.values() for row in split}
    leaked = rows["6_sd15_common_voice_en_600_eat"]
    assert leaked["official_split"] == "train"
    assert leaked["clean_split"] is None
    assert "clean:shared-content" in leaked["missing"]
    assert rows["1_SEN_a_sentence_audio_lead_1"]["clean_split"] == "train"
    assert rows["3_SEN_a_sentence_audio_lead_1"]["clean_split"] is None
    assert rows["3_SEN_a_sentence_audio_lead_1"]["sentence"] == "a sentence"
    assert rows["strange name!"]["pattern"] == "unknown"
    assert rows["strange name!"]["clean_split"] == "test"
    text = " ".join(made.info.notes)
    assert (
        "Official split: train and val share 1 value of prompt (6): 1 of 15 and 2 of 3 rows."
        in text
    )
    assert "share 1 value of sentence with distortion" in text
    assert "The clean split shares no content and leaves out 3 clips." in text
    assert "1 names follow no known pattern" in text
    assert made.info.counts["clean_train"] == 14
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()


def test_folds_share_no_content(tmp_path):
    made = build(tables(tmp_path / "in"), tmp_path / "out")
    loaded = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "hf"))
    rows = [row for split in loaded.values() for row in split]
    for column in ("prompt", "voice_id", "sentence"):
        seen: dict[str, int] = {}
        for row in rows:
            if row[column] is not None:
                assert seen.setdefault(row[column], row["fold"]) == row["fold"]
        assert seen


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ({"val": ["0_sd21_common_voice_en_000_eat.mp4,1"]}, "thqa_ntire_val.csv:5: .* twice"),
        ({"test": ["x.mp4,9"]}, "between 0 and 5"),
        ({"test": [".mp4"]}, "expected 2 values"),
        ({"test": [",1"]}, "is empty"),
    ],
)
def test_malformed_tables(tmp_path, further, message):
    with pytest.raises(InputError, match=message):
        build(tables(tmp_path / "in", further), tmp_path / "out")


def test_missing_tables(tmp_path):
    folder = tables(tmp_path / "in")
    (folder / "thqa_ntire_val.csv").unlink()
    with pytest.raises(InputError, match=r"no thqa_ntire_val\.csv"):
        build(folder, tmp_path / "out")
    with pytest.raises(InputError, match="--release"):
        write_release(ThqaNtire, Inputs(), tmp_path / "out")


@pytest.mark.real
def test_the_public_tables(shared_data, tmp_path):
    made = build(shared_data / "public" / "thqa_ntire", tmp_path / "out")
    report = verify(made.folder, expect="release")
    assert report.exit_code == 0, report.to_text()
    assert made.info.counts["unknown_names"] == 0
    text = " ".join(made.info.notes)
    assert "train and val share 1 value of prompt (14)" in text
    assert "test and train share 100 values of sentence with distortion" in text
    assert "train and val share 100 values of sentence with distortion" in text
    assert "leaves out 255 clips" in text
