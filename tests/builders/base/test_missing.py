"""Every null has an entry of `missing`: of columns from sources as much as of measured ones."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from feature_factory import DECODER, Corpus

from theval_datasets import catalog
from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.clips import clips_dataset
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.builders.thqa import Thqa
from theval_datasets.commands.verify import verify
from theval_datasets.manifest.rows import ListEntry, Source

ABOUT_SOURCES = {"language", "license", "source_url", "source_start", "source_end", "channel"}
TALK = Source("url", "https://example.org/a.mp4", license="mit", language="fr", channel="A channel")


@pytest.mark.parametrize("name", catalog.names("dataset"))
def test_whatever_may_be_null_names_what_explains_it(name):
    configs = catalog.load("dataset", name).FIELDS
    explained = [fields for fields in configs.values() if any(f.name == "missing" for f in fields)]
    assert explained
    for fields in explained:
        assert [f.name for f in fields if f.origin == "manifest" and not f.required] == []


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    (tmp_path / "clips").mkdir()
    return Corpus(tmp_path / "clips")


def features(made) -> dict[str, dict]:
    report = verify(made.folder)
    assert report.exit_code == 0, report.to_text()
    paths = sorted((made.folder / "features").glob("*.parquet"))
    rows = {row["clip_id"]: row for path in paths for row in pq.read_table(path).to_pylist()}
    assert rows
    return rows


def about(row: dict, names: set[str] = ABOUT_SOURCES) -> set[str]:
    return {entry for entry in row["missing"] if entry.partition(":")[0] in names}


def test_what_a_source_does_not_say(corpus, tmp_path):
    corpus.add_clip("stated", 1, source=TALK, start=0.0, end=0.8)
    corpus.add_clip("nothing", 2, source=Source("local", "nothing.mp4"))
    corpus.add_clip("licence", 3, source=Source("local", "b.mp4", license="mit"), end=0.8)
    rows = features(
        write_release(
            Theval, Inputs(corpus.manifest, corpus.cache), tmp_path / "out", decoder=DECODER
        )
    )
    assert about(rows["stated"]) == set()
    assert about(rows["nothing"]) == {
        "language:not-stated", "license:not-stated", "channel:not-stated",
        "source_url:local-file", "source_end:whole-source",
    }  # fmt: skip
    assert about(rows["licence"]) == {
        "language:not-stated", "channel:not-stated", "source_url:local-file",
    }  # fmt: skip
    for row in rows.values():
        null = {name for name in ABOUT_SOURCES if row[name] is None}
        assert null == {entry.partition(":")[0] for entry in about(row)}


def test_published_scores_without_clips(corpus, tmp_path):
    """The name of a clip tells its language, with and without a clip; nothing else is known."""
    corpus.add_clip("1_voice_en_1_ahead", 1, source=Source("local", "a.mp4"))
    corpus.add_clip("odd", 1, source=Source("local", "odd.mp4"))
    folder = tmp_path / "in"
    folder.mkdir()
    names = ("1_voice_en_1_ahead", "1_voice_en_1_wav_lip", "odd", "odd-2")
    text = "\n".join(["Image,Score", *(f"{name},2.5" for name in names)])
    (folder / "vvmf_results_a01.csv").write_text(text + "\n")
    inputs = Inputs(corpus.manifest, corpus.cache, release=folder)
    rows = features(write_release(Thqa, inputs, tmp_path / "out", decoder=DECODER))
    with_clip, without, odd, odd_without = (rows[name] for name in names)
    assert [row["language"] for row in rows.values()].count("en") == 2
    here = {"license:not-stated", "source_url:local-file", "source_end:whole-source"}
    absent = {f"{name}:no-clip" for name in ("license", "source_url", "source_start", "source_end")}
    assert about(with_clip) == here
    assert about(odd) == {*here, "language:not-stated"}
    assert about(without) == absent
    assert about(odd_without) == {*absent, "language:no-clip"}
    assert with_clip["source_start"] == 0.0
    assert without["source_start"] is None
    assert without["sha256"] is None


def test_what_a_list_does_not_say(corpus, tmp_path):
    for name, attributes in (("full", {"mood": 1, "part": "a"}), ("half", {"mood": 2})):
        listed = ListEntry("csv", name, f"list.csv:{name}", attributes=attributes)
        corpus.add_clip(name, 1, listed=listed)
    corpus.add_clip("stranger", 2)
    inputs = Inputs(corpus.manifest, corpus.cache)
    made = write_release(
        clips_dataset("me/mine", inputs.rows, None), inputs, tmp_path / "out", decoder=DECODER
    )
    rows = features(made)
    assert about(rows["full"], {"listed"}) == set()
    assert about(rows["half"], {"listed"}) == {"listed:not-stated"}
    assert about(rows["stranger"], {"listed"}) == {"listed:not-listed"}
    assert rows["stranger"]["listed_id"] is None
