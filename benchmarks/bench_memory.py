"""Peak memory of `curate`, `extract` and `build` on a long clip, and how it grows with length."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._media import clips
from benchmarks._rows import Row, at_most
from theval_datasets import media

MINUTES = (10, 20)
SIZE = "320x240"
FPS = 25
_PEAK_MB = 800


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        folder = Path(name)
        paths, what = clips(folder / "sample")
        peaks = {
            minutes: _peaks(
                _looped(paths[0], minutes, folder / f"{minutes}"), folder / f"{minutes}"
            )
            for minutes in MINUTES
        }
    short, long = MINUTES
    note = f"{long} min of {SIZE} at {FPS} frames/s, one clip of {what}, looped"
    rows = []
    for command, peak in peaks[long].items():
        growth = (peak - peaks[short][command]) * 1e6 / ((long - short) * 60 * FPS)
        rows.append(at_most(f"peak memory of {command}", peak, "MB", _PEAK_MB, note))
        rows.append(
            Row(f"growth of {command}", growth, "bytes/frame", note=f"{short} to {long} min")
        )
    return rows


def _looped(clip: Path, minutes: int, folder: Path) -> Path:
    """Write a clip repeated many times as one file."""
    folder.mkdir()
    target = folder / "footage" / "long.mp4"
    target.parent.mkdir()
    command = [media.ffmpeg_binary(), "-v", "error", "-stream_loop", "-1", "-i", str(clip)]
    command += ["-t", str(minutes * 60), "-vf", f"scale={SIZE.replace('x', ':')}", "-r", str(FPS)]
    command += ["-preset", "ultrafast", "-c:a", "aac", str(target)]
    subprocess.run(command, check=True)
    return target


def _peaks(clip: Path, folder: Path) -> dict[str, float]:
    """Peak memory in MB of the largest process of each command."""
    found, cache, out = str(folder / "found"), str(folder / "cache"), str(folder / "out")
    one = ["--workers", "1"]
    return {
        "curate": _peak(["curate", str(clip.parent), "--recipe", "as-is", "-o", found, *one]),
        "extract": _peak(["extract", found, "--cache", cache, *one]),
        "build": _peak(["build", "theval", "--manifest", found, "--cache", cache, "-o", out]),
    }


def _peak(words: list[str]) -> float:
    """Peak memory in MB of the largest process of a command, its workers included."""
    command = [sys.executable, "-m", "theval_datasets", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _largest(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}")
    return peak


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
