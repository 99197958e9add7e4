"""The columns of THQA-MT that no other dataset has."""

from __future__ import annotations

from typing import Final

from ..base.fields import DOUBLE, INT, MISSING, STRING, Field, field_of, list_of, with_columns
from ..base.scored import scored_fields
from ..tables.ratings import RATING_FIELDS

FOLDS: Final = 5

VECTORS: Final = ("vst", "sapiens", "qwen_sync")
"""Extractors of EvalTalker's features, whose vectors `features` has."""

MEASURED: Final = (
    field_of("formants", "f1_hz", DOUBLE, taken=True),
    field_of("formants", "f2_hz", DOUBLE, taken=True),
    field_of("av_sync", "lse_c", DOUBLE, taken=True),
    field_of("av_sync", "lse_d", DOUBLE, taken=True),
    field_of("av_sync", "av_offset", INT, taken=True),
    field_of("active_speaker", "speaker_visible", DOUBLE, taken=True),
    field_of("active_speaker", "speaking_at_once", DOUBLE, taken=True),
    field_of("lip_agreement", "lip_agreement", DOUBLE, taken=True),
    field_of("background_motion", "background_motion", DOUBLE, taken=True),
    field_of("identity", "identity_consistency", DOUBLE),
    field_of("identity", "identity_coverage", DOUBLE),
    Field("identity_reference", STRING, "Reference of the identity: `portrait`, or `own-frame` of "
          "the clip if no portrait was given.", origin="identity"),
    *(field_of(name, "embedding", list_of("float32"), name=name, taken=True) for name in VECTORS),
)  # fmt: skip
"""Columns that are measured on the clips."""

FEATURE_FIELDS: Final = scored_fields(
    Field("mos", DOUBLE, "Mean opinion score.", "score 0-5", 0, 5, origin="ratings"),
    Field("mos_std", DOUBLE, "Standard deviation (N - 1) of the rescaled ratings.", "score", 0,
          origin="ratings"),
    Field("mos_ci95", DOUBLE, "Half-width of the 95 % interval of `mos`.", "score", 0,
          origin="ratings"),
    Field("n_ratings", INT, "Number of ratings in `mos`, of subjects who were not rejected.", "", 0,
          origin="ratings"),
    Field("distortions", list_of("string"), "Distortions that more than half of the subjects saw.",
          origin="votes"),
    Field("dimensions", list_of("string"), "Quality dimensions that these belong to; null where "
          "the taxonomy does not say.", origin="taxonomy"),
    Field("generator", STRING, "Generator of the clip.", origin="clips"),
    Field("generator_kind", STRING, "`end-to-end` or `sequential`, where known.",
          origin="generator_kind"),
    Field("portrait_id", STRING, "Portrait of the clip.", origin="clips"),
    Field("difficulty", STRING, "Difficulty of the portrait: Easy, Medium or Hard; as stated, else measured on the "
          "portrait, else on the clip by its recipe.", origin="difficulty"),
    *MEASURED,
    Field("fold", INT, "One of five folds that share no content.", "", 0, FOLDS - 1,
          origin="folds"),
)  # fmt: skip

GENERATOR_FIELDS: Final = (
    Field("generator", STRING, "Its name.", origin="clips", required=True),
    Field("generator_kind", STRING, "`end-to-end` or `sequential`, where known.",
          origin="generator_kind"),
    Field("attempted", INT, "Number of attempted clips.", "", 0, origin="attempts"),
    Field("succeeded", INT, "Number of successful clips.", "", 0, origin="attempts"),
    Field("clips", INT, "Number of its clips in `features`.", "", 0, origin="clips", required=True),
    MISSING,
)  # fmt: skip

MT_RATING_FIELDS: Final = with_columns(
    RATING_FIELDS,
    Field("distortions", list_of("string"), "Distortions that the subject saw.", origin="votes"),
)
