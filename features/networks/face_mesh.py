"""MediaPipe's Face Mesh: points of the faces in pictures that are passed one after another."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.mesh import Points
from theval_datasets.utils.optional import import_apart

_GRAPH: Final = """
    executor { type: "ApplicationThreadExecutor" }
    input_stream: "picture"
    output_stream: "faces"
    node {
      calculator: "FaceLandmarkFrontCpu"
      input_stream: "IMAGE:picture"
      input_side_packet: "NUM_FACES:num_faces"
      input_side_packet: "WITH_ATTENTION:refine"
      input_side_packet: "USE_PREV_LANDMARKS:track"
      output_stream: "LANDMARKS:faces"
    }
"""
"""MediaPipe's graph with its default confidences, in the thread that passes pictures: threads of its own would
wait for each other at every picture."""
_STEP: Final = 33_333
"""Microseconds between pictures; the graph only needs them to grow."""
_POINT: Final = np.dtype(
    [("", "V3"), ("x", "<f4"), ("", "V1"), ("y", "<f4"), ("", "V1"), ("z", "<f4")]
)
"""A landmark in MediaPipe's message, if none of its coordinates is 0."""
_TAGS: Final = {0: 0x0A, 1: 0x0F, 2: 0x0D, 7: 0x15, 12: 0x1D}
"""Its other bytes by their places."""

Pixels = npt.NDArray[np.uint8]


class FaceMesh:
    """A Face Mesh, which tracks faces from one picture to the next unless it is static.

    Args:
        max_faces: Maximum number of faces.
        refine: Whether to refine eyes and lips: 478 points a face instead of 468.
        static: Whether to detect faces anew in every picture.
    """

    def __init__(self, *, max_faces: int, refine: bool, static: bool) -> None:
        mediapipe = load_mediapipe()
        from google.protobuf import text_format
        from mediapipe.framework import calculator_pb2

        create = mediapipe.packet_creator
        self._side_packets = {
            "num_faces": create.create_int(max_faces),
            "refine": create.create_bool(refine),
            "track": create.create_bool(not static),
        }
        self._create_image = create.create_image
        self._format = mediapipe.ImageFormat.SRGB
        self._messages = mediapipe.packet_getter.get_proto_list
        self._found: Any = None
        self._time = 0
        mediapipe.resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
        config = text_format.Parse(_GRAPH, calculator_pb2.CalculatorGraphConfig())
        self._graph = mediapipe.CalculatorGraph(graph_config=config)
        self._graph.observe_output_stream("faces", self._take)
        self._graph.start_run(self._side_packets)

    def _take(self, _: str, packet: Any) -> None:
        self._found = packet

    def reset(self) -> None:
        """Forget the faces that are tracked."""
        self._graph.close()
        self._graph.start_run(self._side_packets)

    def faces(self, picture: Pixels) -> list[Points]:
        """Points of the faces in the next picture.

        Args:
            picture: uint8 (height, width, 3) in red, green, blue.

        Returns:
            For each face float64 (n, 3): x, y and z in widths, heights and widths of the picture.
        """
        seen = np.ascontiguousarray(picture)[:]
        seen.flags.writeable = False  # MediaPipe copies what could be written to
        self._time += _STEP
        self._found = None
        packet = self._create_image(seen, image_format=self._format)
        self._graph.add_packet_to_input_stream("picture", packet.at(self._time))
        self._graph.wait_until_idle()
        if self._found is None:
            return []
        return [points_of(face) for face in self._messages(self._found)]


def points_of(landmarks: Any) -> Points:
    """The points of one face.

    Reads the message's bytes at once where all three coordinates of every point are present, which is
    much faster than reading them one by one.

    Args:
        landmarks: Message of MediaPipe.

    Returns:
        float64 (n, 3): x, y and z in widths, heights and widths of the picture.
    """
    data, count, step = landmarks.SerializeToString(), len(landmarks.landmark), _POINT.itemsize
    if len(data) == count * step and all(
        data[place::step].count(byte) == count for place, byte in _TAGS.items()
    ):
        table = np.frombuffer(data, _POINT)
        points = np.empty((count, 3))
        points[:, 0], points[:, 1], points[:, 2] = table["x"], table["y"], table["z"]
        return points
    return np.array([(p.x, p.y, p.z) for p in landmarks.landmark], dtype=np.float64)


def load_mediapipe() -> Any:
    """MediaPipe, imported without plots, which it would load for drawings that nobody asks for here."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _postponed("matplotlib", "pyplot"):
        return import_apart("mediapipe")


@contextmanager
def _postponed(package: str, module: str) -> Iterator[None]:
    """Let what is imported meanwhile load a module when it uses it, instead of at once.

    MediaPipe imports matplotlib's plots, which takes more time than all else that it imports.

    Args:
        package: Name of a package; nothing is postponed if it has been imported already.
        module: Name of its module.
    """
    if package in sys.modules:
        yield
        return
    parent, child = ModuleType(package), _Postponed(f"{package}.{module}")
    setattr(parent, module, child)
    sys.modules[parent.__name__] = parent
    sys.modules[child.__name__] = child
    try:
        yield
    finally:
        del sys.modules[parent.__name__], sys.modules[child.__name__]


class _Postponed(ModuleType):
    """A module that is imported when one of its attributes is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)
