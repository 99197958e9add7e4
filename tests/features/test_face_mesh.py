"""Face Mesh: the points that MediaPipe's own solution gives, without its detours."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from theval_datasets.features.networks.face_mesh import FaceMesh, points_of
from theval_datasets.media import read_frames


def frames_of(path, indices):
    return read_frames(path, indices).pixels


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("static", [True, False])
def test_points_equal_those_of_mediapipes_solution(talking, refine, static):
    from mediapipe.python.solutions.face_mesh import FaceMesh as Solution

    frames = frames_of(talking, range(0, 20))
    empty = np.zeros_like(frames[0])
    sequence = [*frames[:8], empty, *frames[8:]]
    solution = Solution(max_num_faces=2, refine_landmarks=refine, static_image_mode=static)
    mesh = FaceMesh(max_faces=2, refine=refine, static=static)
    found = 0
    for frame in sequence:
        theirs = solution.process(frame).multi_face_landmarks or ()
        faces = mesh.faces(frame)
        assert len(faces) == len(theirs)
        for face, message in zip(faces, theirs, strict=True):
            assert face.tolist() == [[p.x, p.y, p.z] for p in message.landmark]
            found += 1
    assert found >= 18


def test_a_reset_forgets_the_face(talking):
    frames = frames_of(talking, [0, 3, 6, 9, 30])
    mesh = FaceMesh(max_faces=1, refine=True, static=False)
    fresh = mesh.faces(frames[-1])[0]
    for frame in frames[:-1]:
        mesh.faces(frame)
    tracked = mesh.faces(frames[-1])[0]
    mesh.reset()
    assert mesh.faces(frames[-1])[0].tolist() == fresh.tolist()
    assert tracked.tolist() != fresh.tolist()


def test_pictures_stay_the_callers(talking):
    """They are passed by reference: they stay writable, and later changes do not matter."""
    (frame,) = frames_of(talking, [10])
    picture = frame.copy()
    mesh = FaceMesh(max_faces=1, refine=True, static=True)
    first = mesh.faces(picture)[0]
    assert picture.flags.writeable
    picture[:] = 0
    assert mesh.faces(picture) == []
    assert mesh.faces(frame)[0].tolist() == first.tolist()
    flipped = mesh.faces(frame[:, ::-1])[0]
    assert flipped.tolist() == mesh.faces(np.ascontiguousarray(frame[:, ::-1]))[0].tolist()
    assert flipped.tolist() != first.tolist()


def test_points_are_read_from_messages_that_lack_zeros():
    from mediapipe.framework.formats import landmark_pb2

    numbers = np.random.default_rng(1).uniform(-1, 1, (478, 3)).astype(np.float32)
    message = landmark_pb2.NormalizedLandmarkList()
    for x, y, z in numbers.tolist():
        message.landmark.add(x=x, y=y, z=z)
    assert points_of(message).tolist() == numbers.tolist()
    message.landmark[7].z = 0.0
    message.landmark[3].ClearField("x")
    numbers[7, 2] = numbers[3, 0] = 0
    assert points_of(message).tolist() == numbers.tolist()
    # A message of the same length with other fields is not read by position.
    message.landmark[7].ClearField("z")
    message.landmark[7].visibility = 0.5
    message.landmark[3].presence = 0.5
    assert points_of(message).tolist() == numbers.tolist()


_WITHOUT_PLOTS = """
import sys
from theval_datasets.features.networks.face_mesh import FaceMesh
FaceMesh(max_faces=1, refine=False, static=True)
assert not [name for name in sys.modules if name.startswith("matplotlib")]
from mediapipe.python.solutions import drawing_utils
import matplotlib
import matplotlib.pyplot
matplotlib.use("Agg")
assert drawing_utils.plt.figure is matplotlib.pyplot.figure
"""


def test_loading_the_mesh_imports_no_plots_until_they_are_used():
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_PLOTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_plots_that_are_loaded_stay_loaded():
    code = "import matplotlib.pyplot as before\n" + _WITHOUT_PLOTS.replace("assert not", "assert")
    code += "assert sys.modules['matplotlib.pyplot'] is before"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
