"""Decodes a clip once and feeds every extractor that wants it.

The runner is the one place that catches broadly: every extractor ends on every clip with an
outcome, and what one extractor does never stops another. Results go to the cache as soon as they
are there. Failures that the media itself decides are cached like results; those that another run
may not have (missing weights, memory, a bug) are not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from theval_datasets import media
from theval_datasets._clip_run import ClipRun, with_needs
from theval_datasets.cache import Cache, Recipe, recipe_of
from theval_datasets.errors import BrokenMediaError, MediaError, MissingMediaError, ThevalError
from theval_datasets.files import sha256_file
from theval_datasets.jobs import ClipJob, ClipReport, Plan
from theval_datasets.outcomes import UNAVAILABLE, outcome_of
from theval_datasets.schema import Extractor, Outcome

__all__ = ["UNAVAILABLE", "ClipJob", "ClipReport", "Plan", "Runner"]


class Runner:
    """Processes clips one after another; models load once and stay.

    Args:
        plan: What to do with each.

    Attributes:
        plan: The same.
        cache: Where features are kept.
        order: The wanted extractors and all they need, needs first.
        recipes: One half of their cache keys.
        unavailable: For each that has no model here, the outcome on every clip.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cache = Cache(plan.cache)
        self._decoder = media.decoder_version()
        self.order = with_needs(plan.extractors)
        self._models: dict[Extractor, Any] = {}
        self.recipes: dict[Extractor, Recipe] = {}
        self.unavailable: dict[Extractor, Outcome] = {}
        for extractor in self.order:
            try:
                self.recipes[extractor] = recipe_of(extractor, self._decoder)
            except ThevalError as error:
                self.unavailable[extractor] = outcome_of(error)

    def cached(self, job: ClipJob) -> ClipReport | None:
        """The report of a clip all of whose wanted features are in the cache; None if any is not.

        A hit reads the first line of each entry, nothing more.
        """
        if not job.trusted:
            return None
        outcomes: dict[str, Outcome] = {}
        for extractor in self.plan.extractors:
            outcome = self.unavailable.get(extractor) or self.cached_outcome(extractor, job.sha256)
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
            return ClipReport(job.clip_id, {e.name: outcome for e in self.plan.extractors})
        return ClipRun(self, job, path).run()

    def cached_outcome(self, extractor: Extractor, sha256: str) -> Outcome | None:
        """The outcome that the cache holds."""
        return self.cache.outcome(self.recipes[extractor], sha256)

    def model(self, extractor: Extractor) -> Any:
        """The extractor's models, loaded when first asked for."""
        if extractor not in self._models:
            self._models[extractor] = extractor.setup()
        return self._models[extractor]


class _ChangedError(BrokenMediaError):
    reason = "changed"
