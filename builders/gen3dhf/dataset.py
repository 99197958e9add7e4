"""theval/gen3dhf: generated 3-D human faces with quality and authenticity scores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

from theval_datasets.curation.clips.head_views import HeadTurn
from theval_datasets.evaluation.folds import grouped_folds
from theval_datasets.evaluation.leaks import leak_report
from theval_datasets.manifest.joins import Join, join_clips, join_values, reason_of
from theval_datasets.utils.archives import ReleaseFile

from ..base.builder import TableConfig
from ..base.fields import Field
from ..base.scored import ScoredBuilder, ScoredRow
from ..tables.media import MEDIA_CONFIG, MEDIA_FIELDS
from ..tables.meshes import MESH_CONFIG, MESH_FIELDS, find_meshes, mesh_rows
from ..tables.ratings import RATING_FIELDS, RATING_KEY, rating_rows
from . import release_json as hub
from .annotations import Annotations, read_descriptions, read_generators
from .columns import FEATURE_FIELDS, SEEDS
from .instruct import (
    DISTORTION_FIELDS,
    DISTORTIONS,
    INSTRUCT,
    INSTRUCT_CONFIGS,
    INSTRUCT_FIELDS,
    conversation,
    distortions,
)
from .labels import DIMENSIONS
from .notes import lacking, stills_used
from .pictures import (
    MAPS,
    SALIENCY_CONFIG,
    SALIENCY_FIELDS,
    STILLS,
    SaliencyPictures,
    find_pictures,
    saliency_row,
)
from .scores import VideoScores

_NUMBER: Final = re.compile(r"seed(\d+)")
_SPLITS: Final = {"train": "train", "eval": "test", None: "train"}
_FOLDS: Final = 5
_READER: Final = """\
rows = load_dataset("theval/gen3dhf", "features", split="all")  # official train and test share seeds
table = rows.to_pandas()
train, test = table[table["grouped_split"] == "train"], table[table["grouped_split"] == "test"]
"""


class Gen3dhf(ScoredBuilder):
    """Gen3DHF from its official release, or from an own study.

    `write_release` (`theval-data build`) unpacks the videos of a release; code that uses the class directly
    has to pass a manifest of them.
    """

    NAME: ClassVar[str] = "gen3dhf"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row per video: scores, levels, official and grouped split.",
            reader=_READER,
        ),
        TableConfig(name="ratings", description="One row per rating.", key=RATING_KEY),
        *INSTRUCT_CONFIGS,
        SALIENCY_CONFIG,
        MESH_CONFIG,
        MEDIA_CONFIG,
    ]
    TITLE: ClassVar[str] = "Gen3DHF"
    SUMMARY: ClassVar[str] = (
        "Videos of generated three-dimensional human faces with mean opinion scores and "
        "levels of quality and authenticity, the official split, one that shares no seed, and "
        "questions and answers for instruction tuning."
    )
    CITES: ClassVar[tuple[str, ...]] = ("lmme3dhf",)
    TASKS: ClassVar[tuple[str, ...]] = ("video-classification", "visual-question-answering")
    TAGS: ClassVar[tuple[str, ...]] = ("3d-human-face", "video-quality-assessment", "generated")
    PRIVACY: ClassVar[str] = "The faces are generated."
    TURN: ClassVar[HeadTurn] = HeadTurn()
    """Rotation of the heads in the videos from which stills are cut."""
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The seed is taken as the video's number modulo 200, the checkpoint as the number divided by "
        "200: the set has 200 seeds and 10 checkpoints, and no file states which is which (in the "
        "published scores, blocks of 200 numbers explain 30 % of the variance of quality, the number "
        "modulo 10 explains 0.1 %). So the official split may share seeds between its parts (listed "
        "here); `grouped_split` and `fold` share none.",
        "The score files do not state the generator of a video.",
        "Levels are relative to this set: five equal intervals between its smallest and largest "
        "score. The release names no level for the smallest score; `…_level` calls it `bad`, "
        "`…_level_official` is null there.",
        "The paper's study: 2,000 videos and 24 subjects, of whom 21 scored both dimensions with "
        "sliders from 0 to 5 and 3 marked distortions.",
        "Stills that the release lacks are cut from the videos (`image_source` is `video`): the "
        "paper says that a head turns by 180 degrees in 4 s; it is taken to turn "
        f"{TURN.to_text()}.",
    )
    RELEASE: ClassVar[tuple[str, ...]] = (
        *(f"{name}.zip" for name in ("video", "video_RGB", "image", "saliency_map")),
        hub.MOS_NAME,
        hub.LABELS_NAME,
        *(f"{below}{kind}/*.json" for kind in ("numerical", "text") for below in ("", "*/")),
    )
    VIDEOS: ClassVar[tuple[str, ...]] = ("video", "video_RGB")
    KINDS: ClassVar[Mapping[str, str]] = {
        "scores": "folder with numerical/{train,eval}_{quality,authenticity}.json and text/, or MOS.json",
        "ratings": "table of single ratings with the dimensions quality and authenticity",
        "protocol": "YAML on how the study was carried out: scale, missing_codes, subjects, sessions, "
        "display, instructions, consent, intended_uses, forbidden_uses",
        "marks": "folder or zip of stills with red dots: NAME.png, or ANNOTATOR/NAME.png",
        "fixations": "CSV of exact marks: subject, clip_id, x, y in pixels of a still of 1536x512; they "
        "go before the dots of `marks`",
        "descriptions": "CSV of annotators' descriptions: clip_id, description and, optionally, categories",
        "generators": "CSV with clip_id and generator",
        "meshes": "folder or zip of mesh sequences: NAME/FRAME.obj; needs the extra [mesh]",
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": FEATURE_FIELDS,
        "ratings": RATING_FIELDS,
        "instruct_text": INSTRUCT_FIELDS,
        "instruct_numeric": INSTRUCT_FIELDS,
        DISTORTIONS: DISTORTION_FIELDS,
        "saliency": SALIENCY_FIELDS,
        "mesh": MESH_FIELDS,
        "media": MEDIA_FIELDS,
    }
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "paper": {"clips": 2000, "scores": 4000, "seeds": SEEDS, "train": 1600, "eval": 400}
    }

    def available(self) -> tuple[str, ...]:
        """Ratings, pictures and meshes have configs of their own where they are given."""
        given = {
            "ratings": self._scores.ratings is not None,
            DISTORTIONS: any(row.values["distortion_categories"] is not None for row in self.rows),
            "saliency": bool(self._with_maps),
            "mesh": bool(self._with_meshes),
        }
        return tuple(name for name in super().available() if given.get(name, True))

    def read(self) -> list[ScoredRow]:
        """One row per video, from the release's files, the ratings, or both."""
        names = sorted(self._scores.by_video)
        seeds = [_checkpoint_and_seed(name)[1] for name in names]
        folds: list[int | None] = [None] * len(names)
        if len(set(seeds) - {None}) >= _FOLDS:
            mos = [self._scores.by_video[name].get("quality") for name in names]
            folds = grouped_folds({"seed": seeds}, names, _FOLDS, mos=mos).tolist()
        return [self._scored(*columns) for columns in zip(names, seeds, folds, strict=True)]

    def counts(self) -> dict[str, int | float]:
        """Sizes of the parts, scores, seeds, ratings and pictures."""
        values = [row.values for row in self.rows]
        parts = Counter(v["official_split"] for v in values)
        ratings = self._scores.ratings
        return {
            "scores": sum(v[f"{d}_mos"] is not None for v in values for d in DIMENSIONS),
            "seeds": len({v["seed"] for v in values} - {None}),
            "ratings": 0 if ratings is None else len(ratings),
            "train": parts["train"],
            "eval": parts["eval"],
            "saliency_maps": len(self._with_maps),
            "mesh_sequences": len(self._with_meshes),
        }

    def study(self) -> dict[str, Any]:
        """Parameters of the study, if the scores come from ratings."""
        return self._scores.study()

    def notes(self) -> tuple[str, ...]:
        """Notes on missing inputs, on the match of the others, and on seeds that official parts share."""
        notes = [*super().notes(), *self._scores.simulated(), *self._lacking()]
        seeds = [row.values["seed"] for row in self.rows]
        for name in ("official", "grouped"):
            split = [row.values[f"{name}_split"] for row in self.rows]
            leaks = leak_report(split, {"seed": seeds})
            notes += [f"{name.capitalize()} split: {leak.to_text()}." for leak in leaks]
        notes += [*self._scores.notes(), *self._picture_notes()]
        joins = (self._descriptions[0], self._generators[0], self._mesh_join, self._picture_join)
        notes += [join.to_text() for join in (self._scores.join, *joins) if join is not None]
        return tuple(notes)

    def table_rows(self, config_name: str, rows: Sequence[ScoredRow]) -> Iterator[dict[str, Any]]:
        """Rows of a config for some videos."""
        names = [row.clip_id for row in rows]
        if config_name in INSTRUCT:
            return self._conversations(rows, numeric=INSTRUCT[config_name])
        if config_name == DISTORTIONS:
            known_rows = (r for r in rows if r.values["distortion_categories"] is not None)
            return map(distortions, known_rows)
        if config_name == "ratings":
            assert self._scores.ratings is not None
            return rating_rows(self._scores.ratings, self._scores.rated(names))
        if config_name == "saliency":
            known = set(self._with_maps)
            return (
                saliency_row(name, self._pictures, self.clip_file(name), self.TURN)
                for name in names
                if name in known
            )
        if config_name == "mesh":
            with_mesh = [name for name in names if name in self._meshes]
            return (row for name in with_mesh for row in mesh_rows(name, self._meshes[name]))
        return super().table_rows(config_name, rows)

    @property
    def _scores(self) -> VideoScores:
        return self.inputs.shared(VideoScores)

    @cached_property
    def _pictures(self) -> SaliencyPictures:
        return find_pictures(
            self.inputs.path("marks"), self.inputs.release, self.inputs.path("fixations")
        )

    @cached_property
    def _picture_join(self) -> Join | None:
        names = self._pictures.names
        return join_clips("saliency", names, self._scores.by_video) if names else None

    @cached_property
    def _with_maps(self) -> list[str]:
        return sorted(self._pictures.names & {row.clip_id for row in self.rows})

    @cached_property
    def _meshes(self) -> dict[str, list[ReleaseFile]]:
        place = self.inputs.path("meshes")
        return {} if place is None else find_meshes(place)

    @cached_property
    def _mesh_join(self) -> Join | None:
        if self.inputs.path("meshes") is None:
            return None
        return join_clips("meshes", self._meshes, self._scores.by_video)

    @cached_property
    def _with_meshes(self) -> list[str]:
        return sorted(self._meshes.keys() & {row.clip_id for row in self.rows})

    @cached_property
    def _descriptions(self) -> tuple[Join | None, dict[str, Annotations]]:
        """Match of the annotations and the videos, and the annotations by video."""
        path, labels = self.inputs.path("descriptions"), self._file(hub.LABELS_NAME)
        if path is not None:
            given = read_descriptions(path)
        elif labels is not None:
            given = {
                name: Annotations(None, value) for name, value in hub.read_labels(labels).items()
            }
        else:
            return None, {}
        return join_values("descriptions", given, self._scores.by_video)

    @cached_property
    def _generators(self) -> tuple[Join | None, dict[str, str]]:
        """Match of the table of generators and the videos, and the generator of each video."""
        path = self.inputs.path("generators")
        if path is None:
            return None, {}
        return join_values("generators", read_generators(path), self._scores.by_video)

    def _file(self, name: str) -> Path | None:
        path = None if self.inputs.release is None else self.inputs.release / name
        return path if path is not None and path.is_file() else None

    def _scored(self, name: str, seed: int | None, fold: int | None) -> ScoredRow:
        labels = self._scores.labels.get(name, {})
        part = next((label.part for label in labels.values()), None)
        annotations = self._descriptions[1].get(name)
        columns, missing = self._scores.columns(name)
        values = {
            **columns,
            "distortion_categories": None if annotations is None else list(annotations.categories),
            "description": None if annotations is None else annotations.text,
            "generator": self._generators[1].get(name),
            "seed": seed,
            "checkpoint": _checkpoint_and_seed(name)[0],
            "official_split": part,
            "grouped_split": None if fold is None else "test" if fold == 0 else "train",
            "fold": fold,
        }
        if annotations is None:
            missing.add(f"descriptions:{reason_of(self._descriptions[0])}")
        elif annotations.text is None:
            missing.add("descriptions:categories-only")
        for column, reason in (
            ("generator", f"generators:{reason_of(self._generators[0], 'not-stated')}"),
            ("fold", "folds:too-few-seeds"),
            ("seed", "name:unknown-pattern"),  # the checkpoint too
            ("official_split", "release:not-given"),
        ):
            if values[column] is None:
                missing.add(reason)
        content = name if seed is None else f"seed-{seed:03d}"
        return ScoredRow(name, _SPLITS[part], content, values, missing=tuple(sorted(missing)))

    def _conversations(
        self, rows: Sequence[ScoredRow], *, numeric: bool
    ) -> Iterator[dict[str, Any]]:
        for row in rows:
            for dimension in DIMENSIONS:
                if row.values[f"{dimension}_mos"] is not None:
                    label = self._scores.label(row.clip_id, dimension)
                    yield conversation(row, dimension, label, numeric=numeric)

    def _lacking(self) -> list[str]:
        """Parts that the given release lacks."""
        if self.inputs.release is None:
            return []
        parts: dict[str, tuple[str, ...]] = {
            "stills (image.zip)": STILLS,
            "saliency maps (saliency_map.zip)": MAPS,
        }
        if self.inputs.manifest_path is None:
            parts["videos (video.zip or video_RGB.zip)"] = self.VIDEOS
        if self.inputs.path("descriptions") is None:
            parts[f"distortion categories ({hub.LABELS_NAME})"] = (hub.LABELS_NAME,)
        return lacking(self.inputs.release, parts)

    def _picture_notes(self) -> list[str]:
        with_video = {name for name in self._with_maps if self.clip_file(name) is not None}
        return stills_used(self._with_maps, self._pictures.stills.keys(), with_video)


def _checkpoint_and_seed(name: str) -> tuple[int | None, int | None]:
    match = _NUMBER.fullmatch(name)
    return divmod(int(match[1]), SEEDS) if match else (None, None)
