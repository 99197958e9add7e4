"""Reference indexes: clips of other sets, from which a new set has to be disjoint.

An index is an Arrow IPC file of fingerprints and embeddings, without media, and without any name but the
clips' ids. It is mapped into memory, and holds the tables by which similar pictures are found, so that a few
clips are compared with very many without reading all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from theval_datasets.errors import InputError
from theval_datasets.extraction.weights import content_hash
from theval_datasets.features.faces import Faces
from theval_datasets.features.people.pack import need_recogniser
from theval_datasets.utils.files import atomic_write

from .fingerprint_index import FingerprintIndex, FrameHashes, KeptTables, n_keys
from .matching import Prints

FORMAT: Final = "2"
_TYPES: Final[Mapping[str, Any]] = {
    "clip_ids": pa.string(),
    "frames": pa.uint64(),
    "frame_ends": pa.int64(),
    "audio": pa.uint32(),
    "audio_ends": pa.int64(),
    "people": pa.float32(),
    "people_clips": pa.int64(),
    "hashes": pa.uint64(),
    "hash_ends": pa.int64(),
    "masks": pa.uint64(),
    "orders": pa.uint32(),
    "begins": pa.uint32(),
}
_SCHEMA: Final = pa.schema([(name, pa.large_list(kind)) for name, kind in _TYPES.items()])
_NOBODY: Final = np.zeros((0, 0), np.float32)
_AGAIN: Final = ": theval-data index MANIFEST -o FILE"


@dataclass(frozen=True, slots=True)
class ReferenceClip:
    """A clip of another set.

    Attributes:
        clip_id: Id in that set.
        prints: Fingerprints.
        people: float32 (n, dim): one embedding per person; (0, 0) without any.
        pack: Model of the embeddings; see `recogniser`.
    """

    clip_id: str
    prints: Prints
    people: npt.NDArray[np.float32]
    pack: str = ""


class ReferenceIndex:
    """The clips of another set, and their people.

    Attributes:
        clip_ids: Ids of the clips, ascending.
        prints: Fingerprints of the clips.
        people: float32 (n, dim): one embedding per person; (0, 0) without any.
        people_clips: int64 (n,): number of the clip of each person.
        pack: Model of the embeddings; see `recogniser`. "" without any.
        tables: Tables of the frames.
    """

    def __init__(
        self,
        clip_ids: Sequence[str],
        prints: Sequence[Prints],
        people: npt.NDArray[np.float32],
        people_clips: npt.NDArray[np.int64],
        pack: str,
        tables: KeptTables,
    ) -> None:
        self.clip_ids = clip_ids
        self.prints = prints
        self.people = people
        self.people_clips = people_clips
        self.pack = pack
        self.tables = tables

    def __len__(self) -> int:
        return len(self.clip_ids)

    @classmethod
    def of(cls, clips: Iterable[ReferenceClip]) -> ReferenceIndex:
        """The index of clips.

        Raises:
            InputError: Their embeddings are of several models.
        """
        ordered = sorted(clips, key=lambda clip: clip.clip_id)
        known = [clip for clip in ordered if clip.people.size]
        models = {(clip.pack, clip.people.shape[1]) for clip in known}
        if len(models) > 1:
            names = ", ".join(sorted(f"{pack} of {dim} numbers" for pack, dim in models))
            raise InputError(f"expected embeddings of one model, got {names}")
        numbers = [n for n, clip in enumerate(ordered) for _ in clip.people if clip.people.size]
        prints = [clip.prints for clip in ordered]
        return cls(
            [clip.clip_id for clip in ordered],
            prints,
            np.concatenate([clip.people for clip in known]) if known else _NOBODY,
            np.array(numbers, np.int64),
            known[0].pack if known else "",
            KeptTables.of(FrameHashes.of(prints)),
        )

    @cached_property
    def recordings(self) -> FingerprintIndex:
        """The clips by their fingerprints."""
        return FingerprintIndex(self.prints, kept=self.tables)


class _StoredPrints(Sequence[Prints]):
    """Fingerprints that lie in a file one after another; `…_ends` are where those of each clip end."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns["frame_ends"])

    @overload
    def __getitem__(self, number: int) -> Prints: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Prints]: ...
    def __getitem__(self, number: int | slice) -> Prints | Sequence[Prints]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        return Prints(
            self._part("frames", "frame_ends", number), self._part("audio", "audio_ends", number)
        )

    def _part(self, values: str, ends: str, number: int) -> Any:
        begin = int(self._columns[ends][number - 1]) if number else 0
        return self._columns[values][begin : int(self._columns[ends][number])]


def recogniser() -> str:
    """Hash of the face embedding model on this machine; only embeddings of one model are comparable.

    Raises:
        WeightsMissingError: There is no such model.
    """
    return f"arcface-{content_hash(need_recogniser(Faces().pack))}"


def write_index(path: Path, references: Iterable[ReferenceClip]) -> int:
    """Write an index atomically.

    Returns:
        Number of clips in it.

    Raises:
        InputError: The embeddings of the clips are of several models.
    """
    index = ReferenceIndex.of(references)
    frames, audio = ([getattr(p, name) for p in index.prints] for name in ("frames", "audio"))
    hashes = index.tables.frames
    columns = {
        "clip_ids": list(index.clip_ids),
        "frames": np.concatenate([np.zeros(0, np.uint64), *frames]),
        "frame_ends": np.cumsum(list(map(len, frames)), dtype=np.int64),
        "audio": np.concatenate([np.zeros(0, np.uint32), *audio]),
        "audio_ends": np.cumsum(list(map(len, audio)), dtype=np.int64),
        "people": index.people.ravel(),
        "people_clips": index.people_clips,
        "hashes": hashes.hashes,
        "hash_ends": hashes.begins[1:],
        "masks": index.tables.masks,
        "orders": index.tables.orders.ravel(),
        "begins": index.tables.begins.ravel(),
    }
    arrays = [_one_list(values, _TYPES[name]) for name, values in columns.items()]
    schema = _SCHEMA.with_metadata({"format": FORMAT, "pack": index.pack})
    with atomic_write(path) as stream, pa.ipc.new_file(stream, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))
    return len(index)


def _one_list(values: Any, kind: Any) -> Any:
    """An array of one list, which holds all values."""
    flat = pa.array(values, kind)
    return pa.LargeListArray.from_arrays(pa.array([0, len(flat)], pa.int64()), flat)


def read_index(path: Path) -> ReferenceIndex:
    """Map an index into memory.

    Raises:
        InputError: There is no such file, or it is not an index.
    """
    if not path.is_file():
        raise InputError(
            f"there is no index {path}; `theval-data index MANIFEST -o {path}` makes one"
        )
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} is not an index ({error}); make it again{_AGAIN}") from None
    metadata = table.schema.metadata or {}
    made = metadata.get(b"format", b"").decode("utf-8", "replace")
    if not table.schema.equals(_SCHEMA) or table.num_rows != 1 or made != FORMAT:
        raise InputError(
            f"{path} is not an index of format {FORMAT}, the one that this version reads; "
            f"make it again{_AGAIN}"
        )
    batch = table.combine_chunks().to_batches()[0]
    columns: dict[str, Any] = {}
    for name, kind in _TYPES.items():
        values = batch.column(name).flatten()
        if values.null_count or batch.column(name).null_count:
            raise InputError(f"{path} is not an index: {name} has nulls")
        columns[name] = (
            values.to_pylist() if kind == pa.string() else values.to_numpy(zero_copy_only=True)
        )
    try:
        return _index(columns, metadata.get(b"pack", b"").decode())
    except ValueError as error:
        raise InputError(f"{path} is not an index: {error}; make it again{_AGAIN}") from None


def _index(columns: Mapping[str, Any], pack: str) -> ReferenceIndex:
    """An index of columns that lie in a file.

    Raises:
        ValueError: They contradict each other.
    """
    n = len(columns["clip_ids"])
    for values, ends in (
        ("frames", "frame_ends"),
        ("audio", "audio_ends"),
        ("hashes", "hash_ends"),
    ):
        steps = np.diff(columns[ends], prepend=0)
        if len(steps) != n or (steps < 0).any() or steps.sum() != len(columns[values]):
            raise ValueError(f"{ends} does not divide {values} among {n} clips")
    people, of = columns["people"], columns["people_clips"]
    if len(of) and (of.min() < 0 or of.max() >= n):
        raise ValueError("people_clips names clips that it does not hold")
    if bool(len(people)) != bool(len(of)) or (len(of) and len(people) % len(of)):
        raise ValueError(f"{len(people)} numbers are not embeddings of {len(of)} people")
    if not np.isfinite(people).all():
        raise ValueError("an embedding is not finite")
    ends, hashes = columns["hash_ends"], columns["hashes"]
    owners = np.repeat(np.arange(n, dtype=np.int64), np.diff(ends, prepend=0))
    frames = FrameHashes(hashes, owners, np.concatenate([[0], ends]).astype(np.int64))
    begins = columns["begins"].reshape(-1, n_keys(len(hashes)) + 1)
    orders = columns["orders"].reshape(len(begins), len(hashes))
    tables = KeptTables(frames, columns["masks"], begins, orders)
    if tables.faulty():
        raise ValueError("its tables are not those of its frames")
    embeddings = people.reshape(len(of), -1) if len(of) else _NOBODY
    return ReferenceIndex(columns["clip_ids"], _StoredPrints(columns), embeddings, of, pack, tables)
