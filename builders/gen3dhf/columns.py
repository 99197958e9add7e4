"""The columns of Gen3DHF's `features`."""

from __future__ import annotations

from typing import Final

from ..base.fields import DOUBLE, INT, STRING, Field, list_of
from ..base.scored import scored_fields
from .labels import DIMENSIONS

SEEDS: Final = 200


def _of_dimension(name: str) -> tuple[Field, ...]:
    return (
        Field(f"{name}_mos", DOUBLE, f"Mean opinion score of {name}, on the scale 100(z + 3)/6.",
              "score", origin="scores"),
        Field(f"{name}_mos_std", DOUBLE, f"Standard deviation (N - 1) of the {name} ratings.",
              "score", 0, origin="ratings"),
        Field(f"{name}_mos_ci95", DOUBLE, f"Half-width of the 95 % interval of `{name}_mos`.",
              "score", 0, origin="ratings"),
        Field(f"{name}_level", STRING, "Level: one of five equal intervals between the smallest and "
              "the largest score of the set; the smallest score is `bad`.", origin="scores"),
        Field(f"{name}_level_official", STRING, "Level in the release, which has none for the "
              "smallest score.", origin="release"),
    )  # fmt: skip


FEATURE_FIELDS: Final = scored_fields(
    *(field for dimension in DIMENSIONS for field in _of_dimension(dimension)),
    Field("distortion_categories", list_of("string"), "Which of nine kinds of distortion were "
          "marked.", origin="descriptions"),
    Field("description", STRING, "Description by the annotators.", origin="descriptions"),
    Field("generator", STRING, "Generator of the video.", origin="generators"),
    Field("seed", INT, "Number of the video modulo 200.", "", 0, SEEDS - 1, origin="name"),
    Field("checkpoint", INT, "Number of the video divided by 200: which of the networks made it.", "",
          0, origin="name"),
    Field("official_split", STRING, "`train` or `eval`, as published.", origin="release"),
    Field("grouped_split", STRING, "`train` or `test`, about 4 to 1; no seed is in both.",
          origin="folds"),
    Field("fold", INT, "One of five folds that share no seed.", "", 0, 4, origin="folds"),
)  # fmt: skip
