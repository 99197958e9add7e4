"""Notes on the inputs of a build of Gen3DHF: missing parts, and stills."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from theval_datasets.utils.archives import locate
from theval_datasets.utils.text import count_of


def lacking(release: Path, parts: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A note on missing parts of a release, if any.

    Args:
        release: Folder of the release.
        parts: Possible file names by description of the part.

    Examples:
        >>> lacking(Path("no-such-folder"), {"videos": ("videos",)})
        ['The given release holds no videos.']
    """
    absent = [what for what, names in parts.items() if locate(release, *names) is None]
    return [f"The given release holds no {', no '.join(absent)}."] if absent else []


def stills_used(
    mapped: Sequence[str], stills: Collection[str], with_video: Collection[str]
) -> list[str]:
    """Notes on the origin of the stills beside saliency maps.

    Args:
        mapped: Videos with a saliency map.
        stills: Videos with a still in the release.
        with_video: Videos with a map whose file exists.
    """
    given = [name for name in mapped if name in stills]
    cut = [name for name in mapped if name not in stills and name in with_video]
    without = len(mapped) - len(given) - len(cut)
    notes = []
    if mapped:
        notes.append(
            f"Stills of the saliency maps: {len(given)} from the release, {len(cut)} cut from the "
            f"videos, {without} missing."
        )
    unused = set(stills) - set(mapped)
    if unused:
        notes.append(
            f"The release has {count_of(len(unused), 'still')} without a saliency map; left out."
        )
    return notes
