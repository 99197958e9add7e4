"""The taxonomy of distortions: a data file that a curator can replace."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from theval_datasets.errors import InputError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import read_yaml

UNASSIGNED = "unassigned"
"""Name for the dimension of a type without a dimension."""


@dataclass(frozen=True)
class DistortionType:
    """A type of distortion that subjects vote on.

    Attributes:
        id: Short name for columns: letters, digits, ``_`` and ``-``.
        name: Readable name.
        dimension: Quality dimension that it belongs to; None if unknown.
    """

    id: str
    name: str
    dimension: str | None = None


@dataclass(frozen=True)
class Taxonomy:
    """Distortion types in the order of the vote vector.

    Attributes:
        name: Name of the taxonomy.
        types: Types of distortions.
        dimensions: Names of the quality dimensions.
        source: Publication that defines it.

    Examples:
        >>> kinds = DistortionType("blur", "Blur", "face"), DistortionType("jitter", "Jitter")
        >>> taxonomy = Taxonomy("ours", kinds, dimensions=("face",))
        >>> taxonomy.ids
        ('blur', 'jitter')
    """

    name: str
    types: tuple[DistortionType, ...]
    dimensions: tuple[str, ...] = ()
    source: str | None = None

    def __post_init__(self) -> None:
        ids = [kind.id for kind in self.types]
        if not ids:
            raise InputError("expected at least one distortion type, got none")
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise InputError(f"expected unique ids, got {', '.join(doubled)} twice")
        for kind in self.types:
            if not kind.id.replace("_", "").replace("-", "").isalnum():
                raise InputError(f"expected an id of letters, digits, _ and -, got {kind.id!r}")
            if kind.dimension is not None and kind.dimension not in self.dimensions:
                raise InputError(
                    f"{kind.id}: the dimension {kind.dimension!r} is not among "
                    f"{', '.join(self.dimensions) or 'the dimensions (there are none)'}"
                )

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in the order of the vote vector."""
        return tuple(kind.id for kind in self.types)

    def dimension_of(self, index: int) -> str:
        """The dimension of a type, or `unassigned`.

        Examples:
            >>> load_taxonomy().dimension_of(0)
            'unassigned'
        """
        return self.types[index].dimension or UNASSIGNED


def load_taxonomy(path: Path | None = None) -> Taxonomy:
    """Read a taxonomy.

    Args:
        path: YAML or JSON file; None for the taxonomy of THQA-MT.

    Raises:
        InputError: If it does not exist or is malformed.

    Examples:
        >>> len(load_taxonomy().types)
        12
    """
    source = path or resources.files(__package__ or "") / "taxonomy.yaml"
    return from_plain(Taxonomy, read_yaml(source, "taxonomy file"), source.name)
