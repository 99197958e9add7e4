"""THEval's four signal metrics: one pass of this package against four of the published code.

The published code runs one script per metric, each of which opens every clip anew and computes its own
mesh. `_as_published` reproduces those passes: OpenCV frame by frame (lips, brows), all frames of a clip
held in memory (lip sync), and a seek for every silent frame (silent lip).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mediapipe.python.solutions.face_mesh import FaceMesh as _FaceMesh

from benchmarks._media import SHARED, clips
from benchmarks._rows import Row, at_least
from benchmarks.bench_extract import EXTRACTORS, bare_pass, jobs_of
from theval_datasets import media
from theval_datasets.engines.local import LocalEngine
from theval_datasets.errors import AbsentError, MediaError
from theval_datasets.extraction.jobs import Plan
from theval_datasets.extraction.measure import run_plan
from theval_datasets.features.formulas import release_signals as _release
from theval_datasets.features.networks.face_mesh import points_of
from theval_datasets.features.theval_release import ThevalRelease
from theval_datasets.features.vad import Vad, speech_probability, speech_segments
from theval_datasets.media.frames import SAMPLE_RATE, Header


def run() -> list[Row]:
    golden = SHARED / "golden" / "theval_release_batch_time.json"
    published = None
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        folder = Path(name)
        if golden.is_file():
            run = json.loads(golden.read_text())
            paths = [SHARED / "media" / clip for clip in run["clips"]]
            published, what = float(run["total"]), f"{len(paths)} real clips"
        else:
            paths, what = clips(folder / "sample")
        ours = _timed(lambda: _extract(paths, folder / "paper", EXTRACTORS))
        release = _timed(lambda: _extract(paths, folder / "release", (ThevalRelease(),)))
        sought = _timed(lambda: _as_published(paths, seek=True))
        streamed = _timed(lambda: _as_published(paths, seek=False))
        bare = bare_pass(paths)
    limit = (bare["decode"] + bare["mesh"]) / 2
    parts = f"{what}; ours {ours:.1f} s with 2 workers, starting them included"
    rows = [
        at_least("published code's passes / ours (paper)", sought / ours, "x", 8, parts),
        Row("the same without its seeks / ours (paper)", streamed / ours, "x"),
        Row("published code's passes / ours (release)", sought / release, "x",
            note="four mesh passes over one decode"),
        Row("published code's passes / the limit", sought / limit, "x",
            note="one mesh pass and one decode, on two cores"),
    ]  # fmt: skip
    if published is not None:
        rows.append(
            at_least("published code's own time / ours (paper)", published / ours, "x", 12,
                     f"{published:.0f} s measured on an idle two-core machine")
        )  # fmt: skip
    return rows


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _extract(paths: list[Path], cache: Path, extractors: Any) -> None:
    plan = Plan(tuple(extractors), str(cache), decode_threads=1)
    reports = list(run_plan(LocalEngine(2), jobs_of(paths), plan))
    assert len(reports) == len(paths)
    assert all(r.computed for r in reports)


def _as_published(paths: list[Path], *, seek: bool) -> None:
    """The four scripts, one after the other, each over all clips."""
    vad = Vad().setup()
    refined = _FaceMesh(max_num_faces=1, refine_landmarks=True)
    plain = _FaceMesh(max_num_faces=1, refine_landmarks=False)
    for path in paths:
        lips = []
        for frame in _opencv(path):
            face = _seen(refined, cv2.resize(frame, (256, 256)))
            if face is not None:
                lips.append(_release.lip_distances(face))
        with suppress(AbsentError):
            _release.lip_dynamics(lips)
    for path in paths:
        brows = []
        for frame in _opencv(path):
            face = _seen(refined, frame)
            if face is not None:
                brows.append(_release.brow_distances(face, frame.shape[1], frame.shape[0]))
        with suppress(AbsentError):
            _release.eyebrow_dynamics([b for b in brows if b is not None])
    for path in paths:
        _lip_sync(path, plain, vad)
    for path in paths:
        _silent_lip(path, refined, vad, seek=seek)


def _lip_sync(path: Path, mesh: Any, vad: Any) -> None:
    import decord

    reader = decord.VideoReader(str(path))
    frames = reader.get_batch(range(len(reader))).asnumpy()
    openness = np.full(len(frames), np.nan)
    for i, frame in enumerate(frames):
        face = _seen(mesh, np.ascontiguousarray(frame[:, :, ::-1]))
        if face is not None:
            openness[i] = _release.mouth_openness(face)
    try:
        audio = media.read_audio(path, rate=_release.AUDIO_RATE, aligned=False)
    except MediaError:
        return
    rate = float(reader.get_avg_fps())
    speech = _release.speech_frames(_speech(path, vad), rate, len(frames))
    if speech.mean() >= _release.MIN_SPEECH_SHARE:
        loudness = _release.frame_loudness(audio, rate, len(frames))
        with suppress(AbsentError):
            _release.lip_sync(openness, loudness, speech)


def _silent_lip(path: Path, mesh: Any, vad: Any, *, seek: bool) -> None:
    capture = cv2.VideoCapture(str(path))
    header = Header(capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    silent = _release.silent_frames(_speech(path, vad), header)
    openings = []
    for i in np.flatnonzero(silent) if seek else range(header.n_frames):
        if seek:
            capture.set(cv2.CAP_PROP_POS_FRAMES, float(i))
        there, frame = capture.read()
        if not there or not silent[i]:
            continue
        face = _seen(mesh, cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (256, 256)))
        if face is not None:
            openings.append(_release.lip_opening(face))


def _speech(path: Path, vad: Any) -> _release.Segments:
    try:
        samples = media.read_audio(path, aligned=False).samples
    except MediaError:
        return ()
    segments = speech_segments(speech_probability(vad, samples), len(samples)) / SAMPLE_RATE
    return tuple((float(a), float(b)) for a, b in np.round(segments, 1))


def _opencv(path: Path) -> Iterator[Any]:
    capture = cv2.VideoCapture(str(path))
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _seen(mesh: Any, frame: Any) -> Any:
    meshes = mesh.process(frame).multi_face_landmarks
    return points_of(meshes[0]) if meshes else None
