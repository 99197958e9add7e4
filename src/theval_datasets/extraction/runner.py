"""The runner: decodes each clip once and passes it to every extractor.

The runner is the one place that catches exceptions broadly: every extractor has an outcome on every
clip, and no extractor's failure stops another. Results are cached as soon as they are computed.
Failures that are due to the media are cached like results; those that another run may not have
(missing weights, memory, a bug) are not.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from theval_datasets.errors import (
    BrokenMediaError,
    MediaError,
    MissingExtraError,
    MissingMediaError,
    WeightsMissingError,
)
from theval_datasets.utils.files import disk_fault, sha256_file
from theval_datasets.utils.memory import give_back
from theval_datasets.utils.stores import location_of, staged

from .clip_run import ClipRun
from .extractor import Extractor
from .jobs import ClipJob, ClipReport, Plan
from .outcomes import outcome_of
from .store import FeatureStore
from .weights import warn_once

_log = logging.getLogger(__name__)


class Runner:
    """Processes clips one after another; models are loaded once and kept.

    Args:
        plan: Plan of the run.

    Attributes:
        plan: Plan of the run.
        store: Store from which features are read and to which they are written.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store = FeatureStore(plan.extractors, plan.cache)
        self._models: dict[Extractor, Any] = {}

    def process(self, job: ClipJob) -> ClipReport:
        """Compute the features of a clip that are not cached.

        A file behind a URL is copied into a temporary folder first. The file's hash is checked, so
        that nothing is stored under the hash of other bytes.

        Raises:
            StorageError: A disk is full or read-only, or a store refuses, which is not an outcome of
                the clip.
        """
        try:
            with staged(location_of(job.path)) as path:
                return self._process(job, path)
        except FileNotFoundError:
            return self._failed(job, MissingMediaError(f"There is no file {job.path}"))

    def _process(self, job: ClipJob, path: Path) -> ClipReport:
        try:
            if not path.is_file():
                raise MissingMediaError(f"There is no file {path}")
            if sha256_file(path) != job.sha256:
                raise _ChangedError(
                    f"{path.name} is not the file the manifest was made from; "
                    "curate it again, or rebuild it from its source"
                )
        except (MediaError, OSError) as error:
            return self._failed(job, error)
        try:
            return ClipRun(job, path, self.plan, self.store, self.model).run()
        except Exception as error:  # noqa: BLE001  # every clip ends with outcomes
            if full := disk_fault(error):
                raise full from None
            _log.error("%s", job.clip_id, exc_info=error)
            return self._failed(job, error)
        finally:
            give_back()

    def _failed(self, job: ClipJob, error: Exception) -> ClipReport:
        outcome = outcome_of(error)
        return ClipReport(job.clip_id, {e.name: outcome for e in self.plan.extractors})

    def model(self, extractor: Extractor) -> Any:
        """The extractor's models, loaded at the first request.

        What prevents it is logged once, since filters may pass clips that could not be measured.
        """
        if extractor not in self._models:
            try:
                self._models[extractor] = extractor.setup()
            except (MissingExtraError, WeightsMissingError) as error:
                warn_once(f"{extractor.name} cannot run: {error}")
                raise
        return self._models[extractor]


class _ChangedError(BrokenMediaError):
    reason = "changed"
