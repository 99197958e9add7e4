"""The extractor type: an extractor computes one feature of a clip.

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
        name: Name, unique within the extractor.
        dtype: Type by its name in numpy.
        dims: Names of the axes (`frame`, `face`, `point`, …) or their sizes; () for a scalar.
        meaning: Description in one line, for cards.
        nullable: Whether the column may be undefined while the extractor is `ok`.
        unit: Unit of the values; "" for none.
        low: Smallest permitted value; None if unbounded.
        high: Largest permitted value; None if unbounded.
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
    """Inputs that an accumulator may request besides frames. It never sees a path."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames in pixels, after rotation."""
        ...

    @property
    def duration(self) -> float:
        """Length of the video in seconds; known only after the last frame, so read it in `finish`."""
        ...

    @property
    def header(self) -> Header:
        """Frame rate and number of frames that the container states."""
        ...

    def audio(self, rate: int = SAMPLE_RATE, *, aligned: bool = True) -> Audio:
        """The audio track.

        Args:
            rate: Sampling rate in Hz.
            aligned: Whether second 0 is the first video frame; False for the track's own start.

        Raises:
            NoAudioError: There is no audio stream.
            DigitalSilenceError: Every sample is 0.
        """
        ...

    def feature(self, extractor: Extractor) -> Values:
        """The values of an extractor that is declared in `needs`.

        Call it only in `finish`; an extractor with `second_pass` may call it from the beginning.

        Raises:
            AbsentError: The extractor has no values for this clip.
        """
        ...


class Accumulator(Protocol):
    """State of one extractor for one clip.

    An accumulator that needs no frames after all (which only one with `second_pass` can know) sets the
    attribute `done` to True.

    Examples:
        >>> import numpy as np
        >>> class MeanBrightness:
        ...     def __init__(self):
        ...         self.means = []
        ...     def update(self, batch):
        ...         self.means += [picture.mean() for picture in batch.pixels]
        ...     def finish(self):
        ...         return {"brightness": np.array(np.mean(self.means))}, {}
        >>> brightness = MeanBrightness()
        >>> grey = np.full((4, 4), 100, np.uint8)
        >>> brightness.update(Frames([grey], times=np.array([0.0]), indices=np.array([0])))
        >>> brightness.finish()
        ({'brightness': array(100.)}, {})
    """

    def update(self, batch: Frames) -> None:
        """Take the next frames."""
        ...

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        """Return the values, and the reason for each undefined column.

        Raises:
            AbsentError: There is nothing to measure.
        """
        ...


@dataclass(frozen=True)
class Extractor:
    """Base class of all extractors; `theval_datasets.features` holds them, one per file.

    A subclass is a frozen dataclass. It declares `name` and `writes`, states what it reads (`frames`,
    `needs_audio`, `needs()`), and overrides either `compute` (audio or other features only) or `open`
    (frames). Everything else has a default.

    Attributes:
        name: Name of the feature, equal to that of the module.
        version: Version of the values, raised whenever they change; part of the cache key.
        source: Publication, standard or package that defines what is measured.
        extra: Optional dependency group that is needed; None if none is.
        imports: Modules of that extra that must be importable.
        default_enabled: Whether `extract` without ``--features`` runs the extractor if its extra is
            installed.
        gpus: Share of a GPU, 0 to 1, that an engine which places workers reserves for the extractor
            where there are GPUs; it runs without one too.
        memory: Bytes of memory that such an engine reserves for models that do not fit beside others; else 0.
        second_pass: Whether frames are wanted only after the needed features are known; the clip is
            then decoded a second time.
        writes: Columns.

    Examples:
        >>> import numpy as np
        >>> @dataclass(frozen=True)
        ... class Peak(Extractor):
        ...     floor: float = 0.1
        ...
        ...     name = "peak"
        ...     writes = (Column("peak", "float64", (), "Largest absolute sample.", low=0, high=1),)
        ...
        ...     @property
        ...     def needs_audio(self):
        ...         return True
        ...
        ...     def compute(self, clip, model):
        ...         return {"peak": np.array(max(self.floor, np.abs(clip.audio().samples).max()))}, {}
        >>> Peak(floor=0.2).parameters(), Peak().needs(), Peak().frames, Peak().has_weights()
        ({'floor': 0.2}, (), None, True)
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    source: ClassVar[str] = ""
    extra: ClassVar[str | None] = None
    imports: ClassVar[tuple[str, ...]] = ()
    default_enabled: ClassVar[bool] = True
    gpus: ClassVar[float] = 0.0
    memory: ClassVar[int] = 0
    second_pass: ClassVar[bool] = False
    writes: ClassVar[tuple[Column, ...]]

    @property
    def frames(self) -> FrameRequest | None:
        """Request for frames; None (the default) for none."""
        return None

    @property
    def needs_audio(self) -> bool:
        """Whether the audio is read; False by default."""
        return False

    def needs(self) -> Sequence[Extractor]:
        """Extractors whose values are read; none by default."""
        return ()

    def parameters(self) -> dict[str, Any]:
        """Parameters that the values depend on, as plain JSON; by default the dataclass's fields."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def weights_id(self) -> str:
        """Identity of the model for the cache key: a hash, or package and version; "" for none.

        Raises:
            WeightsMissingError: The weights are not on this machine.
            MissingExtraError: The package that runs them is not installed.
        """
        return ""

    def weights(self) -> Sequence[Weights]:
        """The extractor's own weights, without those of the extractors that it needs."""
        return ()

    def has_weights(self) -> bool:
        """Whether the weights of the extractor, and of those that it needs, are on this machine.

        A run of all extractors leaves out an extractor without weights. Weights that a package carries
        do not count: without the package the extractor lacks an extra.
        """
        own = (weights for weights in self.weights() if weights.kind != "package")
        return all(find(weights) is not None for weights in own) and all(
            needed.has_weights() for needed in self.needs()
        )

    def fetch_weights(self) -> None:
        """Download missing weights; called for extractors that a run names explicitly.

        A failed download is only logged; `weights_id` raises afterwards.
        """
        self.fetch_own_weights()
        for needed in self.needs():
            needed.fetch_weights()

    def fetch_own_weights(self) -> None:
        """Download missing weights, without those of the extractors that it needs."""
        for weights in self.weights():
            fetch_if_missing(weights)

    def setup(self) -> Any:
        """Load models; called once per worker process. The result is passed to `open`."""
        return None

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Begin a clip. Override this to receive frames; by default `compute` runs at the end."""
        return _ComputeAtEnd(self, clip, model)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Compute the values of an extractor that reads only audio or other features.

        Returns:
            The values, and the reason for each undefined column.

        Raises:
            AbsentError: There is nothing to measure.
        """
        raise TypeError(f"{type(self).__name__} implements neither `open` nor `compute`")


class _ComputeAtEnd:
    """The accumulator of an extractor that reads no frames."""

    def __init__(self, extractor: Extractor, clip: ClipInputs, model: Any) -> None:
        self._extractor = extractor
        self._clip = clip
        self._model = model

    def update(self, batch: Frames) -> None:
        """Ignore frames, since none are requested."""

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        return self._extractor.compute(self._clip, self._model)
