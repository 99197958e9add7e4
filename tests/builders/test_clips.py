"""Clips of any manifest as a dataset of one's own: name, splits, the list's attributes."""

from __future__ import annotations

import tracemalloc

import datasets
import numpy as np
import pytest
from feature_factory import DECODER, Corpus, row
from msgspec.structs import replace

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.clips import Clips, clips_dataset, same_people
from theval_datasets.builders.release.write import write_release
from theval_datasets.commands.build import build
from theval_datasets.commands.verify import verify
from theval_datasets.errors import InputError
from theval_datasets.extraction.cache import spec_of
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.features.arcface import Arcface
from theval_datasets.manifest.rows import ListEntry, Source, read_manifest, write_manifest
from theval_datasets.utils.files import sha256_file


def listed(name, index, **attributes):
    return row(
        name,
        source=Source("url", f"https://example.org/{index}.mp4", site=f"example:{index}"),
        listed=ListEntry("csv", f"the {name}", f"list.csv:{index}", attributes=attributes),
    )


def corpus_of(folder, rows):
    folder.mkdir(parents=True)
    corpus = Corpus(folder)
    for clip in rows:
        corpus.add(clip)
    return corpus


def built(corpus, out, name="me/hdtf", split_by=None):
    inputs = Inputs(corpus.manifest, corpus.cache)
    dataset = clips_dataset(name, inputs.rows, split_by)
    return write_release(dataset, inputs, out, decoder=DECODER)


def splits_of(corpus, split_by):
    builder = clips_dataset("me/hdtf", corpus.rows, split_by)(
        manifest=corpus.manifest, cache=corpus.cache, decoder=DECODER, hash="x"
    )
    return {r.clip_id: split for split, rows in builder.splits().items() for r in rows}


@pytest.fixture
def corpus(tmp_path):
    """Six clips of six sources, three people by the list; a seventh row without a clip."""
    moods = [1, 2.5, None, 3, 4, 5]
    rows = [
        listed(f"clip-{i}", i, person_id=str(i // 2), part="Train" if i < 4 else "Test", mood=mood,
               language="English", tags=["a", "b"] if i else "none")
        for i, mood in enumerate(moods)
    ]  # fmt: skip
    gone = replace(listed("gone", 7), sha256=None, path=None, reason="removed")
    return corpus_of(tmp_path / "work", [*rows, gone])


def test_there_and_back_twice_the_same(corpus, tmp_path):
    first, second = built(corpus, tmp_path / "x").folder, built(corpus, tmp_path / "y").folder
    assert first == tmp_path / "x/me/hdtf"
    files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert any(path.suffix == ".parquet" for path in files)
    assert all(sha256_file(first / path) == sha256_file(second / path) for path in files)
    assert verify(first).exit_code == 0, verify(first).to_text()
    rows = datasets.load_dataset(str(first), split="train", cache_dir=str(tmp_path / "hf"))
    assert rows["clip_id"][:] == [f"clip-{i}" for i in range(6)]
    assert rows["listed_id"][0] == "the clip-0"
    assert rows["listed_language"][0] == "English"
    assert rows["mood"][:] == [1.0, 2.5, None, 3.0, 4.0, 5.0]
    assert rows["tags"][:2] == ["none", "['a', 'b']"]
    assert rows.features["person_id"].dtype == "string"
    assert "me/hdtf" in (first / "README.md").read_text()
    manifest = {r.clip_id: r for r in read_manifest(first).rows}
    assert (manifest["clip-0"].split, manifest["gone"].split) == ("train", None)
    assert manifest["clip-0"].listed == corpus.rows[0].listed


def test_splits_by_the_lists_own_column(corpus, tmp_path):
    made = built(corpus, tmp_path, split_by="part")
    rows = {name: split.rows for name, split in made.info.configs["features"].splits.items()}
    assert rows == {"train": 4, "test": 2}
    corpus.add(listed("late", 8, person_id="9"))
    with pytest.raises(InputError, match="gives the clip 'late' none"):
        built(corpus, tmp_path / "again", split_by="part")
    with pytest.raises(InputError, match="expected one of person, source, "):
        built(corpus, tmp_path / "again", split_by="parts")
    assert not list((tmp_path / "again").rglob("*.parquet"))


@pytest.mark.parametrize(("kind", "groups"), [("person", 3), ("source", 6)])
def test_splits_share_no_person_and_no_source(corpus, kind, groups):
    splits = splits_of(corpus, kind)
    assert set(splits.values()) == {"train", "validation", "test"}
    assert len(splits) == 6
    if kind == "person":
        assert all(splits[f"clip-{i}"] == splits[f"clip-{i + 1}"] for i in (0, 2, 4))
    assert splits == splits_of(corpus, kind)
    held = [name for name, split in splits.items() if split != "train"]
    assert len(held) == 2 * 6 // groups


@pytest.mark.parametrize(("sources", "enough"), [(3, True), (2, False)])
def test_three_groups_are_the_least(tmp_path, sources, enough):
    rows = [listed(f"clip-{i}", i % sources) for i in range(6)]
    corpus = corpus_of(tmp_path / "work", rows)
    if enough:
        assert len(set(splits_of(corpus, "source").values())) == 3
    else:
        with pytest.raises(InputError, match="at least 3 groups"):
            splits_of(corpus, "source")


def test_people_by_their_faces(tmp_path, monkeypatch):
    """Two clips show one face, and two share one of several."""
    monkeypatch.setattr(Arcface, "weights_id", lambda self: "made-up")
    corpus = corpus_of(tmp_path / "work", [])
    faces = np.eye(4, dtype=np.float32)
    for i, who in enumerate([[0], [1], [0], [2, 3], [3]]):
        clip = listed(f"clip-{i}", i)
        corpus.add(clip)
        values = {
            "embedding": faces[who[0]],
            "person": np.array(who, np.int32),
            "person_embedding": faces[who],
            "n_embedded": np.ones(len(who), np.int32),
        }
        spec = spec_of(Arcface(), DECODER)
        corpus.cache.write(spec, clip.sha256, Feature(Outcome("ok"), values))
    splits = splits_of(corpus, "person")
    assert splits["clip-0"] == splits["clip-2"]
    assert splits["clip-3"] == splits["clip-4"]
    assert len(set(splits.values())) == 3


def test_people_without_a_way_to_tell_them(tmp_path):
    corpus = corpus_of(tmp_path / "work", [listed(f"clip-{i}", i) for i in range(4)])
    with pytest.raises(InputError, match="--features arcface"):
        splits_of(corpus, "person")


@pytest.mark.parametrize(("cosine", "same"), [(0.41, True), (0.39, False)])
def test_both_sides_of_the_similarity(cosine, same):
    a = np.array([[1.0, 0.0]])
    b = np.array([[cosine, np.sqrt(1 - cosine**2)]])
    first, second = same_people([a, b])
    assert (first == second) is same


def test_people_who_appear_together_keep_their_clips_together():
    a, b, c = np.eye(3)[:, None]
    names = same_people([a, b, np.vstack([a, b]), c])
    assert names[0] == names[1] == names[2] != names[3]


@pytest.mark.parametrize(
    "name",
    ["hdtf", "me/", "/x", "me/a/b", "../x", "me/..", "me/theval", "me/THQA-MT", "me/a b", ""],
)
def test_names_that_are_none(name):
    with pytest.raises(InputError):
        clips_dataset(name)


def test_attributes_that_cannot_be_columns(tmp_path):
    with pytest.raises(InputError, match="cannot be a column"):
        clips_dataset("me/x", [listed("a", 1, **{"A b": 1})])
    with pytest.raises(InputError, match="would be called"):
        clips_dataset("me/x", [listed("a", 1, width="x", listed_width="y")])
    with pytest.raises(InputError, match="at most 500"):
        clips_dataset("me/x", [listed("a", 1, **{f"a{i}": i for i in range(501)})])
    assert (
        len(clips_dataset("me/x", [listed("a", 1, **{f"a{i}": i for i in range(500)})]).ATTRIBUTES)
        == 500
    )


def test_a_manifest_without_a_list_has_the_common_columns(tmp_path):
    corpus = corpus_of(tmp_path / "work", [row("a"), row("b", split="test")])
    made = built(corpus, tmp_path / "out")
    names = [column.name for column in made.info.configs["features"].columns]
    assert names == [field.name for field in Clips.FIELDS["features"]]
    assert set(made.info.configs["features"].splits) == {"train", "test"}


def test_the_command(corpus, tmp_path):
    given = {"manifest": corpus.manifest, "cache": tmp_path / "cache"}
    report = build("clips", tmp_path / "out", repository="me/hdtf", split_by="source", **given)
    assert report.release.folder == tmp_path / "out/me/hdtf"
    assert 'load_dataset("me/hdtf")' in report.to_text()
    with pytest.raises(InputError, match="needs --name"):
        build("clips", tmp_path / "out", **given)
    for options in ({"repository": "me/x"}, {"split_by": "source"}):
        with pytest.raises(InputError, match="belong to"):
            build("theval", tmp_path / "out", **given, **options)
    rows = [replace(clip, sha256=None, path=None) for clip in corpus.rows]
    write_manifest(corpus.manifest, rows)
    with pytest.raises(InputError, match="no rows"):
        build("clips", tmp_path / "none", repository="me/hdtf", **given)


def test_rows_are_not_held_to_tell_the_types_of_columns():
    rows = (listed(f"c{i}", 1, note=f"{i}" * 5000, tags=["a", i][: 1 + i % 2]) for i in range(1000))
    tracemalloc.start()
    try:
        dataset = clips_dataset("me/x", rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kinds = {field.name: field.type for field in dataset.FIELDS["features"]}
    assert repr(kinds["note"]) == "Value('string')"
    assert repr(kinds["tags"]) == "List(Value('string'))"
    assert peak < 2_000_000  # the notes alone are 14 MB


def test_a_list_with_a_null_among_thousands_without_is_text():
    rows = [listed(f"c{i}", 1, tags=[1, None] if i == 7 else [1]) for i in range(20)]
    kinds = {field.name: field.type for field in clips_dataset("me/x", rows).FIELDS["features"]}
    assert repr(kinds["tags"]) == "Value('string')"


def test_many_people_are_told_apart_as_few():
    rng = np.random.default_rng(0)
    people = np.linalg.qr(rng.normal(size=(64, 64)))[0].astype(np.float32)
    order = np.concatenate([np.arange(64), rng.permutation(64)])
    names = same_people([people[[number]] for number in order])
    assert names == [f"person-{number}" for number in order]
