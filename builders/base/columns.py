"""Column values from cached features: the value, or null with the reason."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from theval_datasets import catalog
from theval_datasets.extraction.cache import Cache, FeatureSpec
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import Array, Feature, Outcome, Values
from theval_datasets.extraction.settings import load_extractor
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.manifest.info import ExtractorInfo

_log = logging.getLogger(__name__)

NOT_EXTRACTED: Final = "not-extracted"
LEFT_OUT: Final = "left-out"
_NO_MEDIA: Final = "no-media-hash"


class FeatureReader:
    """Reads the features of clips for one config, and counts missing features.

    Args:
        cache: Feature cache; None if none was given.
        extractors: Extractors whose columns the config has.
        decoder: Name and version of the decoder of the features; None for this machine's, or where
            there is none for the one that the cache records.
        without: Names of extractors whose features are not read.
    """

    def __init__(
        self,
        cache: Cache | None,
        extractors: Sequence[Extractor],
        decoder: str | None = None,
        without: Collection[str] = (),
    ) -> None:
        self._left_out = frozenset(without)
        read = [e for e in extractors if e.name not in without]
        # where nothing is looked up, no decoder has to be installed
        self._store = FeatureStore(read, cache, decoder if read else "none", recorded=True)
        self._wanted = {e.name for e in extractors if e.default_enabled and e.has_weights()}
        self.not_extracted: Counter[str] = Counter()
        for extractor, outcome in self._store.unavailable.items():
            _log.info("features of %s cannot be read here: %s", extractor.name, outcome.detail)

    @property
    def digests(self) -> dict[str, str]:
        """Digest of everything that each extractor's values depend on, besides the clip."""
        return {name: spec.digest for name, spec in self._specs()}

    def _specs(self) -> Iterator[tuple[str, FeatureSpec]]:
        for extractor in self._store.extractors:
            if extractor in self._store.specs:
                yield extractor.name, self._store.specs[extractor]

    def clip(self, media_sha256: str | None) -> ClipFeatures:
        """The features of one clip, read lazily."""
        return ClipFeatures(self, media_sha256)

    def presence(self, media_sha256: str | None) -> dict[str, str | None]:
        """Cached status of each extractor for a clip, read from the entries' first lines only."""
        if media_sha256 is None:
            return {}
        statuses: dict[str, str | None] = {}
        for extractor in self._store.extractors:
            if extractor in self._store.specs:
                outcome = self._store.outcome(extractor, media_sha256)
                statuses[extractor.name] = None if outcome is None else outcome.status
        return statuses

    def read(self, extractor: str, media_sha256: str | None, until: str | None = None) -> Feature:
        """A feature; `failed` with a reason where there is none.

        Args:
            extractor: Name of the extractor.
            media_sha256: SHA-256 of the clip's file.
            until: Column after which others of a large feature may be left out.

        Raises:
            CacheError: If the entry is damaged.
        """
        if media_sha256 is None:
            return Feature(Outcome("failed", _NO_MEDIA))
        if extractor in self._left_out:
            return Feature(Outcome("failed", LEFT_OUT))
        feature = self._store.read(extractor, media_sha256, until)
        if feature is None:
            if extractor in self._wanted:
                self.not_extracted[extractor] += 1
            return Feature(Outcome("failed", NOT_EXTRACTED))
        return feature

    def infos(self) -> dict[str, ExtractorInfo]:
        """Provenance of each extractor's values, for `info.json`."""
        return {
            name: ExtractorInfo(
                version=spec.facts["version"],
                parameters=spec.facts["parameters"],
                weights=spec.facts["weights"],
                decoder=spec.facts["decoder"],
                needs=spec.facts["needs"],
                digest=spec.digest,
            )
            for name, spec in self._specs()
        }


class ClipFeatures:
    """Cached features of one clip; every undefined value is noted with its reason."""

    def __init__(self, reader: FeatureReader, media_sha256: str | None) -> None:
        self._reader = reader
        self._sha256 = media_sha256
        self._read: dict[str, Feature] = {}
        self._missing: set[str] = set()

    def value(self, extractor: str, column: str) -> Array | None:
        """A column of an extractor, of the shape that it declares; None if it is undefined.

        The reason is then noted.
        """
        feature = self._feature(extractor, until=column)
        value = feature.values.get(column)
        if value is not None:
            return value
        outcome = feature.outcome
        self.note(extractor, outcome.reason or outcome.missing.get(column) or "not-written")
        return None

    def values(self, extractor: str) -> Values | None:
        """All columns of an extractor, without noting anything; None if its outcome is not `ok`."""
        feature = self._feature(extractor)
        return feature.values if feature.outcome.status == "ok" else None

    def outcome(self, extractor: str) -> Outcome:
        """Outcome of an extractor on the clip, without noting anything."""
        return self._feature(extractor).outcome

    def note(self, extractor: str, reason: str) -> None:
        """Note the reason why a column of an extractor is null."""
        self._missing.add(f"{extractor}:{reason}")

    def missing(self) -> list[str]:
        """The entries of the column `missing`, sorted."""
        return sorted(self._missing)

    def _feature(self, extractor: str, until: str | None = None) -> Feature:
        """A feature, of which the columns after `until` may be left out."""
        known = self._read.get(extractor)
        if known is None or not (known.whole or until in known.values):
            once = until if known is None else None
            known = self._reader.read(extractor, self._sha256, once)
            self._read[extractor] = known
        return known


def merged(readers: Sequence[FeatureReader]) -> Mapping[str, ExtractorInfo]:
    """The extractors of several configs, by name."""
    infos: dict[str, ExtractorInfo] = {}
    for reader in readers:
        infos |= reader.infos()
    return dict(sorted(infos.items()))


def load_extractors(
    names: Sequence[str], settings: Mapping[str, Extractor] | None = None
) -> list[Extractor]:
    """Extractors by name; unknown names are skipped.

    Args:
        names: Names.
        settings: Extractors with other than their default parameters, by name.
    """
    known = set(catalog.names("extractor"))
    return [load_extractor(name, settings or {}) for name in names if name in known]
