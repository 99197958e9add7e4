"""Peak memory of `curate`, `extract` and `build`: how it grows with length, and where it is highest."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks._media import clips
from benchmarks._rows import Row, at_most
from theval_datasets import media
from theval_datasets.builders.tables.frames import LONGEST
from theval_datasets.builders.tables.media import LARGEST_CLIP

FPS = 25
SMALL = "scale=320:240,setsar=1"
LARGE = "scale=1080:1080,pad=1920:1080:-1:-1,setsar=1"
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
    return {
        "curate": _peak(
            ["curate", str(folder / "footage"), "--recipe", "as-is", "-o", found, *one]
        ),
        "extract": _peak(["extract", found, "--cache", cache, *one]),
        "build": _peak(["build", "theval", "--manifest", found, "--cache", cache, "-o", out, *one]),
    }


def _peak(words: list[str]) -> float:
    """Peak memory in MB of the largest process of a command, its workers included."""
    command = [sys.executable, "-m", "theval_datasets", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0.0
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, _largest(process.pid))
        time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    # of the command and the processes it waited for, unless it is what the child was born with
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(peak, used.ru_maxrss * 1024 / 1e6 if used.ru_maxrss > own else 0.0)


def _largest(session: int) -> float:
    """The highest peak so far among the processes of a session, in MB, as counted by Linux."""
    peak = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == session:
                lines = (folder / "status").read_text().splitlines()
                high = next((line for line in lines if line.startswith("VmHWM")), "VmHWM: 0 kB")
                peak = max(peak, int(high.split()[1]) * 1024 / 1e6)
        except (OSError, ValueError):
            continue  # the process has ended
    return peak
