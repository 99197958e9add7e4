"""Properties of clips and portraits: length, size, language, people, pose, formants, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from theval_datasets.evaluation.theval import METRICS

from .drawing import draw_bars, draw_histogram
from .figure import AnalysisFigure
from .scores import DIFFICULTIES
from .statistics import counts, histogram
from .tables import BuiltTables, NoValuesError

if TYPE_CHECKING:
    import polars as pl

_LINE: Final = "The dashed line is the mean."
_ANGLES: Final = ("yaw", "pitch", "roll")


def clip_figures() -> Iterator[AnalysisFigure]:
    """Distributions of the clips' properties.

    Examples:
        >>> [figure.name for figure in clip_figures()][:2]
        ['duration', 'resolution']
    """
    yield _numbers("duration", "Duration", ("duration",))
    yield _values("resolution", "Resolution", ("width", "height"), "Clips by width × height.")
    yield _numbers("frame_rate", "Frame rate", ("fps",))
    yield _values("language", "Language", ("language",), "Clips by ISO 639 code of their speech.")
    yield _values(
        "n_subjects", "Number of subjects", ("n_subjects",), "Clips by how many people they show."
    )
    yield _numbers(
        "pose", "Head pose", tuple(f"{name}_mean" for name in _ANGLES),
        "Mean angle of the head over each clip.",
    )  # fmt: skip
    yield _numbers(
        "formants", "Formants", ("f1_hz", "f2_hz"),
        "First and second formant of the speech, the mean over each clip's voiced frames.",
    )  # fmt: skip
    yield _numbers("speech_ratio", "Share of speech", ("speech_ratio",))
    yield _numbers(
        "identity_consistency", "Identity consistency", ("identity_consistency",),
        "Similarity of the faces of each clip with its portrait, or with a frame of its own.",
    )  # fmt: skip
    for definition, suffix in (("paper", ""), ("release", "_release")):
        yield _numbers(
            f"metrics_{definition}", f"THEval metrics ({definition})",
            tuple(name + suffix for name in METRICS),
            f"The metrics of the clips by the definition “{definition}”, those that were measured.",
        )  # fmt: skip


def portrait_figures() -> Iterator[AnalysisFigure]:
    """Distributions of the portraits that clips were generated from.

    Examples:
        >>> [figure.name for figure in portrait_figures()][:2]
        ['portrait_resolution', 'portrait_difficulty']
    """
    portraits = partial(_values, config="portraits", rows="portraits")
    yield portraits(
        "portrait_resolution", "Resolution of the portraits", ("width", "height"),
        "Portraits by width × height.",
    )  # fmt: skip
    yield portraits(
        "portrait_difficulty", "Difficulty of the portraits", ("difficulty",),
        "Portraits by difficulty.",
    )  # fmt: skip
    yield portraits(
        "portrait_n_faces", "Faces of the portraits", ("n_faces",),
        "Portraits by how many faces the detector finds.",
    )  # fmt: skip
    yield portraits(
        "portrait_n_subjects", "People of the portraits", ("n_subjects",),
        "Portraits by how many people they show; pictures of people do not count.",
    )  # fmt: skip
    yield AnalysisFigure(
        "portrait_pose",
        "Head pose of the portraits",
        f"Angle of the head of each person. {_LINE}",
        {"portraits": _ANGLES},
        _portrait_pose,
        partial(draw_histogram, rows="people"),
    )
    yield AnalysisFigure(
        "generation_success",
        "Success of the generators",
        "Share of the attempts that gave a clip.",
        {"generators": ("generator", "attempted", "succeeded")},
        _success,
        partial(draw_bars, group="generator", value="share", unit="share of the attempts"),
    )


def relationship_figures() -> Iterator[AnalysisFigure]:
    """Relationships between the two people of a conversation.

    Examples:
        >>> [figure.name for figure in relationship_figures()][:2]
        ['relationship', 'blood']
    """
    for name, title, about in (
        ("relationship", "Relationship", "Recordings by what the two people are to each other."),
        ("blood", "Blood relatives", "Recordings by whether the two are blood relatives."),
        ("equal", "Equal standing", "Recordings by whether the two are of equal standing."),
    ):
        yield _values(name, title, (name,), about, rows="recordings")


def _numbers(
    name: str, title: str, columns: Sequence[str], about: str = "",
) -> AnalysisFigure:  # fmt: skip
    return AnalysisFigure(
        name,
        title,
        f"{about or f'Clips by {title.lower()}.'} {_LINE}",
        {"features": columns},
        partial(_histogram, columns=columns),
        draw_histogram,
    )


def _values(
    name: str, title: str, columns: Sequence[str], about: str, *, config: str = "features",
    rows: str = "clips",
) -> AnalysisFigure:  # fmt: skip
    return AnalysisFigure(
        name,
        title,
        about,
        {config: columns},
        partial(_counts, config=config, columns=columns),
        partial(draw_bars, group="value", value="count", unit=rows),
    )


def _histogram(tables: BuiltTables, columns: Sequence[str]) -> pl.DataFrame:
    return histogram(tables.frame("features", columns, need="any"), tables.units("features"))


def _counts(tables: BuiltTables, config: str, columns: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    frame = tables.frame(config, columns)
    if len(columns) == 1:
        values = frame[columns[0]]
        if values.dtype == pl.Boolean:
            values = values.replace_strict({True: "yes", False: "no"}, return_dtype=pl.String)
        return counts(values, DIFFICULTIES)
    return counts(frame.select(pl.concat_str(columns, separator=" × ")).to_series())


def _portrait_pose(tables: BuiltTables) -> pl.DataFrame:
    frame = tables.frame("portraits", _ANGLES)
    return histogram(frame.explode(*_ANGLES), tables.units("portraits"))


def _success(tables: BuiltTables) -> pl.DataFrame:
    import polars as pl

    names = ("generator", "attempted", "succeeded")
    known = tables.frame("generators", names).drop_nulls().filter(pl.col("attempted") > 0)
    if not len(known):
        raise NoValuesError("no generator has a number of attempts")
    share = known.with_columns(share=pl.col("succeeded") / pl.col("attempted"))
    return share.sort(["share", "generator"], descending=[True, False])
