"""ffmpeg jobs, with errors of the kind that is to blame."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from theval_datasets import media
from theval_datasets.errors import BrokenMediaError
from theval_datasets.utils.files import storage_error

_PRINTED: Final = 300  # characters of what ffmpeg prints that are kept


def run_ffmpeg(job: Any, target: Path, failing: str) -> None:
    """Run an ffmpeg job.

    Args:
        job: Of `ffmpeg-python`.
        target: The file that it makes in the end.
        failing: Beginning of the message, should it fail.

    Raises:
        BrokenMediaError: It fails; the message ends with what ffmpeg printed last.
        StorageError: It fails because nothing can be written there.
    """
    import ffmpeg

    try:
        job.run(cmd=media.ffmpeg_binary(), capture_stdout=True, capture_stderr=True)
    except ffmpeg.Error as error:
        printed = error.stderr.decode(errors="replace").strip()[-_PRINTED:]
        if fault := storage_error(printed, target):
            raise fault from None
        raise BrokenMediaError(f"{failing}: {printed}") from None
