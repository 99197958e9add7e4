"""The config `landmarks` of clips with several people: one row per clip and track.

Where `person_landmarks` is in the cache, each of its tracks is a row with entries for the frames in
which it has a mesh; else the whole-frame pass of `landmarks` is the one row of the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from theval_datasets.extraction.mesh import SCALE, PixelMesh
from theval_datasets.extraction.outcomes import Array, Values
from theval_datasets.features.people.grouping import KINDS
from theval_datasets.manifest.rows import ManifestRow

from ..base.clips import media_values
from ..base.columns import ClipFeatures
from ..base.fields import INT, STRING, Field, list_of, with_columns
from .frames import LANDMARK_FIELDS, frame_values, is_too_long, landmarks_config, sound_values

TRACK_FIELDS: Final[tuple[Field, ...]] = with_columns(
    LANDMARK_FIELDS,
    Field("track", INT, "Number of the track, as in `faces`; 0 for a pass over whole frames.", "",
          0, origin="tracks", required=True),
    Field("person", INT, "Number of its person; 0 takes up most of the clip.", "", 0,
          origin="tracks", required=True),
    Field("frame", list_of("int32"), "Index of each frame in the clip.", "", 0,
          origin="landmarks"),
    Field("kind", STRING, "What the track shows: `person`, or a picture of one (`still`, "
          "`duplicate`); null for a pass over whole frames.", origin="person_landmarks"),
)  # fmt: skip
TRACKS_CONFIG: Final = landmarks_config(
    "One row per clip and track with one entry per frame: mesh, pose, lips, speech.",
    "clip_id",
    "track",
)
TRACK_EXTRACTORS: Final = (
    "landmarks", "head_pose", "vad", "loudness", "theval_signals", "faces", "person_landmarks",
    "person_pose",
)  # fmt: skip


def track_rows(row: ManifestRow, clip: ClipFeatures) -> Iterator[dict[str, Any]]:
    """The rows of a clip, without `missing`."""
    people = clip.values("person_landmarks")
    if people is None:
        time = clip.value("landmarks", "time")
        frame = None if time is None else np.arange(len(time), dtype=np.int32)
        clip.note("person_landmarks", clip.outcome("person_landmarks").reason or "not-written")
        yield {**frame_values(row, clip), "track": 0, "person": 0, "frame": frame, "kind": None}
        return
    pose = clip.values("person_pose")
    if pose is None:
        clip.note("head_pose", clip.outcome("person_pose").reason or "not-written")
    left_out = is_too_long(people["mesh"], clip)
    for track in np.unique(people["track"]).tolist():
        at = np.flatnonzero(people["track"] == track)
        yield {
            "clip_id": row.clip_id,
            "sha256": row.sha256,
            **media_values(row, clip),
            "scale": SCALE,
            "time": people["time"][at],
            "face": np.ones(len(at), bool),
            "mesh": None if left_out else people["mesh"][at],
            **{n: None if pose is None else pose[n][at] for n in ("pitch", "yaw", "roll")},
            "openness": _openness(people, at),
            **sound_values(clip, people["time"][at], people["frame"][at]),
            "track": track,
            "person": int(people["person"][at[0]]),
            "frame": people["frame"][at].astype(np.int32),
            "kind": KINDS[int(people["kind"][at[0]])],
        }


def _openness(people: Values, at: Array) -> Array:
    from theval_datasets.features.formulas.signals import mouth_openness

    points = PixelMesh(people["mesh"], int(people["width"]), int(people["height"]), at)
    return np.asarray(mouth_openness(points))
