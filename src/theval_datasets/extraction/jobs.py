"""Jobs, plans and reports: the small records that are exchanged with workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from theval_datasets.utils.stores import is_url

from .extractor import Extractor
from .outcomes import Outcome


@dataclass(frozen=True, slots=True)
class ClipJob:
    """A clip to process.

    Attributes:
        clip_id: Id of the clip.
        path: Absolute path or URL of the file.
        sha256: SHA-256 of the file according to the manifest.
        trusted: Whether size and time agree with the manifest, so that cached features of this hash
            are used without reading the file. Before anything is computed, the hash is checked anyway.
        made_here: Whether this software itself encoded the file in this run; see
            `theval_datasets.media.read_frames`.
        n_bytes: Size of a file behind a URL.
    """

    clip_id: str
    path: str
    sha256: str
    trusted: bool = True
    made_here: bool = False
    n_bytes: int = 0

    @property
    def size(self) -> int:
        """Size of the file in bytes; 0 where it is not known or there is none.

        Examples:
            >>> _ = Path("a.mp4").write_bytes(b"1234")
            >>> ClipJob("a", "a.mp4", "00").size, ClipJob("b", "b.mp4", "00").size
            (4, 0)
        """
        if is_url(self.path):
            return self.n_bytes
        try:
            return Path(self.path).stat().st_size
        except OSError:
            return 0  # the runner reports what is wrong with it


def jobs_of(files: Iterable[tuple[str, Path, str]], *, made_here: bool = False) -> list[ClipJob]:
    """One job for each distinct file.

    Args:
        files: Name, path and SHA-256 of each file; of identical files the last name is used.
        made_here: Whether this software itself encoded the files.

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
    """Plan of a run, the same for every clip and worker.

    Attributes:
        extractors: Requested extractors; those that they need are added.
        cache: Path or URL of the cache.
        decode_threads: Number of decoder threads per worker; 0 lets FFmpeg choose. Changes no value.
    """

    extractors: tuple[Extractor, ...]
    cache: str
    decode_threads: int = 1


@dataclass(frozen=True, slots=True)
class ClipReport:
    """Outcomes of a clip.

    Attributes:
        clip_id: Id of the clip.
        outcomes: Outcome of each requested extractor, by name.
        computed: Names of the extractors that were computed, not read from the cache.
        seconds: Wall time in seconds by extractor, and of `decode`.
    """

    clip_id: str
    outcomes: Mapping[str, Outcome]
    computed: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
