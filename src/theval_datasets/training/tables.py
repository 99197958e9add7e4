"""The rows of a dataset's config `features` as numbers to train on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from theval_datasets import catalog
from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.manifest.info import ExtractorInfo, read_info
from theval_datasets.utils.files import digest, inside
from theval_datasets.utils.text import some_names

from .parameters import EVALTALKER, ModelName

Floats = npt.NDArray[np.float64]

CONFIG: Final = "features"
DATASET: Final = "dataset"
"""Column with the dataset of each row, where the rows are of several."""
SEPARATOR: Final = " + "
"""Between the names of several datasets."""
_ANSWER: Final = re.compile(r"(^|_)mos(_|$)|^n_ratings$|^fold$|_level$")
_ANSWER_ORIGINS: Final = frozenset({"ratings", "votes", "folds"})
_OTHERS: Final = "published_"
_SHOWN: Final = 12
_MOST_TIMES: Final = 2  # largest ratio of the largest scores of datasets on one scale
_MOST_TIMES_BELOW_0: Final = 5  # the same for z-scores, whose largest is a matter of chance


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Rows of a config `features`, with the provenance of its columns.

    Attributes:
        name: Name of the dataset, or of the rows' source.
        version: Version of the dataset; "" for rows of no release.
        rows: The rows, of all splits.
        origins: Origin of each column: an extractor, or a kind of input.
        digests: Digest of an extractor's code, parameters and weights, by extractor.
        sources: Names of the datasets, if these are the rows of several; see `combined`.
        differing: Columns that were not computed in the same way in all of them, and how.
        units: Declared unit of each column, such as ``score 0-5``.
    """

    name: str
    version: str
    rows: pa.Table
    origins: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    differing: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def clip_ids(self) -> list[str]:
        """Id of each row's clip."""
        ids: list[str] = self.rows["clip_id"].to_pylist()
        return ids

    @property
    def hashes(self) -> list[str | None]:
        """SHA-256 of each row's clip; None where it is unknown."""
        there = "sha256" in self.rows.column_names
        return self.texts("sha256") if there else [None] * len(self.rows)

    def texts(self, column: str) -> list[str | None]:
        """The values of a column as text.

        Raises:
            UnknownNameError: There is no such column.

        Examples:
            >>> FeatureRows("mine", "", pa.table({"fold": [0, None]})).texts("fold")
            ['0', None]
        """
        self.need(column)
        return [None if value is None else str(value) for value in self.rows[column].to_pylist()]

    def need(self, column: str) -> None:
        """Check that there is a column.

        Raises:
            UnknownNameError: There is none.
        """
        if column not in self.rows.column_names:
            raise UnknownNameError(f"column in {self.name}", column, self.rows.column_names)

    def numbers(self, column: str) -> Floats:
        """A column of numbers or of vectors.

        Returns:
            Values, (rows, size); a row is NaN where the value is null or not finite.

        Raises:
            InputError: The column holds something else, or vectors of different lengths.

        Examples:
            >>> FeatureRows("mine", "", pa.table({"fps": [25.0, None]})).numbers("fps").tolist()
            [[25.0], [nan]]
        """
        self.need(column)
        values = self.rows[column].combine_chunks()
        kind = values.type
        if _is_number(kind):
            flat = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
            matrix = flat[:, None].copy()
        elif _is_vector(kind):
            matrix = _vectors(values, column, self.texts(DATASET) if self.sources else None)
        else:
            raise InputError(
                f"expected numbers or vectors of numbers in the column {column}, got {kind}"
            )
        matrix[~np.isfinite(matrix).all(axis=1)] = np.nan
        return matrix

    def reasons(self, column: str) -> list[tuple[str, ...]]:
        """Reasons in each row's column `missing` for a column or its origin.

        Examples:
            >>> table = pa.table({"lse_c": [None], "missing": [["av_sync:no-audio", "vad:no-audio"]]})
            >>> FeatureRows("mine", "", table, {"lse_c": "av_sync"}).reasons("lse_c")
            [('no-audio',)]
        """
        if "missing" not in self.rows.column_names:
            return [()] * len(self.rows)
        sources = {column, self.origins.get(column, column)}
        split = (
            [entry.partition(":") for entry in entries or ()]
            for entries in self.rows["missing"].to_pylist()
        )
        return [tuple(reason for source, _, reason in row if source in sources) for row in split]

    def why_null(self, column: str) -> str:
        """The reasons in words, such as ``weights-missing in 12 clips``.

        Examples:
            >>> table = pa.table({"vst": [None], "missing": [["vst:weights-missing"]]})
            >>> FeatureRows("mine", "", table).why_null("vst")
            'weights-missing in 1 clip'
        """
        reasons = Counter(reason for row in self.reasons(column) for reason in row)
        listed = ", ".join(
            f"{reason} in {n} clip{'s' if n > 1 else ''}" for reason, n in reasons.most_common(3)
        )
        return listed or "null in all clips"

    def references(self, column: str) -> list[str | None]:
        """Reference of a column in each row, such as the portrait with which identity is compared.

        The column ``X_reference`` states it for all columns of the extractor ``X``; None without one.

        Examples:
            >>> table = pa.table({"consistency": [0.9], "identity_reference": ["portrait"]})
            >>> FeatureRows("mine", "", table, {"consistency": "identity"}).references("consistency")
            ['portrait']
        """
        reference_column = f"{self.origins.get(column, column)}_reference"
        if reference_column == column or reference_column not in self.rows.column_names:
            return [None] * len(self.rows)
        return self.texts(reference_column)

    def take(self, rows: npt.NDArray[np.int64]) -> FeatureRows:
        """Some of the rows, in the order of their numbers.

        Examples:
            >>> rows = FeatureRows("mine", "", pa.table({"clip_id": ["a", "b", "c"]}))
            >>> rows.take(np.array([2, 0])).clip_ids
            ['c', 'a']
        """
        return replace(self, rows=self.rows.take(pa.array(rows)))

    def measured(self) -> list[str]:
        """Columns that describe a clip's content in numbers.

        They are computed by an extractor, joined (``build --with features=FILE``), or published with the
        scores. Facts of the file (its size, length, rate), scores and names do not count.
        """
        extractors = set(catalog.names("extractor"))
        return [
            field.name
            for field in self.rows.schema
            if (_is_number(field.type) or _is_vector(field.type))
            and not pa.types.is_boolean(field.type)
            and (
                self.origins.get(field.name, "") in extractors | {CONFIG}
                or field.name.startswith(_OTHERS)
            )
            and not self._reveals(field.name, "")
        ]

    def _reveals(self, column: str, target: str) -> bool:
        """Whether a column reveals the target."""
        return (
            (target != "" and (column == target or column.startswith(f"{target}_")))
            or self.origins.get(column) in _ANSWER_ORIGINS
            or _ANSWER.search(column) is not None
        )

    def chosen(
        self, names: Sequence[str], *, target: str, model: ModelName
    ) -> tuple[dict[str, Floats], dict[str, str]]:
        """The features to train on, and those without any value.

        Args:
            names: Columns, or shell patterns of them; () for the model's default features. A pattern
                matches columns of numbers or vectors that do not reveal the target.
            target: Column to predict.
            model: Name of the model.

        Returns:
            Features by name, each (rows, size), and the reasons of those that are left out.

        Raises:
            InputError: A column is unknown, reveals the target, or has no value; or no feature is left.
        """
        if names:
            for name in set(names) & set(self.rows.column_names):
                if self._reveals(name, target):
                    raise InputError(
                        f"the column {name} reveals the score or derives from it, so it cannot be a feature"
                    )
            possible = [
                field.name
                for field in self.rows.schema
                if _is_number(field.type) or _is_vector(field.type)
                if not self._reveals(field.name, target)
            ]
            known = [*possible, *(set(names) & set(self.rows.column_names))]
            wanted = matching(names, list(dict.fromkeys(known)), f"feature in {self.name}")
        elif model == "evaltalker":
            wanted = [name for name in EVALTALKER if name in self.rows.column_names]
        else:
            wanted = self.measured()
        values = {name: self.numbers(name) for name in wanted}
        matrices = {name: matrix for name, matrix in values.items() if not self._lacking(matrix)}
        left_out = {
            name: self.why_null(name)
            if self._lacking(values[name]) in ([self.name], list(self.sources))
            else f"no value in {', '.join(self._lacking(values[name]))}"
            for name in wanted
            if name not in matrices
        }
        refused = set(names) & set(left_out)
        if refused:
            listed = "; ".join(f"{name} ({left_out[name]})" for name in sorted(refused))
            raise InputError(f"these features have no value in {self.name}: {listed}")
        if not matrices:
            raise InputError(self._nothing(model, left_out))
        return matrices, left_out

    def check_comparable(self, features: Iterable[str]) -> None:
        """Check that features were computed in the same way in all datasets.

        Raises:
            InputError: One was not.
        """
        for name in features:
            if name in self.differing:
                raise InputError(
                    f"{name} cannot be compared between the datasets: {self.differing[name]}. Build them "
                    f"from features of one kind, or leave it out (--without {name})"
                )

    def check_scale(self, target: str) -> None:
        """Check that the scores of all datasets are on one scale.

        Raises:
            InputError: Their declared units differ; or some have negative scores, as z-scores have, and others
                none; or the largest score (by size) of one is more than twice that of another, or more than
                five times if scores are negative.
        """
        if not self.sources:
            return
        scores = self.numbers(target)[:, 0]
        source = np.array(self.texts(DATASET), object)
        known = {
            name: own[np.isfinite(own)] for name in self.sources for own in [scores[source == name]]
        }
        ranges = {name: (own.min(), own.max()) for name, own in known.items() if len(own)}
        sizes = [max(-low, high) for low, high in ranges.values()]
        negative = {bool(low < 0) for low, _ in ranges.values()}
        times = _MOST_TIMES_BELOW_0 if True in negative else _MOST_TIMES
        units = {
            name: text for name, text in self.differing.items() if text.startswith("its unit is")
        }
        if target in units or len(negative) > 1 or max(sizes) > times * min(sizes):
            listed = ", ".join(
                f"{low:g} to {high:g} in {name}" for name, (low, high) in ranges.items()
            )
            declared = f" ({units[target]})" if target in units else ""
            raise InputError(
                f"expected {target} on one scale in all datasets, got scores of {listed}{declared}: "
                "bring them to one scale first"
            )

    def _lacking(self, matrix: Floats) -> list[str]:
        """Names of the datasets in which no row has a value."""
        known = _known(matrix)
        if not self.sources:
            return [] if known.any() else [self.name]
        source = np.array(self.texts(DATASET), object)
        return [name for name in self.sources if not known[source == name].any()]

    def _nothing(self, model: ModelName, left_out: Mapping[str, str]) -> str:
        values = [name for name in self.measured() if _known(self.numbers(name)).any()]
        wanted = ", ".join(EVALTALKER) if model == "evaltalker" else "measured columns"
        why = "".join(f"; {name}: {reason}" for name, reason in list(left_out.items())[:4])
        return f"{self.name} has no values of the features of {model} ({wanted}{why}). " + (
            f"Name others with --features; it has {some_names(values, _SHOWN)}"
            if values
            else "Nothing is measured in it: run theval-data extract, and build it again"
        )


def read_features(folder: Path) -> FeatureRows:
    """Read the config `features` of a built dataset.

    Args:
        folder: Folder of the dataset.

    Raises:
        InputError: The folder is not a built dataset, or its files cannot be read.
    """
    info = read_info(folder)
    config = info.configs.get(CONFIG)
    if config is None:
        raise InputError(f"{folder} has no config {CONFIG}; it has {', '.join(info.configs)}")
    files = [inside(folder, name) for split in config.splits.values() for name in split.files]
    try:
        rows = pa.concat_tables([pq.read_table(path) for path in files])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{folder}: its table {CONFIG} cannot be read: {error}") from None
    read = FeatureRows(
        info.dataset,
        info.version,
        rows,
        {column.name: column.origin for column in config.columns},
        digests_of(info.extractors),
        units={column.name: column.unit for column in config.columns},
    )
    read.need("clip_id")
    return read


def combined(tables: Sequence[FeatureRows]) -> FeatureRows:
    """The rows of several datasets; those of one are returned unchanged.

    The column `dataset` states where a row comes from, and `clip_id` begins with it.

    Args:
        tables: Rows of each dataset; columns that one lacks are null there.

    Raises:
        InputError: A dataset is given twice, or a column has types that do not go together.
    """
    if len(tables) == 1:
        return tables[0]
    names = tuple(table.name for table in tables)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"expected different datasets, got {', '.join(twice)} twice")
    rows = pa.concat_tables(_marked(tables), promote_options="permissive")
    origins: dict[str, str] = {}
    digests: dict[str, str] = {}
    first: dict[str, str] = {}
    differing: dict[str, str] = {}
    units: dict[str, str] = {}
    for table in tables:
        for column in table.rows.column_names:
            origin = table.origins.get(column, column)
            own = table.digests.get(origin, "")
            before = first.setdefault(column, table.name)
            unit = table.units.get(column, "")
            if units.setdefault(column, unit) != unit:
                differing[column] = (
                    f"its unit is {units[column] or 'not declared'} in {before} and "
                    f"{unit or 'not declared'} in {table.name}"
                )
            elif origins.setdefault(column, origin) != origin:
                differing[column] = (
                    f"it comes from {origins[column]} in {before} and from {origin} in {table.name}"
                )
            elif digests.setdefault(origin, own) != own:
                differing[column] = (
                    f"{origin} has another version, other parameters or other weights in {table.name} "
                    f"than in {before}"
                )
    return FeatureRows(
        SEPARATOR.join(names),
        SEPARATOR.join(table.version for table in tables),
        rows,
        origins,
        {origin: digest for origin, digest in digests.items() if digest},
        names,
        differing,
        units,
    )


def _marked(tables: Sequence[FeatureRows]) -> list[pa.Table]:
    """The rows of each dataset, marked with its name."""
    marked = []
    types: dict[str, tuple[str, pa.DataType]] = {}
    for table in tables:
        if DATASET in table.rows.column_names:
            raise InputError(
                f"{table.name} has a column {DATASET}, the name of the column that is added here: rename it"
            )
        for column in table.rows.schema:
            other, kind = types.setdefault(column.name, (table.name, column.type))
            if not _go_together(kind, column.type):
                raise InputError(
                    f"the column {column.name} is {kind} in {other} and {column.type} in {table.name}"
                )
        ids = pa.array([f"{table.name}/{clip_id}" for clip_id in table.clip_ids])
        place = table.rows.column_names.index("clip_id")
        rows = table.rows.replace_schema_metadata().set_column(place, "clip_id", ids)
        marked.append(rows.append_column(DATASET, pa.array([table.name] * len(rows))))
    return marked


def digests_of(extractors: Mapping[str, ExtractorInfo]) -> dict[str, str]:
    """Digest of the code, parameters and weights of each extractor, and of those that it reads.

    The decoder is left out, since the pictures of its versions differ by rounding only.
    """

    def facts(name: str) -> dict[str, Any]:
        extractor = extractors.get(name)
        if extractor is None:
            return {}
        return {
            "version": extractor.version,
            "parameters": dict(extractor.parameters),
            "weights": extractor.weights,
            "needs": {need: facts(need) for need in sorted(extractor.needs)},
        }

    return {name: digest(facts(name)) for name in extractors}


def is_known(features: Mapping[str, Floats]) -> dict[str, npt.NDArray[np.bool_]]:
    """Whether each row has a value, (rows,), by feature.

    Examples:
        >>> is_known({"vst": np.array([[1.0, 2.0], [np.nan, np.nan]])})["vst"].tolist()
        [True, False]
    """
    return {name: _known(matrix) for name, matrix in features.items()}


def joined(features: Mapping[str, Floats]) -> Floats:
    """The concatenated features, (rows, sum of their sizes).

    Examples:
        >>> joined({"a": np.zeros((3, 1)), "b": np.zeros((3, 2))}).shape
        (3, 3)
    """
    return np.concatenate(list(features.values()), axis=1)


def _known(matrix: Floats) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = np.isfinite(matrix).all(axis=1) & (matrix.shape[1] > 0)
    return known


def matching(names: Sequence[str], known: Sequence[str], kind: str) -> list[str]:
    """Names, with shell patterns replaced by the names that they match.

    Args:
        names: Names or patterns.
        known: Names that exist.
        kind: Kind of thing, for the message.

    Raises:
        UnknownNameError: One matches nothing.

    Examples:
        >>> matching(["b", "a*"], ["a1", "a2", "b"], "column")
        ['b', 'a1', 'a2']
    """
    selected: list[str] = []
    for name in names:
        here = (
            [name] if name in known else [column for column in known if fnmatchcase(column, name)]
        )
        if not here:
            raise UnknownNameError(kind, name, known)
        selected += here
    return list(dict.fromkeys(selected))


_is_vector_kind: Final[tuple[Callable[[Any], bool], ...]] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)


def _is_number(kind: Any) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    )


def _is_vector(kind: Any) -> bool:
    return any(test(kind) for test in _is_vector_kind) and _is_number(kind.value_type)


def _go_together(first: pa.DataType, second: pa.DataType) -> bool:
    """Whether values of two types can be in one column."""
    return (
        first == second
        or pa.types.is_null(first)
        or pa.types.is_null(second)
        or (_is_number(first) and _is_number(second) and _is_bool(first) == _is_bool(second))
        or (_is_vector(first) and _is_vector(second))
    )


def _is_bool(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind))


def _vectors(values: Any, column: str, datasets: Sequence[str | None] | None) -> Floats:
    lengths = pc.list_value_length(values)
    sizes = sorted(set(pc.unique(lengths.drop_null()).to_pylist()))
    if len(sizes) > 1 and datasets is not None:
        pairs = zip(datasets, lengths.to_pylist(), strict=True)
        different = sorted({(str(name), size) for name, size in pairs if size is not None})
        listed = ", ".join(f"{size} in {name}" for name, size in different)
        raise InputError(
            f"expected vectors of one length in the column {column}, got {listed}: name the features to "
            "use with --features"
        )
    if len(sizes) > 1:
        raise InputError(
            f"expected vectors of one length in the column {column}, got lengths {sizes[0]} to "
            f"{sizes[-1]}: pool them to one vector a clip first"
        )
    size = sizes[0] if sizes else 0
    matrix = np.full((len(values), size), np.nan)
    if size:
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        flat = pc.list_flatten(values).cast(pa.float64()).to_numpy(zero_copy_only=False)
        matrix[valid] = np.asarray(flat).reshape(-1, size)
    return matrix
