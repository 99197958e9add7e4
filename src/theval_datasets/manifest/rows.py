"""The manifest: one JSON line a clip, with all that is needed to make the clip again.

Paths are relative to the manifest's folder, so that the folder can be moved whole. Times are
seconds. A manifest is untrusted input: every row is checked, and no path leaves its root.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, overload

import msgspec
import numpy as np
import numpy.typing as npt

from theval_datasets.errors import ManifestError
from theval_datasets.media.facts import MediaFacts, SourcePicture
from theval_datasets.utils.files import atomic_write, canonical_json, inside
from theval_datasets.utils.jsonl import read_records
from theval_datasets.utils.records import Int64, Record, Scalar, from_json, to_plain
from theval_datasets.utils.stores import Location, RemotePath, inside_of

MANIFEST_NAME: Final = "manifest.jsonl"
REJECTED_NAME: Final = "rejected.jsonl"
_ALWAYS: Final = frozenset({"clip_id", "path", "source", "sha256"})
"""Keys that every row has, even if their value is null."""


class Source(Record, frozen=True):
    """The source of a clip.

    Attributes:
        kind: `local` for a file below the root, `url` for an address.
        location: Path relative to the root, or URL.
        site: Extractor and id at the site, such as ``youtube:dQw4w9WgXcQ``.
        title: Title at the site.
        channel: Channel that published it.
        license: Licence stated by the site or the curator; None if unstated.
        language: ISO 639-1 code, declared or detected.
        upload_date: Date of publication, YYYY-MM-DD.
        fetched_at: Time of the download, ISO 8601; None for local files.
        sha256: SHA-256 of the fetched file, before any cut.
    """

    kind: Literal["local", "url"]
    location: str
    site: str | None = None
    title: str | None = None
    channel: str | None = None
    license: str | None = None
    language: str | None = None
    upload_date: str | None = None
    fetched_at: str | None = None
    sha256: str | None = None


class FileStamp(Record, frozen=True):
    """Size and modification time of a clip's file: while they agree, it is not hashed again."""

    size: Int64
    mtime_ns: Int64


class Judgement(Record, frozen=True):
    """Verdict of one filter on a clip.

    Attributes:
        filter: Name of the filter.
        verdict: `keep`, `reject` or `undecided`.
        reason: Slug; None when kept.
        measured: Values that it judged, by name.
    """

    filter: str
    verdict: Literal["keep", "reject", "undecided"]
    reason: str | None = None
    measured: Mapping[str, Scalar] = msgspec.field(default_factory=dict)


SpokenTurn = tuple[float, float, Int64]
"""Start and end in seconds into the clip; number of the person who speaks."""

Box = tuple[float, float, float, float, float]
"""Seconds into the clip; left, top, width and height of a box."""


class Region(Record, frozen=True):
    """Part of the source's picture that a clip of a list or of a person shows, whatever the source's size.

    Either `boxes` or `centre` is given. Moving boxes become a window with the size of the largest box, which
    follows their centres; between two boxes it is interpolated.

    Attributes:
        boxes: Time in the clip in seconds, left, top, width and height of each box; a single one if the box
            does not move.
        width: Width of the picture to which the boxes refer; 1 for shares of it; None to scale boxes by the
            height only.
        height: Height of the picture to which the boxes refer; None, with no width, for pixels of the source
            as it is fetched.
        centre: x and y of the centre of the largest square of the picture, as shares of its width and
            height.
    """

    boxes: tuple[Box, ...] = ()
    width: float | None = None
    height: float | None = None
    centre: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if bool(self.boxes) == (self.centre is not None):
            raise ManifestError("expected either boxes or a centre as region")
        if not all(math.isfinite(value) for box in self.boxes for value in box):
            raise ManifestError("expected finite numbers in the boxes of a region")
        times = [box[0] for box in self.boxes]
        if any(a >= b for a, b in itertools.pairwise(times)):
            raise ManifestError("expected boxes of a region in order of their time")
        if not all(box[3] > 0 and box[4] > 0 for box in self.boxes):
            raise ManifestError("expected boxes of a region with a width and height above 0")
        sizes = [size for size in (self.width, self.height) if size is not None]
        if not all(0 < size < math.inf for size in sizes) or (self.width and not self.height):
            raise ManifestError(
                f"expected the size of a region's picture, got {self.width} and {self.height}"
            )
        if self.centre is not None and not all(0 <= share <= 1 for share in self.centre):
            raise ManifestError(f"expected the centre of a region in 0 to 1, got {self.centre}")


class ListEntry(Record, frozen=True):
    """Entry of a clip list, without address and span.

    Attributes:
        format: Format of the list: `hdtf`, `celebv-hq`, ….
        id: Id in the list.
        place: Place of the entry: file and line, or key.
        width: Width of the source's picture as stated in the list, in pixels.
        height: Height of the source's picture as stated in the list, in pixels.
        frames: First frame and the frame after the last, counted from the first keyframe at or after
            `start`, if the list counts frames instead of seconds.
        attributes: All other properties in the list, by name.
    """

    format: str
    id: str
    place: str
    width: Int64 | None = None
    height: Int64 | None = None
    frames: tuple[Int64, Int64] | None = None
    attributes: Mapping[str, Scalar | list[Scalar]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.frames is not None and not 0 <= self.frames[0] < self.frames[1]:
            raise ManifestError(f"expected 0 <= first < last of frames, got {self.frames}")


class ManifestRow(Record, frozen=True):
    """One clip.

    Attributes:
        clip_id: Unique name; also the stem of its files.
        path: Clip file, relative to the manifest; None if there is none (a dead source).
        source: Source of the clip.
        sha256: SHA-256 of the clip file; None if there is none.
        start: Start in the source, in seconds.
        end: End in the source, in seconds; None for the whole source.
        crop: x, y, width, height in pixels of the source; None for the whole picture.
        region: Part of the picture that a clip of a list or of a person shows, instead of `crop`.
        listed: Entry of the clip list; None for clips of other origin.
        person: Number of the person whom the clip shows, among those of its scene; None for other clips.
        turns: Turns of speech in the clip of a person: start and end in seconds in the clip, and number of
            the speaking person of the scene.
        audible: Start and end, in seconds in the clip, of the spans whose sound is kept, the rest being
            silent; None if all sound is kept.
        phash: Perceptual hash over time, hex.
        audio_print: Fingerprint of the sound over time, hex.
        media: Facts of the file: duration, frame rate, size, …
        source_picture: Storage format of the pictures of a cut clip's source; None for a file that was not
            cut, and in manifests of earlier versions.
        reference_frame: Image of the reference frame, relative to the manifest.
        reference_time: Time of the reference frame in the clip, in seconds.
        audio: Audio as 16 kHz mono, relative to the manifest.
        audio_original: Audio with its original rate and channels, relative to the manifest.
        audio_channel: Number, from 0, of the only channel in `audio`, where channels are in opposite
            phase and a mix would lose speech; None for a mix of all.
        audio_gain: Gain in dB of `audio` relative to the sound that features are computed of, where a mix of more than
            two channels would exceed full scale; None for 0.
        tracks: Facts of each person.
        difficulty: Difficulty: Easy, Medium or Hard.
        split: Split of a built dataset.
        judgements: Verdicts of the filters.
        reason: Reason of the rejection, or of the failure of its source; None for kept clips.
        tools: Versions that the bytes depend on: encoder binary, threads, decoder.
        recipe: Name and hash of the recipe.
        stamp: Size and modification time of the clip file.

    Examples:
        >>> row = ManifestRow("talk", None, Source("url", "https://example.org/talk"), None, end=2.5)
        >>> row.to_json()
        '{"clip_id":"talk","end":2.5,"path":null,"sha256":null,"source":{...},"start":0.0}'
        >>> row.to_be_made  # it is of no list
        False
    """

    clip_id: str
    path: str | None
    source: Source
    sha256: str | None
    start: float = 0.0
    end: float | None = None
    crop: tuple[Int64, Int64, Int64, Int64] | None = None
    phash: str | None = None
    audio_print: str | None = None
    media: MediaFacts | None = None
    source_picture: SourcePicture | None = None
    reference_frame: str | None = None
    reference_time: float | None = None
    audio: str | None = None
    audio_original: str | None = None
    audio_channel: Int64 | None = None
    tracks: tuple[Mapping[str, Scalar | list[Scalar]], ...] = ()
    difficulty: str | None = None
    split: str | None = None
    judgements: tuple[Judgement, ...] = ()
    reason: str | None = None
    tools: Mapping[str, str | Int64] = msgspec.field(default_factory=dict)
    recipe: str | None = None
    stamp: FileStamp | None = None
    region: Region | None = None
    listed: ListEntry | None = None
    person: Int64 | None = None
    turns: tuple[SpokenTurn, ...] = ()
    audible: tuple[tuple[float, float], ...] | None = None
    audio_gain: float | None = None

    def __post_init__(self) -> None:
        if not self.clip_id or self.clip_id.startswith("/") or ".." in self.clip_id.split("/"):
            raise ManifestError(f"expected a relative name as clip_id, got {self.clip_id!r}")
        if not 0 <= self.start < (math.inf if self.end is None else self.end):
            raise ManifestError(f"expected 0 <= start < end, got {self.start} and {self.end}")
        if self.reference_time is not None and self.reference_time < 0:
            raise ManifestError(
                f"expected a reference_time of 0 or more, got {self.reference_time}"
            )
        if self.sha256 is not None and not _is_hash(self.sha256):
            raise ManifestError(f"expected 64 hex digits as sha256, got {self.sha256!r}")
        if self.crop is not None and self.region is not None:
            raise ManifestError("expected either a crop or a region")
        for start, end in (*(turn[:2] for turn in self.turns), *(self.audible or ())):
            if not 0 <= start < end < math.inf:
                raise ManifestError(f"expected 0 <= start < end of turns, got {start} and {end}")
        if any(a[1] > b[0] for a, b in itertools.pairwise(self.audible or ())):
            raise ManifestError("expected audible spans in order of their time, without overlap")

    @property
    def to_be_made(self) -> bool:
        """Whether it is of a list whose clips nobody made yet: there is nothing to compare with."""
        return self.listed is not None and self.sha256 is None and self.reason is None

    def to_json(self) -> str:
        """The row as one line; absent values are left out."""
        plain = to_plain(self)
        return canonical_json(
            {
                k: v
                for k, v in plain.items()
                # a clip without any audible span is silent; one that does not name them is not
                if k in _ALWAYS or v not in (None, [], {}) or (k == "audible" and v is not None)
            }
        )


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)


@dataclass(frozen=True, slots=True)
class StoredRows(Sequence[ManifestRow]):
    """Rows of a manifest that are read from its file whenever they are needed.

    Attributes:
        file: The manifest's file, of this machine or behind a URL.
        places: Position of each row in the file, in bytes; int64 (n,).
        stamp: Size and modification time of the file when it was checked.
    """

    file: Location
    places: npt.NDArray[np.int64]
    stamp: FileStamp

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, number: int) -> ManifestRow: ...
    @overload
    def __getitem__(self, number: slice) -> StoredRows: ...
    def __getitem__(self, number: int | slice) -> ManifestRow | StoredRows:
        """A row, or the rows of a slice."""
        if isinstance(number, slice):
            return self.at(number)
        (row,) = self.at([range(len(self))[number]])
        return row

    def at(self, numbers: Any) -> StoredRows:
        """Some of the rows, by their numbers: a slice, or an array of them."""
        return StoredRows(self.file, self.places[numbers], self.stamp)

    def __iter__(self) -> Iterator[ManifestRow]:
        """The rows one by one; one at a time is in memory.

        Raises:
            ManifestError: If the file was changed since it was checked.
        """
        try:
            with self.file.open("rb") as stream:
                if _stamp(self.file) != self.stamp:
                    raise ManifestError(
                        f"{self.file} was changed while it was in use; run this again"
                    )
                for place in self.places.tolist():
                    stream.seek(place)
                    yield parse_row(stream.readline(), f"{self.file.name}, byte {place}")
        except OSError as refused:
            raise ManifestError(
                f"{self.file} cannot be read: {refused.strerror or refused}"
            ) from None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows and the folder that their paths are relative to.

    Examples:
        >>> row = ManifestRow("talk", "clips/talk.mp4", Source("local", "talk.mp4"), None)
        >>> manifest = Manifest(Path("work"), (row,))
        >>> manifest.file(row).parts[-3:], manifest.inside("frames/talk.png").name
        (('work', 'clips', 'talk.mp4'), 'talk.png')
    """

    folder: Path
    rows: Sequence[ManifestRow]

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, row: ManifestRow) -> Path | None:
        """Path of the clip's file, which need not exist; None for a row without a file.

        Raises:
            UnsafePathError: If the row's path leads out of the manifest's folder.
        """
        return None if row.path is None else self.inside(row.path)

    def inside(self, relative: str) -> Path:
        """A file beside the manifest, by its path in a row, with slashes of either kind.

        Raises:
            UnsafePathError: If the path leads out of the manifest's folder.
        """
        path = inside(self.folder, relative)
        if "\\" in relative and not path.exists():
            path = inside(self.folder, relative.replace("\\", "/"))
        return path


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest whose rows stay in its file, in order of `clip_id`; it may lie behind a URL."""

    folder: Location
    rows: StoredRows

    def __len__(self) -> int:
        return len(self.rows)

    def file(self, row: ManifestRow) -> Location | None:
        """See `Manifest.file`."""
        return None if row.path is None else self.inside(row.path)

    def inside(self, relative: str) -> Location:
        """See `Manifest.inside`."""
        if isinstance(self.folder, RemotePath):
            return inside_of(self.folder, relative.replace("\\", "/"))
        return Manifest(self.folder, self.rows).inside(relative)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Args:
        path: The file, or a folder with a `manifest.jsonl` in it.

    Raises:
        ManifestError: With file and line, for a line that is not a row or an id that occurs twice.

    Examples:
        >>> source = Source("local", "talk.mp4")
        >>> write_manifest(Path("manifest.jsonl"), [ManifestRow("talk", "talk.mp4", source, None)])
        >>> [row.clip_id for row in read_manifest(Path()).rows]
        ['talk']
    """
    file = _file_of(path)
    return Manifest(file.parent, tuple(read_rows(file)))


def open_manifest(path: Location) -> StoredManifest:
    """Check a manifest of any size, without holding its rows.

    Args:
        path: See `read_manifest`; it may lie behind a URL, where a file is told by its suffix ``.jsonl``.

    Raises:
        ManifestError: See `read_manifest`.
        StorageError: The store behind the URL cannot be read.

    Examples:
        >>> rows = [ManifestRow(name, None, Source("local", f"{name}.mp4"), None) for name in "ba"]
        >>> write_manifest(Path("manifest.jsonl"), rows)
        >>> manifest = open_manifest(Path("manifest.jsonl"))
        >>> len(manifest), manifest.rows[1].clip_id
        (2, 'b')
    """
    file = _file_of(path) if isinstance(path, Path) else _remote_file_of(path)
    stamp = _stamp(file)
    places = array("q")
    before, ordered = "", True
    for place, row in _placed_rows(file):
        places.append(place)
        ordered = ordered and before < row.clip_id
        before = row.clip_id
    rows = StoredRows(file, np.frombuffer(places, np.int64), stamp)
    if not ordered:
        ids = [row.clip_id for row in rows]
        rows = rows.at(sorted(range(len(ids)), key=ids.__getitem__))
    return StoredManifest(file.parent, rows)


def _file_of(path: Path) -> Path:
    file = path / MANIFEST_NAME if path.is_dir() else path
    if not file.is_file():
        raise ManifestError(
            f"there is no manifest at {file}; `theval-data curate FOLDER --recipe as-is -o DIR` makes one"
        )
    return file


def _remote_file_of(path: RemotePath) -> RemotePath:
    file = path if path.suffix == ".jsonl" else path / MANIFEST_NAME
    try:
        file.stat()
    except FileNotFoundError as error:
        raise ManifestError(f"there is no manifest at {file}: {error}") from None
    return file


def _stamp(file: Location) -> FileStamp:
    stat = file.stat()
    return FileStamp(stat.st_size, stat.st_mtime_ns)


def read_rows(file: Path) -> Iterator[ManifestRow]:
    """Rows of a JSON-lines file, checked one by one; blank lines are skipped.

    Raises:
        ManifestError: With file and line, for a line that is not a row, and at the end for an id that
            occurs twice.

    Examples:
        >>> source = Source("local", "talk.mp4")
        >>> write_manifest(Path("rejected.jsonl"), [ManifestRow("talk", None, source, None, reason="short")])
        >>> [row.reason for row in read_rows(Path("rejected.jsonl"))]
        ['short']
    """
    return (row for _, row in _placed_rows(file))


def _placed_rows(file: Location) -> Iterator[tuple[int, ManifestRow]]:
    """Each row of a file with its position in bytes; eight bytes a row are held."""
    hashes = array("q")
    place = 0
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if not line.isspace():
                    row = parse_row(line, f"{file.name}:{number}")
                    hashes.append(hash(row.clip_id))
                    yield place, row
                place += len(line)
    except OSError as refused:
        raise ManifestError(f"{file} cannot be read: {refused.strerror or refused}") from None
    if len(np.unique(np.frombuffer(hashes, np.int64))) < len(hashes):
        _refuse_doubles(file)


def _refuse_doubles(file: Location) -> None:
    """Raise for the first id that occurs twice; equal hashes of different ids are none."""
    places: dict[str, str] = {}
    for where, row in read_records(file, ManifestRow, error=ManifestError):
        earlier = places.setdefault(row.clip_id, where)
        if earlier is not where:
            line = earlier.rpartition(":")[2]
            raise ManifestError(f"{where}: clip_id {row.clip_id!r} is already on line {line}")


def parse_row(line: str | bytes, where: str) -> ManifestRow:
    """One line as a row.

    Raises:
        ManifestError: If it is not a row of a manifest.

    Examples:
        >>> import json
        >>> source = {"kind": "local", "location": "a.mp4"}
        >>> line = json.dumps({"clip_id": "a", "path": "a.mp4", "sha256": None, "source": source})
        >>> row = parse_row(line, "manifest.jsonl:1")
        >>> row.clip_id, row.start, row.end
        ('a', 0.0, None)
    """
    return from_json(ManifestRow, line, where, error=ManifestError)


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Write rows in order of `clip_id`, whole or not at all.

    Examples:
        >>> row = ManifestRow("talk", "talk.mp4", Source("local", "talk.mp4"), None)
        >>> write_manifest(Path("manifest.jsonl"), [row])
        >>> read_manifest(Path("manifest.jsonl")).rows == (row,)
        True
    """
    write_ordered_manifest(path, sorted(rows, key=lambda row: row.clip_id))


def write_ordered_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Write rows that come in order of `clip_id`, one at a time, whole or not at all.

    Raises:
        ManifestError: If they come in another order.
    """
    before = ""
    with atomic_write(path) as stream:
        for row in rows:
            if row.clip_id < before:
                raise ManifestError(
                    f"{row.clip_id!r} comes after {before!r}: expected rows in order"
                )
            before = row.clip_id
            stream.write(row.to_json().encode() + b"\n")
