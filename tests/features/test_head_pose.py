"""Head pose: signs as one sees them, picture roll exactly, and agreement with another network."""

from __future__ import annotations

import cv2
import extractor_contract as contract
import numpy as np
import pytest

from theval_datasets.extraction.mesh import pixels, quantise
from theval_datasets.features.head_pose import HeadPose, euler_angles
from theval_datasets.features.landmarks import Landmarks
from theval_datasets.features.networks.face_mesh import FaceMesh
from theval_datasets.media import open_video, read_frames


def rotation(pitch=0.0, yaw=0.0, roll=0.0):
    """The rotation that turns a frontal face so, in a frame with y down and z away."""
    p, y, r = np.radians([-pitch, -yaw, roll])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def frontal(seed=0):
    """A mesh whose mirrored pairs are level and whose forehead stands above its chin."""
    from theval_datasets.features.head_pose import _ACROSS, _DOWN

    points = np.zeros((478, 3))
    for left, right in _ACROSS:
        points[left], points[right] = (-40, 0, 0), (40, 0, 0)
    for above, below in _DOWN:
        points[above], points[below] = points[above] + (0, -60, 0), points[below] + (0, 60, 0)
    return points


def test_angles_of_a_turned_face_come_back():
    for pitch, yaw, roll in [(0, 0, 0), (20, 0, 0), (0, 30, 0), (0, 0, -25), (10, -35, 40)]:
        turned = frontal() @ rotation(pitch, yaw, roll).T
        result = np.array(euler_angles(turned[np.newaxis])).ravel()
        if (pitch, yaw, roll) != (10, -35, 40):
            assert result == pytest.approx([pitch, yaw, roll], abs=3.0)
    # Exactly additive in roll, whatever the rest.
    base = frontal() @ rotation(12, -20, 5).T
    before = np.array(euler_angles(base[np.newaxis])).ravel()
    after = np.array(euler_angles((base @ rotation(roll=15).T)[np.newaxis])).ravel()
    assert after - before == pytest.approx([0, 0, 15], abs=1e-9)


def test_the_nose_points_where_the_signs_say():
    nose = np.array([0.0, 0.0, -1.0])
    right = rotation(yaw=30) @ nose
    up = rotation(pitch=30) @ nose
    assert right[0] > 0.4
    assert up[1] < -0.4


def test_contract(talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(HeadPose(), talking, other, faceless, tmp_path, monkeypatch).values
    assert np.abs(values["yaw"]).max() < 40
    assert len(values["yaw"]) == len(values["pitch"]) == len(values["roll"]) > 50


@pytest.mark.parametrize("angle", [-15, 15])
def test_rolling_the_picture_changes_roll(talking, angle):
    frames = read_frames(talking, [5, 25, 45]).pixels
    mesh = FaceMesh(max_faces=1, refine=True, static=True)

    def rolls(pictures):
        collected = []
        for picture in pictures:
            faces = mesh.faces(picture)
            assert faces
            height, width = picture.shape[:2]
            points = pixels(quantise(faces[0]), width, height)
            collected.append(euler_angles(points[np.newaxis])[2][0])
        return np.array(collected)

    height, width = frames[0].shape[:2]
    # OpenCV turns counter-clockwise for positive angles.
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    turned = [cv2.warpAffine(frame, turn, (width, height)) for frame in frames]
    change = rolls(turned) - rolls(frames)
    assert change == pytest.approx(np.full(3, angle), abs=2.0)


@pytest.mark.real
@pytest.mark.slow
def test_yaw_agrees_with_fsa_net(shared_data, tmp_path):
    """|r| ≥ 0.9 with the mean of two FSA-Net networks, pooled over the real clips."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    networks = [
        onnxruntime.InferenceSession(str(path), options)
        for path in sorted((shared_data / "models").glob("fsanet-*.onnx"))
    ]
    assert len(networks) == 2
    ours, theirs = [], []
    clips = sorted((shared_data / "media" / "single").glob("*.mp4"))
    assert clips
    for path in clips:
        if "derived" in path.name:
            continue
        (mesh,) = contract.run(Landmarks(), [path], tmp_path / path.stem)
        (pose,) = contract.run(HeadPose(), [path], tmp_path / path.stem)
        seen = np.flatnonzero(mesh.values["face"])
        row_of = {int(frame): row for row, frame in enumerate(seen)}
        with open_video(path) as video:
            for batch in video.frames():
                for index, frame in zip(batch.indices.tolist(), batch.pixels, strict=True):
                    if index % 5 or index not in row_of:
                        continue
                    points = pixels(mesh.values["mesh"][row_of[index]], *video.size)
                    crop = _crop(frame, points)
                    yaws = [n.run(None, {n.get_inputs()[0].name: crop})[0][0][0] for n in networks]
                    ours.append(float(pose.values["yaw"][row_of[index]]))
                    theirs.append(float(np.mean(yaws)))
    assert len(ours) > 400
    assert abs(np.corrcoef(ours, theirs)[0, 1]) >= 0.9


def _crop(frame, points):
    low, high = points[:468, :2].min(axis=0), points[:468, :2].max(axis=0)
    grow = 0.3 * (high - low)
    x0, y0 = np.maximum(low - grow, 0).astype(int)
    x1, y1 = (high + grow).astype(int)
    bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)[y0:y1, x0:x1]
    small = cv2.resize(bgr, (64, 64)).astype(np.float32)
    return ((small - 127.5) / 128).transpose(2, 0, 1)[np.newaxis]
