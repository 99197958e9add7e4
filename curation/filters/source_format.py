"""Storage format of a clip's source: pixel aspect, fields, transfer and flips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .base import Clip, Features, Filter, Verdict, keep, reject, undecided


@dataclass(frozen=True)
class SourceFormat(Filter):
    """Keeps clips whose source is stored as it is shown, or differs only in what is allowed.

    A clip that was cut has square pixels, is progressive, upright and SDR, whatever its source was;
    this filter judges the source.

    Attributes:
        anamorphic: Whether the source's pixels may be other than square.
        interlaced: Whether the source may be interlaced.
        hdr: Whether the source may be HDR (PQ or HLG).
        mirrored: Whether the source may be flipped by its display matrix.
    """

    anamorphic: bool = False
    interlaced: bool = False
    hdr: bool = False
    mirrored: bool = True

    shown: ClassVar[Mapping[str, str]] = {}

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the measured facts of the source."""
        source = clip.source_picture
        if source is None:
            return undecided("source-not-measured")
        measured: dict[str, str | bool | None] = {
            "pixel_aspect": source.pixel_aspect or "1:1",
            "interlaced": source.interlaced,
            "transfer": source.transfer or "SDR",
            "mirrored": source.mirrored,
        }
        refused = {
            "anamorphic": source.pixel_aspect is not None and not self.anamorphic,
            "interlaced": source.interlaced and not self.interlaced,
            "hdr": source.transfer is not None and not self.hdr,
            "mirrored": source.mirrored and not self.mirrored,
        }
        reason = next((name for name, applies in refused.items() if applies), None)
        return keep(**measured) if reason is None else reject(reason, **measured)
