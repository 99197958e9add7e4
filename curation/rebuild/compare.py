"""How near a clip that was made again comes to what is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from theval_datasets import media
from theval_datasets.errors import MediaError, UnsafePathError
from theval_datasets.extraction.engines.local import LocalEngine
from theval_datasets.extraction.jobs import jobs_of
from theval_datasets.extraction.store import FeatureStore
from theval_datasets.features.fingerprints import bit_distance, from_hex
from theval_datasets.manifest.rows import Manifest, ManifestRow
from theval_datasets.utils.files import sha256_file

from ..clips.files import stamp, tools
from ..duplicates.matching import Prints, prints_of
from .rebuilt import Rebuilt, row_digest
from .remake import Lost

FRAMES_BOUND: Final = 0.05
"""Share of differing bits of the perceptual hashes up to which pictures are equivalent."""
AUDIO_BOUND: Final = 0.15
"""The same of the audio fingerprints; unrelated sounds differ in half of them."""


def compared(
    made: Path | Lost, row: ManifestRow, manifest: Manifest, store: FeatureStore
) -> Rebuilt:
    """What became of a row.

    Args:
        made: The clip.
        row: What is listed.
        manifest: Where the row is; the listed clip may still lie beside it.
        store: For fingerprints.
    """
    listed = row_digest(row)
    if isinstance(made, Lost):
        return Rebuilt(row.clip_id, "gone", made.reason, made.detail[:500], row=listed)
    sha256 = sha256_file(made)
    about: dict[str, Any] = {"row": listed, "sha256": sha256, "stamp": stamp(made)}
    if sha256 == row.sha256:
        return Rebuilt(row.clip_id, "identical", **about)
    try:
        count = media.probe(made).n_frames
    except MediaError as error:
        return Rebuilt(row.clip_id, "changed", error.reason, str(error)[:500], **about)
    if row.media is not None and abs(count - row.media.n_frames) > 1:
        said = f"{row.media.n_frames} frames are listed, {count} are there"
        return Rebuilt(row.clip_id, "changed", "length", said, **about)
    ours = _prints(row.clip_id, made, sha256, store)
    theirs = _listed_prints(row, manifest, store)
    if ours is None or theirs is None or not len(theirs.frames):
        said = "the row has no fingerprint, and the listed clip is not here"
        return Rebuilt(row.clip_id, "changed", "no-fingerprint", said, **about)
    frames = _distance(ours.frames, theirs.frames)
    audio = _distance(ours.audio, theirs.audio) if len(theirs.audio) else None
    about |= {"frames": round(frames, 4), "audio": None if audio is None else round(audio, 4)}
    if frames > FRAMES_BOUND:
        return Rebuilt(row.clip_id, "changed", "picture", **about)
    if audio is not None and audio > AUDIO_BOUND:
        return Rebuilt(row.clip_id, "changed", "sound", **about)
    same = row.end is None or tools()["ffmpeg_sha256"] == row.tools.get("ffmpeg_sha256")
    detail = "" if same else "another ffmpeg than the one it was made with"
    return Rebuilt(row.clip_id, "equivalent", detail=detail, **about)


def _prints(name: str, file: Path, sha256: str, store: FeatureStore) -> Prints | None:
    store.compute(jobs_of([(name, file, sha256)]), LocalEngine(0), "compare")
    feature = store.find("fingerprints", sha256)
    return prints_of(feature.values) if feature and feature.outcome.status == "ok" else None


def _listed_prints(row: ManifestRow, manifest: Manifest, store: FeatureStore) -> Prints | None:
    """Fingerprints of the listed clip: of its row, of the cache, or of its file if that is here."""
    if row.phash is not None:
        try:
            return Prints(
                from_hex(row.phash, np.uint64), from_hex(row.audio_print or "", np.uint32)
            )
        except ValueError:
            return None
    known = store.find("fingerprints", str(row.sha256))
    if known is not None and known.outcome.status == "ok":
        return prints_of(known.values)
    try:
        file = manifest.file(row)
    except UnsafePathError:
        return None
    if file is None or not file.is_file() or sha256_file(file) != row.sha256:
        return None
    return _prints(row.clip_id, file, str(row.sha256), store)


def _distance(a: Any, b: Any) -> float:
    """Share of differing bits; of unequal lengths what is missing counts as half."""
    shared, longest = min(len(a), len(b)), max(len(a), len(b))
    if not shared:
        return 0.5
    if longest - shared > max(2, longest // 10):
        return 0.5
    return bit_distance(a[:shared], b[:shared])
