"""Audio on the timeline of the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from theval_datasets.errors import (
    BrokenMediaError,
    DigitalSilenceError,
    NoAudioError,
    TooLargeError,
)

from ._open import (
    LIMITS,
    Limits,
    audio_stream,
    check_file,
    ffmpeg_binary,
    open_container,
    safe_input_options,
    seconds,
    still_format,
    video_streams,
)
from .frames import SAMPLE_RATE, Audio


def read_audio(
    path: Path, limits: Limits = LIMITS, *, rate: int = SAMPLE_RATE, aligned: bool = True
) -> Audio:
    """The first audio stream as mono on the video's timeline.

    ffmpeg decodes, mixes down and resamples; gaps inside the stream become silence. What sounds
    before the first video frame is cut off; a late start is kept as `Audio.start`. For a file
    without video, second 0 is the first sample.

    Args:
        path: The file.
        limits: What is too large.
        rate: Hz.
        aligned: False for the track as it is, from its own start.

    Raises:
        NoAudioError: There is no audio stream.
        DigitalSilenceError: Every sample is zero.
        BrokenMediaError: The audio does not decode.
        TooLargeError: It is longer than the limit.
    """
    import ffmpeg

    start = _audio_start(path, limits)
    start = start if aligned else 0.0
    job = (
        ffmpeg.input(f"file:{path.resolve()}", vn=None, sn=None, dn=None, **safe_input_options())
        .output(
            "pipe:1",
            map="0:a:0",
            format="f32le",
            acodec="pcm_f32le",
            af="aresample=async=1",
            ac=1,
            ar=rate,
            t=limits.audio_seconds,
            loglevel="error",
        )
        .global_args("-nostdin", "-threads", "1")
    )
    process = job.run_async(cmd=ffmpeg_binary(), pipe_stdout=True, pipe_stderr=True)
    data, messages = process.communicate()
    samples = np.frombuffer(data[: len(data) // 4 * 4], dtype="<f4")
    if not len(samples):
        lines = messages.decode(errors="replace").strip().splitlines()
        raise BrokenMediaError(
            f"{path.name}: the audio does not decode ({lines[-1:] or 'no data'})"
        )
    if len(samples) >= int(limits.audio_seconds * rate):
        raise TooLargeError(f"{path.name}: more than {limits.audio_seconds:.0f} s of audio")
    samples = samples[max(0, round(-start * rate)) :]
    if not samples.any():
        raise DigitalSilenceError(f"{path.name}: every audio sample is zero")
    return Audio(samples, max(0.0, start), rate)


def _audio_start(path: Path, limits: Limits) -> float:
    """Seconds from the first video frame to the first audio sample that decodes."""
    import av

    check_file(path, limits)
    if still_format(path):
        raise NoAudioError(f"{path.name} is a still image")
    with open_container(path) as container:
        sound = audio_stream(container)
        if sound is None:
            raise NoAudioError(f"{path.name} has no audio stream")
        video = next(iter(video_streams(container)), None)
        try:
            first = next(container.decode(sound), None)
        except av.FFmpegError as error:
            raise BrokenMediaError(
                f"{path.name}: the audio does not decode ({error.strerror})"
            ) from None
        if first is None:
            raise NoAudioError(f"{path.name}: its audio stream is empty")
        if video is None or video.start_time is None or first.pts is None:
            return 0.0
        return seconds(first.pts, first.time_base) - seconds(video.start_time, video.time_base)
