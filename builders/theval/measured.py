"""Metrics of generated clips, from their manifest and the feature cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.evaluation.theval import DEFINITIONS, published_leaderboard
from theval_datasets.manifest.rows import ManifestRow

from ..base.columns import FeatureReader
from ..tables.generated import DEFAULT_RULES, GeneratedClips
from .comparison import MetricRow

_SOURCE: Final = "generated clips"
_SHOWN: Final = 3


def measured_rows(rows: Iterable[ManifestRow], reader: FeatureReader) -> list[MetricRow]:
    """One row per generated clip and definition with at least one measured value.

    The model and the real clip are read from the name of the clip, ``MODEL/CLIP`` or
    ``CLIP__MODEL``; `MetricRow.clip_id` is the real clip as it is named there.

    Args:
        rows: Rows of the manifest.
        reader: Reader of the features of both definitions.

    Raises:
        InputError: A name states no model, or nothing was measured on any clip.
    """
    names = GeneratedClips()
    kinds = {entry.model: entry.kind for entry in published_leaderboard()}
    made: list[MetricRow] = []
    unknown: list[str] = []
    clips = [row for row in rows if row.sha256 is not None]
    for row in clips:
        parsed = names.of(row.clip_id)
        if parsed is None:
            unknown.append(row.clip_id)
            continue
        clip = reader.clip(row.sha256)
        for definition, extractors in DEFINITIONS.items():
            values = {
                metric: None if (value := clip.value(name, metric)) is None else float(value)
                for metric, name in extractors.items()
            }
            if any(value is not None for value in values.values()):
                lacking = {extractors[metric] for metric, value in values.items() if value is None}
                reasons = sorted(
                    {
                        entry.partition(":")[2]
                        for entry in clip.missing()
                        if entry.partition(":")[0] in lacking
                    }
                )
                made.append(
                    MetricRow(
                        parsed.generator,
                        kinds.get(parsed.generator),
                        parsed.portrait_id,
                        definition,
                        values,
                        _SOURCE,
                        tuple(reasons) or ("undefined",),
                    )
                )
    if unknown:
        raise InputError(
            f"generated: the names of {len(unknown)} clips tell no model, such as "
            f"{', '.join(unknown[:_SHOWN])}; expected {' or '.join(DEFAULT_RULES)}, with the real "
            "clip as portrait_id"
        )
    if not made:
        raise InputError(
            f"generated: none of {len(clips)} clips has a metric in the feature cache; "
            "`theval-data extract MANIFEST` with the same --cache measures them"
        )
    return made
