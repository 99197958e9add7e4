"""Single ratings as rows of the config `ratings`, which every dataset with a study has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..base.fields import CLIP_ID, DOUBLE, INT, STRING, Field

if TYPE_CHECKING:
    from theval_datasets.curation.study.ratings import Ratings

RATING_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("dimension", STRING, "Rated dimension.", origin="ratings", required=True),
    Field("subject", STRING, "Name of the subject in the table.", origin="ratings",
          required=True),
    Field("session", STRING, "Session; empty if the table names none.", origin="ratings",
          required=True),
    Field("repetition", INT, "Number of the presentation of the clip to the subject.", "", 0,
          origin="ratings", required=True),
    Field("score", DOUBLE, "Rating as given.", "score", origin="ratings", required=True),
)  # fmt: skip
RATING_KEY: Final = ("clip_id", "dimension", "subject", "repetition")


def rating_rows(ratings: Ratings, clips: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows in the order of their key.

    Args:
        ratings: Table of ratings.
        clips: `clip_id` by name in the table; other clips are left out.
    """
    ids = [clips.get(name) for name in ratings.clips]
    kept = [i for i, clip in enumerate(ratings.clip.tolist()) if ids[clip] is not None]
    keys = [
        (
            ids[ratings.clip[i]],
            ratings.dimensions[ratings.dimension[i]],
            ratings.subjects[ratings.subject[i]],
            int(ratings.repetition[i]),
            i,
        )
        for i in kept
    ]
    for clip, dimension, subject, repetition, i in sorted(keys):
        yield {
            "clip_id": clip,
            "dimension": dimension,
            "subject": subject,
            "session": ratings.sessions[ratings.session[i]],
            "repetition": repetition,
            "score": float(ratings.score[i]),
        }
