"""SIGKILL at random moments of every command: a second run must give the bytes of an undisturbed one."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults._runs import Tally, command, contents, difference, run
from theval_datasets.media import ffmpeg_binary

_HUB = Path(__file__).resolve().parents[2] / "tests" / "hub"
REPOSITORY = "someone/killed"
CLIP = "clips/a"


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        name: Name of the command.
        words: Arguments; ``{}`` stands for the folder of the trial.
        results: Folders below that of the trial whose contents must be the same.
        hub: Whether the command uses the Hub.
    """

    name: str
    words: tuple[str, ...]
    results: tuple[str, ...]
    hub: bool = False


CASES = (
    Case("curate", ("curate", "{}/clips", "--recipe", "as-is", "-o", "{}/out"), ("out",)),
    Case("extract", ("extract", "{}/work", "--features", "audio_levels,fingerprints,picture",
                     "--cache", "{}/fresh"), ("fresh", "work")),
    Case("rebuild", ("rebuild", "{}/work", "-o", "{}/out"), ("out",)),
    Case("funnel", ("funnel", "{}/work", "-o", "{}/out"), ("out", "work")),
    Case("takedown", ("takedown", CLIP, "--date", "2026-01-02", "--manifest", "{}/work"), ("work",)),
    Case("build", ("build", "theval", "--manifest", "{}/work", "--cache", "{}/cache", "-o", "{}/out"),
         ("out", "work")),
    Case("index", ("index", "{}/work", "--cache", "{}/cache", "-o", "{}/out/index.jsonl"), ("out",)),
    Case("push", ("push", "{}/release/theval/theval", REPOSITORY), (), hub=True),
)  # fmt: skip


@dataclass
class Base:
    """Initial state of every trial.

    Attributes:
        folder: Folder with `clips`, the curated `work`, its `cache` and a built `release`.
        hub: Test server of the Hub.
        seconds: Duration of an undisturbed run in seconds, by name of the command.
        expected: Contents that an undisturbed run leaves, by name of the command.
    """

    folder: Path
    hub: Any
    seconds: dict[str, float] = field(default_factory=dict)
    expected: dict[str, dict[str, str]] = field(default_factory=dict)


@contextmanager
def prepared() -> Iterator[Base]:
    """Two clips, curated, measured and built into a release; a Hub to push it to."""
    if str(_HUB) not in sys.path:
        sys.path.insert(0, str(_HUB))
    from hub_server import serving_hub

    with tempfile.TemporaryDirectory(prefix="theval-kills-") as name, serving_hub() as hub:
        folder = Path(name)
        clips = folder / "clips" / "clips"
        clips.mkdir(parents=True)
        for number, stem in enumerate("ab", start=1):
            picture = f"testsrc2=size=320x240:rate=25:duration={number + 1}"
            sound = f"sine=frequency={220 * number}:duration={number + 1}"
            words = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-shortest"]
            target = str(clips / f"{stem}.mp4")
            subprocess.run(
                [ffmpeg_binary(), "-loglevel", "error", "-nostdin", *words, target], check=True
            )
        for line in (
            command("curate", folder / "clips", "--recipe", "as-is", "-o", folder / "work"),
            command("extract", folder / "work", "--features", "audio_levels,fingerprints,picture",
                    "--cache", folder / "cache"),
            command("build", "theval", "--manifest", folder / "work", "--cache", folder / "cache",
                    "-o", folder / "release"),
        ):  # fmt: skip
            ended = run(line)
            if ended.code != 0:
                raise RuntimeError(f"the undisturbed way ends with {ended.code}: {ended.err}")
        yield Base(folder, hub)


@contextmanager
def _trial(base: Base) -> Iterator[Path]:
    """A copy of the initial state with the same file times, at the same path in every trial."""
    place = base.folder.with_name(base.folder.name + "-trial")
    shutil.copytree(base.folder, place)
    base.hub.store.repos.clear()
    base.hub.store.large.clear()
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _run(case: Case, base: Base, place: Path, **more: Any) -> Any:
    words = command(*(word.replace("{}", str(place)) for word in case.words))
    env = {}
    if case.hub:
        from hub_client import environment
        from hub_server import WRITER

        env = {**environment(base.hub.url, place / "hf"), "HF_TOKEN": WRITER, "HF_HUB_OFFLINE": "0"}
    return run(words, env=env, **more)


def _left(case: Case, base: Base, place: Path) -> dict[str, str]:
    """Contents that a command leaves on this disk or at the Hub."""
    if not case.hub:
        return {
            f"{result}/{name}": value
            for result in case.results
            for name, value in contents(place / result).items()
        }
    repo = base.hub.store.repos[REPOSITORY]
    files = {path: blob.data.hex() for path, blob in repo.head.files.items()}
    return files | {f"tag {tag}": str(oid == repo.head.oid) for tag, oid in repo.tags.items()}


def undisturbed(case: Case, base: Base) -> None:
    """Record the duration of a command and the contents that it leaves."""
    with _trial(base) as place:
        ended = _run(case, base, place)
        if ended.code != 0 or ended.fault:
            raise RuntimeError(f"{case.name} ends with {ended.code}: {ended.fault}, {ended.err}")
        base.seconds[case.name] = ended.seconds
        base.expected[case.name] = _left(case, base, place)
        if not base.expected[case.name]:
            raise RuntimeError(f"{case.name} leaves nothing to compare")


def trial(case: Case, base: Base, moments: list[float]) -> str | None:
    """Kill a command at given moments, one run after another, then let it complete.

    Args:
        case: Command.
        base: Initial state.
        moments: Seconds after which each run is killed.

    Returns:
        The fault; None if there is none.
    """
    with _trial(base) as place:
        for moment in moments:
            ended = _run(case, base, place, kill_after=moment)
            if ended.survivors:
                return f"{case.name}: {ended.fault}"
        ended = _run(case, base, place)
        if ended.code != 0 or ended.fault:
            return f"{case.name}: exit code {ended.code}, {ended.fault}: {ended.err.strip()[-200:]}"
        fault = difference(base.expected[case.name], _left(case, base, place))
        return fault and f"{case.name}: {fault}"


def campaign(
    n: int,
    seed: int,
    until: float = float("inf"),
    *,
    which: Callable[[Case], bool] = lambda _: True,
) -> Iterator[Tally]:
    """Kill each command `n` times, at random moments of the duration of an undisturbed run.

    Args:
        n: Number of trials of each command.
        seed: Seed of the moments.
        until: Moment of the monotonic clock after which no further trial begins.
        which: Function that selects the commands to try.
    """
    with prepared() as base:
        for case in filter(which, CASES):
            tally = Tally(f"kills of {case.name}", until)
            undisturbed(case, base)
            chance = random.Random(f"{seed}-{case.name}")
            for _ in range(n):
                if not tally.goes_on:
                    break
                moments = [
                    chance.uniform(0.2, 1.0) * base.seconds[case.name]
                    for _ in range(chance.choice([1, 1, 2]))
                ]
                fault = trial(case, base, moments)
                tally.count(fault and f"{fault} (killed after {moments})")
            yield tally
