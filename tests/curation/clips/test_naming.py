from hypothesis import given
from hypothesis import strategies as st

from theval_datasets.curation.clips.naming import clip_ids


def test_the_path_below_the_source_names_the_clip():
    names = [("a.mp4", "one"), ("deep/er/b.mov", "one"), ("a b?.mp4", "one")]
    assert clip_ids(names) == ["a", "deep/er/b", "a_b"]


def test_the_suffix_is_kept_on_collision():
    assert clip_ids([("a.mp4", "s"), ("a.gif", "s"), ("b.mp4", "s")]) == ["a.mp4", "a.gif", "b"]


def test_the_source_is_added_where_the_suffix_does_not_help():
    names = [("a.mp4", "one"), ("a.mp4", "two"), ("a.gif", "two")]
    assert clip_ids(names) == ["one/a.mp4", "two/a.mp4", "a.gif"]


def test_what_is_left_is_numbered_around_names_that_are_taken():
    names = [("a?.mp4", "s"), ("a!.mp4", "s"), ("s/a_.mp4-2.x", "s")]
    ids = clip_ids(names)
    assert len(set(ids)) == 3
    assert ids == clip_ids(names)


parts = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=8)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


@given(st.lists(st.tuples(paths.map(lambda p: p + ".mp4"), parts), max_size=12))
def test_ids_are_unique_and_stay_below_their_folder(names):
    ids = clip_ids(names)
    assert len(set(ids)) == len(names)
    assert all(name and not name.startswith("/") and ".." not in name.split("/") for name in ids)
