"""Cutting a span out of a source, to the frame, with the same bytes for the same ffmpeg.

The pinned binary decodes from the keyframe before, drops what comes earlier, and encodes with a fixed
number of threads, bit-exact flags and no metadata. Nothing from a manifest or recipe reaches ffmpeg
but numbers and words that were checked against a list.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from theval_datasets import media
from theval_datasets.errors import BrokenMediaError, InputError
from theval_datasets.media.facts import MediaFacts

SUFFIX: Final = ".mp4"
_MIN_FREE: Final = 1 << 30
_EARLY: Final = 0.5  # of a frame's length by which seeking stays before the first frame


@dataclass(frozen=True, slots=True)
class Encoding:
    """How clips are encoded; recorded in the manifest, because the bytes depend on it.

    Attributes:
        crf: x264's quality, 0 (lossless) to 51.
        preset: x264's effort.
        threads: Of the encoder: other numbers give other bytes.
        audio_kbps: Bits of AAC sound, in thousands a second.
    """

    crf: int = 17
    preset: Literal["ultrafast", "veryfast", "fast", "medium", "slow"] = "fast"
    threads: int = 4
    audio_kbps: int = 192

    def __post_init__(self) -> None:
        if not (0 <= self.crf <= 51 and 1 <= self.threads <= 64 and 16 <= self.audio_kbps <= 512):
            raise ValueError(
                "expected crf 0 to 51, threads 1 to 64 and audio_kbps 16 to 512, got "
                f"{self.crf}, {self.threads} and {self.audio_kbps}"
            )

    def facts(self) -> dict[str, str | int]:
        """The same for a manifest row's `tools`."""
        return {
            "encoder": "libx264+aac",
            "crf": self.crf,
            "preset": self.preset,
            "threads": self.threads,
            "audio_kbps": self.audio_kbps,
        }


@dataclass(frozen=True, slots=True)
class Piece:
    """What is to be cut.

    Attributes:
        start: Seconds of its first frame since the source's first.
        end: Seconds of the first frame after it.
        crop: Left, top, width, height in pixels of the upright picture; None for all of it.
    """

    start: float
    end: float
    crop: tuple[int, int, int, int] | None = None


def cut(source: Path, piece: Piece, target: Path, encoding: Encoding) -> MediaFacts:
    """Cut a piece out of a source.

    Args:
        source: A local file.
        piece: What to cut; its times are those of frames.
        target: The clip; written whole or not at all.
        encoding: How to encode.

    Returns:
        What was probed of the clip.

    Raises:
        BrokenMediaError: It does not decode there, or other frames came than were wanted.
        InputError: The crop does not lie in the picture, or the disk is nearly full.
    """
    index = media.frame_index(source)
    first, last = _frames_of(index, piece)
    facts = media.probe(source) if piece.crop else None
    if facts is not None:
        _check_crop(piece, facts)
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < _MIN_FREE:
        raise InputError(f"less than {_MIN_FREE >> 20} MB are free for {target.parent}: make room")
    part = target.with_name(f".{target.stem[:80]}.part{SUFFIX}")
    try:
        _encode(source, piece, index, (first, last), part, encoding)
        made = media.probe(part)
        if made.n_frames != last - first:
            raise BrokenMediaError(
                f"{source.name} at {piece.start:.3f} s: expected {last - first} frames, "
                f"got {made.n_frames}"
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return made


def _frames_of(index: media.FrameIndex, piece: Piece) -> tuple[int, int]:
    """Index of the first frame, and of the first one after the piece."""
    edges = np.append(index.times, index.times[-1] + index.length)
    half = 0.25 * float(np.median(np.diff(edges)))
    first = int(np.searchsorted(index.times, piece.start - half))
    last = int(np.searchsorted(index.times, piece.end - half))
    if last <= first:
        raise BrokenMediaError(f"there is no frame from {piece.start} s to {piece.end} s")
    return first, last


def _encode(
    source: Path,
    piece: Piece,
    index: media.FrameIndex,
    frames: tuple[int, int],
    part: Path,
    encoding: Encoding,
) -> None:
    import ffmpeg

    begin = float(index.times[frames[0]])
    step = begin - float(index.times[frames[0] - 1]) if frames[0] else index.length
    early = min(begin, _EARLY * step) if frames[0] else 0.0
    lead, track = media.lead_and_sound(source)
    seek = lead + begin - early
    length = _length(index, frames)
    options: dict[str, Any] = dict(media.safe_input_options())
    if frames[0]:
        options["ss"] = f"{seek:.6f}"
        offset = early
    else:
        offset = lead
    given = ffmpeg.input(f"file:{source.resolve()}", **options)
    picture = given.video.filter("trim", end_frame=frames[1] - frames[0]).filter(
        "setpts", "PTS-STARTPTS"
    )
    if piece.crop:
        left, top, width, height = piece.crop
        picture = picture.filter("crop", width, height, left, top)
    picture = picture.filter("scale", "trunc(iw/2)*2", "trunc(ih/2)*2", flags="bicubic+bitexact")
    streams = [picture]
    sound: dict[str, Any] = {}
    if track is not None:
        heard = (
            given[str(track)]
            .filter("atrim", start=f"{offset:.6f}", end=f"{offset + length:.6f}")
            .filter("asetpts", f"PTS-{offset:.6f}/TB")
            .filter("aresample", **{"async": 1, "first_pts": 0})
        )
        streams.append(heard)
        sound = {
            "acodec": "aac",
            "audio_bitrate": f"{encoding.audio_kbps}k",
            "flags:a": "+bitexact",
        }
    job = ffmpeg.output(
        *streams,
        f"file:{part.resolve()}",
        vcodec="libx264",
        crf=encoding.crf,
        preset=encoding.preset,
        pix_fmt="yuv420p",
        fps_mode="passthrough",
        enc_time_base="1:90000",
        threads=encoding.threads,
        map_metadata=-1,
        map_chapters=-1,
        fflags="+bitexact",
        movflags="+faststart",
        loglevel="error",
        **{"flags:v": "+bitexact", **sound},
    ).global_args("-nostdin", "-y", "-filter_threads", "1")
    try:
        job.run(cmd=media.ffmpeg_binary(), capture_stdout=True, capture_stderr=True)
    except ffmpeg.Error as error:
        said = error.stderr.decode(errors="replace").strip()[-300:]
        raise BrokenMediaError(
            f"{source.name} at {piece.start:.3f} s cannot be cut: {said}"
        ) from None


def _length(index: media.FrameIndex, frames: tuple[int, int]) -> float:
    edges = np.append(index.times, index.times[-1] + index.length)
    return float(edges[frames[1]] - edges[frames[0]])


def _check_crop(piece: Piece, facts: MediaFacts) -> None:
    left, top, width, height = piece.crop or (0, 0, 2, 2)
    fits = left >= 0 and top >= 0 and width >= 2 and height >= 2
    if not fits or left + width > facts.width or top + height > facts.height:
        raise InputError(
            f"the crop {piece.crop} does not lie in a picture of {facts.width}x{facts.height}"
        )
