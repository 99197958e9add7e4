"""Active speaker detection: LR-ASD on pairs of people of whom one speaks while the other is frozen.

Every pair is composed of two clips of one speaker each: the first person speaks while the second is
frozen, then the other way round. In the ground truth a person speaks during that person's turn wherever
the clean sound has speech; frames within 200 ms of a change are left out. Two further tests: faces that are
frozen while somebody else speaks (all of that speech is off-screen), and faces that move while somebody
else is heard, which the network cannot tell from speaking.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks._media import SHARED
from benchmarks._rows import Row, at_least, at_most
from theval_datasets import media
from theval_datasets.extraction.cache import Cache, spec_of
from theval_datasets.extraction.jobs import ClipJob, Plan
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.runner import Runner
from theval_datasets.extraction.weights import find, known
from theval_datasets.features.active_speaker import (
    ActiveSpeaker,
    smoothed,
    speaking,
    speech_at,
    speech_on_screen,
)
from theval_datasets.features.faces import Faces
from theval_datasets.features.networks.lr_asd import CONTEXT, FPS, LrAsd
from theval_datasets.features.people.visits import VisitEncoder, crop, visits
from theval_datasets.features.vad import Vad, speech_probability, speech_segments
from theval_datasets.media.frames import SAMPLE_RATE
from theval_datasets.utils.files import sha256_file

CLIPS = (
    "single/aniportrait_poseref_may", "single/latentsync_demo1", "single/latentsync_demo2",
    "single/liveportrait_d11_child", "single/liveportrait_d20", "single/sadtalker_aoc",
    "single/sadtalker_katiehill", "generated/dreamtalk_english_256", "generated/emo_mola",
    "generated/vasa1_11", "generated/vexpress_short10",
)  # fmt: skip
PER_PICTURE = SAMPLE_RATE // FPS
LEFT_OUT = round(0.2 * FPS)
NOISE_DB = 10.0

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass
class Speaker:
    """A clip of one speaker: features of its pictures, moving and frozen, its sound, its speech."""

    name: str
    seen: Floats
    still: Floats
    samples: Floats
    speech: Flags


def run() -> list[Row]:
    if find(known("lr-asd")) is None and (SHARED / "models").is_dir():
        os.environ["THEVAL_MODELS"] = str(SHARED / "models")
    weights = find(known("lr-asd"))
    paths = [SHARED / "media" / f"{name}.mp4" for name in CLIPS]
    if weights is None or not all(path.is_file() for path in paths):
        return [Row("who speaks", 0.0, "pairs", note="needs the weights lr-asd and the real clips")]
    network = LrAsd(weights)
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as folder:
        speakers = [_speaker(path, network, Path(folder)) for path in paths]
    rows = _speed(network, speakers[2])
    for noise in (None, NOISE_DB):
        rows += _pairs(network, speakers, noise)
    return rows


def _speaker(path: Path, network: LrAsd, folder: Path) -> Speaker:
    job = ClipJob(path.stem, str(path), sha256_file(path))
    values = {}
    for extractor in (Faces(), Vad()):
        Runner(Plan((extractor,), str(folder))).process(job)
        feature = Cache(folder).read(spec_of(extractor, media.decoder_version()), job.sha256)
        values[extractor.name] = feature.values
    visit = max(visits(values["faces"], most=1), key=lambda visit: len(visit.times))
    middle = len(visit.times) // 2
    encoder, held = VisitEncoder(visit, network), None
    with media.open_video(path) as video:
        for batch in video.frames():
            for frame, at in zip(batch.pixels, batch.times.tolist(), strict=True):
                grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
                if held is None and at >= visit.times[middle]:
                    held = crop(grey, visit.squares[middle])
                encoder.update(grey, at)
    seen = encoder.finish()
    audio = media.read_audio(path)
    sound = np.zeros(len(seen) * PER_PICTURE, np.float32)
    begin = round((audio.start - visit.first / FPS) * SAMPLE_RATE)
    part = audio.samples[max(0, -begin) :][: len(sound) - max(0, begin)]
    sound[max(0, begin) :][: len(part)] = part
    speech = speech_at((visit.first + np.arange(len(seen))) / FPS, values["vad"]["segments"])
    still = network.embed_pictures(np.stack([held] * (2 * CONTEXT + 1)))[CONTEXT]
    return Speaker(path.stem, seen, np.tile(still, (len(seen), 1)), sound, speech)


def _noisy(sound: Floats, noise_db: float | None) -> Floats:
    """A sound with added white noise at a given signal-to-noise ratio in dB."""
    if noise_db is None:
        return sound
    noise = np.random.default_rng(5).normal(size=len(sound)).astype(np.float32)
    loud = float(np.sqrt((sound**2).mean()))
    mixed: Floats = np.clip(sound + noise * loud * 10 ** (-noise_db / 20), -1, 1).astype(np.float32)
    return mixed


def _values(network: LrAsd, silero: Any, sound: Floats, *people: Floats) -> tuple[Values, Doubles]:
    """Values of `active_speaker` for people who are always in sight, and the speech that is heard."""
    extractor, count = ActiveSpeaker(), len(people[0])
    audio_features = network.embed_samples(sound, 0, count)
    scores = [
        smoothed(
            network.mean_scores(audio_features, seen, extractor.windows),
            round(extractor.smoothing * FPS),
        )
        for seen in people
    ]
    segments = speech_segments(speech_probability(silero, sound), len(sound)) / SAMPLE_RATE
    person = np.repeat(np.arange(len(people), dtype=np.int32), count)
    at = np.tile(np.arange(count) / FPS, len(people))
    values = {"track": person, "person": person, "time": at, "speech": speech_at(at, segments)}
    return values | {"score": np.concatenate(scores).astype(np.float32)}, segments


def _clear(truth: Flags) -> Flags:
    """Whether each frame is far enough from every change of the ground truth."""
    changes = np.flatnonzero(np.diff(truth)) + 1
    clear = np.ones(len(truth), bool)
    for at in changes:
        clear[max(0, at - LEFT_OUT) : at + LEFT_OUT] = False
    return clear


def _pairs(network: LrAsd, speakers: list[Speaker], noise: float | None) -> list[Row]:
    what = "" if noise is None else f", white noise at {noise:g} dB"
    silero = Vad().setup()
    table = np.zeros((2, 2), np.int64)
    off, beside, pairs = np.zeros(2, np.int64), np.zeros(2, np.int64), 0
    for first_person, second_person in itertools.permutations(speakers, 2):
        count = min(len(first_person.seen), len(second_person.seen))
        pairs, first = pairs + 1, np.arange(count) < count // 2
        of_one, of_two = (x.samples[: count * PER_PICTURE] for x in (first_person, second_person))
        sound = _noisy(np.where(np.repeat(first, PER_PICTURE), of_one, of_two), noise)
        seen = (
            np.where(first[:, None], first_person.seen[:count], first_person.still[:count]),
            np.where(first[:, None], second_person.still[:count], second_person.seen[:count]),
        )
        truth = (first_person.speech[:count] & first, second_person.speech[:count] & ~first)
        detected = speaking(_values(network, silero, sound, *seen)[0])
        for own, detected_own in zip(truth, np.split(detected, 2), strict=True):
            clear = _clear(own) & _clear(first)
            np.add.at(table, (own[clear].astype(int), detected_own[clear].astype(int)), 1)
        # Person one is heard all the time while both are frozen; then person two moves to that sound.
        sound, speech = _noisy(of_one, noise), first_person.speech[:count]
        still, segments = _values(
            network, silero, sound, first_person.still[:count], second_person.still[:count]
        )
        spans = speech_on_screen(still, segments, count / FPS).off_screen
        outside = speech_at(np.arange(count) / FPS, spans)
        off += (int((outside & speech).sum()), int(speech.sum()))
        moving = speaking(_values(network, silero, sound, second_person.seen[:count])[0])
        beside += (int((moving & speech).sum()), int(speech.sum()))
    right = float(np.trace(table) / table.sum())
    confusion = (
        f"{pairs} pairs, {table.sum()} frames; speaks: found {table[1, 1]}, missed {table[1, 0]}; "
        f"does not: right {table[0, 0]}, taken for speaking {table[0, 1]}"
    )
    return [
        at_least(f"frame accuracy, one speaks and one is still{what}", right, "", 0.9, confusion),
        at_least(f"speech over still faces that is off-screen{what}", float(off[0] / off[1]), "", 0.8, f"{off[1]} frames"),
        Row(f"moving faces under somebody else's voice taken for speaking{what}", float(beside[0] / beside[1]), "",
            note="what the network cannot tell"),
    ]  # fmt: skip


def _speed(network: LrAsd, speaker: Speaker) -> list[Row]:
    pictures = np.zeros((len(speaker.seen), 112, 112), np.uint8)
    began = time.process_time()
    for at in range(0, len(pictures), 100):
        network.embed_pictures(pictures[at : at + 100])
    audio_features = network.embed_samples(speaker.samples, 0, len(pictures))
    network.mean_scores(audio_features, speaker.seen, ActiveSpeaker().windows)
    spent = (time.process_time() - began) * FPS / len(pictures)
    return [
        at_most(
            "CPU time of a track, over real time",
            spent,
            "x",
            0.5,
            f"{len(pictures) / FPS:.1f} s, one thread",
        )
    ]
