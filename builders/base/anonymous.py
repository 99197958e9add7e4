"""Anonymised tables: faces in still pictures are blurred.

Tables that cannot be anonymised like this (video, sound, meshes) are not built.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final

import datasets
import numpy as np
import pyarrow as pa

from .fields import FILE, Field

_QUALITY: Final = 92


def has_recordings(fields: Iterable[Field]) -> bool:
    """Whether a table holds data that blurring cannot anonymise: video, sound or meshes.

    Examples:
        >>> has_recordings([Field("video", datasets.Video(), "The clip")])
        True
        >>> has_recordings([Field("reference", datasets.Image(), "A frame")])
        False
    """
    return any(
        f.type == FILE or isinstance(f.type, (datasets.Video, datasets.Audio)) for f in fields
    )


def image_columns(fields: Iterable[Field]) -> list[str]:
    """Columns whose pictures may show a face.

    Examples:
        >>> image_columns([Field("map", datasets.Image(), "Saliency", faceless=True)])
        []
        >>> image_columns([Field("reference", datasets.Image(), "A frame")])
        ['reference']
    """
    return [f.name for f in fields if isinstance(f.type, datasets.Image) and not f.faceless]


def blurred_tables(tables: Iterable[pa.Table], columns: Iterable[str]) -> Iterator[pa.Table]:
    """Tables with blurred faces in some columns of pictures."""
    names = list(columns)
    for table in tables:
        covered = table
        for name in names:
            values = [
                None if picture is None else blurred(picture) for picture in table[name].to_pylist()
            ]
            kind = table.schema.field(name)
            place = table.column_names.index(name)
            covered = covered.set_column(place, kind, pa.array(values, type=kind.type))
        yield covered


def blurred(picture: dict[str, Any]) -> dict[str, Any]:
    """A picture (`bytes` and `path`) as a JPEG of the same size in which every face is blurred.

    A picture without a detected face is blurred as a whole, because the detector may have missed one. No
    metadata of the file is kept.
    """
    from PIL import Image, ImageOps

    from theval_datasets.curation.clips.anonymise import anonymised

    with Image.open(io.BytesIO(picture["bytes"])) as opened:
        pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    covered = Image.fromarray(anonymised(pixels))
    stream = io.BytesIO()
    covered.save(stream, "JPEG", quality=_QUALITY)
    return {"bytes": stream.getvalue(), "path": f"{PurePosixPath(picture['path']).stem}.jpg"}
