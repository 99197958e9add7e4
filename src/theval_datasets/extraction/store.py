"""The feature store: cached features of a set of extractors.

Commands, filters, builders and the runner all read features through it; `measure` computes missing ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from theval_datasets import media
from theval_datasets.errors import CacheError, MissingExtraError, ThevalError

from .cache import Cache, FeatureSpec, spec_of
from .extractor import Extractor
from .jobs import ClipJob, ClipReport
from .outcomes import Feature, Outcome, Values, outcome_of

_log = logging.getLogger(__name__)

_SMALL: Final = 1 << 18
"""Size in bytes up to which `StoredFeatures` keeps a feature in memory after reading it."""


def with_needs(extractors: Sequence[Extractor]) -> list[Extractor]:
    """The extractors and all that they need, each once, needed ones first."""
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


def _decoder_here() -> str | None:
    """Name and version of this machine's decoder; None if the extra [media] is not installed."""
    try:
        return media.decoder_version()
    except MissingExtraError:
        return None


class FeatureStore:
    """Features of clips, by extractor and SHA-256 of the clip's file.

    Args:
        extractors: Extractors of the features.
        cache: Path or URL of the cache, or the cache itself; None for a store without features.
        decoder: Name and version of the decoder in the cache keys; by default this machine's.
        recorded: Whether features that this machine cannot compute, because it lacks a model or
            package, are found by the specifications that the cache records. For stores that only read.

    Attributes:
        extractors: Extractors of the features.
        order: The extractors and all that they need, needed ones first.
        specs: Specification by extractor, the half of the cache keys that does not depend on the clip.
        unavailable: Outcome on every clip, by extractor whose model or package is missing.

    Raises:
        MissingExtraError: No decoder is installed, and the cache does not record which one was used.
        CacheError: The cache records several specifications, any of which may be meant.

    Examples:
        >>> from theval_datasets.features.loudness import Loudness
        >>> store = FeatureStore([Loudness()], "cache", decoder="test")
        >>> store.write(Loudness(), "ab" * 32, Feature(Outcome("empty", "no-audio")))
        >>> store.read("loudness", "ab" * 32).outcome.reason
        'no-audio'
        >>> store.outcome(Loudness(), "cd" * 32) is None
        True
        >>> list(store.clip("ab" * 32)), store.find("loudness", "cd" * 32) is None
        (['loudness'], True)
        >>> store.location.endswith("/cache")
        True
    """

    def __init__(
        self,
        extractors: Sequence[Extractor],
        cache: str | Cache | None,
        decoder: str | None = None,
        *,
        recorded: bool = False,
    ) -> None:
        self.extractors = tuple(extractors)
        self.order = with_needs(self.extractors)
        self.specs: dict[Extractor, FeatureSpec] = {}
        self.unavailable: dict[Extractor, Outcome] = {}
        self._cache = Cache(cache) if isinstance(cache, str) else cache
        self._by_name = {e.name: e for e in (*self.order, *self.extractors)}
        self._reported: dict[str, Mapping[str, Outcome]] = {}
        self._recorded = recorded
        self._decoder = decoder or _decoder_here()
        for extractor in self.order:
            try:
                self.specs[extractor] = spec_of(extractor, self._decoder or media.decoder_version())
            except ThevalError as error:
                spec = self._recorded_spec(extractor)
                if spec is not None:
                    self.specs[extractor] = spec
                else:
                    self.unavailable[extractor] = outcome_of(error)
        if self.order and self._decoder is None and not self.specs:
            media.decoder_version()  # raises MissingExtraError

    def _recorded_spec(self, extractor: Extractor) -> FeatureSpec | None:
        """The specification that the cache records for an extractor's version and parameters.

        Raises:
            CacheError: The cache records several.
        """
        needs = extractor.needs()
        if not self._recorded or self._cache is None or any(n not in self.specs for n in needs):
            return None
        wanted = {
            "version": extractor.version,
            "parameters": extractor.parameters(),
            "needs": {need.name: self.specs[need].digest for need in needs},
        }
        usable = [
            spec
            for spec in self._cache.specs(extractor.name)
            if all(spec.facts[name] == value for name, value in wanted.items())
            and (self._decoder is None or spec.facts["decoder"] in ("", self._decoder))
        ]
        if len(usable) > 1:
            ways = "; ".join(
                ", ".join(f"{key} {spec.facts[key]}" for key in ("decoder", "weights"))
                for spec in usable
            )
            raise CacheError(
                f"The cache holds features of {extractor.name} computed in {len(usable)} ways ({ways}). "
                "Which are meant is known only where its packages and models are installed (see "
                "theval-data doctor): work there, name another --cache, or leave it out with "
                f"--without {extractor.name}."
            )
        return usable[0] if usable else None

    def outcome(self, extractor: Extractor, sha256: str) -> Outcome | None:
        """Outcome of an extractor on a clip; None if it has not run. Reads the entry's first line."""
        if extractor in self.unavailable:
            return self.unavailable[extractor]
        if self._cache is None:
            return None
        return self._cache.outcome(self.specs[extractor], sha256)

    def read(
        self, extractor: Extractor | str, sha256: str, until: str | None = None
    ) -> Feature | None:
        """A feature of a clip; None if it has not been computed.

        Args:
            extractor: Extractor or its name.
            sha256: SHA-256 of the clip's file.
            until: See `Cache.read`.

        Raises:
            CacheError: The entry was damaged and has been removed.
        """
        chosen = self._by_name.get(extractor) if isinstance(extractor, str) else extractor
        if chosen is None:
            return None
        if chosen in self.unavailable:
            return Feature(self.unavailable[chosen])
        result = (
            None if self._cache is None else self._cache.read(self.specs[chosen], sha256, until)
        )
        if result is not None:
            return result
        outcome = self._reported.get(sha256, {}).get(chosen.name)
        return None if outcome is None or outcome.status == "ok" else Feature(outcome)

    def find(self, extractor: Extractor | str, sha256: str) -> Feature | None:
        """Like `read`, but a damaged entry counts as missing and is logged."""
        try:
            return self.read(extractor, sha256)
        except CacheError as error:
            _log.warning("%s", error)
            return None

    def write(self, extractor: Extractor, sha256: str, feature: Feature) -> None:
        """Store a feature, whole or not at all.

        Raises:
            StorageError: The cache cannot be written to.
        """
        if self._cache is not None:
            self._cache.write(self.specs[extractor], sha256, feature)

    def report(self, job: ClipJob) -> ClipReport | None:
        """The report of a clip whose features are all cached; None if any is missing.

        Only the first line of each entry is read.
        """
        if not job.trusted:
            return None
        outcomes: dict[str, Outcome] = {}
        for extractor in self.extractors:
            outcome = self.outcome(extractor, job.sha256)
            if outcome is None:
                return None
            outcomes[extractor.name] = outcome
        return ClipReport(job.clip_id, outcomes)

    def clip(self, sha256: str) -> Mapping[str, Feature]:
        """The features of a clip by name of the extractor; large ones are read at each access."""
        return StoredFeatures(self, sha256)

    @property
    def location(self) -> str:
        """Path or URL of the cache; an absolute path, where it is a path.

        Raises:
            ValueError: The store has no cache.
        """
        if self._cache is None:
            raise ValueError("a feature store without a cache cannot compute anything")
        return self._cache.absolute

    def keep(self, sha256: str, outcomes: Mapping[str, Outcome]) -> None:
        """Keep outcomes of a clip that are not cached (missing weights, memory).

        Args:
            sha256: SHA-256 of the clip's file.
            outcomes: Outcome by name of the extractor.
        """
        self._reported[sha256] = outcomes


class StoredFeatures(Mapping[str, Feature]):
    """The features of one clip by name of the extractor, without those never computed."""

    def __init__(self, store: FeatureStore, sha256: str) -> None:
        self._store = store
        self._sha256 = sha256
        self._held: dict[str, Feature] = {}

    def __getitem__(self, extractor: str) -> Feature:
        """The feature of an extractor."""
        if extractor in self._held:
            return self._held[extractor]
        result = self._store.find(extractor, self._sha256)
        if result is None:
            raise KeyError(extractor)
        if sum(array.nbytes for array in result.values.values()) <= _SMALL:
            self._held[extractor] = result
        return result

    def __iter__(self) -> Iterator[str]:
        """Names of the extractors that have a feature."""
        return (extractor.name for extractor in self._store.extractors if extractor.name in self)

    def __len__(self) -> int:
        """Number of extractors that have a feature."""
        return sum(1 for _ in self)

    def __contains__(self, extractor: object) -> bool:
        """Whether an extractor has a feature."""
        try:
            self[str(extractor)]
        except KeyError:
            return False
        return True


def values_of(features: Mapping[str, Feature]) -> dict[str, Values]:
    """The values of the features that are `ok`, by name of the extractor.

    Examples:
        >>> import numpy as np
        >>> loud = Feature(Outcome("ok"), {"level": np.array(-23.0)})
        >>> values_of({"loudness": loud, "vad": Feature(Outcome("empty", "no-audio"))})
        {'loudness': {'level': array(-23.)}}
    """
    results = {name: features[name] for name in features}
    return {
        name: result.values for name, result in results.items() if result.outcome.status == "ok"
    }
