"""Index of faces by their embeddings: the most similar face, and the identities of a set.

Matrix products in single precision, block by block, find the candidates; those close to the best one are
compared in double precision, so that the result is that of an exhaustive comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.features.people.pack import similarity

Embeddings = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_QUERIES: Final = 512
_FACES: Final = 8192
_NEAR: Final = 1e-5  # more than single precision can be wrong by


class FaceIndex:
    """Faces by their embeddings.

    Args:
        faces: Embeddings of length 1, (n, dim).

    Examples:
        >>> index = FaceIndex(np.eye(3, dtype=np.float32))
        >>> index.nearest(np.array([[0.6, 0.8, 0]], np.float32))
        (array([1]), array([0.80000001]))
    """

    def __init__(self, faces: Embeddings) -> None:
        self._faces = np.array(faces, np.float32)
        self._n = len(faces)

    def __len__(self) -> int:
        return self._n

    def add(self, face: Embeddings) -> int:
        """Add a face, (dim,), and return its number.

        Examples:
            >>> index = FaceIndex(np.eye(2, dtype=np.float32))
            >>> index.add(np.array([0.6, 0.8], np.float32))
            2
        """
        if self._n == len(self._faces):
            grown = np.zeros((max(256, 2 * self._n), len(face)), np.float32)
            grown[: self._n] = self._faces[: self._n]
            self._faces = grown
        self._faces[self._n] = face
        self._n += 1
        return self._n - 1

    def nearest(self, faces: Embeddings, begin: int = 0) -> tuple[Numbers, npt.NDArray[np.float64]]:
        """Find the most similar face of the index for each query.

        Args:
            faces: Embeddings of length 1, (m, dim).
            begin: Number of the first face of the index to consider.

        Returns:
            Number of the face (the smallest of equally similar ones), and cosine similarity, -1 to 1;
            (m,) each. Both are -1 if there is no face to compare with.

        Examples:
            >>> FaceIndex(np.eye(2, dtype=np.float32)).nearest(np.array([[0, 1]], np.float32))
            (array([1]), array([1.]))
        """
        numbers = np.full(len(faces), -1, np.int64)
        cosines = np.full(len(faces), -1.0)
        for start in range(0, len(faces), _QUERIES):
            own = faces[start : start + _QUERIES].astype(np.float32)
            best = np.full(len(own), -np.inf, np.float32)
            close: list[tuple[Numbers, Numbers]] = []
            for first, alike in self._alike(own, begin):
                best = np.maximum(best, alike.max(axis=1))
                query, place = np.nonzero(alike >= (best - _NEAR)[:, None])
                close.append((query, place + first))
            for query, number in close:
                for q, n in zip(query.tolist(), number.tolist(), strict=True):
                    exact = float(similarity(own[q], self._faces[n]))
                    if numbers[start + q] < 0 or exact > cosines[start + q]:
                        numbers[start + q], cosines[start + q] = n, exact
        return numbers, cosines

    def identities(self, min_cosine: float) -> Numbers:
        """Group the faces by person: faces connected by a chain of similar ones are one person.

        The groups do not depend on the order of the faces.

        Args:
            min_cosine: Minimum cosine similarity of two faces of one person.

        Returns:
            Number of each face's person, by first appearance; int64 (n,).

        Examples:
            >>> faces = np.array([[1, 0], [0, 1], [0.96, 0.28]], np.float32)
            >>> FaceIndex(faces).identities(min_cosine=0.9)
            array([0, 1, 0])
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        people = np.arange(self._n)
        for start in range(0, self._n, _QUERIES):
            own = self._faces[start : min(start + _QUERIES, self._n)]
            edges = [np.zeros((2, 0), np.int64)]
            for first, alike in self._alike(own, start):
                a, b = np.nonzero(alike >= min_cosine)
                joined = np.stack([people[a + start], people[b + first]])
                edges.append(np.unique(joined[:, joined[0] != joined[1]], axis=1))
            a, b = np.concatenate(edges, axis=1)
            graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(self._n, self._n))
            people = connected_components(graph, directed=False)[1].astype(np.int64)[people]
        _, first_seen, person = np.unique(people, return_index=True, return_inverse=True)
        rank: Numbers = np.argsort(np.argsort(first_seen))[person]
        return rank

    def _alike(self, faces: Embeddings, begin: int) -> Iterator[tuple[int, Embeddings]]:
        """Yield the number of the first face of each block, and cosines with the block, (faces, m)."""
        for first in range(begin, self._n, _FACES):
            yield first, faces @ self._faces[first : min(first + _FACES, self._n)].T


def people_of(clips: Sequence[Embeddings], min_cosine: float) -> list[list[int]]:
    """The people of each clip, each recognised by the embedding of their first appearance.

    Args:
        clips: Embeddings of length 1 of the people of each clip, (people, dim).
        min_cosine: Minimum cosine similarity of two faces of one person.

    Returns:
        Numbers of the people of each clip, by first appearance.

    Examples:
        >>> a, b = np.eye(2, dtype=np.float32)
        >>> people_of([np.stack([a]), np.stack([b, a])], 0.4)
        [[0], [1, 0]]
    """
    if not clips:
        return []
    faces = np.concatenate(clips)
    index = FaceIndex(faces[:0])
    people: list[int] = []
    for start in range(0, len(faces), _QUERIES):
        own = faces[start : start + _QUERIES]
        known = len(index)
        numbers, cosines = index.nearest(own)
        for face, number, cosine in zip(own, numbers.tolist(), cosines.tolist(), strict=True):
            person, alike = number, cosine
            if len(index) > known:
                (later,), (closer,) = index.nearest(face[None], begin=known)
                if closer > alike:
                    person, alike = int(later), float(closer)
            people.append(person if person >= 0 and alike >= min_cosine else index.add(face))
    ends = np.cumsum([len(faces_of_clip) for faces_of_clip in clips]).tolist()
    return [
        people[end - len(faces_of_clip) : end]
        for faces_of_clip, end in zip(clips, ends, strict=True)
    ]
