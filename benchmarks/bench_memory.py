"""Peak memory of `curate`, `extract` and `build`: how it grows with length, and where it is highest."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks._media import SHARED, clips
from benchmarks._rows import Row, at_most
from theval_datasets import media
from theval_datasets.builders.tables.frames import LONGEST
from theval_datasets.builders.tables.media import LARGEST_CLIP

FOOTAGE_MINUTES = float(os.environ.get("THEVAL_BENCH_FOOTAGE_MINUTES", "2"))
"""Length in minutes of the footage that the recipe `theval` finds clips in; a minute takes up to one CPU minute."""
TALKING = 0.12
"""Share of the footage that shows one speaker, as in recordings of which people make such sets."""
FPS = 25
SMALL = "scale=320:240,setsar=1"
LARGE = "scale=1080:1080,pad=1920:1080:-1:-1,setsar=1"
FULL = "scale=1080:1920:force_original_aspect_ratio=increase,crop=1080:1920,setsar=1"
MINUTES = (10, 21)
HOUR = 60
_PEAK_MB = 800
_BESIDE_VIDEO = 1 << 20
"""Bytes left for poster and sound of a clip just below the limits."""


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        folder = Path(name)
        paths, what = clips(folder / "sample")
        return [
            *_growth(paths[0], what, folder),
            *_hour(paths[0], what, folder),
            *_footage(paths, what, folder),
            *_below_the_limits(paths[0], what, folder),
        ]


def _growth(clip: Path, what: str, folder: Path) -> list[Row]:
    """Memory by length, on small pictures."""
    peaks = {}
    for minutes in MINUTES:
        own = folder / f"{minutes}"
        _looped(clip, SMALL, minutes * 60 * FPS, own / "footage" / "long.mp4")
        peaks[minutes] = _peaks(own)
    short, long = MINUTES
    note = f"{long} min of 320x240 at {FPS} frames/s, one clip of {what}, looped"
    rows = _rows(peaks[long], note)
    for command, peak in peaks[long].items():
        growth = (peak - peaks[short][command]) * 1e6 / ((long - short) * 60 * FPS)
        rows.append(
            Row(f"growth of {command}", growth, "bytes/frame", note=f"{short} to {long} min")
        )
    return rows


def _hour(clip: Path, what: str, folder: Path) -> list[Row]:
    """Memory on a whole recording."""
    own = folder / "hour"
    _looped(clip, LARGE, HOUR * 60 * FPS, own / "footage" / "long.mp4")
    note = f"{HOUR} min of 1920x1080 at {FPS} frames/s, one clip of {what}, looped"
    return _rows(_peaks(own), note)


def _footage(paths: Sequence[Path], what: str, folder: Path) -> list[Row]:
    """Memory on a recording out of which the recipe `theval` cuts its clips."""
    if (SHARED / "models").is_dir():
        os.environ.setdefault("THEVAL_MODELS", str(SHARED / "models"))
    own = folder / "footage"
    seconds = _mixed(paths, FOOTAGE_MINUTES * 60, own / "footage" / "long.mp4")
    found, cache, out = (str(own / name) for name in ("found", "cache", "out"))
    one = ["--workers", "1"]
    commands = {
        "curate": ["curate", str(own / "footage"), "--recipe", "theval", "--language", "en",
                   "-o", found, "--cache", cache, *one],
        "extract": ["extract", found, "--cache", cache, *one],
        "build": ["build", "theval", "--manifest", found, "--cache", cache, "-o", out, *one],
        "verify": ["verify", f"{out}/theval/theval"],
    }  # fmt: skip
    note = f"{seconds / 60:.1f} min of 1080x1920 at {FPS} frames/s, {TALKING:.0%} of it {what}"
    rows = []
    for command, words in commands.items():
        largest, together = _peak(words)
        name = f"{command} by theval"
        rows += [
            at_most(
                f"peak memory of {name}", largest, "MB", _PEAK_MB, f"the largest process; {note}"
            ),
            Row(f"peak memory of {name}", together, "MB", note="all its processes together"),
        ]
    return rows


def _mixed(paths: Sequence[Path], seconds: float, target: Path) -> float:
    """Write speakers between scenes that no recipe takes, joined by stream copy; its length in seconds."""
    target.parent.mkdir(parents=True)
    folder = target.parent.with_name("parts")
    folder.mkdir()
    others = sorted(
        p for kind in ("negative", "multi") for p in (SHARED / "media" / kind).glob("*.mp4")
    )
    if not others:
        others = [folder / "slides.mkv"]
        _ffmpeg(
            "-f",
            "lavfi",
            "-i",
            "testsrc=s=1280x720:d=20",
            "-f",
            "lavfi",
            "-i",
            "sine=d=20",
            others[0],
        )
    talking, rest = ([_uniform(path, folder) for path in some] for some in (paths, others))
    listed: list[Path] = []
    lasting = spoken = 0.0
    turns = itertools.cycle(talking), itertools.cycle(rest)
    while lasting < seconds:
        speaks = spoken <= TALKING * lasting
        part, length = next(turns[0 if speaks else 1])
        listed.append(part)
        lasting += length
        spoken += length if speaks else 0
    listing = folder / "list.txt"
    listing.write_text("".join(f"file '{part}'\n" for part in listed))
    _ffmpeg("-f", "concat", "-safe", "0", "-i", listing, "-c", "copy", target)
    return lasting


def _uniform(clip: Path, folder: Path) -> tuple[Path, float]:
    """A clip encoded like all others, so that they can be joined, and its length in seconds."""
    target = folder / f"{clip.parent.name}-{clip.stem}.mp4"
    silent = media.probe(clip).audio_codec is None
    sound = (
        ["-f", "lavfi", "-i", "anullsrc", "-map", "0:v", "-map", "1:a", "-shortest"]
        if silent
        else []
    )
    _ffmpeg("-i", clip, *sound, "-vf", f"{FULL},fps={FPS}", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p",
            "-threads", "2", "-c:a", "aac", "-ar", "48000", "-ac", "2", target)  # fmt: skip
    return target, media.probe(target).duration


def _ffmpeg(*words: object) -> None:
    command = [media.ffmpeg_binary(), "-nostdin", "-v", "error", *map(str, words)]
    subprocess.run(command, check=True)


def _below_the_limits(clip: Path, what: str, folder: Path) -> list[Row]:
    """Memory on two clips whose meshes and files are just small enough for a row."""
    own = folder / "limits"
    first = own / "footage" / "first.mp4"
    _looped(clip, "setsar=1", LONGEST, first)
    data = first.read_bytes()
    for number, name in enumerate(("first", "second")):
        room = LARGEST_CLIP - _BESIDE_VIDEO - len(data) - number
        if room < 8:
            raise RuntimeError(f"{LONGEST} frames take {len(data)} bytes: encode them smaller")
        filled = data + room.to_bytes(4, "big") + b"free" + bytes(room - 8)
        first.with_name(f"{name}.mp4").write_bytes(filled)
    peaks = _peaks(own)
    for config, column in (("landmarks", "mesh"), ("media", "video")):
        files = (own / "out" / "theval" / "theval" / config).glob("*.parquet")
        columns = [pq.read_table(file, columns=[column])[column] for file in files]
        if (kept := sum(len(values) - values.null_count for values in columns)) != 2:
            raise RuntimeError(f"{config} has {kept} {column} values; the clips exceed the limits")
    note = f"2 clips of {LONGEST} frames and {LARGEST_CLIP - _BESIDE_VIDEO} bytes, of {what}"
    return _rows(peaks, note)


def _rows(peaks: Mapping[str, float], note: str) -> list[Row]:
    return [
        at_most(f"peak memory of {command}", peak, "MB", _PEAK_MB, note)
        for command, peak in peaks.items()
    ]


def _looped(clip: Path, filters: str, n_frames: int, target: Path) -> None:
    """Write a clip, encoded once and then repeated by stream copy, as one file of some frames."""
    target.parent.mkdir(parents=True)
    once = target.parent.with_name("once.mkv")
    command = [media.ffmpeg_binary(), "-v", "error"]
    encoding = ["-vf", filters, "-r", str(FPS), "-pix_fmt", "yuv420p", "-preset", "veryfast"]
    subprocess.run(
        [*command, "-i", str(clip), *encoding, "-bf", "0", "-c:a", "aac", str(once)], check=True
    )
    repeated = ["-stream_loop", "-1", "-i", str(once), "-c", "copy", "-frames:v", str(n_frames)]
    length = ["-t", f"{n_frames / FPS + 1:.3f}"]
    subprocess.run([*command, *repeated, *length, str(target)], check=True)


def _peaks(folder: Path) -> dict[str, float]:
    """Peak memory in MB of the largest process of each command, on a folder of footage."""
    found, cache, out = str(folder / "found"), str(folder / "cache"), str(folder / "out")
    one = ["--workers", "1"]
    commands = {
        "curate": ["curate", str(folder / "footage"), "--recipe", "as-is", "-o", found, *one],
        "extract": ["extract", found, "--cache", cache, *one],
        "build": ["build", "theval", "--manifest", found, "--cache", cache, "-o", out, *one],
    }
    return {command: _peak(words)[0] for command, words in commands.items()}


def _peak(words: list[str]) -> tuple[float, float]:
    """Peak memory in MB of the largest process of a command, and of all its processes together."""
    command = [sys.executable, "-m", "theval_datasets", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = together = 0.0
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        largest, total = _held(process.pid)
        peak, together = max(peak, largest), max(together, total)
        time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    # of the command and the processes it waited for, unless it is what the child was born with
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(peak, used.ru_maxrss * 1024 / 1e6 if used.ru_maxrss > own else 0.0), together


def _held(session: int) -> tuple[float, float]:
    """The highest peak so far among the processes of a session, and what all of them hold now, in MB.

    As counted by Linux; pages that processes share count for each of them.
    """
    peak = total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                lines = (folder / "status").read_text().splitlines()
                facts = dict(line.split(":", 1) for line in lines)
                high, now = (int(facts.get(k, "0 kB").split()[0]) for k in ("VmHWM", "VmRSS"))
                peak = max(peak, high * 1024 / 1e6)
                total += now * 1024 / 1e6
        except (OSError, ValueError):
            continue  # the process has ended
    return peak, total
