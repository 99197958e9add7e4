"""Thumbnails of clips for a page, made in worker processes because the files are untrusted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from theval_datasets import media

from ..clips.anonymise import anonymised

_SIDE: Final = 400
_QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """Makes the thumbnail of a clip.

    Attributes:
        anonymise: Whether faces are blurred.
    """

    anonymise: bool = False

    def __call__(self, clip: Path) -> bytes:
        """A JPEG of the frame in the middle of a clip, at most 400 pixels wide and high.

        Raises:
            MediaError: It does not decode.
        """
        from PIL import Image

        index = media.frame_index(clip)
        pixels = media.read_frames(clip, [len(index.times) // 2], index).pixels[0]
        if self.anonymise:
            pixels = anonymised(pixels)
        image = Image.fromarray(np.ascontiguousarray(pixels))
        image.thumbnail((_SIDE, _SIDE))
        stream = io.BytesIO()
        image.save(stream, "jpeg", quality=_QUALITY)
        return stream.getvalue()
