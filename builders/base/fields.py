"""Columns of datasets: name, type, meaning, unit, range, and where the values come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import datasets
import pyarrow as pa

from theval_datasets import catalog
from theval_datasets.evaluation.theval import DEFINITIONS, METRICS, SCALE_INVARIANT
from theval_datasets.extraction.extractor import Column
from theval_datasets.manifest.info import ColumnDescription, ColumnInfo

STRING: Final = datasets.Value("string")
BOOL: Final = datasets.Value("bool")
INT: Final = datasets.Value("int32")
DOUBLE: Final = datasets.Value("float64")
FILE: Final = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
"""Bytes and name of a file. `datasets` has types for some files, but knows more of them with every version,
and one type that an older version does not know makes every config of a repository unloadable there."""


@dataclass(frozen=True, slots=True)
class Field(ColumnDescription):
    """A column that a dataset declares; its type is one of `datasets`.

    Lists have no fixed length: a null in a list of fixed length makes the file unreadable.

    Attributes:
        key: Column of the extractor whose value is taken unchanged; None for other columns.
        faceless: Whether pictures never show a face, such as maps.
    """

    key: str | None = None
    faceless: bool = False

    def info(self) -> ColumnInfo:
        """The column as `info.json` lists it.

        Examples:
            >>> Field("fps", DOUBLE, "Frame rate", "1/s").info().type
            "Value('float64')"
        """
        described = {field.name: getattr(self, field.name) for field in fields(ColumnInfo)}
        return ColumnInfo(**{**described, "type": repr(self.type)})


def field_of(
    extractor: str,
    column: str,
    kind: Any,
    *,
    name: str | None = None,
    meaning: str | None = None,
    taken: bool = False,
) -> Field:
    """A column of an extractor, with the meaning, unit and range that the extractor declares.

    Args:
        extractor: Name of the extractor.
        column: Name of the extractor's column.
        kind: Type of `datasets`.
        name: Name in the dataset; by default the extractor's.
        meaning: Description, if the values have another layout; by default the extractor's.
        taken: Whether the extractor's value is taken unchanged.

    Examples:
        >>> field_of("vad", "segments", list_of("float64")).unit
        's'
    """
    writes: tuple[Column, ...] = catalog.load("extractor", extractor).writes
    (declared,) = (candidate for candidate in writes if candidate.name == column)
    return Field(
        name or column,
        kind,
        meaning or declared.meaning,
        declared.unit,
        declared.low,
        declared.high,
        origin=extractor,
        key=column if taken else None,
    )


def features_of(fields: Iterable[Field]) -> datasets.Features:
    """The `datasets` schema of some columns.

    Examples:
        >>> features_of([Field("fps", DOUBLE, "Frame rate")])
        {'fps': Value('float64')}
    """
    return datasets.Features({field.name: field.type for field in fields})


def schema_of(fields: Iterable[Field]) -> pa.Schema:
    """The Arrow schema of some columns, with the `datasets` types in its metadata.

    Examples:
        >>> schema_of([Field("fps", DOUBLE, "Frame rate")]).types
        [DataType(double)]
    """
    return features_of(fields).arrow_schema


def list_of(dtype: str) -> Any:
    """A list of any length of a plain type.

    Examples:
        >>> list_of("int32")
        List(Value('int32'))
    """
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
N_FRAMES: Final = Field("n_frames", INT, "Number of decodable frames.", "", 1, None, origin="media")


def _pose(name: str) -> tuple[Field, Field]:
    return (
        field_of(
            "head_pose",
            name,
            DOUBLE,
            name=f"{name}_mean",
            meaning=f"Mean {name} of the head over the frames with a face.",
        ),
        Field(
            f"{name}_std",
            DOUBLE,
            f"Standard deviation (N - 1) of the {name} over the frames with a face.",
            "degree",
            0,
            180,
            origin="head_pose",
        ),
    )


_DEFINED: Final = {"paper": ("", ""), "release": ("_release", ", as the authors' code computes it")}
"""Column suffix and addition to the description, by definition."""


def metric_fields() -> tuple[Field, ...]:
    """The eight metrics: `paper` by their names, `release` by suffix; head motion free of scale.

    Examples:
        >>> len(metric_fields()), metric_fields()[0].name
        (17, 'global_aesthetics')
    """
    by_name: dict[str, Field] = {}
    for definition, extractors in DEFINITIONS.items():
        suffix, further = _DEFINED[definition]
        for metric, extractor in extractors.items():
            field = field_of(extractor, metric, DOUBLE, name=metric + suffix, taken=True)
            meaning = f"{field.meaning.removesuffix('.')} (definition `{definition}`{further})."
            by_name[field.name] = replace(field, meaning=meaning)
    scale_invariant = field_of("theval_signals", SCALE_INVARIANT, DOUBLE, taken=True)
    paper, release = DEFINITIONS
    return (
        *(by_name[metric + _DEFINED[paper][0]] for metric in METRICS),
        scale_invariant,
        *(by_name[metric + _DEFINED[release][0]] for metric in METRICS),
    )


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
        "Content of the clip; keep clips of one content in one fold.",
        required=True,
    ),
    Field(
        "language",
        STRING,
        "ISO 639 code of the speech, as declared or detected.",
        origin="language",
    ),
    Field(
        "license",
        STRING,
        "Licence of the source, as stated there; null if unstated.",
        origin="license",
    ),
    Field(
        "source_url", STRING, "Address of the source; null for local files.", origin="source_url"
    ),
    Field("source_start", DOUBLE, "Start of the clip in its source.", "s", 0, required=True),
    Field(
        "source_end",
        DOUBLE,
        "End in the source; null for the whole source.",
        "s",
        0,
        origin="source_end",
    ),
    field_of("faces", "n_subjects", INT),
    field_of("vad", "speech_ratio", DOUBLE, taken=True),
    Field("face_ratio", DOUBLE, "Share of the frames with a face.", "", 0, 1, origin="landmarks"),
    *_pose("yaw"),
    *_pose("pitch"),
    *_pose("roll"),
    field_of(
        "arcface",
        "embedding",
        list_of("float32"),
        name="arcface",
        meaning="Embedding of the face over the clip, of length 1; pack and dimension are in "
        "`info.json`.",
        taken=True,
    ),
    *metric_fields(),
    MISSING,
)
"""Columns that the config `features` of every dataset of clips has."""


def with_columns(fields: Iterable[Field], *further: Field) -> tuple[Field, ...]:
    """Columns with further ones before `missing`, which stays last.

    Examples:
        >>> fields = with_columns([MISSING], Field("fps", DOUBLE, "Frame rate"))
        >>> [field.name for field in fields]
        ['fps', 'missing']
    """
    return (*(field for field in fields if field.name != "missing"), *further, MISSING)
