"""Columns of datasets: name, type, meaning, unit, range, and where the values come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import datasets
import pyarrow as pa

from theval_datasets.manifest.info import ColumnInfo

STRING: Final = datasets.Value("string")
BOOL: Final = datasets.Value("bool")
INT: Final = datasets.Value("int32")
DOUBLE: Final = datasets.Value("float64")


@dataclass(frozen=True, slots=True)
class Field:
    """A column that a dataset declares.

    Attributes:
        name: As in the Parquet files.
        feature: Its `datasets` type. Lists have no length: a null in one of fixed length makes the
            file unreadable.
        meaning: One line for the card.
        unit: Of its values; "" for none.
        low: Smallest value allowed (of the elements, for a list).
        high: Largest value allowed.
        origin: `manifest`, `media` (measured facts), the name of an extractor, or a kind of input.
        required: Whether it is never null.
        key: The extractor's column that it is, for those that are taken as they come.
        faceless: Of pictures: whether they never show a face, as maps do.
    """

    name: str
    feature: Any
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    origin: str = "manifest"
    required: bool = False
    key: str | None = None
    faceless: bool = False

    def info(self) -> ColumnInfo:
        """The column as `info.json` lists it."""
        return ColumnInfo(
            name=self.name,
            type=repr(self.feature),
            meaning=self.meaning,
            unit=self.unit,
            low=self.low,
            high=self.high,
            origin=self.origin,
            required=self.required,
        )


def features_of(fields: Iterable[Field]) -> datasets.Features:
    """The `datasets` schema of some columns."""
    return datasets.Features({field.name: field.feature for field in fields})


def schema_of(fields: Iterable[Field]) -> pa.Schema:
    """The Arrow schema of some columns, with the `datasets` types in its metadata."""
    return features_of(fields).arrow_schema


def list_of(dtype: str) -> Any:
    """A list of any length of a plain type."""
    return datasets.List(datasets.Value(dtype))


CLIP_ID: Final = Field("clip_id", STRING, "Unique name of the clip.", required=True)
SHA256: Final = Field("sha256", STRING, "Hex SHA-256 of the clip's file.", required=True)
MISSING: Final = Field(
    "missing",
    datasets.List(STRING),
    "Why columns are null: entries `extractor:reason`; empty when nothing is missing.",
    required=True,
)
WIDTH: Final = Field(
    "width", INT, "Width of the frames after rotation.", "px", 1, None, origin="media"
)
HEIGHT: Final = Field(
    "height", INT, "Height of the frames after rotation.", "px", 1, None, origin="media"
)
FPS: Final = Field(
    "fps", DOUBLE, "Measured frame rate, from the frames' own timestamps.", "1/s", 0, None, "media"
)
N_FRAMES: Final = Field("n_frames", INT, "Frames that decode.", "", 1, None, origin="media")


def _pose(name: str, what: str) -> tuple[Field, Field]:
    return (
        Field(
            f"{name}_mean",
            DOUBLE,
            f"Mean {what} of the head over the frames with a face.",
            "degree",
            -180,
            180,
            origin="head_pose",
        ),
        Field(
            f"{name}_std",
            DOUBLE,
            f"Standard deviation (N - 1) of the {what} over the frames with a face.",
            "degree",
            0,
            180,
            origin="head_pose",
        ),
    )


METRICS: Final[dict[str, tuple[str, str, str]]] = {
    "global_aesthetics": ("TOPIQ-IAA (AVA) of the frames, mean", "score 1-10", "iqa"),
    "mouth_quality": ("MUSIQ of the mouth's crop, mean", "score 0-100", "iqa"),
    "face_quality": ("TOPIQ-CGFIQA of the face, mean", "score 0-1", "iqa"),
    "lip_dynamics": (
        "Variation of the distances between lip points, in a 256 px frame",
        "px",
        "theval_signals",
    ),
    "head_motion": (
        "Variation of the head's angles in degrees and of its centre in pixels, so larger in larger "
        "frames",
        "mixed",
        "theval_signals",
    ),
    "eyebrow_dynamics": (
        "Variation of the brow-eye distance, relative to the eyes' distance",
        "",
        "theval_signals",
    ),
    "silent_lip_stability": (
        "Spread of the lips' opening over silences of at least 300 ms",
        "",
        "theval_signals",
    ),
    "lip_sync": (
        "Mean difference of normalised lip opening and loudness over speech",
        "",
        "theval_signals",
    ),
}
"""The eight metrics by name: meaning, unit, and the extractor of the `paper` definition."""
RELEASE_ORIGINS: Final[dict[str, str]] = {
    **dict.fromkeys(METRICS, "theval_release"),
    **dict.fromkeys(("global_aesthetics", "mouth_quality", "face_quality"), "iqa_release"),
    "head_motion": "head_motion_release",
}
"""The extractor of each metric in the `release` definition."""


def metric_fields() -> tuple[Field, ...]:
    """The eight metrics: `paper` by their names, `release` by suffix; head motion free of scale."""
    paper = [
        Field(name, DOUBLE, f"{what} (definition `paper`).", unit, 0, None, origin, key=name)
        for name, (what, unit, origin) in METRICS.items()
    ]
    release = [
        Field(
            f"{name}_release",
            DOUBLE,
            f"{what} (definition `release`, as the authors' code computes it).",
            unit,
            0,
            None,
            RELEASE_ORIGINS[name],
            key=name,
        )
        for name, (what, unit, _) in METRICS.items()
    ]
    scale_invariant = Field(
        "head_motion_scale_invariant",
        DOUBLE,
        "As `head_motion`, with the centre in widths of the face: comparable between frame sizes.",
        "mixed",
        0,
        None,
        "theval_signals",
        key="head_motion_scale_invariant",
    )
    return (*paper, scale_invariant, *release)


COMMON: Final[tuple[Field, ...]] = (
    CLIP_ID,
    SHA256,
    Field("duration", DOUBLE, "Length of the video.", "s", 0, None, origin="media"),
    FPS,
    WIDTH,
    HEIGHT,
    N_FRAMES,
    Field(
        "content_id",
        STRING,
        "What the clip shares its content with: keep equal ones in one fold.",
        required=True,
    ),
    Field("language", STRING, "ISO 639 code of the speech, as declared or detected."),
    Field("license", STRING, "Licence of the source, as stated there; null if unstated."),
    Field("source_url", STRING, "Address of the source; null for local files."),
    Field("source_start", DOUBLE, "Where the clip begins in its source.", "s", 0, required=True),
    Field("source_end", DOUBLE, "Where it ends; null for the whole source.", "s", 0),
    Field("n_subjects", INT, "People in the clip.", "", 0, None, origin="faces"),
    Field(
        "speech_ratio",
        DOUBLE,
        "Share of the audio that is speech.",
        "",
        0,
        1,
        origin="vad",
        key="speech_ratio",
    ),
    Field("face_ratio", DOUBLE, "Share of the frames with a face.", "", 0, 1, origin="landmarks"),
    *_pose("yaw", "yaw"),
    *_pose("pitch", "pitch"),
    *_pose("roll", "roll"),
    Field(
        "arcface",
        list_of("float32"),
        "Embedding of the face over the clip, of length 1; pack and dimension are in `info.json`.",
        "",
        -1,
        1,
        origin="arcface",
        key="embedding",
    ),
    *metric_fields(),
    MISSING,
)
"""Columns that the config `features` of every dataset of clips has."""


def with_columns(fields: Iterable[Field], *further: Field) -> tuple[Field, ...]:
    """Columns with further ones before `missing`, which stays last."""
    return (*(field for field in fields if field.name != "missing"), *further, MISSING)
