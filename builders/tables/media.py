"""Clips as bytes in a table: the file, its sound, and a poster frame."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import datasets
import numpy as np
import pyarrow as pa

from theval_datasets.errors import BuildError, MediaError
from theval_datasets.manifest.rows import Manifest, ManifestRow
from theval_datasets.media.frames import SAMPLE_RATE, Audio
from theval_datasets.utils.files import safe_name, sha256_file
from theval_datasets.utils.spool import blocks

from ..base.builder import TableConfig
from ..base.columns import ClipFeatures
from ..base.fields import CLIP_ID, MISSING, SHA256, Field
from .arrow import table_of

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

_BATCH_BYTES: Final = 256 << 20
_LARGEST_CLIP: Final = (2 << 30) - 1
_JPEG_QUALITY: Final = 92
_FULL_SCALE: Final = 32767.0


def media_values(manifest: Manifest, row: ManifestRow, clip: ClipFeatures) -> dict[str, Any]:
    """`video`, `audio` and `poster` of a clip as structs of bytes and name; null where absent.

    Raises:
        BuildError: If the file is not the one that the manifest was made from.
    """
    path = manifest.file(row)
    empty: dict[str, Any] = {"video": None, "audio": None, "poster": None}
    if path is None or not path.is_file():
        clip.note("media", "missing")
        return empty
    if path.stat().st_size > _LARGEST_CLIP:
        clip.note("media", "too-large")
        return empty
    if sha256_file(path) != row.sha256:
        raise BuildError(
            f"{path} is not the file that the manifest knows as {row.clip_id!r}: its hash differs. "
            "Curate the folder again, or put the clip back."
        )
    stem = safe_name(row.clip_id).replace("/", "__")

    def kept_or(relative: str | None, make: Callable[[], tuple[bytes, str]]) -> Any:
        """Bytes and suffix of a file of the curation, else of one made from the clip."""
        file = None if relative is None else manifest.inside(relative)
        try:
            if file is not None and file.is_file():
                data, suffix = file.read_bytes(), file.suffix.lower()
            else:
                data, suffix = make()
        except MediaError as error:
            clip.note("media", error.reason)
            return None
        return {"bytes": data, "path": stem + suffix}

    return {
        "video": {"bytes": path.read_bytes(), "path": stem + path.suffix.lower()},
        "audio": kept_or(row.audio, lambda: _sound(path)),
        "poster": kept_or(row.reference_frame, lambda: _poster(path, row.reference_time)),
    }


def media_tables(
    rows: Iterable[dict[str, Any]], size: int, schema: pa.Schema
) -> Iterator[pa.Table]:
    """Tables of up to `size` rows, fewer where the clips are large."""
    batch: list[dict[str, Any]] = []
    held = 0
    for row in rows:
        weight = len(row["video"]["bytes"]) if row["video"] else 0
        if batch and (len(batch) == size or held + weight > _BATCH_BYTES):
            yield table_of(batch, schema)
            batch, held = [], 0
        batch.append(row)
        held += weight
    if batch:
        yield table_of(batch, schema)


def wav_bytes(audio: Audio) -> bytes:
    """A track as 16-bit WAV that begins with the first video frame.

    Args:
        audio: Mono audio at 16 kHz; values outside [-1, 1] are clipped.

    Returns:
        A header of 44 bytes, then 2 bytes per sample.

    Examples:
        >>> from types import SimpleNamespace
        >>> silence = SimpleNamespace(start=0.5, samples=np.zeros(8000, np.float32))
        >>> len(wav_bytes(silence)) - 44
        32000
    """
    lead = round(audio.start * SAMPLE_RATE)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.setnframes(lead + len(audio.samples))
        out.writeframesraw(bytes(2 * lead))
        for block in blocks(audio.samples):
            pcm = np.rint(np.clip(block, -1.0, 1.0) * _FULL_SCALE).astype("<i2")
            out.writeframesraw(pcm.tobytes())
    return stream.getvalue()


def _sound(path: Path) -> tuple[bytes, str]:
    from theval_datasets.media import read_audio

    return wav_bytes(read_audio(path)), ".wav"


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
