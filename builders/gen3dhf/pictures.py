"""Pictures of Gen3DHF (stills, marked stills, saliency maps) and the rows of `saliency`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import datasets
import numpy as np

from theval_datasets.curation.clips.head_views import STILL_SIZE, HeadTurn, Image, snapshots
from theval_datasets.errors import InputError, MediaError
from theval_datasets.manifest.joins import plain_name
from theval_datasets.utils.archives import ReleaseFile, files_of, locate
from theval_datasets.utils.stores import Location, staged
from theval_datasets.utils.text import some_of

from ..base.builder import TableConfig
from ..base.fields import CLIP_ID, HEIGHT, MISSING, STRING, WIDTH, Field, list_of
from ..tables.csv_files import number, read_csv

STILLS: Final = ("image", "images")
MAPS: Final = ("saliency_map", "saliency")
"""Folders or zips of a release."""
_PICTURES: Final = (".png", ".jpg", ".jpeg")
_ENDINGS: Final = ("_saliency", "_sal", "_map", "_SM")
_PIXELS: Final = 50_000_000

SALIENCY_FIELDS: Final[tuple[Field, ...]] = (
    CLIP_ID,
    Field("image", datasets.Image(decode=False), "The still: the views at -45, 0 and +45 degrees "
          "side by side.", origin="stills"),
    Field("image_source", STRING, "`release`, or `video` for frames cut from it.",
          origin="stills"),
    Field("map", datasets.Image(decode=False), "Saliency of marked distortions: grey, 0 to 255, with "
          "maximum 255.", origin="marks", required=True, faceless=True),
    Field("map_source", STRING, "`marks`, or `release` for a map as published.", origin="marks",
          required=True),
    WIDTH,
    HEIGHT,
    Field("fixations", list_of("int32"), "Marks in pixels of the map, flat: row, column, row, ….",
          "px", 0, origin="fixations"),
    Field("annotator", list_of("int32"), "Number of each mark's annotator.", "", 0,
          origin="fixations"),
    MISSING,
)  # fmt: skip
SALIENCY_CONFIG: Final = TableConfig(
    name="saliency",
    description="One row per still: saliency of the distortions that annotators marked.",
    rows_per_table=16,
    reader="""\
import io, numpy as np, PIL.Image
row = rows[0]
saliency = np.array(PIL.Image.open(io.BytesIO(row["map"]["bytes"]))) / 255
fixations = np.array(row["fixations"] or []).reshape(-1, 2)  # row, column
""",
)


@dataclass(frozen=True)
class SaliencyPictures:
    """Pictures of a release or study, by name of the video.

    Attributes:
        marked: Copies of a still with red dots, one per annotator.
        maps: Published saliency maps.
        stills: Stills without marks.
        points: Row and column of every exact mark in a still of `STILL_SIZE`, and by number whose
            it is; where they are given, no dots are looked for.
    """

    marked: Mapping[str, tuple[ReleaseFile, ...]] = field(default_factory=dict)
    maps: Mapping[str, ReleaseFile] = field(default_factory=dict)
    stills: Mapping[str, ReleaseFile] = field(default_factory=dict)
    points: Mapping[str, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Videos with a map, or with marks from which a map can be computed."""
        return {*self.marked, *self.maps, *self.points}


def find_pictures(
    marks: Path | None, release: Path | None, points: Path | None = None
) -> SaliencyPictures:
    """Locate the pictures of a study or a release.

    Args:
        marks: Folder or zip of marked stills, ``NAME.png`` or ``ANNOTATOR/NAME.png``.
        release: Folder of the official release, with `saliency_map` and `image` as folders or zips.
        points: CSV of exact marks, see `read_points`.

    Raises:
        InputError: If an archive is unsafe, a name occurs twice, or a mark is malformed.
    """
    marked: dict[str, tuple[ReleaseFile, ...]] = {}
    for file in [] if marks is None else files_of(marks, _PICTURES):
        marked[file.stem] = (*marked.get(file.stem, ()), file)
    return SaliencyPictures(
        marked,
        _by_stem(release, *MAPS),
        _by_stem(release, *STILLS),
        {} if points is None else read_points(points),
    )


def read_points(path: Path) -> dict[str, tuple[tuple[int, int, int], ...]]:
    r"""Exact marks by video: row, column, and whose each is, by a number.

    Args:
        path: CSV with `subject, clip_id, x, y`: pixels of a still of `STILL_SIZE`. A row without x
            and y says that the subject looked and marked nothing.

    Raises:
        InputError: For a mark outside of the still, or a row without subject or clip.

    Examples:
        >>> rows = "subject,clip_id,x,y\nanna,7,10,20\nbea,7,30,40\nbea,8,,\n"
        >>> _ = Path("marks.csv").write_text(rows)
        >>> read_points(Path("marks.csv"))
        {'7': ((20, 10, 0), (40, 30, 1)), '8': ()}
    """
    subjects: dict[str, dict[str, int]] = {}
    points: dict[str, list[tuple[int, int, int]]] = {}
    faults = []
    for where, row in read_csv(path, ("subject", "clip_id", "x", "y")):
        name, subject = plain_name(row["clip_id"]), row["subject"].strip()
        if not name or not subject:
            faults.append(f"{where}: expected a subject and a clip_id")
            continue
        known = subjects.setdefault(name, {})
        number_of = known.setdefault(subject, len(known))
        marks = points.setdefault(name, [])
        if not row["x"].strip() and not row["y"].strip():
            continue
        x, y = number(row, "x", where), number(row, "y", where)
        if not (0 <= x < STILL_SIZE[0] and 0 <= y < STILL_SIZE[1]):
            faults.append(f"{where}: {x:g}, {y:g} lies outside of {STILL_SIZE[0]}x{STILL_SIZE[1]}")
            continue
        marks.append((int(y), int(x), number_of))
    if faults:
        raise InputError(some_of(faults))
    return {name: tuple(marks) for name, marks in points.items()}


def saliency_row(
    name: str, pictures: SaliencyPictures, video: Location | None, turn: HeadTurn
) -> dict[str, Any]:
    """A row of the config `saliency`, with the map computed from the marks, else the published map.

    Args:
        name: Name of the video.
        pictures: Pictures of all videos.
        video: Video from which a missing still is cut; None without a file.
        turn: Rotation of the head in the video.

    Raises:
        InputError: If a picture cannot be read.
    """
    missing = []
    fixations = annotator = None
    if name in pictures.points:
        grey, fixations, annotator = _mapped(pictures.points[name])
        map_bytes, (height, width) = _png(grey), grey.shape
    elif name in pictures.marked:
        grey, fixations, annotator = _marked(pictures.marked[name])
        map_bytes, (height, width) = _png(grey), grey.shape
    else:
        map_bytes, width, height = _published(pictures.maps[name])
        missing.append("fixations:map-only")
    image, source = None, None
    still = pictures.stills.get(name)
    if still is not None:
        suffix = still.name.rpartition(".")[2].lower()
        image, source = {"bytes": still.read(), "path": f"{name}.{suffix}"}, "release"
    elif video is not None:
        try:
            with staged(video) as file:
                image = {"bytes": _png(snapshots(file, turn)), "path": f"{name}.png"}
            source = "video"
        except MediaError as error:
            missing.append(f"stills:{error.reason}")
    else:
        missing.append("stills:not-given")
    return {
        "clip_id": name,
        "image": image,
        "image_source": source,
        "map": {"bytes": map_bytes, "path": f"{name}_map.png"},
        "map_source": "release" if annotator is None else "marks",
        "width": width,
        "height": height,
        "fixations": fixations,
        "annotator": annotator,
        "missing": sorted(missing),
    }


def read_picture(file: ReleaseFile) -> Image:
    """The pixels of a picture in RGB: uint8 (height, width, 3).

    Raises:
        InputError: If the file is not a picture, or too large.
    """
    return _opened(file.read(), file.name, "RGB")[0]


def _published(file: ReleaseFile) -> tuple[bytes, int, int]:
    """A map as grey PNG (unchanged if it is one already), its width and height."""
    data = file.read()
    grey, is_grey_png = _opened(data, file.name, "L")
    return data if is_grey_png else _png(grey), grey.shape[1], grey.shape[0]


def _opened(data: bytes, name: str, mode: str) -> tuple[Image, bool]:
    """The pixels in a mode, and whether it is a PNG of that mode."""
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > _PIXELS:
                raise InputError(f"{name} has more than {_PIXELS} pixels")
            same = picture.format == "PNG" and picture.mode == mode
            pixels: Image = np.asarray(picture.convert(mode))
            return pixels, same
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError) as error:
        raise InputError(f"{name} is not a picture: {error}") from None


def _mapped(points: tuple[tuple[int, int, int], ...]) -> tuple[Image, Any, Any]:
    """Map, fixations and whose each is, of exact marks."""
    from theval_datasets.curation.study.saliency import saliency_from_fixations

    table = np.array(points, np.int32).reshape(-1, 3)
    saliency = saliency_from_fixations(table[:, :2].astype(np.int64), STILL_SIZE[::-1])
    return np.rint(saliency * 255).astype(np.uint8), table[:, :2].ravel(), table[:, 2]


def _marked(files: tuple[ReleaseFile, ...]) -> tuple[Image, Any, Any]:
    """Map, fixations and whose each is, of the copies that annotators marked."""
    from theval_datasets.curation.study.saliency import saliency_from_marks, scale_fixations

    copies = [read_picture(file) for file in files]
    result = saliency_from_marks(copies, size=STILL_SIZE)
    grey = np.rint(result.saliency * 255).astype(np.uint8)
    size = (copies[0].shape[0], copies[0].shape[1])
    scaled = scale_fixations(result.fixations, size, STILL_SIZE[::-1])
    return grey, scaled.astype(np.int32).ravel(), result.annotator.astype(np.int32)


def _by_stem(release: Path | None, *names: str) -> dict[str, ReleaseFile]:
    place = None if release is None else locate(release, *names)
    if place is None:
        return {}
    files: dict[str, ReleaseFile] = {}
    for file in files_of(place, _PICTURES):
        name = file.stem
        for ending in _ENDINGS:
            name = name.removesuffix(ending)
        if name in files:
            raise InputError(f"{place.name}: {files[name].name} and {file.name} are of one video")
        files[name] = file
    return files


def _png(pixels: Image) -> bytes:
    from PIL import Image as Pillow

    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
