from __future__ import annotations

import pytest

from theval_datasets.errors import InputError
from theval_datasets.manifest.tombstones import Tombstone, read_tombstones, write_tombstones


def test_they_are_kept_in_order_of_their_names(tmp_path):
    path = tmp_path / "tombstones.jsonl"
    stones = (Tombstone("b\u2028", "2026-01-02"), Tombstone("a", "2026-01-01"))
    write_tombstones(path, stones)
    assert read_tombstones(path) == (stones[1], stones[0])
    assert read_tombstones(tmp_path / "none.jsonl") == ()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"clip_id": "a", "date": "1.2.26"}'], "jsonl:1: expected a clip_id and a date"),
        (['{"clip_id": "", "date": "2026-01-01"}'], "jsonl:1: expected a clip_id and a date"),
        (['{"clip_id": "a", "date": "2026-01-01"}'] * 2, "jsonl:2: clip_id 'a' occurs twice"),
        (['{"clip_id": "a", "data": "2026-01-01"}'], "did you mean 'date'"),
        (["[]"], "jsonl:1: expected a mapping"),
    ],
)
def test_what_is_no_tombstone_says_where(tmp_path, lines, message):
    path = tmp_path / "tombstones.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=message):
        read_tombstones(path)


def test_a_link_that_leads_nowhere_is_not_taken_for_no_tombstones(tmp_path):
    path = tmp_path / "tombstones.jsonl"
    path.symlink_to("gone")
    with pytest.raises(InputError, match="cannot be read"):
        read_tombstones(path)
