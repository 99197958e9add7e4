"""Folders of portraits: pictures named by `portrait_id`."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError
from theval_datasets.utils.text import some_of

_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp"}
_LARGEST: Final = 64 << 20
_PIXELS: Final = 100_000_000


@dataclass(frozen=True)
class Portrait:
    """A picture.

    Attributes:
        file: Its file.
        width: Pixels, upright.
        height: Pixels, upright.
    """

    file: Path
    width: int
    height: int

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Red, green, blue, upright: (height, width, 3)."""
        from PIL import Image, ImageOps

        with Image.open(io.BytesIO(self.file.read_bytes())) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def read_portraits(folder: Path) -> dict[str, Portrait]:
    """The pictures of a folder by `portrait_id`, their names without suffix.

    Raises:
        InputError: The message lists files that are not pictures, too large, or duplicate.

    Examples:
        >>> from PIL import Image
        >>> Image.new("RGB", (64, 48)).save("anna.png")
        >>> read_portraits(Path())["anna"].width
        64
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of pictures named by portrait_id")
    portraits: dict[str, Portrait] = {}
    faults: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            faults.append(f"{path.name} is a link that leads out of the folder")
        elif path.stem in portraits:
            faults.append(f"{path.name}: the portrait {path.stem!r} occurs twice")
        else:
            try:
                portraits[path.stem] = Portrait(path, *_size(path))
            except (OSError, ValueError) as error:
                faults.append(f"{path.name}: {error}")
    if faults:
        raise InputError(f"{folder.name}: {some_of(faults)}")
    if not portraits:
        raise InputError(f"{folder} holds no picture ({', '.join(sorted(_SUFFIXES))})")
    return portraits


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image, ImageOps

    if path.stat().st_size > _LARGEST:
        raise ValueError(f"has more than {_LARGEST} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as picture:
                if picture.width * picture.height > _PIXELS:
                    raise ValueError(f"has more than {_PIXELS} pixels")
                upright = ImageOps.exif_transpose(picture)
                return upright.width, upright.height
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from None
