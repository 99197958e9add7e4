"""Distances between fingerprints, and who counts as the same recording."""

import math

import numpy as np
import pytest

from theval_datasets.curation.duplicates.matching import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MIRROR,
    MUTE_ALIKE,
    Prints,
    audio_apart,
    frames_apart,
    same_recording,
)
from theval_datasets.features.fingerprints import frame_hash

SILENT = np.zeros(0, np.uint32)
ONES = ~np.uint64(0)


def pictures(*hashes) -> Prints:
    return Prints(np.array(hashes, np.uint64), SILENT)


def sound(hashes) -> Prints:
    return Prints(np.zeros(1, np.uint64), np.asarray(hashes, np.uint32))


def random_hashes(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**63, n, dtype=np.uint64)


def above(value: float) -> float:
    return math.nextafter(value, 1)


@pytest.mark.parametrize(
    ("frames", "audio", "same"),
    [
        (0.2, 0.3, True),
        (above(0.2), 0.3, False),
        (0.2, above(0.3), False),
        (0.05, None, True),
        (above(0.05), None, False),
    ],
)
def test_each_limit_is_included(frames, audio, same):
    assert (FRAMES_ALIKE, AUDIO_ALIKE, MUTE_ALIKE) == (0.2, 0.3, 0.05)
    assert same_recording(frames, audio, FRAMES_ALIKE, AUDIO_ALIKE, MUTE_ALIKE) == same


@pytest.mark.parametrize("plain", [(0, 0, 0, 0), (ONES,) * 4, (0, ONES, 0, ONES)])
def test_pictures_of_one_colour_say_nothing(plain):
    assert frames_apart(pictures(*plain), pictures(*plain)) == 0.5
    assert frames_apart(pictures(*plain), pictures(*random_hashes(4))) == 0.5
    one_more = (*plain[:3], 12345)
    assert frames_apart(pictures(*one_more), pictures(*one_more)) == 0
    assert frames_apart(pictures(), pictures(*random_hashes(4))) == 0.5


def test_opposite_pictures_are_no_further_apart_than_unrelated_ones():
    hashes = random_hashes(1)
    assert frames_apart(pictures(*hashes), pictures(*~hashes)) == 0.5


@pytest.mark.parametrize(("shared", "found"), [(4, True), (3, False)])
def test_four_pictures_in_common_are_enough_for_short_clips(shared, found):
    first, second = random_hashes(6, seed=1), random_hashes(6, seed=2)
    second[:shared] = first[-shared:]
    assert (frames_apart(pictures(*first), pictures(*second)) == 0) == found


@pytest.mark.parametrize(("shared", "found"), [(10, True), (9, False)])
def test_longer_clips_share_half_of_the_shorter_one(shared, found):
    first, second = random_hashes(20, seed=1), random_hashes(30, seed=2)
    second[:shared] = first[-shared:]
    assert (frames_apart(pictures(*first), pictures(*second)) == 0) == found


@pytest.mark.parametrize(("steps", "known"), [(24, True), (23, False)])
def test_a_second_and_a_half_of_sound_is_needed(steps, known):
    heard = sound(random_hashes(steps) >> np.uint64(32))
    assert audio_apart(heard, heard) == (0 if known else None)


def test_mirrored_pictures_invert_the_bits_of_odd_columns():
    rng = np.random.default_rng(0)
    flips = np.zeros(64)
    for _ in range(60):
        picture = rng.integers(0, 256, (32, 32), dtype=np.uint8)
        hashes = [frame_hash(p) for p in (picture, np.ascontiguousarray(picture[:, ::-1]))]
        flips += np.unpackbits(np.array([hashes[0] ^ hashes[1]], ">u8").view(np.uint8))
    inverted = np.unpackbits(np.array([MIRROR], ">u8").view(np.uint8)) == 1
    assert (flips[inverted] > 45).all()
    assert (flips[~inverted] < 15).all()
