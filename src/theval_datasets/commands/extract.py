"""`theval-data extract`: computes the features of a manifest's clips into the cache."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from theval_datasets import catalog
from theval_datasets.engines.limits import TIME_LIMIT
from theval_datasets.errors import InputError
from theval_datasets.utils.optional import available, install_command, need
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of, some_names

from . import completion
from .options import Address, CacheLocation, EngineName, Settings, TimeLimit, Workers
from .options import Manifest as ManifestArgument

if TYPE_CHECKING:
    from theval_datasets.extraction.extractor import Extractor
    from theval_datasets.extraction.jobs import ClipJob, ClipReport
    from theval_datasets.extraction.outcomes import Outcome
    from theval_datasets.manifest.rows import FileStamp, ManifestRow, StoredManifest
    from theval_datasets.utils.stores import RemotePath, Stat

_log = logging.getLogger(__name__)

_STATUSES: Final = ("ok", "empty", "failed")
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class NotOk:
    """An outcome other than `ok`, or `ok` with a remark."""

    clip_id: str
    extractor: str
    outcome: Outcome


@dataclass(slots=True)
class ExtractReport(Report):
    """Outcomes of all extractors on all clips.

    Attributes:
        cache: Location of the feature cache.
        clips: Number of clips.
        computed: Number of features that were not in the cache before, by extractor.
        counts: Number of outcomes by extractor and status.
        remarks: Outcomes other than `ok`, and those with a remark; what the manifest records as wrong
            with a clip's file is a remark of ``media``.
        skipped: Number of rows of the manifest without a clip (dead sources).
        seconds: Seconds spent by extractor, summed over the workers.
        named: Extractors that were requested by name.
    """

    cache: str
    clips: int = 0
    computed: Counter[str] = field(default_factory=Counter)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    remarks: list[NotOk] = field(default_factory=list)
    skipped: int = 0
    seconds: Counter[str] = field(default_factory=Counter)
    named: frozenset[str] = frozenset()

    @property
    def exit_code(self) -> int:
        """1 if a clip failed for a reason other than the installation, or a named extractor could
        not run on any clip; else 0.
        """
        from theval_datasets.extraction.outcomes import UNAVAILABLE

        if any(self.counts[name]["failed"] == self.clips for name in self.named):
            return 1
        failed = (r.outcome for r in self.remarks if r.outcome.status == "failed")
        return int(any(outcome.reason not in UNAVAILABLE for outcome in failed))

    def add(self, report: ClipReport) -> None:
        """Count one clip's report."""
        self.clips += 1
        self.computed.update(report.computed)
        self.seconds.update(report.seconds)
        for name, outcome in report.outcomes.items():
            self.counts.setdefault(name, Counter())[outcome.status] += 1
            if outcome.status != "ok" or outcome.detail:
                self.remarks.append(NotOk(report.clip_id, name, outcome))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "cache": self.cache,
            "clips": self.clips,
            "skipped": self.skipped,
            "computed": dict(sorted(self.computed.items())),
            "counts": {
                name: {status: counts[status] for status in _STATUSES}
                for name, counts in self.counts.items()
            },
            "not_ok": [
                {
                    "clip_id": remark.clip_id,
                    "extractor": remark.extractor,
                    "status": remark.outcome.status,
                    "reason": remark.outcome.reason,
                    "detail": remark.outcome.detail,
                }
                for remark in self.remarks
            ],
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per extractor: clips by outcome, and how many were computed now."""
        return [
            {
                "extractor": name,
                **{status: counts[status] for status in _STATUSES},
                "computed": self.computed[name],
            }
            for name, counts in self.counts.items()
        ]

    def to_text(self) -> str:
        """A table of outcomes, then the outcomes other than ok, and how to get what is missing."""
        from theval_datasets.extraction.outcomes import UNAVAILABLE

        width = max(map(len, self.counts), default=9)
        lines = [f"{'extractor':<{width}}  {'ok':>6} {'empty':>6} {'failed':>6} {'computed':>9}"]
        for name, counts in self.counts.items():
            cells = " ".join(f"{counts[status]:>6}" for status in _STATUSES)
            lines.append(f"{name:<{width}}  {cells} {self.computed[name]:>9}")
        reasons: dict[tuple[str, str, str], list[str]] = {}
        remedies: dict[tuple[str, str], str | None] = {}
        for remark in self.remarks:
            outcome = remark.outcome
            reason = outcome.reason or outcome.detail or ""
            reasons.setdefault((remark.extractor, outcome.status, reason), []).append(
                remark.clip_id
            )
            if outcome.reason in UNAVAILABLE:
                remedies[remark.extractor, reason] = outcome.detail
        if reasons:
            lines += ["", "not ok, or ok with a remark:"]
        for (name, status, reason), clips in reasons.items():
            lines.append(f"  {name} {status} ({reason}): {some_names(sorted(clips), _SHOWN)}")
            if remedy := remedies.get((name, reason)):
                lines.append(f"    {remedy}")
        if self.skipped:
            lines.append(f"{count_of(self.skipped, 'row')} without a clip skipped")
        lines += ["", f"{count_of(self.clips, 'clip')}, features in {self.cache}"]
        lines.append("next: theval-data build NAME --manifest MANIFEST -o DIR")
        return "\n".join(lines)


def extract(
    manifest: ManifestArgument,
    *,
    features: Annotated[
        str | Sequence[str], typer.Option(metavar="NAME,...", autocompletion=completion.extractors)
    ] = (),
    settings: Settings = (),
    cache: CacheLocation = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    time_limit: TimeLimit = TIME_LIMIT,
) -> ExtractReport:
    """Compute the features of a manifest's clips that are not in the cache yet.

    Args:
        manifest: Manifest of the clips, or its folder: a path or a URL such as ``s3://bucket/work``.
        features: Names of extractors, separated by commas. Default: the extractors that run by
            default and whose extra and weights are installed.
        settings: Parameter of an extractor that differs from its default, such as ``vst.size=base``
            (``theval-data explain vst`` lists them); may be repeated. Features with other parameters
            are other entries of the cache; ``build`` reads them with the same ``--set``.
        cache: Path or URL of the feature cache. Default: $THEVAL_CACHE, else the user's cache folder.
        engine: Engine that runs the work: processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of processes. Default: the number of cores.
        time_limit: Time limit for work on one file, as a multiple of its duration (estimated: 40 s
            per MB); at least 30 minutes. A file that exceeds it fails with ``timeout``. 0: no limit.

    Raises:
        InputError: If the manifest is malformed or lists no clip, or a name is unknown.
        StorageError: If the cache is full or read-only; no clip is blamed for it.
    """
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.engines.limits import default_workers
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.extraction.measure import measure
    from theval_datasets.extraction.settings import check_settings, read_settings
    from theval_datasets.extraction.store import FeatureStore
    from theval_datasets.manifest.rows import open_manifest
    from theval_datasets.utils.stores import location_of

    rows = open_manifest(location_of(manifest))
    need("media")
    location = str(cache or default_location())
    jobs, media_remarks = _jobs(rows)
    if not jobs:
        raise InputError(f"{manifest} lists no clip: there is nothing to extract features of")
    stated = read_settings(settings)
    extractors = chosen_extractors(features, stated)
    check_settings(stated, extractors, "the extractors that run")
    named = frozenset(extractor.name for extractor in extractors) if features else frozenset()
    report = ExtractReport(location, skipped=len(rows) - len(jobs), named=named)
    store = FeatureStore(extractors, location)
    with engine_of(engine, address, workers, time_limit) as runs_on:
        threads = max(1, default_workers() // max(1, runs_on.workers))
        for done in measure(store, jobs, runs_on, "extract", threads=threads):
            report.add(done)
    report.counts = {e.name: report.counts[e.name] for e in extractors}
    report.remarks += media_remarks
    report.remarks.sort(key=lambda r: (r.extractor, r.clip_id))
    return report


def chosen_extractors(
    names: str | Sequence[str], settings: Mapping[str, Extractor] | None = None
) -> tuple[Extractor, ...]:
    """Extractors by name.

    Args:
        names: Names, or one text that separates them by commas. If empty: all extractors that run by
            default and whose extra and weights are installed. Weights of named extractors are
            downloaded where they are missing.
        settings: Extractors with stated parameters, by name; the others have their defaults.

    Raises:
        UnknownNameError: If there is no extractor of that name.
    """
    from theval_datasets.extraction.settings import load_extractor

    settings = settings or {}
    if isinstance(names, str):
        names = [name for part in names.split(",") if (name := part.strip())]
    if names:
        chosen = tuple(load_extractor(name, settings) for name in dict.fromkeys(names))
        for extractor in chosen:
            if all(map(available, extractor.imports)):
                extractor.fetch_weights()
            elif extractor.extra is not None:
                _log.warning(
                    "%s cannot run: it needs the extra [%s]: %s",
                    extractor.name,
                    extractor.extra,
                    install_command(extractor.extra),
                )
        return chosen
    enabled: list[Extractor] = []
    for name in catalog.names("extractor"):
        extractor = load_extractor(name, settings)
        if not extractor.default_enabled or not all(map(available, extractor.imports)):
            _log.info("%s is not run by default: name it in --features to run it", name)
        elif not extractor.has_weights():
            _log.info("%s is skipped: its weights are missing (theval-data models list)", name)
        else:
            enabled.append(extractor)
    return tuple(enabled)


def _jobs(manifest: StoredManifest) -> tuple[list[ClipJob], list[NotOk]]:
    """The clips, and what decoding showed when the manifest was written.

    The latter is told because extractors that read few frames see less.
    """
    from theval_datasets.extraction.jobs import ClipJob
    from theval_datasets.extraction.outcomes import Outcome

    jobs: list[ClipJob] = []
    remarks: list[NotOk] = []
    stored = _StoredFiles(manifest)
    for row in manifest.rows:
        file = manifest.file(row)
        if file is None or row.path is None or row.sha256 is None:
            continue
        if isinstance(file, Path):
            job = ClipJob(row.clip_id, str(file.resolve()), row.sha256, _agrees(file, row))
        else:
            found = stored.find(row.path)
            trusted = found is not None and _is_as_listed(found, row, manifest.rows.stamp)
            size = 0 if found is None else found.st_size
            job = ClipJob(row.clip_id, str(file), row.sha256, trusted, n_bytes=size)
        jobs.append(job)
        if row.media is not None and row.media.truncated is not None:
            remarks.append(NotOk(row.clip_id, "media", Outcome("ok", None, row.media.truncated)))
    return jobs, remarks


class _StoredFiles:
    """Sizes and times of a manifest's clips behind a URL, listed a folder at a time.

    Args:
        manifest: The manifest.
    """

    def __init__(self, manifest: StoredManifest) -> None:
        self._manifest = manifest
        self._listed: dict[str, dict[str, Stat]] = {}

    def find(self, path: str) -> Stat | None:
        """Those of a clip, by its path in the manifest; None if there is none."""
        folder, _, name = path.replace("\\", "/").partition("/")
        place = self._manifest.inside(folder)
        if isinstance(place, Path):
            return None
        if not name:
            return _stat_of(place)
        if folder not in self._listed:
            self._listed[folder] = place.below()
        return self._listed[folder].get(name)


def _stat_of(place: RemotePath) -> Stat | None:
    try:
        return place.stat()
    except FileNotFoundError:
        return None


def _is_as_listed(found: Stat, row: ManifestRow, manifest: FileStamp) -> bool:
    """Whether an object has the size of the row's clip, and was there before its manifest."""
    size = row.stamp.size if row.stamp else row.media.n_bytes if row.media else None
    return found.st_size == size and 0 < found.st_mtime_ns <= manifest.mtime_ns


def _agrees(file: Path, row: ManifestRow) -> bool:
    """Whether size and modification time of the file are those recorded with its hash."""
    try:
        stat = file.stat()
    except OSError:
        return False
    stamp = row.stamp
    return stamp is not None and (stat.st_size, stat.st_mtime_ns) == (stamp.size, stamp.mtime_ns)
