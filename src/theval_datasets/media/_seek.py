"""Random access: decoding of single frames."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import BrokenMediaError
from theval_datasets.utils.optional import available

from ._alpha import alpha_of
from ._cropping import cropping_of
from ._decode import Remarks, decoded
from ._display import aspect_of, displayed_size, form_of, is_interlaced, orientation_of
from ._open import Pixels, open_container, still_format, video_stream
from ._pictures import DisplayedFrame, Presenter
from ._timeline import FrameIndex, SlotPicker, frame_index
from ._video import BATCH_FRAMES, open_video
from .frames import Frames

_log = logging.getLogger(__name__)

_STEPS_BACK: Final = (1, 2, 5)
"""Keyframes to try as starting points, counted back from the wanted frame."""
_BEGUN_AT_FIRST: Final = {"mjpeg", "mjpegb"}
"""Decoders that take their first picture for a field, if it is notably lower than the container states."""
_DECORD_SEEKS_RIGHT: Final = {"h264", "mpeg4", "vp8", "vp9"}


def read_frames(
    path: Path, indices: Sequence[int], index: FrameIndex | None = None, *, made_here: bool = False
) -> Frames:
    """Decode single frames.

    Args:
        path: File.
        indices: Positions in `frame_index(path)`, in any order.
        index: Frame index of the file; computed if not given.
        made_here: Whether this software itself encoded the file. Only such files are read by decord,
            whose old demuxers may take a file for a playlist and open what it refers to.

    Returns:
        All frames in one batch, which is held in memory.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    index = index or frame_index(path)
    wanted = np.asarray(indices, dtype=np.int64)
    if still_format(path):
        with open_video(path) as video:
            return next(video.frames())
    growing, places = np.unique(wanted, return_inverse=True)
    pixels = _read_with_decord(path, growing, index) if made_here else None
    if pixels is None:
        pixels = _read_with_av(path, growing, index)
    return Frames([pixels[i] for i in places], index.times[wanted], wanted)


def sample_frames(path: Path, fps: float, *, made_here: bool = False) -> Iterator[Frames]:
    """Decode `fps` frames a second, the same ones that a sequential pass would select.

    Args:
        path: File.
        fps: Number of frames a second.
        made_here: Whether this software itself encoded the file; see `read_frames`.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    index = frame_index(path)
    if not index.seekable:
        yield from _sample_in_sequence(path, fps)
        return
    picked = index.pick(fps)
    for start in range(0, len(picked), BATCH_FRAMES):
        some = picked[start : start + BATCH_FRAMES].tolist()
        yield read_frames(path, some, index, made_here=made_here)


def _sample_in_sequence(path: Path, fps: float) -> Iterator[Frames]:
    picker = SlotPicker(fps)
    with open_video(path) as video:
        for batch in video.frames():
            chosen = np.flatnonzero(picker.take(batch.times))
            if len(chosen):
                pixels = [batch.pixels[i] for i in chosen]
                yield Frames(pixels, batch.times[chosen], batch.indices[chosen])


def _read_with_decord(
    path: Path, wanted: npt.NDArray[np.int64], index: FrameIndex
) -> list[Pixels] | None:
    """Frames decoded by decord; None if it is absent, fails, or numbers the frames differently."""
    if not available("decord"):
        return None
    with open_container(path) as container:
        stream = video_stream(container, path)
        if stream.codec_context.name not in _DECORD_SEEKS_RIGHT:
            return None
    import decord

    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        if len(reader) != len(index.times):
            return None
        stamps = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        if np.abs((stamps - stamps[0]) - index.times).max() > 1e-3:
            return None
        return list(reader.get_batch(wanted.tolist()).asnumpy())
    except (decord.DECORDError, IndexError, RuntimeError) as error:
        _log.info("decord cannot read %s, PyAV will: %s", path.name, str(error).partition("\n")[0])
        return None


def _read_with_av(path: Path, wanted: npt.NDArray[np.int64], index: FrameIndex) -> list[Pixels]:
    """Frames decoded by PyAV, each from the last keyframe before it.

    Frames without a keyframe between them share a seek. If a seek misses, decoding starts from an
    earlier keyframe, and in the end from the beginning.
    """
    results: dict[int, Pixels] = {}
    if index.seekable:
        for run in _runs(wanted, index):
            results |= _read_run(path, run, index)
    lost = [int(i) for i in wanted if int(i) not in results]
    if lost:
        results |= _read_from(path, lost, index, None)
    lost = [int(i) for i in wanted if int(i) not in results]
    if lost:
        raise BrokenMediaError(f"{path.name}: frames {lost[:5]} do not decode")
    return [results[int(i)] for i in wanted]


def _read_run(path: Path, run: list[int], index: FrameIndex) -> dict[int, Pixels]:
    """Frames that follow one keyframe, decoded from it or from an earlier one."""
    keys = np.flatnonzero(index.keyframes[: run[0] + 1])
    for back in _STEPS_BACK:
        if back > len(keys):
            break
        result = _read_from(path, run, index, int(keys[-back]))
        if len(result) == len(run):
            return result
    return {}


def _read_from(
    path: Path,
    wanted: list[int],
    index: FrameIndex,
    start: int | None,
    *,
    push_all: bool = False,
) -> dict[int, Pixels]:
    """Decode from a keyframe, or from the beginning, and keep the wanted frames.

    Args:
        path: File.
        wanted: Indices of the wanted frames, ascending.
        index: Frame index of the file.
        start: Index of the keyframe; None for the beginning.
        push_all: Whether every frame is converted, not only the wanted ones, since deinterlacing reads
            the frames before and after.

    Returns:
        Pictures by index; empty if the seek landed after its target or among interlaced frames.
    """
    targets = {int(index.ticks[i]): i for i in wanted}
    last = int(index.ticks[wanted[-1]])
    results: dict[int, Pixels] = {}
    presenter: Presenter | None = None

    def keep(pictures: Iterator[tuple[int, DisplayedFrame]]) -> None:
        results.update(
            (targets[tick], picture.pixels) for tick, picture in pictures if tick in targets
        )

    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_type = "AUTO"
        frames = decoded(container, stream, Remarks())
        if start is not None:
            if stream.codec_context.name in _BEGUN_AT_FIRST:
                next(frames, None)
            if not _sought(container, stream, int(index.ticks[start])):
                return {}
            frames = _from_keyframe(frames, int(index.ticks[start]))
        for frame in _growing(frames):
            if is_interlaced(frame) and not push_all:
                break
            if presenter is None:
                presenter = _presenter(stream, frame, path, index)
            if push_all or frame.pts in targets:
                keep(presenter.push(frame))
            if len(results) == len(targets) or (frame.pts > last and not push_all):
                return results
        else:
            if presenter is not None:
                keep(presenter.flush())
            return results
    if start is not None:
        return {}
    return _read_from(path, wanted, index, None, push_all=True)


def _growing(frames: Iterator[Any]) -> Iterator[Any]:
    """Frames without those whose timestamps jump back, which a sequential pass leaves out too."""
    last: int | None = None
    for frame in frames:
        if last is None or frame.pts > last:
            last = frame.pts
            yield frame


def _sought(container: Any, stream: Any, tick: int) -> bool:
    """Whether a seek was carried out; only the frames show where it landed."""
    import av

    try:
        container.seek(tick, stream=stream, backward=True)
    except (av.FFmpegError, OverflowError):
        return False
    return True


def _from_keyframe(frames: Iterator[Any], tick: int) -> Iterator[Any]:
    """Frames from the keyframe at `tick` on; none if decoding begins after it."""
    for frame in frames:
        if frame.pts > tick:
            return
        if frame.pts == tick:
            yield frame
            break
    yield from frames


def _presenter(stream: Any, frame: Any, path: Path, index: FrameIndex) -> Presenter:
    """A presenter whose pictures have the size of the file's first frame."""
    if frame.pts == int(index.ticks[0]):
        orientation, _ = orientation_of(frame, stream)
        beside = alpha_of(stream).decoder is not None
        form = form_of(frame, aspect_of(stream), beside, cropping_of(stream))
        return Presenter(stream, displayed_size(form, orientation))
    with open_video(path) as video:
        return Presenter(stream, video.size)


def _runs(wanted: npt.NDArray[np.int64], index: FrameIndex) -> list[list[int]]:
    """Split ascending indices wherever a keyframe lies between two of them."""
    runs: list[list[int]] = []
    for i in wanted.tolist():
        if runs and not index.keyframes[runs[-1][-1] + 1 : i + 1].any():
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs
