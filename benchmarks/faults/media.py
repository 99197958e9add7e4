"""Mutated media: files made by FFmpeg, damaged in ways determined by a seed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults._runs import Tally, command, run
from theval_datasets.media import ffmpeg_binary

_PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=1"]
_SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=1"]
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
BASES: dict[str, list[str]] = {
    "h264.mp4": [*_PICTURE, *_SOUND, *_H264, "-c:a", "aac"],
    "fragments.mp4": [*_PICTURE, *_H264, "-movflags", "frag_keyframe+empty_moov"],
    "turned.mov": [*_PICTURE, *_SOUND, "-c:v", "mpeg4", "-c:a", "aac"],
    "mjpeg.mov": [*_PICTURE, "-c:v", "mjpeg"],
    "hevc.mp4": [*_PICTURE, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"],
    "vp9.webm": [*_PICTURE, *_SOUND, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a", "libopus"],
    "ffv1.mkv": [*_PICTURE, *_SOUND, "-c:v", "ffv1", "-c:a", "flac"],
    "mpeg4.avi": [*_PICTURE, *_SOUND, "-c:v", "mpeg4", "-c:a", "libmp3lame"],
    "stream.ts": [*_PICTURE, *_SOUND, *_H264, "-c:a", "aac"],
    "program.mpg": [*_PICTURE, *_SOUND, "-c:v", "mpeg2video", "-c:a", "mp2"],
    "flash.flv": [*_PICTURE, "-c:v", "flv1"],
    "moving.gif": [*_PICTURE, "-vf", "fps=5"],
    "still.png": [*_PICTURE, "-frames:v", "1"],
    "still.jpg": [*_PICTURE, "-frames:v", "1"],
    "sound.wav": _SOUND,
    "sound.mp3": [*_SOUND, "-c:a", "libmp3lame"],
}  # fmt: skip
FEATURES = "audio_levels,fingerprints,picture"
_EXTREMES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def make_bases(folder: Path) -> list[Path]:
    """The undamaged files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, arguments in BASES.items():
        path = folder / name
        words = [
            ffmpeg_binary(),
            "-hide_banner",
            "-loglevel",
            "error",
            "-nostdin",
            "-y",
            *arguments,
        ]
        subprocess.run([*words, str(path)], check=True, timeout=120)
        paths.append(path)
    return paths


def _flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 4, 64])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _extreme(data: bytearray, chance: random.Random) -> None:
    """Set a number in the header, or in the index at the end, to an extreme value."""
    for _ in range(chance.choice([1, 1, 3])):
        reach = min(len(data) - 4, 4096)
        at = chance.randrange(reach)
        at = at if chance.random() < 0.6 else len(data) - 4 - at
        data[at : at + 4] = chance.choice(_EXTREMES).to_bytes(4, "big")


def _cut_off(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _lose_block(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randrange(1, 2000)]


def _zero_block(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    size = min(chance.randrange(1, 2000), len(data) - at)
    data[at : at + size] = bytes(size)


def _repeat_block(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.randrange(1, 4000)]


def _playlist_first(data: bytearray, chance: random.Random) -> None:
    """Put the text of a playlist before the bytes: programs may disagree on what such a file is."""
    line = chance.choice(["file:///etc/hostname", "http://127.0.0.1:9/a.ts", "../../secret.ts"])
    data[:0] = f"#EXTM3U\n#EXTINF:1,\n{line}\n#EXT-X-ENDLIST\n".encode()


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _extreme, _cut_off, _lose_block, _zero_block, _repeat_block, _playlist_first,
)  # fmt: skip


def mutated(bases: list[Path], folder: Path, n: int, seed: int) -> Iterator[Path]:
    """Write `n` damaged files; the same seed always gives the same files.

    Args:
        bases: Files to damage.
        folder: Folder to write to.
        n: Number of files.
        seed: Seed of the random choices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        chance = random.Random(f"{seed}-{i}")
        base = bases[i % len(bases)]
        data = bytearray(base.read_bytes())
        names = []
        for mutation in chance.sample(MUTATIONS, chance.choice([1, 1, 1, 2])):
            if len(data) > 8:
                mutation(data, chance)
                names.append(mutation.__name__.strip("_"))
        suffix = base.suffix if chance.random() < 0.9 else chance.choice(bases).suffix
        path = folder / f"{i:05d}-{'-'.join(names)}-{base.stem}{suffix}"
        path.write_bytes(data)
        yield path


def trial(files: list[Path], scratch: Path, *, limit: float) -> str | None:
    """Curate and measure files in one run; return the fault of the run, if any.

    Args:
        files: Damaged files.
        scratch: An empty folder.
        limit: Time limit of the run in seconds.
    """
    source, output = scratch / "in", scratch / "out"
    source.mkdir(parents=True)
    for path in files:
        shutil.copy(path, source / path.name)
    words = ("curate", source, "--recipe", "as-is", "-o", output, "--workers", 1, "--json")
    ended = run(command(*words), limit=limit)
    if ended.fault:
        return ended.fault
    if ended.code not in (0, 1):
        return f"exit code {ended.code}: {ended.err.strip()[-200:]}"
    rows = [
        json.loads(line)
        for name in ("manifest.jsonl", "rejected.jsonl")
        if (output / name).is_file()
        for line in (output / name).read_text().split("\n")
        if line
    ]
    if len(rows) != len(files):
        return f"{len(files)} files, {len(rows)} rows"
    if not any(row["path"] for row in rows):
        return None
    words = (
        "extract",
        output,
        "--features",
        FEATURES,
        "--cache",
        scratch / "cache",
        "--workers",
        1,
    )
    ended = run(command(*words), limit=limit)
    if ended.fault is None and ended.code not in (0, 1):
        return f"exit code {ended.code}: {ended.err.strip()[-200:]}"
    return ended.fault


def campaign(
    n: int,
    seed: int,
    output: Path,
    until: float = float("inf"),
    *,
    batch: int = 40,
    limit: float = 60.0,
) -> Tally:
    """Try `n` damaged files; those that are lost are kept in `output`.

    Files are tried in batches; the files of a batch with a fault are tried one by one.

    Args:
        n: Number of files.
        seed: Seed of the random choices.
        output: Folder for lost files.
        until: Moment of the monotonic clock after which no further batch begins.
        batch: Number of files in one run.
        limit: Time limit of a single file in seconds; a batch has one second more per file.
    """
    tally = Tally("mutated media", until)
    with tempfile.TemporaryDirectory(prefix="theval-faults-") as name:
        scratch = Path(name)
        files = list(mutated(make_bases(scratch / "bases"), scratch / "mutated", n, seed))
        for start in range(0, n, batch):
            if not tally.goes_on:
                break
            together = files[start : start + batch]
            fault = trial(together, scratch / f"{start}", limit=2 * limit + len(together))
            shutil.rmtree(scratch / f"{start}")
            if fault is None:
                for _ in together:
                    tally.count(None)
                continue
            before = len(tally.lost)
            for path in together:
                alone = trial([path], scratch / path.stem, limit=limit)
                shutil.rmtree(scratch / path.stem)
                tally.count(alone and f"{path.name}: {alone}")
                if alone:
                    output.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, output / path.name)
            if len(tally.lost) == before:
                tally.lost.append(f"files {start} to {start + len(together)} together: {fault}")
    return tally
