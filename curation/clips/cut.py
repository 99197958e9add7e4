"""Frame-accurate cuts of sources, with the same bytes for the same ffmpeg.

The pinned binary decodes from the preceding keyframe, drops earlier frames, and encodes with a fixed
number of threads, bit-exact flags and no metadata. From a manifest or recipe only numbers, and words
that were checked against a list, reach ffmpeg.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from theval_datasets import media
from theval_datasets.errors import BrokenMediaError, InputError, StorageError
from theval_datasets.manifest.rows import Region
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import atomic_path, write_text

from .audible import audible_filter
from .encoder import run_ffmpeg
from .windows import Window, window_of

SUFFIX: Final = ".mp4"
_MIN_FREE: Final = 1 << 30  # free disk space below which nothing is cut, bytes
_BEFORE: Final = 20.0
"""Seconds before a piece at which decoding begins in files with unreliable seeking."""
_COLOURS: Final[Mapping[bool, Mapping[str, str]]] = {
    False: {},
    True: {
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        "color_range": "tv",
    },
}
"""Colour tags of the clip, by whether its pictures were converted to BT.709."""
_TOLERANCE: Final = 0.002
"""Tolerance of the frames' times in seconds: clips have a clock of 90 kHz."""
_EVEN: Final = "scale=trunc(iw/2)*2:trunc(ih/2)*2:flags=bicubic+bitexact"
_PLAIN: Final = re.compile(r"[\w./-]+", re.ASCII)
_CONTINUOUS: Final = "aresample=" + ":".join(f"{k}={v}" for k, v in media.SILENCE_FOR_GAPS.items())
_GROWING: Final = "select=isnan(prev_selected_pts)+gt(pts,prev_selected_pts)"
"""Drops frames whose timestamps jump back, as reading does."""
_EARLY: Final = 0.5  # distance of the seek point before the first frame, in lengths of a frame


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encoding of clips; recorded in the manifest, because the bytes depend on it.

    Attributes:
        crf: Constant rate factor of x264, 0 (lossless) to 51.
        preset: Preset of x264.
        threads: Number of encoder threads, on which the bytes depend.
        audio_kbps: Bit rate of the AAC audio in kbit/s.
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
        """The parameters as entries of a manifest row's `tools`."""
        return {
            "encoder": "libx264+aac",
            "crf": self.crf,
            "preset": self.preset,
            "threads": self.threads,
            "audio_kbps": self.audio_kbps,
        }


@dataclass(frozen=True, slots=True)
class Piece:
    """A span of a source, and the region of its pictures, that is cut.

    Attributes:
        start: Time of its first frame, in seconds since the source's first frame.
        end: Time of the first frame after it, in seconds.
        crop: Left, top, width, height in pixels of the upright picture; None for the whole picture.
        region: Region of any size of the picture, which may move, instead of `crop`.
        audible: Start and end in seconds of the piece of the spans whose sound is kept; None for all.
    """

    start: float
    end: float
    crop: tuple[int, int, int, int] | None = None
    region: Region | None = None
    audible: tuple[tuple[float, float], ...] | None = None


def cut(source: Path, piece: Piece, target: Path, encoding: Encoding) -> MediaFacts:
    """Cut a piece out of a source.

    Args:
        source: Local file.
        piece: Piece to cut; its times are those of frames.
        target: Output file, written atomically.
        encoding: Encoding of the clip.

    Returns:
        Probed facts of the clip.

    Raises:
        BrokenMediaError: The source does not decode there, the clip has other frames than expected,
            or the region is not within the picture.
        InputError: The crop is not within the picture.
        StorageError: The disk is full or nearly full.
    """
    facts = media.cutting_facts(source)
    frames = _frames_of(facts.index, piece)
    if piece.crop:
        _check_crop(piece, facts.size)
    window = None
    if piece.region is not None:
        times = facts.index.times[frames[0] : frames[1]]
        window = window_of(piece.region, facts.size, times - times[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < _MIN_FREE:
        raise StorageError(
            f"less than {_MIN_FREE >> 20} MB are free for {target.parent}: free some space, then run "
            "the same command again to continue"
        )
    with atomic_path(target) as part, _commands(window, facts, frames) as moving:
        for seek in _seeks(facts, frames):
            taken = _picture_filters(facts, frames, seek)
            cropped = _crop(piece, window, moving)
            # where the size changes on the way, a crop is that of a picture of the first size
            fitted = [_fit(facts)] if cropped and facts.filters is None else []
            chain = [*taken, *fitted, *cropped, *_even(piece, window, facts)]
            _encode(source, piece, facts, frames, seek, part, encoding, chain)
            made = media.probe(part)
            fault = _fault(media.frame_index(part), facts.index, frames)
            if fault is None and _of_another_size(made, facts, bool(cropped)):
                even = _even(piece, window, facts)
                chain = [*taken, _fit(facts), "setsar=1", *cropped, *even]
                _encode(source, piece, facts, frames, seek, part, encoding, chain)
                made = media.probe(part)
            if fault is None:
                break
        else:
            raise BrokenMediaError(f"{source.name} at {piece.start:.3f} s: {fault}")
    return made


def _fit(facts: media.CuttingFacts) -> str:
    """The filter that scales pictures to the size of the file's first; no change of those that have it."""
    return f"scale={facts.size[0]}:{facts.size[1]}:flags=bicubic+bitexact"


def _even(piece: Piece, window: Window | None, facts: media.CuttingFacts) -> list[str]:
    """The filters that make sizes even; ffmpeg would state that pixels are no longer square."""
    size = piece.crop[2:] if piece.crop else facts.size
    odd = window is None and any(side % 2 for side in size)
    return [_EVEN, "setsar=1"] if odd else [_EVEN]


def _of_another_size(made: MediaFacts, facts: media.CuttingFacts, cropped: bool) -> bool:
    """Whether a clip shows that its source has, from its first frame on, another size than before."""
    if facts.filters is not None:
        return False
    expected = tuple(side // 2 * 2 for side in facts.size)
    return made.pixel_aspect is not None or not (cropped or (made.width, made.height) == expected)


def _fault(made: media.FrameIndex, source: media.FrameIndex, frames: tuple[int, int]) -> str | None:
    """The fault of a clip's frames; None if they are the expected ones."""
    times = source.times[frames[0] : frames[1]] - source.times[frames[0]]
    if len(made.times) != len(times):
        return f"expected {len(times)} frames, got {len(made.times)}"
    off = float(np.abs(made.times - times).max())
    return f"frames are up to {off:.3f} s off their time" if off > _TOLERANCE else None


@dataclass(frozen=True, slots=True)
class _Seek:
    """The point at which decoding begins.

    Attributes:
        to: Seek point in seconds from the container's start; None for its beginning.
        skip: Seconds from the seek point to the piece, less half a frame; None if the piece begins with
            the first decoded frame.
        sound: Seconds from the seek point to the piece in the sound.
        apart: Whether picture and sound have separate filter graphs. In a shared graph a change in the
            sound, such as another sample rate, restarts the filters of the picture.
    """

    to: float | None
    skip: float | None
    sound: float
    apart: bool = False


def _seeks(facts: media.CuttingFacts, frames: tuple[int, int]) -> list[_Seek]:
    """Seek points for a piece, to be tried in this order until every frame is decoded.

    Where seeking is reliable, decoding begins just before the first frame. Elsewhere, or if frames are
    missing then (as those that are shown before a keyframe and decoded after it), it begins well before,
    and at last at the file's beginning.
    """
    index = facts.index
    begin = float(index.times[frames[0]])
    place = facts.lead + begin
    if not frames[0]:
        ways = [_Seek(None, None, facts.lead)]
    else:
        early = min(begin, _EARLY * (begin - float(index.times[frames[0] - 1])))
        ways = [_Seek(place - early, None, early)] if index.seekable else []
        if begin >= 2 * _BEFORE:
            ways.append(_Seek(place - _BEFORE, _BEFORE - early, _BEFORE))
        ways.append(_Seek(None, place - early, place))
    return [*ways, *(replace(way, apart=True) for way in ways)]


def _frames_of(index: media.FrameIndex, piece: Piece) -> tuple[int, int]:
    """Indices of the first frame of a piece, and of the first frame after it."""
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
    facts: media.CuttingFacts,
    frames: tuple[int, int],
    seek: _Seek,
    part: Path,
    encoding: Encoding,
    pictures: list[str],
) -> None:
    import ffmpeg

    length = _length(facts.index, frames)
    # Colour tags that change in mid-stream must not restart the filters, which count frames.
    options: dict[str, Any] = {**media.safe_input_options(), "reinit_filter:v": 0}
    if seek.to is not None:
        options["ss"] = f"{seek.to:.6f}"
    if facts.filters is not None:
        options["display_rotation"] = 0  # the filters rotate the picture, after deinterlacing
    if facts.decoder is not None:
        options[f"c:{facts.video}"] = facts.decoder
    given = ffmpeg.input(f"file:{source.resolve()}", **options)
    streams = [given[str(facts.video)] if facts.video is not None else given.video]
    chains = [pictures]
    sound: dict[str, Any] = {}
    if facts.audio is not None:
        streams.append(given[str(facts.audio)])
        begin = seek.sound + facts.early
        span = f"atrim=start={begin:.6f}:end={begin + length:.6f}"
        step = f"asetpts=PTS-{begin:.6f}/TB"
        # Filters that are restarted must not insert silence again before the sound.
        filled = _CONTINUOUS if seek.apart else f"{_CONTINUOUS}:first_pts=0"
        silenced = [] if piece.audible is None else [f"aeval={audible_filter(piece.audible)}"]
        chains.append([span, step, filled, *silenced])
        sound = {
            "acodec": "aac",
            "audio_bitrate": f"{encoding.audio_kbps}k",
            "flags:a": "+bitexact",
        }
    if seek.apart:
        # commas within an expression belong to it
        written = (",".join(node.replace(",", r"\,") for node in chain) for chain in chains)
        sound |= zip(("vf", "af"), written, strict=False)
    else:
        streams = list(map(_filtered, streams, chains))
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
        **{"flags:v": "+bitexact", **_COLOURS[facts.filters is not None], **sound},
    ).global_args("-nostdin", "-y", "-filter_threads", "1")
    try:
        run_ffmpeg(job, part, f"{source.name} at {piece.start:.3f} s cannot be cut")
    except BrokenMediaError:
        begin = float(facts.index.times[frames[0]])
        if facts.audio is None or media.has_sound(source, begin, begin + length):
            raise
        silent = replace(facts, audio=None)  # its sound begins later, or ended before
        _encode(source, piece, silent, frames, seek, part, encoding, pictures)


def _filtered(stream: Any, chain: Sequence[str]) -> Any:
    """A stream of ffmpeg-python with filters, each written as ``name=value:key=value``."""
    for node in chain:
        name, _, options = node.partition("=")
        parts = [part for part in options.split(":") if part]
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        stream = stream.filter(name, *(part for part in parts if "=" not in part), **named)
    return stream


def _picture_filters(facts: media.CuttingFacts, frames: tuple[int, int], seek: _Seek) -> list[str]:
    late = _EARLY * _step_before(facts.index, frames[1])
    end = seek.sound + _length(facts.index, frames) - late
    results = [_GROWING] if facts.backwards else []
    if seek.skip is not None:
        results.append(f"trim=start={seek.skip:.6f}:end={end:.6f}")
    else:
        results.append(f"trim=end_frame={frames[1] - frames[0]}")
        if seek.to is not None:  # a seek that leads past the first frame leaves too few
            results.append(f"trim=end={end:.6f}")
    return [*results, "setpts=PTS-STARTPTS", *(facts.filters or ())]


def _crop(piece: Piece, window: Window | None, moving: Path | None) -> list[str]:
    """The filters of a crop that stays, or of one that moves by a file of commands."""
    if window is not None:
        place = f"{window.width}:{window.height}:{window.left[0]}:{window.top[0]}"
        return [*([f"sendcmd=filename={moving}"] if moving else []), f"crop={place}"]
    if piece.crop:
        left, top, width, height = piece.crop
        return [f"crop={width}:{height}:{left}:{top}"]
    return []


@contextlib.contextmanager
def _commands(
    window: Window | None, facts: media.CuttingFacts, frames: tuple[int, int]
) -> Iterator[Path | None]:
    """A file that moves ffmpeg's filter `crop` from frame to frame; None where nothing moves."""
    if window is None or not window.moves:
        yield None
        return
    times = facts.index.times[frames[0] : frames[1]] - facts.index.times[frames[0]]
    early = _EARLY * np.diff(times, prepend=times[0])
    lines = [
        f"{when:.6f} crop x {left}, crop y {top};"
        for when, left, top in zip(times - early, window.left, window.top, strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="theval-crop-") as folder:
        file = Path(folder) / "commands"
        if not _PLAIN.fullmatch(str(file)):  # ffmpeg's filters read some characters as their own
            raise InputError(
                f"the folder for temporary files, {folder}, has a character in its name that ffmpeg "
                "cannot read: set TMPDIR to a folder named with letters, digits, - and _"
            )
        write_text(file, "\n".join(lines))
        yield file


def _length(index: media.FrameIndex, frames: tuple[int, int]) -> float:
    edges = np.append(index.times, index.times[-1] + index.length)
    return float(edges[frames[1]] - edges[frames[0]])


def _step_before(index: media.FrameIndex, frame: int) -> float:
    """Seconds from the frame before `frame` to it, or to the end of the file."""
    edges = np.append(index.times, index.times[-1] + index.length)
    return float(edges[frame] - edges[frame - 1])


def _check_crop(piece: Piece, size: tuple[int, int]) -> None:
    left, top, width, height = piece.crop or (0, 0, 2, 2)
    fits = left >= 0 and top >= 0 and width >= 2 and height >= 2
    if not fits or left + width > size[0] or top + height > size[1]:
        raise InputError(
            f"expected a crop within the picture of {size[0]}x{size[1]}, got {piece.crop}"
        )
