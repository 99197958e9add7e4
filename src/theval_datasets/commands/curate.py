"""`theval-data curate`: makes clips and a manifest from sources."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from theval_datasets.engines.limits import TIME_LIMIT
from theval_datasets.errors import InputError
from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from . import completion
from .options import Address, CacheLocation, EngineName, Fetch, Output, StrPath, TimeLimit, Workers

if TYPE_CHECKING:
    from theval_datasets.manifest.rows import ManifestRow

_NOT_MEDIA: Final = "not-media"
_SHOWN: Final = 50  # largest number of rejected clips that are listed


@dataclass(frozen=True, slots=True)
class CurateReport(Report):
    """Result of a curation run.

    Attributes:
        manifest: Path of the manifest.
        kept: Number of clips in the manifest.
        reused: Number of clips taken over from an earlier run.
        dropped: Number of clips of an earlier run whose sources were not given again.
        rejected: Rows of sources and spans that did not become clips.
        skipped: Number of files that are not media, by suffix.
        notes: Limits of this run, such as filters that could not be applied, in sentences.
        disk: Size of each folder of the output, in bytes.
        failed_filters: Filters that raised an exception.
    """

    manifest: Path
    kept: int
    reused: int
    dropped: int
    rejected: tuple[ManifestRow, ...]
    skipped: dict[str, int]
    notes: tuple[str, ...] = ()
    disk: Mapping[str, int] = field(default_factory=dict)
    failed_filters: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 if a source could not be read or fetched, or no file was media, else 0."""
        nothing = not self.kept and all(row.reason == _NOT_MEDIA for row in self.rejected)
        failed = any(_is_failure(row) for row in self.rejected)
        return int(nothing or failed or bool(self.failed_filters))

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rejected rows by reason."""
        return dict(sorted(Counter(row.reason or "" for row in self.rejected).items()))

    def to_plain(self) -> dict[str, Any]:
        """Counts by outcome, and the list of rejected rows."""
        return {
            "manifest": str(self.manifest),
            "kept": self.kept,
            "rejected": self.reasons,
            "reused": self.reused,
            "dropped": self.dropped,
            "skipped": self.skipped,
            "notes": list(self.notes),
            "disk_bytes": dict(self.disk),
            "not_kept": self.table(),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per rejected source or clip."""
        return [
            {"clip_id": row.clip_id, "reason": row.reason, "detail": _detail(row)}
            for row in self.rejected
        ]

    def to_text(self) -> str:
        """Human-readable summary."""
        from theval_datasets.curation.sources.fetching.reasons import TRANSIENT
        from theval_datasets.manifest.rows import REJECTED_NAME

        clips = count_of(self.kept, "clip")
        lines = [f"{clips} in {self.manifest}"]
        if self.reused:
            lines[0] += f" ({self.reused} from an earlier run)"
        stretches = [row for row in self.rejected if _at(row) == "segment"]
        others = [row for row in self.rejected if _at(row) != "segment"]
        for row in others[:_SHOWN]:
            detail = _detail(row)
            lines.append(
                f"  not kept: {row.clip_id}: {row.reason}" + (f" ({detail})" if detail else "")
            )
        if others[_SHOWN:]:
            lines.append(f"  and {len(others) - _SHOWN} more, in {REJECTED_NAME}")
        if stretches:
            counts = Counter(row.reason for row in stretches).most_common()
            reasons = ", ".join(f"{count} × {reason}" for reason, count in counts)
            lines.append(f"  spans of sources without a clip: {reasons}")
        later = sum(row.reason in TRANSIENT for row in self.rejected)
        if later:
            lines.append(f"  {later} of these may be temporary failures: --retry tries again")
        if self.skipped:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in self.skipped.items())
            lines.append(f"  skipped, not media: {kinds}")
        if self.dropped:
            lines.append(
                f"  {self.dropped} clips of an earlier run are no longer listed: their sources "
                "were not given again, or are now cut at other times"
            )
        lines += [f"  note: {note}" for note in self.notes]
        lines += _disk_lines(self.disk)
        if self.kept:
            lines.append(f"next: theval-data extract {shlex.quote(str(self.manifest.parent))}")
        elif self.rejected:
            lines.append(f"to see why: theval-data funnel {shlex.quote(str(self.manifest.parent))}")
        return "\n".join(lines)


def _disk_lines(disk: Mapping[str, int]) -> list[str]:
    from theval_datasets.curation.pipeline.disk import WHY

    width = max(map(len, disk), default=0)
    lines = [
        f"    {folder:<{width}} {size / 1e6:>8.1f} MB  {WHY[folder]}"
        for folder, size in disk.items()
    ]
    return ["  disk use, without the feature cache:", *lines] if lines else []


def curate(
    sources: Annotated[Sequence[StrPath], typer.Argument(metavar="SOURCE", parser=str)],
    output: Output,
    *,
    recipe: Annotated[
        StrPath, typer.Option(metavar="NAME|FILE", parser=str, autocompletion=completion.recipes)
    ] = "as-is",
    root: Annotated[StrPath | None, typer.Option(metavar="DIR")] = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    time_limit: TimeLimit = TIME_LIMIT,
    fetch: Fetch = None,
    cache: CacheLocation = None,
    language: Annotated[str | None, typer.Option(metavar="CODE")] = None,
    references: Annotated[Sequence[StrPath], typer.Option("--reference", metavar="FILE")] = (),
    anonymise: bool = False,
) -> CurateReport:
    """Make clips and a manifest from sources.

    A recipe that cuts keeps rejected clips in ``.candidates`` in the output folder, so that a run
    with other thresholds need not cut them again and ``funnel`` can show them; that folder may be
    deleted.

    Args:
        sources: Files, folders, zip archives and http(s) addresses.
        output: Folder for ``manifest.jsonl``, ``rejected.jsonl``, ``clips/``, ``audio/`` and
            ``frames/``.
        recipe: Name or YAML file of a recipe.
        root: Folder that holds all local sources; the manifest names them relative to it.
            Default: the output folder.
        engine: Engine that runs the work: processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of files processed at once. Default: the number of cores.
        time_limit: Time limit for work on one file, as a multiple of its duration (estimated: 40 s
            per MB); at least 30 minutes. A file that exceeds it fails with ``timeout``. 0: no limit.
        fetch: Options of fetching.
        cache: Path or URL of the feature cache, for recipes that measure.
        language: Language spoken in sources that do not state one, as an ISO 639-1 code such as
            ``en``.
        references: Index of another set whose clips and people are rejected (see ``index``); may be
            repeated.
        anonymise: Blur faces in reference frames.

    Raises:
        InputError: A source or the recipe does not exist, or none of the sources is media.
    """
    need("media")
    from theval_datasets.curation.duplicates.reference_index import read_index
    from theval_datasets.curation.pipeline.curate import CurateOptions
    from theval_datasets.curation.pipeline.curate import curate as run
    from theval_datasets.curation.pipeline.disk import disk_use
    from theval_datasets.curation.recipes.recipe import load_recipe
    from theval_datasets.curation.sources.choose import source_of
    from theval_datasets.curation.sources.fetching.options import FetchOptions
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.manifest.rows import MANIFEST_NAME

    output = Path(output)
    named = [os.fspath(source) for source in sources]
    chosen = load_recipe(os.fspath(recipe))
    if output.exists() and not output.is_dir():
        raise InputError(f"expected a folder with -o, got the file {output}; name a folder")
    if not named:
        raise InputError("expected at least one file, folder or address to curate, got none")
    if chosen.cut != "whole":
        fetch = replace(fetch or FetchOptions(), min_seconds=chosen.segment.min_seconds)
    base = None if root is None else Path(root)
    places = [source_of(place, output, root=base, fetch=fetch) for place in named]
    held = [read_index(Path(index)) for index in references]
    if any(map(len, held)) and "leakage" not in chosen.filters:
        raise InputError(
            f"--reference has no effect: the recipe {chosen.name} has no filter named leakage"
        )
    where = str(cache or default_location())
    with engine_of(engine, address, workers, time_limit) as runs_on:
        options = CurateOptions(where, runs_on, held, anonymise, language)
        result = run(places, chosen, output, options)
    if not result.kept and not result.rejected:
        raise InputError(f"there is no media file in {', '.join(named)}")
    return CurateReport(
        manifest=output / MANIFEST_NAME,
        kept=len(result.kept),
        reused=result.reused,
        dropped=result.dropped,
        rejected=result.rejected,
        skipped=result.skipped,
        notes=result.notes,
        disk=disk_use(output),
        failed_filters=result.failed_filters,
    )


def _is_failure(row: ManifestRow) -> bool:
    """Whether a row was rejected because of a failure, rather than because of its content."""
    from theval_datasets.curation.tasks import BROKEN_RUN

    lost = any(j.filter == "source" for j in row.judgements) and row.reason != "too-short"
    return lost or (row.reason or "").rpartition(":")[2] in BROKEN_RUN


def _at(row: ManifestRow) -> str | None:
    """The filter, or the stage before the filters, that rejected a row."""
    names = (j.filter for j in row.judgements if j.verdict != "keep" and j.reason == row.reason)
    return next(names, None)


def _detail(row: ManifestRow) -> str:
    """Explanation of a rejection: its text, or the values that the filter judged."""
    own = next((j for j in row.judgements if j.filter == _at(row)), None)
    if own is None:
        return ""
    if "detail" in own.measured:
        return str(own.measured["detail"])
    return f"{own.filter}: " + ", ".join(f"{k} {v}" for k, v in own.measured.items())
