"""Warnings about clips of a manifest that are hard to compare."""

from __future__ import annotations

from feature_factory import facts, row

from theval_datasets.builders.base.clips import frame_size_notes


def clip(name, width, height):
    return row(name, media=facts(20, width=width, height=height))


def test_frame_sizes_that_differ_are_a_warning():
    same = [clip("a", 512, 384), clip("b", 512, 384), row("dead", media=None)]
    assert frame_size_notes(same) == ()
    (note,) = frame_size_notes([*same, clip("c", 1080, 1920), clip("d", 384, 512)])
    assert "3 frame sizes, 384×512 to 1080×1920" in note
    assert "head_motion_scale_invariant" in note
