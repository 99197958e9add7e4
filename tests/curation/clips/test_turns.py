"""Turns of clips of single people as CSV and RTTM, and in rows."""

from __future__ import annotations

import csv

import pytest
from msgspec.structs import replace

from theval_datasets.curation.clips.turns import TURNS_CSV, TURNS_RTTM, write_turns
from theval_datasets.curation.rebuild.results import row_digest
from theval_datasets.errors import ManifestError
from theval_datasets.manifest.rows import ManifestRow, Source, parse_row

ROW = ManifestRow(
    clip_id="talk-5000-9000-person1", path="clips/a.mp4", source=Source("local", "talk.mp4"),
    sha256="0" * 64, start=5.0, end=9.0, person=1, turns=((0.0, 1.5, 0), (1.25, 4.0, 1)),
    audible=((1.15, 4.0),),
)  # fmt: skip


def test_turns_are_in_the_time_of_the_clip_and_of_the_source(tmp_path):
    write_turns(tmp_path, [ROW, replace(ROW, clip_id="b", person=None)])
    with (tmp_path / TURNS_CSV).open(encoding="utf-8", newline="") as stream:
        first, two = csv.DictReader(stream)
    assert first == {
        "clip_id": "talk-5000-9000-person1", "person": "0", "own": "false", "start": "0.000",
        "end": "1.500", "source": "talk.mp4", "source_start": "5.000", "source_end": "6.500",
    }  # fmt: skip
    assert (two["person"], two["own"], two["source_end"]) == ("1", "true", "9.000")
    assert (tmp_path / TURNS_RTTM).read_text() == (
        "SPEAKER talk-5000-9000-person1 1 0.000 1.500 <NA> <NA> person0 <NA> <NA>\n"
        "SPEAKER talk-5000-9000-person1 1 1.250 2.750 <NA> <NA> person1 <NA> <NA>\n"
    )


def test_a_name_with_spaces_is_one_field_of_rttm(tmp_path):
    write_turns(tmp_path, [replace(ROW, clip_id="a b\tc")])
    fields = (tmp_path / TURNS_RTTM).read_text().splitlines()[0].split()
    assert (len(fields), fields[1]) == (10, "a_b_c")


def test_without_clips_of_people_no_files_are_left(tmp_path):
    write_turns(tmp_path, [ROW])
    write_turns(tmp_path, [replace(ROW, person=None)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("audible", [None, (), ((0.0, 1.0), (1.0, 2.0))])
def test_a_silent_clip_is_not_one_with_all_its_sound(audible):
    row = replace(ROW, audible=audible)
    assert parse_row(row.to_json(), "m:1").audible == audible
    assert parse_row(row.to_json(), "m:1") == row


@pytest.mark.parametrize(
    "wrong",
    [
        {"audible": ((1.0, 1.0),)},
        {"audible": ((-1.0, 1.0),)},
        {"audible": ((0.0, float("inf")),)},
        {"audible": ((0.0, float("nan")),)},
        {"audible": ((0.0, 2.0), (1.0, 3.0))},
        {"audible": ((2.0, 3.0), (0.0, 1.0))},
        {"turns": ((2.0, 1.0, 0),)},
    ],
)
def test_spans_that_cannot_be_are_refused(wrong):
    with pytest.raises(ManifestError, match="expected"):
        replace(ROW, **wrong)


def test_a_row_without_these_fields_keeps_its_digest_and_one_with_them_depends_on_them():
    plain = replace(ROW, person=None, turns=(), audible=None)
    assert not {"person", "turns", "audible"} & set(plain.to_json())
    digests = {row_digest(replace(plain, audible=a)) for a in (None, (), ((0.0, 1.0),))}
    assert len(digests) == 3
    assert row_digest(ROW) != row_digest(replace(ROW, turns=()))
