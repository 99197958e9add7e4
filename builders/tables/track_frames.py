"""The config `landmarks` of clips with several people: one row a clip and track.

Where `person_landmarks` is in the cache, each of its tracks is a row with entries for the frames in
which it has a mesh; else the whole-frame pass of `landmarks` is the one row of the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from theval_datasets.extraction.mesh import SCALE
from theval_datasets.extraction.outcomes import Array, Values
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.media.frames import SAMPLE_RATE

from ..base.clips import media_values
from ..base.columns import ClipFeatures
from ..base.fields import INT, Field, list_of, with_columns
from .frames import LANDMARK_FIELDS, frame_values, landmarks_config

TRACK_FIELDS: Final[tuple[Field, ...]] = with_columns(
    LANDMARK_FIELDS,
    Field("track", INT, "Number of the track, as in `faces`; 0 for a pass over whole frames.", "",
          0, origin="tracks", required=True),
    Field("person", INT, "Number of its person; 0 takes up most of the clip.", "", 0,
          origin="tracks", required=True),
    Field("frame", list_of("int32"), "Index of each frame in the clip.", "", 0,
          origin="landmarks"),
)  # fmt: skip
TRACKS_CONFIG: Final = landmarks_config(
    "One row a clip and track with one entry a frame: mesh, pose, lips, speech.", "clip_id", "track"
)
TRACK_EXTRACTORS: Final = (
    "landmarks", "head_pose", "vad", "loudness", "theval_signals", "faces", "person_landmarks",
    "person_pose",
)  # fmt: skip
_CHUNK: Final = 512  # samples that one speech probability stands for


def track_rows(row: ManifestRow, clip: ClipFeatures) -> Iterator[dict[str, Any]]:
    """The rows of a clip, without `missing`."""
    people = clip.values("person_landmarks")
    if people is None:
        time = clip.value("landmarks", "time")
        frame = None if time is None else np.arange(len(time), dtype=np.int32)
        yield {**frame_values(row, clip), "track": 0, "person": 0, "frame": frame}
        return
    pose = clip.values("person_pose")
    if pose is None:
        clip.note("head_pose", clip.outcome("person_pose").reason or "not-written")
    for track in np.unique(people["track"]).tolist():
        at = np.flatnonzero(people["track"] == track)
        yield {
            "clip_id": row.clip_id,
            "sha256": row.sha256,
            **media_values(row, clip),
            "scale": SCALE,
            "time": people["time"][at],
            "face": np.ones(len(at), bool),
            "mesh": people["mesh"][at],
            **{n: None if pose is None else pose[n][at] for n in ("pitch", "yaw", "roll")},
            "openness": _openness(people, at),
            **_heard(clip, people["time"][at], people["frame"][at]),
            "track": track,
            "person": int(people["person"][at[0]]),
            "frame": people["frame"][at].astype(np.int32),
        }


def _openness(people: Values, at: Array) -> Array:
    from theval_datasets.extraction.mesh import pixels
    from theval_datasets.features.formulas.signals import mouth_openness

    points = pixels(people["mesh"][at], int(people["width"]), int(people["height"]))
    return np.asarray(mouth_openness(points))


def _heard(clip: ClipFeatures, time: Array, frame: Array) -> dict[str, pa.Array | None]:
    """Loudness and speech at some frames of the clip; null outside of the sound."""
    values: dict[str, pa.Array | None] = {}
    heard, rms = clip.value("loudness", "heard"), clip.value("loudness", "rms")
    loudness = None
    if heard is not None and rms is not None:
        full = np.zeros(len(heard), np.float32)
        full[heard] = rms
        loudness = _masked(full, ~heard, frame)
    values["loudness"] = loudness
    probability = clip.value("vad", "probability")
    start, end = clip.value("vad", "start"), clip.value("vad", "end")
    values["speech_probability"] = None
    if probability is not None and start is not None and end is not None:
        chunk = np.floor((time - float(start)) * SAMPLE_RATE / _CHUNK).astype(np.int64)
        inside = (time >= float(start)) & (time < float(end)) & (chunk < len(probability))
        held = probability[np.clip(chunk, 0, max(len(probability) - 1, 0))]
        values["speech_probability"] = pa.array(held, mask=~inside)
    speech, silence = (
        clip.value("theval_signals", "speech"),
        clip.value("theval_signals", "silence"),
    )
    outside = None if speech is None else speech < 0
    for name, flags in (("speech", speech), ("silence", silence)):
        values[name] = None
        if flags is not None and outside is not None:
            values[name] = _masked(flags == 1, outside, frame)
    return values


def _masked(values: Array, gone: Array, frame: Array) -> pa.Array:
    """Entries at some frames; null where they are masked, or the clip ended before."""
    there = frame < len(values)
    at = np.where(there, frame, 0)
    return pa.array(values[at], mask=gone[at] | ~there)
