"""OWNER/NAME: the clips of any manifest, as a dataset with a name of your choice."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Final

import datasets
import numpy as np

from theval_datasets import catalog
from theval_datasets.errors import InputError
from theval_datasets.evaluation.folds import content_groups, grouped_folds
from theval_datasets.manifest.rows import ManifestRow

from .base.builder import Builder, TableConfig
from .base.clip_builder import CLIP_CONFIGS, CLIP_FIELDS, ClipBuilder
from .base.clips import NOT_STATED, Numbers, checked_split, content_of, in_order
from .base.columns import ClipFeatures, FeatureReader, load_extractors
from .base.fields import BOOL, DOUBLE, STRING, Field, with_columns

PEOPLE: Final = ("person_id", "identity", "speaker_id", "speaker")
"""Attributes by which lists name the person in a clip."""
SAME_PERSON: Final = 0.4
"""Smallest cosine similarity of the embeddings of one person."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_COLUMN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_MOST_COLUMNS: Final = 500
_MEMBERS: Final = ("NAME", "OWNER", "TITLE", "SPLIT_BY", "ATTRIBUTES", "FIELDS")
"""What the class of a named dataset has of its own."""
_FOLDS: Final = 10
"""Folds of a split by people or sources: one is `test`, one `validation`, the others `train`."""
_LISTED: Final = "listed"
"""Origin of columns from a list."""
_INT64: Final = datasets.Value("int64")


class Clips(ClipBuilder):
    """The clips of a manifest, with all of their features.

    `clips_dataset` makes a subclass with a name, and a column for each attribute of a list.
    """

    NAME: ClassVar[str] = "clips"
    OWNER: ClassVar[str] = "OWNER"
    BUILDER_CONFIGS: ClassVar[list[TableConfig]] = list(CLIP_CONFIGS)
    TITLE: ClassVar[str] = "Clips"
    SUMMARY: ClassVar[str] = (
        "Clips of talking people, rebuilt or collected, with quality metrics, per-frame landmarks and "
        "clip-level embeddings already computed."
    )
    TASKS: ClassVar[tuple[str, ...]] = ("video-classification", "tabular-regression")
    LIMITS: ClassVar[tuple[str, ...]] = (
        "The clips are those of the manifest that this was built from: clips of a list whose sources "
        "are gone are missing, so values need not equal those published for the whole list.",
        "Metrics without suffix follow the definition `paper`, those with `_release` what the "
        "authors' code computes; the two are not comparable with each other.",
        "The landmarks follow the first face that the mesh finds: clips of several people are "
        "measured on one of them.",
    )
    SPLIT_BY: ClassVar[str | None] = None
    """`person`, `source`, or the list's attribute that names splits; None for the manifest's own."""
    ATTRIBUTES: ClassVar[Mapping[str, str]] = {}
    """Column to the attribute of a list that it holds."""

    @classmethod
    def repository(cls) -> str:
        """Name of the repository, ``OWNER/NAME``."""
        return f"{cls.OWNER}/{cls.NAME}"

    def split_numbers(self) -> Mapping[str, Numbers]:
        """Numbers of the manifest's rows with a clip, int64 (clips,), by split and in order of `clip_id`."""
        return self._numbers

    @classmethod
    def maker(cls) -> Callable[[], type[Builder]]:
        """A function that gives this class in another process, to which it can be sent."""
        members = {name: vars(cls)[name] for name in _MEMBERS if name in vars(cls)}
        return functools.partial(_with_members, members)

    def feature_values(self, row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
        """The row of a clip in `features`, with the list's attributes."""
        values = super().feature_values(row, clip)
        if "listed_id" not in {field.name for field in self.FIELDS["features"]}:
            return values
        values["listed_id"] = None if row.listed is None else row.listed.id
        for column, name in self.ATTRIBUTES.items():
            value = None if row.listed is None else row.listed.attributes.get(name)
            kind = _kind_of_column(self.FIELDS["features"], column)
            values[column] = _text(value) if kind == STRING else value
            if value is None:
                clip.note(_LISTED, "not-listed" if row.listed is None else NOT_STATED)
        if row.listed is None:
            clip.note(_LISTED, "not-listed")
        return values

    @cached_property
    def _numbers(self) -> Mapping[str, Numbers]:
        own = self.survey.splits
        if self.SPLIT_BY is None or not own:
            return own
        numbers = np.sort(np.concatenate(list(own.values())))
        rows = self.inputs.rows.at(numbers)
        if self.SPLIT_BY in ("person", "source"):
            names = self._disjoint(rows, self.SPLIT_BY)
        else:
            names = [_split_name(row, self.SPLIT_BY) for row in rows]
        which = np.array(names)
        return in_order(
            {checked_split(name): numbers[which == name] for name in dict.fromkeys(names)}
        )

    def _disjoint(self, rows: Sequence[ManifestRow], kind: str) -> list[str]:
        """Splits that share no source, and for `person` nobody either.

        Raises:
            InputError: There are fewer than three groups, or nothing tells people apart.
        """
        content: dict[str, list[Any]] = {"source": [content_of(row.source) for row in rows]}
        if kind == "person":
            content["person"] = self._people(rows)
        ids = [row.clip_id for row in rows]
        groups = int(content_groups(content, ids).max()) + 1
        if groups < 3:
            raise InputError(
                f"--split-by {kind}: expected at least 3 groups of clips without a common {kind}, got "
                f"{groups}; build without it"
            )
        folds = grouped_folds(content, ids, min(_FOLDS, groups))
        return [{0: "test", 1: "validation"}.get(int(fold), "train") for fold in folds]

    def _people(self, rows: Sequence[ManifestRow]) -> list[Any]:
        """The person in each clip: by the list if it names one for every clip, else by embeddings."""
        for name in PEOPLE:
            values = [None if r.listed is None else r.listed.attributes.get(name) for r in rows]
            if None not in values:
                return [str(value) for value in values]
        reader = FeatureReader(
            self.inputs.cache, load_extractors(["arcface"], self.inputs.settings), self.decoder
        )
        measured = [reader.clip(row.sha256).values("arcface") for row in rows]
        if all(values is None for values in measured):
            raise InputError(
                "--split-by person: the list names no people, and the cache holds no face embeddings; "
                "run theval-data extract --features arcface, or split by source"
            )
        return same_people([None if v is None else v["person_embedding"] for v in measured])


def clips_dataset(
    name: str, rows: Iterable[ManifestRow] = (), split_by: str | None = None
) -> type[Clips]:
    """A dataset of clips with a name.

    Args:
        name: ``OWNER/NAME``.
        rows: Rows of the manifest; attributes from clip lists become columns.
        split_by: `person`, `source`, or an attribute that names splits; None for the manifest's own.

    Raises:
        InputError: The name is none, or that of another dataset; no clip has that attribute.

    Examples:
        >>> clips_dataset("me/hdtf").repository()
        'me/hdtf'
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"expected OWNER/NAME of letters, digits, -, _ and ., got {name!r}")
    owner, _, own = name.partition("/")
    if own.replace("-", "_").lower() in catalog.names("dataset"):
        raise InputError(f"{name}: {own} is the name of a dataset of this package; choose another")
    any_listed = False
    kinds: dict[str, dict[Any, Any]] = {}  # by attribute, a value of each kind
    for row in rows:
        if row.listed is None or row.sha256 is None:
            continue
        any_listed = True
        for attribute, value in row.listed.attributes.items():
            kinds.setdefault(attribute, {}).setdefault(_kind(value), value)
    values = {attribute: list(found.values()) for attribute, found in kinds.items()}
    if split_by not in (None, "person", "source") and split_by not in values:
        known = ", ".join(["person", "source", *sorted(values)])
        raise InputError(f"--split-by: expected one of {known}, got {split_by!r}")
    fields, columns = _attribute_fields(values)
    if any_listed:
        fields.insert(
            0, Field("listed_id", STRING, "Id in the list that the clip is from.", origin=_LISTED)
        )
    features = with_columns(CLIP_FIELDS["features"], *fields)
    return _with_members(
        {
            "NAME": own,
            "OWNER": owner,
            "TITLE": own,
            "SPLIT_BY": split_by,
            "ATTRIBUTES": columns,
            "FIELDS": {**CLIP_FIELDS, "features": features},
        }
    )


def _with_members(members: Mapping[str, Any]) -> type[Clips]:
    return type("Clips", (Clips,), {**members, "__doc__": Clips.__doc__, "__module__": __name__})


def same_people(embeddings: Sequence[Any]) -> list[str | None]:
    """A name for the people of each clip; clips with a person in common have the same name.

    Args:
        embeddings: Embeddings of length 1 of each clip's people, (people, d); None if not measured.

    Returns:
        One name per clip; None for a clip without embeddings.

    Examples:
        >>> a, b = np.eye(2)[:1], np.eye(2)[1:]
        >>> same_people([a, b, a, None])
        ['person-0', 'person-1', 'person-0', None]
    """
    seen = np.zeros((0, 0))  # with room for more, so that it is seldom copied
    parent: list[int] = []
    first: list[int | None] = []

    def root(person: int) -> int:
        while parent[person] != person:
            parent[person] = parent[parent[person]]
            person = parent[person]
        return person

    for people in embeddings:
        here: list[int] = []
        for embedding in () if people is None else people:
            alike = seen[: len(parent)] @ embedding if parent else np.zeros(0)
            best = int(alike.argmax()) if len(alike) else -1
            if best < 0 or alike[best] < SAME_PERSON:
                best = len(parent)
                if best == len(seen):
                    more = np.zeros((max(1, best), len(embedding)), embedding.dtype)
                    seen = np.concatenate([seen, more]) if best else more
                seen[best] = embedding
                parent.append(best)
            here.append(best)
        for person in here[1:]:
            a, b = root(here[0]), root(person)
            parent[max(a, b)] = min(a, b)
        first.append(here[0] if here else None)
    return [None if person is None else f"person-{root(person)}" for person in first]


def _attribute_fields(values: Mapping[str, list[Any]]) -> tuple[list[Field], dict[str, str]]:
    """Columns for the attributes of a list, and the attribute of each column.

    Raises:
        InputError: There are too many, or one has a name that no column can have.
    """
    if len(values) > _MOST_COLUMNS:
        raise InputError(
            f"expected at most {_MOST_COLUMNS} attributes in the list, each a column, got {len(values)}"
        )
    taken = {field.name for field in CLIP_FIELDS["features"]} | {"listed_id"}
    fields: list[Field] = []
    columns: dict[str, str] = {}
    for attribute in sorted(values):
        if not _COLUMN.fullmatch(attribute):
            raise InputError(
                f"the attribute {attribute!r} of a list cannot be a column: expected small letters, "
                "digits and underscores, a letter first"
            )
        column = attribute if attribute not in taken else f"listed_{attribute}"
        if column in taken:
            raise InputError(f"two columns would be called {column}; rename the attribute")
        taken.add(column)
        columns[column] = attribute
        fields.append(
            Field(
                column,
                _feature_of(values[attribute]),
                f"`{attribute}` in the list.",
                origin=_LISTED,
            )
        )
    return fields, columns


def _kind(value: Any) -> Any:
    """What the type of a column depends on: the type of a value, and those of a list's items."""
    if isinstance(value, (list, tuple)):
        return type(value), frozenset(map(type, value))
    return type(value)


def _feature_of(values: Sequence[Any]) -> Any:
    """The type of a column that holds all of some values; text where they differ in kind."""
    present = [value for value in values if value is not None]
    lists = [value for value in present if isinstance(value, (list, tuple))]
    if lists and len(lists) == len(present):
        inner = [item for value in lists for item in value]
        kind = _scalar_type(inner)
        return datasets.List(kind) if None not in inner else STRING
    return STRING if lists else _scalar_type(present)


def _scalar_type(values: Sequence[Any]) -> Any:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return BOOL
    if kinds == {int}:
        return _INT64
    return DOUBLE if kinds and kinds <= {int, float} else STRING


def _kind_of_column(fields: Sequence[Field], name: str) -> Any:
    return next(field.type for field in fields if field.name == name)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _split_name(row: ManifestRow, attribute: str) -> str:
    """The split that a list names for a clip.

    Raises:
        InputError: It names none.
    """
    value = None if row.listed is None else row.listed.attributes.get(attribute)
    name = re.sub(r"[^a-z0-9_]+", "_", str(value).lower()).strip("_")
    if value is None or not name:
        raise InputError(f"--split-by {attribute}: the list gives the clip {row.clip_id!r} none")
    return name
