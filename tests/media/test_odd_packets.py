"""Packets and decoders that behave as no header announces."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import av
import pytest

from theval_datasets.media._decode import Remarks, decoded, packets


class Container:
    """A demuxer that hands out what it is given, and raises what is an exception."""

    format = SimpleNamespace(name="mpegts")

    def __init__(self, *items):
        self._items = iter(items)

    def demux(self, *streams):
        for item in self._items:
            if isinstance(item, Exception):
                raise item
            yield item


def test_a_packet_of_a_stream_that_no_header_announces_is_passed_over():
    """PyAV raises IndexError for streams that begin on the way, as damaged transport streams have."""
    remarks = Remarks()
    source = Container("a", IndexError("list index out of range"), "b", IndexError(), "c")
    assert list(packets(source, [], remarks)) == ["a", "b", "c"]
    assert remarks.stopped is None


def test_a_decoder_without_a_thread_is_no_fault_of_the_file():
    def decode():
        raise av.FFmpegError(errno.EAGAIN, "Resource temporarily unavailable")

    stream = SimpleNamespace(average_rate=None, time_base=None, type="audio")
    source = Container(SimpleNamespace(decode=decode))
    with pytest.raises(MemoryError, match="thread"):
        list(decoded(source, stream, Remarks()))
