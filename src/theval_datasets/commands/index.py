"""`theval-data index`: fingerprints and face embeddings of a set, to keep another set disjoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from theval_datasets.errors import InputError
from theval_datasets.utils.optional import need
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from .options import Address, CacheLocation, EngineName, Manifest, StrPath, Workers


@dataclass(frozen=True, slots=True)
class IndexReport(Report):
    """Result of indexing.

    Attributes:
        index: Path of the index.
        clips: Number of clips in it.
        people: Number of face embeddings in it.
        identities: Number of persons these embeddings are of.
        missing: Reason by clip, for clips that are not in it.
        note: Reason why it holds no face embeddings at all; "" if they could be computed.
    """

    index: Path
    clips: int
    people: int
    identities: int
    missing: dict[str, str]
    note: str = ""

    @property
    def exit_code(self) -> int:
        """1 if a clip could not be indexed, else 0."""
        return int(bool(self.missing))

    def table(self) -> list[dict[str, Any]]:
        """One row per clip that is not in the index."""
        return [{"clip_id": name, "reason": reason} for name, reason in self.missing.items()]

    def to_text(self) -> str:
        """Counts, and the clips that are not in the index."""
        lines = [
            f"{count_of(self.clips, 'clip')} and {count_of(self.people, 'embedding')} of "
            f"{count_of(self.identities, 'person', 'people')} in "
            f"{self.index}"
        ]
        lines += [f"  not in it: {k} ({v})" for k, v in self.missing.items()]
        lines += [f"  note: {self.note}"] if self.note else []
        return "\n".join(lines)


def index(
    manifest: Manifest,
    output: Annotated[StrPath, typer.Option("-o", "--output", metavar="FILE")],
    *,
    cache: CacheLocation = None,
    engine: EngineName = "local",
    address: Address = None,
    workers: Workers = None,
) -> IndexReport:
    """Write an index of a set's clips and people, which curate uses to keep another set disjoint.

    Args:
        manifest: Manifest of the set, or its folder.
        output: File for the index.
        cache: Path or URL of the feature cache. Default: the cache that ``extract`` fills.
        engine: Engine that measures the clips: processes of this machine, or a Ray cluster. The index
            itself is made by this process.
        address: Address of the Ray cluster. Default: a cluster started on this machine.
        workers: Number of processes. Default: the number of cores.

    Raises:
        InputError: The manifest lists no clip.
    """
    import numpy as np

    from theval_datasets.curation.duplicates.matching import prints_of
    from theval_datasets.curation.duplicates.reference_index import (
        ReferenceClip,
        recogniser,
        write_index,
    )
    from theval_datasets.engines.choose import engine_of
    from theval_datasets.errors import ThevalError, UnsafePathError
    from theval_datasets.extraction.cache import default_location
    from theval_datasets.extraction.jobs import ClipJob
    from theval_datasets.extraction.measure import compute
    from theval_datasets.extraction.store import FeatureStore
    from theval_datasets.features.arcface import Arcface
    from theval_datasets.features.fingerprints import Fingerprints
    from theval_datasets.manifest.rows import read_manifest

    output = Path(output)
    rows = read_manifest(Path(manifest))
    need("media")
    jobs: list[ClipJob] = []
    missing: dict[str, str] = {}
    for row in rows.rows:
        try:
            file = rows.file(row)
        except UnsafePathError:
            missing[row.clip_id] = "unsafe"
            continue
        if file is not None and row.sha256 is not None:
            jobs.append(ClipJob(row.clip_id, str(file.resolve()), row.sha256))
    if not jobs and not missing:
        raise InputError(f"{manifest} lists no clip: there is nothing to index")
    Arcface().fetch_weights()
    store = FeatureStore((Fingerprints(), Arcface()), str(cache or default_location()))
    with engine_of(engine, address, workers) as runs_on:
        compute(store, jobs, runs_on, "index")
    pack = note = ""
    try:
        pack = recogniser()
    except ThevalError as error:
        note = f"no face embeddings, so only recordings can be recognised, not people: {error}"
    references: list[ReferenceClip] = []
    for job in jobs:
        prints = store.find("fingerprints", job.sha256)
        if prints is None or prints.outcome.status != "ok":
            missing[job.clip_id] = (prints.outcome.reason if prints else None) or "not-measured"
            continue
        faces = store.find("arcface", job.sha256)
        known = faces is not None and faces.outcome.status == "ok"
        people = (
            faces.values["person_embedding"] if known and faces else np.zeros((0, 0), np.float32)
        )
        references.append(
            ReferenceClip(job.clip_id, prints_of(prints.values), people, pack if known else "")
        )
    write_index(output, references)
    embeddings = [entry.people for entry in references if entry.people.size]
    return IndexReport(
        output,
        len(references),
        sum(map(len, embeddings)),
        _identities(embeddings),
        missing,
        note,
    )


def _identities(embeddings: Sequence[Any]) -> int:
    """Number of persons that embeddings, float32 (n, dim) each, are of."""
    import numpy as np

    from theval_datasets.curation.duplicates.face_index import FaceIndex
    from theval_datasets.curation.filters.identity_balance import IdentityBalance

    if not embeddings:
        return 0
    who = FaceIndex(np.concatenate(embeddings)).identities(IdentityBalance().min_cosine)
    return int(who.max()) + 1
