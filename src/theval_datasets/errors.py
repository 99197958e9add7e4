"""Every exception of the toolkit.

::

    ThevalError
    ├── InputError               the user's input is wrong (exit code 2)
    │   ├── UnknownNameError     no such extractor, recipe, dataset, …: suggests close ones
    │   ├── ManifestError        a manifest row is malformed or contradicts itself
    │   ├── RatingsError         a ratings or votes table is malformed
    │   └── UnsafePathError      a path or address leaves what it was confined to
    ├── MissingExtraError        an optional dependency is not installed
    ├── WeightsMissingError      model weights are not here and cannot be had (failed: weights-missing)
    ├── MediaError               something about a clip's media; `reason` is its slug
    │   ├── EmptyMediaError      the media is fine, the thing is not in it (outcome `empty`)
    │   │   ├── NoVideoError         no-video
    │   │   ├── NoAudioError         no-audio
    │   │   └── DigitalSilenceError  digital-silence
    │   └── BrokenMediaError     it should have worked (outcome `failed`)
    │       ├── MissingMediaError    missing
    │       ├── NotMediaError        not-media
    │       ├── ZeroFramesError      zero-frames
    │       ├── TruncatedMediaError  truncated
    │       └── TooLargeError        too-large
    ├── AbsentError              an extractor found nothing to measure (outcome `empty`)
    ├── CacheError               a cache entry is damaged or of another format
    ├── BuildError               a step of making a dataset went wrong
    └── PublishError             a release cannot be pushed as it is
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ThevalError(Exception):
    """Root of every exception that the toolkit raises on purpose."""


class InputError(ThevalError):
    """What the user gave is wrong: says what was expected, what came and what to do."""


class UnknownNameError(InputError):
    """A name that is not in a catalogue.

    Args:
        kind: What was looked up, for the message ("extractor", "recipe", …).
        name: The name that was given.
        known: The names there are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}."
        super().__init__(f"There is no {kind} named {name!r}; {hint}")
        self.name = name


class ManifestError(InputError):
    """A manifest is malformed, or two of its rows contradict each other."""


class RatingsError(InputError):
    """A table of ratings or votes is malformed."""


class UnsafePathError(InputError):
    """A path or an address leads out of what it was confined to."""


class MissingExtraError(ThevalError):
    """An optional dependency is not installed; the message names the extra that brings it."""


class WeightsMissingError(ThevalError):
    """Model weights are neither in `THEVAL_MODELS` nor to be fetched."""


class MediaError(ThevalError):
    """Something about a clip's media.

    Attributes:
        reason: The slug that goes into outcomes and reports.
    """

    reason = "media"


class EmptyMediaError(MediaError):
    """The media is fine, but what was asked for is not in it."""


class NoVideoError(EmptyMediaError):
    """There is no video stream (a cover picture does not count)."""

    reason = "no-video"


class NoAudioError(EmptyMediaError):
    """There is no audio stream."""

    reason = "no-audio"


class DigitalSilenceError(EmptyMediaError):
    """Every audio sample is zero."""

    reason = "digital-silence"


class BrokenMediaError(MediaError):
    """The media cannot be used as it is."""

    reason = "broken-media"


class MissingMediaError(BrokenMediaError):
    """There is no such file."""

    reason = "missing"


class NotMediaError(BrokenMediaError):
    """The file is not audio or video that FFmpeg can read."""

    reason = "not-media"


class ZeroFramesError(BrokenMediaError):
    """There is a video stream, but not one frame of it decodes."""

    reason = "zero-frames"


class TruncatedMediaError(BrokenMediaError):
    """The file ends before its container says it does."""

    reason = "truncated"


class TooLargeError(BrokenMediaError):
    """The file, or a picture in it, is larger than the limits allow."""

    reason = "too-large"


class AbsentError(ThevalError):
    """An extractor looked and found nothing to measure.

    Args:
        reason: The slug for the outcome: ``no-face``, ``no-speech``, ``constant``, …
    """

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail


class CacheError(ThevalError):
    """A cache entry is damaged or was written in another format."""


class BuildError(ThevalError):
    """A step of making a dataset went wrong; what was given is not to blame, or cannot be told."""


class PublishError(ThevalError):
    """A release cannot be pushed as it is."""


def some_of(faults: Sequence[str], shown: int = 5) -> str:
    """The first of many faults in one sentence, and how many more there are."""
    more = f"; and {len(faults) - shown} more" if len(faults) > shown else ""
    return "; ".join(faults[:shown]) + more
