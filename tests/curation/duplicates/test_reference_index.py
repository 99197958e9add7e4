"""Indexes of other sets: written, mapped into memory, and refused where they contradict themselves."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from theval_datasets.curation.duplicates.matching import Prints
from theval_datasets.curation.duplicates.reference_index import (
    FORMAT,
    ReferenceClip,
    ReferenceIndex,
    read_index,
    write_index,
)
from theval_datasets.errors import InputError

NOBODY = np.zeros((0, 0), np.float32)


def prints(seed: int, n_frames: int = 5, n_steps: int = 7) -> Prints:
    rng = np.random.default_rng(seed)
    return Prints(
        rng.integers(0, 2**64, n_frames, dtype=np.uint64),
        rng.integers(0, 2**32, n_steps, dtype=np.uint32),
    )


def people(n: int, dim: int = 4) -> np.ndarray:
    return np.eye(n, dim, dtype=np.float32)


CLIPS = [
    ReferenceClip("c", prints(3), people(1), "p"),
    ReferenceClip("b", prints(2, 0, 0), NOBODY),
    ReferenceClip("d", prints(4, 9, 0), people(2), "p"),
    ReferenceClip("ä", prints(1), NOBODY),
]


@pytest.mark.parametrize("clips", [CLIPS, CLIPS[1:2], CLIPS[3:], []])
def test_there_and_back(tmp_path, clips):
    assert write_index(tmp_path / "i.index", clips) == len(clips)
    index = read_index(tmp_path / "i.index")
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    assert list(index.clip_ids) == [clip.clip_id for clip in ordered]
    assert len(index) == len(index.prints) == len(clips)
    for own, clip in zip(index.prints, ordered, strict=True):
        assert np.array_equal(own.frames, clip.prints.frames)
        assert np.array_equal(own.audio, clip.prints.audio)
    embeddings = [clip.people for clip in ordered if clip.people.size]
    assert np.array_equal(index.people, np.concatenate(embeddings) if embeddings else NOBODY)
    assert index.people_clips.tolist() == [
        n for n, clip in enumerate(ordered) for _ in clip.people if clip.people.size
    ]
    assert index.pack == ("p" if embeddings else "")


def test_the_same_clips_give_the_same_bytes(tmp_path):
    write_index(tmp_path / "a", CLIPS)
    write_index(tmp_path / "b", CLIPS[::-1])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_mapped_index_finds_what_one_in_memory_finds(tmp_path):
    clips = [ReferenceClip(f"{i:03d}", prints(i, 8), NOBODY) for i in range(300)]
    write_index(tmp_path / "i", clips)
    mapped, made = read_index(tmp_path / "i"), ReferenceIndex.of(clips)
    queries = [Prints(clips[7].prints.frames ^ np.uint64(5), np.zeros(0, np.uint32)), prints(999)]
    assert mapped.tables.cheaper(13, 419, 0.2)
    for ours, theirs in zip(
        mapped.recordings.search(queries, 0.2, 0.2), made.recordings.search(queries, 0.2, 0.2),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(ours.numbers, theirs.numbers)
    assert mapped.prints[7].frames.base is not None  # a view of the file


def test_embeddings_of_several_models_are_not_one_index():
    for other in (
        ReferenceClip("z", prints(9), people(1), "q"),
        ReferenceClip("z", prints(9), people(1, 8), "p"),
    ):
        with pytest.raises(InputError, match="embeddings of one model, got p of 4 numbers"):
            ReferenceIndex.of([*CLIPS, other])


def changed(tmp_path, name, change):
    """An index of which one column, or the metadata, is changed."""
    write_index(tmp_path / "good", CLIPS)
    table = pa.ipc.open_file(tmp_path / "good").read_all()
    if name == "metadata":
        table = table.replace_schema_metadata(change(dict(table.schema.metadata)))
    else:
        place = table.schema.get_field_index(name)
        values = pa.array([change(table[name][0].as_py())], table.schema.field(name).type)
        table = table.set_column(place, table.schema.field(name), values)
    with pa.ipc.new_file(tmp_path / "bad", table.schema) as writer:
        writer.write_table(table)
    return tmp_path / "bad"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("metadata", lambda m: m | {b"format": b"1"}, "format 2"),
        ("metadata", lambda _: {}, "format 2"),
        ("clip_ids", lambda v: v[:-1], "does not divide frames among 3 clips"),
        ("clip_ids", lambda v: [*v[:-1], None], "clip_ids has nulls"),
        ("frame_ends", lambda v: [v[1], v[0], *v[2:]], "does not divide frames"),
        ("frame_ends", lambda v: [*v[:-1], v[-1] + 1], "does not divide frames"),
        ("audio_ends", lambda v: [*v[:-1], v[-1] - 1], "does not divide audio"),
        ("hash_ends", lambda v: [-1, *v[1:]], "does not divide hashes"),
        ("people", lambda v: [float("nan"), *v[1:]], "an embedding is not finite"),
        ("people", lambda v: v[:-1], "not embeddings of 3 people"),
        ("people", lambda _: [], "not embeddings of 3 people"),
        ("people_clips", lambda v: [4, *v[1:]], "clips that it does not hold"),
        ("people_clips", lambda v: [-1, *v[1:]], "clips that it does not hold"),
        ("orders", lambda v: [len(v), *v[1:]], "its tables"),
        ("orders", lambda v: v[::-1], "its tables"),
        ("masks", lambda v: v[::-1], "its tables"),
        ("masks", lambda v: [0, *v[1:]], "its tables"),
        ("masks", lambda v: v[:-1], "its tables"),
        ("orders", lambda v: v[:-1], "is not an index"),
        ("begins", lambda v: [1, *v[1:]], "its tables"),
        ("begins", lambda v: [0, 2**31, *v[2:]], "its tables"),
        ("begins", lambda v: v[:-1], "is not an index"),
        ("begins", lambda _: [], "is not an index"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_no_index(tmp_path, name, change, message):
    with pytest.raises(InputError, match=message):
        read_index(changed(tmp_path, name, change))


@pytest.mark.parametrize(
    "content", [b"", b"ARROW1", b'{"format": 1, "clip_id": "a"}\n', b"\0" * 4096]
)
def test_other_files_are_no_indexes(tmp_path, content):
    path = tmp_path / "i"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not an index .*make it again: theval-data index"):
        read_index(path)
    with pytest.raises(InputError, match="there is no index"):
        read_index(tmp_path / "none")


def test_a_part_of_an_index_is_none(tmp_path):
    write_index(tmp_path / "i", CLIPS)
    whole = (tmp_path / "i").read_bytes()
    for size in range(1, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "part").write_bytes(whole[:size])
        with pytest.raises(InputError):
            read_index(tmp_path / "part")
    assert FORMAT.encode() in whole
