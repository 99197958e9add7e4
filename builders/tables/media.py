"""Clips as bytes in a table: the file, its sound, and a poster frame."""

from __future__ import annotations

import contextlib
import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import datasets
import numpy as np

from theval_datasets.errors import BuildError, MediaError, TooLargeError
from theval_datasets.manifest.rows import ManifestRow, StoredManifest
from theval_datasets.media.frames import SAMPLE_RATE, Audio
from theval_datasets.utils.files import safe_name, sha256_file
from theval_datasets.utils.spool import blocks
from theval_datasets.utils.stores import staged

from ..base.builder import TableConfig
from ..base.columns import ClipFeatures
from ..base.fields import CLIP_ID, MISSING, SHA256, Field
from .arrow import BATCH_BYTES

MEDIA_FIELDS: Final = (
    CLIP_ID,
    SHA256,
    Field("video", datasets.Video(decode=False), "The clip's file.", origin="media"),
    Field(
        "audio",
        datasets.Audio(sampling_rate=16_000, decode=False),
        "Sound of the clip, 16 kHz mono; second 0 is the first video frame.",
        origin="media",
    ),
    Field(
        "poster",
        datasets.Image(decode=False),
        "Poster frame: the reference frame, else the middle frame.",
        origin="media",
    ),
    MISSING,
)
_MEDIA_READER: Final = """\
row = rows[0]  # bytes, nothing is decoded
with open(row["video"]["path"], "wb") as file:
    file.write(row["video"]["bytes"])
# with torchcodec: rows.cast_column("video", datasets.Video())[0]["video"]
"""

MEDIA_CONFIG: Final = TableConfig(
    name="media",
    description="The clips as bytes, their sound, and a poster frame.",
    rows_per_table=16,
    reader=_MEDIA_READER,
)

LARGEST_CLIP: Final = BATCH_BYTES
"""Bytes of a clip's file, sound and poster together in a row; what exceeds it is left out."""
_JPEG_QUALITY: Final = 92
_FULL_SCALE: Final = 32767.0


def media_values(manifest: StoredManifest, row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    """`video`, `audio` and `poster` of a clip as structs of bytes and name; null where absent.

    What would take more than `LARGEST_CLIP` together with what stands before it is null too.

    Raises:
        BuildError: If the file is not the one that the manifest was made from.
    """
    with contextlib.ExitStack() as files:
        path = _found(manifest, row.path, files)
        if path is None:
            clip.note("media", "missing")
            return {"video": None, "audio": None, "poster": None}
        if sha256_file(path) != row.sha256:
            raise BuildError(
                f"{manifest.file(row)} is not the file that the manifest knows as {row.clip_id!r}: its "
                "hash differs. Curate the folder again, or put the clip back."
            )
        audio = _found(manifest, row.audio, files)
        poster = _found(manifest, row.reference_frame, files)
        return _contents(row, clip, path, audio, poster)


def _contents(
    row: ManifestRow, clip: ClipFeatures, path: Path, audio: Path | None, poster: Path | None
) -> dict[str, Any]:
    stem = safe_name(row.clip_id).replace("/", "__")
    contents: dict[str, Callable[[int], tuple[bytes, str]]] = {
        "video": lambda most: _read(path, most),
        "audio": lambda most: _read(audio, most) if audio else sound(path, most),
        "poster": lambda most: _read(poster, most) if poster else _poster(path, row.reference_time),
    }
    values, left = dict[str, Any].fromkeys(contents), LARGEST_CLIP
    for name, read in contents.items():
        try:
            data, suffix = read(left)
        except MediaError as error:
            clip.note("media", error.reason)
            continue
        values[name] = {"bytes": data, "path": stem + suffix}
        left -= len(data)
    return values


def _found(
    manifest: StoredManifest, relative: str | None, files: contextlib.ExitStack
) -> Path | None:
    """A file beside the manifest, copied here if it lies behind a URL; None if there is none.

    Args:
        manifest: The manifest.
        relative: Path in a row; None for none.
        files: Removes the copy at its end.
    """
    if relative is None:
        return None
    try:
        path = files.enter_context(staged(manifest.inside(relative)))
    except FileNotFoundError:
        return None
    return path if path.is_file() else None


def _read(file: Path, most: int) -> tuple[bytes, str]:
    """Contents and suffix of a file of at most so many bytes."""
    _check_size(file, file.stat().st_size, most)
    return file.read_bytes(), file.suffix.lower()


def _check_size(file: Path, size: int, most: int) -> None:
    if size > most:
        raise TooLargeError(f"{file} would take {size} bytes of a row that has {most} left")


def wav_bytes(audio: Audio) -> bytes:
    """A track as 16-bit WAV that begins with the first video frame.

    Args:
        audio: Mono audio at 16 kHz, stored with its gain; values outside [-1, 1] are clipped.

    Returns:
        A header of 44 bytes, then 2 bytes per sample.

    Examples:
        >>> len(wav_bytes(Audio(np.zeros(8000, np.float32), start=0.5))) - 44
        32000
    """
    lead = round(audio.start * SAMPLE_RATE)
    gain = np.float32(audio.gain)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.setnframes(lead + len(audio.samples))
        out.writeframesraw(bytes(2 * lead))
        for block in blocks(audio.samples):
            pcm = np.rint(np.clip(block * gain, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
            out.writeframesraw(pcm.tobytes())
    return stream.getvalue()


def sound(path: Path, most: int = LARGEST_CLIP) -> tuple[bytes, str]:
    """The sound of a clip as a file, and its suffix.

    Args:
        path: The clip.
        most: Maximum size of the file in bytes.

    Raises:
        MediaError: If it has none, cannot be read or is too large.
    """
    from theval_datasets.media import read_audio

    audio = read_audio(path)
    _check_size(path, 2 * (round(audio.start * SAMPLE_RATE) + len(audio.samples)), most)
    return wav_bytes(audio), ".wav"


def _poster(path: Path, wanted: float | None) -> tuple[bytes, str]:
    """The frame at a time, else the middle frame."""
    from PIL import Image

    from theval_datasets.media import frame_index, read_frames

    index = frame_index(path)
    seconds = index.times[len(index.times) // 2] if wanted is None else wanted
    picture = read_frames(path, index.at([float(seconds)]).tolist(), index).pixels[0]
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue(), ".jpg"
