"""theval/gen3dhf: generated 3-D human faces with quality and authenticity scores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import datasets
import numpy as np
import pyarrow as pa

from theval_datasets.builders import _gen3dhf_json as hub
from theval_datasets.builders import _gen3dhf_labels as release
from theval_datasets.builders._archives import ReleaseFile
from theval_datasets.builders._arrow import batched, table_of
from theval_datasets.builders._base import TableConfig
from theval_datasets.builders._clips import in_order
from theval_datasets.builders._csv import read_csv
from theval_datasets.builders._fields import (
    CLIP_ID,
    DOUBLE,
    INT,
    STRING,
    Field,
    list_of,
    schema_of,
)
from theval_datasets.builders._gen3dhf_labels import DIMENSIONS, Labels
from theval_datasets.builders._gen3dhf_marks import (
    SALIENCY_FIELDS,
    SALIENCY_READER,
    Described,
    Pictures,
    find_pictures,
    read_descriptions,
    saliency_rows,
)
from theval_datasets.builders._media import MEDIA_FIELDS, MEDIA_READER
from theval_datasets.builders._meshes import (
    MESH_FIELDS,
    MESH_KEY,
    MESH_READER,
    find_meshes,
    mesh_rows,
)
from theval_datasets.builders._ratings import (
    RATING_FIELDS,
    RATING_KEY,
    rating_rows,
    simulated,
    study_facts,
)
from theval_datasets.builders._scored import ScoredBuilder, ScoredRow, scored_fields
from theval_datasets.curation.study.levels import quality_levels
from theval_datasets.errors import InputError
from theval_datasets.evaluation.folds import grouped_folds
from theval_datasets.evaluation.leaks import leak_report

if TYPE_CHECKING:
    from theval_datasets.curation.study.mos import Opinions
    from theval_datasets.curation.study.ratings import Ratings

SEEDS: Final = 200
_NUMBER: Final = re.compile(r"seed(\d+)")
_SPLITS: Final = {"train": "train", "eval": "test", None: "train"}
_PRESET: Final = "gen3dhf"
_INSTRUCT: Final = {"instruct_text": False, "instruct_numeric": True}
_QUESTIONS: Final = {
    "quality": "<video>Please rate the quality of the human face in this video.",
    "authenticity": "<video>Please rate the authenticity of the human face in this video.",
}
_READER: Final = """\
table = rows.to_pandas()
train, test = table[table["grouped_split"] == "train"], table[table["grouped_split"] == "test"]
"""
_INSTRUCT_READER: Final = """\
question, answer = rows[0]["messages"]  # each with role and content; videos are names of files
"""


def _of_dimension(name: str) -> tuple[Field, ...]:
    return (
        Field(f"{name}_mos", DOUBLE, f"Mean opinion score of {name}, on the scale 100(z + 3)/6.",
              "score", origin="scores"),
        Field(f"{name}_mos_std", DOUBLE, f"Standard deviation (N - 1) of the {name} ratings.",
              "score", 0, origin="ratings"),
        Field(f"{name}_mos_ci95", DOUBLE, f"Half-width of the 95 % interval of `{name}_mos`.",
              "score", 0, origin="ratings"),
        Field(f"{name}_level", STRING, "Which of five equal intervals between the set's smallest "
              "and largest score it is in; the smallest is `bad`.", origin="scores"),
        Field(f"{name}_level_official", STRING, "The level as the release gives it; it gives none "
              "to the smallest score.", origin="release"),
    )  # fmt: skip


def _instruct_fields() -> tuple[Field, ...]:
    message = {"role": STRING, "content": STRING}
    return (
        CLIP_ID,
        Field("dimension", STRING, "`quality` or `authenticity`.", origin="scores", required=True),
        Field("messages", datasets.List(message), "Question and answer.", origin="scores",
              required=True),
        Field("videos", list_of("string"), "Names of the videos that the question is about.",
              origin="scores", required=True),
        Field("level", STRING, "Level that the answer names; null where the release names none.",
              origin="release"),
        Field("score", DOUBLE, "The mean opinion score.", "score", origin="scores", required=True),
        Field("official_split", STRING, "`train` or `eval`, as published.", origin="release"),
        Field("grouped_split", STRING, "`train` or `test`; no seed is in both.", origin="folds"),
    )  # fmt: skip


class Gen3dhf(ScoredBuilder):
    """Gen3DHF from its scores."""

    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row a video: scores, levels, official and grouped split.",
            reader=_READER,
        ),
        TableConfig(
            name="ratings",
            description="One row a rating.",
            key=RATING_KEY,
        ),
        TableConfig(
            name="instruct_text",
            description="Instruction tuning: a question about a video, the level as answer.",
            key=("clip_id", "dimension"),
            reader=_INSTRUCT_READER,
        ),
        TableConfig(
            name="instruct_numeric",
            description="Instruction tuning: a question about a video, level and score as answer.",
            key=("clip_id", "dimension"),
            reader=_INSTRUCT_READER,
        ),
        TableConfig(
            name="saliency",
            description="One row a still: where annotators marked distortions.",
            rows_per_table=16,
            has_media=True,
            reader=SALIENCY_READER,
        ),
        TableConfig(
            name="mesh",
            description="One row a frame of a mesh sequence, as glb.",
            rows_per_table=16,
            key=MESH_KEY,
            reader=MESH_READER,
        ),
        TableConfig(
            name="media",
            description="The videos as bytes, and a poster frame.",
            rows_per_table=16,
            has_media=True,
            reader=MEDIA_READER,
        ),
    ]
    TITLE: ClassVar[str] = "Gen3DHF"
    SUMMARY: ClassVar[str] = (
        "2,000 videos of generated three-dimensional human faces with mean opinion scores and "
        "levels of quality and authenticity, the official split, one that shares no seed, and two "
        "exports for instruction tuning."
    )
    CITES: ClassVar[tuple[str, ...]] = ("lmme3dhf",)
    TASKS: ClassVar[tuple[str, ...]] = ("video-classification", "visual-question-answering")
    TAGS: ClassVar[tuple[str, ...]] = ("3d-human-face", "video-quality-assessment", "generated")
    PRIVACY: ClassVar[str] = "The faces are generated."
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The seed is taken as the video's number modulo 200: the set has 200 seeds and 10 "
        "checkpoints, and no file states which is which. So the official split may share seeds "
        "between its parts (below); `grouped_split` and `fold` share none.",
        "Which generator made a video is not in the score files.",
        "Levels are relative to this set: five equal intervals between its smallest and largest "
        "score. The release names no level for the smallest score; `…_level` calls it `bad`, "
        "`…_level_official` is null there.",
        "The paper's study: 24 subjects, of whom 21 scored both dimensions with sliders from 0 to "
        "5 and 3 marked distortions.",
    )
    KINDS: ClassVar[Mapping[str, str]] = {
        "scores": "folder with numerical/{train,eval}_{quality,authenticity}.json, and text/",
        "ratings": "table of single ratings with the dimensions quality and authenticity",
        "marks": "folder or zip of stills with red dots: NAME.png, or ANNOTATOR/NAME.png",
        "descriptions": "CSV of what annotators wrote: clip_id, description, and perhaps categories",
        "generators": "CSV with clip_id and generator",
        "meshes": "folder or zip of mesh sequences: NAME/FRAME.obj; needs the extra [mesh]",
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": scored_fields(
            *_of_dimension("quality"),
            *_of_dimension("authenticity"),
            Field("distortion_categories", list_of("string"), "Which of nine kinds of distortion "
                  "were marked.", origin="descriptions"),
            Field("description", STRING, "What the annotators wrote.", origin="descriptions"),
            Field("generator", STRING, "What made the video.", origin="generators"),
            Field("seed", INT, "Number of the video modulo 200.", "", 0, SEEDS - 1, origin="name"),
            Field("official_split", STRING, "`train` or `eval`, as published.", origin="release"),
            Field("grouped_split", STRING, "`train` or `test`, about 4 to 1; no seed is in both.",
                  origin="folds"),
            Field("fold", INT, "One of five folds that share no seed.", "", 0, 4, origin="folds"),
        ),
        "ratings": RATING_FIELDS,
        "instruct_text": _instruct_fields(),
        "instruct_numeric": _instruct_fields(),
        "saliency": SALIENCY_FIELDS,
        "mesh": MESH_FIELDS,
        "media": MEDIA_FIELDS,
    }  # fmt: skip
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "paper": {"clips": 2000, "scores": 4000, "seeds": 200, "train": 1600, "eval": 400}
    }

    def available(self) -> tuple[str, ...]:
        """Ratings, pictures and meshes have configs of their own where they are given."""
        given = {
            "ratings": self.inputs.path("ratings") is not None,
            "saliency": bool(self._with_maps),
            "mesh": bool(self._with_meshes),
        }
        return tuple(name for name in super().available() if given.get(name, True))

    def read(self) -> list[ScoredRow]:
        """One row a video, from the release's files, the ratings, or both."""
        scores = self._scores
        names = sorted(scores)
        seeds = [_seed(name) for name in names]
        folds: list[int | None] = [None] * len(names)
        if len(set(seeds) - {None}) >= 5:
            mos = [scores[name].get("quality") for name in names]
            folds = grouped_folds({"seed": seeds}, names, 5, mos=mos).tolist()
        levels = {dimension: self._levels(dimension) for dimension in DIMENSIONS}
        return [
            self._scored(name, seed, fold, {d: levels[d].get(name) for d in DIMENSIONS})
            for name, seed, fold in zip(names, seeds, folds, strict=True)
        ]

    def counts(self) -> dict[str, int | float]:
        """Sizes of the parts, scores, seeds and ratings."""
        values = [row.values for row in self.rows]
        parts = Counter(v["official_split"] for v in values)
        return {
            "scores": sum(len(one) for one in self._scores.values()),
            "seeds": len({v["seed"] for v in values} - {None}),
            "ratings": 0 if self._ratings is None else len(self._ratings),
            "train": parts["train"],
            "eval": parts["eval"],
            "saliency_maps": len(self._with_maps),
            "mesh_sequences": len(self._with_meshes),
        }

    def study(self) -> dict[str, Any]:
        """Parameters of the study, if the scores come from ratings."""
        if self._ratings is None:
            return {}
        return study_facts(_PRESET, self._ratings, self._opinions)

    def notes(self) -> tuple[str, ...]:
        """What the official parts share, and how levels and scores agree."""
        found = [*super().notes(), *simulated(self._ratings)]
        seeds = [row.values["seed"] for row in self.rows]
        official = [row.values["official_split"] for row in self.rows]
        grouped = [row.values["grouped_split"] for row in self.rows]
        for name, split in (("Official", official), ("Grouped", grouped)):
            found += [f"{name} split: {x.to_text()}." for x in leak_report(split, {"seed": seeds})]
        if self._labels:
            for dimension in DIMENSIONS:
                found += self._level_notes(dimension)
        if self._ratings is not None and self._labels:
            found += self._score_notes()
        names = {row.clip_id for row in self.rows}
        for what, there in (
            ("saliency maps or marked stills", self._pictures.names),
            ("descriptions", self._described.keys()),
            ("mesh sequences", self._meshes.keys()),
            ("generators", self._generators.keys()),
        ):
            strange = sorted(there - names)
            if strange:
                found.append(
                    f"{len(strange)} {what} are of videos without a score, such as {strange[0]}."
                )
            elif there and len(there) < len(names):
                found.append(f"{len(names) - len(there)} videos have no {what}.")
        return tuple(found)

    def tables(self, config_name: str) -> Mapping[str, Iterator[pa.Table]]:
        """The tables of a config, by split."""
        if config_name in _INSTRUCT:
            makers = {
                split: self._instruct(config_name, split)
                for split in {row.split for row in self.rows}
            }
            return in_order(makers)
        own = {"saliency": self._saliency_rows, "mesh": self._mesh_rows}
        if config_name in own:
            schema, size = (
                self.schema(config_name),
                self.builder_configs[config_name].rows_per_table,
            )
            return in_order(
                {
                    split: (table_of(b, schema) for b in batched(own[config_name](split), size))
                    for split in {row.split for row in self.rows}
                }
            )
        if config_name == "ratings":
            splits = {row.split for row in self.rows}
            return in_order({split: self._rating_tables(split) for split in splits})
        return super().tables(config_name)

    @cached_property
    def _pictures(self) -> Pictures:
        return find_pictures(self.inputs.path("marks"), self.inputs.release)

    @cached_property
    def _with_maps(self) -> list[str]:
        return sorted(self._pictures.names & {row.clip_id for row in self.rows})

    @cached_property
    def _meshes(self) -> dict[str, list[ReleaseFile]]:
        place = self.inputs.path("meshes")
        return {} if place is None else find_meshes(place)

    @cached_property
    def _with_meshes(self) -> list[str]:
        return sorted(self._meshes.keys() & {row.clip_id for row in self.rows})

    @cached_property
    def _mos_file(self) -> Path | None:
        folder = self.inputs.release
        path = None if folder is None else folder / hub.MOS_NAME
        return path if path is not None and path.is_file() else None

    @cached_property
    def _described(self) -> dict[str, Described]:
        path, folder = self.inputs.path("descriptions"), self.inputs.release
        if path is not None:
            return read_descriptions(path)
        labels = None if folder is None else folder / hub.LABELS_NAME
        if labels is None or not labels.is_file():
            return {}
        return {name: Described(None, one) for name, one in hub.read_labels(labels).items()}

    @cached_property
    def _generators(self) -> dict[str, str]:
        path = self.inputs.path("generators")
        found: dict[str, str] = {}
        for where, row in () if path is None else read_csv(path, ("clip_id", "generator")):
            name, generator = row["clip_id"].strip().removesuffix(".mp4"), row["generator"].strip()
            if not name or not generator or name in found:
                raise InputError(f"{where}: {name!r} occurs twice, or a cell is empty")
            found[name] = generator
        return found

    def _saliency_rows(self, split: str) -> Iterator[dict[str, Any]]:
        names = [row.clip_id for row in self.rows if row.split == split]
        videos = {}
        for name in names:
            path = self.inputs.manifest.file(self.clips[name]) if name in self.clips else None
            if path is not None and path.is_file():
                videos[name] = path
        known = set(self._with_maps)
        yield from saliency_rows([n for n in names if n in known], self._pictures, videos)

    def _mesh_rows(self, split: str) -> Iterator[dict[str, Any]]:
        known = set(self._with_meshes)
        for row in self.rows:
            if row.split == split and row.clip_id in known:
                yield from mesh_rows(row.clip_id, self._meshes[row.clip_id])

    @cached_property
    def _labels(self) -> Labels:
        folder = self.inputs.path("scores") or self.inputs.release
        if folder is None:
            if self.inputs.path("ratings") is None:
                raise InputError(
                    "theval/gen3dhf needs --release DIR (a checkout of the code repository), "
                    "--with scores=DIR, or --with ratings=FILE"
                )
            return {}
        found = release.find_labels(folder)
        if found is None:
            if self._mos_file is not None or self.inputs.path("ratings") is not None:
                return {}
            raise InputError(
                f"{folder} holds no label files: expected numerical/train_quality.json and so on, "
                f"there or below datasets/ or main/datasets/, or {hub.MOS_NAME}"
            )
        return release.read_labels(found)

    @cached_property
    def _ratings(self) -> Ratings | None:
        path = self.inputs.path("ratings")
        if path is None:
            return None
        from theval_datasets.curation.study.tables import read_ratings

        ratings = read_ratings(path)
        if not set(ratings.dimensions) <= set(DIMENSIONS):
            raise InputError(
                f"{path}: expected the dimensions quality and authenticity, got "
                f"{', '.join(ratings.dimensions)}"
            )
        return ratings

    @cached_property
    def _opinions(self) -> dict[str, Opinions]:
        if self._ratings is None:
            return {}
        from theval_datasets.curation.study.mos import opinions
        from theval_datasets.curation.study.parameters import preset

        return {
            dimension: opinions(self._ratings.panel(dimension), preset(_PRESET))
            for dimension in self._ratings.dimensions
        }

    @cached_property
    def _scores(self) -> dict[str, dict[str, float]]:
        """Video to dimension to score; from the ratings where there are some."""
        found: dict[str, dict[str, float]] = {
            video: {dimension: label.score for dimension, label in known.items()}
            for video, known in self._labels.items()
        }
        if self._mos_file is not None:
            for video, scores in hub.read_mos(self._mos_file).items():
                found[video] = {**scores, **found.get(video, {})}
        for dimension, opinion in self._opinions.items():
            for video, score in zip(opinion.clips, opinion.mos.tolist(), strict=True):
                if np.isfinite(score):
                    found.setdefault(video, {})[dimension] = score
        return found

    @cached_property
    def _spreads(self) -> dict[tuple[str, str], tuple[float | None, float | None]]:
        found = {}
        for dimension, opinion in self._opinions.items():
            spreads = zip(opinion.clips, opinion.std.tolist(), opinion.ci95.tolist(), strict=True)
            for video, *values in spreads:
                std, ci95 = (value if np.isfinite(value) else None for value in values)
                found[video, dimension] = (std, ci95)
        return found

    def _levels(self, dimension: str) -> dict[str, str | None]:
        names = sorted(name for name, one in self._scores.items() if dimension in one)
        values = [self._scores[name][dimension] for name in names]
        if len(set(values)) < 2:
            return {}
        return dict(zip(names, quality_levels(values), strict=True))

    def _scored(
        self, name: str, seed: int | None, fold: int | None, levels: Mapping[str, str | None]
    ) -> ScoredRow:
        labels = self._labels.get(name, {})
        part = next((label.part for label in labels.values()), None)
        said = self._described.get(name)
        values: dict[str, Any] = {
            "distortion_categories": None if said is None else list(said.categories),
            "description": None if said is None else said.text,
            "generator": self._generators.get(name),
            "seed": seed,
            "official_split": part,
            "grouped_split": None if fold is None else "test" if fold == 0 else "train",
            "fold": fold,
        }
        missing = set() if name in self._generators else {"generators:not-stated"}
        if said is None or said.text is None:
            missing.add(f"descriptions:{'not-given' if said is None else 'categories-only'}")
        missing |= set() if fold is not None else {"folds:too-few-seeds"}
        missing |= set() if seed is not None else {"name:unknown-pattern"}
        missing |= set() if part is not None else {"release:not-given"}
        for dimension in DIMENSIONS:
            std, ci95 = self._spreads.get((name, dimension), (None, None))
            official = labels[dimension].level if dimension in labels else None
            score = self._scores[name].get(dimension)
            values |= {
                f"{dimension}_mos": score,
                f"{dimension}_mos_std": std,
                f"{dimension}_mos_ci95": ci95,
                f"{dimension}_level": levels[dimension],
                f"{dimension}_level_official": official,
            }
            if std is None or ci95 is None:
                missing.add("ratings:not-given" if not self._opinions else "ratings:too-few")
            if score is None or levels[dimension] is None:
                missing.add("scores:not-given" if score is None else "scores:constant")
            if official is None:
                missing.add(f"release:{'lowest-score' if dimension in labels else 'not-given'}")
        content = name if seed is None else f"seed-{seed:03d}"
        return ScoredRow(name, _SPLITS[part], content, values, missing=tuple(sorted(missing)))

    def _instruct(self, config_name: str, split: str) -> Iterator[pa.Table]:
        schema = schema_of(self.FIELDS[config_name])
        rows = (
            self._conversation(row, dimension, numeric=_INSTRUCT[config_name])
            for row in self.rows
            if row.split == split
            for dimension in DIMENSIONS
            if dimension in self._scores[row.clip_id]
        )
        for batch in batched(rows, self.builder_configs[config_name].rows_per_table):
            yield table_of(batch, schema)

    def _conversation(self, row: ScoredRow, dimension: str, *, numeric: bool) -> dict[str, Any]:
        """A question and its answer: the release's own where there is one."""
        label = self._labels.get(row.clip_id, {}).get(dimension)
        score = self._scores[row.clip_id][dimension]
        level = row.values[f"{dimension}_level"] if label is None else label.level
        said = release.answer(dimension, level, score if numeric else None)
        question = _QUESTIONS[dimension] if label is None else label.question
        return {
            "clip_id": row.clip_id,
            "dimension": dimension,
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": said},
            ],
            "videos": [f"{row.clip_id}.mp4"],
            "level": level,
            "score": score,
            "official_split": row.values["official_split"],
            "grouped_split": row.values["grouped_split"],
        }

    def _rating_tables(self, split: str) -> Iterator[pa.Table]:
        ratings = self._ratings
        assert ratings is not None
        wanted = {row.clip_id: row.clip_id for row in self.rows if row.split == split}
        rows = rating_rows(ratings, wanted)
        for batch in batched(rows, self.builder_configs["ratings"].rows_per_table):
            yield table_of(batch, schema_of(self.FIELDS["ratings"]))

    def _level_notes(self, dimension: str) -> list[str]:
        differing = [
            row.clip_id
            for row in self.rows
            if row.values[f"{dimension}_level_official"] is not None
            and row.values[f"{dimension}_level"] != row.values[f"{dimension}_level_official"]
        ]
        if not differing:
            return []
        return [
            f"{len(differing)} videos have another {dimension} level than the release gives, such "
            f"as {differing[0]}."
        ]

    def _score_notes(self) -> list[str]:
        apart = [
            abs(self._scores[video][dimension] - label.score)
            for video, known in self._labels.items()
            for dimension, label in known.items()
            if dimension in self._scores[video]
        ]
        largest = max(apart, default=0.0)
        return [f"The scores from the ratings differ from the release's by up to {largest:.6g}."]


def _seed(name: str) -> int | None:
    match = _NUMBER.fullmatch(name)
    return int(match[1]) % SEEDS if match else None
