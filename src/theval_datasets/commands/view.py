"""`theval-data view`: an explorer of a built dataset, for the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from .options import Folder, StrPath

if TYPE_CHECKING:
    from theval_datasets.cards.explorer.server import FolderServer
    from theval_datasets.cards.explorer.write import Explorer


@dataclass(frozen=True, slots=True)
class ViewReport(Report):
    """The explorer that was written, and the server that shows it.

    Attributes:
        explorer: Written explorer.
        server: Server of the explorer; None if it is not served.
    """

    explorer: Explorer
    server: FolderServer | None = None

    @property
    def page(self) -> Path:
        """Address or path of the page."""
        return self.explorer.folder / "index.html"

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "page": str(self.page),
            "address": self.server.address if self.server else None,
            "clips": self.explorer.clips,
            "files": self.explorer.files,
            "bytes": self.explorer.n_bytes,
            "notes": list(self.explorer.notes),
        }

    def to_text(self) -> str:
        """Number of clips and files, and the path of the page."""
        size = self.explorer.n_bytes / 1e6
        lines = [
            f"{count_of(self.explorer.clips, 'clip')} in {self.explorer.files:,} files, {size:.1f} MB"
        ]
        if self.server:
            lines.append(f"open {self.server.address} (Ctrl-C ends)")
        return "\n".join([*lines, f"page: {self.page}"])

    def wait(self) -> None:
        """Serve until Ctrl-C; return at once if nothing is served."""
        if self.server:
            self.server.wait()


def view(
    folder: Folder,
    *,
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="DIR")] = None,
    media: bool = True,
    mesh: bool = True,
    serve: bool = False,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N")] = 0,
) -> ViewReport:
    """Write an explorer of a built dataset: table, plots, and each clip with what was measured.

    The page needs no network and no server: it can be opened as a file, or put on the Hub as a
    static Space.

    Args:
        folder: Folder of the built dataset.
        output: Folder for the explorer. Default: NAME-view in the current folder.
        media: Write videos, stills and portraits beside the page.
        mesh: Write meshes beside the page, to draw over the videos.
        serve: Serve the explorer on this machine's loopback address until Ctrl-C.
        port: Port of the server. Default: any that is free.

    Raises:
        InputError: The folder is no built dataset, or the output folder holds other things.
    """
    from theval_datasets.cards.explorer.server import FolderServer
    from theval_datasets.cards.explorer.write import write_explorer
    from theval_datasets.manifest.info import read_info
    from theval_datasets.utils.files import safe_name

    place = Path(output or f"{safe_name(read_info(Path(folder)).name)}-view")
    explorer = write_explorer(Path(folder), place, media=media, mesh=mesh)
    return ViewReport(explorer, FolderServer(place, port) if serve else None)
