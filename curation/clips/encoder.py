"""ffmpeg jobs, whose errors distinguish faults of the media from faults of the storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from theval_datasets import media
from theval_datasets.errors import BrokenMediaError
from theval_datasets.utils.files import storage_error

_PRINTED: Final = 300  # largest number of characters of ffmpeg's messages that are kept


def run_ffmpeg(job: Any, target: Path, failing: str) -> None:
    """Run an ffmpeg job.

    Args:
        job: Job of `ffmpeg-python`.
        target: Output file.
        failing: Beginning of the error message.

    Raises:
        BrokenMediaError: The job failed; the error ends with ffmpeg's last message.
        StorageError: The output cannot be written.
    """
    import ffmpeg

    try:
        job.run(cmd=media.ffmpeg_binary(), capture_stdout=True, capture_stderr=True)
    except ffmpeg.Error as error:
        printed = error.stderr.decode(errors="replace").strip()[-_PRINTED:]
        if fault := storage_error(printed, target):
            raise fault from None
        raise BrokenMediaError(f"{failing}: {printed}") from None
