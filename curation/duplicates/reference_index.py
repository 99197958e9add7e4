"""Reference indexes: clips of other sets, from which a new set has to be disjoint.

An index is a JSONL file with one line per clip: fingerprints and embeddings, without media, and without
any name but the clip's id.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.extraction.weights import content_hash
from theval_datasets.features.faces import Faces
from theval_datasets.features.fingerprints import from_hex, to_hex
from theval_datasets.features.people.pack import need_recogniser
from theval_datasets.utils.jsonl import read_records, write_records
from theval_datasets.utils.records import Int64, Record

from .matching import Prints

FORMAT: Final = 1
_LARGEST: Final = 8 << 30


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


class _Line(Record, frozen=True):
    clip_id: str
    frames: str
    audio: str
    people: str
    dim: Int64
    pack: str
    format: Int64


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
    """
    lines = [
        _Line(
            clip_id=reference.clip_id,
            frames=to_hex(reference.prints.frames),
            audio=to_hex(reference.prints.audio),
            people=base64.b64encode(reference.people.astype("<f4").tobytes()).decode(),
            dim=int(reference.people.shape[1]) if reference.people.size else 0,
            pack=reference.pack,
            format=FORMAT,
        )
        for reference in sorted(references, key=lambda r: r.clip_id)
    ]
    write_records(path, lines)
    return len(lines)


def read_index(path: Path) -> list[ReferenceClip]:
    """Read an index.

    Raises:
        InputError: There is no such file, or a line of it is malformed; the message names it.
    """
    if not path.is_file():
        raise InputError(
            f"there is no index {path}; `theval-data index MANIFEST -o {path}` makes one"
        )
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path} has {path.stat().st_size} bytes: it is not an index")
    return [_reference(line, where) for where, line in read_records(path, _Line)]


def _reference(line: _Line, where: str) -> ReferenceClip:
    if line.format != FORMAT:
        raise InputError(
            f"{where}: expected format {FORMAT}, got {line.format}; make the index again"
        )
    try:
        prints = Prints(from_hex(line.frames, np.uint64), from_hex(line.audio, np.uint32))
        raw = np.frombuffer(base64.b64decode(line.people, validate=True), "<f4")
        people = raw.reshape(-1, line.dim) if line.dim else np.zeros((0, 0), np.float32)
    except ValueError as error:
        raise InputError(f"{where}: not a line of an index: {error}") from None
    if not np.isfinite(people).all():
        raise InputError(f"{where}: an embedding is not finite")
    return ReferenceClip(line.clip_id, prints, people.astype(np.float32), line.pack)
