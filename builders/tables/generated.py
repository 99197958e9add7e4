"""Generator and portrait of each generated clip, from a table or from the clip's name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from theval_datasets.errors import InputError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.text import some_of
from theval_datasets.utils.yaml_files import read_yaml

from .csv_files import read_csv

DIFFICULTIES: Final = ("Easy", "Medium", "Hard")
DEFAULT_RULES: Final = ("{generator}/{portrait_id}", "{portrait_id}__{generator}")
"""Naming rules for clips that no table lists, in the order in which they are tried."""
_END_TO_END: Final = ("MultiTalk", "HunyuanVideo-Avatar", "OmniAvatar")
_SEQUENTIAL: Final = ("Wav2Lip", "MuseTalk", "SadTalker", "AniTalker", "JoyVASA")
_SLOT: Final = re.compile(r"\{(\w+)\}")
_OPTIONAL: Final = ("generator_kind", "difficulty", "content_id", "succeeded")
_KNOWN_SLOTS: Final = ("generator", "portrait_id", "any")
_YES: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


KINDS: Final[Mapping[str, str]] = {
    **{_plain(name): "end-to-end" for name in _END_TO_END},
    **{_plain(name): "sequential" for name in _SEQUENTIAL},
}
"""Kinds of the generators named in THQA-MT's paper; a table states the kinds of others."""


@dataclass(frozen=True)
class GeneratedClip:
    """A generated clip, or a failed attempt.

    Attributes:
        generator: Name of the generator; any text.
        portrait_id: Id of the portrait.
        kind: Kind of the generator: `end-to-end`, `sequential`, or another word; None if unknown.
        difficulty: Difficulty: Easy, Medium or Hard; None if unstated.
        content_id: Content of the clip; the portrait if unstated.
        succeeded: Whether there is a clip; None if unstated.
    """

    generator: str
    portrait_id: str
    kind: str | None = None
    difficulty: str | None = None
    content_id: str | None = None
    succeeded: bool | None = None


@dataclass(frozen=True)
class NamingRules:
    """Rules that derive generator and portrait from the name of a clip.

    Attributes:
        rules: Patterns such as ``{portrait_id}__{generator}``; ``{any}`` matches any text. The first
            pattern that matches the whole name counts.
        kinds: Kind by generator.
        attempted: Number of attempted clips by generator.
    """

    rules: tuple[str, ...] = DEFAULT_RULES
    kinds: dict[str, str] = field(default_factory=dict)
    attempted: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in self.rules:
            slots = _SLOT.findall(rule)
            unknown = sorted(set(slots) - set(_KNOWN_SLOTS))
            named = [slot for slot in slots if slot != "any"]
            if unknown or sorted(named) != ["generator", "portrait_id"]:
                raise InputError(
                    f"the naming rule {rule!r}: expected {{generator}} and {{portrait_id}} once "
                    "each, and perhaps {any}"
                )

    def parse(self, name: str) -> GeneratedClip | None:
        """Generator and portrait of a name; None if no rule matches.

        Examples:
            >>> clip = NamingRules().parse("anna__Wav2Lip")
            >>> clip.portrait_id, clip.generator
            ('anna', 'Wav2Lip')
        """
        for rule in self.rules:
            match = _pattern(rule).fullmatch(name)
            if match:
                generator = match["generator"]
                return GeneratedClip(
                    generator, match["portrait_id"], kind_of(generator, self.kinds)
                )
        return None


@dataclass(frozen=True)
class GeneratedClips:
    """The table of generated clips.

    Attributes:
        clips: Generated clips by name; empty without a table.
        attempts: All rows of the table, including those without a clip.
        rules: Naming rules for clips that the table does not list.
    """

    clips: Mapping[str, GeneratedClip] = field(default_factory=dict)
    attempts: tuple[tuple[str | None, GeneratedClip], ...] = ()
    rules: NamingRules = field(default_factory=NamingRules)

    def renamed(self, name_of: Callable[[str], str]) -> GeneratedClips:
        """The same table with other names of clips.

        Raises:
            InputError: If two names become equal.
        """
        clips: dict[str, GeneratedClip] = {}
        for name, clip in self.clips.items():
            if name_of(name) in clips:
                raise InputError(f"clips: two rows name the clip {name_of(name)!r}")
            clips[name_of(name)] = clip
        attempts = [(None if n is None else name_of(n), clip) for n, clip in self.attempts]
        return replace(self, clips=clips, attempts=tuple(attempts))

    def of(self, name: str) -> GeneratedClip | None:
        """Generator and portrait of a clip; None if unknown.

        Examples:
            >>> GeneratedClips({"x": GeneratedClip("Wav2Lip", "anna")}).of("x").generator
            'Wav2Lip'
        """
        return self.clips.get(name) or self.rules.parse(name)

    def generations(
        self, there: Iterable[str], gone: Iterable[str] = (), *, complete: bool = True
    ) -> dict[str, tuple[int | None, int | None]]:
        """Numbers of attempted and successful clips by generator; None if unknown.

        Args:
            there: Names of existing clips.
            gone: Names of clips that were taken down: their generation succeeded.
            complete: Whether these are all, so that an attempt without a clip failed unless the
                table says otherwise.
        """
        names = set(there)
        made = Counter(clip.generator for clip in map(self.of, names) if clip is not None)
        former = set(gone) - names
        known = {*made, *self.rules.attempted}
        made.update(
            clip.generator
            for clip in map(self.of, former)
            if clip is not None and clip.generator in known
        )
        generations: dict[str, tuple[int | None, int | None]] = {
            name: (self.rules.attempted.get(name), made[name])
            for name in {*made, *self.rules.attempted}
        }
        asked, given = Counter[str](), Counter[str]()
        unknown: set[str] = set()
        for name, attempt in self.attempts:
            asked[attempt.generator] += 1
            succeeded = attempt.succeeded
            if succeeded is None:
                succeeded = name in names or name in former
            given[attempt.generator] += succeeded
            if attempt.succeeded is None and not succeeded and not complete:
                unknown.add(attempt.generator)
        return generations | {
            name: (count, None if name in unknown else given[name]) for name, count in asked.items()
        }


def kind_of(generator: str, stated: Mapping[str, str] | None = None) -> str | None:
    """`end-to-end` or `sequential` for generators that are known; None for others.

    Examples:
        >>> kind_of("SadTalker"), kind_of("my generator") is None
        ('sequential', True)
    """
    return (stated or {}).get(generator) or KINDS.get(_plain(generator))


def read_listing(path: Path | None) -> GeneratedClips:
    r"""Read ``--with clips=FILE``.

    Args:
        path: CSV with `clip_id, generator, portrait_id` and, optionally, `generator_kind, difficulty,
            content_id, succeeded`; or a YAML file with `NamingRules`; None for the default rules.

    Raises:
        InputError: The message lists all faults.

    Examples:
        >>> table = Path("clips.csv")
        >>> _ = table.write_text("clip_id,generator,portrait_id,difficulty\nanna_1,ours,anna,Hard\n")
        >>> clip = read_listing(table).clips["anna_1"]
        >>> clip.generator, clip.portrait_id, clip.difficulty
        ('ours', 'anna', 'Hard')
    """
    if path is None:
        return GeneratedClips()
    if path.suffix.lower() in (".yaml", ".yml"):
        return GeneratedClips(rules=from_plain(NamingRules, read_yaml(path), path.name))
    clips: dict[str, GeneratedClip] = {}
    attempts: list[tuple[str | None, GeneratedClip]] = []
    faults: list[str] = []
    for where, row in read_csv(path, ("clip_id", "generator", "portrait_id"), _OPTIONAL):
        name, attempt, fault = _entry(row)
        if fault is None and name is not None and name in clips:
            fault = f"the clip {name!r} occurs twice"
        if fault is not None or attempt is None:
            faults.append(f"{where}: {fault}")
            continue
        attempts.append((name, attempt))
        if name is not None and attempt.succeeded is not False:
            clips[name] = attempt
    if faults:
        raise InputError(some_of(faults))
    return GeneratedClips(clips, tuple(attempts))


def generator_rows(
    listing: GeneratedClips,
    generations: Mapping[str, tuple[int | None, int | None]],
    clips: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Rows of the config `generators`.

    Args:
        listing: The table of generated clips.
        generations: Generator to how many clips were attempted and succeeded.
        clips: `generator` and `generator_kind` of every clip.
    """
    kinds = {attempt.generator: attempt.kind for _, attempt in listing.attempts}
    kinds |= {clip["generator"]: clip["generator_kind"] for clip in clips}
    n_clips = Counter(clip["generator"] for clip in clips)
    for name, (attempted, succeeded) in generations.items():
        missing = ["attempts:not-given"] if attempted is None else []
        missing += ["attempts:not-stated"] if attempted is not None and succeeded is None else []
        missing += [] if kinds.get(name) is not None else ["generator_kind:not-stated"]
        yield {
            "generator": name,
            "generator_kind": kinds.get(name),
            "attempted": attempted,
            "succeeded": succeeded,
            "clips": n_clips[name],
            "missing": missing,
        }


def _entry(row: Mapping[str, str]) -> tuple[str | None, GeneratedClip | None, str | None]:
    cells = {name: text.strip() or None for name, text in row.items()}
    stated = cells.get("succeeded")
    succeeded = None if stated is None else _YES.get(stated.lower())
    if stated is not None and succeeded is None:
        return None, None, f"expected 1 or 0 as succeeded, got {stated!r}"
    name = None if cells["clip_id"] is None else cells["clip_id"]
    generator, portrait = cells["generator"], cells["portrait_id"]
    if generator is None or portrait is None:
        return name, None, "generator or portrait_id is empty"
    if name is None and succeeded is not False:
        return name, None, "a row without a clip_id needs succeeded = 0"
    difficulty = cells.get("difficulty")
    if difficulty is not None and difficulty.capitalize() not in DIFFICULTIES:
        return (
            name,
            None,
            f"expected a difficulty out of {', '.join(DIFFICULTIES)}, got {difficulty!r}",
        )
    return (
        name,
        GeneratedClip(
            generator,
            portrait,
            cells.get("generator_kind") or kind_of(generator),
            None if difficulty is None else difficulty.capitalize(),
            cells.get("content_id"),
            succeeded,
        ),
        None,
    )


def _pattern(rule: str) -> re.Pattern[str]:
    parts = _SLOT.split(rule)
    body = ""
    for index, part in enumerate(parts):
        if index % 2 == 0:
            body += re.escape(part)
        else:
            body += "[^/]*?" if part == "any" else f"(?P<{part}>[^/]+?)"
    return re.compile(body)
