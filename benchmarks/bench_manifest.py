"""Reading and writing a manifest of 85,000 clips, the size of the whole THEval collection."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from benchmarks._rows import Row, at_most
from theval_datasets.manifest.rows import (
    FileStamp,
    Judgement,
    ManifestRow,
    Source,
    read_manifest,
    write_manifest,
)
from theval_datasets.media.facts import MediaFacts

CLIPS = 85_000
FILTERS = ("duration", "resolution", "faces", "sharpness", "brightness", "speech", "loudness")


def _row() -> ManifestRow:
    """A row of 2 kB, as a recipe with seven filters writes it."""
    return ManifestRow(
        clip_id="youtube-0123456789a-12000-25000",
        path="clips/youtube-0123456789a-12000-25000.mp4",
        source=Source(
            kind="url",
            location="https://www.youtube.com/watch?v=0123456789a",
            site="youtube:0123456789a",
            title="A conversation about talking heads",
            channel="A channel",
            license="Creative Commons Attribution licence (reuse allowed)",
            language="en",
            upload_date="2026-01-31",
            fetched_at="2026-02-01T12:00:00+00:00",
            sha256="0123456789abcdef" * 4,
        ),
        sha256="fedcba9876543210" * 4,
        start=12.0,
        end=25.0,
        phash="0123456789abcdef" * 13,
        audio_print="89abcdef" * 13,
        media=MediaFacts(
            duration=13.0,
            fps=25.0,
            width=1080,
            height=1920,
            n_frames=325,
            rotation=0,
            variable_rate=False,
            video_codec="h264",
            audio_codec="aac",
            audio_rate=48_000,
            audio_channels=2,
            audio_start=0.0,
            audio_duration=13.0,
            n_bytes=4_321_000,
        ),
        reference_frame="frames/youtube-0123456789a-12000-25000.jpg",
        reference_time=6.48,
        audio="audio/youtube-0123456789a-12000-25000.wav",
        tracks=({"person": 0, "presence": 1.0, "face_height": 0.41, "box": [0.2, 0.1, 0.7, 0.6]},),
        difficulty="Easy",
        judgements=tuple(Judgement(name, "keep", None, {"value": 0.93}) for name in FILTERS),
        tools={"ffmpeg": "7.0.2", "threads": 4, "decoder": "pyav-15"},
        recipe="theval:0123456789abcdef",
        stamp=FileStamp(4_321_000, 1_770_000_000_000_000_000),
    )


def run() -> list[Row]:
    """Seconds to write and to read it."""
    row = _row()
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as name:
        path = Path(name) / "manifest.jsonl"
        rows = [replace(row, clip_id=f"{row.clip_id}-{i:05d}") for i in range(CLIPS)]
        started = time.perf_counter()
        write_manifest(path, rows)
        written = time.perf_counter()
        manifest = read_manifest(path)
        read = time.perf_counter()
        assert manifest.rows == tuple(rows)
        note = f"{CLIPS:,} rows, {path.stat().st_size / 1e6:.0f} MB"
    return [
        at_most("manifest read", read - written, "s", 2.0, note),
        Row("manifest written", written - started, "s", note=note),
    ]
