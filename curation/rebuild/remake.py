"""One clip made again as its row says. A row is untrusted: it names places below a root and http(s)
addresses, numbers, and words that are checked against lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from theval_datasets import media
from theval_datasets.errors import InputError, MediaError, UnsafePathError
from theval_datasets.manifest.rows import ManifestRow
from theval_datasets.utils.files import inside, safe_name
from theval_datasets.utils.records import from_plain

from ..clips.anonymise import anonymised
from ..clips.audio_tracks import write_mono, write_original
from ..clips.cut import SUFFIX, Encoding, Piece, cut
from ..clips.files import AUDIO, CLIPS, FRAMES, place
from ..clips.reference_frame import write_frame
from ..sources.base import SourceFile
from ..sources.choose import source_of
from ..sources.fetching.options import FetchOptions
from ..sources.local import SUFFIXES


@dataclass(frozen=True, slots=True)
class Lost:
    """Why there is no clip.

    Attributes:
        reason: Slug.
        detail: For people.
    """

    reason: str
    detail: str


def source_file(row: ManifestRow, root: Path, output: Path, fetch: FetchOptions) -> Path | Lost:
    """The file of a row's source, fetched if need be.

    Args:
        row: Its source counts.
        root: What local sources are relative to.
        output: Where fetched files go.
        fetch: How to fetch.
    """
    if row.source.kind == "local":
        try:
            path = inside(root, row.source.location)
        except UnsafePathError as error:
            return Lost("unsafe", str(error))
        if not path.is_file():
            said = f"there is no file {row.source.location} below {root}; --root names another"
            return Lost("missing", said)
        return path
    try:
        if "://" not in row.source.location:
            raise UnsafePathError(f"expected an http(s) address, got {row.source.location!r}")
        items = list(source_of(row.source.location, output, fetch=fetch).items())
    except InputError as error:
        return Lost("unsafe", str(error))
    if not items:
        return Lost("removed", "the address holds nothing")
    if len(items) > 1:
        return Lost("playlist", "the address holds several videos now")
    (item,) = items
    return item.path if isinstance(item, SourceFile) else Lost(item.reason, item.detail)


def remake(row: ManifestRow, source: Path | Lost, output: Path) -> Path | Lost:
    """Make one clip with its sound and reference frame.

    Args:
        row: What is listed.
        source: Of `source_file`.
        output: The new manifest's folder.
    """
    if isinstance(source, Lost):
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
        return Lost(getattr(error, "reason", "unreadable"), str(error))
    except InputError as error:
        return Lost("bad-row", str(error))
    return target


def _target(row: ManifestRow, source: Path, output: Path) -> Path:
    listed = PurePosixPath(row.path or "").suffix.lower()
    suffix = listed if listed in SUFFIXES else source.suffix.lower()
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
        index = media.frame_index(clip)
        frames = media.read_frames(clip, [int(index.at([row.reference_time])[0])], index)
        picture = frames.pixels[0]
        if row.tools.get("anonymised"):
            picture = anonymised(picture)
        write_frame(output / f"{FRAMES}/{name}.jpg", picture)
