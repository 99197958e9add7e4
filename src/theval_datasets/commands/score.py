"""`theval-data score`: THEval's eight metrics of videos, their final score and rank."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from theval_datasets import catalog
from theval_datasets.engines.limits import TIME_LIMIT
from theval_datasets.errors import InputError, MediaError
from theval_datasets.evaluation.theval import (
    DEFINITIONS,
    METRICS,
    SCALE_INVARIANT,
    Reference,
    Score,
    published_leaderboard,
    published_reference,
    rank_of,
    read_reference,
)
from theval_datasets.evaluation.theval import score as score_against
from theval_datasets.utils.files import sha256_file
from theval_datasets.utils.optional import available, install_command, need
from theval_datasets.utils.report import Report
from theval_datasets.utils.stores import Location, RemotePath, location_of, staged

from .options import (
    Address,
    CacheLocation,
    EngineName,
    StrPath,
    TimeLimit,
    Workers,
    path_or_url,
)

if TYPE_CHECKING:
    from theval_datasets.engines.base import Engine
    from theval_datasets.extraction.extractor import Extractor
    from theval_datasets.extraction.jobs import ClipJob, ClipReport
    from theval_datasets.extraction.store import FeatureStore
    from theval_datasets.media.facts import MediaFacts

_log = logging.getLogger(__name__)

_HEADS: Final = {
    "global_aesthetics": "aesthetics",
    "mouth_quality": "mouth",
    "face_quality": "face",
    "lip_dynamics": "lips",
    "head_motion": "head",
    "eyebrow_dynamics": "brows",
    "silent_lip_stability": "silent lip",
    "lip_sync": "lip sync",
}
_NO_REFERENCE: Final = (
    "no reference: the published row is in the definition `release`; give one measured in `paper` "
    "with --reference, or score with --definition release"
)


@dataclass(frozen=True, slots=True)
class ClipScore:
    """One video's metrics.

    Attributes:
        path: Path as given.
        metrics: Value by metric; None where undefined.
        missing: Reason by undefined metric.
        failed: Whether the video could not be used at all.
        size: Width and height of its frames in pixels; None if it could not be read.
        scale_invariant: Head motion with the centre in face widths; None where undefined.
        problem: Decoding problem of the file; None if there was none.
    """

    path: str
    metrics: Mapping[str, float | None]
    missing: Mapping[str, str]
    failed: bool = False
    size: tuple[int, int] | None = None
    scale_invariant: float | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ScoreReport(Report):
    """Scores of a set of videos by one model.

    Attributes:
        definition: Definition of the metrics: `paper` or `release`.
        clips: Metrics of each video, in the order given.
        mean: Mean over the clips with a value and their number, by metric.
        reference: Values of real videos; None if there are none in this definition.
        score: Scores against the reference; None without one.
        rank: Rank among the published models, from 1; None without a final score.
        reason: Reason why there is no final score or rank; None if there is one.
    """

    definition: str
    clips: tuple[ClipScore, ...]
    mean: Mapping[str, tuple[float | None, int]]
    reference: Reference | None
    score: Score | None
    rank: int | None
    reason: str | None

    @property
    def exit_code(self) -> int:
        """1 if a video could not be used, else 0."""
        return int(any(clip.failed for clip in self.clips))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        score = self.score
        partial = score.partial if score else None
        return {
            "definition": self.definition,
            "clips": [
                {
                    "path": c.path,
                    "metrics": dict(c.metrics),
                    "missing": dict(c.missing),
                    "size": c.size and list(c.size),
                    SCALE_INVARIANT: c.scale_invariant,
                    "problem": c.problem,
                }
                for c in self.clips
            ],
            "mean": {name: {"value": value, "n": n} for name, (value, n) in self.mean.items()},
            "reference": self.reference.name if self.reference else None,
            "normalised": dict(score.normalised) if score else None,
            "dimensions": dict(score.dimensions) if score else None,
            "final": score.final if score else None,
            "rank": self.rank,
            "partial": {"n": partial.n, "value": partial.value} if partial else None,
            "reason": self.reason,
            "warnings": list(self.warnings()),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per video: its metrics."""
        return [{"path": clip.path, **clip.metrics} for clip in self.clips]

    def warnings(self) -> tuple[str, ...]:
        """Properties of the videos that make their values hard to compare."""
        sizes = sorted({c.size for c in self.clips if c.size}, key=lambda s: (s[0] * s[1], s))
        if len(sizes) < 2:
            return ()
        (w, h), (most_w, most_h) = sizes[0], sizes[-1]
        instead = f"compare {SCALE_INVARIANT} instead" if self.definition == "paper" else ""
        return (
            f"the videos have {len(sizes)} frame sizes, {w}x{h} to {most_w}x{most_h}: head_motion "
            "measures the head's centre in pixels and grows with the frame; "
            + (instead or "scale the videos to one size first, or score with --definition paper"),
        )

    def to_text(self) -> str:
        """A table of the videos, then means, scores and rank."""
        width = max(16, *(len(Path(c.path).name) for c in self.clips))
        heads = [_HEADS[name] for name in METRICS]
        lines = [f"definition {self.definition}", ""]
        lines.append(f"{'':<{width}} " + " ".join(f"{head:>10}" for head in heads))
        for clip in self.clips:
            lines.append(_line(Path(clip.path).name, [clip.metrics[m] for m in METRICS], width))
        lines.append(_line("mean", [self.mean[m][0] for m in METRICS], width))
        lines.append(_line("n", [float(self.mean[m][1]) for m in METRICS], width))
        return "\n".join([*lines, *self._against(width), *self._remarks(width), *self._remedies()])

    def _against(self, width: int) -> list[str]:
        """Scores and rank against the reference, or why there are none."""
        lines: list[str] = []
        if self.score is not None and self.reference is not None:
            values = [self.score.normalised[m] for m in METRICS]
            lines.append(_line("normalised", values, width))
            lines += ["", f"against {self.reference.name} ({self.reference.source})"]
            for name, value in self.score.dimensions.items():
                lines.append(f"  {name:<16} {_shown(value)}")
            lines.append(f"  {'final':<16} {_shown(self.score.final)}")
            if self.score.partial is not None:
                partial = self.score.partial
                lines.append(f"  {f'mean of {partial.n}':<16} {_shown(partial.value)}")
            if self.rank is not None:
                others = len(published_leaderboard())
                lines.append(
                    f"  rank {self.rank} of {others + 1}, with the {others} published models"
                )
        return [*lines, "", self.reason] if self.reason else lines

    def _remarks(self, width: int) -> list[str]:
        """Warnings, decoding problems, and what is undefined."""
        lines: list[str] = []
        if self.warnings():
            lines += ["", *(f"warning: {warning}" for warning in self.warnings())]
            values = [c.scale_invariant for c in self.clips]
            if any(value is not None for value in values):
                lines.append(f"{SCALE_INVARIANT}:")
                lines += [
                    f"  {Path(c.path).name:<{width}} {_shown(c.scale_invariant)}"
                    for c in self.clips
                ]
        problems = [f"  {Path(c.path).name}: {c.problem}" for c in self.clips if c.problem]
        if problems:
            lines += ["", "videos with decoding problems:", *problems]
        undefined = {
            f"{name}: {reason}": [c.path for c in self.clips if c.missing.get(name) == reason]
            for c in self.clips
            for name, reason in c.missing.items()
        }
        if undefined:
            lines += ["", "undefined:"]
            for what, paths in undefined.items():
                named = Path(paths[0]).name if len(paths) == 1 else f"{len(paths)} videos"
                lines.append(f"  {what} ({named})")
        return lines

    def _remedies(self) -> list[str]:
        """Instructions for installing what this machine lacks."""
        reasons = {reason for clip in self.clips for reason in clip.missing.values()}
        lacking = {
            extra
            for clip in self.clips
            for metric, reason in clip.missing.items()
            if reason == "extra-missing"
            and (extra := _extractor(self.definition, metric).extra) is not None
        }
        lines = []
        if lacking:
            lines.append(f"extra-missing: {install_command(*lacking)}")
        if "weights-missing" in reasons:
            lines.append("weights-missing: theval-data models list shows how to get them")
        return lines


def score(
    videos: Annotated[Sequence[StrPath], typer.Argument(metavar="VIDEO", parser=path_or_url)],
    *,
    definition: Literal["paper", "release"] = "paper",
    reference: Annotated[StrPath | None, typer.Option(metavar="CSV")] = None,
    cache: CacheLocation = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
    time_limit: TimeLimit = TIME_LIMIT,
) -> ScoreReport:
    """Measure THEval's eight metrics of videos, and score them against real ones.

    Args:
        videos: Videos, or folders of them: paths or URLs such as ``s3://bucket/videos``.
        definition: Definition of the metrics: that of the paper, or that of the published code.
            Values of the two definitions are not comparable.
        reference: CSV with one row of mean raw values of real videos in the same definition.
            Default: the published row, which is in the definition ``release``.
        cache: Path or URL of the feature cache. Default: the cache that ``extract`` fills.
        engine: Engine that runs the work: processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of processes. Default: the number of cores.
        time_limit: Time limit for work on one file, as a multiple of its duration (estimated: 40 s
            per MB); at least 30 minutes. A file that exceeds it fails with ``timeout``. 0: no limit.

    Raises:
        InputError: If a file or the definition does not exist, or the reference is in another
            definition.
    """
    need("media")
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.extraction.cache import default_location

    if definition not in DEFINITIONS:
        raise InputError(f"expected the definition paper or release, got {definition!r}")
    paths = _files([location_of(video) for video in videos])
    given = read_reference(Path(reference), definition=definition) if reference else None
    compared = given or (published_reference() if definition == "release" else None)
    extractors, lacking = _available(definition)
    location = str(cache or default_location())
    with engine_of(engine, address, workers, time_limit) as runs_on:
        clips = _measure(paths, definition, extractors, lacking, location, runs_on)
    mean = {name: _mean([clip.metrics[name] for clip in clips]) for name in METRICS}
    scored = (
        score_against({name: mean[name][0] for name in METRICS}, compared) if compared else None
    )
    final = scored.final if scored else None
    others = [e.final for e in published_leaderboard() if e.final is not None]
    return ScoreReport(
        definition,
        clips,
        mean,
        compared,
        scored,
        rank_of(final, others),
        _NO_REFERENCE if compared is None else _unfinished(mean, scored),
    )


def _unfinished(mean: Mapping[str, tuple[float | None, int]], scored: Score | None) -> str | None:
    if scored is None or scored.final is not None:
        return None
    absent = ", ".join(name for name in METRICS if mean[name][0] is None)
    return f"no final score: it needs all eight metrics, and {absent} are undefined"


def _files(videos: Sequence[Location]) -> list[Location]:
    """The files to score, each once: a folder may hold one that is named too."""
    paths: dict[Location, Location] = {}
    for given in videos:
        for path in _videos(given):
            paths.setdefault(path.resolve() if isinstance(path, Path) else path, path)
    if not paths:
        raise InputError("expected at least one video")
    return list(paths.values())


def _videos(given: Location) -> Sequence[Location]:
    """A file, or the videos in a folder."""
    from theval_datasets.curation.sources.local import VIDEO, files_below

    if (given.suffix.lower() in VIDEO and given.is_file()) or not given.is_dir():
        if not given.is_file():
            raise InputError(f"there is no file or folder {given}")
        return [given]
    if isinstance(given, Path):
        inside: list[Location] = [*files_below(given, VIDEO)]
    else:
        names = [name for name in sorted(given.below()) if not _is_hidden(name)]
        inside = [path for name in names if (path := given / name).suffix.lower() in VIDEO]
    if not inside:
        raise InputError(f"there is no video in the folder {given}")
    return inside


def _is_hidden(name: str) -> bool:
    """Whether a file below a folder, or a folder on the way to it, is hidden."""
    return any(part[:1] == "." and part not in (".", "..") for part in name.split("/"))


def _extractor(definition: str, metric: str) -> Extractor:
    extractor: Extractor = catalog.load("extractor", DEFINITIONS[definition][metric])()
    return extractor


def _available(definition: str) -> tuple[dict[str, Extractor], dict[str, str]]:
    """Extractors of a definition that can run here, and for the others the reason."""
    known = catalog.names("extractor")
    extractors: dict[str, Extractor] = {}
    lacking: dict[str, str] = {}
    for name in dict.fromkeys(DEFINITIONS[definition].values()):
        if name not in known:
            lacking[name] = "not-available"
            continue
        extractor = catalog.load("extractor", name)()
        if all(map(available, extractor.imports)):
            extractors[name] = extractor
        else:
            lacking[name] = "extra-missing"
            _log.info("%s needs the extra [%s]", name, extractor.extra)
    return extractors, lacking


def _measure(
    paths: Sequence[Location],
    definition: str,
    extractors: Mapping[str, Extractor],
    lacking: Mapping[str, str],
    location: str,
    engine: Engine,
) -> tuple[ClipScore, ...]:
    from theval_datasets.engines.limits import default_workers
    from theval_datasets.extraction.jobs import ClipJob
    from theval_datasets.extraction.measure import compute
    from theval_datasets.extraction.store import FeatureStore

    store = FeatureStore(tuple(extractors.values()), location)
    seen = _seen([path for path in paths if not isinstance(path, Path)], engine)
    jobs = []
    for i, path in enumerate(paths):
        if isinstance(path, Path):
            jobs.append(ClipJob(f"{i}", str(path.resolve()), sha256_file(path)))
        else:
            sha256, n_bytes, _ = seen[path]
            jobs.append(ClipJob(f"{i}", str(path), sha256, n_bytes=n_bytes))
    threads = max(1, default_workers() // max(1, engine.workers))
    reports = compute(store, jobs, engine, "score", threads=threads)
    return tuple(
        _clip_score(
            path,
            seen[path][2] if not isinstance(path, Path) else _facts(path),
            job,
            reports[job.clip_id],
            definition,
            lacking,
            store,
        )
        for path, job in zip(paths, jobs, strict=True)
    )


_Seen = tuple[str, int, "MediaFacts | None"]
"""SHA-256, size in bytes and facts of a file."""


def _seen(paths: Sequence[RemotePath], engine: Engine) -> dict[RemotePath, _Seen]:
    """What a first look at files behind URLs tells; each is read once by a worker.

    Raises:
        InputError: One of them cannot be read.
    """
    from theval_datasets.engines.messages import WorkerLost

    found: dict[RemotePath, _Seen] = {}
    for path, seen in engine.map(_looking, paths):
        if isinstance(seen, WorkerLost):
            raise InputError(f"{path} could not be read: {seen}")
        found[path] = seen
    return found


def _looking() -> Callable[[RemotePath], _Seen]:
    return _look


def _look(path: RemotePath) -> _Seen:
    with staged(path) as file:
        return sha256_file(file), file.stat().st_size, _facts(file)


def _clip_score(
    path: Location,
    facts: MediaFacts | None,
    job: ClipJob,
    report: ClipReport,
    definition: str,
    lacking: Mapping[str, str],
    store: FeatureStore,
) -> ClipScore:
    from theval_datasets.extraction.outcomes import UNAVAILABLE

    metrics: dict[str, float | None] = {}
    missing: dict[str, str] = {}
    values = {
        name: store.read(name, job.sha256)
        for name, outcome in report.outcomes.items()
        if outcome.status == "ok"
    }
    for metric, name in DEFINITIONS[definition].items():
        feature = values.get(name)
        array = feature.values.get(metric) if feature else None
        metrics[metric] = None if array is None else float(array)
        if array is None:
            outcome = report.outcomes.get(name)
            reason = lacking.get(name) or (outcome and outcome.reason)
            missing[metric] = reason or (outcome.missing.get(metric) if outcome else None) or "lost"
    failed = any(
        o.status == "failed" and o.reason not in UNAVAILABLE for o in report.outcomes.values()
    )
    signals = values.get("theval_signals")
    relative = signals.values.get(SCALE_INVARIANT) if signals else None
    return ClipScore(
        str(path),
        metrics,
        missing,
        failed,
        None if facts is None else (facts.width, facts.height),
        None if relative is None else float(relative),
        None if facts is None else facts.truncated,
    )


def _facts(path: Path) -> MediaFacts | None:
    from theval_datasets import media

    try:
        return media.probe(path)
    except MediaError:
        return None


def _mean(values: Sequence[float | None]) -> tuple[float | None, int]:
    there = [value for value in values if value is not None]
    return (sum(there) / len(there) if there else None, len(there))


def _line(name: str, values: Sequence[float | None], width: int) -> str:
    return f"{name:<{width}} " + " ".join(f"{_shown(value):>10}" for value in values)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
