"""`theval-data export`: a built dataset in the format of a trainer of multimodal models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from theval_datasets.utils.report import Report
from theval_datasets.utils.text import some_names

from .options import Folder, Output, StrPath

if TYPE_CHECKING:
    from theval_datasets.builders.exports.export import Export

Trainer = Literal["ms-swift", "llama-factory", "lmme3dhf"]


@dataclass(frozen=True)
class ExportReport(Report):
    """Result of an export.

    Attributes:
        export: The written export.
    """

    export: Export

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        made = self.export
        return {
            "folder": str(made.folder),
            **made.to_plain(),
            "advice": list(made.advice),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per config and part."""
        return [{"config": name, "rows": count} for name, count in self.export.rows.items()]

    def to_text(self) -> str:
        """For people."""
        made = self.export
        lines = [f"{made.dataset} for {made.trainer} in {made.folder}, split {made.split}"]
        lines += [f"  {name:<28} {count:,} questions" for name, count in made.rows.items()]
        lines += [
            f"  saliency/{part:<19} {n:,} stills with maps" for part, n in made.saliency.items()
        ]
        for reason, clips in made.left_out.items():
            lines.append(f"  left out, {reason}: {some_names(clips)}")
        return "\n".join([*lines, *made.advice])


def export(
    folder: Folder,
    output: Output,
    *,
    trainer: Annotated[Trainer, typer.Option("--for")],
    media: Annotated[StrPath | None, typer.Option(metavar="FOLDER")] = None,
    prefix: Annotated[str | None, typer.Option(metavar="PATH")] = None,
    split: Annotated[str | None, typer.Option(metavar="official|grouped|fold-N")] = None,
) -> ExportReport:
    """Export the questions and answers of a built dataset as a trainer reads them, unedited.

    Datasets with questions are ``gen3dhf`` and ``thqa-mt``. Clips without a file are left out and listed.

    Args:
        folder: Folder of the built dataset.
        output: Folder to write to; an earlier export there is replaced.
        trainer: Trainer: ``ms-swift``, ``llama-factory``, or the published code of ``lmme3dhf``.
        media: Folder with the videos, named by ``clip_id``. Default: those in the dataset's config
            ``media``, which are written to the output folder.
        prefix: Path of that folder on the machine that trains. Default: its path here.
        split: Split into train and eval: the published one, the one whose parts share no seed, or the one
            that holds out fold 0 to 4. Default: the first of these that the dataset has.

    Raises:
        InputError: The folder is no such dataset, no video was found, or the trainer expects other scores.
    """
    from theval_datasets.builders.exports.export import export_dataset

    made = export_dataset(
        Path(folder),
        Path(output),
        trainer,
        media=None if media is None else Path(media),
        prefix=prefix,
        split=split,
    )
    return ExportReport(made)
