"""Clips as filters see them, made without any media."""

from __future__ import annotations

import dataclasses
from typing import Any

from msgspec.structs import replace

from theval_datasets.curation.filters.base import Clip
from theval_datasets.manifest.rows import Source
from theval_datasets.media.facts import MediaFacts, SourcePicture

MEDIA = MediaFacts(
    duration=8.0, fps=25.0, width=1920, height=1080, n_frames=200, rotation=0, variable_rate=False,
    video_codec="h264", audio_codec="aac", audio_rate=48000, audio_channels=1, audio_start=0.0,
    audio_duration=8.0, n_bytes=1,
)  # fmt: skip
SOURCE = Source(kind="local", location="a.mp4")


def clip(name: str = "a", language: str | None = None, **media: Any) -> Clip:
    """A clip of 8 s in 1080p25; `media` replaces facts."""
    return Clip(name, replace(MEDIA, **media), replace(SOURCE, language=language))


def stored(**picture: Any) -> Clip:
    """A clip of a source whose pictures are stored in some way."""
    return dataclasses.replace(clip(), source_picture=SourcePicture(**picture))
