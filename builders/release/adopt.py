"""Curation of the videos of a release, if no manifest of them was given.

They are curated unchanged, as by `theval-data curate video.zip`, into a folder that is removed when the
release is written. Cached features are still used, since the cache is content-addressed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from theval_datasets.engines.base import Engine
from theval_datasets.extraction.cache import default_location
from theval_datasets.utils.archives import locate

from ..base.inputs import Inputs
from .place import scratch_beside

if TYPE_CHECKING:
    from ..base.builder import Builder

_log = logging.getLogger(__name__)


@contextmanager
def clips_of_release(
    dataset: type[Builder],
    inputs: Inputs,
    folder: Path,
    engine: Engine,
    check: Callable[[], object],
) -> Iterator[Inputs]:
    """Inputs with the given manifest, or else with a manifest of the release's videos, if it has any.

    Args:
        dataset: Class of the dataset; its `VIDEOS` names the places of the videos in a release.
        inputs: Inputs of the build.
        folder: Folder of the dataset; the videos are unpacked beside it.
        engine: Engine that reads the videos.
        check: Called before unpacking, to refuse faulty inputs early.

    Raises:
        InputError, UnsafePathError: If an archive is damaged, unsafe, or too large for the disk.
    """
    place = None
    if inputs.manifest_path is None and inputs.release is not None:
        place = locate(inputs.release, *dataset.VIDEOS)
    if place is None:
        yield inputs
        return
    check()
    with scratch_beside(folder, "clips") as scratch:
        cache = default_location() if inputs.cache is None else inputs.cache.location
        note = _adopted(place, scratch, cache, engine)
        yield replace(inputs, manifest_path=scratch, notes=(*inputs.notes, note))


def _adopted(place: Path, scratch: Path, cache: str, engine: Engine) -> str:
    from theval_datasets.curation.pipeline.curate import CurateOptions, curate
    from theval_datasets.curation.recipes.recipe import load_recipe
    from theval_datasets.curation.sources.choose import source_of

    source = source_of(str(place), scratch)
    recipe = load_recipe("as-is")
    made = curate([source], recipe, scratch, CurateOptions(cache, engine))
    note = f"The clips are the {len(made.kept)} videos of the release's {place.name}"
    if made.rejected:
        reasons = Counter(str(row.reason) for row in made.rejected)
        why = ", ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items()))
        note += (
            f"; {len(made.rejected)} could not be used: {why}, such as {made.rejected[0].clip_id}"
        )
        _log.warning("%s", note)
    return f"{note}."
