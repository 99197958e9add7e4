"""The folder `.candidates/`: a file for every span, with an index of their origins.

It lets a run that was killed, or one with other thresholds, reuse its cuts, and the funnel show frames
of rejected clips. A kept clip is one file with two names; files of former candidates are removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets import media
from theval_datasets.manifest.rows import FileStamp, ManifestRow, Region
from theval_datasets.media.facts import MediaFacts, SourcePicture
from theval_datasets.utils.files import inside, remove_inside, sha256_file
from theval_datasets.utils.jsonl import append_record, read_journal, write_records
from theval_datasets.utils.records import Record

from ..clips.cut import SUFFIX, Encoding, Piece, cut
from ..clips.files import stamp, tools
from ..tasks import Failure, Tasks
from .segments import Candidate, Rejection, Segment

FOLDER: Final = ".candidates"
_INDEX: Final = "index.jsonl"
_SLACK: Final = 1e-5  # seconds by which rounded times may differ


class _Entry(Record, frozen=True):
    """A line of the index: a file, and everything that its bytes depend on."""

    clip_id: str
    source_sha256: str
    start: float
    end: float
    encoding: Encoding
    tools: dict[str, str | int]
    sha256: str
    stamp: FileStamp
    media: MediaFacts
    source_picture: SourcePicture | None = None
    region: Region | None = None
    audible: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class _Cutting:
    """Task that cuts a segment into the folder."""

    folder: Path
    encoding: Encoding

    def __call__(self, segment: Segment) -> _Entry:
        source, piece = segment.source.path, segment.piece
        target = candidate_file(self.folder, segment.clip_id)
        facts = cut(source, piece, target, self.encoding)
        # the source's modification time, so that the same run gives the same manifest
        when = source.stat().st_mtime_ns
        os.utime(target, ns=(when, when))
        return _Entry(
            segment.clip_id,
            segment.source_sha256,
            piece.start,
            piece.end,
            self.encoding,
            tools(),
            sha256_file(target),
            stamp(target),
            facts,
            media.source_picture(source),
            piece.region,
            piece.audible,
        )


class CandidateStore:
    """The candidates of a run.

    Args:
        output: Folder of the manifest.
    """

    def __init__(self, output: Path) -> None:
        self._folder = output.resolve() / FOLDER  # resolved, as the results of `inside` are
        self._index = self._folder / _INDEX
        # of several lines of one name, the last counts
        self._known = {entry.clip_id: entry for entry in read_journal(self._index, _Entry)}

    def cut(
        self, segments: Sequence[Segment], encoding: Encoding, tasks: Tasks
    ) -> Iterator[Candidate | Rejection]:
        """Candidates of spans, which are cut unless they exist; and spans that could not be cut.

        Args:
            segments: Spans of hashed sources.
            encoding: Encoding of clips.
            tasks: Worker processes that cut.
        """
        missing = [segment for segment in segments if not self._holds(segment, encoding)]
        new = {segment.clip_id for segment in missing}
        yield from (self._candidate(segment) for segment in segments if segment.clip_id not in new)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_index()
        for segment, made in tasks.run(
            _Cutting(self._folder, encoding),
            missing,
            "cut",
            path=lambda segment: segment.source.path,
        ):
            if isinstance(made, Failure):
                yield Rejection(segment, "cut", made)
                continue
            append_record(self._index, made)
            self._known[segment.clip_id] = made
            yield self._candidate(segment)

    def keep_only(self, candidates: Iterable[Candidate]) -> None:
        """Remove the files of earlier runs that are not candidates of this run."""
        if not self._folder.is_dir():
            return
        names = {candidate.clip_id for candidate in candidates if not candidate.segment.whole}
        files = {candidate_file(self._folder, name) for name in names} | {self._index}
        for path in self._folder.rglob("*"):
            if path not in files:
                remove_inside(self._folder, path.relative_to(self._folder).as_posix())
        self._known = {name: self._known[name] for name in names & self._known.keys()}
        self._write_index()

    def scenes_of(self, row: ManifestRow) -> list[str]:
        """Ids of the scenes that the clip of a single person was cut out of; none for other clips."""
        if row.person is None or row.end is None:
            return []
        start, end = row.start + _SLACK, row.end - _SLACK
        return sorted(
            entry.clip_id
            for entry in self._known.values()
            if entry.region is None
            and entry.source_sha256 == row.source.sha256
            and entry.start <= start
            and entry.end >= end
        )

    def forget(self, clip_ids: Iterable[str]) -> None:
        """Remove lines of the index; the caller removes the files."""
        names = set(clip_ids) & self._known.keys()
        if names:
            self._known = {
                name: candidate for name, candidate in self._known.items() if name not in names
            }
            self._write_index()

    def _candidate(self, segment: Segment) -> Candidate:
        entry = self._known[segment.clip_id]
        path = candidate_file(self._folder, segment.clip_id)
        # an index of an earlier version does not have it
        picture = entry.source_picture or media.source_picture(segment.source.path)
        return Candidate(segment, path, entry.sha256, entry.media, picture)

    def _holds(self, segment: Segment, encoding: Encoding) -> bool:
        """Whether the file of an earlier run equals what would be cut now."""
        entry = self._known.get(segment.clip_id)
        if entry is None or (entry.encoding, entry.tools) != (encoding, tools()):
            return False
        made = Piece(entry.start, entry.end, region=entry.region, audible=entry.audible)
        if entry.source_sha256 != segment.source_sha256 or made != segment.piece:
            return False
        try:
            return stamp(candidate_file(self._folder, segment.clip_id)) == entry.stamp
        except OSError:
            return False

    def _write_index(self) -> None:
        write_records(self._index, (self._known[name] for name in sorted(self._known)))


def candidate_file(folder: Path, clip_id: str) -> Path:
    """The file of a candidate.

    Args:
        folder: `.candidates`.
        clip_id: Id of the candidate.

    Raises:
        UnsafePathError: The name leads out of the folder.

    Examples:
        >>> candidate_file(Path("/data/.candidates"), "a").name
        'a.mp4'
    """
    return inside(folder, f"{clip_id}{SUFFIX}")
