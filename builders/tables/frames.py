"""The config `landmarks`: one row per clip, one entry per frame, without further rounding.

The mesh is stored as the extractor quantised it, so that every metric of the `paper` definition
recomputes from this table alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from theval_datasets.extraction.mesh import SCALE
from theval_datasets.extraction.outcomes import Array
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.media.frames import SAMPLE_RATE

from ..base.builder import TableConfig
from ..base.clips import media_values
from ..base.columns import ClipFeatures
from ..base.fields import (
    CLIP_ID,
    DOUBLE,
    FPS,
    HEIGHT,
    MISSING,
    N_FRAMES,
    SHA256,
    WIDTH,
    Field,
    field_of,
    list_of,
)
from .arrow import scattered

POINTS: Final = 478
_CHUNK: Final = 512  # number of samples per speech probability
_NUMBERS: Final = POINTS * 3
LONGEST: Final = 7_500
"""Maximum number of meshes in a row: 22 MB. A row is read and written as a whole, and writing a list takes
twelve times its size in memory."""
_TOO_LONG: Final = "landmarks:too-long"


def _pose(name: str) -> Field:
    meaning = f"{name.capitalize()} of the head in each frame; null without a face."
    return field_of("head_pose", name, list_of("float32"), meaning=meaning)


LANDMARK_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    SHA256,
    WIDTH,
    HEIGHT,
    FPS,
    N_FRAMES,
    Field(
        "scale",
        DOUBLE,
        "Unit of `mesh`, in widths (x, z) or heights (y) of the frame.",
        "",
        0,
        1,
        origin="landmarks",
        required=True,
    ),
    field_of("landmarks", "time", list_of("float64")),
    field_of("landmarks", "face", list_of("bool")),
    Field(
        "mesh",
        list_of("int16"),
        "Face Mesh, flat: for each frame with a face 478 points of x, y, z; null for more than "
        f"{LONGEST:,} of them.",
        "scale",
        origin="landmarks",
    ),
    _pose("pitch"),
    _pose("yaw"),
    _pose("roll"),
    field_of(
        "theval_signals",
        "openness",
        list_of("float64"),
        meaning="Lip opening in each frame, relative to the inter-ocular distance; null without a "
        "face.",
    ),
    field_of(
        "loudness",
        "rms",
        list_of("float32"),
        name="loudness",
        meaning="RMS of the sound over 50 ms around each frame; null where there is no sound.",
    ),
    field_of(
        "vad",
        "probability",
        list_of("float32"),
        name="speech_probability",
        meaning="Probability of speech in the 32 ms that hold the frame; null outside the audio.",
    ),
    Field(
        "speech",
        list_of("bool"),
        "Whether the frame is inside a speech segment; null outside the audio.",
        origin="theval_signals",
    ),
    Field(
        "silence",
        list_of("bool"),
        "Whether the frame is inside a silence of at least 300 ms; null outside the audio.",
        origin="theval_signals",
    ),
    MISSING,
)

_READER: Final = """\
row = rows.with_format("numpy")[0]  # floats become float32; rows[0] keeps them exact
mesh = row["mesh"].reshape(-1, 478, 3) * row["scale"]  # one entry per frame with a face
pixels = mesh * [row["width"], row["height"], row["width"]]  # x, y, z
"""


def landmarks_config(description: str, *key: str) -> TableConfig:
    """The config with its key.

    Examples:
        >>> landmarks_config("One row per clip.", "clip_id").key
        ('clip_id',)
    """
    return TableConfig(
        name="landmarks",
        description=description,
        rows_per_table=16,
        split_bytes=("mesh",),
        reader=_READER,
        key=key,
    )


def frame_values(row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    """A row of the config, without `missing`."""
    face = clip.value("landmarks", "face")
    time = clip.value("landmarks", "time")
    return {
        "clip_id": row.clip_id,
        "sha256": row.sha256,
        **media_values(row, clip),
        "scale": SCALE,
        "time": time,
        "face": face,
        "mesh": _mesh(clip),
        **{
            name: _on_faces(face, clip.value("head_pose", name))
            for name in ("pitch", "yaw", "roll")
        },
        "openness": _on_faces(face, clip.value("theval_signals", "openness")),
        **sound_values(clip, time),
    }


def check_frames(table: pa.Table) -> Iterator[str]:
    """Rows whose lists contradict each other."""
    small = table.select([name for name in table.column_names if name != "mesh"])
    numbers = pc.list_value_length(table["mesh"]).to_pylist()
    for row, length in zip(small.to_pylist(), numbers, strict=True):
        face = row["face"]
        for name in ("time", "face", *_PER_FRAME):
            values = row[name]
            if values is not None and face is not None and len(values) != len(face):
                yield f"{row['clip_id']}: {name} has {len(values)} entries, face has {len(face)}"
        if face is None:
            continue
        left_out = length is None and _TOO_LONG in (row["missing"] or ())
        if not left_out and length != sum(face) * _NUMBERS:
            yield f"{row['clip_id']}: mesh has {length} numbers for {sum(face)} frames with a face"
        for name in ("pitch", "yaw", "roll", "openness"):
            values = row[name]
            if values is not None and [v is not None for v in values] != face:
                yield f"{row['clip_id']}: {name} is not null exactly where there is no face"
        times = row["time"]
        if times is not None and any(b <= a for a, b in itertools.pairwise(times)):
            yield f"{row['clip_id']}: time does not increase"


_PER_FRAME: Final = (
    "pitch",
    "yaw",
    "roll",
    "openness",
    "loudness",
    "speech_probability",
    "speech",
    "silence",
)


def _mesh(clip: ClipFeatures) -> Array | None:
    mesh = clip.value("landmarks", "mesh")
    return None if mesh is None or is_too_long(mesh, clip) else mesh


def is_too_long(mesh: Array, clip: ClipFeatures) -> bool:
    """Whether a clip's mesh, (faces, 478, 3), is too large for a row; its absence is then noted."""
    if len(mesh) <= LONGEST:
        return False
    clip.note(*_TOO_LONG.split(":"))
    return True


def _on_faces(face: Array | None, values: Array | None) -> pa.Array | None:
    return None if face is None or values is None else scattered(face, values)


def sound_values(
    clip: ClipFeatures, time: Array | None, frame: Array | None = None
) -> dict[str, pa.Array | None]:
    """Loudness, speech probability and speech at some frames of a clip; null outside the sound.

    Args:
        clip: Features of the clip.
        time: (n,): times of the frames in seconds; None if unknown.
        frame: (n,): indices of the frames in the clip; None for all frames.

    Returns:
        For each column (n,) values: loudness in full scale, 0 to 1, speech probability 0 to 1,
        speech and silence true or false; None where the clip has no such feature.
    """
    has_sound, rms = clip.value("loudness", "heard"), clip.value("loudness", "rms")
    speech, silence = (
        clip.value("theval_signals", "speech"),
        clip.value("theval_signals", "silence"),
    )
    outside = None if speech is None else speech < 0
    whole = {
        "loudness": None if has_sound is None or rms is None else scattered(has_sound, rms),
        "speech": None if speech is None else pa.array(speech == 1, mask=outside),
        "silence": None if silence is None else pa.array(silence == 1, mask=outside),
    }
    return {
        "loudness": _at(whole["loudness"], frame),
        "speech_probability": _probability(time, clip),
        "speech": _at(whole["speech"], frame),
        "silence": _at(whole["silence"], frame),
    }


def _at(values: pa.Array | None, frame: Array | None) -> pa.Array | None:
    """Entries at some frames; null beyond the last."""
    if values is None or frame is None:
        return values
    return values.take(pa.array(frame, pa.int64(), mask=frame >= len(values)))


def _probability(time: Array | None, clip: ClipFeatures) -> pa.Array | None:
    probability = clip.value("vad", "probability")
    start, end = clip.value("vad", "start"), clip.value("vad", "end")
    if time is None:
        clip.note("vad", clip.outcome("landmarks").reason or "no-time")
    if time is None or probability is None or start is None or end is None:
        return None
    chunk = np.floor((time - float(start)) * SAMPLE_RATE / _CHUNK).astype(np.int64)
    inside = (time >= float(start)) & (time < float(end)) & (chunk < len(probability))
    return scattered(inside, probability[chunk[inside]])
