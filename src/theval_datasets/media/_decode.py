"""Decoding of one stream, tolerant of packets that are damaged or lack timestamps."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ._alpha import Alpha, alpha_context, alpha_of, has_alpha

_TIMED_BY_OUTPUT: Final = ("avi", "asf")
"""Containers whose timestamps follow the order of decoding."""


@dataclass(slots=True)
class Remarks:
    """Problems met while a file was read.

    Attributes:
        stopped: Reason why reading stopped before the end.
        undecoded: Number of packets that did not decode.
        undecoded_reason: The decoder's message for the last of them.
        backwards: Time in seconds at which timestamps first jump back; such frames are not used.
        resized: Time in seconds of the first change of the picture's size.
        untimed: Number of frames without a timestamp, which are not used.
        guessed: Whether no frame has a timestamp, so that frames are spaced by the stated rate.
        short: How much shorter the stream is than its header promises, in words.
        turned: Degrees of a rotation that is not a multiple of 90 and is not applied.
        opaque: Why transparency is not shown, in words.
    """

    stopped: str | None = None
    undecoded: int = 0
    undecoded_reason: str = ""
    backwards: float | None = None
    resized: float | None = None
    untimed: int = 0
    guessed: bool = False
    short: str | None = None
    turned: float | None = None
    opaque: str | None = None

    def text(self) -> str | None:
        """The remarks in one line; None if there is none."""
        parts = []
        if self.stopped is not None:
            parts.append(f"truncated: decoding stopped: {self.stopped}")
        if self.undecoded:
            parts.append(f"{self.undecoded} packets could not be decoded: {self.undecoded_reason}")
        if self.backwards is not None:
            parts.append(
                f"timestamps stop increasing at {self.backwards:.3f} s: frames are dropped until they increase again"
            )
        if self.resized is not None:
            parts.append(f"the picture's size changes at {self.resized:.3f} s")
        if self.untimed:
            parts.append(f"{self.untimed} frames have no timestamp")
        if self.guessed:
            parts.append("no frame has a timestamp: times follow from the stated frame rate")
        if self.turned is not None:
            parts.append(f"a rotation by {self.turned:g} degrees is not applied")
        if self.opaque is not None:
            parts.append(self.opaque)
        if self.short is not None:
            parts.append(self.short)
        return "; ".join(parts) or None


def packets(container: Any, streams: list[Any], remarks: Remarks) -> Iterator[Any]:
    """Packets of some streams until the end, or until reading fails, which `remarks` records."""
    import av

    source = container.demux(*streams)
    while True:
        try:
            packet = next(source)
        except StopIteration:
            return
        except (av.FFmpegError, OverflowError) as error:
            remarks.stopped = str(getattr(error, "strerror", None) or error)
            return
        except IndexError:  # a packet of a stream that the headers did not announce
            source = container.demux(*streams)
            continue
        yield packet


def decoded(container: Any, stream: Any, remarks: Remarks) -> Iterator[Any]:
    """Frames in order of presentation, each with a timestamp; `remarks` records decoding errors.

    Some containers give some frames no timestamp, or (AVI, ASF) one in the order of decoding. Such a
    frame gets the timestamp of its packet or, failing that, one frame's length after the last one.
    """
    import av

    by_output = container.format.name.split(",")[0] in _TIMED_BY_OUTPUT
    clock = _Clock(stream, by_output)
    alpha = alpha_of(stream) if stream.type == "video" else Alpha()
    remarks.opaque = alpha.problem
    context = None if alpha.decoder is None else alpha_context(stream, alpha.decoder)
    for packet in packets(container, [stream], remarks):
        try:
            frames = packet.decode() if context is None else context.decode(packet)
        except (av.FFmpegError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EAGAIN:  # no thread can be started
                raise MemoryError("the decoder cannot start a thread") from error
            remarks.undecoded += 1
            remarks.undecoded_reason = str(getattr(error, "strerror", None) or error)
            continue
        for frame in frames:
            if remarks.opaque is not None and has_alpha(frame.format.name):
                remarks.opaque = None
            if clock.set(frame):
                yield frame
            else:
                remarks.untimed += 1
    if clock.all_guessed:
        remarks.guessed = True


class _Clock:
    """Timestamps for frames that lack them.

    Args:
        stream: Stream of the frames.
        by_output: Whether to use decoding timestamps instead of presentation timestamps.
    """

    def __init__(self, stream: Any, by_output: bool) -> None:
        self._by_output = by_output
        rate = getattr(stream, "average_rate", None)
        base = stream.time_base
        self._step = round(1 / (rate * base)) if rate and base else 0
        self._last: int | None = None
        self._stamped = 0
        self._guessed = 0

    @property
    def all_guessed(self) -> bool:
        """Whether no frame had a timestamp."""
        return self._guessed > 0 and not self._stamped

    def set(self, frame: Any) -> bool:
        """Set the timestamp of a frame (`frame.pts`); False if it cannot be determined."""
        stamp = frame.dts if self._by_output and frame.dts is not None else frame.pts
        if stamp is None:
            stamp = frame.dts
        behind = stamp is None or (
            self._by_output and self._last is not None and stamp <= self._last
        )
        if behind:
            step = self._step or frame.duration or 0
            if not step:
                return False
            stamp = 0 if self._last is None else self._last + step
            self._guessed += 1
        else:
            self._stamped += 1
        self._last = frame.pts = stamp
        return True
