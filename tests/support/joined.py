"""A long video made of clips, with hard cuts and black between, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from media_factory import ffmpeg

FPS = 25


@dataclass(frozen=True)
class Part:
    """One clip of a joined video: its name, and the seconds it lies at."""

    name: str
    start: float
    end: float


def join(clips: list[tuple[Path, float]], target: Path, *, size: int, black: float) -> list[Part]:
    """Join clips, each at most some seconds of it, `size` pixels square, with black in every other gap.

    What does not fill the square is cropped around its middle. Clips without sound are silent.
    """
    parts: list[Part] = []
    files: list[Path] = []
    at = 0
    for i, (clip, seconds) in enumerate(clips):
        part = target.with_name(f"part{i}.mkv")
        frames = _part(clip, seconds, part, size)
        parts.append(Part(clip.stem, at / FPS, (at + frames) / FPS))
        files.append(part)
        at += frames
        if black and i % 2 == 0 and i + 1 < len(clips):
            gap = target.with_name(f"black{i}.mkv")
            _black(black, gap, size)
            files.append(gap)
            at += round(black * FPS)
    listing = target.with_suffix(".txt")
    listing.write_text("".join(f"file '{file.resolve()}'\n" for file in files))
    codec = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-c:a", "aac", "-b:a", "160k"]
    ffmpeg("-f", "concat", "-safe", "0", "-i", listing, *codec, "-movflags", "+faststart", target)
    for file in (*files, listing):
        file.unlink()
    return parts


def _part(clip: Path, seconds: float, part: Path, size: int) -> int:
    """One clip at 25 frames a second with sound of exactly the same length; its number of frames."""
    from theval_datasets import media

    frames = int(min(seconds, media.probe(clip).duration) * FPS)
    picture = (
        f"fps={FPS},scale={size}:{size}:force_original_aspect_ratio=increase,crop={size}:{size},"
        f"setsar=1,tpad=stop_mode=clone:stop_duration=1,trim=end_frame={frames}"
    )
    length = frames / FPS
    sounds = media.cutting_facts(clip).audio is not None
    silence = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
    heard = f"apad,atrim=end={length},aresample=48000,aformat=channel_layouts=stereo"
    ffmpeg("-i", clip, *([] if sounds else silence), "-map", "0:v:0", "-map", "0:a:0" if sounds else "1:a",
           "-vf", picture, "-af", heard, "-t", str(length), *_plain(), part)  # fmt: skip
    return frames


def _black(seconds: float, part: Path, size: int) -> None:
    picture = ["-f", "lavfi", "-i", f"color=black:s={size}x{size}:r={FPS}"]
    silence = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]
    ffmpeg(*picture, *silence, "-t", str(seconds), *_plain(), part)


def _plain() -> list[str]:
    return [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "8",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "pcm_s16le",
    ]
