"""Rebuilding of the clips of a manifest, and comparison with the listed ones.

Each source is fetched once, and every clip is made according to its row and compared: `identical` (the
same bytes); `equivalent` (the same number of frames up to one, and pictures and sound that match within
the bounds of `compare`); `changed`; `gone` with the reason. The same rebuild gives the same manifest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from theval_datasets.engines.base import Engine
from theval_datasets.engines.local import ONE_PROCESS
from theval_datasets.errors import InputError
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.manifest.rows import (
    MANIFEST_NAME,
    REJECTED_NAME,
    Manifest,
    ManifestRow,
    Source,
    write_manifest,
)
from theval_datasets.utils.files import digest, remove_inside, safe_name
from theval_datasets.utils.jsonl import append_record, read_journal
from theval_datasets.utils.locks import locked
from theval_datasets.utils.progress import progress

from ..clips.files import AUDIO, FRAMES
from ..clips.turns import write_turns
from ..pipeline.earlier import taken_down
from ..sources.fetching.options import FetchOptions
from ..takedown import files_named
from ..tasks import Failure, Tasks, failure_of
from .compare import Comparison, gone
from .making import ClipMaker, RebuiltClip, source_file
from .results import REPORT_NAME, RebuildResult, row_digest, write_report

_log = logging.getLogger(__name__)
_NOTHING_TO_COMPARE: Final = Failure(
    "bad-row", "the row has no sha256, by which a rebuilt clip is compared, and no reason"
)


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """Options of a rebuild.

    Attributes:
        cache: Path or URL of the feature cache, for the comparison.
        root: Folder that local sources are relative to; the manifest's folder if None.
        engine: Engine whose workers make and compare clips.
        fetch: Options of fetching.
    """

    cache: str
    root: Path | None = None
    engine: Engine = ONE_PROCESS
    fetch: FetchOptions = field(default_factory=FetchOptions)


def rebuild(
    manifest: Manifest, output: Path, options: RebuildOptions, down: Set[str] = frozenset()
) -> list[RebuildResult]:
    """Make the clips of a manifest again, and compare them.

    Args:
        manifest: Manifest of the clips.
        output: Output folder, other than the manifest's; it may hold results of an earlier run, and is
            locked meanwhile.
        options: Options of the rebuild.
        down: Ids of clips that were taken down, besides those with a tombstone in the output folder.

    Raises:
        InputError: The output is the manifest's own folder, not a folder, being written to, or holds the
            clips of another manifest.
    """
    if output.resolve() == manifest.folder.resolve():
        raise InputError("expected another folder than the manifest's; name one with -o")
    if output.exists() and not output.is_dir():
        raise InputError(f"expected a folder with -o, got the file {output}; name a folder")
    with locked(output, "rebuild"):
        earlier = _earlier_results(output)
        if _of_another(earlier, manifest, output):
            raise InputError(
                f"{output} holds the clips of another manifest, which would be replaced; name another "
                "folder with -o"
            )
        down = down | taken_down(output)
        _remove(down, output)
        results, rows = _still_valid(earlier, manifest, output, down)
        results += _made(rows, manifest, output, options)
        results.sort(key=lambda result: result.clip_id)
        _write(results, manifest, output)
    return results


def _remove(down: Iterable[str], output: Path) -> None:
    """Remove the files of an earlier run of clips that were since taken down."""
    for clip_id in down:
        for name in files_named(clip_id, output):
            if not name.endswith(
                ".merged.wav"
            ):  # made by curate only; here it belongs to another clip
                remove_inside(output, name)


def _earlier_results(output: Path) -> dict[str, RebuildResult]:
    """Results of an earlier run, by clip id."""
    journal = read_journal(output / REPORT_NAME, RebuildResult)
    return {result.clip_id: result for result in journal}


def _of_another(earlier: Mapping[str, RebuildResult], manifest: Manifest, output: Path) -> bool:
    """Whether the output holds a manifest that is no rebuild of this one, in whole or in part."""
    if not (output / MANIFEST_NAME).exists():
        return False
    return not any(row.clip_id in earlier for row in manifest.rows)


def _still_valid(
    earlier: Mapping[str, RebuildResult], manifest: Manifest, output: Path, down: Set[str]
) -> tuple[list[RebuildResult], list[ManifestRow]]:
    """Valid results of an earlier run, and the remaining rows."""
    results: list[RebuildResult] = []
    left: list[ManifestRow] = []
    for row in manifest.rows:
        old = earlier.get(row.clip_id)
        if row.clip_id in down:
            results.append(RebuildResult(row.clip_id, "taken-down"))
        elif row.reason is not None:
            continue
        elif row.sha256 is None and not row.to_be_made:
            results.append(gone(row, _NOTHING_TO_COMPARE))
        elif old is not None and old.good and old.row == row_digest(row) and old.file(output):
            results.append(old)
        else:
            left.append(row)
    return results, left


def _made(
    rows: Sequence[ManifestRow], manifest: Manifest, output: Path, options: RebuildOptions
) -> list[RebuildResult]:
    """Results of rows whose clips are made in this run."""
    groups: dict[tuple[str, str], list[ManifestRow]] = {}
    for row in rows:
        groups.setdefault((row.source.kind, row.source.location), []).append(row)
    names = _file_names(manifest.rows)
    comparison = Comparison(manifest, options.cache, options.engine)
    pending: list[tuple[ManifestRow, RebuiltClip]] = []
    results: list[RebuildResult] = []
    with (
        options.engine,
        Tasks(options.engine) as tasks,
        progress(len(rows), "rebuild") as bar,
    ):
        for group in groups.values():
            for row, made, source in _made_of_one(group, names, manifest, output, options, tasks):
                result = comparison.at_once(row, made)
                if result is not None and row.to_be_made:
                    result = replace(result, source=source)
                if result is not None:
                    results.append(result)
                    append_record(output / REPORT_NAME, result)
                elif not isinstance(made, Failure):
                    pending.append((row, made))
                bar.update()
        jobs = jobs_of((row.clip_id, output / made.path, made.sha256) for row, made in pending)
        results += comparison.by_fingerprints(pending, jobs)
    return results


def _made_of_one(
    rows: Sequence[ManifestRow],
    names: dict[str, str],
    manifest: Manifest,
    output: Path,
    options: RebuildOptions,
    tasks: Tasks,
) -> Iterator[tuple[ManifestRow, RebuiltClip | Failure, Source | None]]:
    """Clips of one source, with its metadata; None for a source that is gone."""
    root = options.root or manifest.folder
    try:
        source = source_file(rows[0], root, output, options.fetch)
    except Exception as error:  # noqa: BLE001  # a source never ends a run
        source = failure_of(error)
        if source.fatal is not None:
            raise source.fatal(source.detail) from None
        _log.error("%s: %s", rows[0].source.location, source.trace or source.detail)
    if isinstance(source, Failure):
        yield from ((row, source, None) for row in rows)
        return
    # the time of fetching is in sources.jsonl; no manifest is to depend on it
    origin = replace(source.origin, fetched_at=None)
    # absolute paths, since workers may have another working folder
    jobs = [(row, source.path.absolute(), names[row.clip_id]) for row in rows]
    maker = ClipMaker(output.absolute())
    for (row, _, _), made in tasks.run(maker, jobs, None, path=lambda job: job[1]):
        yield row, made, origin


def _file_names(rows: Iterable[ManifestRow]) -> dict[str, str]:
    """Stem of each clip's files: its id as a safe name, with a hash if several are equal."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for row in rows:
        name = safe_name(row.clip_id)
        if name in taken:
            name = f"{name}-{digest(row.clip_id)[:12]}"
        taken.add(name)
        names[row.clip_id] = name
    return names


def _write(results: Sequence[RebuildResult], manifest: Manifest, output: Path) -> None:
    """Write the manifest of the rebuilt clips, and the report, atomically."""
    rows = {row.clip_id: row for row in manifest.rows}
    kept: list[ManifestRow] = []
    rest: list[ManifestRow] = []
    for result in results:
        row = rows[result.clip_id]
        if result.status == "taken-down":
            continue
        if result.good and result.file(output) is not None:
            kept.append(_row(row, result, output))
        else:
            rest.append(replace(row, path=None, stamp=None, reason=result.reason or result.status))
    write_manifest(output / MANIFEST_NAME, kept)
    write_turns(output, kept)
    write_manifest(output / REJECTED_NAME, rest)
    write_report(output, results)


def _row(row: ManifestRow, result: RebuildResult, output: Path) -> ManifestRow:
    stem = Path(str(result.path)).with_suffix("").as_posix().partition("/")[2]

    def there(file: str) -> str | None:
        return file if (output / file).is_file() else None

    # fetched files have the time of the download, on which no manifest may depend
    fetched = row.source.kind == "url" and row.end is None and row.crop is None
    if result.status == "made":
        start, end = result.span or (row.start, row.end)
        source = result.source or row.source
        fetched = fetched and row.region is None and result.span is None
        row = replace(row, start=start, end=end, source=source, tools=result.tools)
    return replace(
        row,
        path=result.path,
        sha256=result.sha256,
        stamp=None if fetched else result.stamp,
        media=row.media if result.status == "identical" else result.media,
        audio=there(f"{AUDIO}/{stem}.wav"),
        audio_original=there(f"{AUDIO}/{stem}.flac"),
        reference_frame=there(f"{FRAMES}/{stem}.jpg"),
    )
