"""Clips without media: manifest rows and hand-made features in a cache, for tests of datasets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from theval_datasets.extraction.cache import Cache, spec_of
from theval_datasets.extraction.outcomes import Feature, Outcome
from theval_datasets.features.head_pose import HeadPose
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.loudness import Loudness
from theval_datasets.features.theval_signals import ThevalSignals
from theval_datasets.features.vad import Vad
from theval_datasets.manifest.rows import MANIFEST_NAME, ManifestRow, Source, write_manifest
from theval_datasets.media.facts import MediaFacts

DECODER = "hand-made-1"
SIGNALS = ("landmarks", "head_pose", "vad", "loudness", "theval_signals")
_CLASSES = {cls.name: cls for cls in (Landmarks, HeadPose, Vad, Loudness, ThevalSignals)}
EMPTY = Outcome("empty", "no-face")


def hash_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def facts(n_frames: int = 20, **changed) -> MediaFacts:
    values = {
        "duration": n_frames / 25,
        "fps": 25.0,
        "width": 512,
        "height": 384,
        "n_frames": n_frames,
        "rotation": 0,
        "variable_rate": False,
        "video_codec": "h264",
        "audio_codec": "aac",
        "audio_rate": 44100,
        "audio_channels": 2,
        "audio_start": 0.0,
        "audio_duration": n_frames / 25,
        "n_bytes": 1000,
    }
    return MediaFacts(**(values | changed))


def row(name: str, **changed) -> ManifestRow:
    source = changed.pop("source", Source("local", f"{name}.mp4", license="cc-by-4.0"))
    values = {"path": f"{name}.mp4", "sha256": hash_of(name), "media": facts(), "source": source}
    return ManifestRow(clip_id=name, **(values | changed))


def values(seed: int = 0, n_frames: int = 20) -> dict[str, dict[str, np.ndarray]]:
    """Features of a clip: a face in all frames but the third and the last, sound until 0.5 s."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_frames) / 25
    face = np.ones(n_frames, dtype=bool)
    face[[2, n_frames - 1]] = False
    n_faces = int(face.sum())
    heard = time < 0.5
    start, end = 0.0, 0.5
    return {
        "landmarks": {
            "time": time,
            "face": face,
            "mesh": rng.integers(0, 16384, (n_faces, 478, 3)).astype(np.int16),
            "width": np.array(512, np.int32),
            "height": np.array(384, np.int32),
            "duration": np.array(n_frames / 25),
        },
        "head_pose": {
            name: rng.normal(0, 10, n_faces).astype(np.float32) for name in ("pitch", "yaw", "roll")
        },
        "vad": {
            "probability": rng.random(16).astype(np.float32),
            "segments": np.array([[0.1, 0.3]]),
            "start": np.array(start),
            "end": np.array(end),
            "speech_ratio": np.array(0.4),
        },
        "loudness": {"heard": heard, "rms": rng.random(int(heard.sum())).astype(np.float32)},
        "theval_signals": {
            "lip_dynamics": np.array(1.5 + seed),
            "head_motion": np.array(12.25),
            "head_motion_scale_invariant": np.array(1.75),
            "eyebrow_dynamics": np.array(0.006),
            "silent_lip_stability": np.array(0.02),
            "lip_sync": np.array(0.25),
            "openness": rng.random(n_faces),
            "speech": np.where(time < 0.5, ((time >= 0.1) & (time < 0.3)), -1).astype(np.int8),
            "silence": np.where(time < 0.5, 0, -1).astype(np.int8),
        },
    }


class Corpus:
    """A folder with a manifest and a cache beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache")
        self.rows: list[ManifestRow] = []

    @property
    def manifest(self) -> Path:
        return self.folder / MANIFEST_NAME

    def add(self, row: ManifestRow, features: dict[str, Feature] | None = None) -> None:
        self.rows.append(row)
        for name, feature in (features or {}).items():
            assert row.sha256 is not None
            self.cache.write(spec_of(_CLASSES[name](), DECODER), row.sha256, feature)
        write_manifest(self.manifest, self.rows)

    def add_clip(self, name: str, seed: int = 0, n_frames: int = 20, **changed) -> ManifestRow:
        """A clip with a face and speech."""
        clip = row(name, **({"media": facts(n_frames)} | changed))
        features = {k: Feature(Outcome("ok"), v) for k, v in values(seed, n_frames).items()}
        self.add(clip, features)
        return clip

    def add_faceless(self, name: str) -> ManifestRow:
        """A clip with sound, but without a face."""
        clip = row(name)
        result = values()
        features = {k: Feature(Outcome("ok"), result[k]) for k in ("vad", "loudness")}
        features |= {k: Feature(EMPTY) for k in ("landmarks", "head_pose", "theval_signals")}
        self.add(clip, features)
        return clip

    def add_silent(self, name: str, seed: int = 0) -> ManifestRow:
        """A clip with a face, but without audio."""
        clip = row(name)
        result = values(seed)
        kept = (
            "lip_dynamics", "head_motion", "head_motion_scale_invariant", "eyebrow_dynamics",
            "openness", "speech", "silence",
        )  # fmt: skip
        signals = {key: result["theval_signals"][key] for key in kept}
        signals |= {key: np.full(20, -1, np.int8) for key in ("speech", "silence")}
        missing = {"silent_lip_stability": "no-audio", "lip_sync": "no-audio"}
        self.add(
            clip,
            {
                "landmarks": Feature(Outcome("ok"), result["landmarks"]),
                "head_pose": Feature(Outcome("ok"), result["head_pose"]),
                "vad": Feature(Outcome("empty", "no-audio")),
                "loudness": Feature(Outcome("empty", "no-audio")),
                "theval_signals": Feature(Outcome("ok", missing=missing), signals),
            },
        )
        return clip


def small_corpus(folder: Path) -> Corpus:
    """Four clips: two whole ones of one source, one without a face, one without sound."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(folder)
    talk = Source(
        "url",
        "https://example.org/talk",
        site="example:talk",
        channel="A channel",
        license="cc-by-4.0",
        language="fr",
    )
    corpus.add_clip("talk-0-800", 1, source=talk, start=0.0, end=0.8)
    corpus.add_clip("talk-800-1600", 2, source=talk, start=0.8, end=1.6)
    corpus.add_faceless("room")
    corpus.add_silent("mute", 3)
    return corpus
