"""Base of the readers of clip lists: entries, their faults, and checks of their values."""

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
_MAX_BYTES: Final = 4 << 30  # of a list
_MAX_TEXT: Final = 2000  # characters of an attribute

Attributes = Mapping[str, Scalar | list[Scalar]]


class EntryError(InputError):
    """An entry of a list is invalid.

    Args:
        reason: Slug of the reason.
        detail: Explanation for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list, not yet checked.

    Attributes:
        id: Id in the list, or a substitute for it.
        place: Place in the list: file and line, or key.
        value: Value for the reader's `clip`.
    """

    id: str
    place: str
    value: Any


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip as a list describes it.

    Attributes:
        url: Address of its source.
        start: Start in the source, in seconds.
        end: End in the source, in seconds; None for the end of the source.
        region: Part of the picture; None for all of it.
        width: Width of the source's picture as stated in the list, in pixels; None if it is not stated.
        height: Height of the source's picture as stated in the list, in pixels.
        frames: First frame and the frame after the last; see `ListEntry.frames`.
        attributes: All other properties, by name.
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
        address: Address of a source with ``{id}`` for its id, for lists that contain only ids.
    """

    address: str = YOUTUBE

    NAME: ClassVar[str]
    """Name of the format in commands."""

    def __post_init__(self) -> None:
        if self.address.count("{id}") != 1:
            raise InputError(f"expected an address that contains {{id}} once, got {self.address!r}")
        check_url(self.address.replace("{id}", "x"))

    def entries(self, path: Path) -> Iterator[Entry]:
        """The entries of a list, in its order.

        Args:
            path: File or folder, depending on the format.

        Raises:
            InputError: It is not a list of this format.
        """
        raise NotImplementedError

    def clip(self, value: Any) -> ListedClip:
        """The clip that an entry describes.

        Args:
            value: Value of the entry.

        Raises:
            EntryError: The entry is invalid or incomplete.
        """
        raise NotImplementedError

    def url_of(self, video_id: Any) -> str:
        """The address of the source with an id.

        Raises:
            EntryError: It cannot be an id.
        """
        pattern = _YOUTUBE_ID if self.address == YOUTUBE else _VIDEO_ID
        if not isinstance(video_id, str) or not pattern.fullmatch(video_id):
            raise EntryError("bad-source", f"expected the id of a video, got {shown(video_id)}")
        return url(self.address.replace("{id}", video_id))


def checked(reader: ListReader, entry: Entry) -> ListedClip:
    """The clip of an entry.

    Raises:
        EntryError: The entry is invalid; states the reason.
    """
    try:
        return reader.clip(entry.value)
    except UnsafePathError as error:
        raise EntryError("unsafe", str(error)) from None
    except ManifestError as error:
        raise EntryError("bad-crop", str(error)) from None


def url(text: Any) -> str:
    """The address of a source in canonical form, so that a video of YouTube has only one address.

    Raises:
        EntryError: It is not an address that may be fetched.

    Examples:
        >>> url("https://www.youtube.com/watch?v=uBWJJvynXpA&t=6s")
        'https://www.youtube.com/watch?v=uBWJJvynXpA'
    """
    if not isinstance(text, str) or not text.strip():
        raise EntryError("no-source", "the list states no address for the clip")
    match = _YOUTUBE_URL.fullmatch(text.strip())
    if match:
        return YOUTUBE.replace("{id}", match["id"])
    try:
        return check_url(text.strip())
    except UnsafePathError as error:
        raise EntryError("bad-source", str(error)) from None


def number(value: Any, name: str) -> float:
    """A finite number.

    Args:
        value: Number, or text that holds one.
        name: Name of the value, for the message.

    Raises:
        EntryError: It is not a finite number.

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
    """A size in pixels, from 1 to 65,536.

    Raises:
        EntryError: It is not such a number.

    Examples:
        >>> pixels("640", "width")
        640
    """
    size = number(value, name)
    if not (size.is_integer() and 1 <= size <= 1 << 16):
        raise EntryError("bad-size", f"expected pixels as {name}, got {shown(value)}")
    return int(size)


def span(start: Any, end: Any) -> tuple[float, float]:
    """Start and end of a clip in seconds.

    Raises:
        EntryError: They are not numbers, negative, or in the wrong order.

    Examples:
        >>> span("1.5", 4)
        (1.5, 4.0)
    """
    first, last = number(start, "start"), number(end, "end")
    if not 0 <= first < last:
        raise EntryError("bad-span", f"expected 0 <= start < end, got {first:g} and {last:g} s")
    return first, last


def corners(top: Any, bottom: Any, left: Any, right: Any) -> tuple[float, float, float, float]:
    """Left, top, width and height of a box from its edges, in the unit of these.

    Raises:
        EntryError: They are not numbers, or in the wrong order.

    Examples:
        >>> corners(top=10, bottom=40, left=5, right=25)
        (5.0, 10.0, 20.0, 30.0)
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
    """A mapping from JSON.

    Raises:
        EntryError: It is not a mapping.

    Examples:
        >>> mapping({"fps": 25}, "clip")
        {'fps': 25}
        >>> mapping([25], "clip")
        Traceback (most recent call last):
            ...
        theval_datasets.curation.lists.base.EntryError: expected a mapping as clip, got [25]
    """
    if not isinstance(value, Mapping):
        raise EntryError("bad-entry", f"expected a mapping as {name}, got {shown(value)}")
    return value


def attributes(values: Mapping[str, Any], *, prefix: str = "") -> dict[str, Any]:
    """Properties of a clip by name: nested ones are flattened, other types than numbers and text become JSON.

    Examples:
        >>> attributes({"Person ID": "5", "scores": {"blur": 0.5}})
        {'person_id': '5', 'scores_blur': 0.5}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = re.sub(r"[^a-z0-9]+", "_", f"{prefix}{key}".lower()).strip("_") or "value"
        if isinstance(value, Mapping):
            inner = attributes(value, prefix=f"{name}_")
        elif isinstance(value, list) and not all(_scalar(item) for item in value):
            inner = {name: json.dumps(value, ensure_ascii=False)[:_MAX_TEXT]}
        elif isinstance(value, list):
            inner = {name: [_kept(item) for item in value]}
        else:
            inner = {name: _kept(value) if _scalar(value) else shown(value)}
        for inner_name, inner_value in inner.items():
            free, count = inner_name, 1
            while free in flat:
                count += 1
                free = f"{inner_name}_{count}"
            flat[free] = inner_value
    return flat


def _scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, str)


def _kept(value: Any) -> Any:
    return plain(value)[:_MAX_TEXT] if isinstance(value, str) else value


def plain(text: str) -> str:
    r"""Text that can be written as UTF-8: lone surrogates become question marks.

    Examples:
        >>> plain("a\ud800")
        'a?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def shown(value: Any) -> str:
    """A value in the form that messages show: one line of at most 80 characters.

    Examples:
        >>> shown("x" * 100)[-5:]
        'xx...'
    """
    text = plain(one_line(repr(value)))
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_text(path: Path) -> str:
    r"""The text of a list's file.

    Raises:
        InputError: The file is missing, too large, or not UTF-8.

    Examples:
        >>> _ = Path("list.txt").write_text("a b\n", "utf-8-sig")
        >>> read_text(Path("list.txt"))
        'a b\n'
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{path} has {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text: {error}") from None


class JsonObject(dict[str, Any]):
    """A JSON object that retains keys which occur twice.

    Attributes:
        pairs: All keys with their values, in order.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read_json(path: Path) -> Any:
    """The JSON of a list's file; its objects are of `JsonObject`.

    Raises:
        InputError: It is not JSON.

    Examples:
        >>> _ = Path("list.json").write_text('{"a": 1, "a": 2}')
        >>> read_json(Path("list.json")).pairs
        [('a', 1), ('a', 2)]
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except RecursionError:
        raise InputError(f"{path.name} is not a list: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path.name} is not JSON: {error}") from None
