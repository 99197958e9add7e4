"""Small clips of known properties, synthesised by FFmpeg when a test asks for them.

Every clip with picture and sound holds the same scene: 2 s, moving bars, white from second 1.0 to
1.2 of the picture's own time, and a 1 kHz beep over quiet noise from second 1.0 to 1.2 of the
sound's own time.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

from shared_files import made_once

from theval_datasets.media import ffmpeg_binary

FPS = 25
SECONDS = 2.0
SIZE = (160, 120)
FLASH = (1.0, 1.2)
"""Seconds of the picture's own time in which it is white, and of the sound's in which it beeps."""

_PICTURE = (
    f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate={FPS}:duration={SECONDS},"
    "drawbox=color=white:t=fill:enable='gte(t,0.999)*lt(t,1.199)'"
)
_SOUND = (
    f"aevalsrc='0.002*(random(0)-0.5)+0.5*gte(t,1)*lt(t,1.2)*sin(2*PI*1000*t)':s=48000:d={SECONDS}"
)
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "23", "-pix_fmt", "yuv420p", "-g", "12"]
_AAC = ["-c:a", "aac", "-b:a", "96k"]
_TEXT = "This is a text file that somebody named like a video.\n"


class MediaFactory:
    """Makes each clip once, in a folder that the processes of a run share.

    ``factory("late_video")`` is the path of that clip; `NAMES` lists them all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str) -> Path:
        maker, suffix = _MAKERS[name]
        return made_once(self.folder / f"{name}{suffix}", functools.partial(maker, self))


def ffmpeg(*arguments: str | Path) -> None:
    """Run FFmpeg, and fail loudly."""
    command = [ffmpeg_binary(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _picture(filters: str = "") -> list[str]:
    return ["-f", "lavfi", "-i", _PICTURE + filters]


def _sound() -> list[str]:
    return ["-f", "lavfi", "-i", _SOUND]


def _plain(make: MediaFactory, path: Path) -> None:
    ffmpeg(*_picture(), *_sound(), *_H264, *_AAC, "-movflags", "+faststart", path)


def _no_audio(make: MediaFactory, path: Path) -> None:
    ffmpeg(*_picture(), *_H264, path)


def _silent(make: MediaFactory, path: Path) -> None:
    silence = ["-f", "lavfi", "-t", str(SECONDS), "-i", "anullsrc=r=48000:cl=mono"]
    ffmpeg(*_picture(), *silence, *_H264, *_AAC, path)


def _vfr(make: MediaFactory, path: Path) -> None:
    """Frames 2 and 3 of every seven are missing."""
    thinned = _picture(r",select='not(between(mod(n\,7)\,2\,3))'")
    ffmpeg(*thinned, *_sound(), *_H264, *_AAC, "-fps_mode", "vfr", path)


def _rotated(make: MediaFactory, path: Path) -> None:
    """Stored lying, shown upright after a quarter turn."""
    ffmpeg("-display_rotation", "90", "-i", make("plain"), "-c", "copy", path)


def _late_video(make: MediaFactory, path: Path) -> None:
    """The picture starts 0.4 s after the sound."""
    ffmpeg("-itsoffset", "0.4", *_picture(), *_sound(), *_H264, *_AAC, path)


def _late_audio(make: MediaFactory, path: Path) -> None:
    """The sound starts 0.4 s after the picture."""
    ffmpeg(*_picture(), "-itsoffset", "0.4", *_sound(), *_H264, *_AAC, path)


def _hevc(make: MediaFactory, path: Path) -> None:
    quick = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"]
    ffmpeg(*_picture(), *_sound(), *quick, "-pix_fmt", "yuv420p", *_AAC, path)


def _vp9(make: MediaFactory, path: Path) -> None:
    quick = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "200k"]
    ffmpeg(*_picture(), *_sound(), *quick, "-c:a", "libopus", "-b:a", "64k", path)


def _gif(make: MediaFactory, path: Path) -> None:
    ffmpeg(*_picture(",fps=10"), path)


def _still(make: MediaFactory, path: Path) -> None:
    ffmpeg(*_picture(), "-frames:v", "1", "-update", "1", path)


def _wav(make: MediaFactory, path: Path) -> None:
    ffmpeg(*_sound(), path)


def _mp3_with_cover(make: MediaFactory, path: Path) -> None:
    streams = ["-map", "0:a", "-map", "1:v", "-c:a", "libmp3lame", "-c:v", "copy"]
    cover = ["-disposition:v", "attached_pic", "-id3v2_version", "3"]
    ffmpeg(*_sound(), "-i", make("still"), *streams, *cover, path)


def _truncated(make: MediaFactory, path: Path) -> None:
    """The header promises 2 s; the file ends after 60 % of its bytes."""
    whole = make("plain").read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])


def _headless(make: MediaFactory, path: Path) -> None:
    """An MP4 whose index, which stands last, is cut off."""
    whole = path.with_name("headless-whole.mp4")
    ffmpeg("-i", make("plain"), "-c", "copy", whole)
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    whole.unlink()


def _zero_frames(make: MediaFactory, path: Path) -> None:
    """A video stream is announced, and none of its frames is there."""
    whole = bytearray(make("plain").read_bytes())
    at = whole.index(b"mdat")
    size = len(whole) - at - 4
    whole[at + 4 :] = bytes(size)
    path.write_bytes(whole)


def _text(make: MediaFactory, path: Path) -> None:
    path.write_text(_TEXT * 40)


def _empty(make: MediaFactory, path: Path) -> None:
    path.write_bytes(b"")


_MAKERS: dict[str, tuple[Callable[[MediaFactory, Path], None], str]] = {
    "plain": (_plain, ".mp4"),
    "no_audio": (_no_audio, ".mp4"),
    "silent": (_silent, ".mp4"),
    "vfr": (_vfr, ".mp4"),
    "rotated": (_rotated, ".mp4"),
    "late_video": (_late_video, ".mp4"),
    "late_audio": (_late_audio, ".mp4"),
    "hevc": (_hevc, ".mp4"),
    "vp9": (_vp9, ".webm"),
    "gif": (_gif, ".gif"),
    "still": (_still, ".png"),
    "wav": (_wav, ".wav"),
    "mp3_with_cover": (_mp3_with_cover, ".mp3"),
    "truncated": (_truncated, ".mp4"),
    "headless": (_headless, ".mp4"),
    "zero_frames": (_zero_frames, ".mp4"),
    "text": (_text, ".mp4"),
    "empty": (_empty, ".mp4"),
}

NAMES = tuple(_MAKERS)
