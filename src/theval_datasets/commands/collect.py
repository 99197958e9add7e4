"""`theval-data collect`: rating studies in the browser."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report

from .options import Folder, Manifest, Output, StrPath, Workers

if TYPE_CHECKING:
    from theval_datasets.curation.collect.status import StudyStatus

Host = Annotated[str, typer.Option(metavar="ADDRESS")]
Port = Annotated[int, typer.Option(min=0, max=65535, metavar="PORT")]


@dataclass(frozen=True, slots=True)
class PrepareReport(Report):
    """A prepared study.

    Attributes:
        folder: Folder of the study.
        kind: Kind of the study.
        items: Number of clips or pairs by role.
        media: Number of files for browsers.
        seconds: Total length of the rated clips in seconds.
    """

    folder: Path
    kind: str
    items: dict[str, int]
    media: int
    seconds: float

    def to_text(self) -> str:
        """A summary, and the next command."""
        noun = "pairs" if self.kind == "pairwise" else "clips"
        parts = ", ".join(f"{count} {role}" for role, count in self.items.items() if count)
        return (
            f"{parts} {noun}, {self.media} files, {self.seconds / 60:.1f} min to rate\n"
            f"Serve it: theval-data collect serve {self.folder}"
        )


@dataclass(frozen=True, slots=True)
class CollectStatusReport(Report):
    """Progress of a study.

    Attributes:
        status: Participants, clips, agreement.
    """

    status: StudyStatus

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return self.status.to_plain()

    def table(self) -> list[dict[str, Any]]:
        """One row per participant."""
        return list(self.status.participants)

    def to_text(self) -> str:
        """Participants, votes per clip, agreement."""
        status = self.status
        lines = [
            f"{status.name}: {status.n_votes} votes of {len(status.participants)} participants"
        ]
        lines += [
            f"  {person['subject']}: {person['answered']} of {person['planned']}, traps {person['traps_passed']} "
            f"of {person['traps']}, golden {person['golden_passed']} of {person['golden']}"
            for person in status.participants
        ]
        votes = [clip["votes"] for clip in status.clips]
        lines.append(f"votes a clip: {min(votes)} to {max(votes)} over {len(votes)}")
        for name, value in status.agreement.items():
            again = status.repeats[name]
            lines.append(f"agreement, {name}: {_number(value)}; with themselves {_number(again)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class CollectExportReport(Report):
    """Exported files.

    Attributes:
        answers: Number of answers, those of training and checks included.
        files: Tables and marked stills.
    """

    answers: int
    files: tuple[Path, ...]

    def to_text(self) -> str:
        """The tables, and how many pictures."""
        tables = [str(file) for file in self.files if file.suffix != ".png"]
        pictures = len(self.files) - len(tables)
        more = [f"and {pictures} marked stills"] if pictures else []
        return "\n".join([f"{self.answers} answers", *(f"wrote {name}" for name in tables), *more])


def prepare_collection(
    plan: Annotated[StrPath, typer.Argument(metavar="PLAN")],
    manifest: Manifest,
    output: Output,
    *,
    workers: Workers = None,
) -> PrepareReport:
    """Prepare a rating study: convert its clips for browsers and fix what is shown.

    Clips are converted to H.264 and AAC and renamed so that their names reveal nothing; clips that an
    earlier run converted are kept.

    Args:
        plan: YAML file that says what is asked, how, and in which sessions.
        manifest: Manifest of the clips, or the folder it lies in.
        output: Folder for the study.
        workers: Number of processes. Default: the number of cores.

    Raises:
        InputError: The plan is not as it should be, or clips are missing or have no picture.
    """
    need("media")
    from theval_datasets.curation.collect.prepare import prepare_study
    from theval_datasets.engines.limits import default_workers

    folder = Path(output)
    study = prepare_study(Path(plan), Path(manifest), folder, workers=workers or default_workers())
    rated = study.of_role("rated")
    return PrepareReport(
        folder,
        study.plan.kind,
        {role: len(study.of_role(role)) for role in ("rated", "training", "golden")},
        len(study.media),
        round(sum(map(study.seconds_of, rated)), 1),
    )


def serve_collection(
    folder: Folder,
    *,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    root_path: Annotated[str, typer.Option(metavar="PATH")] = "",
    proxies: Annotated[Sequence[str], typer.Option("--proxy", metavar="HOST")] = (),
) -> CollectStatusReport:
    """Serve a prepared study to participants' browsers, until it is interrupted.

    The addresses for participants and for the curator are printed on standard error. Both hold
    secrets: who knows the first can take part, who knows the second sees the results.

    Args:
        folder: Folder of the study.
        host: Address to listen on; ``0.0.0.0`` for every one of this machine.
        port: Port to listen on; 0 for a free one.
        root_path: Path below which a reverse proxy serves the study.
        proxies: Host of a reverse proxy whose forwarding headers are believed; may be repeated.

    Raises:
        InputError: The folder holds no study, its media changed, or it is being served already.
    """
    need("collect")
    from theval_datasets.curation.collect.prepared import check_media, read_prepared
    from theval_datasets.curation.collect.server import StudyServer, serve
    from theval_datasets.curation.collect.status import study_status
    from theval_datasets.curation.collect.store import Store
    from theval_datasets.errors import InputError
    from theval_datasets.utils.locks import locked

    folder = Path(folder)
    if root_path and not root_path.startswith("/"):
        raise InputError(f"expected a --root-path that begins with a slash, got {root_path!r}")
    study = read_prepared(folder)
    check_media(folder, study)
    with locked(folder, "collect serve"), Store(folder, study) as store:
        server = StudyServer(folder, store, root_path=root_path)

        def ready(origin: str) -> None:
            sys.stderr.write(
                f"For participants: {origin}{server.participant_path}\n"
                f"For the curator:  {origin}{server.curator_path}\n"
                "Ctrl-C ends it; every answer that was acknowledged is on disk.\n"
            )
            sys.stderr.flush()

        serve(server, host=host, port=port, proxies=proxies, ready=ready)
        return CollectStatusReport(study_status(store, time.time()))


def collection_status(folder: Folder) -> CollectStatusReport:
    """Show participants, progress, votes a clip and agreement of a study, also while it is served.

    Args:
        folder: Folder of the study.

    Raises:
        InputError: The folder holds no study, or nobody has taken part.
    """
    from theval_datasets.curation.collect.prepared import read_prepared
    from theval_datasets.curation.collect.status import study_status
    from theval_datasets.curation.collect.store import Store

    folder = Path(folder)
    with Store(folder, read_prepared(folder), readonly=True) as store:
        return CollectStatusReport(study_status(store, time.time()))


def export_collection(folder: Folder, output: Output) -> CollectExportReport:
    """Export the answers of a study as tables that `study` and `build` take as they are.

    Args:
        folder: Folder of the study; it may be served meanwhile.
        output: Folder for the tables and marked stills.

    Raises:
        InputError: The folder holds no study, or nobody has taken part.
    """
    from theval_datasets.curation.collect.export import export_study
    from theval_datasets.curation.collect.prepared import read_prepared
    from theval_datasets.curation.collect.store import Store

    folder = Path(folder)
    with Store(folder, read_prepared(folder), readonly=True) as store:
        files = export_study(folder, store, Path(output))
        return CollectExportReport(sum(1 for _ in store.answers()), tuple(files))


def demo_collection(
    output: Output = "study-demo",
    *,
    kind: Literal["score", "sliders-and-marks", "pairwise"] = "score",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Workers = None,
) -> CollectStatusReport:
    """Make a small study of sample clips and serve it, to see what participants see.

    A second run continues the same study.

    Args:
        output: Folder for the clips, the plan and the study.
        kind: Kind of study.
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        workers: Number of processes. Default: the number of cores.

    Raises:
        MissingExtraError: Without the extras ``[demo]`` and ``[collect]``.
    """
    need("media")
    need("collect")
    from theval_datasets.curation.collect.prepared import STUDY_NAME
    from theval_datasets.engines.limits import default_workers

    from .curate import curate

    folder = Path(output) / kind
    study = folder / "study"
    if not (study / STUDY_NAME).is_file():
        need("demo")
        from theval_datasets.demo.study import make_study

        workers = workers or default_workers()
        plan = make_study(folder, kind, workers=workers)
        curate(
            [str(folder / "clips")], folder / "work", recipe="as-is", root=folder, workers=workers
        )
        prepare_collection(plan, folder / "work", study, workers=workers)
    return serve_collection(study, host=host, port=port)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
