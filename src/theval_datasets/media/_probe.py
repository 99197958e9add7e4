"""Measurement of a file's facts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from theval_datasets.errors import ZeroFramesError

from ._display import cutting_filters
from ._open import (
    LIMITS,
    Limits,
    audio_stream,
    open_container,
    still_format,
    video_stream,
)
from ._timeline import FrameIndex, frame_index, timeline
from ._video import Movie, Still, open_video
from .facts import MediaFacts, SourcePicture


def probe(path: Path, limits: Limits = LIMITS) -> MediaFacts:
    """Measure a file on its timeline.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    with open_video(path, limits=limits) as video:
        width, height = video.size
        if isinstance(video, Still):
            return MediaFacts(
                duration=0.0,
                fps=None,
                width=width,
                height=height,
                n_frames=1,
                rotation=0,
                variable_rate=False,
                video_codec=str(still_format(path)),
                audio_codec=None,
                audio_rate=None,
                audio_channels=None,
                audio_start=None,
                audio_duration=None,
                n_bytes=path.stat().st_size,
            )
        if not isinstance(video, Movie):
            raise TypeError(f"expected a movie or a still, got {type(video).__name__}")
        form, orientation, interlaced = video.form, video.orientation, video.interlaced
    line = timeline(path, limits)
    if line.index is None:
        raise ZeroFramesError(f"{path.name} has no frame")
    times = line.index.times
    steps = np.diff(times)
    with open_container(path) as container:
        stream = video_stream(container, path)
        sound = audio_stream(container)
        return MediaFacts(
            duration=line.video_end,
            fps=float((len(times) - 1) / times[-1]) if len(times) > 1 else None,
            width=width,
            height=height,
            n_frames=len(times),
            rotation=orientation.degrees,
            variable_rate=bool(len(steps) and np.ptp(steps) > 0.1 * np.median(steps)),
            video_codec=stream.codec_context.name,
            audio_codec=sound.codec_context.name if sound else None,
            audio_rate=sound.codec_context.sample_rate if sound else None,
            audio_channels=sound.codec_context.channels if sound else None,
            audio_start=line.audio_start,
            audio_duration=line.audio_length,
            n_bytes=path.stat().st_size,
            truncated=line.remarks.text(),
            mirrored=orientation.mirrored,
            pixel_aspect=_ratio(form.aspect),
            interlaced=interlaced,
            transfer=form.transfer,
        )


def source_picture(path: Path) -> SourcePicture:
    """How a file's pictures are stored; decodes only its first frame.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    with open_video(path) as video:
        if not isinstance(video, Movie):
            return SourcePicture()
        return SourcePicture(
            rotation=video.orientation.degrees,
            mirrored=video.orientation.mirrored,
            pixel_aspect=_ratio(video.form.aspect),
            interlaced=video.interlaced,
            transfer=video.form.transfer,
        )


def _ratio(aspect: Fraction) -> str | None:
    return None if aspect == 1 else f"{aspect.numerator}:{aspect.denominator}"


@dataclass(frozen=True, slots=True)
class CuttingFacts:
    """Facts of a file that cutting needs.

    Attributes:
        index: Index of the file's frames.
        lead: Seconds from the container's start to the first frame, on FFmpeg's clock.
        early: Seconds by which that clock is early for the pictures; the sound is as much later on it.
        video: Number of the video stream; None for a still image.
        audio: Number of the audio stream; None without sound.
        decoder: FFmpeg's name of the decoder that reads the video; None for ffmpeg's choice.
        filters: FFmpeg filters that give pictures as displayed; None if ffmpeg does so by itself.
        size: Width and height in pixels as displayed.
        backwards: Whether timestamps jump back; frames at such times are not used.
    """

    index: FrameIndex
    lead: float
    video: int | None
    audio: int | None
    decoder: str | None
    filters: tuple[str, ...] | None
    size: tuple[int, int]
    backwards: bool = False
    early: float = 0.0


def cutting_facts(path: Path) -> CuttingFacts:
    """Facts of a file that cutting needs.

    Raises:
        MediaError: The file cannot be used; the subclass states why.
    """
    index = frame_index(path)
    with open_video(path) as video:
        size = video.size
        if not isinstance(video, Movie):
            return CuttingFacts(index, 0.0, None, None, None, None, size)
        decoder = video.decoder
        filters = cutting_filters(video.form, video.orientation, video.interlaced)
    line = timeline(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        sound = audio_stream(container)
        return CuttingFacts(
            index,
            max(0.0, line.origin - line.early - line.begin),
            stream.index,
            None if sound is None else sound.index,
            decoder,
            None if filters is None else tuple(filters),
            size,
            line.remarks.backwards is not None,
            line.early,
        )
