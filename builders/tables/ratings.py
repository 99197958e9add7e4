"""Single ratings as rows: what the config `ratings` of every dataset with a study holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from theval_datasets.utils.records import to_plain

from ..base.fields import CLIP_ID, DOUBLE, INT, STRING, Field

if TYPE_CHECKING:
    from theval_datasets.curation.study.mos import Opinions
    from theval_datasets.curation.study.ratings import Ratings

RATING_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("dimension", STRING, "What was rated.", origin="ratings", required=True),
    Field("subject", STRING, "Who rated, by a name of the table.", origin="ratings",
          required=True),
    Field("session", STRING, "The session; empty if the table names none.", origin="ratings",
          required=True),
    Field("repetition", INT, "Which presentation of the clip to the subject.", "", 0,
          origin="ratings", required=True),
    Field("score", DOUBLE, "The rating as given.", "score", origin="ratings", required=True),
)  # fmt: skip
RATING_KEY: Final = ("clip_id", "dimension", "subject", "repetition")


def rating_rows(ratings: Ratings, clips: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows in the order of their key.

    Args:
        ratings: The table.
        clips: Name of a clip in the table to its `clip_id`; others are left out.
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


def study_facts(preset: str, ratings: Ratings, opinions: Mapping[str, Opinions]) -> dict[str, Any]:
    """Parameters of a study for `info.json` and the card, and who was rejected."""
    from theval_datasets.curation.study import parameters

    gone = {
        subject
        for found in opinions.values()
        for subject, rejected in zip(
            ratings.subjects, found.screening.rejected.tolist(), strict=True
        )
        if rejected
    }
    plain: dict[str, Any] = to_plain(parameters.preset(preset))
    return {**plain, "preset": preset, "rejected": ", ".join(sorted(gone)) or "nobody"}


def simulated(*tables: Ratings | None) -> tuple[str, ...]:
    """A sentence for the card if subjects are called ``simulated…``: nobody saw the clips then."""
    names = [name for table in tables if table is not None for name in table.subjects]
    if not any(name.lower().startswith("simulated") for name in names):
        return ()
    return ("The ratings are simulated by a program: no person gave them.",)
