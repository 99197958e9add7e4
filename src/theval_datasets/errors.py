"""Every exception of the toolkit.

::

    ThevalError
    ├── InputError               the user's input is wrong (exit code 2)
    │   ├── UnknownNameError     no such extractor, recipe, dataset, …: suggests close ones
    │   ├── ManifestError        a manifest row is malformed or contradicts itself
    │   ├── RatingsError         a ratings or votes table is malformed
    │   └── UnsafePathError      a path or address outside the place it is confined to
    ├── MissingExtraError        an optional dependency is not installed
    ├── WeightsMissingError      model weights are not installed (failed: weights-missing)
    ├── MediaError               a clip's media is empty or broken; `reason` is its slug
    │   ├── EmptyMediaError      the media is intact, but lacks the stream (outcome `empty`)
    │   │   ├── NoVideoError         no-video
    │   │   ├── NoAudioError         no-audio
    │   │   └── DigitalSilenceError  digital-silence
    │   └── BrokenMediaError     the media cannot be used (outcome `failed`)
    │       ├── MissingMediaError    missing
    │       ├── NotMediaError        not-media
    │       ├── ZeroFramesError      zero-frames
    │       └── TooLargeError        too-large
    ├── AbsentError              an extractor found nothing to measure (outcome `empty`)
    ├── CacheError               a cache entry is damaged or of another format
    ├── StorageError             a file cannot be written: disk full, read-only, no permission
    ├── MemoryLimitError         this process may use too little memory (ulimit -v)
    ├── BuildError               a step of making a dataset failed
    └── PublishError             a release cannot be pushed as it is
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ThevalError(Exception):
    """Root of every exception that the toolkit raises on purpose."""


class InputError(ThevalError):
    """The user's input is wrong; the message states what was expected, received, and what to do."""


class UnknownNameError(InputError):
    """A name that is not in a catalogue.

    Args:
        kind: Kind of thing, for the message ("extractor", "recipe", …).
        name: Name that was given.
        known: Names that exist.

    Examples:
        >>> print(UnknownNameError("filter", "speach", ["speech", "motion"]))
        There is no filter named 'speach'; did you mean speech?
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
    """A path or an address is outside the place it is confined to."""


class MissingExtraError(ThevalError):
    """An optional dependency is not installed; the message names the extra that installs it."""


class StorageError(ThevalError):
    """A file cannot be written: the disk is full, the file system is read-only, or access is denied.

    It ends the run, since every further item would fail too, and is not recorded as an item's fault.
    """


class MemoryLimitError(ThevalError):
    """This process may use too little memory for the work."""


class WeightsMissingError(ThevalError):
    """Model weights are not installed and could not be downloaded."""


class MediaError(ThevalError):
    """A clip's media is empty or broken.

    Attributes:
        reason: Slug for outcomes and reports.
    """

    reason = "media"


class EmptyMediaError(MediaError):
    """The media is intact, but does not contain the requested stream."""


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


class TooLargeError(BrokenMediaError):
    """The file, or a picture in it, is larger than the limits allow."""

    reason = "too-large"


class AbsentError(ThevalError):
    """An extractor found nothing to measure.

    Args:
        reason: Slug for the outcome: ``no-face``, ``no-speech``, ``constant``, …
        detail: Explanation for people.
    """

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.detail = detail


class CacheError(ThevalError):
    """A cache entry is damaged or was written in another format."""


class BuildError(ThevalError):
    """A step of making a dataset failed although its input seemed right."""


class PublishError(ThevalError):
    """A release cannot be pushed as it is."""
