"""Comparison of a rebuilt clip with the row of the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec.structs import replace

from theval_datasets.engines.base import Engine
from theval_datasets.errors import UnsafePathError
from theval_datasets.extraction.jobs import ClipJob, jobs_of
from theval_datasets.extraction.measure import compute
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.fingerprints import Fingerprints, bit_distance, from_hex
from theval_datasets.manifest.rows import Manifest, ManifestRow
from theval_datasets.media.facts import MediaFacts
from theval_datasets.utils.files import inside, sha256_file

from ..clips.files import tools
from ..duplicates.matching import Prints, prints_of
from ..tasks import Failure
from .making import RebuiltClip
from .results import RebuildResult, row_digest

FRAMES_BOUND: Final = 0.05
"""Largest share of differing bits of the perceptual hashes of equivalent pictures."""
AUDIO_BOUND: Final = 0.15
"""Largest share of differing bits of the audio fingerprints of equivalent sounds (unrelated: 0.5)."""
_SHORT: Final = 0.1  # largest difference of a clip's length from that of its list, seconds
_SHORTEST: Final = 2  # audio fingerprints by which a clip with sound is told from one without
_STRETCH: Final = 0.05  # largest difference of aspect ratios of equivalent pictures
_DETAIL: Final = 500  # largest length of a message


class Comparison:
    """Compares rebuilt clips with the rows of a manifest.

    Args:
        manifest: Manifest; the listed clips may still be beside it.
        cache: Path or URL of the feature cache, for fingerprints.
        engine: Engine that measures clips.
    """

    def __init__(self, manifest: Manifest, cache: str, engine: Engine) -> None:
        self._manifest = manifest
        self._store = FeatureStore((Fingerprints(),), cache)
        self._engine = engine

    def at_once(self, row: ManifestRow, made: RebuiltClip | Failure) -> RebuildResult | None:
        """The result, if it needs no fingerprints; else None."""
        if isinstance(made, Failure):
            return gone(row, made)
        if row.to_be_made:
            return _made_first(row, made)
        if made.sha256 == row.sha256:
            return _result(row, made, "identical")
        listed, n_frames = row.media, made.media.n_frames
        if listed is not None and abs(n_frames - listed.n_frames) > 1:
            detail = f"expected {listed.n_frames} frames, got {n_frames}"
            return _result(row, made, "changed", reason="length", detail=detail)
        if listed is not None and _aspects_differ(listed, made.media):
            return _result(
                row, made, "changed", reason="picture", detail=_sizes(listed, made.media)
            )
        return None

    def by_fingerprints(
        self, clips: Sequence[tuple[ManifestRow, RebuiltClip]], jobs: Sequence[ClipJob]
    ) -> list[RebuildResult]:
        """Results of clips that are neither identical nor of another length.

        Args:
            clips: Rows with the rebuilt clips.
            jobs: Rebuilt clips to measure.
        """
        listed = [self._listed_job(row) for row, _ in clips]
        wanted = [*jobs, *(job for job in listed if job is not None)]
        compute(self._store, wanted, self._engine, "compare")
        return [self._compared(row, made) for row, made in clips]

    def _compared(self, row: ManifestRow, made: RebuiltClip) -> RebuildResult:
        made_prints = self._prints(made.sha256)
        listed_prints = self._listed(row)
        if made_prints is None or listed_prints is None or not len(listed_prints.frames):
            detail = "the row has no fingerprint, and the listed clip is not available"
            return _result(row, made, "changed", reason="no-fingerprint", detail=detail)
        frames = _distance(made_prints.frames, listed_prints.frames)
        lengths = len(made_prints.audio), len(listed_prints.audio)
        heard = min(lengths) > 0 or max(lengths) > _SHORTEST
        audio = _distance(made_prints.audio, listed_prints.audio) if heard else None
        measured: dict[str, Any] = {
            "frames": round(frames, 4),
            "audio": None if audio is None else round(audio, 4),
        }
        if frames > FRAMES_BOUND:
            return _result(row, made, "changed", reason="picture", **measured)
        if audio is not None and audio > AUDIO_BOUND:
            return _result(row, made, "changed", reason="sound", **measured)
        same = row.end is None or tools()["ffmpeg_sha256"] == row.tools.get("ffmpeg_sha256")
        remarks = [] if same else ["made with another ffmpeg than the listed clip"]
        if row.media is not None and _size(row.media) != _size(made.media):
            remarks.append(_sizes(row.media, made.media))
        detail = "; ".join(remarks)
        return _result(row, made, "equivalent", detail=detail, **measured)

    def _prints(self, sha256: str) -> Prints | None:
        feature = self._store.find("fingerprints", sha256)
        return prints_of(feature.values) if feature and feature.outcome.status == "ok" else None

    def _listed(self, row: ManifestRow) -> Prints | None:
        """Fingerprints of the listed clip: from its row, or else measured."""
        if row.phash is None:
            return self._prints(str(row.sha256))
        try:
            return Prints(
                from_hex(row.phash, np.uint64), from_hex(row.audio_print or "", np.uint32)
            )
        except ValueError:
            return None

    def _listed_job(self, row: ManifestRow) -> ClipJob | None:
        """Job for the listed clip, if it has to be measured and is available."""
        if row.phash is not None or row.path is None:
            return None
        try:
            file = inside(self._manifest.folder, row.path)
            if not file.is_file() or sha256_file(file) != row.sha256:
                return None
        except (UnsafePathError, OSError):
            return None
        return jobs_of([(row.clip_id, file, str(row.sha256))])[0]


def gone(row: ManifestRow, failure: Failure) -> RebuildResult:
    """The result of a clip that cannot be made."""
    detail = failure.detail[:_DETAIL]
    return RebuildResult(row.clip_id, "gone", failure.reason, detail, row=row_digest(row))


def _size(facts: MediaFacts) -> tuple[int, int]:
    return facts.width, facts.height


def _sizes(listed: MediaFacts, made: MediaFacts) -> str:
    return "expected a picture of {}x{}, got {}x{}".format(*_size(listed), *_size(made))


def _aspects_differ(listed: MediaFacts, made: MediaFacts) -> bool:
    """Whether one picture is stretched, by more than rounding to whole pixels explains."""
    across, down = listed.width * made.height, listed.height * made.width
    return abs(across - down) > _STRETCH * max(across, down)


def _made_first(row: ManifestRow, made: RebuiltClip) -> RebuildResult:
    """The result for a list's clip that nobody made before: only its length can be compared."""
    listed = row.listed
    about: dict[str, Any] = {"span": made.span, "tools": dict(made.tools)}
    duration, rate = made.media.duration, made.media.fps or 1.0
    bound = max(_SHORT, 2 / rate)
    if listed is not None and listed.frames is not None:
        expected = (listed.frames[1] - listed.frames[0]) / rate
    else:
        expected = duration if row.end is None else row.end - row.start
    if abs(expected - duration) > bound:
        detail = f"expected {expected:g} s, got {duration:.3f} s"
        return _result(row, made, "changed", reason="length", detail=detail, **about)
    detail = ""
    height = None if listed is None else listed.height
    if height is not None and made.source_height != height:
        detail = f"the list states a source of {height} px in height, it has {made.source_height}"
    elif row.region is not None and row.region.boxes and row.region.height is None:
        detail = f"the list states no height of the source, it has {made.source_height} px"
    return _result(row, made, "made", detail=detail, **about)


def _result(row: ManifestRow, made: RebuiltClip, status: str, **about: Any) -> RebuildResult:
    result = RebuildResult(
        row.clip_id,
        "changed",
        row=row_digest(row),
        sha256=made.sha256,
        stamp=made.stamp,
        path=made.path,
        media=made.media,
    )
    return replace(result, status=status, **about)


def _distance(a: Any, b: Any) -> float:
    """Share of differing bits, 0 to 1; 0.5 where the lengths differ by more than a tenth.

    Args:
        a: (n,): hashes of one clip.
        b: (m,): hashes of another clip.
    """
    shared, longest = min(len(a), len(b)), max(len(a), len(b))
    if not shared:
        return 0.5
    if longest - shared > max(2, longest // 10):
        return 0.5
    return bit_distance(a[:shared], b[:shared])
