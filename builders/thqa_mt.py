"""theval/thqa-mt: talking heads of several generators and subjects, rated and voted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Final

import pyarrow as pa

from theval_datasets.builders._arrow import batched, table_of
from theval_datasets.builders._base import TableConfig
from theval_datasets.builders._clips import (
    CLIP_EXTRACTORS,
    DEFAULT_SPLIT,
    checked_split,
    content_of,
    in_order,
)
from theval_datasets.builders._columns import ClipFeatures
from theval_datasets.builders._fields import (
    DOUBLE,
    INT,
    MISSING,
    STRING,
    Field,
    list_of,
    schema_of,
    with_columns,
)
from theval_datasets.builders._frames import READER, check_frames
from theval_datasets.builders._generated import (
    Generated,
    Listing,
    read_listing,
    without_suffix,
)
from theval_datasets.builders._media import MEDIA_FIELDS, MEDIA_READER
from theval_datasets.builders._mt_study import PRESET, Study, matched
from theval_datasets.builders._portraits import (
    PORTRAIT_FIELDS,
    PORTRAITS_READER,
    Portrait,
    Reference,
    portrait_rows,
    read_portraits,
)
from theval_datasets.builders._ratings import (
    RATING_FIELDS,
    RATING_KEY,
    rating_rows,
    simulated,
    study_facts,
)
from theval_datasets.builders._scored import ScoredBuilder, ScoredRow, scored_fields
from theval_datasets.builders._track_frames import (
    TRACK_EXTRACTORS,
    TRACK_FIELDS,
    TRACK_KEY,
    track_rows,
)
from theval_datasets.errors import AbsentError, InputError
from theval_datasets.evaluation.folds import content_groups, grouped_folds
from theval_datasets.manifest import ManifestRow

FOLDS: Final = 5
_READER: Final = """\
table = rows.to_pandas()
train, test = table[table["fold"] != 0], table[table["fold"] == 0]  # no content is shared
"""
_GENERATORS_READER: Final = """\
table = rows.to_pandas()
rate = table["succeeded"] / table["attempted"]  # null where nobody said how many were tried
"""
_RATINGS_READER: Final = """\
table = rows.to_pandas().pivot_table(index="clip_id", columns="subject", values="score")
"""
_MEASURED: Final = (
    Field("f1_hz", DOUBLE, "How high the first formant reaches.", "Hz", 0, origin="formants",
          key="f1_hz"),
    Field("f2_hz", DOUBLE, "How high the second formant reaches.", "Hz", 0, origin="formants",
          key="f2_hz"),
    Field("identity_consistency", DOUBLE, "Mean cosine of the subjects' faces, once a second, with "
          "the reference.", "", -1, 1, origin="identity"),
    Field("identity_coverage", DOUBLE, "Share of pairs of subject and frame with a face.", "", 0, 1,
          origin="identity"),
    Field("identity_reference", STRING, "What identity is compared with: `portrait`, or "
          "`own-frame` of the clip where no portrait was given.", origin="identity"),
)  # fmt: skip
_STUDIED: Final = ("mos", "mos_std", "mos_ci95", "n_ratings", "distortions", "dimensions")
_SHOWN: Final = 3


class ThqaMt(ScoredBuilder):
    """THQA-MT from generated clips, ratings and votes."""

    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row a clip: opinion score, distortions, generator, quality metrics.",
            reader=_READER,
        ),
        TableConfig(
            name="landmarks",
            description="One row a clip and track with one entry a frame: mesh, pose, lips, speech.",
            rows_per_table=16,
            split_bytes=("mesh",),
            reader=READER,
            key=TRACK_KEY,
        ),
        TableConfig(
            name="portraits",
            description="One row a portrait that clips were generated from.",
            rows_per_table=16,
            has_media=True,
            reader=PORTRAITS_READER,
            key=("portrait_id",),
        ),
        TableConfig(
            name="generators",
            description="One row a generator: attempted and succeeded generations.",
            key=("generator",),
            reader=_GENERATORS_READER,
        ),
        TableConfig(
            name="ratings",
            description="One row a rating.",
            key=RATING_KEY,
            reader=_RATINGS_READER,
        ),
        TableConfig(
            name="media",
            description="The clips as bytes, their sound, and a poster frame.",
            rows_per_table=16,
            has_media=True,
            reader=MEDIA_READER,
        ),
    ]
    TITLE: ClassVar[str] = "THQA-MT"
    SUMMARY: ClassVar[str] = (
        "Talking heads that several generators made of real portraits, with mean opinion scores, "
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
        "taxonomy": "YAML with the names of the distortions, in the order of the vote vector",
        "portraits": "folder of pictures named by portrait_id",
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": scored_fields(
            Field("mos", DOUBLE, "Mean opinion score.", "score 0-5", 0, 5, origin="ratings"),
            Field("mos_std", DOUBLE, "Standard deviation (N - 1) of the rescaled ratings.",
                  "score", 0, origin="ratings"),
            Field("mos_ci95", DOUBLE, "Half-width of the 95 % interval of `mos`.", "score", 0,
                  origin="ratings"),
            Field("n_ratings", INT, "Ratings that `mos` averages, of subjects who were not "
                  "rejected.", "", 0, origin="ratings"),
            Field("distortions", list_of("string"), "Distortions that more than half of the "
                  "subjects saw.", origin="votes"),
            Field("dimensions", list_of("string"), "Quality dimensions that these belong to; null "
                  "where the taxonomy does not say.", origin="taxonomy"),
            Field("generator", STRING, "What made the clip.", origin="clips"),
            Field("generator_kind", STRING, "`end-to-end` or `sequential`, where known.",
                  origin="generator_kind"),
            Field("portrait_id", STRING, "The portrait that it was made from.", origin="clips"),
            Field("difficulty", STRING, "Of the portrait: Easy, Medium or Hard.",
                  origin="difficulty"),
            *_MEASURED,
            Field("fold", INT, "One of five folds that share no content.", "", 0, FOLDS - 1,
                  origin="folds"),
        ),
        "landmarks": TRACK_FIELDS,
        "portraits": PORTRAIT_FIELDS,
        "generators": (
            Field("generator", STRING, "Its name.", origin="clips", required=True),
            Field("generator_kind", STRING, "`end-to-end` or `sequential`, where known.",
                  origin="generator_kind"),
            Field("attempted", INT, "Clips that were asked of it.", "", 0, origin="attempts"),
            Field("succeeded", INT, "Clips that it gave.", "", 0, origin="attempts"),
            Field("clips", INT, "Its clips in `features`.", "", 0, origin="clips", required=True),
            MISSING,
        ),
        "ratings": with_columns(
            RATING_FIELDS,
            Field("distortions", list_of("string"), "Distortions that the subject saw.",
                  origin="votes"),
        ),
        "media": MEDIA_FIELDS,
    }  # fmt: skip
    MEASURED: ClassVar[tuple[Field, ...]] = _MEASURED
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
            "features": (*CLIP_EXTRACTORS, "formants", "identity"),
            "landmarks": TRACK_EXTRACTORS,
        }
        return own.get(config_name, ())

    def available(self) -> tuple[str, ...]:
        """What the inputs suffice for, once they are checked.

        Raises:
            InputError: With everything that is doubled, out of range or malformed in them.
        """
        self._check()
        given = {
            "landmarks": bool(self.clips),
            "portraits": bool(self._portraits),
            "generators": any(row.values["generator"] is not None for row in self.rows),
            "ratings": self._study.ratings is not None,
        }
        return tuple(name for name in super().available() if given.get(name, True))

    @cached_property
    def clips(self) -> dict[str, ManifestRow]:
        """The manifest's rows by their ids."""
        if self.inputs.manifest_path is None:
            return {}
        return {row.clip_id: row for row in self.inputs.rows if row.sha256 is not None}

    def read(self) -> list[ScoredRow]:
        """One row a clip of the manifest, and one a rated clip that the table lists."""
        listed = {name for name in self._listing.clips if name in self._rated_names}
        free = not self.clips and not self._listing.clips
        names = sorted({*self.clips, *listed, *(self._rated_names if free else ())})
        known = {name: self._listing.of(name) for name in names}
        contents = {name: self._content(name, known[name]) for name in names}
        portraits = [None if one is None else one.portrait_id for one in known.values()]
        content: dict[str, Sequence[object]] = {
            "content": [contents[name] for name in names],
            "portrait": portraits,
        }
        studied = self._study.by_clip(names)
        folds: list[int | None] = [None] * len(names)
        if names and int(content_groups(content, names).max()) + 1 >= FOLDS:
            mos = [studied.get(name, {}).get("mos") for name in names]
            folds = grouped_folds(content, names, FOLDS, mos=mos).tolist()
        return [
            self._scored(name, known[name], contents[name], studied.get(name, {}), fold)
            for name, fold in zip(names, folds, strict=True)
        ]

    def measured(self, row: ScoredRow, clip: ClipFeatures) -> Mapping[str, Any]:
        """Formants, and identity against the portrait where there is one."""
        values = {name: clip.value("formants", name) for name in ("f1_hz", "f2_hz")}
        return values | self._identity(row.values["portrait_id"], clip)

    def counts(self) -> dict[str, int | float]:
        """How many of what."""
        values = [row.values for row in self.rows]
        made = self._generations.values()
        found: dict[str, int | float] = {
            "generators": len({v["generator"] for v in values} - {None}),
            "portraits": len({v["portrait_id"] for v in values} - {None}),
            "distortion_types": len(self._study.taxonomy.types),
            "distortion_instances": sum(len(v["distortions"] or ()) for v in values),
            "ratings": 0 if self._study.ratings is None else len(self._study.ratings),
            "subjects": 0 if self._study.ratings is None else len(self._study.ratings.subjects),
        }
        for place, name in enumerate(("attempted", "succeeded")):
            numbers = [one[place] for one in made]
            if numbers and None not in numbers:
                found[name] = sum(number for number in numbers if number is not None)
        return found

    def study(self) -> dict[str, Any]:
        """Parameters of the study, and who was rejected."""
        ratings, opinions = self._study.ratings, self._study.opinions
        if ratings is None or opinions is None:
            return {}
        plain = study_facts(PRESET, ratings, {ratings.dimensions[0]: opinions})
        return {**plain, "taxonomy": self._study.taxonomy.name}

    def notes(self) -> tuple[str, ...]:
        """What is missing or matches nothing."""
        ids = {row.clip_id for row in self.rows}
        lacking = {
            "ratings": "opinion scores",
            "votes": "distortions",
            "portraits": "pictures of the portraits; identity is compared with a frame of the clip",
        }
        if self._study.votes is not None:
            del lacking["votes"]
        found = [
            f"No {kind} were given: there are no {what}."
            for kind, what in lacking.items()
            if self.inputs.path(kind) is None
        ]
        found += super().notes() + simulated(self._study.ratings, self._study.votes)
        with_ratings = [row.clip_id for row in self.rows if row.values["mos"] is not None]
        checks: list[tuple[str, Sequence[str]]] = [
            ("clips follow no naming rule and are in no table: their generator is unknown",
             [row.clip_id for row in self.rows if row.values["generator"] is None]),
            ("clips of the table are not in the manifest",
             sorted(set(self._listing.clips) - self.clips.keys()) if self.clips else []),
            ("rated clips match no clip and were left out",
             self._study.unmatched(ids)),
            ("clips have no opinion score",
             sorted(ids - set(with_ratings)) if self._study.ratings is not None else []),
            ("portraits have no picture",
             sorted(self._portrait_ids - self._portraits.keys()) if self._portraits else []),
            ("pictures of portraits have no clip",
             sorted(self._portraits.keys() - self._portrait_ids)),
        ]  # fmt: skip
        for what, names in checks:
            if names:
                found.append(f"{len(names)} {what}, such as {', '.join(names[:_SHOWN])}.")
        return tuple(found)

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split."""
        whole = {"portraits": self._portrait_rows, "generators": self._generator_rows}
        if config_name in whole:
            return {DEFAULT_SPLIT: self._batched(config_name, whole[config_name]())}
        if config_name in ("ratings", "landmarks"):
            make = self._rating_rows if config_name == "ratings" else self._track_rows
            splits = {row.split for row in self.rows}
            return in_order({split: self._batched(config_name, make(split)) for split in splits})
        return super().tables(config_name)

    @classmethod
    def check_rows(cls, config_name: str, table: pa.Table) -> Iterator[str]:
        """Faults inside the rows of `landmarks`."""
        if config_name == "landmarks":
            yield from check_frames(table)

    def _check(self) -> None:
        faults = []
        for look in (lambda: self._listing, lambda: self._portraits):
            try:
                look()
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
    def _listing(self) -> Listing:
        return read_listing(self.inputs.path("clips"))

    @cached_property
    def _study(self) -> Study:
        paths = (self.inputs.path(kind) for kind in ("ratings", "votes", "taxonomy"))
        return Study(*paths)

    @cached_property
    def _portraits(self) -> dict[str, Portrait]:
        folder = self.inputs.path("portraits")
        return {} if folder is None else read_portraits(folder)

    @cached_property
    def _reference(self) -> Reference:
        return Reference(self._portraits)

    @cached_property
    def _rated_names(self) -> frozenset[str]:
        """Ids that the tables of the study may mean."""
        return frozenset(without_suffix(name) for name in self._study.clips)

    @cached_property
    def _portrait_ids(self) -> set[str]:
        return {row.values["portrait_id"] for row in self.rows} - {None}

    @cached_property
    def _generations(self) -> dict[str, tuple[int | None, int | None]]:
        return dict(sorted(self._listing.generations(row.clip_id for row in self.rows).items()))

    def _content(self, name: str, one: Generated | None) -> str:
        if one is not None:
            return one.content_id or f"portrait-{one.portrait_id}"
        return content_of(self.clips[name].source) if name in self.clips else name

    def _scored(
        self,
        name: str,
        one: Generated | None,
        content: str,
        studied: Mapping[str, Any],
        fold: int | None,
    ) -> ScoredRow:
        clip = self.clips.get(name)
        difficulty = None if one is None else one.difficulty
        if difficulty is None and clip is not None:
            difficulty = clip.difficulty
        values: dict[str, Any] = {
            **{column: studied.get(column) for column in _STUDIED},
            "generator": None if one is None else one.generator,
            "generator_kind": None if one is None else one.kind,
            "portrait_id": None if one is None else one.portrait_id,
            "difficulty": difficulty,
            "fold": fold,
        }
        rated, voted = self._study.ratings is not None, self._study.votes is not None
        few = "not-given" if not rated else "not-rated" if "mos" not in studied else "too-few"
        unvoted = "not-given" if not voted else "nobody-voted"
        reasons = {
            f"ratings:{few}": None in [values[c] for c in _STUDIED[:4]],
            f"votes:{unvoted}": values["distortions"] is None,
            f"taxonomy:{unvoted if values['distortions'] is None else 'no-dimensions'}":
                values["dimensions"] is None,
            "clips:unknown-name": one is None,
            "generator_kind:not-stated": values["generator_kind"] is None,
            "difficulty:not-stated": difficulty is None,
            "folds:too-few-contents": fold is None,
        }  # fmt: skip
        missing = tuple(sorted(entry for entry, holds in reasons.items() if holds))
        split = checked_split((clip.split if clip is not None else None) or DEFAULT_SPLIT)
        return ScoredRow(name, split, content, values, missing=missing)

    def _identity(self, portrait: str | None, clip: ClipFeatures) -> dict[str, Any]:
        if portrait not in self._portraits or portrait is None:
            own = clip.value("identity", "identity_consistency")
            return {
                "identity_consistency": own,
                "identity_coverage": clip.value("identity", "identity_coverage"),
                "identity_reference": None if own is None else "own-frame",
            }
        from theval_datasets.features._identity import against_portrait, sightings_of

        reason = self._reference.unavailable
        people = self._reference.embeddings(portrait) if reason is None else None
        faces = clip.values("faces")
        if reason is None and people is None:
            reason = "no-face-in-portrait"
        if reason is None and faces is None:
            reason = clip.outcome("faces").reason or "not-written"
        if reason is None and people is not None and faces is not None:
            try:
                found = against_portrait(people, sightings_of(faces))
            except AbsentError as error:
                reason = error.reason
            else:
                return {
                    "identity_consistency": found.consistency,
                    "identity_coverage": found.coverage,
                    "identity_reference": "portrait",
                }
        clip.note("identity", reason or "not-written")
        names = ("identity_consistency", "identity_coverage", "identity_reference")
        return dict.fromkeys(names, None)

    def _batched(self, config_name: str, rows: Iterator[dict[str, Any]]) -> Iterator[pa.Table]:
        for batch in batched(rows, self.builder_configs[config_name].rows_per_table):
            yield table_of(batch, schema_of(self.FIELDS[config_name]))

    def _track_rows(self, split: str) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            clip_row = self.clips.get(row.clip_id)
            if row.split == split and clip_row is not None:
                clip = self.reader("landmarks").clip(clip_row.sha256)
                for values in track_rows(replace(clip_row, clip_id=row.clip_id), clip):
                    yield {**values, "missing": clip.missing()}

    def _portrait_rows(self) -> Iterator[dict[str, Any]]:
        difficulty, n_clips = {}, Counter[str]()
        for row in self.rows:
            portrait = row.values["portrait_id"]
            if portrait is not None:
                n_clips[portrait] += 1
                if row.values["difficulty"] is not None:
                    difficulty[portrait] = row.values["difficulty"]
        yield from portrait_rows(self._portraits, self._reference, difficulty, n_clips)

    def _generator_rows(self) -> Iterator[dict[str, Any]]:
        kinds = {one.generator: one.kind for _, one in self._listing.attempts}
        kinds |= {row.values["generator"]: row.values["generator_kind"] for row in self.rows}
        n_clips = Counter(row.values["generator"] for row in self.rows)
        for name, (attempted, succeeded) in self._generations.items():
            missing = [] if attempted is not None else ["attempts:not-given"]
            missing += [] if kinds.get(name) is not None else ["generator_kind:not-stated"]
            yield {
                "generator": name,
                "generator_kind": kinds.get(name),
                "attempted": attempted,
                "succeeded": succeeded,
                "clips": n_clips[name],
                "missing": missing,
            }

    def _rating_rows(self, split: str) -> Iterator[dict[str, Any]]:
        ratings = self._study.ratings
        assert ratings is not None
        wanted = [row.clip_id for row in self.rows if row.split == split]
        ids = matched(ratings.clips, wanted)
        votes = self._study.votes_by_presentation(wanted)
        for row in rating_rows(ratings, ids):
            seen = votes.get((row["clip_id"], row["subject"], row["repetition"]))
            reason = "not-given" if self._study.votes is None else "not-voted"
            missing = [] if seen is not None else [f"votes:{reason}"]
            yield {**row, "distortions": seen, "missing": missing}
