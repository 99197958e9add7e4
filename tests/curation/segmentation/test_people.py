"""People of a scene: their squares, their stretches, and the sound of their turns."""

from __future__ import annotations

import numpy as np
import pytest
from fake_faces import SIZE, Scene, watch

from theval_datasets.curation.segmentation.people import PersonRule, follow, padded, people_of
from theval_datasets.features.active_speaker import Turn
from theval_datasets.features.faces import Faces

LEFT, RIGHT = (20, 50, 40), (220, 50, 40)


def people(scene, turns=(), length=None, **rule):
    faces = watch(Faces(), scene)
    spoken = None if turns is None else [Turn(*turn) for turn in turns]
    return people_of(faces, spoken, length or len(scene.faces) / 5, PersonRule(**rule))


TWO = Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0, 1))


def test_everybody_has_a_clip_of_the_sound_of_their_turns():
    first, two = people(TWO, [(0.5, 1.5, 0), (2.0, 3.5, 1)])
    assert [(p.person, p.start, p.end, p.refused) for p in (first, two)] == [
        (0, 0.0, 4.0, None), (1, 0.0, 4.0, None)
    ]  # fmt: skip
    assert first.audible == ((0.4, 1.6),)
    assert two.audible == ((1.9, 3.6),)
    assert first.turns == two.turns == ((0.5, 1.5, 0), (2.0, 3.5, 1))
    assert first.region.boxes[0][1] < two.region.boxes[0][1]


def test_who_only_listens_is_silent_and_may_be_left_out():
    assert people(TWO, [(0.5, 1.5, 0)])[1].audible == ()
    refused = [p.refused for p in people(TWO, [(0.0, 2.0, 0)], min_speaking=0.5)]
    assert refused == [None, "little-speaking"]
    assert people(TWO, [(0.0, 1.99, 0)], min_speaking=0.5)[0].refused == "little-speaking"


def test_the_sound_of_the_scene_can_be_kept():
    everybody = people(TWO, [(0.5, 1.5, 0)], others="keep")
    assert [p.audible for p in everybody] == [None, None]
    assert [p.turns for p in everybody] == [((0.5, 1.5, 0),)] * 2


def test_without_turns_only_what_does_not_depend_on_them_is_cut():
    assert [p.refused for p in people(TWO, None)] == ["turns-unknown"] * 2
    assert [p.refused for p in people(TWO, None, others="keep")] == [None, None]
    (first, _) = people(TWO, None, others="keep", min_speaking=0.1)
    assert first.refused == "turns-unknown"


@pytest.mark.parametrize(("seconds", "refused"), [(4.0, None), (4.01, "short-track")])
def test_a_stretch_has_a_minimum_length(seconds, refused):
    assert {p.refused for p in people(TWO, min_seconds=seconds)} == {refused}


def test_a_gap_of_more_than_a_second_ends_a_stretch_and_a_shorter_one_does_not():
    seen = [{0: LEFT, 1: RIGHT}] * 10
    for gap, count in ((4, 1), (7, 2)):
        scene = Scene([*seen, *[{0: LEFT}] * gap, *seen], moving=(0, 1))
        other = [
            p for p in people(scene, [(1.5, 3.0, 0), (4.5, 5.0, 0)], min_seconds=1) if p.person
        ]
        assert len(other) == count
    first, second = other
    assert (first.start, first.end) == (0.0, pytest.approx(2.0))
    assert (second.start, second.end) == (pytest.approx(3.4), pytest.approx(5.4))
    assert first.turns == ((1.5, 2.0, 0),)
    assert second.turns == ((pytest.approx(1.1), pytest.approx(1.6), 0),)


def test_a_stretch_does_not_reach_into_the_next_shot():
    scene = Scene([{0: LEFT}] * 10 + [{1: RIGHT}] * 10, [20] * 10 + [230] * 10, moving=(0, 1))
    ends = sorted((p.start, p.end) for p in people(scene, min_seconds=1))
    assert ends == [(0.0, pytest.approx(1.8)), (2.0, 4.0)]


def test_pictures_of_people_are_left_out():
    scene = Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0,))
    assert [p.person for p in people(scene)] == [0]


# Sound.


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ([], [(0, 1)], []),
        ([(0.05, 9.95)], [], [(0.0, 10.0)]),
        ([(1, 2)], [(0, 0.95), (2.04, 3)], [(0.95, 2.04)]),
        ([(1, 2)], [(0.5, 1.5)], [(1, 2.1)]),
        ([(1, 2)], [(1.5, 2.5)], [(0.9, 2)]),
        ([(1, 2)], [(0, 5)], [(1, 2)]),
        ([(1, 2)], [(1.2, 1.5)], [(0.9, 2.1)]),
        ([(1, 2), (2.2, 3)], [], [(0.9, 3.1)]),
        ([(1, 2), (2.21, 3)], [], [(0.9, 2.1), (2.11, 3.1)]),
        ([(1, 2), (2.15, 3)], [(2.05, 2.1)], [(0.9, 2.05), (2.1, 3.1)]),
    ],
)
def test_sound_is_added_to_turns_where_nobody_else_speaks(mine, theirs, expected):
    assert padded(mine, theirs, 0.1, 10.0) == expected


# Squares.


def square(boxes, size=(640, 480), step=0.2, **rule):
    times = np.arange(len(boxes)) * step
    return follow(times, np.array(boxes, np.float32), size, PersonRule(**rule))


def test_a_face_in_its_place_has_one_box():
    region = square([(100, 100, 150, 160)] * 10, margin=0.25)
    assert region.boxes == ((0.0, 80.0, 85.0, 90.0, 90.0),)
    assert (region.width, region.height) == (640, 480)


def test_the_side_is_that_of_the_largest_face_but_for_single_outliers():
    boxes = [(100, 100, 150, 150)] * 10
    boxes[4] = (50, 50, 250, 250)
    assert square(boxes, margin=0).boxes[0][3] == 50
    boxes[5] = boxes[4]
    assert square(boxes, margin=0).boxes[0][3] == 200


def test_the_square_is_within_the_picture():
    region = square([(-10, -10, 90, 90)], margin=0.5)
    assert region.boxes == ((0.0, 0.0, 0.0, 200.0, 200.0),)
    assert square([(0, 0, 400, 400)], margin=0.5).boxes[0][3] == 480


def test_the_path_is_smooth():
    rng = np.random.default_rng(0)
    at = 100 + 4.0 * np.arange(60)
    boxes = [(x + n, 100, x + n + 60, 160) for x, n in zip(at, rng.normal(0, 6, 60), strict=True)]
    rough, smooth = (
        np.array([box[1] for box in square(boxes, smooth=seconds).boxes]) for seconds in (0, 2)
    )
    assert np.abs(np.diff(smooth, 2)).max() < np.abs(np.diff(rough, 2)).max() / 3
    inner = smooth[5:-5]
    assert np.abs(inner - np.linspace(inner[0], inner[-1], len(inner))).max() < 8


def test_sightings_at_irregular_times_are_placed_by_time():
    times = np.array([0.0, 0.2, 1.0, 1.2])
    boxes = np.array([(x, 0, x + 40, 40) for x in (100, 120, 200, 220)], np.float32)
    region = follow(times, boxes, (640, 480), PersonRule(margin=0, smooth=0))
    assert [box[0] for box in region.boxes] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
    assert [box[1] for box in region.boxes][1:-1] == pytest.approx([120, 140, 160, 180, 200])


def test_rules_are_checked():
    rule = PersonRule()
    assert (rule.margin, rule.smooth, rule.others, rule.pad) == (0.5, 1.0, "silence", 0.1)
    assert (rule.min_seconds, rule.min_speaking) == (2.0, 0.0)
    for wrong in ({"margin": -0.1}, {"smooth": -1}, {"pad": -1}, {"min_seconds": 0}):
        with pytest.raises(ValueError, match="of at least 0"):
            PersonRule(**wrong)
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="min_speaking"):
            PersonRule(min_speaking=share)
    assert SIZE == (320, 180)
