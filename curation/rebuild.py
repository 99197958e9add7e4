"""Making the clips of a manifest again, and saying how near they come to what is listed.

Each source is fetched once, every clip cut as its row says, and compared: `identical` (the same
bytes); `equivalent` (as many frames but for one, pictures and sound that agree within the bounds
below); `changed`; `gone` with the reason. A manifest is untrusted: it names places below a root and
http(s) addresses, numbers, and words that are checked against lists.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import numpy as np

from theval_datasets import media
from theval_datasets.curation.adopt import AUDIO, CLIPS, FRAMES, place, stamp, tools
from theval_datasets.curation.alike import Prints, prints_of
from theval_datasets.curation.anonymise import blur_faces, face_boxes
from theval_datasets.curation.audio_tracks import write_mono, write_original
from theval_datasets.curation.cut import SUFFIX, Encoding, Piece, cut
from theval_datasets.curation.measured import Store
from theval_datasets.curation.run import taken_down
from theval_datasets.curation.sources._base import Found
from theval_datasets.curation.sources._choose import source_of
from theval_datasets.curation.sources._options import FetchOptions
from theval_datasets.curation.sources.local import AUDIO as AUDIO_SUFFIXES
from theval_datasets.curation.sources.local import VIDEO
from theval_datasets.errors import InputError, MediaError, UnsafePathError
from theval_datasets.features.fingerprints import Fingerprints, bit_distance, from_hex
from theval_datasets.files import (
    atomic_write,
    canonical_json,
    digest,
    inside,
    safe_name,
    sha256_file,
)
from theval_datasets.info import TOMBSTONES_NAME, read_tombstones
from theval_datasets.manifest import (
    MANIFEST_NAME,
    REJECTED_NAME,
    FileStamp,
    Manifest,
    ManifestRow,
    write_manifest,
)
from theval_datasets.progress import progress
from theval_datasets.records import from_plain, to_plain

_log = logging.getLogger(__name__)

REPORT_NAME: Final = "rebuild.jsonl"
FRAMES_BOUND: Final = 0.05
"""Share of differing bits of the perceptual hashes up to which pictures are equivalent."""
AUDIO_BOUND: Final = 0.15
"""The same of the audio fingerprints; unrelated sounds differ in half of them."""

Status = Literal["identical", "equivalent", "changed", "gone", "taken-down"]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a row.

    Attributes:
        clip_id: Its name.
        status: How near it came.
        reason: For `changed` and `gone`.
        detail: For people.
        frames: Share of differing bits of the pictures, where it was compared.
        audio: Of the sounds.
        row: Hash of the row that it was made by.
        sha256: Of the clip that was made.
        stamp: Of that file.
    """

    clip_id: str
    status: Status
    reason: str | None = None
    detail: str = ""
    frames: float | None = None
    audio: float | None = None
    row: str = ""
    sha256: str | None = None
    stamp: FileStamp | None = None

    @property
    def good(self) -> bool:
        """Whether the clip is there as it should be (or should not be, and is not)."""
        return self.status in ("identical", "equivalent", "taken-down")


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """How to go about it.

    Attributes:
        root: What local sources are relative to; the manifest's folder if None.
        cache: Path or URL of the feature cache, for comparing.
        workers: Clips cut at once.
        fetch: How to fetch addresses.
    """

    cache: str
    root: Path | None = None
    workers: int = 1
    fetch: FetchOptions = field(default_factory=FetchOptions)


@dataclass(frozen=True, slots=True)
class _Lost:
    reason: str
    detail: str


def rebuild(manifest: Manifest, output: Path, options: RebuildOptions) -> list[Rebuilt]:
    """Make the clips of a manifest.

    Args:
        manifest: What is listed.
        output: Another folder than the manifest's; may hold a part already.
        options: Root, cache, workers, fetching.

    Raises:
        InputError: The output is the manifest's own folder.
    """
    if output.resolve() == manifest.folder.resolve():
        raise InputError("rebuild into another folder than the manifest's: -o DIR")
    output.mkdir(parents=True, exist_ok=True)
    stones = {s.clip_id for s in read_tombstones(manifest.folder / TOMBSTONES_NAME)}
    down = stones | taken_down(output)
    earlier = _earlier(output)
    results: list[Rebuilt] = []
    groups: dict[tuple[str, str], list[ManifestRow]] = {}
    for row in manifest.rows:
        old = earlier.get(row.clip_id)
        if row.clip_id in down:
            results.append(Rebuilt(row.clip_id, "taken-down"))
        elif row.reason is not None or row.sha256 is None:
            continue
        elif old is not None and _still(old, row, output):
            results.append(old)
        else:
            groups.setdefault((row.source.kind, row.source.location), []).append(row)
    store = Store((Fingerprints(),), options.cache, 0)
    total = sum(map(len, groups.values()))
    with (
        (output / REPORT_NAME).open("a", encoding="utf-8") as journal,
        ThreadPoolExecutor(max(1, options.workers)) as pool,
        progress(total, "rebuild") as bar,
    ):
        for rows in groups.values():
            source = _source(rows[0], manifest, output, options)
            jobs = [pool.submit(_make, row, source, output) for row in rows]
            for row, job in zip(rows, jobs, strict=True):
                made = _compared(job.result(), row, manifest, store)
                journal.write(canonical_json(to_plain(made)) + "\n")
                journal.flush()
                results.append(made)
                bar.update()
    results.sort(key=lambda one: one.clip_id)
    _write(results, manifest, output)
    return results


def _source(
    row: ManifestRow, manifest: Manifest, output: Path, options: RebuildOptions
) -> Path | _Lost:
    """The file of a row's source, fetched if need be."""
    if row.source.kind == "local":
        try:
            path = inside(options.root or manifest.folder, row.source.location)
        except UnsafePathError as error:
            return _Lost("unsafe", str(error))
        if not path.is_file():
            return _Lost("missing", f"there is no file {row.source.location} below the root")
        return path
    try:
        if "://" not in row.source.location:
            raise UnsafePathError(f"expected an http(s) address, got {row.source.location!r}")
        items = list(source_of(row.source.location, output, fetch=options.fetch).items())
    except InputError as error:
        return _Lost("unsafe", str(error))
    found = [item for item in items if isinstance(item, Found)]
    if len(items) == 1 and found:
        return found[0].path
    if len(items) > 1:
        return _Lost("playlist", "the address holds several videos now")
    gone = next((item for item in items if not isinstance(item, Found)), None)
    return (
        _Lost(gone.reason, gone.detail) if gone else _Lost("removed", "the address holds nothing")
    )


def _make(row: ManifestRow, source: Path | _Lost, output: Path) -> Path | _Lost:
    """Make one clip with its sound and reference frame."""
    if isinstance(source, _Lost):
        return source
    try:
        target = _target(row, source, output)
        target.parent.mkdir(parents=True, exist_ok=True)
        if row.end is None and row.crop is None:
            place(source, target)
        else:
            end = row.end if row.end is not None else media.probe(source).duration
            cut(source, Piece(row.start, end, row.crop), target, _encoding(row))
        _beside(row, source, target, output)
    except (MediaError, OSError) as error:
        return _Lost(getattr(error, "reason", "unreadable"), str(error))
    except InputError as error:
        return _Lost("bad-row", str(error))
    return target


def _target(row: ManifestRow, source: Path, output: Path) -> Path:
    listed = PurePosixPath(row.path or "").suffix.lower()
    suffix = listed if listed in VIDEO | AUDIO_SUFFIXES else source.suffix.lower()
    if row.end is not None or row.crop is not None:
        suffix = SUFFIX
    return inside(output, f"{CLIPS}/{safe_name(row.clip_id)}{suffix}")


def _encoding(row: ManifestRow) -> Encoding:
    wanted = {k: row.tools[k] for k in ("crf", "preset", "threads", "audio_kbps") if k in row.tools}
    return from_plain(Encoding, wanted, f"{row.clip_id}: tools")


def _beside(row: ManifestRow, source: Path, clip: Path, output: Path) -> None:
    """The clip's sound and reference frame, where the row lists them."""
    name = safe_name(row.clip_id)
    if row.audio_original is not None and row.end is not None:
        write_original(source, row.start, row.end, output / f"{AUDIO}/{name}.flac")
    if row.audio is not None:
        write_mono(clip, output / f"{AUDIO}/{name}.wav")
    if row.reference_frame is not None and row.reference_time is not None:
        from PIL import Image

        index = media.frame_index(clip)
        frames = media.read_frames(clip, [int(index.at([row.reference_time])[0])], index)
        picture = frames.pixels[0]
        if row.tools.get("anonymised"):
            picture = blur_faces(picture, face_boxes(picture))
        with atomic_write(output / f"{FRAMES}/{name}.jpg") as stream:
            Image.fromarray(picture).save(stream, "jpeg", quality=95, subsampling=0)


def _compared(made: Path | _Lost, row: ManifestRow, manifest: Manifest, store: Store) -> Rebuilt:
    listed = _digest(row)
    if isinstance(made, _Lost):
        return Rebuilt(row.clip_id, "gone", made.reason, made.detail[:500], row=listed)
    sha256 = sha256_file(made)
    about: dict[str, Any] = {"row": listed, "sha256": sha256, "stamp": stamp(made)}
    if sha256 == row.sha256:
        return Rebuilt(row.clip_id, "identical", **about)
    count = media.probe(made).n_frames
    if row.media is not None and abs(count - row.media.n_frames) > 1:
        said = f"{row.media.n_frames} frames are listed, {count} are there"
        return Rebuilt(row.clip_id, "changed", "length", said, **about)
    store.measure([(row.clip_id, made, sha256)], "compare")
    feature = store.read("fingerprints", sha256)
    ours = prints_of(feature.values) if feature and feature.outcome.status == "ok" else None
    theirs = _listed_prints(row, manifest, store)
    if ours is None or theirs is None or not len(theirs.frames):
        return Rebuilt(row.clip_id, "changed", "no-fingerprint", "nothing to compare by", **about)
    frames = _distance(ours.frames, theirs.frames)
    audio = _distance(ours.audio, theirs.audio) if len(theirs.audio) else None
    about |= {"frames": round(frames, 4), "audio": None if audio is None else round(audio, 4)}
    if frames > FRAMES_BOUND:
        return Rebuilt(row.clip_id, "changed", "picture", **about)
    if audio is not None and audio > AUDIO_BOUND:
        return Rebuilt(row.clip_id, "changed", "sound", **about)
    ffmpeg = tools()["ffmpeg_sha256"] == row.tools.get("ffmpeg_sha256")
    detail = "" if ffmpeg else "another ffmpeg than the one it was made with"
    return Rebuilt(row.clip_id, "equivalent", detail=detail, **about)


def _listed_prints(row: ManifestRow, manifest: Manifest, store: Store) -> Prints | None:
    """Fingerprints of the listed clip: from its row, or of its file where it is still there."""
    if row.phash is not None:
        try:
            return Prints(
                from_hex(row.phash, np.uint64), from_hex(row.audio_print or "", np.uint32)
            )
        except ValueError:
            return None
    try:
        file = manifest.file(row)
    except UnsafePathError:
        return None
    if file is None or not file.is_file() or sha256_file(file) != row.sha256:
        return None
    store.measure([(row.clip_id, file, str(row.sha256))], "compare")
    feature = store.read("fingerprints", str(row.sha256))
    return prints_of(feature.values) if feature and feature.outcome.status == "ok" else None


def _distance(a: Any, b: Any) -> float:
    """Share of differing bits; of unequal lengths what is missing counts as half."""
    shared, longest = min(len(a), len(b)), max(len(a), len(b))
    if not shared:
        return 0.5
    if longest - shared > max(2, longest // 10):
        return 0.5
    return bit_distance(a[:shared], b[:shared])


def _digest(row: ManifestRow) -> str:
    return digest({k: v for k, v in to_plain(row).items() if k != "stamp"})


def _still(old: Rebuilt, row: ManifestRow, output: Path) -> bool:
    """Whether an earlier run made this row already."""
    if not old.good or old.row != _digest(row) or old.stamp is None:
        return False
    files = (output / CLIPS).glob(f"{_escaped(safe_name(row.clip_id))}.*")
    return any(stamp(file) == old.stamp for file in files)


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "[]*?" else c for c in name)


def _earlier(output: Path) -> dict[str, Rebuilt]:
    found: dict[str, Rebuilt] = {}
    for one in _lines(output / REPORT_NAME):
        found[one.clip_id] = one
    return found


def _lines(path: Path) -> Iterator[Rebuilt]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for number, line in enumerate(lines, start=1):
        try:
            yield from_plain(Rebuilt, json.loads(line), f"{path.name}:{number}")
        except (ValueError, RecursionError, InputError) as error:
            _log.info("passed over: %s", error)


def _write(results: Sequence[Rebuilt], manifest: Manifest, output: Path) -> None:
    """The manifest of what was made, and the report, whole."""
    rows: Mapping[str, ManifestRow] = {row.clip_id: row for row in manifest.rows}
    kept: list[ManifestRow] = []
    rest: list[ManifestRow] = []
    for one in results:
        row = rows.get(one.clip_id)
        if row is None or one.status == "taken-down":
            continue
        if not one.good:
            rest.append(replace(row, path=None, stamp=None, reason=one.reason or one.status))
            continue
        name = safe_name(row.clip_id)
        clip = next(
            p for p in (output / CLIPS).glob(f"{_escaped(name)}.*") if stamp(p) == one.stamp
        )
        audio, frame = f"{AUDIO}/{name}.wav", f"{FRAMES}/{name}.jpg"
        original = f"{AUDIO}/{name}.flac"
        kept.append(
            replace(
                row,
                path=clip.relative_to(output).as_posix(),
                sha256=one.sha256,
                stamp=one.stamp,
                media=row.media if one.status == "identical" else media.probe(clip),
                audio=audio if (output / audio).is_file() else None,
                audio_original=original if (output / original).is_file() else None,
                reference_frame=frame if (output / frame).is_file() else None,
            )
        )
    write_manifest(output / MANIFEST_NAME, kept)
    write_manifest(output / REJECTED_NAME, rest)
    with atomic_write(output / REPORT_NAME) as stream:
        for one in results:
            stream.write(canonical_json(to_plain(one)).encode() + b"\n")
