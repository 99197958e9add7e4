"""Discrimination of people by an InsightFace pack, on a folder of portraits.

Portraits are named by person and number: ``anna-1.jpg``, ``anna-2.jpg``, ``ben_1.png``. Each is
embedded as by `faces` and `arcface`; a picture without a face, or with several, is left out. Prints the
cosine of every pair, the smallest of one person, the largest of two people, and the area under the ROC
curve (1.0: every pair of one person is more similar than every pair of two people).

    theval-data models fetch buffalo_l    # or put another pack below THEVAL_MODELS
    python examples/portrait_identity.py portraits
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from pathlib import Path

import cv2
import numpy as np

from theval_datasets.features.faces import Faces

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def person_of(name: str) -> str:
    """The person's name at the beginning of a picture's name (without suffix)."""
    return re.sub(r"[-_ ]?\d+$", "", name)


def embeddings(folder: Path, pack: str | None = None) -> dict[str, np.ndarray]:
    """One embedding of length 1 for each picture with one face, by name without suffix."""
    detector, recogniser = Faces(backend="insightface", pack=pack).setup()
    if recogniser is None:
        raise SystemExit("the pack recognises no faces")
    embedded = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        faces = () if picture is None else detector.find(picture)
        if len(faces) == 1:
            embedded[path.stem] = recogniser.embed(picture, faces.points[0])
        else:
            print(f"{path.name} left out: {len(faces)} faces")
    return embedded


def area_under_roc(same: np.ndarray, different: np.ndarray) -> float:
    """Share of (same, different) pairs in which `same` is more similar; ties count half."""
    gap = same[:, None] - different[None, :]
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def main() -> int:
    """Print the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pack", help="name of the pack; else buffalo_l, or any that is there")
    options = parser.parse_args()
    embedded = embeddings(options.folder, options.pack)
    pairs = list(itertools.combinations(embedded, 2))
    cosines = np.array([float(embedded[a] @ embedded[b]) for a, b in pairs])
    same = np.array([person_of(a) == person_of(b) for a, b in pairs], bool)
    for (a, b), cosine, is_same in sorted(
        zip(pairs, cosines, same, strict=True), key=lambda row: -row[1]
    ):
        print(f"{cosine:6.3f}  {'same     ' if is_same else 'different'}  {a}  {b}")
    if not same.any() or same.all():
        raise SystemExit("AUC needs two pictures of one person and one of somebody else")
    print(
        f"{same.sum()} pairs of one person >= {cosines[same].min():.3f}, "
        f"{(~same).sum()} of two people <= {cosines[~same].max():.3f}, "
        f"AUC {area_under_roc(cosines[same], cosines[~same]):.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
