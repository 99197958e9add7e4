"""Measured facts of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ._index import frame_index, scan
from ._open import (
    LIMITS,
    Limits,
    audio_stream,
    check_file,
    open_container,
    still_format,
    video_stream,
)
from ._video import Movie, Still, open_video
from .facts import MediaFacts


def probe(path: Path, limits: Limits = LIMITS) -> MediaFacts:
    """Measure a file: reads every packet, decodes one frame.

    Raises:
        MediaError: Of the kind that says what is wrong.
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
        turns = video.turns if isinstance(video, Movie) else 0
    with open_container(path) as container:
        stream = video_stream(container, path)
        sound = audio_stream(container)
        found = scan(container, stream)
        times = found.index.times
        steps = np.diff(times)
        return MediaFacts(
            duration=float(times[-1]) + found.index.length,
            fps=float((len(times) - 1) / times[-1]) if len(times) > 1 else None,
            width=width,
            height=height,
            n_frames=len(times),
            rotation=turns * 90,
            variable_rate=bool(len(steps) and np.ptp(steps) > 0.1 * np.median(steps)),
            video_codec=stream.codec_context.name,
            audio_codec=sound.codec_context.name if sound else None,
            audio_rate=sound.codec_context.sample_rate if sound else None,
            audio_channels=sound.codec_context.channels if sound else None,
            audio_start=found.audio_start,
            audio_duration=found.audio_duration,
            n_bytes=path.stat().st_size,
            truncated=found.truncated,
        )


def lead_and_sound(path: Path) -> tuple[float, bool]:
    """Seconds from the container's own start to the first video frame, and whether there is audio.

    Raises:
        MediaError: Of the kind that says what is wrong.
    """
    import av

    check_file(path, LIMITS)
    if still_format(path):
        return 0.0, False
    with open_container(path) as container:
        stream = video_stream(container, path)
        begin = (container.start_time or 0) / av.time_base
        shown = frame_index(path).ticks[0] * float(stream.time_base)
        return max(0.0, shown - begin), audio_stream(container) is not None
