"""Files behind URLs: object stores such as S3, through fsspec.

Where a command takes a folder or a file of another machine, its URL (``s3://bucket/work``) stands for a path:
`location_of` makes a `RemotePath` of it. Text is read in ranges. What decodes media needs a file in which it
can seek: `staged` copies an object into a temporary folder (`TMPDIR`) for as long as it is used, so that a
process holds one at a time. Whatever fails is a `StorageError` that names the place, except that what is
not there is a `FileNotFoundError`, as on a disk.
"""

from __future__ import annotations

import functools
import glob
import inspect
import io
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

import fsspec

from theval_datasets.errors import InputError, StorageError, ThevalError, UnsafePathError

from .files import disk_fault, safe_name, storage_errors
from .locks import is_running
from .optional import install_command

T = TypeVar("T")

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII | re.IGNORECASE)
_WEB: Final = frozenset({"http", "https", "ftp", "sftp"})
"""Protocols of the web: its addresses are checked where sources are fetched, and only there."""
_READ_BYTES: Final = 8 << 20
_TRIES: Final = 3
_WAIT: Final = 0.5  # seconds before the second try, twice as long before the third
_BROKEN: Final = frozenset(
    {"ConnectionError", "TimeoutError", "ClientConnectionError", "ClientPayloadError", "HTTPClientError"}
)  # fmt: skip
"""Classes of errors of the connection, those of aiohttp and botocore included: another try may succeed."""
_NO_FAULTS_OF_STORAGE: Final = (
    ThevalError, MemoryError, ValueError, TypeError, LookupError, AttributeError, AssertionError,
)  # fmt: skip
_SPOOL: Final = ".theval-spool"
_MODIFIED: Final = ("LastModified", "last_modified", "mtime", "updated", "created")
_ADVICE: Final = (
    "Check the address, the credentials and their rights, then run the same command again"
)


class Storage:
    """A folder, local or behind a URL that fsspec opens.

    Args:
        files: File system of fsspec.
        root: Path of the folder in it.
        name: Name of the folder in messages.
        advice: What to do about a fault, in messages.

    Attributes:
        local: Whether it is a folder of this machine.
        conditional: Whether it can store a file only where there is none.
    """

    def __init__(self, files: Any, root: str, name: str, advice: str = _ADVICE) -> None:
        self.files = files
        self.root = root
        self.local = "file" in _protocols(files)
        self.conditional = not self.local and "mode" in _options_of_put(files)
        self._name = name
        self._advice = advice

    @classmethod
    def at(cls, location: str, name: str, advice: str) -> Storage:
        """The folder at a path or URL, which may be a chain of URLs.

        Raises:
            InputError: Nothing opens URLs of this kind, or the package that does is not installed.
        """
        with _known(name):
            files, root = fsspec.core.url_to_fs(location, use_listings_cache=False)
        return cls(files, str(root), name, advice)

    @contextmanager
    def faults_named(self, done: str) -> Iterator[None]:
        """Raise faults of the storage as errors that name it; missing files stay what they are.

        Clients of object stores have errors of their own, such as those for missing credentials.

        Args:
            done: What cannot be done: ``read``, ``written``, ….
        """
        try:
            yield
        except _NO_FAULTS_OF_STORAGE:
            raise
        except FileNotFoundError as error:
            if done != "written":
                raise
            raise self._fault(done, error) from None
        except Exception as error:
            if self.local and not isinstance(error, OSError):
                raise
            raise self._fault(done, error) from None

    def _fault(self, done: str, error: Exception) -> StorageError:
        name = re.sub("^the ", "The ", self._name)
        return StorageError(f"{name} cannot be {done}: {error}. {self._advice}.")

    def put(self, file: Path, path: str, there: Callable[[], bool]) -> None:
        """Store a file, whole or not at all; faults are the store's own.

        Args:
            file: File of this machine.
            path: Path in the file system.
            there: Whether an intact file is there, which has the same content; it is then left alone.
        """
        if self.conditional:
            try:
                self.files.put_file(str(file), path, mode="create")
            except FileNotFoundError:
                raise
            except OSError:  # it exists, or this store knows no conditions
                if there():
                    return
            else:
                return
        self.files.put_file(str(file), path)


@contextmanager
def _known(name: str) -> Iterator[None]:
    """Raise for what nothing here opens."""
    try:
        yield
    except (ImportError, ValueError) as error:
        install = f"; {install_command('s3')}" if "s3fs" in str(error) else ""
        raise InputError(f"{name} cannot be opened: {error}{install}") from None


def _options_of_put(files: Any) -> Sequence[str]:
    """Names of the options with which a file system stores a file."""
    return tuple(inspect.signature(getattr(files, "_put_file", files.put_file)).parameters)


def _protocols(files: Any) -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


@dataclass(frozen=True, slots=True)
class Stat:
    """Size in bytes, and time of the last change in nanoseconds; 0 where a store does not tell it."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder behind a URL, with the methods of `Path` that are needed here.

    Attributes:
        location: The URL, without a slash at the end.

    Examples:
        >>> place = RemotePath("s3://bucket/work") / "clips/a.mp4"
        >>> str(place), place.name, place.suffix, str(place.parent)
        ('s3://bucket/work/clips/a.mp4', 'a.mp4', '.mp4', 's3://bucket/work/clips')
    """

    location: str

    def __str__(self) -> str:
        return self.location

    def __truediv__(self, relative: str) -> RemotePath:
        """A file or folder below this one."""
        return RemotePath(f"{self.location}/{relative}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.location.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Suffix of the name."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        """The folder that it lies in."""
        return RemotePath(self.location.rpartition("/")[0])

    def absolute(self) -> RemotePath:
        """Itself."""
        return self

    def stat(self) -> Stat:
        """Size and time of the object: one request.

        Raises:
            FileNotFoundError: There is none.
            StorageError: The store cannot be read.
        """
        storage = self.storage()
        with storage.faults_named("read"):
            return _stat(self._tried(lambda: storage.files.info(storage.root)))

    def is_file(self) -> bool:
        """Whether there is an object."""
        storage = self.storage()
        try:
            with storage.faults_named("read"):
                return bool(storage.files.info(storage.root)["type"] == "file")
        except FileNotFoundError:
            return False

    def exists(self) -> bool:
        """Whether there is an object."""
        return self.is_file()

    def is_symlink(self) -> bool:
        """Never: stores have no links."""
        return False

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        storage = self.storage()
        with storage.faults_named("read"):
            return bool(storage.files.isdir(storage.root))

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """A stream that reads ranges of the object, 8 MiB a request.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The store cannot be read.
        """
        if mode != "rb":
            raise ValueError(f"expected the mode rb, got {mode!r}")
        return io.BufferedReader(_Ranges(self), _READ_BYTES)

    def range(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`; one request."""
        storage = self.storage()
        with storage.faults_named("read"):
            data = self._tried(lambda: storage.files.cat_file(storage.root, start=start, end=end))
            return bytes(data)

    def below(self) -> dict[str, Stat]:
        """The objects below it by relative name: one request for a thousand.

        Raises:
            StorageError: The store cannot be read, or lists what is not below it.
        """
        storage = self.storage()
        with storage.faults_named("read"):
            found = self._tried(lambda: storage.files.find(storage.root, detail=True))
        begin = f"{storage.root.rstrip('/')}/"
        for path in found:
            if not path.startswith(begin):
                raise StorageError(f"{self} lists {path!r}, which is not below it")
        return {path.removeprefix(begin): _stat(info) for path, info in found.items()}

    def download(self, file: Path) -> None:
        """Copy the object into a file, which exists afterwards only if it is whole.

        An interrupted transfer begins again.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The store cannot be read, or the disk is full.
        """
        storage = self.storage()
        try:
            with storage.faults_named("read"):
                try:
                    self._tried(lambda: storage.files.get_file(storage.root, str(file)))
                except OSError as error:
                    raise disk_fault(error) or error from None
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def upload(self, file: Path, there: Callable[[], bool] = lambda: False) -> None:
        """Store a file here, whole or not at all; see `Storage.put`.

        Raises:
            StorageError: The store cannot be written to.
        """
        storage = self.storage()
        with storage.faults_named("written"):
            self._tried(lambda: storage.put(file, storage.root, there))

    def create(self, file: Path, there: Callable[[], bool]) -> None:
        """Like `upload`, but a file that is there is never replaced.

        Args:
            file: File of this machine.
            there: Whether the same file is there; it raises an error if another one is.
        """
        if self.storage().conditional or not there():
            self.upload(file, there)

    def remove(self) -> None:
        """Remove the object."""
        storage = self.storage()
        with storage.faults_named("changed"):
            storage.files.rm_file(storage.root)

    def storage(self) -> Storage:
        """What holds it; names below a folder are untrusted, and never a chain of URLs.

        Raises:
            InputError: See `Storage.at`.
        """
        with _known(self.location):
            kind = fsspec.get_filesystem_class(self.location.partition(":")[0].lower())
        options = kind._get_kwargs_from_urls(self.location)
        root = kind._strip_protocol(self.location)
        return Storage(kind(**options, use_listings_cache=False), str(root), self.location)

    def _tried(self, function: Callable[[], T]) -> T:
        """The result of a request, which is sent again when the connection breaks."""
        for number in range(1, _TRIES):
            try:
                return function()
            except Exception as error:
                if not _BROKEN & {kind.__name__ for kind in type(error).__mro__}:
                    raise
                time.sleep(_WAIT * number)
        return function()


Location = Path | RemotePath
"""A file or folder of this machine or behind a URL."""


class _Ranges(io.RawIOBase):
    """An object as a stream; what is read is asked for in one request."""

    def __init__(self, path: RemotePath) -> None:
        super().__init__()
        self._path = path
        self._size = path.stat().st_size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._place + len(buffer))
        if end <= self._place:
            return 0
        data = self._path.range(self._place, end)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def _stat(info: Mapping[str, Any]) -> Stat:
    when = next((info[key] for key in _MODIFIED if info.get(key) is not None), 0)
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    seconds = when.timestamp() if isinstance(when, datetime) else float(when)
    return Stat(int(info.get("size") or 0), round(seconds * 1e6) * 1000)


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether a text is a URL and not a path.

    Examples:
        >>> is_url("s3://bucket/work"), is_url("work"), is_url("/data/s3://x")
        (True, False, False)
    """
    return _URL.match(os.fspath(place)) is not None


def location_of(place: str | os.PathLike[str]) -> Location:
    """The file or folder that a path or URL names; it need not exist.

    Raises:
        InputError: It is an address of the web, or nothing here opens URLs of its kind.

    Examples:
        >>> location_of("work"), location_of("FILE:///data/work"), location_of("memory://work/")
        (PosixPath('work'), PosixPath('/data/work'), RemotePath(location='memory://work'))
    """
    text = os.fspath(place)
    match = _URL.match(text)
    if match is None:
        return Path(text)
    kind = match[1].lower()  # fsspec knows no others
    if kind in _WEB:
        raise InputError(
            f"expected a path or the URL of an object store (s3://…, gs://…, hf://…), got {text!r}"
        )
    remote = RemotePath(kind + text[len(kind) :].rstrip("/"))
    storage = remote.storage()
    return Path(storage.root) if storage.local else remote


def inside_of(folder: RemotePath, relative: str) -> RemotePath:
    """The object `relative` below a folder, refusing any path that leads out of it.

    Args:
        folder: Folder that the path may not leave.
        relative: Untrusted path, with ``/`` between its parts.

    Raises:
        UnsafePathError: For an absolute path, ``..``, an empty part or a NUL.

    Examples:
        >>> str(inside_of(RemotePath("s3://bucket/work"), "clips/a.mp4"))
        's3://bucket/work/clips/a.mp4'
    """
    parts = relative.split("/")
    if "\0" in relative or any(part in ("", ".", "..") for part in parts):
        raise UnsafePathError(f"expected a path below {folder}, got {relative!r}")
    return folder / relative


@contextmanager
def staged(place: Location) -> Iterator[Path]:
    """A file of this machine with the content of `place`: itself, or a copy that is removed at the end.

    Raises:
        FileNotFoundError: There is no such object.
        StorageError: The store cannot be read, or the disk is full.
    """
    if isinstance(place, Path):
        yield place
        return
    with spool_folder() as folder:
        file = folder / safe_name(place.name)
        place.download(file)
        yield file


@contextmanager
def spool_folder() -> Iterator[Path]:
    """A temporary folder, which is removed at the end.

    Raises:
        StorageError: The place for temporary files is full.

    Examples:
        >>> with spool_folder() as folder:
        ...     _ = (folder / "a.bin").write_bytes(b"1")
        >>> folder.exists()
        False
    """
    _sweep()
    begin = f"{_SPOOL}.{socket.gethostname()}.{os.getpid()}."
    with (
        storage_errors(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix=begin) as name,
    ):
        yield Path(name)


@functools.cache
def _sweep() -> None:
    """Remove what processes of this machine left that were killed."""
    begin = f"{_SPOOL}.{socket.gethostname()}."
    for left in Path(tempfile.gettempdir()).glob(f"{glob.escape(begin)}*"):
        process = left.name.removeprefix(begin).partition(".")[0]
        if process.isdigit() and not is_running(int(process)):
            shutil.rmtree(left, ignore_errors=True)
