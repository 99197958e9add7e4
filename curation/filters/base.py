"""Base classes of filters, which judge measurements but do not measure.

A filter is a frozen dataclass in a file of its own; its fields are thresholds. Thresholds are not part
of the measurements' cache keys, so they can be changed without measuring again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import Feature, Values
from theval_datasets.manifest.rows import Source
from theval_datasets.media.facts import MediaFacts, SourcePicture

Measured = Mapping[str, float | int | str | bool | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """Facts of a clip that filters may use besides its features.

    Attributes:
        clip_id: Id of the clip.
        media: Measured facts of its file.
        source: Provenance.
        source_picture: Storage format of the source's pictures; None if unknown.
    """

    clip_id: str
    media: MediaFacts
    source: Source
    source_picture: SourcePicture | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a filter on a clip.

    Attributes:
        verdict: `keep`, `reject`, or `undecided` where a measurement is missing.
        reason: Slug; None when kept.
        measured: Values that it judged, by name.
    """

    verdict: Literal["keep", "reject", "undecided"]
    reason: str | None = None
    measured: Measured = dataclasses.field(default_factory=dict)


class Features:
    """Features of one clip, for filters.

    Args:
        features: Features by name of the extractor.
    """

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = features

    def values(self, extractor: str) -> Values:
        """The values of an extractor.

        Raises:
            UndecidedError: There are none for this clip; the caller turns this into a verdict.

        Examples:
            >>> import numpy as np
            >>> from theval_datasets.extraction.outcomes import Outcome
            >>> features = Features({"vad": Feature(Outcome("ok"), {"speech_ratio": np.array(0.5)})})
            >>> features.values("vad")
            {'speech_ratio': array(0.5)}
            >>> features.values("faces")
            Traceback (most recent call last):
                ...
            theval_datasets.curation.filters.base.UndecidedError: faces:not-measured
        """
        feature = self._features.get(extractor)
        if feature is None:
            raise UndecidedError(f"{extractor}:not-measured")
        if feature.outcome.status != "ok":
            raise UndecidedError(f"{extractor}:{feature.outcome.reason}", feature.outcome.reason)
        return feature.values

    def number(self, extractor: str, column: str) -> float:
        """A scalar value of an extractor.

        Raises:
            UndecidedError: It is undefined for this clip.

        Examples:
            >>> import numpy as np
            >>> from theval_datasets.extraction.outcomes import Outcome
            >>> feature = Feature(Outcome("ok"), {"lufs": np.array(-23.0)})
            >>> Features({"audio_levels": feature}).number("audio_levels", "lufs")
            -23.0
        """
        values = self.values(extractor)
        if column not in values:
            why = self._features[extractor].outcome.missing.get(column, "undefined")
            raise UndecidedError(f"{column}:{why}", why)
        return float(values[column])

    def empty(self, extractor: str) -> str | None:
        """Reason of an outcome `empty` of an extractor; None for any other outcome.

        Examples:
            >>> from theval_datasets.extraction.outcomes import Outcome
            >>> Features({"faces": Feature(Outcome("empty", "no-face"))}).empty("faces")
            'no-face'
        """
        feature = self._features.get(extractor)
        if feature is None or feature.outcome.status != "empty":
            return None
        return feature.outcome.reason


class UndecidedError(Exception):
    """A measurement that a filter needs is missing.

    Args:
        what: Missing measurement: `extractor:reason` or `column:reason`.
        reason: The reason alone.
    """

    def __init__(self, what: str, reason: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class AnyFilter:
    """What filters of single clips and of sets declare."""

    shown: ClassVar[Mapping[str, str]] = {}
    """Threshold field (or fields, with commas) of each measured value, for the funnel."""
    decides: ClassVar[Mapping[str, str]] = {}
    """Measured value (or values, with commas) whose threshold decides on each reason; reasons without a
    threshold are absent."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Fields by former name, which recipes may use and from which recipe hashes are computed."""
    signed: ClassVar[frozenset[str]] = frozenset()
    """Fields that may be negative."""

    def needs(self) -> Sequence[Extractor]:
        """Extractors, with their parameters, whose values it reads."""
        return ()


@dataclasses.dataclass(frozen=True)
class Filter(AnyFilter):
    """Base of filters that judge one clip at a time.

    Examples:
        A filter that keeps long clips:

        >>> @dataclasses.dataclass(frozen=True)
        ... class Long(Filter):
        ...     min_seconds: float = 2.0
        ...
        ...     def judge(self, clip, features):
        ...         seconds = clip.media.duration
        ...         passes = seconds >= self.min_seconds
        ...         return keep(seconds=seconds) if passes else reject("short", seconds=seconds)
        >>> Long(min_seconds=4).needs()
        ()
    """

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """Judge a clip.

        Raises:
            UndecidedError: A measurement is missing.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class SetFilter(AnyFilter):
    """Base of filters that need the whole set; they run last, in order of `clip_id`.

    Examples:
        A filter that keeps one clip of each channel:

        >>> @dataclasses.dataclass(frozen=True)
        ... class OnePerChannel(SetFilter):
        ...     def judge(self, clips, references=()):
        ...         seen = set()
        ...         verdicts = []
        ...         for clip, _ in clips:
        ...             known = clip.source.channel in seen
        ...             seen.add(clip.source.channel)
        ...             verdicts.append(reject("channel-known") if known else keep())
        ...         return verdicts
        >>> OnePerChannel().needs(), OnePerChannel().judge([])
        ((), [])
    """

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Judge all remaining clips.

        Args:
            clips: Clips with their features, in order of `clip_id`.
            references: Indexes of other sets
                (`theval_datasets.curation.duplicates.reference_index.ReferenceIndex`).

        Returns:
            One verdict per clip, in their order.
        """
        raise NotImplementedError


def keep(**measured: float | int | str | bool | None) -> Verdict:
    """Verdict on a clip that passes.

    Examples:
        >>> keep(seconds=4.123456).measured
        {'seconds': 4.1235}
    """
    return Verdict("keep", None, _tidy(measured))


def reject(reason: str, **measured: float | int | str | bool | None) -> Verdict:
    """Verdict on a clip that does not pass.

    Examples:
        >>> reject("too-short", seconds=1.0).reason
        'too-short'
    """
    return Verdict("reject", reason, _tidy(measured))


def undecided(reason: str, **measured: float | int | str | bool | None) -> Verdict:
    """Verdict on a clip that cannot be judged.

    Examples:
        >>> undecided("no-face", faces=0)
        Verdict(verdict='undecided', reason='no-face', measured={'faces': 0})
    """
    return Verdict("undecided", reason, _tidy(measured))


def _tidy(measured: Measured) -> Measured:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in measured.items()}


def check_range(name: str, low: float, high: float | None) -> None:
    """Check that a range of thresholds is not empty.

    Raises:
        ValueError: If `high` is below `low`.

    Examples:
        >>> check_range("seconds", 2.0, 1.0)
        Traceback (most recent call last):
            ...
        ValueError: expected seconds not to be empty, got 2.0 to 1.0
    """
    if high is not None and high < low:
        raise ValueError(f"expected {name} not to be empty, got {low} to {high}")
