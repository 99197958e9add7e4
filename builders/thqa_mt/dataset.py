"""theval/thqa-mt: talking heads of several generators and subjects, rated and voted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import pyarrow as pa

from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import Join, join_clips
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.text import count_of

from ..base.builder import TableConfig
from ..base.clips import CLIP_EXTRACTORS, DEFAULT_SPLIT, taken
from ..base.columns import LEFT_OUT, ClipFeatures
from ..base.fields import Field
from ..base.scored import ScoredBuilder, ScoredRow
from ..tables.frames import check_frames
from ..tables.generated import GeneratedClips, generator_rows, read_listing
from ..tables.media import MEDIA_CONFIG, MEDIA_FIELDS
from ..tables.portrait_files import Portrait, read_portraits
from ..tables.portrait_people import PortraitPeople, measure_people, unknown_people
from ..tables.portraits import (
    PORTRAIT_FIELDS,
    PORTRAITS_READER,
    PortraitFaces,
    portrait_rows,
)
from ..tables.ratings import RATING_KEY
from ..tables.study import StudyTables
from ..tables.track_frames import TRACK_EXTRACTORS, TRACK_FIELDS, TRACKS_CONFIG, track_rows
from .columns import FEATURE_FIELDS, GENERATOR_FIELDS, MEASURED, MT_RATING_FIELDS
from .instruct import INSTRUCT_CONFIG, INSTRUCT_FIELDS, conversations, has_answer
from .rows import JoinedTables, join_tables, rated_rows, single_ratings, with_difficulty

_READER: Final = """\
table = rows.to_pandas()
train, test = table[table["fold"] != 0], table[table["fold"] == 0]  # no content is shared
"""
_GENERATORS_READER: Final = """\
table = rows.to_pandas()
rate = table["succeeded"] / table["attempted"]  # null where the number of attempts is unknown
"""
_RATINGS_READER: Final = """\
table = rows.to_pandas().pivot_table(index="clip_id", columns="subject", values="score")
"""
_SHOWN: Final = 3


class ThqaMt(ScoredBuilder):
    """THQA-MT from generated clips, ratings and votes."""

    NAME: ClassVar[str] = "thqa-mt"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row per clip: opinion score, distortions, generator, quality metrics.",
            reader=_READER,
        ),
        TRACKS_CONFIG,
        TableConfig(
            name="portraits",
            description="One row per portrait that clips were generated from.",
            rows_per_table=16,
            reader=PORTRAITS_READER,
            key=("portrait_id",),
        ),
        TableConfig(
            name="generators",
            description="One row per generator: attempted and succeeded generations.",
            key=("generator",),
            reader=_GENERATORS_READER,
        ),
        TableConfig(
            name="ratings",
            description="One row per rating.",
            key=RATING_KEY,
            reader=_RATINGS_READER,
        ),
        INSTRUCT_CONFIG,
        MEDIA_CONFIG,
    ]
    TITLE: ClassVar[str] = "THQA-MT"
    SUMMARY: ClassVar[str] = (
        "Talking heads that several generators made of portraits, with mean opinion scores, "
        "the distortions that a majority of the subjects saw, and folds that share no content."
    )
    CITES: ClassVar[tuple[str, ...]] = ("evaltalker",)
    TASKS: ClassVar[tuple[str, ...]] = ("video-classification", "tabular-regression")
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The clips, ratings and votes are those that this was built from. The paper's own 5,492 "
        "clips are not public, so values here need not equal the published ones.",
        "The published map of z-scores to 0 … 5 is not stated; here it is the smallest linear one "
        "that holds all of them, so scores are relative to this set.",
        "Ten of the twelve distortions are named only in a picture of the paper and numbered here, "
        "unless a taxonomy with their names was given.",
    )
    KINDS: ClassVar[Mapping[str, str]] = {
        "clips": "CSV with clip_id, generator, portrait_id, and perhaps generator_kind, difficulty, "
        "content_id, succeeded; or YAML with naming rules",
        "ratings": "table of single ratings, which may hold distortion votes",
        "votes": "table of distortion votes: subject, clip_id, distortions",
        "protocol": "YAML on how the study was carried out: scale, missing_codes, subjects, sessions, "
        "display, instructions, consent, intended_uses, forbidden_uses",
        "taxonomy": "YAML with the names of the distortions, in the order of the vote vector",
        "portraits": "folder of pictures named by portrait_id",
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": FEATURE_FIELDS,
        "landmarks": TRACK_FIELDS,
        "portraits": PORTRAIT_FIELDS,
        "generators": GENERATOR_FIELDS,
        "ratings": MT_RATING_FIELDS,
        "instruct": INSTRUCT_FIELDS,
        "media": MEDIA_FIELDS,
    }
    MEASURED: ClassVar[tuple[Field, ...]] = MEASURED
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "paper": {
            "clips": 5492,
            "generators": 15,
            "portraits": 400,
            "distortion_types": 12,
            "distortion_instances": 9614,
        }
    }

    def extractors(self, config_name: str) -> Sequence[str]:
        """Names of the extractors whose columns a config has."""
        if self.inputs.manifest_path is None:
            return ()
        own = {
            "features": (*CLIP_EXTRACTORS, *dict.fromkeys(field.origin for field in MEASURED)),
            "landmarks": TRACK_EXTRACTORS,
        }
        return own.get(config_name, ())

    def available(self) -> tuple[str, ...]:
        """The configs that the inputs suffice for, once they are checked.

        Raises:
            InputError: With every fault in them.
        """
        self._check()
        given = {
            "landmarks": bool(self.clips),
            "portraits": bool(self._portraits),
            "generators": any(row.values["generator"] is not None for row in self.rows),
            "ratings": self._study.ratings is not None,
            "instruct": any(map(has_answer, self.rows)),
        }
        return tuple(name for name in super().available() if given.get(name, True))

    @cached_property
    def clips(self) -> dict[str, ManifestRow]:
        """The manifest's rows by their ids."""
        if self.inputs.manifest_path is None:
            return {}
        return {row.clip_id: row for row in self.inputs.rows if row.sha256 is not None}

    @property
    def clip_join(self) -> None:
        """Every clip of the manifest is a row: there is nothing to match."""
        return

    def taken_down(self, clip_ids: Sequence[str]) -> set[str]:
        """Rows have the ids of the manifest."""
        return set(clip_ids) & self.inputs.gone

    def read(self) -> list[ScoredRow]:
        """One row per clip of the manifest, and one a rated clip that the table lists."""
        return with_difficulty(self._rated_rows, self.clips, self._people)

    def measured(self, row: ScoredRow, clip: ClipFeatures) -> Mapping[str, Any]:
        """Measured columns of a clip, and its identity consistency with its portrait if it has one."""
        values = taken(MEASURED, clip)
        return values | self._reference.identity(row.values["portrait_id"], clip)

    def counts(self) -> dict[str, int | float]:
        """Numbers of generators, portraits, distortions, ratings and subjects."""
        values = [row.values for row in self.rows]
        made = self._generations.values()
        counts: dict[str, int | float] = {
            "generators": len({v["generator"] for v in values} - {None}),
            "portraits": len({v["portrait_id"] for v in values} - {None}),
            "distortion_types": len(self._study.taxonomy.types),
            "distortion_instances": sum(len(v["distortions"] or ()) for v in values),
            "ratings": 0 if self._study.ratings is None else len(self._study.ratings),
            "subjects": 0 if self._study.ratings is None else len(self._study.ratings.subjects),
        }
        for place, name in enumerate(("attempted", "succeeded")):
            numbers = [result[place] for result in made]
            if numbers and None not in numbers:
                counts[name] = sum(number for number in numbers if number is not None)
        return counts

    def study(self) -> dict[str, Any]:
        """Parameters of the study, and who was rejected."""
        facts = self._study.facts()
        return facts and {**facts, "taxonomy": self._study.taxonomy.name}

    def notes(self) -> tuple[str, ...]:
        """Inputs that were not given, and how the others match."""
        lacking = {
            "ratings": "opinion scores",
            "votes": "distortions",
            "portraits": "pictures of the portraits; identity is compared with a frame of the clip",
        }
        if self._study.votes is not None:
            del lacking["votes"]
        notes = [
            f"No {kind} were given: there are no {what}."
            for kind, what in lacking.items()
            if self.inputs.path(kind) is None
        ]
        notes += super().notes() + self._study.notes()
        notes += self._joined_tables.notes()
        if self._portrait_join is not None:
            notes.append(self._portrait_join.to_text())
        unknown = [row.clip_id for row in self.rows if row.values["generator"] is None]
        if unknown:
            notes.append(
                f"{count_of(len(unknown), 'clip')} of unknown generator, in no table of clips and named by no "
                f"known rule, such as {', '.join(unknown[:_SHOWN])}."
            )
        return tuple(notes)

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split; portraits and generators are in none."""
        if config_name in ("portraits", "generators"):
            return {DEFAULT_SPLIT: self._tables(config_name, self.rows)}
        return super().tables(config_name)

    def table_rows(self, config_name: str, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        """Rows of a config for some clips."""
        if config_name == "landmarks":
            return self._track_rows(rows)
        if config_name == "ratings":
            return single_ratings(self._joined_tables, [row.clip_id for row in rows])
        if config_name == "instruct":
            names = [kind.name for kind in self._study.taxonomy.types]
            return (question for row in rows for question in conversations(row, names))
        values = [row.values for row in rows]
        if config_name == "portraits":
            return portrait_rows(self._portraits, self._reference, self._people, values)
        if config_name == "generators":
            return generator_rows(self._joined_tables.listing, self._generations, values)
        return super().table_rows(config_name, rows)

    @classmethod
    def check_rows(cls, config_name: str, table: pa.Table) -> Iterator[str]:
        """Faults inside the rows of `landmarks`."""
        if config_name == "landmarks":
            yield from check_frames(table)

    def _check(self) -> None:
        faults = []
        for step in (lambda: self._listing, lambda: self._pictures):
            try:
                step()
            except InputError as error:
                faults.append(str(error))
        faults += self._study.faults()
        if faults:
            raise InputError("The inputs cannot be used:\n" + "\n".join(f"- {f}" for f in faults))
        if self.inputs.manifest_path is None and not self._study.clips:
            raise InputError(
                "theval/thqa-mt needs --manifest with the generated clips, or --with ratings=FILE"
            )

    @cached_property
    def _listing(self) -> GeneratedClips:
        return read_listing(self.inputs.path("clips"))

    @property
    def _study(self) -> StudyTables:
        return StudyTables.of(self.inputs, "thqa-mt")

    @cached_property
    def _joined_tables(self) -> JoinedTables:
        return join_tables(self.clips, self._listing, self._study, self.inputs.gone)

    @cached_property
    def _pictures(self) -> dict[str, Portrait]:
        folder = self.inputs.path("portraits")
        return {} if folder is None else read_portraits(folder)

    @cached_property
    def _portrait_join(self) -> Join | None:
        if self.inputs.path("portraits") is None:
            return None
        listing = self._joined_tables.listing
        made = [listing.of(name) for name in self.inputs.gone]
        gone = {clip.portrait_id for clip in made if clip is not None} - self._portrait_ids
        return join_clips("portraits", self._pictures, self._portrait_ids, "portrait", gone=gone)

    @cached_property
    def _portraits(self) -> dict[str, Portrait]:
        """Pictures by `portrait_id`, those without a clip under their own names.

        A portrait goes with the last of its clips that is taken down.
        """
        join = self._portrait_join
        if join is None:
            return {}
        return {
            join.matched.get(name, name): picture
            for name, picture in self._pictures.items()
            if name not in join.gone
        }

    @property
    def _people(self) -> Mapping[str, PortraitPeople]:
        """Measurements of the portraits, by `portrait_id`; made once for all tables."""
        return self.inputs.shared(lambda _: self._measured_people(), measure_people)

    def _measured_people(self) -> Mapping[str, PortraitPeople]:
        if self.inputs.left_out & {"faces", "person_landmarks", "person_pose"}:
            return dict.fromkeys(self._portraits, unknown_people(LEFT_OUT))
        return measure_people(self._portraits, self.inputs.cache)

    @cached_property
    def _reference(self) -> PortraitFaces:
        return PortraitFaces(self._portraits)

    @cached_property
    def _portrait_ids(self) -> set[str]:
        kept = (row for row in self._rated_rows if row.clip_id not in self.inputs.gone)
        return {row.values["portrait_id"] for row in kept} - {None}

    @cached_property
    def _rated_rows(self) -> list[ScoredRow]:
        return rated_rows(self.clips, self._joined_tables)

    @cached_property
    def _generations(self) -> dict[str, tuple[int | None, int | None]]:
        return dict(
            sorted(
                self._joined_tables.listing.generations(
                    (row.clip_id for row in self.rows),
                    self.inputs.gone,
                    complete=bool(self.clips),
                ).items()
            )
        )

    def _track_rows(self, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        for row in rows:
            clip_row = self.clips.get(row.clip_id)
            if clip_row is not None:
                clip = self.reader("landmarks").clip(clip_row.sha256)
                for values in track_rows(clip_row, clip):
                    yield {**values, "missing": clip.missing()}
