"""Annotators' descriptions of Gen3DHF's videos, and the videos' generators: tables by video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import plain_name
from theval_datasets.utils.text import some_of

from ..tables.csv_files import read_csv


@dataclass(frozen=True)
class Annotations:
    """Annotations of a video.

    Attributes:
        text: Concatenated descriptions.
        categories: Distortion categories of Gen3DHF, in their order.
    """

    text: str | None
    categories: tuple[str, ...]


def read_descriptions(path: Path) -> dict[str, Annotations]:
    r"""Read descriptions and categories by video from a CSV with `clip_id, description[, categories]`.

    A video may have one row per annotator: it has every category that an annotator named or described, and
    "No Distortion" only if no annotator saw a distortion.

    Raises:
        InputError: The message lists the rows with unknown categories.

    Examples:
        >>> _ = Path("texts.csv").write_text("clip_id,description\n7.mp4,flickering hands\n7.mp4,fine\n")
        >>> read_descriptions(Path("texts.csv"))["7"].categories
        ('Blurring / Exposure / Grain',)
    """
    from theval_datasets.curation.study.descriptions import CATEGORIES, load_keywords

    table = load_keywords()
    texts: dict[str, list[str]] = {}
    categories: dict[str, set[str]] = {}
    faults = []
    for where, row in read_csv(path, ("clip_id", "description"), ("categories",)):
        name, text = _video(row["clip_id"]), row["description"].strip()
        named = {
            category.strip()
            for category in (row.get("categories") or "").split(";")
            if category.strip()
        }
        unknown = sorted(named - set(CATEGORIES))
        if not name or unknown:
            faults.append(
                f"{where}: " + (f"{unknown[0]!r} is no category" if name else "no clip_id")
            )
            continue
        texts.setdefault(name, []).extend([text] if text else [])
        categories.setdefault(name, set()).update(named or table.assign(text).categories)
    if faults:
        raise InputError(some_of(faults))
    described = {}
    for name, many in categories.items():
        kept = many - {table.nothing} if len(many) > 1 else many
        ordered = tuple(category for category in CATEGORIES if category in kept)
        described[name] = Annotations(" ".join(texts[name]) or None, ordered)
    return described


def read_generators(path: Path) -> dict[str, str]:
    r"""Read the generator of each video from a CSV with `clip_id, generator`.

    Raises:
        InputError: For a video that occurs twice, or an empty cell.

    Examples:
        >>> _ = Path("generators.csv").write_text("clip_id,generator\n7.mp4,EG3D\n")
        >>> read_generators(Path("generators.csv"))
        {'7': 'EG3D'}
    """
    generators: dict[str, str] = {}
    for where, row in read_csv(path, ("clip_id", "generator")):
        name, generator = _video(row["clip_id"]), row["generator"].strip()
        if not name or not generator or name in generators:
            raise InputError(f"{where}: {name!r} occurs twice, or a cell is empty")
        generators[name] = generator
    return generators


def _video(cell: str) -> str:
    return plain_name(cell)
