"""The files of a clip: their places below a manifest, and the tools that their bytes depend on."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Final

from theval_datasets import media
from theval_datasets.errors import InputError
from theval_datasets.manifest.rows import FileStamp
from theval_datasets.utils.files import sha256_file

CLIPS: Final = "clips"
AUDIO: Final = "audio"
FRAMES: Final = "frames"


def stamp(path: Path) -> FileStamp:
    """Size and modification time of a file.

    Examples:
        >>> _ = Path("a.mp4").write_bytes(b"1234")
        >>> stamp(Path("a.mp4")).size
        4
    """
    status = path.stat()
    return FileStamp(status.st_size, status.st_mtime_ns)


@functools.cache
def tools() -> dict[str, str | int]:
    """Versions, besides the recipe, that the bytes of clips and their rows depend on.

    Raises:
        InputError: `THEVAL_FFMPEG` does not name a program.
    """
    named = media.ffmpeg_binary()
    binary = shutil.which(named)
    if binary is None:
        raise InputError(f"there is no program {named}; unset THEVAL_FFMPEG or correct it")
    return {"decoder": media.decoder_version(), "ffmpeg_sha256": sha256_file(Path(binary))}
