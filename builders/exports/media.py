"""Media files of exported questions: from a folder, or from the dataset itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError, MediaError
from theval_datasets.manifest.info import Info
from theval_datasets.manifest.joins import ClipIndex, join_clips
from theval_datasets.manifest.rows import MANIFEST_NAME, read_manifest
from theval_datasets.utils.files import atomic_write

from ..tables.media import sound
from .examples import file_names, rows_of

_VIDEO: Final = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".gif")
_SOUND: Final = (".wav", ".flac", ".mp3", ".m4a", ".ogg")


@dataclass
class ExportedMedia:
    """Addresses of files by clip.

    Attributes:
        videos: Path of the video as written into the export.
        audios: Path of the sound as written into the export.
        reasons: Reason why a clip lacks a file.
    """

    videos: dict[str, str] = field(default_factory=dict)
    audios: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class MediaPlace:
    """Source of the files, and their paths in the export.

    Args:
        dataset: Folder of the built dataset.
        info: Contents of its `info.json`.
        media: Folder with the videos; None for those in the dataset's config `media`.
        out: Final folder of the export.
        part: Temporary folder of the export, which is renamed to `out` in the end.
        prefix: Text instead of the absolute path of `media`, for training on another machine.

    Raises:
        InputError: There are no videos.
    """

    def __init__(
        self,
        dataset: Path,
        info: Info,
        media: Path | None,
        out: Path,
        part: Path,
        prefix: str | None,
    ) -> None:
        if media is None and "media" not in info.configs:
            raise InputError(
                f"{info.dataset} holds no videos: name the folder that has them with --media FOLDER"
            )
        if media is None and prefix is not None:
            raise InputError("--prefix stands for the folder of --media, which was not given")
        self._dataset, self._info, self._media = dataset, info, media
        self._names: dict[str, str] = {}
        self._out, self._part, self._prefix = out.absolute(), part, prefix

    def files(self, clips: Collection[str], *, sound_too: bool) -> ExportedMedia:
        """The files of some clips.

        Args:
            clips: Ids of the clips.
            sound_too: Whether sound is needed as a separate file.

        Raises:
            InputError: No file matches any clip, or several match one.
        """
        files = ExportedMedia()
        self._names = file_names(clips)
        if self._media is None:
            self._from_dataset(set(clips), files, sound_too)
        else:
            self._from_folder(self._media, clips, files, sound_too)
        for clip in clips:
            if clip not in files.videos:
                files.reasons.setdefault(clip, "no-video")
        return files

    @cached_property
    def silent(self) -> set[str]:
        """Clips without sound, according to the dataset's manifest."""
        path = self._dataset / MANIFEST_NAME
        if not path.is_file():
            return set()
        rows = read_manifest(path).rows
        return {r.clip_id for r in rows if r.media is not None and r.media.audio_codec is None}

    def _from_folder(
        self, media: Path, clips: Collection[str], files: ExportedMedia, sound_too: bool
    ) -> None:
        if not media.is_dir():
            raise InputError(f"--media {media}: expected a folder with videos")
        videos = _files(media, _VIDEO)
        if not videos:
            raise InputError(f"--media {media} holds no video ({', '.join(_VIDEO)})")
        matched = join_clips("--media", videos, clips).matched
        files.videos = {clip: self._named(media, name) for name, clip in matched.items()}
        if not sound_too:
            return
        index = ClipIndex(clips)
        for name in _files(media, _SOUND):
            clip = index.match(name, "--media")
            if clip is not None:
                files.audios.setdefault(clip, self._named(media, name))
        for name, clip in matched.items():
            if clip not in files.audios:
                try:
                    data, suffix = sound(media / name)
                except MediaError as error:
                    files.reasons[clip] = error.reason
                else:
                    files.audios[clip] = self._write("audio", clip, suffix, data)

    def _from_dataset(self, clips: set[str], files: ExportedMedia, sound_too: bool) -> None:
        columns = ["clip_id", "video", *(["audio"] if sound_too else [])]
        for row in rows_of(self._dataset, self._info, "media", columns, at_once=1):
            clip = row["clip_id"]
            for column, places in (("video", files.videos), ("audio", files.audios)):
                cell = row.get(column)
                if clip in clips and cell is not None and cell["bytes"]:
                    suffix = Path(cell["path"] or "").suffix.lower()
                    known = suffix if suffix in (*_VIDEO, *_SOUND) else ".mp4"
                    places[clip] = self._write(column, clip, known, cell["bytes"])

    def _named(self, media: Path, name: str) -> str:
        if self._prefix is not None:
            return f"{self._prefix.rstrip('/')}/{name}"
        return str(media.resolve() / name)

    def _write(self, kind: str, clip: str, suffix: str, data: bytes) -> str:
        name = self._names[clip] + suffix
        with atomic_write(self._part / kind / name) as stream:
            stream.write(data)
        return str(self._out / kind / name)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Paths below a folder with given suffixes, without hidden ones."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in paths
        if path.suffix.lower() in suffixes and not any(p.startswith(".") for p in path.parts)
    )
