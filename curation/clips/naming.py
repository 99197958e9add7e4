"""Clip ids for whole files: short, safe as file names, and the same on every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from theval_datasets.utils.files import safe_name


def clip_ids(names: Sequence[tuple[str, str]]) -> list[str]:
    """A unique id for each file.

    The id is the path below its source without suffix; where that occurs twice, with suffix; where
    that occurs twice too, with the source's name before it; remaining duplicates are numbered.

    Args:
        names: Path below the source (with suffix) and name of the source, for each file.

    Examples:
        >>> clip_ids([("a.mp4", "x"), ("a.mov", "x"), ("b.mp4", "x")])
        ['a.mp4', 'a.mov', 'b']
    """
    wanted = [
        [
            safe_name(str(PurePosixPath(name).with_suffix(""))),
            safe_name(name),
            safe_name(f"{group}/{name}"),
        ]
        for name, group in names
    ]
    level = [0] * len(wanted)
    for step in (1, 2):
        counts = Counter(ids[at] for ids, at in zip(wanted, level, strict=True))
        for i, ids in enumerate(wanted):
            if level[i] == step - 1 and counts[ids[level[i]]] > 1:
                level[i] = step
    chosen = [ids[at] for ids, at in zip(wanted, level, strict=True)]
    taken = Counter(chosen)
    used = {name for name, count in taken.items() if count == 1}
    unique = []
    for name in chosen:
        number, candidate = 1, name
        while taken[name] > 1 and candidate in used:
            number += 1
            candidate = f"{name}-{number}"
        used.add(candidate)
        unique.append(candidate)
    return unique
