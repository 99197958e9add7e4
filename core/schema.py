"""The words of the toolkit as types: frames, audio, clips, outcomes, and what an extractor is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
Values = dict[str, Array]
"""What an extractor found: column name to array (0-d for a scalar)."""

SAMPLE_RATE = 16_000
"""Hz of every audio track that the toolkit hands out, unless asked for another rate."""


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """Which frames a consumer wants, and how.

    Attributes:
        fps: Frames a second; None means every frame that is there.
        height: Height in pixels to scale to, keeping the aspect; None means as it is. Frames are
            never enlarged.
        colour: Channel order, or one channel of luma.
        pixels: False for consumers that only want the timestamps: `Frames.pixels` is then empty.
        stored: Whether `Frames.stored` is wanted too.
    """

    fps: float | None = None
    height: int | None = None
    colour: Literal["rgb", "bgr", "gray"] = "rgb"
    pixels: bool = True
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Frames:
    """A batch of consecutive frames.

    Attributes:
        pixels: One uint8 array a frame, (height, width, 3), or (height, width) in gray; empty when
            the request asked for no pixels. Shared with other consumers: read, do not write.
        times: float64, (n,): seconds since the first frame of the clip, as measured.
        indices: int64, (n,): index of each among the clip's decoded frames.
        stored: The same frames as OpenCV's VideoCapture reads them, for those who have to agree
            with it: neither scaled nor rotated, converted by BT.601 whatever the file says.
    """

    pixels: Sequence[npt.NDArray[np.uint8]]
    times: npt.NDArray[np.float64]
    indices: npt.NDArray[np.int64]
    stored: Sequence[npt.NDArray[np.uint8]] = ()

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class Audio:
    """A clip's audio on the timeline of its video.

    Attributes:
        samples: float32 in [-1, 1], mono.
        start: Seconds from the first video frame to the first sample; never negative, what
            sounds before the first frame is cut off.
        rate: Hz.
    """

    samples: FloatArray
    start: float = 0.0
    rate: int = SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the first video frame to the end of the last sample."""
        return self.start + len(self.samples) / self.rate


@dataclass(frozen=True, slots=True)
class Header:
    """What a container promises, for code that has to believe it.

    Attributes:
        rate: Frames a second.
        n_frames: Number of frames.
    """

    rate: float
    n_frames: int


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What was measured of a file, not what its header promises.

    Attributes:
        duration: Seconds of video: last frame's time plus its length.
        fps: Frames a second, (n - 1) / (last time - first time); None for a single frame.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        n_frames: Frames that the container holds and does not discard.
        rotation: Degrees counter-clockwise by which the frames are turned upright: 0, 90, 180, 270.
        variable_rate: Whether frame intervals differ by more than a tenth of their median.
        video_codec: FFmpeg's name.
        audio_codec: FFmpeg's name; None without audio.
        audio_rate: Hz, in the file.
        audio_channels: In the file.
        audio_start: Seconds from the first video frame to the first audio sample; may be negative.
        audio_duration: Seconds, as the stream declares it; None if unknown.
        n_bytes: Size of the file.
        truncated: What was wrong, for a file that ends early; None when whole.
    """

    duration: float
    fps: float | None
    width: int
    height: int
    n_frames: int
    rotation: int
    variable_rate: bool
    video_codec: str
    audio_codec: str | None
    audio_rate: int | None
    audio_channels: int | None
    audio_start: float | None
    audio_duration: float | None
    n_bytes: int
    truncated: str | None = None


Status = Literal["ok", "empty", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one extractor ended on one clip.

    Attributes:
        status: `ok`; `empty`: the media is fine, the thing is not in it; `failed`: it should have
            worked.
        reason: Slug; None exactly when `ok`.
        detail: For people.
        missing: For `ok`: columns that are undefined for this clip all the same, with the reason.
    """

    status: Status
    reason: str | None = None
    detail: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.reason is None) != (self.status == "ok"):
            raise ValueError(f"an outcome has a reason exactly when it is not ok; got {self!r}")


@dataclass(frozen=True, slots=True)
class Feature:
    """What an extractor left in the cache for one clip: the outcome, and the values when ok."""

    outcome: Outcome
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """A value that an extractor writes.

    Attributes:
        name: Unique within the extractor.
        dtype: numpy's name of its type.
        dims: Names of its axes (`frame`, `face`, `point`, …) or sizes; () for a scalar.
        meaning: One line for cards: what it is, unit and range.
        nullable: Whether it may be undefined while the extractor is `ok`.
    """

    name: str
    dtype: str
    dims: tuple[str | int, ...]
    meaning: str
    nullable: bool = False


class ClipInputs(Protocol):
    """What an accumulator may ask for besides frames. It never sees a path."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames in pixels, after rotation."""
        ...

    @property
    def duration(self) -> float:
        """Seconds of video; only known once every frame was seen, so ask in `finish`."""
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
            NoAudioError, DigitalSilenceError: If there is nothing to hear.
        """
        ...

    def feature(self, extractor: Extractor) -> Values:
        """The values of an extractor that was declared in `needs`.

        Only in `finish`, or from the beginning for an extractor that is `after_needs`.

        Raises:
            AbsentError: If that extractor has none for this clip.
        """
        ...


class Accumulator(Protocol):
    """One extractor at work on one clip.

    One that needs no frames after all, which only an extractor that is `after_needs` can know, says
    so with an attribute `done` that is true.
    """

    def update(self, batch: Frames) -> None:
        """Take the next frames."""
        ...

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        """Return the values, and for each undefined column its reason.

        Raises:
            AbsentError: If there is nothing to measure at all.
        """
        ...


class Extractor(Protocol):
    """Computes one feature of a clip; `theval_datasets.features` holds them, one a file.

    An implementation is a frozen dataclass whose fields are its parameters.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    extra: ClassVar[str | None]
    imports: ClassVar[tuple[str, ...]]
    by_default: ClassVar[bool]
    after_needs: ClassVar[bool]
    writes: ClassVar[tuple[Column, ...]]

    @property
    def frames(self) -> FrameRequest | None:
        """The frames it wants; None if it looks at none."""
        ...

    @property
    def hears(self) -> bool:
        """Whether it asks for the audio."""
        ...

    def needs(self) -> Sequence[Extractor]:
        """Extractors whose values it reads."""
        ...

    def parameters(self) -> dict[str, Any]:
        """What its values depend on, as JSON."""
        ...

    def weights(self) -> str:
        """Identity of the model: a hash, or package and version; "" without one.

        Raises:
            WeightsMissingError, MissingExtraError: If the model cannot be had.
        """
        ...

    def ready(self) -> bool:
        """Whether its weights are on this machine."""
        ...

    def obtain(self) -> None:
        """Fetch weights that are not here and can be had."""
        ...

    def setup(self) -> Any:
        """Load models; called once a worker process."""
        ...

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Begin a clip, with nothing left from the one before."""
        ...
