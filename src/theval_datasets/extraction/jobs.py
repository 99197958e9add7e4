"""What a run is asked to do with a clip, and what it says of it: small, and sent to workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .extractor import Extractor
from .outcomes import Outcome


@dataclass(frozen=True, slots=True)
class ClipJob:
    """A clip to process.

    Attributes:
        clip_id: Its name.
        path: Its file, absolute.
        sha256: Of the file, as the manifest says.
        trusted: Whether size and time agree with the manifest, so that what the cache holds of
            this hash is taken without reading the file. Before anything is computed, the hash is
            checked all the same.
        made_here: Whether this software itself encoded the file in this run; see
            `theval_datasets.media.read_frames`.
    """

    clip_id: str
    path: str
    sha256: str
    trusted: bool = True
    made_here: bool = False


def jobs_of(files: Iterable[tuple[str, Path, str]], *, made_here: bool = False) -> list[ClipJob]:
    """A job for each different file.

    Args:
        files: Name, path and SHA-256 of each; of equal files the last name is used.
        made_here: Whether this software itself encoded them.

    Examples:
        >>> jobs = jobs_of([("a", Path("a.mp4"), "00"), ("same", Path("same.mp4"), "00")])
        >>> [job.clip_id for job in jobs]
        ['same']
    """
    jobs = {
        sha256: ClipJob(name, str(path.resolve()), sha256, made_here=made_here)
        for name, path, sha256 in files
    }
    return list(jobs.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """What every clip of a run goes through; small, and the same on every worker.

    Attributes:
        extractors: The wanted ones; what they need is added.
        cache: Path or URL.
        decode_threads: Decoder threads a worker; 0 lets FFmpeg choose. Changes no value.
    """

    extractors: tuple[Extractor, ...]
    cache: str
    decode_threads: int = 1


@dataclass(frozen=True, slots=True)
class ClipReport:
    """How the extractors ended on a clip.

    Attributes:
        clip_id: Its name.
        outcomes: Of each wanted extractor, by name.
        computed: Those that were not in the cache.
        seconds: Wall time by extractor, and `decode`.
    """

    clip_id: str
    outcomes: Mapping[str, Outcome]
    computed: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
