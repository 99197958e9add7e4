"""Extraction of one clip: it is decoded once, and every extractor's outcome is recorded."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from theval_datasets import media
from theval_datasets.errors import AbsentError, MediaError
from theval_datasets.media.frames import SAMPLE_RATE, Audio, FrameRequest, Frames, Header
from theval_datasets.utils.ahead import made_ahead
from theval_datasets.utils.files import disk_fault

from ._views import Shared, View
from .extractor import Accumulator, Extractor
from .jobs import ClipJob, ClipReport, Plan
from .outcomes import Feature, Outcome, Values, decided_by_media, outcome_of
from .store import FeatureStore, with_needs

_log = logging.getLogger(__name__)

_SPARSE_FPS: Final = 2.0
"""Frame rate up to which single frames are sought instead of decoding all frames."""


class ClipRun:
    """Extraction of one clip; also the `ClipInputs` of its accumulators.

    Args:
        job: Clip.
        path: File of the clip.
        plan: Plan of the run.
        store: Store from which features are read and to which they are written.
        model: Function that returns the loaded models of an extractor.
    """

    def __init__(
        self,
        job: ClipJob,
        path: Path,
        plan: Plan,
        store: FeatureStore,
        model: Callable[[Extractor], Any],
    ) -> None:
        self._job = job
        self._plan = plan
        self._store = store
        self._model = model
        self._path = path
        self._features: dict[Extractor, Feature] = {}
        self._uncachable: set[Extractor] = set()
        self._seconds: dict[str, float] = {}
        self._computed: list[str] = []
        self._audio: dict[tuple[int, bool], Audio | MediaError] = {}
        self._video: media.Video | None = None

    # Inputs of the accumulators (`ClipInputs`).

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._opened().size

    @property
    def duration(self) -> float:
        """Length of the video in seconds."""
        return self._opened().end

    @property
    def header(self) -> Header:
        """Frame rate and number of frames that the container states."""
        return self._opened().header

    def audio(self, rate: int = SAMPLE_RATE, *, aligned: bool = True) -> Audio:
        """The audio track, decoded once for each rate and alignment."""
        result = self._audio.get((rate, aligned))
        if result is None:
            try:
                result = media.read_audio(self._path, rate=rate, aligned=aligned)
            except MediaError as error:
                result = error
            self._audio[rate, aligned] = result
        if isinstance(result, MediaError):
            raise result
        return result

    def feature(self, extractor: Extractor) -> Values:
        """Values of an extractor that is declared in `needs`."""
        feature = self._features[extractor]
        if feature.outcome.status != "ok":
            raise AbsentError(str(feature.outcome.reason), feature.outcome.detail)
        return feature.values

    def _opened(self) -> media.Video:
        if self._video is None:
            raise RuntimeError("size and duration are known to extractors that ask for frames")
        return self._video

    # Extraction.

    def run(self) -> ClipReport:
        """Compute what is not cached and report every outcome.

        Raises:
            StorageError: A disk is full or read-only, which is not an outcome of the clip.
        """
        wanted = self._plan.extractors
        outcomes: dict[Extractor, Outcome] = {}
        pending: list[Extractor] = []
        for extractor in wanted:
            outcome = self._store.outcome(extractor, self._job.sha256)
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
        """The pending extractors and those that they need and the cache lacks, needed ones first."""
        missing: list[Extractor] = []
        wanted = set(with_needs(pending))
        for extractor in self._store.order:
            if extractor not in wanted:
                continue
            if extractor in self._store.unavailable:
                self._features[extractor] = Feature(self._store.unavailable[extractor])
                self._uncachable.add(extractor)
                continue
            feature = (
                None if extractor in pending else self._store.find(extractor, self._job.sha256)
            )
            if feature is None:
                missing.append(extractor)
            else:
                self._features[extractor] = feature
        return missing

    def _compute(self, missing: Sequence[Extractor]) -> None:
        """Compute in rounds: a decode for all that can start, then another for those that waited."""
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
        if extractor.second_pass and needs:
            return True
        return any(self._waits(need, left) for need in needs)

    def _watch(self, watching: Sequence[Extractor]) -> None:
        """Open the video, stream it once to all extractors that want frames, and finish them."""
        try:
            with media.open_video(self._path, threads=self._plan.decode_threads) as self._video:
                running = {e: self._begin(e) for e in watching}
                requests = {
                    e: e.frames or FrameRequest()
                    for e, accumulator in running.items()
                    if not isinstance(accumulator, Exception)
                    and not getattr(accumulator, "done", False)
                }
                if requests:
                    seen = made_ahead(self._seen(set(requests.values())))
                    with contextlib.closing(seen):  # before the video is
                        self._stream(running, requests, seen)
                for extractor, accumulator in running.items():
                    self._end(extractor, accumulator, self._video.problem)
        except Exception as error:  # noqa: BLE001  # the runner records whatever happens
            if full := disk_fault(error):
                raise full from None
            outcome = outcome_of(error)
            if outcome.reason == "error":
                _log.error("decoding %s", self._job.clip_id, exc_info=error)
            for extractor in watching:
                if extractor not in self._features:
                    self._settle(extractor, Feature(outcome))

    def _stream(
        self,
        running: dict[Extractor, Accumulator | Exception],
        requests: Mapping[Extractor, FrameRequest],
        seen: Iterator[dict[FrameRequest, Frames]],
    ) -> None:
        while True:
            started = time.perf_counter()
            frames_by_request = next(seen, None)
            self._spend("decode", started)
            if frames_by_request is None:
                return
            for extractor, accumulator in running.items():
                if isinstance(accumulator, Exception) or extractor not in requests:
                    continue
                frames = frames_by_request[requests[extractor]]
                if not len(frames):
                    continue
                started = time.perf_counter()
                try:
                    accumulator.update(frames)
                except Exception as error:  # noqa: BLE001  # the runner records whatever happens
                    running[extractor] = error
                self._spend(extractor.name, started)

    def _seen(self, requests: Collection[FrameRequest]) -> Iterator[dict[FrameRequest, Frames]]:
        """The frames of each request, batch by batch."""
        views = {request: View(request) for request in requests}
        for batch in self._batches(requests):
            shared = Shared(batch)
            seen = {request: view.of(shared) for request, view in views.items()}
            del batch, shared  # what nobody asked for need not outlive the next frames
            yield seen
            del seen

    def _batches(self, requests: Collection[FrameRequest]) -> Iterator[Frames]:
        rates = {request.fps for request in requests}
        rate = rates.pop()
        shown = all(request.pixels and not request.stored for request in requests)
        if not rates and rate is not None and rate <= _SPARSE_FPS and shown:
            return media.sample_frames(self._path, rate, made_here=self._job.made_here)
        return self._opened().frames(
            pixels=any(request.pixels for request in requests),
            stored=any(request.stored for request in requests),
        )

    def _begin(self, extractor: Extractor) -> Accumulator | Exception:
        started = time.perf_counter()
        try:
            return extractor.open(self, self._model(extractor))
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
            check_columns(extractor, values, absent)
            feature = Feature(Outcome("ok", None, problem, dict(absent)), values)
        except Exception as error:  # noqa: BLE001  # the runner records whatever happens
            if full := disk_fault(error):
                raise full from None
            feature = Feature(outcome_of(error))
            if feature.outcome.reason == "error":
                _log.error("%s on %s", extractor.name, self._job.clip_id, exc_info=error)
        self._spend(extractor.name, started)
        self._settle(extractor, feature)

    def _settle(self, extractor: Extractor, feature: Feature) -> None:
        """Keep a feature for the rest of the run, and cache it if another run would end the same."""
        self._features[extractor] = feature
        self._computed.append(extractor.name)
        built_on = any(need in self._uncachable for need in extractor.needs())
        if built_on or not decided_by_media(feature.outcome):
            self._uncachable.add(extractor)
            return
        self._store.write(extractor, self._job.sha256, feature)

    def _spend(self, name: str, started: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started


def check_columns(extractor: Extractor, values: Values, absent: Mapping[str, str]) -> None:
    """Check an extractor's values against the columns that it declares.

    Raises:
        TypeError: A column is missing, undeclared, or of another type or number of axes.
        ValueError: A column holds values that are not finite.
    """
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
