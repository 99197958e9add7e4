"""Motion outside people, and lips against scores: what complaints about clips are compared with."""

from __future__ import annotations

import numpy as np
import pytest
from fake_faces import SIZE, Clip, Scene, watch

from theval_datasets.features.background_motion import BackgroundMotion, people_mask
from theval_datasets.features.faces import Faces
from theval_datasets.features.lip_agreement import agreement, lip_motion
from theval_datasets.media.frames import Frames


def faces_of(boxes, shots=None):
    scene = Scene([dict(enumerate(boxes))] * 20, shots=shots, moving=range(len(boxes)))
    return watch(Faces(), scene)


def measure(faces, pictures):
    """Motion over pictures at two a second."""
    accumulator = BackgroundMotion().open(Clip({"faces": faces}), None)
    times = np.arange(len(pictures)) / 2
    accumulator.update(Frames(pictures, times, np.arange(len(pictures))))
    return accumulator.finish()


def picture(background, person, mask):
    small = np.where(mask, person, background).astype(np.uint8)
    return small.repeat(5, axis=0).repeat(5, axis=1)


ONE = [(140, 60, 40)]


def test_people_and_what_is_around_them_are_told_apart():
    faces = faces_of(ONE)
    mask = people_mask(faces, 1.0)
    assert 0.1 < mask.mean() < 0.5
    still = [picture(50, level, mask) for level in (100, 130, 100, 130)]
    values, absent = measure(faces, still)
    assert absent == {}
    assert float(values["background_motion"]) == 0.0
    assert float(values["people_motion"]) == pytest.approx(30.0)
    moving = [picture(level, 100, mask) for level in (50, 60, 50, 60)]
    values, _ = measure(faces, moving)
    assert float(values["background_motion"]) == pytest.approx(10.0)
    assert float(values["people_motion"]) == 0.0
    assert values["time"].tolist() == [0.5, 1.0, 1.5]


def test_a_person_is_below_and_beside_the_face():
    mask = people_mask(faces_of(ONE), 1.0)
    rows, columns = mask.shape
    x, y = columns / SIZE[0], rows / SIZE[1]
    assert mask[-1, int(160 * x)]
    assert mask[int(80 * y), int(160 * x)]
    assert mask[-1, int(105 * x)]
    assert not mask[-1, int(90 * x)]
    assert not mask[int(30 * y), int(160 * x)]
    assert not mask[int(80 * y), int(110 * x)]


def test_changes_across_a_cut_are_left_out():
    faces = faces_of(ONE, shots=[20] * 5 + [220] * 15)
    assert int(faces["shot"].max()) == 1
    mask = people_mask(faces, 1.0)
    pictures = [picture(20, 100, mask)] * 2 + [picture(220, 100, mask)] * 3
    values, _ = measure(faces, pictures)
    assert float(values["background_motion"]) == 0.0
    assert len(values["time"]) == 3


def test_without_a_background_or_a_second_picture_there_is_no_motion():
    everywhere = faces_of(ONE)
    everywhere["box"] = np.tile(np.float32((60, -10, 260, 190)), (len(everywhere["box"]), 1))
    grey = np.full((180, 320), 90, np.uint8)
    values, absent = measure(everywhere, [grey, grey])
    assert absent == {"background_motion": "no-background", "people_motion": "no-background"}
    assert len(values["time"]) == 0
    _, absent = measure(faces_of(ONE), [grey])
    assert set(absent.values()) == {"single-frame"}


def heard(*scores, person=(0, 1), speech=True):
    count = len(scores[0])
    return {
        "track": np.repeat(np.arange(len(scores), dtype=np.int32), count),
        "person": np.repeat(np.array(person[: len(scores)], np.int32), count),
        "time": np.tile(np.arange(count) / 25, len(scores)),
        "score": np.concatenate(scores).astype(np.float32),
        "speech": np.full(count * len(scores), speech),
    }


HIGH, LOW = np.ones(50), -np.ones(50)


def lips(values, *moving):
    """Lips of each track that move or do not, with a mesh per picture."""
    wave = 0.2 + 0.1 * np.sin(np.arange(50))
    opening = np.concatenate([wave if moves else np.full(50, 0.2) for moves in moving])
    return lip_motion(values, values["track"], values["time"] + 0.02, opening, 0.4)


def test_lips_and_scores_agree_or_not():
    values = heard(HIGH, LOW)
    assert agreement(values, lips(values, True, False)).all()
    assert not agreement(values, lips(values, False, True)).any()
    assert len(agreement(values, lips(values, True, False))) == 50


@pytest.mark.parametrize(
    "values", [heard(HIGH), heard(HIGH, LOW, person=(0, 0)), heard(HIGH, LOW, speech=False)]
)
def test_one_person_or_no_speech_is_not_compared(values):
    moving = [True, False][: len(np.unique(values["track"]))]
    assert len(agreement(values, lips(values, *moving))) == 0


def test_lip_motion_is_the_deviation_of_the_opening_around_a_picture():
    values = heard(HIGH[:10])
    opening = np.array([0.1, 0.4, 0.2, 0.3, 0.5, 0.1, 0.2, 0.9, 0.3, 0.1])
    motion = lip_motion(values, values["track"], values["time"] + 0.02, opening, 0.2)
    assert motion[4] == pytest.approx(opening[2:7].std())
    assert np.isfinite(motion).all()
    gone = lip_motion(values, values["track"][:2], values["time"][:2], opening[:2], 0.16)
    assert np.isnan(gone[5:]).all()
