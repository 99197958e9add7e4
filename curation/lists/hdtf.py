"""HDTF: a folder of text files that describe three collections of videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import Region

from .base import Entry, EntryError, ListedClip, ListReader, number, pixels, read_text, span, url

_KINDS: Final = ("video_url", "annotion_time", "resolution", "crop_wh", "crop_ratio")
_SPAN: Final = re.compile(r"(?:(\d+):)?(\d+):(\d+)-(?:(\d+):)?(\d+):(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Facts:
    """Contents of the files for a clip, or for a video without a clip."""

    name: str
    collection: str
    urls: list[str]
    span: str | None
    heights: list[str]
    crops: list[str]
    ratios: list[str]


@dataclass(frozen=True)
class Hdtf(ListReader):
    """HDTF's folder: ``{RD,WDA,WRA}_{video_url,annotion_time,resolution,crop_wh,crop_ratio}.txt``.

    Clips are named ``VIDEO_NUMBER``, numbered in the order of a video's spans. A crop consists of left, width,
    top and height in pixels of a picture of the stated height.
    """

    NAME: ClassVar[str] = "hdtf"

    def entries(self, path: Path) -> Iterator[Entry]:
        """The clips of all collections in the order of their spans, then videos and crops without a span."""
        names = sorted(file.name for file in path.glob("*_annotion_time.txt"))
        if not names:
            raise InputError(
                f"expected a folder with NAME_annotion_time.txt and its companion files, got {path}"
            )
        for name in names:
            yield from _collection(path, name.removesuffix("_annotion_time.txt"))

    def clip(self, value: _Facts) -> ListedClip:
        """A clip with its crop."""
        address = url(_single(value.urls, "address", "source"))
        if value.span is None:
            raise EntryError("no-span", "the list has no span of this video")
        match = _SPAN.fullmatch(value.span)
        if match is None:
            raise EntryError(
                "bad-span", f"expected MINUTES:SECONDS-MINUTES:SECONDS, got {value.span!r}"
            )
        times = [int(text or 0) for text in match.groups()]
        start, end = (3600 * times[i] + 60 * times[i + 1] + times[i + 2] for i in (0, 3))
        height = pixels(_single(value.heights, "resolution", "size"), "the video's height")
        crop = _single(value.crops, "crop", "crop").split()
        if len(crop) != 4:
            raise EntryError("bad-crop", f"expected left, width, top and height, got {crop}")
        left, wide, top, high = (number(text, "part of a crop") for text in crop)
        facts: dict[str, str | float] = {"collection": value.collection}
        if value.ratios:
            facts["crop_ratio"] = number(value.ratios[0], "the crop's ratio")
        first, last = span(start, end)
        return ListedClip(
            address,
            first,
            last,
            Region(boxes=((0.0, left, top, wide, high),), height=float(height)),
            height=height,
            attributes=facts,
        )


def _single(values: list[str], name: str, slug: str) -> str:
    """The single value that the files state for a clip.

    Raises:
        EntryError: They state none, or several different ones.
    """
    if len(set(values)) != 1:
        several = f"the list has {len(values)} different ones: {', '.join(values)}"
        raise EntryError(f"no-{slug}", f"{name}: {several if values else 'the list has none'}")
    return values[0]


def _collection(folder: Path, collection: str) -> Iterator[Entry]:
    """The clips of one collection."""
    tables = {kind: _lines(folder / f"{collection}_{kind}.txt") for kind in _KINDS}

    def values(kind: str, name: str) -> list[str]:
        return [text for text, _ in tables[kind].get(name, [])]

    def entry(video: str, clip: str, listed_span: str | None, place: str) -> Entry:
        urls, heights = values("video_url", video), values("resolution", video)
        crops, ratios = values("crop_wh", clip), values("crop_ratio", clip)
        facts = _Facts(clip, collection, urls, listed_span, heights, crops, ratios)
        return Entry(clip, place, facts)

    clips: set[str] = set()
    for video, lines in tables["annotion_time"].items():
        for text, place in lines:
            for index, listed_span in enumerate(text.split()):
                clips.add(f"{video}_{index}")
                yield entry(video, f"{video}_{index}", listed_span, place)
    for kind in ("video_url", "resolution"):
        for video, lines in tables[kind].items():
            if video not in tables["annotion_time"] and video not in clips:
                clips.add(video)
                yield entry(video, video, None, lines[0][1])
    for kind in ("crop_wh", "crop_ratio"):
        for clip, lines in tables[kind].items():
            if clip not in clips:
                clips.add(clip)
                yield entry(clip.rpartition("_")[0], clip, None, lines[0][1])


def _lines(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Rest and place of the lines of a file, by their first word without ``.mp4``."""
    table: dict[str, list[tuple[str, str]]] = {}
    if not path.is_file():
        return table  # every clip then lacks these values
    for line_number, line in enumerate(read_text(path).splitlines(), 1):
        name, _, rest = line.strip().partition(" ")
        if name:
            place = f"{path.name}:{line_number}"
            table.setdefault(name.removesuffix(".mp4"), []).append((rest.strip(), place))
    return table
