"""Index of clips by the hashes of their frames, which finds similar pictures without comparing all pairs.

Some frame of a recording matches a frame of its copy at least as well as the two match on average. The
index finds pairs of frames whose hashes differ in few bits, by bit sampling (Indyk and Motwani, Approximate
Nearest Neighbors, 1998): hashes that differ in d of 64 bits are equal in 20 sampled bits with probability
C(64 - d, 20) / C(64, 20), so that some of many samples finds the pair. For each sample one side is sorted by
its bits and the other is looked up; only one such table exists at a time. An index that is kept for later
queries has few tables, in which each hash is looked up with up to two bits inverted as well (multi-probing;
Lv et al., VLDB 2007): a few queries then cost the same however many clips it holds. `matching` alone decides
whether two clips are the same recording.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .matching import MIRROR, Hashes, Prints, signs

_log = logging.getLogger(__name__)

EXHAUSTIVE: Final = 250_000
"""Largest number of pairs of clips of which all are compared."""
MISSED: Final = 0.001
"""Largest share of missed pairs among those whose most similar frames differ in `MARGIN` bits less than the
limit. Of clips with four frames or more and independent errors no more are missed at the limit itself."""
MARGIN: Final = 2
_SAMPLED: Final = 20
_KEY: Final = 21
_MOST_TABLES: Final = 500
_MOST: Final = 256
"""Largest number of frames that one frame is compared with in a table."""
_INVERTED: Final = 2
"""Largest number of sampled bits that are inverted to look up a hash in kept tables."""
KEPT_FOR: Final = 12
"""Number of differing bits of similar frames, of 64, for which kept tables suffice: a share of 0.2."""
_BLOCK: Final = 1 << 18
_CHECKED: Final = 1000
"""Number of frames of a table from a file whose places are checked."""
_HELD: Final = 1 << 23

Numbers = npt.NDArray[np.int64]
_AS_IS: Final = np.zeros(1, np.uint64)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The clips of an index with which each query has to be compared.

    Attributes:
        begins: int64 (queries + 1,): start of each query in `numbers`, and the end of the last one.
        numbers: int64 (pairs,): numbers of clips of the index, ascending within a query.
        pictures: float64 (pairs,): share of differing bits of the two most similar frames, 0 to 1.
        complete: Whether every clip of the index is a candidate, however dissimilar.
    """

    begins: Numbers
    numbers: Numbers
    pictures: npt.NDArray[np.float64]
    complete: bool

    def of(self, query: int) -> tuple[Numbers, npt.NDArray[np.float64]]:
        """Candidates of one query: `numbers` and `pictures`, (n,) each.

        Examples:
            >>> pictures = np.array([0.1, 0.2, 0.3])
            >>> candidates = Candidates(np.array([0, 1, 3]), np.array([4, 0, 2]), pictures, complete=False)
            >>> candidates.of(1)
            (array([0, 2]), array([0.2, 0.3]))
        """
        own = slice(self.begins[query], self.begins[query + 1])
        return self.numbers[own], self.pictures[own]


class FingerprintIndex:
    """Clips by their fingerprints.

    Args:
        prints: Fingerprints of the clips.
        exhaustive: See `EXHAUSTIVE`.
        kept: Frames and tables of the clips, where they were made before.

    Examples:
        >>> clips = [Prints(np.array([n], np.uint64), np.zeros(0, np.uint32)) for n in (0, 1, 2**64 - 1)]
        >>> upright, mirrored = FingerprintIndex(clips, exhaustive=0).search(clips[:1], 0.05, 0.05)
        >>> upright.of(0)
        (array([0, 1]), array([0.      , 0.015625]))
        >>> len(mirrored.numbers)
        0
    """

    def __init__(
        self,
        prints: Sequence[Prints],
        *,
        exhaustive: int = EXHAUSTIVE,
        kept: KeptTables | None = None,
    ) -> None:
        self.prints = prints
        self._frames = FrameHashes.of(prints) if kept is None else kept.frames
        self._kept = kept
        self._exhaustive = exhaustive

    def __len__(self) -> int:
        return len(self.prints)

    def search(
        self, queries: Sequence[Prints], limit: float, mirrored: float
    ) -> tuple[Candidates, Candidates]:
        """Find the clips with a frame similar to one of each query.

        Args:
            queries: Fingerprints of the queries.
            limit: Largest share of differing bits of similar frames, 0 to 1.
            mirrored: The same for the frames of the mirrored queries.

        Returns:
            Candidates of the unchanged and of the mirrored queries.
        """
        theirs = self._frames if queries is self.prints else FrameHashes.of(queries)
        limits = ((limit, np.uint64(0)), (mirrored, MIRROR))
        tables = _tables(int(64 * max(limit, mirrored)))
        if len(queries) * len(self) <= self._exhaustive or tables > _MOST_TABLES:
            upright, reverse = (self._compared(theirs, flip, None) for _, flip in limits)
            return upright, reverse
        pairs = (_PairSet(), _PairSet())
        crowded = 0
        kept = self._kept
        if kept is not None and kept.cheaper(len(theirs.hashes), tables, max(limit, mirrored)):
            for table in kept.tables():
                for side, (share, flip) in zip(pairs, limits, strict=True):
                    for own, other in table.alike(theirs, flip, int(64 * share), table.inverted):
                        side.add(other * len(self) + own)
                crowded = max(crowded, table.crowded(theirs))
            return self._results(theirs, pairs, limits, crowded)
        swapped = len(theirs.hashes) < len(self._frames.hashes)
        listed, looked_up = (theirs, self._frames) if swapped else (self._frames, theirs)
        for mask in _masks(tables):
            table = _Table.of(listed, mask)
            for side, (share, flip) in zip(pairs, limits, strict=True):
                for entries, probes in table.alike(looked_up, flip, int(64 * share)):
                    own, other = (entries, probes) if swapped else (probes, entries)
                    side.add(own * len(self) + other)
            crowded = max(crowded, table.crowded(looked_up))
        return self._results(theirs, pairs, limits, crowded)

    def _results(
        self,
        theirs: FrameHashes,
        pairs: tuple[_PairSet, _PairSet],
        limits: tuple[tuple[float, np.uint64], ...],
        crowded: int,
    ) -> tuple[Candidates, Candidates]:
        """Candidates of pairs of clips with similar frames, and a warning of crowded frames."""
        if crowded:
            _log.warning(
                "%d frames look like many others: they were compared with the first %d of them",
                crowded,
                _MOST,
            )
        upright, reverse = (
            self._compared(theirs, flip, side.numbers())
            for side, (_, flip) in zip(pairs, limits, strict=True)
        )
        return upright, reverse

    def _compared(self, theirs: FrameHashes, flip: np.uint64, pairs: Numbers | None) -> Candidates:
        """Compare all frames of pairs of clips; of all pairs for None."""
        n_queries, n_clips = len(theirs.begins) - 1, len(self)
        there = np.flatnonzero(np.diff(self._frames.begins))  # clips without frames resemble none
        if pairs is None:
            begins = np.arange(n_queries + 1, dtype=np.int64) * len(there)
            numbers = np.tile(there, n_queries)
        else:
            begins = np.searchsorted(pairs, np.arange(n_queries + 1, dtype=np.int64) * n_clips)
            numbers = pairs % max(1, n_clips)
        pictures = np.ones(len(numbers))
        rows = signs(self._frames.hashes).astype(np.float32) if pairs is None else None
        for query in range(n_queries):
            own = slice(begins[query], begins[query + 1])
            frames = theirs.hashes[theirs.begins[query] : theirs.begins[query + 1]] ^ flip
            if not len(frames) or own.start == own.stop:
                continue
            if rows is None:
                parts = [self._frames.of_clip(number) for number in numbers[own]]
                lengths = [len(part) for part in parts]
                ours = signs(np.concatenate(parts)).astype(np.float32)
            else:
                lengths, ours = np.diff(self._frames.begins)[there].tolist(), rows
            best = (ours @ signs(frames).astype(np.float32).T).max(axis=1)
            starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            pictures[own] = 0.5 - np.maximum.reduceat(best, starts) / 128
        return Candidates(begins, numbers, pictures, complete=pairs is None)


class _PairSet:
    """Set of pairs of clips, each encoded as one number."""

    def __init__(self) -> None:
        self._parts: list[Numbers] = []
        self._n = 0

    def add(self, pairs: Numbers) -> None:
        self._parts.append(np.unique(pairs))
        self._n += len(self._parts[-1])
        if self._n > _HELD:
            self._parts = [self.numbers()]
            self._n = len(self._parts[0]) // 2  # so that a large set is not sorted again each time

    def numbers(self) -> Numbers:
        """The pairs in ascending order, (pairs,)."""
        numbers: Numbers = np.unique(np.concatenate([np.zeros(0, np.int64), *self._parts]))
        return numbers


@dataclass(frozen=True, slots=True)
class FrameHashes:
    """The distinct hashes of each clip, clip by clip.

    Attributes:
        hashes: uint64 (n,).
        owners: int64 (n,): number of the clip of each hash.
        begins: int64 (clips + 1,): start of each clip in `hashes`, and the end of the last one.
    """

    hashes: Hashes
    owners: Numbers
    begins: Numbers

    @classmethod
    def of(cls, prints: Sequence[Prints]) -> FrameHashes:
        """Those of clips, in their order."""
        each = [np.unique(clip.frames) for clip in prints]
        lengths = np.array([len(hashes_of_clip) for hashes_of_clip in each], np.int64)
        hashes = np.concatenate([np.zeros(0, np.uint64), *each])
        owners = np.repeat(np.arange(len(each), dtype=np.int64), lengths)
        return cls(hashes, owners, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def of_clip(self, clip: int) -> Hashes:
        """The hashes of one clip, (n,)."""
        return self.hashes[self.begins[clip] : self.begins[clip + 1]]


@dataclass(frozen=True, slots=True)
class _Table:
    """Frames sorted by a sample of their bits.

    Attributes:
        mask: The sampled bits.
        shift: Number of low bits of a key that are left out, so that a table of few frames is no larger
            than need be.
        begins: (keys + 1,): start of the frames of each key, and the end of the last ones.
        order: (frames,): number of each frame in `hashes` and `owners`; None if these are sorted.
        hashes: uint64 (frames,).
        owners: int64 (frames,): number of the clip of each frame.
    """

    mask: np.uint64
    shift: np.uint64
    begins: npt.NDArray[Any]
    order: npt.NDArray[Any] | None
    hashes: Hashes
    owners: Numbers

    @classmethod
    def of(cls, frames: FrameHashes, mask: np.uint64) -> _Table:
        """The table of frames for a mask, with copies in its order."""
        shift = _shift(len(frames.hashes))
        order, begins = _sorted(frames.hashes, mask, shift)
        return cls(mask, shift, begins, None, frames.hashes[order], frames.owners[order])

    @property
    def inverted(self) -> Hashes:
        """Keys that differ from 0 in up to `_INVERTED` sampled bits, (m,)."""
        key = int(_keys(np.array([~np.uint64(0)]), self.mask, self.shift)[0])
        bits = [1 << place for place in range(_KEY) if key >> place & 1]
        chosen = (
            sum(some)
            for number in range(_INVERTED + 1)
            for some in itertools.combinations(bits, number)
        )
        return np.fromiter(chosen, np.uint64)

    def alike(
        self, probes: FrameHashes, flip: np.uint64, radius: int, inverted: Hashes = _AS_IS
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Find the frames that are equal to a probe in the sampled bits, and similar to it in all bits.

        Args:
            probes: Frames to look up.
            flip: Bits of the probes to invert before.
            radius: Largest number of differing bits.
            inverted: Keys by which the sampled bits may differ, (m,).

        Yields:
            Clips of frames of the table, and clips of the probes they are similar to; (pairs,) each.
        """
        hashes = probes.hashes ^ flip
        at_once = max(1, 4 * _BLOCK // len(inverted))
        for first in range(0, len(hashes), at_once):
            own = self._keys(hashes[first : first + at_once])
            keys = (own[:, None] ^ inverted).ravel().astype(np.int64)
            begins = self.begins[keys].astype(np.int64)
            counts = np.minimum(self.begins[keys + 1].astype(np.int64) - begins, _MOST)
            met = np.flatnonzero(counts)
            begins, counts = begins[met], counts[met]
            met = first + met // len(inverted)
            ends = np.cumsum(counts)
            done = 0
            while done < len(met):
                before = ends[done - 1] if done else 0
                stop = max(done + 1, int(np.searchsorted(ends, before + _BLOCK)))
                part = slice(done, stop)
                probe = np.repeat(met[part], counts[part])
                shift = begins[part] - (ends[part] - counts[part] - before)
                entry = np.arange(len(probe)) + np.repeat(shift, counts[part])
                if self.order is not None:
                    entry = self.order[entry].astype(np.int64)
                alike = _bit_count(hashes[probe] ^ self.hashes[entry]) <= radius
                yield self.owners[entry[alike]], probes.owners[probe[alike]]
                done = stop

    def misplaced(self, most: int) -> bool:
        """Whether one of some frames, at equal distances, does not lie where its key says."""
        if self.order is None or not len(self.order):
            return False
        places = np.unique(np.linspace(0, len(self.order) - 1, most).astype(np.int64))
        keys = self._keys(self.hashes[self.order[places].astype(np.int64)]).astype(np.int64)
        return bool(((places < self.begins[keys]) | (places >= self.begins[keys + 1])).any())

    def _keys(self, hashes: Hashes) -> Hashes:
        return _keys(hashes, self.mask, self.shift)

    def crowded(self, probes: FrameHashes) -> int:
        """Number of probes with more frames to compare than are compared."""
        keys = self._keys(probes.hashes).astype(np.int64)
        return int(np.count_nonzero(self.begins[keys + 1] - self.begins[keys] > _MOST))


@dataclass(frozen=True, slots=True)
class KeptTables:
    """Tables of frames that are kept for later queries, so that these need not look at all frames.

    Attributes:
        frames: The frames.
        masks: uint64 (tables,): the sampled bits of each table.
        begins: uint32 (tables, keys + 1): see `_Table`.
        orders: uint32 (tables, frames): see `_Table`.
    """

    frames: FrameHashes
    masks: Hashes
    begins: npt.NDArray[np.uint32]
    orders: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, frames: FrameHashes) -> KeptTables:
        """The tables of frames, as many as find similar ones."""
        n = len(frames.hashes)
        shift = _shift(n)
        count = _kept_tables(shift)
        begins = np.zeros((count, n_keys(n) + 1), np.uint32)
        orders = np.zeros((count, n), np.uint32)
        masks = np.array(list(_masks(count)), np.uint64)
        for number, mask in enumerate(masks):
            orders[number], begins[number] = _sorted(frames.hashes, mask, shift)
        return cls(frames, masks, begins, orders)

    def faulty(self) -> bool:
        """Whether these are not the tables of the frames; tables from a file are not trusted."""
        n = len(self.frames.hashes)
        count = _kept_tables(_shift(n))
        if self.begins.shape != (count, n_keys(n) + 1) or self.orders.shape != (count, n):
            return True
        ones = np.array([~np.uint64(0)])
        sampled = {
            (int(m).bit_count(), int(_keys(ones, m, np.uint64(0))[0]).bit_count())
            for m in self.masks
        }
        if self.masks.shape != (count,) or sampled != {(_SAMPLED, _SAMPLED)}:
            return True
        if n and bool(self.orders.max() >= n):
            return True
        if any(table.misplaced(_CHECKED) for table in self.tables()):
            return True
        return any(
            bool(begins[0] != 0 or begins[-1] != n or (begins[1:] < begins[:-1]).any())
            for begins in self.begins
        )

    def tables(self) -> Iterator[_Table]:
        """The tables, one after another."""
        shift = _shift(len(self.frames.hashes))
        for mask, begins, order in zip(self.masks, self.begins, self.orders, strict=True):
            yield _Table(mask, shift, begins, order, self.frames.hashes, self.frames.owners)

    def cheaper(self, n_probes: int, tables: int, limit: float) -> bool:
        """Whether looking up some frames here is less work than sorting all of them, and finds as many.

        Args:
            n_probes: Number of frames to look up.
            tables: Number of tables otherwise.
            limit: Largest share of differing bits of similar frames.
        """
        sampled = _SAMPLED - int(_shift(len(self.frames.hashes)))
        keys = sum(math.comb(sampled, bits) for bits in range(_INVERTED + 1))
        work = n_probes * keys * len(self.begins)
        return int(64 * limit) <= KEPT_FOR and work < tables * len(self.frames.hashes)


def n_keys(n_frames: int) -> int:
    """Number of keys of a table of frames.

    Examples:
        >>> n_keys(1), n_keys(1000), n_keys(10**7)
        (16, 8192, 2097152)
    """
    return 1 << (_KEY - int(_shift(n_frames)))


def _shift(n_frames: int) -> np.uint64:
    return np.uint64(max(0, _KEY - 3 - n_frames.bit_length()))


def _keys(hashes: Hashes, mask: np.uint64, shift: np.uint64) -> Hashes:
    """The sampled bits as numbers, (n,)."""
    chosen = hashes & mask
    keys = chosen ^ (chosen >> np.uint64(_KEY))
    keys ^= chosen >> np.uint64(2 * _KEY)
    keys ^= chosen >> np.uint64(3 * _KEY)
    keys &= np.uint64((1 << _KEY) - 1)
    keys >>= shift
    return keys


def _sorted(hashes: Hashes, mask: np.uint64, shift: np.uint64) -> tuple[Numbers, Numbers]:
    """The order of hashes by their keys, (n,), and the start of each key in it, (keys + 1,)."""
    packed = _keys(hashes, mask, shift)
    packed <<= np.uint64(32)
    packed |= np.arange(len(packed), dtype=np.uint64)
    packed.sort()
    order = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    keys = (packed >> np.uint64(32)).astype(np.int64)
    counts = np.bincount(keys, minlength=1 << (_KEY - int(shift)))
    return order, np.concatenate([[0], np.cumsum(counts)])


def _kept_tables(shift: np.uint64) -> int:
    """Number of kept tables for `MISSED` at `MARGIN` bits less than `KEPT_FOR`."""
    apart, sampled = KEPT_FOR - MARGIN, _SAMPLED - max(0, int(shift) - 1)
    agree = sum(
        math.comb(apart, bits) * math.comb(64 - apart, sampled - bits)
        for bits in range(min(_INVERTED, sampled) + 1)
    ) / math.comb(64, sampled)
    return 1 if agree >= 1 else math.ceil(math.log(MISSED) / math.log1p(-agree))


def _tables(radius: int) -> int:
    """Number of samples for `MISSED` at `MARGIN` bits less than a radius."""
    apart = max(0, radius - MARGIN)
    if apart > 64 - _SAMPLED:
        return _MOST_TABLES + 1
    agree = math.comb(64 - apart, _SAMPLED) / math.comb(64, _SAMPLED)
    return 1 if agree == 1 else math.ceil(math.log(MISSED) / math.log1p(-agree))


def _masks(count: int) -> Iterator[np.uint64]:
    """Fixed samples of 20 bits, at most one of all bits that are equal modulo 21."""
    rng = np.random.default_rng(64)
    for _ in range(count):
        bits = rng.permutation(_KEY)[:_SAMPLED]
        rows = [int(rng.integers(4 if bit == 0 else 3)) for bit in bits]
        yield np.uint64(sum(1 << int(b + _KEY * row) for b, row in zip(bits, rows, strict=True)))


def _bit_count(words: Hashes) -> Hashes:
    """Number of set bits of each word; overwrites the words."""
    words -= (words >> np.uint64(1)) & np.uint64(0x5555555555555555)
    pairs = words & np.uint64(0x3333333333333333)
    words >>= np.uint64(2)
    words &= np.uint64(0x3333333333333333)
    words += pairs
    words += words >> np.uint64(4)
    words &= np.uint64(0x0F0F0F0F0F0F0F0F)
    words *= np.uint64(0x0101010101010101)
    words >>= np.uint64(56)
    return words
