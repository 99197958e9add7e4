"""theval/thqa-ntire: 12,247 scored talking heads with the official split and one without leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.evaluation.folds import content_groups, grouped_folds
from theval_datasets.evaluation.leaks import Leak, leak_report

from ..base.builder import TableConfig
from ..base.fields import DOUBLE, INT, STRING, Field
from ..base.scored import ScoredBuilder, ScoredRow, scored_fields
from ..thqa.scores import ClipOrigin, parse_name, read_scores

_SPLITS: Final = {"train": "train", "val": "validation", "test": "test"}
"""Official name to the name that users of `datasets` expect."""

_ORIGIN: Final = "scores"
_SHARED: Final = "shared-content"
_READER: Final = """\
table = rows.to_pandas()
clean = table[table["clean_split"] == "train"]  # nothing shared with validation or test
"""


class ThqaNtire(ScoredBuilder):
    """THQA-NTIRE's published scores."""

    NAME: ClassVar[str] = "thqa-ntire"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = [
        TableConfig(
            name="features",
            description="One row per clip: opinion score, what its name tells, official and clean split.",
            reader=_READER,
        )
    ]
    TITLE: ClassVar[str] = "THQA-NTIRE"
    SUMMARY: ClassVar[str] = (
        "Mean opinion scores of 12,247 talking-head clips in the official training, validation and "
        "test parts, with what their names tell of portrait, voice and method, a report of the "
        "content that the official parts share, and a split without it."
    )
    CITES: ClassVar[tuple[str, ...]] = ("evaltalker",)
    TASKS: ClassVar[tuple[str, ...]] = ("tabular-regression",)
    PRIVACY: ClassVar[str] = (
        "Some clips show or are voiced by people. Do not use them to identify anybody."
    )
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The official parts are kept as they are. They share content (listed here): a metric "
        "trained on `train` has met a part of `validation` and `test`. `clean_split` leaves out "
        "what is shared: each group of clips that hang together by prompt, portrait, voice or "
        "sentence with distortion stays in the part that holds most of it.",
        "The paper that describes this family of datasets gives 12,257 clips; the public tables "
        "hold 12,247.",
        "The citation is of that paper.",
    )
    KINDS: ClassVar[Mapping[str, str]] = {
        "scores": "folder with thqa_ntire_{train,val,test}.csv, each with the columns Video, Score"
    }
    FIELDS: ClassVar[Mapping[str, tuple[Field, ...]]] = {
        "features": scored_fields(
            Field("mos", DOUBLE, "Mean opinion score.", "score 0-5", 0, 5, _ORIGIN, required=True),
            Field("pattern", STRING, "Pattern of the name: `prompted`, `thqa`, "
                  "`sentence` or `unknown`.", origin=_ORIGIN, required=True),
            Field("generator", STRING, "Method that drove the portrait; null for recordings.",
                  origin="name"),
            Field("prompt", STRING, "Prompt that the portrait was generated from.", origin="name"),
            Field("portrait_generator", STRING, "Text-to-image model of the portrait.",
                  origin="name"),
            Field("portrait_id", STRING, "Portrait of THQA.", origin="name"),
            Field("voice_id", STRING, "The voice recording.", origin="name"),
            Field("subject_id", STRING, "Person of a recorded sentence.", origin="name"),
            Field("sentence", STRING, "The recorded sentence.", origin="name"),
            Field("distortion", STRING, "Distortion of the recording.", origin="name"),
            Field("distortion_level", DOUBLE, "Level of the distortion.", origin="name"),
            Field("official_split", STRING, "Part as published: `train`, `val` or `test`.",
                  origin=_ORIGIN, required=True),
            Field("clean_split", STRING, "Part without shared content; null for clips left out.",
                  origin="clean"),
            Field("fold", INT, "One of five folds that share no content.", "", 0, 4,
                  origin="folds"),
        )
    }  # fmt: skip
    EXPECTED: ClassVar[Mapping[str, Mapping[str, int]]] = {
        "release": {"clips": 12247, "train": 8927, "val": 1714, "test": 1606},
        "paper": {"clips": 12257},
    }

    def read(self) -> list[ScoredRow]:
        """The rows of the three tables."""
        names = sorted(self._scores)
        parts = [self._scores[name][0] for name in names]
        contents = [parse_name(name) for name in names]
        keys = _content_columns(contents)
        clean = clean_parts(parts, keys, names)
        mos = [self._scores[name][1] for name in names]
        folds: list[int | None] = [None] * len(names)
        if len(set(content_groups(keys, names).tolist())) >= 5:
            folds = grouped_folds(keys, names, 5, mos=mos).tolist()
        rows = zip(names, parts, mos, contents, clean, folds, strict=True)
        return [
            _row(name, content, part=part, mos=score, clean=home, fold=fold)
            for name, part, score, content, home, fold in rows
        ]

    def counts(self) -> dict[str, int | float]:
        """Sizes of the official and the clean parts, and how many of what."""
        values = [row.values for row in self.rows]
        official = Counter(v["official_split"] for v in values)
        clean = Counter(v["clean_split"] for v in values)
        return {
            **{part: official[part] for part in _SPLITS},
            **{f"clean_{part}": clean[part] for part in _SPLITS},
            "generators": len({v["generator"] for v in values} - {None}),
            "unknown_names": sum(v["pattern"] == "unknown" for v in values),
        }

    def notes(self) -> tuple[str, ...]:
        """The leaks of the official parts, those left in the clean ones, and unknown names."""
        unknown = [row.clip_id for row in self.rows if row.values["pattern"] == "unknown"]
        notes = [f"{len(unknown)} names follow no known pattern, such as {n}." for n in unknown[:1]]
        official = [f"Official split: {leak.to_text()}." for leak in self.leaks("official_split")]
        clean = [f"Clean split: {leak.to_text()}." for leak in self.leaks("clean_split")]
        left_out = sum(row.values["clean_split"] is None for row in self.rows)
        kept = f"The clean split shares no content and leaves out {left_out} clips."
        return (*super().notes(), *notes, *official, *(clean or [kept]))

    def leaks(self, column: str) -> list[Leak]:
        """Content that the parts of a split share.

        Args:
            column: `official_split` or `clean_split`.
        """
        contents = [parse_name(row.clip_id) for row in self.rows]
        parts = [row.values[column] for row in self.rows]
        return leak_report(parts, _content_columns(contents))

    @cached_property
    def _scores(self) -> dict[str, tuple[str, float]]:
        folder = self.inputs.path("scores") or self.inputs.release
        if folder is None or not folder.is_dir():
            raise InputError(
                "theval/thqa-ntire needs --release DIR with thqa_ntire_train.csv, "
                "thqa_ntire_val.csv and thqa_ntire_test.csv"
            )
        scores: dict[str, tuple[str, float]] = {}
        for part in _SPLITS:
            path = folder / f"thqa_ntire_{part}.csv"
            if not path.is_file():
                raise InputError(f"there is no {path.name} in {folder}")
            for where, name, score, _ in read_scores(path, "Video"):
                if name in scores:
                    raise InputError(f"{where}: {name!r} occurs twice, in {scores[name][0]} too")
                scores[name] = (part, score)
        return scores


def clean_parts(
    parts: Sequence[str], content: Mapping[str, Sequence[object]], names: Sequence[str]
) -> list[str | None]:
    """A split whose parts share no content: rows keep their part or are left out, and none is moved.

    Each group of rows with common content stays in the part that holds most of its rows (on a tie, the
    later of `train`, `val`, `test`); its other rows are left out.

    Args:
        parts: Official part of each row.
        content: See `content_groups`.
        names: Unique names of the rows.

    Returns:
        For each row its part, or None.

    Examples:
        >>> clean_parts(["train", "train", "test"], {"portrait": ["a", "a", "a"]}, ["1", "2", "3"])
        ['train', 'train', None]
    """
    groups = content_groups(content, names).tolist()
    held: dict[int, Counter[str]] = {}
    for group, part in zip(groups, parts, strict=True):
        held.setdefault(group, Counter())[part] += 1
    order = list(_SPLITS)
    home = {
        group: max(counted, key=lambda part: (counted[part], order.index(part)))
        for group, counted in held.items()
    }
    return [
        part if home[group] == part else None for group, part in zip(groups, parts, strict=True)
    ]


def _content_columns(contents: Iterable[ClipOrigin]) -> dict[str, list[object]]:
    all_of = list(contents)
    return {
        "prompt": [name.prompt for name in all_of],
        "portrait": [name.portrait for name in all_of],
        "voice": [name.voice for name in all_of],
        "sentence with distortion": [name.script for name in all_of],
        "subject": [name.subject for name in all_of],
    }


def _row(
    name: str, content: ClipOrigin, *, part: str, mos: float, clean: str | None, fold: int | None
) -> ScoredRow:
    values: dict[str, Any] = {
        "mos": mos,
        "pattern": content.pattern,
        "generator": content.generator,
        "prompt": content.prompt,
        "portrait_generator": content.portrait_generator,
        "portrait_id": content.portrait,
        "voice_id": content.voice,
        "subject_id": content.subject,
        "sentence": None if content.sentence is None else content.sentence.replace("_", " "),
        "distortion": content.distortion,
        "distortion_level": content.level,
        "official_split": part,
        "clean_split": clean,
        "fold": fold,
    }
    missing = [f"name:{'unknown' if content.pattern == 'unknown' else 'not-in-pattern'}"]
    missing += [] if clean else [f"clean:{_SHARED}"]
    missing += [] if fold is not None else ["folds:too-few-groups"]
    return ScoredRow(
        name, _SPLITS[part], content.content_id or name, values, content.language, tuple(missing)
    )
