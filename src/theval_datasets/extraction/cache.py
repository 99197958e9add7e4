"""The feature cache: content-addressed, written atomically, checked when read.

An entry is one file, ``EXTRACTOR/ab/KEY.feature``: a line with a checksum and JSON (the outcome, the
types and shapes of the arrays, the checksum of the rest), then the arrays' bytes compressed with zstd.
They form one frame or, for a long clip, one frame per `LARGE` bytes, so that they are never all in
memory. A hit reads the first line only.

The key covers everything that the values depend on and nothing else: the media's SHA-256, the extractor
with its version, parameters and weights, the decoder, and the same for every extractor that it reads.
Paths, times, thresholds and devices are not part of it. Several processes or machines may write at the
same time: equal keys mean equal bytes, and the last rename wins. Beside the entries,
``EXTRACTOR/DIGEST.json`` describes each specification, so that features can be read where their models
and the decoder are not installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from theval_datasets.errors import CacheError, StorageError
from theval_datasets.utils import spool
from theval_datasets.utils.files import atomic_write, canonical_json, digest
from theval_datasets.utils.stores import Storage

from .extractor import Extractor
from .outcomes import Array, Feature, Outcome, Status

FORMAT: Final = 1
_HEAD_BYTES: Final = 4096
_SAFE_KINDS: Final = "biufU"
_MOST_AXES: Final = 32
_LARGEST_PAYLOAD: Final = 4 << 30
_READ_BYTES: Final = 4 << 20
_ADVICE: Final = (
    "Name another with --cache, or change its rights, then run the same command again to go on"
)
_WORTHWHILE: Final = 1 << 16
"""Size of an entry's arrays in bytes above which those that are not wanted may be left out."""


def default_location() -> str:
    """Location of the cache: `THEVAL_CACHE`, else a folder in the user's cache.

    Examples:
        >>> default_location().endswith("features") or "THEVAL_CACHE" in os.environ
        True
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return os.environ.get("THEVAL_CACHE") or str(Path(home) / "theval-datasets" / "features")


_Size = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Everything but the clip that an extractor's values depend on: one half of every key.

    Attributes:
        extractor: Name of the extractor.
        digest: Digest of version, parameters, weights, decoder and the extractors that it reads.
        facts: The same in readable form, for `info.json` and cards.
    """

    extractor: str
    digest: str
    facts: Mapping[str, Any]


def spec_of(extractor: Extractor, decoder: str) -> FeatureSpec:
    """The specification of an extractor.

    Args:
        extractor: Extractor with its parameters.
        decoder: Names and versions of the decoding libraries.

    Raises:
        WeightsMissingError: Weights of it, or of an extractor that it reads, are not on this machine.
        MissingExtraError: A package of it, or of an extractor that it reads, is not installed.

    Examples:
        >>> from .extractor import Extractor
        >>> @dataclass(frozen=True)
        ... class Blur(Extractor):
        ...     name = "blur"
        ...     radius: int = 3
        >>> spec_of(Blur(radius=5), decoder="").facts["parameters"]
        {'radius': 5}
    """
    reads_media = extractor.frames is not None or extractor.needs_audio
    facts: dict[str, Any] = {
        "version": extractor.version,
        "parameters": extractor.parameters(),
        "weights": extractor.weights_id(),
        "decoder": decoder if reads_media else "",
        "needs": {need.name: spec_of(need, decoder).digest for need in extractor.needs()},
    }
    return FeatureSpec(extractor.name, digest({"name": extractor.name, **facts}), facts)


def key_of(spec: FeatureSpec, media_sha256: str) -> str:
    """The cache key of an extractor on a clip: 64 hex digits.

    Examples:
        >>> key_of(FeatureSpec("vad", "ab", {}), "cd")[:8]
        'ef7d2602'
    """
    return hashlib.sha256(f"{FORMAT}:{spec.digest}:{media_sha256}".encode()).hexdigest()


class Cache:
    """A folder of features, local or behind any fsspec URL.

    Args:
        location: A path or URL (``file:///shared/cache``). It is created at the first write.

    Raises:
        InputError: Nothing opens URLs of this kind, or the package that does is not installed.

    Examples:
        >>> cache = Cache("cache")
        >>> spec = FeatureSpec("blur", "00", {"version": 1})
        >>> cache.write(spec, "ab" * 32, Feature(Outcome("ok"), {"radius": np.array([1, 2])}))
        >>> cache.read(spec, "ab" * 32).values["radius"]
        array([1, 2])
        >>> cache.outcome(spec, "ab" * 32).status
        'ok'
        >>> cache.outcome(spec, "cd" * 32) is None
        True
        >>> Path(cache.absolute).is_absolute(), Cache("memory://cache").absolute
        (True, 'memory://cache')
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)
        self._storage = Storage.at(self.location, f"the cache {self.location}", _ADVICE)
        self._fs, self._root, self._local = (
            self._storage.files,
            self._storage.root,
            self._storage.local,
        )
        self._noted: set[str] = set()

    def __repr__(self) -> str:
        return f"Cache({self.location!r})"

    @property
    def absolute(self) -> str:
        """The location as another process needs it, whose working folder is another."""
        return str(self._root) if self._local else self.location

    def outcome(self, spec: FeatureSpec, media_sha256: str) -> Outcome | None:
        """The outcome stored for a clip; None for a miss. Reads the entry's first line only.

        Raises:
            StorageError: The cache cannot be read, which is not a miss.
        """
        key = key_of(spec, media_sha256)
        try:
            with self._storage.faults_named("read"):
                head = self._fs.cat_file(self._path(spec, key), start=0, end=_HEAD_BYTES)
                line, result, _ = head.partition(b"\n")
                if not result:
                    line = self._fs.cat_file(self._path(spec, key)).partition(b"\n")[0]
                return _parse_head(line, key).outcome
        except (FileNotFoundError, CacheError):
            return None

    def read(
        self, spec: FeatureSpec, media_sha256: str, until: str | None = None
    ) -> Feature | None:
        """The feature of a clip, checked against its checksum; None for a miss.

        Args:
            spec: Specification of the extractor.
            media_sha256: SHA-256 of the clip's file.
            until: Column after which the others of a large entry may be left out, which saves their
                decompression.

        Raises:
            CacheError: The entry is damaged; it is removed first, so that the next extraction repairs
                it.
            StorageError: The cache cannot be read, which is not a miss.
        """
        key = key_of(spec, media_sha256)
        path = self._path(spec, key)
        try:
            with self._storage.faults_named("read"), self._stream(path) as stream:
                return _decode(stream, key, until)
        except FileNotFoundError:
            return None
        except CacheError as error:
            with (
                contextlib.suppress(OSError, StorageError),
                self._storage.faults_named("changed"),
            ):  # on a read-only disk it stays, and stays a miss
                self._fs.rm_file(path)
            raise CacheError(
                f"The cache entry of {spec.extractor} at {path} is damaged ({error}) and was "
                "removed; run `theval-data extract` again."
            ) from None

    def write(self, spec: FeatureSpec, media_sha256: str, feature: Feature) -> None:
        """Store a feature, whole or not at all.

        Raises:
            StorageError: The cache cannot be written to.
        """
        self._note(spec)
        key = key_of(spec, media_sha256)
        self._put(
            self._path(spec, key),
            lambda stream: _encode(feature, key, stream),
            lambda: self.outcome(spec, media_sha256) is not None,
        )

    def specs(self, extractor: str) -> list[FeatureSpec]:
        """The specifications under which features of an extractor are stored, sorted by digest.

        Args:
            extractor: Name of the extractor.

        Raises:
            StorageError: The cache cannot be read.
        """
        specs: list[FeatureSpec] = []
        with self._storage.faults_named("read"):
            paths = sorted(self._fs.glob(f"{self._root}/{extractor}/*.json"))
            for path in paths:
                facts = _facts(self._fs.cat_file(path))
                name = PurePosixPath(path).stem
                if facts is not None and digest({"name": extractor, **facts}) == name:
                    specs.append(FeatureSpec(extractor, name, facts))
        return specs

    def _note(self, spec: FeatureSpec) -> None:
        """Record a specification, once."""
        if spec.digest in self._noted:
            return
        path = f"{self._root}/{spec.extractor}/{spec.digest}.json"

        def there() -> bool:
            with self._storage.faults_named("read"):
                return bool(self._fs.exists(path))

        if not there():
            text = canonical_json(spec.facts).encode()
            self._put(path, lambda stream: stream.write(text), there)
        self._noted.add(spec.digest)

    def _stream(self, path: str) -> Any:
        """An entry for reading; of an object store, a small one is read by one request."""
        if self._local:
            return Path(path).open("rb")
        start = self._fs.cat_file(path, start=0, end=_READ_BYTES)
        if len(start) < _READ_BYTES:
            return io.BytesIO(start)
        return self._fs.open(path, "rb")

    def _put(
        self, path: str, write: Callable[[IO[bytes]], object], there: Callable[[], bool]
    ) -> None:
        """Write a file, whole or not at all.

        Args:
            path: Path of the file.
            write: Writes the content.
            there: Whether an intact file is there, which has the same content.
        """
        if self._local:
            with atomic_write(Path(path)) as stream:
                write(stream)
            return
        with tempfile.NamedTemporaryFile() as entry:
            write(entry)
            entry.flush()
            with self._storage.faults_named("written"):
                self._storage.put(Path(entry.name), path, there)

    def _path(self, spec: FeatureSpec, key: str) -> str:
        return f"{self._root}/{spec.extractor}/{key[:2]}/{key}.feature"


def _facts(data: bytes) -> dict[str, Any] | None:
    """The facts of a specification; None if they are damaged."""
    try:
        facts = json.loads(data)
    except ValueError:
        return None
    known = {"version", "parameters", "weights", "decoder", "needs"}
    return facts if isinstance(facts, dict) and set(facts) == known else None


class _Head(msgspec.Struct, frozen=True):
    """The first line of an entry. It is untrusted, although its checksum may be right."""

    format: int
    key: str
    status: Status
    reason: str | None
    detail: str | None
    missing: dict[str, str]
    arrays: list[tuple[str, str, list[_Size]]]
    n_raw: _Size
    sha256: str

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.status, self.reason, self.detail, self.missing)


_HEAD: Final = msgspec.json.Decoder(_Head)


def _encode(feature: Feature, key: str, stream: IO[bytes]) -> None:
    """Write an entry."""
    arrays: list[tuple[str, str, list[int]]] = []
    parts: list[Array] = []
    for name in sorted(feature.values):
        array = np.asarray(feature.values[name])
        if array.dtype.kind not in _SAFE_KINDS:
            raise TypeError(
                f"column {name!r} has type {array.dtype}, which the cache does not hold"
            )
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        arrays.append((name, little.dtype.str, list(array.shape)))
        flat = np.ascontiguousarray(little).reshape(-1)
        parts.append(flat.view(np.uint8) if flat.size else np.zeros(0, np.uint8))
    outcome = feature.outcome
    with tempfile.SpooledTemporaryFile(max_size=spool.LARGE) as payload:
        checksum = hashlib.sha256()
        for raw in _pieces(parts):
            frame = pa.compress(raw, codec="zstd", asbytes=True)
            checksum.update(frame)
            payload.write(frame)
        head = {
            "format": FORMAT,
            "key": key,
            "status": outcome.status,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "missing": dict(outcome.missing),
            "arrays": arrays,
            "n_raw": sum(part.nbytes for part in parts),
            "sha256": checksum.hexdigest(),
        }
        line = canonical_json(head).encode()
        stream.write(hashlib.sha256(line).hexdigest().encode() + b" " + line + b"\n")
        payload.seek(0)
        shutil.copyfileobj(payload, stream)


def _pieces(parts: Sequence[Array]) -> Iterator[bytes]:
    """The bytes of all arrays: in one piece if they are small, else block by block."""
    if sum(part.nbytes for part in parts) <= spool.LARGE:
        if raw := b"".join(part.data for part in parts):
            yield raw
        return
    for part in parts:
        for block in spool.blocks(part, spool.LARGE):
            yield block.tobytes()


def _parse_head(line: bytes, key: str) -> _Head:
    checksum, _, text = line.partition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != checksum:
        raise CacheError("its first line does not match its checksum")
    try:
        head = _HEAD.decode(text)
        if head.format != FORMAT or head.key != key:
            raise CacheError(f"it is of format {head.format} for key {head.key}")
        head.outcome  # noqa: B018  # raises for a reason that does not go with the status
    except ValueError as error:
        raise CacheError(f"its first line is not of this format: {error}") from None
    return head


def _decode(stream: IO[bytes], key: str, until: str | None = None) -> Feature:
    """Read an entry, see `Cache.read`; the arrays of a long clip lie in a temporary file."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise CacheError("it has no first line")
    head = _parse_head(line[:-1], key)
    start = stream.tell()
    checksum = hashlib.sha256()
    payload = stream.read(_READ_BYTES)
    checksum.update(payload)
    whole = len(payload) < _READ_BYTES
    while not whole and (block := stream.read(_READ_BYTES)):
        checksum.update(block)
    if checksum.hexdigest() != head.sha256:
        raise CacheError("its bytes do not match their checksum")
    if head.n_raw > _LARGEST_PAYLOAD:
        raise CacheError(f"it claims {head.n_raw} bytes")
    places: dict[str, tuple[int, int, np.dtype[Any], list[int]]] = {}
    end = 0
    for name, dtype_text, shape in head.arrays:
        try:
            dtype = np.dtype(dtype_text)
        except (TypeError, ValueError):
            raise CacheError(f"column {name!r} has the unknown type {dtype_text!r}") from None
        if dtype.kind not in _SAFE_KINDS or not dtype.itemsize or len(shape) > _MOST_AXES:
            raise CacheError(f"column {name!r} has type {dtype} and {len(shape)} axes")
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        places[name] = begin, end, dtype, shape
    if end != head.n_raw:
        raise CacheError(f"it holds {end} bytes where it claims {head.n_raw}")
    n_wanted = places[until][1] if until in places else 0
    if whole and until is not None and head.n_raw > _WORTHWHILE > n_wanted:
        with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as frame:
            raw = np.frombuffer(frame.read(n_wanted), np.uint8)
        places = {name: place for name, place in places.items() if place[1] <= n_wanted}
    elif whole and head.n_raw <= spool.LARGE:
        raw = _decompressed(io.BytesIO(payload), head.n_raw)
    else:
        stream.seek(start)
        raw = _decompressed(stream, head.n_raw)
    values = {
        name: raw[begin:end].view(dtype).reshape(shape)
        for name, (begin, end, dtype, shape) in places.items()
    }
    return Feature(head.outcome, values, whole=len(values) == len(head.arrays))


def _decompressed(stream: IO[bytes], n_raw: int) -> Array:
    """The arrays' bytes as one array of uint8, (n_raw,)."""
    if n_raw <= spool.LARGE:
        payload = stream.read()
        if not payload:
            return np.zeros(0, np.uint8)
        raw = pa.decompress(payload, decompressed_size=n_raw, codec="zstd", asbytes=True)
        return np.frombuffer(raw, np.uint8)
    unpacked = spool.Spool((), np.uint8)
    with pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd") as frames:
        while len(unpacked) < n_raw and (block := frames.read(_READ_BYTES)):
            unpacked.extend(np.frombuffer(block, np.uint8))
    array = unpacked.array()
    if len(array) != n_raw:
        raise CacheError(f"it holds {len(array)} bytes where it claims {n_raw}")
    return array
