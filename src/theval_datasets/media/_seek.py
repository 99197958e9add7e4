"""Single frames, far apart or not, through whichever decoder is the better one for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import BrokenMediaError
from theval_datasets.utils.optional import available

from ._index import FrameIndex, frame_index
from ._open import Pixels, open_container, still_format, video_stream
from ._video import BATCH_FRAMES, open_video
from .frames import Frames

_log = logging.getLogger(__name__)

_DECORD_SEEKS_RIGHT: Final = {"h264", "mpeg4", "vp8", "vp9"}


def read_frames(path: Path, indices: Sequence[int], index: FrameIndex | None = None) -> Frames:
    """Decode single frames, far apart or not.

    Args:
        path: The file.
        indices: Which of `frame_index(path)`, growing.
        index: That index, if it is at hand.

    Returns:
        All of them in one batch; hold the number small.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    index = index or frame_index(path)
    wanted = np.asarray(indices, dtype=np.int64)
    if still_format(path):
        with open_video(path) as video:
            return next(video.frames())
    pixels = _read_with_decord(path, wanted, index)
    if pixels is None:
        pixels = _read_with_av(path, wanted, index)
    return Frames(pixels, index.times[wanted], wanted)


def sample_frames(path: Path, fps: float) -> Iterator[Frames]:
    """Decode `fps` frames a second, the same ones that a sequential pass would pick.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    index = frame_index(path)
    picked = index.pick(fps)
    for start in range(0, len(picked), BATCH_FRAMES):
        yield read_frames(path, picked[start : start + BATCH_FRAMES].tolist(), index)


def _read_with_decord(
    path: Path, wanted: npt.NDArray[np.int64], index: FrameIndex
) -> list[Pixels] | None:
    """Frames through decord; None where it is absent, cannot, or numbers the frames otherwise."""
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
    """Frames through PyAV: seeks to the keyframe before each, unless decoding on is nearer."""
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    found: dict[int, Pixels] = {}
    with open_container(path) as container:
        stream = video_stream(container, path)
        stream.codec_context.thread_type = "AUTO"
        for run in _runs(wanted, index):
            targets = {int(index.ticks[i]): int(i) for i in run}
            start = run[0] - int(np.argmax(index.keyframes[run[0] :: -1]))
            container.seek(int(index.ticks[start]), stream=stream, backward=True, any_frame=False)
            for frame in container.decode(stream):
                if frame.pts in targets:
                    upright = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    turned = np.rot90(upright, int(frame.rotation) % 360 // 90)
                    found[targets.pop(frame.pts)] = np.ascontiguousarray(turned)
                if not targets:
                    break
    lost = [int(i) for i in wanted if int(i) not in found]
    if lost:
        raise BrokenMediaError(f"{path.name}: frames {lost[:5]} do not decode")
    return [found[int(i)] for i in wanted]


def _runs(wanted: npt.NDArray[np.int64], index: FrameIndex) -> list[list[int]]:
    """Split growing indices wherever a keyframe lies between two of them."""
    runs: list[list[int]] = []
    for i in wanted.tolist():
        if runs and not index.keyframes[runs[-1][-1] + 1 : i + 1].any():
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs
