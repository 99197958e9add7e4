"""Decodes a clip once and feeds every extractor that wants it.

The runner is the one place that catches broadly: every extractor ends on every clip with an
outcome, and what one extractor does never stops another. Results go to the cache as soon as they
are there. Failures that the media itself decides are cached like results; those that another run
may not have (missing weights, memory, a bug) are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets import media
from theval_datasets.cache import Cache, Recipe, recipe_of
from theval_datasets.errors import (
    AbsentError,
    BrokenMediaError,
    CacheError,
    EmptyMediaError,
    MediaError,
    MissingExtraError,
    MissingMediaError,
    ThevalError,
    WeightsMissingError,
)
from theval_datasets.files import sha256_file
from theval_datasets.schema import (
    SAMPLE_RATE,
    Accumulator,
    Audio,
    Extractor,
    Feature,
    FrameRequest,
    Frames,
    Header,
    Outcome,
    Values,
)

_log = logging.getLogger(__name__)

_SPARSE_FPS: Final = 2.0
"""Up to this rate single frames are sought instead of decoding all of them."""

UNAVAILABLE: Final = frozenset({"weights-missing", "extra-missing"})
"""Reasons of failures that lie in the installation, not in the clip."""


@dataclass(frozen=True, slots=True)
class ClipJob:
    """A clip to process.

    Attributes:
        clip_id: Its name.
        path: Its file, absolute.
        sha256: Of the file, as the manifest says.
        trusted: Whether size and time agree with the manifest; otherwise the hash is checked.
    """

    clip_id: str
    path: str
    sha256: str
    trusted: bool = True


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


class Runner:
    """Processes clips one after another; models load once and stay.

    Args:
        plan: What to do with each.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cache = Cache(plan.cache)
        self._decoder = media.decoder_version()
        self._order = _with_needs(plan.extractors)
        self._models: dict[Extractor, Any] = {}
        self._recipes: dict[Extractor, Recipe] = {}
        self._unavailable: dict[Extractor, Outcome] = {}
        for extractor in self._order:
            try:
                self._recipes[extractor] = recipe_of(extractor, self._decoder)
            except ThevalError as error:
                self._unavailable[extractor] = outcome_of(error)

    def cached(self, job: ClipJob) -> ClipReport | None:
        """The report of a clip all of whose wanted features are in the cache; None if any is not.

        A hit reads the first line of each entry, nothing more.
        """
        if not job.trusted:
            return None
        outcomes: dict[str, Outcome] = {}
        for extractor in self._plan.extractors:
            outcome = self._unavailable.get(extractor) or self._cached_outcome(
                extractor, job.sha256
            )
            if outcome is None:
                return None
            outcomes[extractor.name] = outcome
        return ClipReport(job.clip_id, outcomes)

    def process(self, job: ClipJob) -> ClipReport:
        """Compute what is not in the cache yet."""
        path = Path(job.path)
        try:
            if not path.is_file():
                raise MissingMediaError(f"There is no file {path}")
            if not job.trusted and sha256_file(path) != job.sha256:
                raise _ChangedError(
                    f"{path.name} is not the file the manifest was made from; "
                    "curate it again, or rebuild it from its source"
                )
        except (MediaError, OSError) as error:
            outcome = outcome_of(error)
            return ClipReport(job.clip_id, {e.name: outcome for e in self._plan.extractors})
        return _ClipRun(self, job, path).run()

    def _cached_outcome(self, extractor: Extractor, sha256: str) -> Outcome | None:
        return self._cache.outcome(self._recipes[extractor], sha256)

    def _model(self, extractor: Extractor) -> Any:
        if extractor not in self._models:
            self._models[extractor] = extractor.setup()
        return self._models[extractor]


class _ChangedError(BrokenMediaError):
    reason = "changed"


class _ClipRun:
    """One clip on its way through a runner; also what accumulators may ask (`ClipInputs`)."""

    def __init__(self, runner: Runner, job: ClipJob, path: Path) -> None:
        self._runner = runner
        self._job = job
        self._path = path
        self._features: dict[Extractor, Feature] = {}
        self._uncachable: set[Extractor] = set()
        self._seconds: dict[str, float] = {}
        self._computed: list[str] = []
        self._audio: dict[tuple[int, bool], Audio | MediaError] = {}
        self._video: media.Video | None = None

    # What accumulators see.

    @property
    def size(self) -> tuple[int, int]:
        return self._opened().size

    @property
    def duration(self) -> float:
        return self._opened().end

    @property
    def header(self) -> Header:
        return self._opened().header

    def audio(self, rate: int = SAMPLE_RATE, *, aligned: bool = True) -> Audio:
        found = self._audio.get((rate, aligned))
        if found is None:
            try:
                found = media.read_audio(self._path, rate=rate, aligned=aligned)
            except MediaError as error:
                found = error
            self._audio[rate, aligned] = found
        if isinstance(found, MediaError):
            raise found
        return found

    def feature(self, extractor: Extractor) -> Values:
        feature = self._features[extractor]
        if feature.outcome.status != "ok":
            raise AbsentError(str(feature.outcome.reason), feature.outcome.detail)
        return feature.values

    def _opened(self) -> media.Video:
        if self._video is None:
            raise RuntimeError("size and duration are known to extractors that ask for frames")
        return self._video

    # The run.

    def run(self) -> ClipReport:
        wanted = self._runner._plan.extractors
        outcomes: dict[Extractor, Outcome] = {}
        pending: list[Extractor] = []
        for extractor in wanted:
            outcome = self._runner._unavailable.get(extractor) or self._runner._cached_outcome(
                extractor, self._job.sha256
            )
            if outcome is None:
                pending.append(extractor)
            else:
                outcomes[extractor] = outcome
        self._compute(self._missing_with_needs(pending))
        for extractor in pending:
            outcomes[extractor] = self._features[extractor].outcome
        return ClipReport(
            self._job.clip_id,
            {extractor.name: outcomes[extractor] for extractor in wanted},
            tuple(self._computed),
            self._seconds,
        )

    def _missing_with_needs(self, pending: Sequence[Extractor]) -> list[Extractor]:
        """The pending extractors and all they need that is not in the cache, needs first."""
        missing: list[Extractor] = []
        wanted = set(_with_needs(pending))
        for extractor in self._runner._order:
            if extractor not in wanted:
                continue
            if extractor in self._runner._unavailable:
                self._features[extractor] = Feature(self._runner._unavailable[extractor])
                self._uncachable.add(extractor)
                continue
            feature = None if extractor in pending else self._stored(extractor)
            if feature is None:
                missing.append(extractor)
            else:
                self._features[extractor] = feature
        return missing

    def _stored(self, extractor: Extractor) -> Feature | None:
        try:
            return self._runner._cache.read(self._runner._recipes[extractor], self._job.sha256)
        except CacheError as error:
            _log.warning("%s", error)
            return None

    def _compute(self, missing: Sequence[Extractor]) -> None:
        """Compute in rounds: one decode for all, then one for those that had to wait for it."""
        left = list(missing)
        while left:
            now = [e for e in left if not self._waits(e, left)]
            watching = [e for e in now if e.frames is not None]
            if watching:
                self._watch(watching)
            for extractor in now:
                if extractor.frames is None:
                    self._end(extractor, self._begin(extractor))
            left = [e for e in left if e not in now]

    def _waits(self, extractor: Extractor, left: Sequence[Extractor]) -> bool:
        """Whether an extractor must wait for another decode."""
        needs = [need for need in extractor.needs() if need in left]
        if extractor.after_needs and needs:
            return True
        return any(self._waits(need, left) for need in needs)

    def _watch(self, watching: Sequence[Extractor]) -> None:
        """Open the video, stream it once to all that want frames, and end each of them."""
        try:
            with media.open_video(
                self._path, threads=self._runner._plan.decode_threads
            ) as self._video:
                running = {e: self._begin(e) for e in watching}
                requests = {
                    e: e.frames or FrameRequest()
                    for e, accumulator in running.items()
                    if not isinstance(accumulator, Exception)
                    and not getattr(accumulator, "done", False)
                }
                if requests:
                    self._stream(running, requests)
                for extractor, accumulator in running.items():
                    self._end(extractor, accumulator, self._video.problem)
        except (MediaError, OSError) as error:
            for extractor in watching:
                if extractor not in self._features:
                    self._settle(extractor, Feature(outcome_of(error)))

    def _stream(
        self,
        running: dict[Extractor, Accumulator | Exception],
        requests: Mapping[Extractor, FrameRequest],
    ) -> None:
        views = {request: _View(request) for request in requests.values()}
        batches = self._batches(list(views))
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            self._spend("decode", started)
            if batch is None:
                return
            shared = _Shared(batch)
            seen = {request: view.of(shared) for request, view in views.items()}
            for extractor, accumulator in running.items():
                if isinstance(accumulator, Exception) or extractor not in requests:
                    continue
                frames = seen[requests[extractor]]
                if not len(frames):
                    continue
                started = time.perf_counter()
                try:
                    accumulator.update(frames)
                except Exception as error:  # noqa: BLE001  # the runner records whatever happens
                    running[extractor] = error
                self._spend(extractor.name, started)

    def _batches(self, requests: Sequence[FrameRequest]) -> Iterator[Frames]:
        rates = {request.fps for request in requests}
        rate = rates.pop()
        shown = all(request.pixels and not request.stored for request in requests)
        if not rates and rate is not None and rate <= _SPARSE_FPS and shown:
            return media.sample_frames(self._path, rate)
        return self._opened().frames(
            pixels=any(request.pixels for request in requests),
            stored=any(request.stored for request in requests),
        )

    def _begin(self, extractor: Extractor) -> Accumulator | Exception:
        started = time.perf_counter()
        try:
            return extractor.open(self, self._runner._model(extractor))
        except Exception as error:  # noqa: BLE001  # the runner records whatever happens
            return error
        finally:
            self._spend(extractor.name, started)

    def _end(
        self, extractor: Extractor, accumulator: Accumulator | Exception, problem: str | None = None
    ) -> None:
        started = time.perf_counter()
        try:
            if isinstance(accumulator, Exception):
                raise accumulator
            values, absent = accumulator.finish()
            _check_columns(extractor, values, absent)
            feature = Feature(Outcome("ok", None, problem, dict(absent)), values)
        except Exception as error:  # noqa: BLE001  # the runner records whatever happens
            feature = Feature(outcome_of(error))
            if feature.outcome.reason == "error":
                _log.error("%s on %s", extractor.name, self._job.clip_id, exc_info=error)
        self._spend(extractor.name, started)
        self._settle(extractor, feature)

    def _settle(self, extractor: Extractor, feature: Feature) -> None:
        """Keep a feature for the rest of the run, and in the cache if the next run would agree."""
        self._features[extractor] = feature
        self._computed.append(extractor.name)
        built_on = any(need in self._uncachable for need in extractor.needs())
        if built_on or not _decided_by_media(feature.outcome):
            self._uncachable.add(extractor)
        else:
            self._runner._cache.write(self._runner._recipes[extractor], self._job.sha256, feature)

    def _spend(self, name: str, started: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started


class _Shared:
    """A batch of decoded frames with the forms of it that were asked for, each made once."""

    def __init__(self, batch: Frames) -> None:
        self.batch = batch
        self._forms: dict[tuple[FrameRequest, int], npt.NDArray[np.uint8]] = {}

    def form(self, i: int, wanted: FrameRequest) -> npt.NDArray[np.uint8]:
        """Frame `i` of the batch as it is wanted."""
        key = (replace(wanted, fps=None, stored=False), i)
        if key not in self._forms:
            self._forms[key] = _converted(self.batch.pixels[i], wanted.height, wanted.colour)
        return self._forms[key]


class _View:
    """One request's view of the stream."""

    def __init__(self, request: FrameRequest) -> None:
        self._request = request
        self._picker = media.SlotPicker(request.fps) if request.fps else None

    def of(self, shared: _Shared) -> Frames:
        request, batch = self._request, shared.batch
        chosen = (
            np.flatnonzero(self._picker.take(batch.times))
            if self._picker
            else np.arange(len(batch.times))
        )
        pixels = [shared.form(int(i), request) for i in chosen] if request.pixels else []
        stored = [batch.stored[i] for i in chosen] if request.stored else []
        return Frames(pixels, batch.times[chosen], batch.indices[chosen], stored)


def _converted(
    frame: npt.NDArray[np.uint8], height: int | None, colour: str
) -> npt.NDArray[np.uint8]:
    if height is None and colour == "rgb":
        return frame
    import cv2

    if height is not None and height < frame.shape[0]:
        width = max(1, round(frame.shape[1] * height / frame.shape[0]))
        frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    if colour == "bgr":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    elif colour == "gray":
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return frame


def outcome_of(error: Exception) -> Outcome:
    """The outcome that an exception stands for."""
    detail = str(error) or type(error).__name__
    match error:
        case AbsentError():
            failed = error.reason in UNAVAILABLE or error.reason in _FAILURES
            return Outcome("failed" if failed else "empty", error.reason, error.detail)
        case EmptyMediaError():
            return Outcome("empty", error.reason, detail)
        case MediaError():
            return Outcome("failed", error.reason, detail)
        case WeightsMissingError():
            return Outcome("failed", "weights-missing", detail)
        case MissingExtraError():
            return Outcome("failed", "extra-missing", detail)
        case MemoryError():
            return Outcome("failed", "out-of-memory", detail)
        case OSError():
            return Outcome("failed", "io-error", detail)
        case _:
            return Outcome("failed", "error", f"{type(error).__name__}: {detail}")


_OF_MEDIA: Final = frozenset({"broken-media", "not-media", "zero-frames", "truncated", "too-large"})
_FAILURES: Final = _OF_MEDIA | {"missing", "changed", "error", "io-error", "out-of-memory"}


def _decided_by_media(outcome: Outcome) -> bool:
    return outcome.status != "failed" or outcome.reason in _OF_MEDIA


def _with_needs(extractors: Sequence[Extractor]) -> list[Extractor]:
    """The extractors and all they need, each once, needs first."""
    order: list[Extractor] = []

    def visit(extractor: Extractor) -> None:
        if extractor in order:
            return
        for need in extractor.needs():
            visit(need)
        order.append(extractor)

    for extractor in extractors:
        visit(extractor)
    return order


def _check_columns(extractor: Extractor, values: Values, absent: Mapping[str, str]) -> None:
    """Hold an extractor to what it declares."""
    for column in extractor.writes:
        if column.name in absent:
            if not column.nullable:
                raise TypeError(f"{extractor.name}.{column.name} is not declared nullable")
            continue
        array = values.get(column.name)
        if array is None:
            raise TypeError(f"{extractor.name} wrote no {column.name} and gave no reason")
        if array.dtype != np.dtype(column.dtype) or array.ndim != len(column.dims):
            raise TypeError(
                f"{extractor.name}.{column.name}: expected {column.dtype} with "
                f"{len(column.dims)} axes, got {array.dtype} of shape {array.shape}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{extractor.name}.{column.name} holds values that are not finite")
    unknown = set(values) - {column.name for column in extractor.writes}
    if unknown:
        raise TypeError(f"{extractor.name} wrote undeclared columns: {sorted(unknown)}")
