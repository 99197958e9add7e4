"""What annotators of Gen3DHF marked and wrote: saliency maps, distortion categories, descriptions."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import datasets
import numpy as np
import numpy.typing as npt

from theval_datasets.builders._archives import ReleaseFile, files_of, locate
from theval_datasets.builders._csv import read_csv
from theval_datasets.builders._fields import (
    CLIP_ID,
    HEIGHT,
    MISSING,
    STRING,
    WIDTH,
    Field,
    list_of,
)
from theval_datasets.errors import InputError

STILL_SIZE: Final = (1536, 512)
"""Width and height of a still: the views at -45, 0 and +45 degrees side by side."""
VIEWS: Final = (-45.0, 0.0, 45.0)
TURN: Final = 180.0
"""Degrees that a head turns over its video, from -90 to +90 at constant speed."""
_PICTURES: Final = (".png", ".jpg", ".jpeg")
_PIXELS: Final = 50_000_000
_SHOWN: Final = 5

SALIENCY_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("image", datasets.Image(decode=False), "The still: the views at -45, 0 and +45 degrees "
          "side by side.", origin="stills"),
    Field("image_source", STRING, "`release`, or `video` for frames cut from it.",
          origin="stills"),
    Field("map", datasets.Image(decode=False), "Where distortions were marked: grey, 0 to 255, the "
          "largest is 255.", origin="marks", required=True),
    Field("map_source", STRING, "`marks`, or `release` for a map as published.", origin="marks",
          required=True),
    WIDTH,
    HEIGHT,
    Field("fixations", list_of("int32"), "Marks in pixels of the map, flat: row, column, row, ….",
          "px", 0, origin="fixations"),
    Field("annotator", list_of("int32"), "Whose each mark is, by a number.", "", 0,
          origin="fixations"),
    MISSING,
)  # fmt: skip
SALIENCY_READER: Final = """\
import io, numpy as np, PIL.Image
row = rows[0]
saliency = np.array(PIL.Image.open(io.BytesIO(row["map"]["bytes"]))) / 255
fixations = np.array(row["fixations"] or []).reshape(-1, 2)  # row, column
"""

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of a release or study lie, by the name of their video.

    Attributes:
        marked: Copies of a still with red dots, one an annotator.
        maps: Published saliency maps.
        stills: Stills without marks.
    """

    marked: Mapping[str, tuple[ReleaseFile, ...]] = field(default_factory=dict)
    maps: Mapping[str, ReleaseFile] = field(default_factory=dict)
    stills: Mapping[str, ReleaseFile] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Videos with a map, or with marks to make one of."""
        return {*self.marked, *self.maps}


def find_pictures(marks: Path | None, release: Path | None) -> Pictures:
    """Look for pictures.

    Args:
        marks: Folder or zip of marked stills, ``NAME.png`` or ``ANNOTATOR/NAME.png``.
        release: Folder of the official release, with `saliency_map` and `image` as folders or zips.

    Raises:
        InputError: If an archive cannot be trusted, or a name is there twice.
    """
    marked: dict[str, tuple[ReleaseFile, ...]] = {}
    for file in [] if marks is None else files_of(marks, _PICTURES):
        marked[file.stem] = (*marked.get(file.stem, ()), file)
    return Pictures(
        marked,
        _by_stem(release, "saliency_map", "saliency"),
        _by_stem(release, "image", "images"),
    )


def saliency_row(name: str, pictures: Pictures, video: Path | None) -> dict[str, Any]:
    """A row of the config `saliency`: our map of the marks, else the published one.

    Args:
        name: Of the video.
        pictures: Where there is something of it.
        video: To cut a still from where there is none.

    Raises:
        InputError: If a picture cannot be read.
    """
    missing = []
    fixations = annotator = None
    if name in pictures.marked:
        from theval_datasets.curation.study.saliency import saliency_from_marks, scale_fixations

        copies = [read_picture(file) for file in pictures.marked[name]]
        found = saliency_from_marks(copies, size=STILL_SIZE)
        grey = np.rint(found.saliency * 255).astype(np.uint8)
        scaled = scale_fixations(
            found.fixations, (copies[0].shape[0], copies[0].shape[1]), STILL_SIZE[::-1]
        )
        fixations, annotator = scaled.astype(np.int32).ravel(), found.annotator.astype(np.int32)
    else:
        grey = read_picture(pictures.maps[name], "L")
        missing.append("fixations:map-only")
    still = pictures.stills.get(name)
    image, source = None, None
    if still is not None:
        image, source = {"bytes": still.read(), "path": f"{name}{_suffix(still)}"}, "release"
    elif video is not None:
        image, source = {"bytes": _png(snapshots(video)), "path": f"{name}.png"}, "video"
    else:
        missing.append("stills:not-given")
    return {
        "clip_id": name,
        "image": image,
        "image_source": source,
        "map": {"bytes": _png(grey), "path": f"{name}_map.png"},
        "map_source": "marks" if name in pictures.marked else "release",
        "width": grey.shape[1],
        "height": grey.shape[0],
        "fixations": fixations,
        "annotator": annotator,
        "missing": sorted(missing),
    }


def snapshots(video: Path) -> Image:
    """The frames at -45, 0 and +45 degrees side by side, each 512 pixels square.

    The head is taken to turn by 180 degrees at constant speed, so the views are at a quarter, the
    middle and three quarters of the video.

    Raises:
        MediaError: If the video cannot be read.
    """
    import cv2

    from theval_datasets.media import frame_index, read_frames

    index = frame_index(video)
    end = float(index.times[-1])
    wanted = [end * (angle / TURN + 0.5) for angle in VIEWS]
    frames = read_frames(video, index.at(wanted).tolist(), index).pixels
    side = STILL_SIZE[1]
    parts = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]
    joined: Image = np.concatenate(parts, axis=1).astype(np.uint8)
    return joined


def read_picture(file: ReleaseFile, mode: str = "RGB") -> Image:
    """A picture as uint8.

    Raises:
        InputError: If it is none, or too large.
    """
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(file.read())) as picture:
            if picture.width * picture.height > _PIXELS:
                raise InputError(f"{file.name} has more than {_PIXELS} pixels")
            pixels: Image = np.asarray(picture.convert(mode))
            return pixels
    except (OSError, ValueError, Pillow.DecompressionBombError) as error:
        raise InputError(f"{file.name} is not a picture: {error}") from None


@dataclass(frozen=True)
class Described:
    """What was written of a video.

    Attributes:
        text: The descriptions, one after the other.
        categories: Of Gen3DHF's nine, in their order.
    """

    text: str | None
    categories: tuple[str, ...]


def read_descriptions(path: Path) -> dict[str, Described]:
    """Descriptions and categories by video: CSV with `clip_id, description` and perhaps `categories`.

    A video may have several rows, one an annotator: it has every category that somebody named or
    described; "No Distortion" holds only where nobody saw another.

    Raises:
        InputError: With the rows whose categories are none of the nine.
    """
    from theval_datasets.curation.study.descriptions import CATEGORIES, load_keywords

    table = load_keywords()
    texts: dict[str, list[str]] = {}
    found: dict[str, set[str]] = {}
    faults = []
    for where, row in read_csv(path, ("clip_id", "description")):
        name, text = row["clip_id"].strip().removesuffix(".mp4"), row["description"].strip()
        told = {one.strip() for one in (row.get("categories") or "").split(";") if one.strip()}
        strange = sorted(told - set(CATEGORIES))
        if not name or strange:
            faults.append(
                f"{where}: " + (f"{strange[0]!r} is no category" if name else "no clip_id")
            )
            continue
        texts.setdefault(name, []).extend([text] if text else [])
        found.setdefault(name, set()).update(told or table.assign(text).categories)
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise InputError("; ".join(faults[:_SHOWN]) + more)
    described = {}
    for name, many in found.items():
        kept = many - {table.nothing} if len(many) > 1 else many
        ordered = tuple(one for one in CATEGORIES if one in kept)
        described[name] = Described(" ".join(texts[name]) or None, ordered)
    return described


def _by_stem(release: Path | None, *names: str) -> dict[str, ReleaseFile]:
    place = None if release is None else locate(release, *names)
    if place is None:
        return {}
    found: dict[str, ReleaseFile] = {}
    for file in files_of(place, _PICTURES):
        name = file.stem
        for ending in ("_saliency", "_sal", "_map", "_SM"):
            name = name.removesuffix(ending)
        if name in found:
            raise InputError(f"{place.name}: {found[name].name} and {file.name} are of one video")
        found[name] = file
    return found


def _suffix(file: ReleaseFile) -> str:
    return "." + file.name.rpartition(".")[2].lower()


def _png(pixels: Image) -> bytes:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def saliency_rows(
    names: list[str], pictures: Pictures, videos: Mapping[str, Path]
) -> Iterator[dict[str, Any]]:
    """Rows of the config, in the order of the names."""
    for name in names:
        yield saliency_row(name, pictures, videos.get(name))
