"""Names of clips in tables, matched to ids."""

import unicodedata

import pytest

from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import ClipIndex, join_clips


@pytest.mark.parametrize(
    ("name", "clip_id"),
    [
        ("a", "a"),
        ("a.mp4", "a"),
        ("a.MKV", "a"),
        (" a.mp4\u00a0", "a"),
        ("clips/a.mp4", "a"),
        ("D:\\study\\clips\\a.mp4", "a"),
        ("a.mp4", "batch1/a"),
        ("videos/SadTalker/p0.mp4", "SadTalker/p0"),
        ("Clip (1).mp4", "Clip_1"),
        ("Some New Model.mp4", "Some New Model"),
        (unicodedata.normalize("NFD", "Amélie.mp4"), "Amélie"),
        ("a.mp4", "_a/a"),
        ("a.b", "a.b"),
        ("a.mp4", "a.mp4"),
    ],
)
def test_every_usual_spelling_matches(name, clip_id):
    join = join_clips("ratings", [name], [clip_id, "other"])
    assert join.matched == {name: clip_id}
    assert join.unmatched == ()
    assert join.without == ("other",)


@pytest.mark.parametrize(("name", "clip_id"), [("a1", "a"), ("A", "a"), ("a.b", "a"), ("b/a", "b")])
def test_other_names_do_not_match(name, clip_id):
    assert join_clips("ratings", [name, "ok"], [clip_id, "ok"]).unmatched == (name,)


def test_folders_tell_clips_of_one_name_apart():
    ids = ["SadTalker/p0", "MuseTalk/p0"]
    join = join_clips("ratings", ["x/SadTalker/p0.mp4", "x\\MuseTalk\\p0.mp4"], ids)
    assert sorted(join.matched.values()) == sorted(ids)
    with pytest.raises(InputError, match=r"'p0.mp4' matches both 'MuseTalk/p0' and 'SadTalker/p0'"):
        join_clips("ratings", ["p0.mp4"], ids)


def test_a_name_alone_never_outweighs_its_folder():
    join = join_clips("ratings", ["MuseTalk/p0.mp4", "SadTalker/p0.mp4"], ["SadTalker/p0"])
    assert join.matched == {"SadTalker/p0.mp4": "SadTalker/p0"}
    assert join.unmatched == ("MuseTalk/p0.mp4",)
    neither = join_clips("ratings", ["x/p0", "y/p0", "q"], ["z/p0", "q"])
    assert neither.unmatched == ("x/p0", "y/p0")


def test_names_that_are_safe_alike_are_told_apart_by_their_spelling():
    join = join_clips("ratings", ["_a.mp4", "clips/x", "a.mp4"], ["_a", "a", "x"])
    assert join.matched == {"_a.mp4": "_a", "a.mp4": "a", "clips/x": "x"}
    with pytest.raises(
        InputError, match=r"'v/a' matches both 'a' and '_a'|'v/a' matches both '_a' and 'a'"
    ):
        join_clips("ratings", ["v/a"], ["_a", "a"])


def test_other_folders_are_said():
    join = join_clips("ratings", ["clips/a.mp4"], ["batch1/a"])
    assert "matched by file name alone, in other folders: 'clips/a.mp4'" in join.to_text()


def test_two_names_of_one_clip_are_an_error():
    with pytest.raises(InputError, match=r"votes: 'a' and 'a.mp4' both match the clip 'a'"):
        join_clips("votes", ["a", "a.mp4"], ["a"])


def test_nothing_matched_is_an_error_that_shows_both_sides():
    with pytest.raises(InputError, match=r"none of the 4 names.*'k'.* and 1 more.*'a'"):
        join_clips("ratings", ["k", "l", "m", "n"], ["a"])


def test_an_input_without_names_matches_nothing_without_an_error():
    assert join_clips("ratings", [], ["a"]).without == ("a",)
    assert join_clips("ratings", ["a"], []).unmatched == ("a",)


def test_the_sentence_counts_both_sides():
    names = ["a.mp4", *(f"x{i}" for i in range(5))]
    assert join_clips("ratings", names, ["a", "b"]).to_text() == (
        "ratings: 1 of 6 names match a clip, 1 of 2 clips are matched; not matched: 'x0', 'x1', "
        "'x2' and 2 more; clips without: 'b'."
    )


def test_a_name_of_a_clip_that_was_taken_down_is_no_other_clips():
    join = join_clips("ratings", ["batch1/x.mp4", "y", "z"], ["batch2/x", "y"], gone=["batch1/x"])
    assert join.matched == {"y": "y"}
    assert join.gone == {"batch1/x.mp4": "batch1/x"}
    assert (join.unmatched, join.without) == (("z",), ("batch2/x",))
    assert join.to_text() == (
        "ratings: 1 of 2 names match a clip, 1 of 2 clips are matched; not matched: 'z'; clips without: "
        "'batch2/x'; 1 names of clips that were taken down."
    )


def test_other_clips_keep_their_names_beside_one_that_was_taken_down():
    ids, names = ["b/x", "y"], ["b/x.mp4", "videos/y.mp4", "a/x"]
    join = join_clips("ratings", names, ids, gone=["a/x"])
    assert join.matched == {"b/x.mp4": "b/x", "videos/y.mp4": "y"}
    assert join_clips("ratings", ["x"], ["y"], gone=["x"]).gone == {"x": "x"}  # and no error
    with pytest.raises(InputError, match="'x' matches both 'a/x' and 'b/x'"):
        join_clips("ratings", ["x"], ["b/x"], gone=["a/x"])
    with pytest.raises(InputError, match="none of the 1 names"):
        join_clips("ratings", ["x", "q"], ["y"], gone=["x"])


@pytest.mark.parametrize(
    ("name", "near"),
    [("a/x", True), ("a/x.mp4", True), ("x", True), ("c/x", True), ("b/x", False), ("b/x.mp4", False),
     ("d/b/x", False)],
)  # fmt: skip
def test_the_row_of_a_clip_that_was_taken_down(name, near):
    assert ClipIndex(["a/x"]).as_near(name, "b/x") is near
    assert not ClipIndex(["y"]).as_near(name, "b/x")
