"""theval/rsatalker: speech and face motion of two people in conversation, and how they are related."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import Join, join_values, reason_of
from theval_datasets.utils.text import count_of

from ..base.builder import TableConfig
from ..base.fields import BOOL, DOUBLE, INT, STRING, Field
from ..base.scored import NO_CLIP, ScoredBuilder, ScoredRow, scored_fields
from ..tables.media import MEDIA_FIELDS, media_values
from .dualtalk import DualtalkRecording, find_recordings, speech_seconds
from .motion import MOTION_CONFIG, MOTION_FIELDS, motion_row
from .tables import LocatedSpan, RelationshipLabel, read_relations, read_spans

_READER: Final = """\
table = rows.to_pandas()
cells = table.groupby(["blood", "equal"], dropna=False).size()
"""
_MEDIA_READER: Final = """\
row = rows[0]  # bytes, nothing is decoded; the video is null where no clip was cut
with open(row["audio"]["path"], "wb") as file:
    file.write(row["audio"]["bytes"])
"""
CELLS: Final = {
    (True, True): "blood_equal",
    (True, False): "blood_not_equal",
    (False, True): "not_blood_equal",
    (False, False): "not_blood_not_equal",
}


class Rsatalker(ScoredBuilder):
    """RSATalker from DualTalk's files, located spans and labels of relationships."""

    NAME: ClassVar[str] = "rsatalker"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row per speaker of a conversation: relationship, span in its video.",
            reader=_READER,
        ),
        MOTION_CONFIG,
        TableConfig(
            name="media",
            description="The speech, and the clip if it was cut.",
            rows_per_table=16,
            reader=_MEDIA_READER,
        ),
    ]
    TITLE: ClassVar[str] = "RSATalker"
    SUMMARY: ClassVar[str] = (
        "Speech and FLAME face motion of two people in conversation, with their spans in the videos, "
        "and whether the two are blood relatives and of equal standing."
    )
    CITES: ClassVar[tuple[str, ...]] = ("rsatalker",)
    TASKS: ClassVar[tuple[str, ...]] = ("video-classification", "audio-classification")
    TAGS: ClassVar[tuple[str, ...]] = ("talking-head", "conversation", "flame")
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The paper states no size, frame rate or split of its set: the splits are those of DualTalk's "
        "release, and the motion carries no times.",
        "Labels of relationships are those of the given table.",
        "That the first three numbers of the pose are the head and the last three the jaw is how "
        "others read these files; the release does not say.",
    )
    KINDS: ClassVar[Mapping[str, str]] = {
        "spans": "where recordings lie: JSON of `locate --json`, or CSV with clip_id, start, end, "
        "match_score",
        "relationships": "CSV with id (a youtube id or a conversation), relationship, and perhaps "
        "blood and equal",
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": scored_fields(
            Field("blood", BOOL, "Whether the two are blood relatives.", origin="blood"),
            Field("equal", BOOL, "Whether the two are of equal standing.", origin="equal"),
            Field("relationship", STRING, "Relationship of the two.", origin="relationships"),
            Field("youtube_id", STRING, "The video.", origin="name"),
            Field("start", DOUBLE, "Start of the recording in the video.", "s", 0,
                  origin="spans"),
            Field("end", DOUBLE, "End of the recording in the video.", "s", 0, origin="end"),
            Field("match_score", DOUBLE, "Score of the match of the sound there.", "", -1, 1,
                  origin="match_score"),
            Field("conversation", STRING, "The conversation.", origin="release", required=True),
            Field("speaker", INT, "Number of the speaker.", "", 1, 2, origin="release", required=True),
            Field("partner", STRING, "`clip_id` of the other speaker.", origin="partner"),
            Field("speech_seconds", DOUBLE, "Length of the speech.", "s", 0, origin="speech"),
        ),
        "motion": MOTION_FIELDS,
        "media": tuple(
            replace(field, required=False, origin="media") if field.name == "sha256" else field
            for field in MEDIA_FIELDS
        ),
    }  # fmt: skip

    def available(self) -> tuple[str, ...]:
        """`motion` needs NPZ files, `media` speech or clips."""
        recordings = self._recordings.values()
        given = {
            "motion": any(recording.motion is not None for recording in recordings),
            "media": "media" in super().available()
            or any(recording.speech is not None for recording in recordings),
        }
        return tuple(name for name in self.FIELDS if given.get(name, True))

    def read(self) -> list[ScoredRow]:
        """One row per recording."""
        return [self._scored(recording) for recording in self._recordings.values()]

    def counts(self) -> dict[str, int | float]:
        """Conversations, videos, and the four cells of relationships."""
        values = [row.values for row in self.rows]
        cells = Counter(CELLS.get((v["blood"], v["equal"]), "unlabelled") for v in values)
        return {
            "conversations": len({v["conversation"] for v in values}),
            "videos": len({v["youtube_id"] for v in values} - {None}),
            "located": sum(v["start"] is not None for v in values),
            **{name: cells[name] for name in (*CELLS.values(), "unlabelled")},
        }

    def notes(self) -> tuple[str, ...]:
        """Notes on recordings without speech, motion, span or relationship, and on unmatched inputs."""
        notes = list(super().notes())
        kept = {row.clip_id: self._recordings[row.clip_id] for row in self.rows}
        for what, names in (
            ("without speech", [n for n, recording in kept.items() if recording.speech is None]),
            ("without motion", [n for n, recording in kept.items() if recording.motion is None]),
            ("without the other speaker",
             [r.clip_id for r in self.rows if r.values["partner"] is None]),
            ("without a span in a video",
             [r.clip_id for r in self.rows if r.values["start"] is None]),
            ("without a relationship",
             [r.clip_id for r in self.rows if r.values["relationship"] is None]),
        ):  # fmt: skip
            if names:
                notes.append(f"{count_of(len(names), 'recording')} {what}, such as {names[0]}.")
        joins = (self._spans[0], self._relations[0])
        return (*notes, *(join.to_text(names_alone=True) for join in joins if join is not None))

    def table_rows(self, config_name: str, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        """Rows of a config for some recordings."""
        if config_name == "motion":
            files = ((row.clip_id, self._recordings[row.clip_id].motion) for row in rows)
            return (motion_row(name, path) for name, path in files if path is not None)
        if config_name == "media":
            return self._sounds(rows)
        return super().table_rows(config_name, rows)

    @cached_property
    def _recordings(self) -> dict[str, DualtalkRecording]:
        if self.inputs.release is None:
            raise InputError(
                "theval/rsatalker needs --release DIR with train, test and ood of DualTalk"
            )
        return dict(sorted(find_recordings(self.inputs.release).items()))

    @cached_property
    def _spans(self) -> tuple[Join | None, dict[str, LocatedSpan]]:
        """Match of the spans with recordings and conversations, and the spans by their names."""
        path = self.inputs.path("spans")
        if path is None:
            return None, {}
        recordings = self._recordings.values()
        ids = {
            name for recording in recordings for name in (recording.name, recording.conversation)
        }
        return join_values("spans", read_spans(path), ids, "recording")

    @cached_property
    def _relations(self) -> tuple[Join | None, dict[str, RelationshipLabel]]:
        """Match of the relationships with conversations and videos, and the relationships by name."""
        path = self.inputs.path("relationships")
        if path is None:
            return None, {}
        recordings = self._recordings.values()
        ids = {
            name
            for recording in recordings
            for name in (recording.conversation, recording.youtube_id)
            if name
        }
        return join_values("relationships", read_relations(path), ids, "conversation")

    def _scored(self, recording: DualtalkRecording) -> ScoredRow:
        (relation_join, relations), (_, spans) = self._relations, self._spans
        relation = relations.get(recording.conversation) or relations.get(
            recording.youtube_id or "", RelationshipLabel(None, None, None)
        )
        span = spans.get(recording.name) or spans.get(recording.conversation)
        seconds = None if recording.speech is None else speech_seconds(recording.speech)
        end = None if span is None else span.end
        if span is not None and end is None and seconds is not None:
            end = span.start + seconds
        other = f"{recording.conversation}_speaker{3 - recording.speaker}"
        partner = other if other in self._recordings and other not in self.inputs.gone else None
        values: dict[str, Any] = {
            "blood": relation.blood,
            "equal": relation.equal,
            "relationship": relation.name,
            "youtube_id": recording.youtube_id,
            "start": None if span is None else span.start,
            "end": end,
            "match_score": None if span is None else span.score,
            "conversation": recording.conversation,
            "speaker": recording.speaker,
            "partner": partner,
            "speech_seconds": seconds,
        }
        origins = {
            "blood": "blood:not-stated",
            "equal": "equal:not-stated",
            "relationship": f"relationships:{reason_of(relation_join, 'not-stated')}",
            "youtube_id": "name:unknown-pattern",
            "start": "spans:not-located",
            "end": "end:not-located" if span is None else "end:no-speech",
            "match_score": "match_score:not-stated",
            "partner": "partner:not-given",
            "speech_seconds": "speech:not-given",
        }
        missing = tuple(sorted(entry for name, entry in origins.items() if values[name] is None))
        content = (
            f"youtube-{recording.youtube_id}" if recording.youtube_id else recording.conversation
        )
        return ScoredRow(recording.name, recording.split, content, values, missing=missing)

    def _sounds(self, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        for row in rows:
            clip_row = self.clips.get(row.clip_id)
            speech = self._recordings[row.clip_id].speech
            values: dict[str, Any] = {"video": None, "audio": None, "poster": None}
            missing = [f"media:{NO_CLIP}"]
            if clip_row is not None:
                clip = self.reader("media").clip(clip_row.sha256)
                values = media_values(self.inputs.manifest, clip_row, clip)
                missing = clip.missing()
            if speech is not None:
                values["audio"] = {"bytes": speech.read_bytes(), "path": speech.name}
            if None not in values.values():
                missing = []
            sha256 = None if clip_row is None else clip_row.sha256
            if speech is not None or clip_row is not None:
                yield {"clip_id": row.clip_id, "sha256": sha256, **values, "missing": missing}
