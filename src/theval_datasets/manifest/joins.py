"""Names of clips in tables, matched to the clips of a dataset: one rule for every input.

People name a clip by its file (``clips/a.mp4``, ``D:\\study\\a.MP4``), by its id (``batch1/a``), or
by its bare name. All of these are compared by the same key: both slashes separate folders, the
suffix of a media file is dropped, Unicode is composed (NFC), and each part becomes the safe name
that `curate` gives to clips. Names with equal keys match; otherwise the longest common end of the
path decides, down to the file's name alone, if that is unambiguous.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from theval_datasets.errors import InputError
from theval_datasets.utils.files import safe_name
from theval_datasets.utils.text import some_names

T = TypeVar("T")

NOT_GIVEN: Final = "not-given"
NOT_MATCHED: Final = "not-matched"
"""Reasons in `missing`: the input was not given, or does not name the clip."""
MEDIA_SUFFIXES: Final = frozenset(
    {
        *(
            "avi",
            "flv",
            "m4v",
            "mkv",
            "mov",
            "mp4",
            "mpeg",
            "mpg",
            "mts",
            "ogv",
            "ts",
            "webm",
            "wmv",
        ),
        *("gif", "jpeg", "jpg", "png", "webp"),
        *("flac", "m4a", "mp3", "ogg", "wav"),
    }
)
_EXACT, _SAME_KEY, SAME_NAME = range(3)
"""Ranks of a match: the same id, the same key, or the same name in other folders."""


def plain_name(name: str) -> str:
    """A clip's name as it can be an id: composed, with ``/`` between folders, without media suffix.

    Examples:
        >>> plain_name("D:\\\\clips\\\\a.MP4")
        'D:/clips/a'
    """
    text = unicodedata.normalize("NFC", name.strip()).replace("\\", "/")
    stem, dot, suffix = text.rpartition(".")
    return stem if dot and stem and suffix.lower() in MEDIA_SUFFIXES else text


@dataclass(frozen=True)
class Join:
    """Names in an input, matched to clips.

    Attributes:
        label: Name of the input in messages: ``ratings``, ``votes``, …
        matched: Id of the clip by name in the input.
        unmatched: Names in the input without a clip; sorted.
        without: Ids of clips that the input does not name; sorted.
        by_name: Matched names whose folders differ from those of the clip; sorted.
        noun: Kind of matched item: clip or portrait.
        gone: Id by name, for names of clips that were taken down; they are in none of the others.
    """

    label: str
    matched: Mapping[str, str]
    unmatched: tuple[str, ...]
    without: tuple[str, ...]
    by_name: tuple[str, ...] = ()
    noun: str = "clip"
    gone: Mapping[str, str] = field(default_factory=dict)

    def to_text(self, *, names_alone: bool = False) -> str:
        """One sentence for reports and cards: matched and unmatched names on both sides.

        Args:
            names_alone: Leave out the side of the clips.
        """
        n_names, n_clips = len(self.matched) + len(self.unmatched), self._n_clips
        text = f"{self.label}: {len(self.matched)} of {n_names} names match a {self.noun}"
        if not names_alone:
            text += f", {n_clips - len(self.without)} of {n_clips} {self.noun}s are matched"
        parts = (
            ("not matched", self.unmatched),
            (f"{self.noun}s without", () if names_alone else self.without),
            ("matched by file name alone, in other folders", self.by_name),
        )
        for what, names in parts:
            if names:
                text += f"; {what}: {some_names(map(repr, names))}"
        if self.gone:
            text += f"; {len(self.gone)} names of {self.noun}s that were taken down"
        return f"{text}."

    @property
    def _n_clips(self) -> int:
        return len(set(self.matched.values())) + len(self.without)


def join_clips(
    label: str,
    names: Iterable[str],
    clip_ids: Iterable[str],
    noun: str = "clip",
    *,
    gone: Collection[str] = (),
) -> Join:
    """Match the clips that an input names to the clips of a dataset.

    A name of a clip that was taken down is that clip's: it never matches another one by its file name.

    Args:
        label: Name of the input in messages.
        names: Names in the input.
        clip_ids: Ids of the dataset.
        noun: Kind of matched item.
        gone: Ids of clips that were taken down.

    Raises:
        InputError: If no name matches, two names match one clip, or a name matches several clips.

    Examples:
        >>> join_clips("ratings", ["clips/a.mp4", "x"], ["a", "b"]).matched
        {'clips/a.mp4': 'a'}
    """
    present = frozenset(clip_ids) - frozenset(gone)
    index = ClipIndex({*present, *gone})
    ordered = sorted(set(names))
    claims: dict[str, list[tuple[int, str]]] = {}
    unmatched = []
    for name in ordered:
        match = index.lookup(name, label)
        if match is None:
            unmatched.append(name)
        else:
            claims.setdefault(match[0], []).append((match[1], name))
    matched: dict[str, str] = {}
    by_name = []
    taken_down: dict[str, str] = {}
    for clip_id, claimed in claims.items():
        if clip_id not in present:
            taken_down |= {name: clip_id for quality, name in claimed if quality != SAME_NAME}
            unmatched += [name for quality, name in claimed if quality == SAME_NAME]
            continue
        best = min(quality for quality, _ in claimed)
        winners = [name for quality, name in claimed if quality == best]
        if len(winners) > 1 and best == SAME_NAME:
            unmatched += [name for _, name in claimed]  # equal file names of several folders
            continue
        if len(winners) > 1:
            raise InputError(
                f"{label}: {winners[0]!r} and {winners[1]!r} both match the {noun} {clip_id!r}; keep "
                "one name for each"
            )
        others = [name for quality, name in claimed if quality != best]
        if any(quality == _SAME_KEY for quality, name in claimed if name in others):
            raise InputError(
                f"{label}: {winners[0]!r} and {others[0]!r} both match the {noun} {clip_id!r}; keep "
                "one name for each"
            )
        unmatched += others
        matched[winners[0]] = clip_id
        if best == SAME_NAME:
            by_name.append(winners[0])
    without = tuple(sorted(present - set(matched.values())))
    join = Join(label, dict(sorted(matched.items())), tuple(sorted(unmatched)), without,
                tuple(sorted(by_name)), noun, dict(sorted(taken_down.items())))  # fmt: skip
    if unmatched and without and not matched:
        raise InputError(
            f"{label}: none of the {len(unmatched)} names matches any of the {len(without)} {noun}s; "
            f"got names such as {some_names(map(repr, join.unmatched))}, expected {noun}s such as "
            f"{some_names(map(repr, without))}. Names are compared without folder and media suffix"
        )
    return join


def taken_down(names: Iterable[str], gone: Iterable[str]) -> dict[str, str]:
    """Names of clips that were taken down, and their ids, where no manifest tells the clips.

    An id that may be any of several names is none of them.

    Args:
        names: Names in an input.
        gone: Ids of clips that were taken down.

    Examples:
        >>> taken_down(["clips/a.mp4", "b", "x/c", "y/c"], ["a", "c"])
        {'clips/a.mp4': 'a'}
    """
    index, ids = ClipIndex(names), dict[str, str]()
    for clip_id in sorted(gone):
        try:
            match = index.lookup(clip_id, "tombstones")
        except InputError:
            continue
        if match is not None and match[1] != SAME_NAME:
            ids[match[0]] = clip_id
    return ids


def join_values(
    label: str, given: Mapping[str, T], clip_ids: Iterable[str], noun: str = "clip"
) -> tuple[Join, dict[str, T]]:
    """Values of an input by clip id; unmatched values keep their names.

    Args:
        label: Name of the input in messages.
        given: Values by name in the input.
        clip_ids: Ids of the dataset.
        noun: Kind of matched item.

    Raises:
        InputError: See `join_clips`.

    Examples:
        >>> join, values = join_values("ratings", {"A.mp4": 3.5}, ["A"])
        >>> values
        {'A': 3.5}
    """
    join = join_clips(label, given, clip_ids, noun)
    return join, {join.matched.get(name, name): value for name, value in given.items()}


def reason_of(join: Join | None, not_given: str = NOT_GIVEN) -> str:
    """Reason why a clip has no value of an input: `not-matched`, or that the input is absent.

    Examples:
        >>> reason_of(None)
        'not-given'
    """
    return not_given if join is None else NOT_MATCHED


class ClipIndex:
    """Looks up clip ids by name.

    Args:
        clip_ids: The ids.
    """

    def __init__(self, clip_ids: Iterable[str]) -> None:
        self.clip_ids = frozenset(clip_ids)
        self._by_key: dict[tuple[str, ...], list[str]] = {}
        self._by_name: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for clip_id in sorted(self.clip_ids):
            key = _key(clip_id)
            self._by_key.setdefault(key, []).append(clip_id)
            self._by_name.setdefault(key[-1], []).append((key, clip_id))

    def match(self, name: str, label: str = "names of clips") -> str | None:
        """The id that matches a name; None if there is none.

        Raises:
            InputError: If several ids match.

        Examples:
            >>> index = ClipIndex(["set/a", "set/b"])
            >>> index.match("a.mp4"), index.match("c.mp4")
            ('set/a', None)
        """
        match = self.lookup(name, label)
        return None if match is None else match[0]

    def as_near(self, name: str, clip_id: str) -> bool:
        """Whether a name is at least as near to one of the ids as to another id that it matches.

        Examples:
            >>> index = ClipIndex(["a/x"])
            >>> index.as_near("a/x.mp4", "b/x"), index.as_near("b/x.mp4", "b/x")
            (True, False)
        """
        key, own = _key(name), _key(clip_id)
        if name == clip_id or key == own:
            return name in self.clip_ids or (name != clip_id and key in self._by_key)
        shared = _common_end(key, own)
        return any(_common_end(key, other) >= shared for other, _ in self._by_name.get(key[-1], ()))

    def lookup(self, name: str, label: str) -> tuple[str, int] | None:
        """The id and the rank of the match, where smaller is better."""
        for spelling, quality in ((name, _EXACT), (plain_name(name), _SAME_KEY)):
            if spelling in self.clip_ids:
                return spelling, quality
        key = _key(name)
        same = self._by_key.get(key)
        if same:
            return self._only(name, same, label), _SAME_KEY
        candidates = self._by_name.get(key[-1], ())
        if not candidates:
            return None
        shared = [_common_end(key, other) for other, _ in candidates]
        best = max(shared)
        chosen = [candidate for candidate, n in zip(candidates, shared, strict=True) if n == best]
        whole = best == min(len(key), *(len(other) for other, _ in chosen))
        clip_id = self._only(name, [clip_id for _, clip_id in chosen], label)
        return clip_id, _SAME_KEY if whole else SAME_NAME

    @staticmethod
    def _only(name: str, clip_ids: list[str], label: str) -> str:
        if len(clip_ids) > 1:
            raise InputError(
                f"{label}: {name!r} matches both {clip_ids[0]!r} and {clip_ids[1]!r}; name the "
                "clips by their ids"
            )
        return clip_ids[0]


def _key(name: str) -> tuple[str, ...]:
    """Parts of the safe path of a name."""
    plain = plain_name(name)
    parts = [part for part in plain.split("/") if part.strip(" .")]
    return tuple(safe_name(part) for part in parts or [plain])


def _common_end(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    n = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        n += 1
    return n
