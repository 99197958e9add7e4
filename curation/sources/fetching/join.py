"""Fetched streams: detection of their container, and joining of picture and sound."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from theval_datasets import media
from theval_datasets.errors import BrokenMediaError
from theval_datasets.utils.files import atomic_path, storage_error

_MAGIC: Final = (
    (4, b"ftyp", ".mp4"),
    (0, b"\x1a\x45\xdf\xa3", ".mkv"),
    (0, b"RIFF", ".avi"),
    (0, b"GIF8", ".gif"),
    (0, b"OggS", ".ogv"),
    (0, b"FLV", ".flv"),
    (0, b"ID3", ".mp3"),
)


def suffix_of(path: Path) -> str:
    """Suffix for a file by its first bytes; `.bin` for an unknown container.

    Examples:
        >>> _ = Path("video.part").write_bytes(b"RIFF....AVI ")
        >>> suffix_of(Path("video.part"))
        '.avi'
    """
    with path.open("rb") as stream:
        head = stream.read(400)
    for offset, magic, suffix in _MAGIC:
        if head[offset:].startswith(magic):
            wave = suffix == ".avi" and head[8:12] == b"WAVE"
            return ".wav" if wave else suffix
    if head[:1] == b"G" and head[188:189] in (b"G", b""):
        return ".ts"
    return ".mp4" if head[4:8] in (b"moov", b"mdat", b"styp", b"free", b"wide") else ".bin"


def join_streams(files: list[Path], stem: Path) -> Path:
    """Join picture and sound of separate files without encoding them again.

    Args:
        files: Local files: picture, then sound.
        stem: Path of the result without its suffix, which is `.mp4`, or `.mkv` for streams that MP4
            cannot hold.

    Raises:
        BrokenMediaError: FFmpeg cannot join them.
        StorageError: There is no room for the result.
    """
    import ffmpeg

    complaint = ""
    for suffix in (".mp4", ".mkv"):
        target = stem.with_name(stem.name + suffix)
        inputs = [
            ffmpeg.input(f"file:{path.resolve()}", **media.safe_input_options()) for path in files
        ]
        try:
            with atomic_path(target) as part:
                ffmpeg.output(
                    *inputs,
                    f"file:{part.resolve()}",
                    codec="copy",
                    map_metadata=-1,
                    fflags="+bitexact",
                    loglevel="error",
                ).global_args("-nostdin", "-y").run(
                    cmd=media.ffmpeg_binary(), capture_stdout=True, capture_stderr=True
                )
        except ffmpeg.Error as error:
            complaint = error.stderr.decode(errors="replace").strip()
            if fault := storage_error(complaint, target):
                raise fault from None
            continue
        return target
    raise BrokenMediaError(f"picture and sound of {stem.name} cannot be joined: {complaint[-300:]}")
