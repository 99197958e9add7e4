"""theval/thqa: 800 talking heads of AI portraits with their published features and opinion scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.evaluation.folds import grouped_folds

from ..base.builder import TableConfig
from ..base.fields import DOUBLE, INT, STRING, Field
from ..base.scored import ScoredBuilder, ScoredRow, scored_fields
from ..tables.csv_files import number
from .scores import NAME, read_scores

_FILE: Final = "vvmf_results_a01.csv"
_PUBLISHED: Final = (
    "brisque", "nrqm", "pi", "nima", "paq2piq", "cnniqa", "dbcnn", "musiq-ava", "musiq-koniq",
    "musiq-spaq", "clipiqa", "clipiqa+", "tre-koniq", "topiq_nr", "qalign", "topiq_iaa",
    "topiq_iaa_res50", "laion_aes", "antelopev2", "arcface", "buffalo", "avset", "distance",
    "confi",
)  # fmt: skip
_ORIGIN: Final = "scores"
_FEATURES_READER: Final = """\
table = rows.to_pandas()
train, test = table[table["fold"] != 0], table[table["fold"] == 0]  # no portrait, no voice shared
"""


def column_of(published: str) -> str:
    """Name of the column that holds a published feature.

    Examples:
        >>> column_of("THQA+LSE-C")
        'published_THQA_plusLSE_C'
    """
    return "published_" + published.replace("+", "_plus").replace("-", "_")


class Thqa(ScoredBuilder):
    """THQA's published scores."""

    NAME: ClassVar[str] = "thqa"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row per clip: opinion score, what it was made of, published features.",
            reader=_FEATURES_READER,
        )
    ]
    TITLE: ClassVar[str] = "THQA"
    SUMMARY: ClassVar[str] = (
        "Mean opinion scores of 800 talking-head clips, 20 portraits with five voices each, driven "
        "by eight methods, with the features that were published beside them and folds that share "
        "neither a portrait nor a voice."
    )
    CITES: ClassVar[tuple[str, ...]] = ("evaltalker",)
    TASKS: ClassVar[tuple[str, ...]] = ("tabular-regression",)
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The scores and features are those of the public table; ratings of single subjects are "
        "not public, so there is no standard deviation and no confidence interval.",
        "Portrait and voice come together: no voice is used with two portraits. Plain shuffled "
        "folds see each portrait in training and overestimate a metric; use the column `fold`.",
        "The columns `published_…` hold what others computed, under the names they gave.",
        "The citation is of the paper that describes this family of datasets.",
    )
    PRIVACY: ClassVar[str] = (
        "The portraits are generated pictures, the voices are recordings of people. Do not use them "
        "to identify anybody."
    )
    KINDS: ClassVar[Mapping[str, str]] = {
        "scores": "CSV with the columns Image, Score and any of the published features"
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": scored_fields(
            Field("mos", DOUBLE, "Mean opinion score.", "score 0-5", 0, 5, _ORIGIN, required=True),
            Field("generator", STRING, "Method that drove the portrait.", origin=_ORIGIN),
            Field("portrait_id", STRING, "The portrait.", origin=_ORIGIN),
            Field("voice_id", STRING, "The voice recording.", origin=_ORIGIN),
            Field("fold", INT, "One of five folds that share neither portrait nor voice.", "",
                  0, 4, origin=_ORIGIN),
            *(
                Field(column_of(name), DOUBLE, f"Published feature `{name}`.", origin=_ORIGIN)
                for name in _PUBLISHED
            ),
        )
    }  # fmt: skip
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "paper": {"clips": 800, "portraits": 20, "voices": 100, "generators": 8}
    }

    def read(self) -> list[ScoredRow]:
        """The rows of the table."""
        read: dict[str, dict[str, Any]] = {}
        for where, name, score, row in read_scores(self._file(), "Image"):
            read[name] = {
                "mos": score,
                **{
                    column_of(column): number(row, column, where) if row.get(column) else None
                    for column in _PUBLISHED
                },
            }
        return self._with_content(read)

    def counts(self) -> dict[str, int | float]:
        """Numbers of portraits, voices and generators."""
        values = [row.values for row in self.rows]
        return {
            "portraits": len({v["portrait_id"] for v in values} - {None}),
            "voices": len({v["voice_id"] for v in values} - {None}),
            "generators": len({v["generator"] for v in values} - {None}),
        }

    def notes(self) -> tuple[str, ...]:
        """Names that follow another pattern."""
        unknown = [row.clip_id for row in self.rows if row.values["generator"] is None]
        notes = [f"{len(unknown)} names follow no known pattern, such as {n}." for n in unknown[:1]]
        return (*super().notes(), *notes)

    def _file(self) -> Path:
        given = self.inputs.path("scores")
        if given is not None:
            return given
        if self.inputs.release is None:
            raise InputError(f"theval/thqa needs --with scores=FILE, or --release with {_FILE}")
        path = self.inputs.release / _FILE
        if not path.is_file():
            raise InputError(f"there is no {_FILE} in {self.inputs.release}")
        return path

    def _with_content(self, read: Mapping[str, dict[str, Any]]) -> list[ScoredRow]:
        names = sorted(read)
        matches = [NAME.fullmatch(name) for name in names]
        portraits = [m[1] if m else None for m in matches]
        voices = [m[3] if m else None for m in matches]
        folds: list[int | None] = [None] * len(names)
        if len(set(portraits)) >= 5:
            content = {"portrait": portraits, "voice": voices}
            mos = [read[name]["mos"] for name in names]
            folds = grouped_folds(content, names, 5, mos=mos).tolist()
        rows = []
        for name, match, fold in zip(names, matches, folds, strict=True):
            values = {
                **read[name],
                "portrait_id": match[1] if match else None,
                "voice_id": match[3] if match else None,
                "generator": match[4] if match else None,
                "fold": fold,
            }
            reasons = {
                *(() if match else ("unknown-name",)),
                *(() if fold is not None else ("too-few-portraits",)),
                *(("not-given",) if None in read[name].values() else ()),
            }
            rows.append(
                ScoredRow(
                    name,
                    "train",
                    f"portrait-{match[1]}" if match else name,
                    values,
                    match[2] if match else None,
                    tuple(f"{_ORIGIN}:{reason}" for reason in sorted(reasons)),
                )
            )
        return rows
