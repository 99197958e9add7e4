"""The extractor type: what computes one feature of a clip.

An extractor is a frozen dataclass in a file of its own under `features/`. Its fields are its
parameters; class attributes declare what it reads and writes. Nothing survives from one clip to
the next: `open` returns a fresh accumulator for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from theval_datasets.media.frames import SAMPLE_RATE, Audio, FrameRequest, Frames, Header
from theval_datasets.utils.records import to_plain

from .outcomes import Values
from .weights import Weights, fetch_if_missing, find


@dataclass(frozen=True, slots=True)
class Column:
    """A value that an extractor writes.

    Attributes:
        name: Unique within the extractor.
        dtype: numpy's name of its type.
        dims: Names of its axes (`frame`, `face`, `point`, …) or sizes; () for a scalar.
        meaning: One line for cards.
        nullable: Whether it may be undefined while the extractor is `ok`.
        unit: Of its values; "" for none.
        low: Smallest value allowed; None if unbounded.
        high: Largest value allowed.
    """

    name: str
    dtype: str
    dims: tuple[str | int, ...]
    meaning: str
    nullable: bool = False
    unit: str = ""
    low: float | None = None
    high: float | None = None


class ClipInputs(Protocol):
    """What an accumulator may ask for besides frames. It never sees a path."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames in pixels, after rotation."""
        ...

    @property
    def duration(self) -> float:
        """Seconds of video; known only after the last frame, so ask for it in `finish`."""
        ...

    @property
    def header(self) -> Header:
        """What the container promises."""
        ...

    def audio(self, rate: int = SAMPLE_RATE, *, aligned: bool = True) -> Audio:
        """The audio track.

        Args:
            rate: Hz.
            aligned: Whether second 0 is the first video frame, or the track's own start.

        Raises:
            NoAudioError: There is no audio stream.
            DigitalSilenceError: All of its samples are 0.
        """
        ...

    def feature(self, extractor: Extractor) -> Values:
        """The values of an extractor that was declared in `needs`.

        Call it only in `finish`; an extractor with `second_pass` may call it from the beginning.

        Raises:
            AbsentError: That extractor has no values for this clip.
        """
        ...


class Accumulator(Protocol):
    """One extractor at work on one clip.

    If it turns out to need no frames (only an extractor with `second_pass` can know), it sets an
    attribute `done` to True.
    """

    def update(self, batch: Frames) -> None:
        """Take the next frames."""
        ...

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        """Return the values, and the reason for each undefined column.

        Raises:
            AbsentError: There is nothing to measure at all.
        """
        ...


@dataclass(frozen=True)
class Extractor:
    """Base class of all extractors; `theval_datasets.features` holds them, one per file.

    A subclass is a frozen dataclass. It declares `name` and `writes`, asks for what it reads
    (`frames`, `needs_audio`, `needs()`), and overrides either `compute` (audio or other features
    only) or `open` (frames). Everything else has a default.

    Attributes:
        name: The feature's name, equal to the module's.
        version: Raised whenever values change; part of the cache key.
        source: Publication, standard or package that defines what is measured.
        extra: The optional dependency group it needs; None if it needs none.
        imports: Modules of that extra that must be importable.
        default_enabled: Whether `extract` without ``--features`` runs it when its extra is
            installed.
        second_pass: Whether it wants frames only after the features that it needs are known; the
            clip is then decoded a second time.
        writes: Its columns.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str] = ""
    extra: ClassVar[str | None] = None
    imports: ClassVar[tuple[str, ...]] = ()
    default_enabled: ClassVar[bool] = True
    second_pass: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]]

    @property
    def frames(self) -> FrameRequest | None:
        """The frames it wants; None (the default) for none."""
        return None

    @property
    def needs_audio(self) -> bool:
        """Whether it asks for the audio; False by default."""
        return False

    def needs(self) -> Sequence[Extractor]:
        """Extractors whose values it reads; none by default."""
        return ()

    def parameters(self) -> dict[str, Any]:
        """What its values depend on, as plain JSON: the dataclass's fields by default."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def weights_id(self) -> str:
        """Identity of its model for the cache key: a hash, or package and version; "" for none.

        Raises:
            WeightsMissingError: The weights are not on this machine.
            MissingExtraError: The package that runs them is not installed.
        """
        return ""

    def weights(self) -> Sequence[Weights]:
        """The weights that it can use, apart from those of what it needs; none by default."""
        return ()

    def has_weights(self) -> bool:
        """Whether its weights, and those of what it needs, are on this machine.

        A run of all extractors leaves it out if they are not. Weights that a package carries do
        not count: without the package the extractor lacks an extra.
        """
        own = (weights for weights in self.weights() if weights.kind != "package")
        return all(find(weights) is not None for weights in own) and all(
            needed.has_weights() for needed in self.needs()
        )

    def fetch_weights(self) -> None:
        """Download missing weights; called for extractors that a run names.

        A failed download is logged; `weights_id` raises for it later.
        """
        for weights in self.weights():
            fetch_if_missing(weights)
        for needed in self.needs():
            needed.fetch_weights()

    def setup(self) -> Any:
        """Load models; called once a worker process. The result is passed to `open`."""
        return None

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Begin a clip. Override it to see frames; by default `compute` runs at the end."""
        return _ComputeAtEnd(self, clip, model)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Values of an extractor that reads only audio or other features.

        Returns:
            The values, and the reason for each undefined column.

        Raises:
            AbsentError: There is nothing to measure.
        """
        raise TypeError(f"{type(self).__name__} implements neither `open` nor `compute`")


class _ComputeAtEnd:
    """The accumulator of an extractor that sees no frames."""

    def __init__(self, extractor: Extractor, clip: ClipInputs, model: Any) -> None:
        self._extractor = extractor
        self._clip = clip
        self._model = model

    def update(self, batch: Frames) -> None:
        """No frames were asked for."""

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        return self._extractor.compute(self._clip, self._model)
