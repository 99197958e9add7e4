"""Faces without models: coloured discs that a detector reads off, and identities to order."""

from __future__ import annotations

import numpy as np

from theval_datasets.features.people.detector import Detections
from theval_datasets.media.frames import Frames

SIZE = (320, 180)
_OFFSETS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)


class Scene:
    """Frames of a made-up clip at 5 a second.

    `faces[i]` maps the identity of each face in frame i to its box (left, top, side); `shots[i]` is
    the grey level of its background. `texture` makes the faces in `moving` change from frame to
    frame.
    """

    def __init__(self, faces, shots=None, moving=()):
        self.faces = faces
        self.shots = shots or [60] * len(faces)
        self.moving = set(moving)

    def frames(self) -> Frames:
        pixels = [self._frame(i) for i in range(len(self.faces))]
        times = np.arange(len(pixels)) / 5
        return Frames(pixels, times, np.arange(len(pixels)) * 5)

    def _frame(self, i):
        image = np.full((SIZE[1], SIZE[0], 3), self.shots[i], np.uint8)
        for who, (left, top, side) in self.faces[i].items():
            level = 90 + (i * 37 % 100 if who in self.moving else 0)
            image[max(0, top) : top + side, max(0, left) : left + side] = level
        image[0, 0] = i
        return image


class Eyes:
    """The detector: knows the scene by the number that each frame carries."""

    def __init__(self, scene, score=0.8):
        self.scene = scene
        self.score = score

    def find(self, frame):
        faces = self.scene.faces[int(frame[0, 0, 0])]
        boxes = np.array([(x, y, x + s, y + s) for x, y, s in faces.values()], np.float32)
        boxes = boxes.reshape(-1, 4)
        sides = boxes[:, 2:] - boxes[:, :2]
        points = boxes[:, None, :2] + _OFFSETS[None] * sides[:, None]
        return Detections(boxes, points, np.full(len(boxes), self.score, np.float32))


class Memory:
    """The recogniser: one axis an identity, with a little of another so that means are means."""

    def __init__(self, scene, dim=8, alias=None):
        self.scene = scene
        self.dim = dim
        self.alias = alias or {}

    def embed(self, frame, points):
        left = float(points[:, 0].mean())
        faces = self.scene.faces[int(frame[0, 0, 0])]
        who = min(faces, key=lambda w: abs(faces[w][0] + faces[w][2] / 2 - left))
        vector = np.zeros(self.dim, np.float32)
        vector[self.alias.get(who, who)] = 0.98
        vector[self.dim - 1] = np.sqrt(1 - 0.98**2)
        return vector


class Clip:
    """What an accumulator may ask of a clip without media."""

    size = SIZE
    duration = 0.0

    def __init__(self, features=None):
        self.features = features or {}

    def feature(self, extractor):
        return self.features[extractor.name]


def watch(extractor, scene, *, recogniser=True, alias=None, score=0.8):
    """Values of `faces` for a scene, with fake models."""
    memory = Memory(scene, alias=alias) if recogniser else None
    accumulator = extractor.open(Clip(), (Eyes(scene, score), memory))
    accumulator.update(scene.frames())
    return accumulator.finish()[0]
