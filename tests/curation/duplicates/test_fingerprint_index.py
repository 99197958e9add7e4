"""The index gives the verdicts of an exhaustive comparison, on clips with planted copies of every kind."""

from __future__ import annotations

import functools
import logging

import numpy as np
import pytest
from filter_clips import clip

from theval_datasets.curation.duplicates import fingerprint_index, reference_index
from theval_datasets.curation.duplicates.fingerprint_index import (
    MARGIN,
    MISSED,
    FingerprintIndex,
    FrameHashes,
    KeptTables,
    n_keys,
)
from theval_datasets.curation.duplicates.matching import MIRROR, Prints, frames_apart
from theval_datasets.curation.duplicates.reference_index import ReferenceClip, ReferenceIndex
from theval_datasets.curation.filters import leakage, near_duplicates
from theval_datasets.curation.filters.base import Features
from theval_datasets.extraction.outcomes import Feature, Outcome

NOBODY = np.zeros((0, 0), np.float32)


def noise(rng, values, share):
    """Hashes with each bit inverted with a probability of `share`."""
    bits = np.unpackbits(values.view(np.uint8))
    return np.packbits(bits ^ (rng.random(len(bits)) < share)).view(values.dtype)


def original(rng, n_frames):
    """A clip: frames that differ little from one to the next, and sound of its own."""
    scene = rng.integers(0, 2**64, dtype=np.uint64)
    steps = noise(rng, np.zeros(n_frames, np.uint64), 0.06)
    audio = rng.integers(0, 2**32, 7 * n_frames, dtype=np.uint32)
    return Prints(scene ^ np.bitwise_xor.accumulate(steps), audio)


def reencoded(rng, source):
    frames = noise(rng, source.frames, rng.uniform(0, 0.19))
    return Prints(frames, noise(rng, source.audio, rng.uniform(0, 0.29)))


def cropped(rng, source):
    """Some bits change in all frames, others here and there."""
    chosen = rng.choice(64, rng.integers(2, 9), replace=False)
    moved = source.frames ^ np.uint64(sum(1 << int(bit) for bit in chosen))
    return Prints(noise(rng, moved, 0.04), noise(rng, source.audio, 0.1))


def trimmed(rng, source):
    n = len(source.frames)
    begin = rng.integers(0, n // 2)
    part = Prints(
        source.frames[begin : begin + n // 2], source.audio[7 * begin : 7 * (begin + n // 2)]
    )
    return Prints(noise(rng, part.frames, 0.08), noise(rng, part.audio, 0.15))


def mirrored(rng, source):
    frames = noise(rng, source.frames ^ MIRROR, rng.uniform(0, 0.15))
    return Prints(frames, noise(rng, source.audio, 0.1))


def muted(rng, source):
    return Prints(noise(rng, source.frames, rng.uniform(0, 0.06)), np.zeros(0, np.uint32))


def dubbed(rng, source):
    audio = rng.integers(0, 2**32, len(source.audio), dtype=np.uint32)
    return Prints(noise(rng, source.frames, rng.uniform(0, 0.08)), audio)


def near_miss(rng, source):
    """On either side of the thresholds."""
    frames = noise(rng, source.frames, rng.uniform(0.17, 0.23))
    return Prints(frames, noise(rng, source.audio, rng.uniform(0.27, 0.33)))


COPIES = (reencoded, cropped, trimmed, mirrored, muted, dubbed, near_miss)


def collection(n, seed=7):
    """Fingerprints of clips of 4 to 20 s, 2 in 5 of them copies."""
    rng = np.random.default_rng(seed)
    clips = [original(rng, int(rng.integers(8, 41))) for _ in range(n - 2 * n // 5)]
    for i in range(n - len(clips)):
        clips.append(COPIES[i % len(COPIES)](rng, clips[i]))
    return [clips[i] for i in rng.permutation(n)]


def features(prints):
    values = {"frame_hash": prints.frames}
    if len(prints.audio):
        values["audio_hash"] = prints.audio
    return Features({"fingerprints": Feature(Outcome("ok"), values)})


def judged(monkeypatch, n, exhaustive):
    """Verdicts of both filters: within a collection, and on one half of it against the other."""
    for module in (near_duplicates, reference_index):
        index = functools.partial(FingerprintIndex, exhaustive=exhaustive)
        monkeypatch.setattr(module, "FingerprintIndex", index)
    every = collection(n)
    clips = [(clip(f"{i:05d}"), features(prints)) for i, prints in enumerate(every)]
    references = ReferenceIndex.of(
        ReferenceClip(f"r{i:05d}", item, NOBODY) for i, item in enumerate(every[: n // 2])
    )
    within = near_duplicates.NearDuplicates().judge(clips)
    return [*within, *leakage.Leakage(people=False).judge(clips[n // 2 :], [references])]


def check_equal(monkeypatch, n):
    judge = near_duplicates.NearDuplicates()
    indexed, exhaustive = (judged(monkeypatch, n, pairs) for pairs in (0, n * n))
    assert len(indexed) == len(exhaustive) == n + n - n // 2
    assert sum(verdict.verdict == "reject" for verdict in exhaustive) > n // 5
    assert any(verdict.measured.get("mirrored") for verdict in exhaustive)
    assert any("same_picture" in verdict.measured for verdict in exhaustive)
    other_pictures = 0
    for ours, theirs in zip(indexed, exhaustive, strict=True):
        assert ours.verdict == theirs.verdict
        expected, measured = dict(theirs.measured), dict(ours.measured)
        picture, other = expected.pop("picture"), measured.pop("picture")
        other_pictures += picture <= (12 - MARGIN) / 64 and picture != other
        if (expected.get("frames") or 0.0) > judge.max_frames:
            expected |= {"frames": None, "audio": None}
        assert measured == expected
    assert other_pictures <= MISSED * len(exhaustive)


@pytest.mark.parametrize("kept", [False, True])
def test_verdicts_are_those_of_an_exhaustive_comparison(monkeypatch, kept):
    monkeypatch.setattr(fingerprint_index.KeptTables, "cheaper", lambda *_: kept)
    check_equal(monkeypatch, 140)


@pytest.mark.slow
def test_verdicts_on_a_thousand_clips(monkeypatch):
    check_equal(monkeypatch, 1000)


@pytest.mark.parametrize(
    ("n_frames", "share", "kept"),
    [(4, 0.1, False), (8, 0.1, False), (26, 0.1, False), (4, 0.19, False), (8, 0.19, False),
     (26, 0.19, False), (4, 0.19, True)],
)  # fmt: skip
def test_recall_at_the_threshold(n_frames, share, kept, monkeypatch):
    rng = np.random.default_rng(n_frames)
    clips = [original(rng, n_frames) for _ in range(1500)]
    copies = [Prints(noise(rng, clip.frames, share), clip.audio) for clip in clips]
    alike = [frames_apart(a, b) <= 0.2 for a, b in zip(clips, copies, strict=True)]
    tables = KeptTables.of(FrameHashes.of(clips)) if kept else None
    monkeypatch.setattr(fingerprint_index.KeptTables, "cheaper", lambda *_: True)
    upright, _ = FingerprintIndex(clips, exhaustive=0, kept=tables).search(copies, 0.2, 0.2)
    met = [i in upright.of(i)[0] for i in range(len(clips))]
    assert sum(alike) > 800
    missed = sum(a and not m for a, m in zip(alike, met, strict=True))
    assert missed <= 0.001 * sum(alike)


def test_limits_for_which_sampling_would_miss_much_compare_all():
    clips = [original(np.random.default_rng(i), 6) for i in range(5)]
    index = FingerprintIndex(clips, exhaustive=0)
    assert not index.search(clips, 0.2, 0.2)[0].complete
    assert index.search(clips, 0.25, 0.2)[0].complete


def test_the_side_with_fewer_frames_is_sorted_without_effect():
    every = collection(40)
    whole = FingerprintIndex(every[:30], exhaustive=0).search(every[30:], 0.2, 0.2)
    other = FingerprintIndex(every[30:], exhaustive=0).search(every[:30], 0.2, 0.2)
    for side in (0, 1):
        pairs = {(q, int(c)) for q in range(10) for c in whole[side].of(q)[0]}
        assert pairs == {(int(c), q) for q in range(30) for c in other[side].of(q)[0]}
    assert len(whole[0].numbers)


def test_a_picture_that_many_clips_share_is_compared_with_the_first_and_reported(
    monkeypatch, caplog
):
    monkeypatch.setattr(fingerprint_index, "_MOST", 5)
    shared = np.array([3], np.uint64)
    clips = [Prints(shared, np.zeros(0, np.uint32))] * 9
    with caplog.at_level(logging.WARNING):
        upright, _ = FingerprintIndex(clips, exhaustive=0).search(clips, 0.2, 0.2)
    assert upright.of(8)[0].tolist() == [0, 1, 2, 3, 4]
    assert "9 frames look like many others" in caplog.text


@pytest.mark.parametrize("exhaustive", [0, 100])
def test_clips_without_frames_resemble_none(exhaustive):
    nothing = Prints(np.zeros(0, np.uint64), np.zeros(0, np.uint32))
    prints = Prints(np.arange(4, dtype=np.uint64), np.zeros(0, np.uint32))
    upright, _ = FingerprintIndex([nothing, prints], exhaustive=exhaustive).search(
        [prints, nothing], 0, 0
    )
    assert upright.of(0)[0].tolist() == [1]
    assert (upright.of(1)[1] == 1).all()
    assert len(FingerprintIndex([]).search([prints], 0.2, 0.2)[0].numbers) == 0


def test_kept_tables_are_used_for_few_queries_and_limits_they_suffice_for():
    hashes = np.random.default_rng(1).integers(0, 2**64, 1000, dtype=np.uint64)
    tables = KeptTables.of(FrameHashes.of([Prints(hashes, np.zeros(0, np.uint32))]))
    keys = 1 + 12 + 66  # of twelve sampled bits up to two are inverted
    assert len(next(tables.tables()).inverted) in (keys, 1 + 13 + 78)
    most = 419 * 1000 // (keys * len(tables.begins))
    assert tables.cheaper(most, 419, 0.2)
    assert not tables.cheaper(most + 1, 419, 0.2)
    assert not tables.cheaper(1, 419, 0.204)  # 13 bits


@pytest.mark.parametrize("n_frames", [0, 1, 7, 8, 300_000])
def test_kept_tables_hold_each_frame_once(n_frames):
    rng = np.random.default_rng(5)
    clip_ = Prints(rng.integers(0, 2**64, n_frames, dtype=np.uint64), np.zeros(0, np.uint32))
    tables = KeptTables.of(FrameHashes.of([clip_]))
    assert tables.begins.shape[1] == n_keys(len(tables.frames.hashes)) + 1
    assert not tables.faulty()
    for order in tables.orders:
        assert np.array_equal(np.sort(order), np.arange(n_frames))
