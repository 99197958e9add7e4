"""theval/thqa-mt: talking heads of several generators and subjects, rated and voted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import pyarrow as pa

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import ManifestRow

from ..base.builder import TableConfig
from ..base.clips import CLIP_EXTRACTORS, DEFAULT_SPLIT
from ..base.columns import ClipFeatures
from ..base.fields import Field
from ..base.scored import ScoredBuilder, ScoredRow
from ..tables.frames import check_frames
from ..tables.generated import Listing, generator_rows, read_listing
from ..tables.media import MEDIA_CONFIG, MEDIA_FIELDS
from ..tables.portraits import (
    PORTRAIT_FIELDS,
    PORTRAITS_READER,
    Portrait,
    Reference,
    portrait_rows,
    read_portraits,
)
from ..tables.ratings import RATING_KEY, simulated, study_facts
from ..tables.track_frames import TRACK_EXTRACTORS, TRACK_FIELDS, TRACKS_CONFIG, track_rows
from .columns import FEATURE_FIELDS, GENERATOR_FIELDS, MEASURED, MT_RATING_FIELDS
from .rows import rated_rows, rating_rows
from .study import PRESET, Study, unmatched

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
_SHOWN: Final = 3


class ThqaMt(ScoredBuilder):
    """THQA-MT from generated clips, ratings and votes."""

    NAME: ClassVar[str] = "thqa-mt"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row a clip: opinion score, distortions, generator, quality metrics.",
            reader=_READER,
        ),
        TRACKS_CONFIG,
        TableConfig(
            name="portraits",
            description="One row a portrait that clips were generated from.",
            rows_per_table=16,
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
        MEDIA_CONFIG,
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
        "features": FEATURE_FIELDS,
        "landmarks": TRACK_FIELDS,
        "portraits": PORTRAIT_FIELDS,
        "generators": GENERATOR_FIELDS,
        "ratings": MT_RATING_FIELDS,
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
        return rated_rows(self.clips, self._listing, self._study)

    def measured(self, row: ScoredRow, clip: ClipFeatures) -> Mapping[str, Any]:
        """Formants, and identity against the portrait where there is one."""
        values = {name: clip.value("formants", name) for name in ("f1_hz", "f2_hz")}
        return values | self._reference.identity(row.values["portrait_id"], clip)

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
             unmatched(self._study.clips, ids)),
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
        """The tables of a config, by split; portraits and generators are in none."""
        if config_name in ("portraits", "generators"):
            return {DEFAULT_SPLIT: self._tables(config_name, self.rows)}
        return super().tables(config_name)

    def table_rows(self, config_name: str, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        """Rows of a config for some clips."""
        if config_name == "landmarks":
            return self._track_rows(rows)
        if config_name == "ratings":
            return rating_rows(self._study, [row.clip_id for row in rows])
        values = [row.values for row in rows]
        if config_name == "portraits":
            return portrait_rows(self._portraits, self._reference, values)
        if config_name == "generators":
            return generator_rows(self._listing, self._generations, values)
        return super().table_rows(config_name, rows)

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
    def _portrait_ids(self) -> set[str]:
        return {row.values["portrait_id"] for row in self.rows} - {None}

    @cached_property
    def _generations(self) -> dict[str, tuple[int | None, int | None]]:
        return dict(sorted(self._listing.generations(row.clip_id for row in self.rows).items()))

    def _track_rows(self, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        for row in rows:
            clip_row = self.clips.get(row.clip_id)
            if clip_row is not None:
                clip = self.reader("landmarks").clip(clip_row.sha256)
                for values in track_rows(clip_row, clip):
                    yield {**values, "missing": clip.missing()}
