"""What readers of clip lists share: entries, faults of entries, checks of what they hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from theval_datasets.errors import InputError, ManifestError, UnsafePathError
from theval_datasets.manifest.rows import Region
from theval_datasets.utils.records import Scalar
from theval_datasets.utils.text import one_line

from ..sources.fetching.address import check_url

YOUTUBE: Final = "https://www.youtube.com/watch?v={id}"
"""Address of a video of YouTube by its id."""
_YOUTUBE_ID: Final = re.compile(r"[\w-]{11}", re.ASCII)
_VIDEO_ID: Final = re.compile(r"[\w-]{1,64}", re.ASCII)
_YOUTUBE_URL: Final = re.compile(
    r"https?://(?:(?:www|m|music)\.)?(?:youtube\.com/(?:watch\?(?:[^#]*&)?v=|shorts/|embed/|live/)"
    r"|youtu\.be/)(?P<id>[\w-]{11})(?:[?&#/].*)?",
    re.ASCII,
)
_LARGEST: Final = 4 << 30  # bytes of a list
_TEXT: Final = 2000  # characters of an attribute that are kept

Attributes = Mapping[str, Scalar | list[Scalar]]


class EntryError(InputError):
    """What is wrong with one entry of a list.

    Args:
        reason: Slug.
        detail: The same in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list, not yet checked.

    Attributes:
        id: The list's own id, or what stands in its place.
        place: File and line, or key.
        value: As the reader's `clip` takes it.
    """

    id: str
    place: str
    value: Any


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip as a list names it.

    Attributes:
        url: Address of its source.
        start: Seconds into the source.
        end: Seconds into the source; None for its end.
        region: The part of the picture.
        width: Of the source's picture as the list knows it, px.
        height: The same.
        frames: See `ListEntry.frames`.
        attributes: Everything else.
    """

    url: str
    start: float = 0.0
    end: float | None = None
    region: Region | None = None
    width: int | None = None
    height: int | None = None
    frames: tuple[int, int] | None = None
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class ListReader:
    """Base of the readers.

    Attributes:
        address: Address of a source by its id, with ``{id}`` in it, for lists that name ids only.
    """

    address: str = YOUTUBE

    NAME: ClassVar[str]
    """Of the format, as commands take it."""

    def __post_init__(self) -> None:
        if self.address.count("{id}") != 1:
            raise InputError(f"expected an address with {{id}} once in it, got {self.address!r}")
        check_url(self.address.replace("{id}", "x"))

    def entries(self, path: Path) -> Iterator[Entry]:
        """The entries of a list, in its order.

        Args:
            path: A file or folder, as the format has it.

        Raises:
            InputError: It is no list of this format.
        """
        raise NotImplementedError

    def clip(self, value: Any) -> ListedClip:
        """What an entry says.

        Args:
            value: Of the entry.

        Raises:
            EntryError: It is wrong or lacks something.
        """
        raise NotImplementedError

    def url_of(self, video_id: Any) -> str:
        """The address of a source by its id.

        Raises:
            EntryError: It can be no id.
        """
        pattern = _YOUTUBE_ID if self.address == YOUTUBE else _VIDEO_ID
        if not isinstance(video_id, str) or not pattern.fullmatch(video_id):
            raise EntryError("bad-source", f"expected the id of a video, got {shown(video_id)}")
        return url(self.address.replace("{id}", video_id))


def checked(reader: ListReader, entry: Entry) -> ListedClip:
    """The clip of an entry.

    Raises:
        EntryError: With the reason, for whatever is wrong with it.
    """
    try:
        return reader.clip(entry.value)
    except UnsafePathError as error:
        raise EntryError("unsafe", str(error)) from None
    except ManifestError as error:
        raise EntryError("bad-crop", str(error)) from None


def url(text: Any) -> str:
    """An address of a source in its one spelling: one video of YouTube has one address.

    Raises:
        EntryError: It is no address that may be fetched.

    Examples:
        >>> url("https://www.youtube.com/watch?v=uBWJJvynXpA&t=6s")
        'https://www.youtube.com/watch?v=uBWJJvynXpA'
    """
    if not isinstance(text, str) or not text.strip():
        raise EntryError("no-source", "the list names no address for it")
    match = _YOUTUBE_URL.fullmatch(text.strip())
    if match:
        return YOUTUBE.replace("{id}", match["id"])
    try:
        return check_url(text.strip())
    except UnsafePathError as error:
        raise EntryError("bad-source", str(error)) from None


def number(value: Any, name: str) -> float:
    """A finite number.

    Raises:
        EntryError: It is none.

    Examples:
        >>> number("1.5", "start")
        1.5
    """
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        converted = float(value)
        if not math.isfinite(converted):
            raise ValueError
    except (ValueError, OverflowError):
        raise EntryError("bad-number", f"expected a number as {name}, got {shown(value)}") from None
    return converted


def pixels(value: Any, name: str) -> int:
    """A size in pixels.

    Raises:
        EntryError: It is none.
    """
    size = number(value, name)
    if not (size.is_integer() and 1 <= size <= 1 << 16):
        raise EntryError("bad-size", f"expected pixels as {name}, got {shown(value)}")
    return int(size)


def span(start: Any, end: Any) -> tuple[float, float]:
    """Seconds at which a clip begins and ends.

    Raises:
        EntryError: They are no numbers, negative, or in the wrong order.
    """
    first, last = number(start, "start"), number(end, "end")
    if not 0 <= first < last:
        raise EntryError("bad-span", f"expected 0 <= start < end, got {first:g} and {last:g} s")
    return first, last


def corners(top: Any, bottom: Any, left: Any, right: Any) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box that is given by its edges.

    Raises:
        EntryError: They are no numbers, or in the wrong order.
    """
    names = ("left", "top", "right", "bottom")
    values = [number(v, name) for name, v in zip(names, (left, top, right, bottom), strict=True)]
    wide, high = values[2] - values[0], values[3] - values[1]
    if wide <= 0 or high <= 0:
        edges = ", ".join(f"{name} {value:g}" for name, value in zip(names, values, strict=True))
        raise EntryError(
            "bad-crop", f"expected a box with left < right and top < bottom, got {edges}"
        )
    return values[0], values[1], wide, high


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """A mapping of JSON.

    Raises:
        EntryError: It is none.
    """
    if not isinstance(value, Mapping):
        raise EntryError("bad-entry", f"expected a mapping as {name}, got {shown(value)}")
    return value


def attributes(values: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """Values of a list by name: nested ones flat, what is neither number nor text as JSON.

    Examples:
        >>> attributes({"Person ID": "5", "scores": {"blur": 0.5}})
        {'person_id': '5', 'scores_blur': 0.5}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = re.sub(r"[^a-z0-9]+", "_", f"{prefix}{key}".lower()).strip("_") or "value"
        if isinstance(value, Mapping):
            inner = attributes(value, prefix=f"{name}_")
        elif isinstance(value, list) and not all(_scalar(one) for one in value):
            inner = {name: json.dumps(value, ensure_ascii=False)[:_TEXT]}
        elif isinstance(value, list):
            inner = {name: [_kept(one) for one in value]}
        else:
            inner = {name: _kept(value) if _scalar(value) else shown(value)}
        for one, kept in inner.items():
            number_, free = 1, one
            while free in flat:
                number_, free = number_ + 1, f"{one}_{number_ + 1}"
            flat[free] = kept
    return flat


def _scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str)


def _kept(value: Any) -> Any:
    return plain(value)[:_TEXT] if isinstance(value, str) else value


def plain(text: str) -> str:
    """Text that can be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def shown(value: Any) -> str:
    """A value as messages show it."""
    text = plain(one_line(repr(value)))
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_text(path: Path) -> str:
    """The text of a list's file.

    Raises:
        InputError: There is no such file, it is too large, or not UTF-8.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if path.stat().st_size > _LARGEST:
        raise InputError(f"{path} has {path.stat().st_size} bytes; at most {_LARGEST} are read")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text: {error}") from None


class JsonObject(dict[str, Any]):
    """An object of JSON that remembers keys which occur twice.

    Attributes:
        pairs: All keys with their values, in their order.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read_json(path: Path) -> Any:
    """The JSON of a list's file; its objects are `JsonObject`.

    Raises:
        InputError: It is none.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except RecursionError:
        raise InputError(f"{path.name} is not a list: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path.name} is not JSON: {error}") from None
