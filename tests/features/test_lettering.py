"""Lettering is read in the mean of a clip's frames; what is laid over the picture is still in them."""

from __future__ import annotations

import numpy as np
import pytest
from extractor_contract import check, run

from theval_datasets.curation.filters.base import Features
from theval_datasets.curation.filters.watermarks import Watermarks
from theval_datasets.errors import MissingExtraError
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.features import lettering
from theval_datasets.features.lettering import Lettering, LetteringReader
from theval_datasets.features.networks.text_reader import Line
from theval_datasets.utils import optional

SIZE = 120, 200  # height, width
BOX = (20, 30, 80, 50)


class Script:
    """A reader that finds given lines in the mean, which it is given first, and in the middle frame."""

    def __init__(self, mean=(), middle=()):
        self.lines = [list(mean), list(middle)]
        self.pictures = []

    def read(self, picture):
        self.pictures.append(picture)
        return [
            Line(text, score, np.array(box, np.float32)) for text, score, box in self.lines.pop(0)
        ]


def pictures(n, shift=lambda i: 0, background=lambda i: 90):
    """Pictures with a pattern of strokes in `BOX`, shifted by some pixels in each."""
    made = []
    for i in range(n):
        picture = np.full((*SIZE, 3), background(i), np.uint8)
        for left in (24, 33, 47, 52, 66):
            picture[32:48, left + shift(i) : left + shift(i) + 4] = 230
        made.append(picture)
    return made


def read(frames, **lines):
    reader = Script(**lines)
    found = LetteringReader(reader)
    for frame in frames:
        found.add(frame)
    values, missing = found.finish()
    assert missing == {}
    assert values["text_box"].shape == (len(values["text"]), 4)
    return values, reader


def test_a_line_that_stays_is_still_in_every_frame():
    values, reader = read(pictures(6, background=lambda i: 40 * (i % 3)), mean=[("Mark", 0.9, BOX)])
    assert values["text"].tolist() == ["Mark"]
    assert values["still"].tolist() == [1]
    assert values["text_box"][0] == pytest.approx([0.1, 0.25, 0.4, 50 / 120])
    assert reader.pictures[0][0, 0].tolist() == [40, 40, 40]  # the mean of 0, 40 and 80


@pytest.mark.parametrize("n_off", [0, 1, 2])
def test_frames_in_which_a_line_is_a_pixel_off_do_not_count(n_off):
    frames = pictures(8, shift=lambda i: int(i < n_off))
    values, _ = read(frames, mean=[("Mark", 0.9, BOX)])
    assert float(values["still"][0]) == 1 - n_off / 8


def test_text_that_moves_a_few_pixels_is_not_still():
    frames = pictures(10, shift=lambda i: i % 5 - 2)
    values, _ = read(frames, mean=[("Team", 0.9, BOX)])
    assert float(values["still"][0]) < 0.25
    values, _ = read(pictures(8, shift=lambda i: 9 * i), mean=[("Team", 0.9, (20, 30, 140, 50))])
    assert float(values["still"][0]) < 0.25  # nor does its own trace in the mean count


def test_the_more_certain_of_two_readings_counts_and_lines_of_the_middle_frame_are_not_still():
    near, far = (22, 31, 80, 50), (100, 90, 180, 110)
    values, _ = read(
        pictures(4),
        mean=[("Marl", 0.7, BOX)],
        middle=[("Mark", 0.9, near), ("caption", 0.8, far)],
    )
    assert values["text"].tolist() == ["Mark", "caption"]
    assert values["score"].tolist() == pytest.approx([0.9, 0.8])
    assert values["still"].tolist() == [1, 0]
    values, _ = read(pictures(4), mean=[("Mark", 0.9, BOX)], middle=[("Marl", 0.7, near)])
    assert values["text"].tolist() == ["Mark"]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (("Mark", 0.5, BOX), True),
        (("Mark", 0.49, BOX), False),
        ((" ", 0.9, BOX), False),
        (("O", 0.9, (10, 10, 190, 40)), True),  # a quarter of the height
        (("O", 0.9, (10, 10, 190, 41)), False),  # a face that resembles a letter
        (("O", 0.9, (10, 10, 60, 110)), True),  # upright
    ],
)
def test_uncertain_lines_and_large_objects_are_left_out(line, kept):
    values, _ = read(pictures(3), mean=[line])
    assert len(values["text"]) == kept


def test_a_still_picture_without_text_has_no_lines():
    values, reader = read(pictures(1))
    assert [array.shape for array in values.values()] == [(0,), (0,), (0, 4), (0,)]
    assert len(reader.pictures) == 2


def test_at_most_sixteen_evenly_spaced_frames_are_kept():
    finder = LetteringReader(Script())
    for i in range(200):
        finder.add(np.full((2, 2, 3), i, np.uint8))
    kept = [int(frame[0, 0, 0]) for frame in finder._frames]
    assert 8 <= len(kept) <= 16
    assert kept == list(range(0, 200, kept[1]))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    with pytest.raises(MissingExtraError, match=r"\[ocr\]"):
        Lettering().weights_id()
    assert optional.EXTRAS["ocr"][0] == lettering.Lettering.imports


@pytest.fixture(scope="module")
def reader():
    pytest.importorskip("rapidocr", reason="needs the extra [ocr]")
    return Lettering().setup()


def written(frames, text, at, colour):
    import cv2

    for frame in frames:
        cv2.putText(frame, text, at, cv2.FONT_HERSHEY_SIMPLEX, 1.0, colour, 2, cv2.LINE_AA)
    return frames


@pytest.mark.slow
def test_a_mark_is_read_and_moving_text_is_not(reader):
    noise = np.random.default_rng(3)
    frames = [noise.integers(60, 120, (360, 480, 3)).astype(np.uint8) for _ in range(8)]
    written(frames, "TalkStudio", (270, 340), (220, 220, 220))
    for i, frame in enumerate(frames):
        written([frame], "MyTeam", (40, 60 + 9 * i), (220, 220, 220))
    values = lines_of(frames, reader)
    still = values["text"][values["still"] >= 0.5].tolist()
    assert still == ["TalkStudio"]
    assert judged(values).measured["mark"] == "TalkStudio"


def lines_of(frames, reader):
    finder = LetteringReader(reader)
    for frame in frames:
        finder.add(frame)
    return finder.finish()[0]


def judged(values):
    return Watermarks().judge(None, Features({"lettering": Feature(Outcome("ok"), values)}))


MARKED = {
    "generated/dreamtalk_english_256.mp4": "DreamTalk",
    "generated/emo_mola.mp4": "Generated",
    "negative/room_noface.mp4": "clideo.com",
    "negative/workshop_lookdown_noaudio.mp4": "shutter",
    "negative/cartoon.mp4": "",
    "multi/friends_scene.mp4": "bs",
}


@pytest.mark.slow
def test_contract(reader, media, tmp_path, monkeypatch):
    clips = media("plain"), media("late_audio"), media("no_audio")
    check(Lettering(), *clips, tmp_path, monkeypatch)


@pytest.mark.real
@pytest.mark.parametrize("name", MARKED)
def test_marks_of_real_clips(name, reader, shared_data, tmp_path):
    (feature,) = run(Lettering(), [shared_data / "media" / name], tmp_path)
    verdict = judged(feature.values)
    assert verdict.reason == "watermark"
    assert MARKED[name] in str(verdict.measured["mark"])


@pytest.mark.real
def test_no_clip_of_a_single_speaker_has_a_mark(reader, shared_data, tmp_path):
    clips = sorted((shared_data / "media/single").glob("*.mp4"))
    assert len(clips) >= 16
    for path, feature in zip(clips, run(Lettering(), clips, tmp_path), strict=True):
        assert judged(feature.values).verdict == "keep", path.name
