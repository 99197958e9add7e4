"""`theval-data import`: the clips of another dataset's list as a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from theval_datasets import catalog
from theval_datasets.errors import InputError
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from . import completion
from .options import Output, StrPath

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ImportReport(Report):
    """Result of the import of a list.

    Attributes:
        format: Of the list.
        manifest: Of the clips that can be made.
        clips: Their number.
        sources: Number of sources that they are cut from.
        rejected: By reason, the number of entries in which something is wrong.
        faults: Each of these entries: id, place in the list, reason, detail.
    """

    format: str
    manifest: Path
    clips: int
    sources: int
    rejected: Mapping[str, int]
    faults: tuple[Mapping[str, Any], ...]

    def table(self) -> list[dict[str, Any]]:
        """One row per entry in which something is wrong."""
        return [dict(fault) for fault in self.faults]

    def to_text(self) -> str:
        """Counts, and the first entries in which something is wrong."""
        lines = [
            f"{count_of(self.clips, 'clip')} of {count_of(self.sources, 'source')} in {self.manifest}"
        ]
        if self.faults:
            counts = ", ".join(f"{count} × {reason}" for reason, count in self.rejected.items())
            lines.append(
                f"{count_of(len(self.faults), 'entry', 'entries')} cannot be made, in rejected.jsonl: {counts}"
            )
            lines += [
                f"  {fault['reason']}: {fault['id']} ({fault['place']}): {fault['detail']}"
                for fault in self.faults[:_SHOWN]
            ]
            if len(self.faults) > _SHOWN:
                lines.append(f"  and {len(self.faults) - _SHOWN} more")
        lines.append(f"make them: theval-data rebuild {self.manifest.parent} -o DIR")
        return "\n".join(lines)


def import_list(
    clips: Annotated[StrPath, typer.Argument(metavar="LIST")],
    output: Output,
    *,
    form: Annotated[str, typer.Option("--as", metavar="FORMAT", autocompletion=completion.lists)],
    address: Annotated[str | None, typer.Option(metavar="URL")] = None,
) -> ImportReport:
    """Import the clip list of another dataset as a manifest, from which ``rebuild`` makes the clips.

    Args:
        clips: File or folder of the list, as its dataset publishes it.
        output: Folder for the manifest.
        form: Format of the list: hdtf, celebv-hq, celebv-text, voxceleb2, avspeech, talkvid,
            talkinghead-1kh, or csv for a table of one's own.
        address: Address of a source by its id, with ``{id}`` in it, for lists that name ids. Default:
            the address at YouTube.

    Raises:
        InputError: It is no list of that format, or lists nothing, or the output folder holds a manifest
            with clips that were made.
    """
    from theval_datasets.curation.lists.base import YOUTUBE
    from theval_datasets.curation.lists.rows import import_rows, reasons, write_rows
    from theval_datasets.manifest.rows import MANIFEST_NAME

    path, output = Path(clips), Path(output)
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    reader = catalog.load("list", form)(address or YOUTUBE)
    imported = import_rows(reader, path)
    if not imported.kept and not imported.rejected:
        raise InputError(f"{path} lists no clip: expected a list of the format {reader.NAME}")
    write_rows(imported, output)
    return ImportReport(
        reader.NAME,
        output / MANIFEST_NAME,
        len(imported.kept),
        len({row.source.location for row in imported.kept}),
        reasons(imported.rejected),
        tuple(
            {
                "id": row.listed.id,
                "place": row.listed.place,
                "reason": row.reason,
                "detail": row.judgements[0].measured["detail"],
            }
            for row in imported.rejected
            if row.listed is not None
        ),
    )
