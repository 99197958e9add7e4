"""`theval-data predict`: scores clips with a trained metric."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from theval_datasets.errors import InputError
from theval_datasets.utils.records import to_plain
from theval_datasets.utils.report import Report
from theval_datasets.utils.text import count_of

from .options import CacheLocation, Settings, StrPath
from .train import built_rows

if TYPE_CHECKING:
    from theval_datasets.evaluation.correlation import Agreement
    from theval_datasets.training.saved import MetricConfig, Scored, TrainedMetric
    from theval_datasets.training.tables import FeatureRows


@dataclass(frozen=True, eq=False)
class PredictReport(Report):
    """Scores of clips by a trained metric.

    Attributes:
        metric: Folder of the metric.
        config: Description of the metric.
        data: Name of the dataset, or manifest, of the clips.
        clips: Scores, one per clip.
        n_seen: Number of these clips that the metric was trained on; None if that is unknown.
        agreement: Agreement with the target, over the clips that have it and that the metric was not
            trained on; None without any, or if these are unknown.
        file: Written file; None if the scores are printed.
    """

    metric: Path
    config: MetricConfig
    data: str
    clips: tuple[Scored, ...]
    n_seen: int | None = 0
    agreement: Agreement | None = None
    file: Path | None = None

    @property
    def exit_code(self) -> int:
        """1 if no clip could be scored, else 0."""
        return int(all(clip.score is None for clip in self.clips))

    def to_plain(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "metric": str(self.metric),
            "model": self.config.model,
            "target": self.config.target,
            "data": self.data,
            "clips": [to_plain(clip) for clip in self.clips],
            "trained_on": self.n_seen,
            "agreement": None if self.agreement is None else _measures(self.agreement),
        }

    def table(self) -> list[dict[str, Any]]:
        """One row per clip."""
        return [
            {
                "clip_id": clip.clip_id,
                "score": clip.score,
                "reason": clip.reason,
                "null": ",".join(clip.null),
            }
            for clip in self.clips
        ]

    def to_text(self) -> str:
        """Scores or their range, clips without a score, and agreement with the target."""
        scores = [clip.score for clip in self.clips if clip.score is not None]
        lines = [f"{len(scores)} of {len(self.clips)} clips of {self.data} scored"]
        if self.file is None:
            width = max(map(len, (clip.clip_id for clip in self.clips)), default=0)
            lines += [f"{clip.clip_id:<{width}}  {_score(clip)}" for clip in self.clips]
        if scores:
            lines.append(
                f"{self.config.target} {min(scores):.3f} … {max(scores):.3f}, mean "
                f"{sum(scores) / len(scores):.3f}"
            )
            low, high = self.config.low, self.config.high
            beyond = sum(not low <= score <= high for score in scores)
            if beyond:
                lines.append(
                    f"{beyond} scores lie outside {low:.3f} … {high:.3f}, the scores of the training clips"
                )
        nulls = Counter(name for clip in self.clips if clip.score is not None for name in clip.null)
        if nulls:
            listed = ", ".join(f"{name} of {count_of(n, 'clip')}" for name, n in nulls.items())
            lines.append(f"null, replaced by the median of the training clips: {listed}")
        if self.n_seen:
            lines.append(f"the metric was trained on {self.n_seen} of these clips")
        if self.n_seen is None:
            lines.append(
                "which clips the metric was trained on is unknown, since its folder has no predictions.csv: "
                f"no agreement with {self.config.target} is given"
            )
        if self.agreement is not None:
            measures = ", ".join(
                f"{name.upper()} {'–' if value is None else f'{value:.3f}'}"
                for name, value in _measures(self.agreement).items()
                if name != "n"
            )
            lines.append(
                f"against {self.config.target} of the {self.agreement.n} clips that it was not trained "
                f"on: {measures}"
            )
        if self.file is not None:
            lines.append(f"wrote {self.file}")
        return "\n".join(lines)


def predict(
    metric: Annotated[StrPath, typer.Argument(metavar="METRIC")],
    data: Annotated[StrPath, typer.Argument(metavar="DIR|OWNER/NAME[@REV]|MANIFEST")],
    output: Annotated[StrPath | None, typer.Option("-o", "--output", metavar="FILE.csv")] = None,
    *,
    cache: CacheLocation = None,
    tables: Annotated[Sequence[str], typer.Option("--with", metavar="KIND=PATH")] = (),
    settings: Settings = (),
) -> PredictReport:
    """Score clips with a metric that ``theval-data train`` wrote.

    Args:
        metric: Folder of the metric.
        data: Folder of a built dataset or its name at the Hub, or a manifest whose features are cached.
        output: CSV to write: clip_id, score, reason, null. Default: the scores are printed.
        cache: Path or URL of the feature cache, for a manifest. Default: the cache that ``extract``
            fills.
        tables: Further input for a manifest, as for ``build thqa-mt``, such as ``portraits=FOLDER``, with
            which identity is compared; may be repeated.
        settings: Parameter of an extractor with which ``extract`` was run, for a manifest, such as
            ``vst.size=base``; may be repeated.

    Raises:
        InputError: The metric cannot be read, or the clips lack its features.
        MissingExtraError: The extra [train] is not installed.
    """
    from theval_datasets.training.saved import read_metric
    from theval_datasets.utils.files import write_text

    place = None if output is None else Path(output)
    if place is not None and place.suffix.lower() != ".csv":
        raise InputError(f"expected a file that ends in .csv as output, got {place}")
    trained = read_metric(Path(metric))
    rows = _rows(data, cache, tables, settings)
    scored = trained.score(rows)
    seen = trained.has_seen(rows)
    report = PredictReport(
        Path(metric), trained.config, rows.name, scored,
        None if seen is None else int(seen.sum()),
        _agreement(trained, rows, scored, seen), place,
    )  # fmt: skip
    if place is not None:
        table = io.StringIO()
        writer = csv.DictWriter(table, ["clip_id", "score", "reason", "null"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(report.table())
        write_text(place, table.getvalue())
    return report


def _rows(
    data: StrPath, cache: StrPath | None, tables: Sequence[str], settings: Sequence[str]
) -> FeatureRows:
    """Rows of a built dataset, or rows as in THQA-MT from a manifest and cached features."""
    from theval_datasets.manifest.info import INFO_NAME
    from theval_datasets.manifest.rows import MANIFEST_NAME

    path = Path(data)
    in_folder = path.is_dir() and not (path / INFO_NAME).is_file()
    if not (path.is_file() or (in_folder and (path / MANIFEST_NAME).is_file())):
        if cache is not None or tables or settings:
            raise InputError(f"--cache, --with and --set need a manifest, and {data} is not one")
        return built_rows(data)
    return _cached_rows(path, cache, tables, settings)


def _cached_rows(
    manifest: Path, cache: StrPath | None, tables: Sequence[str], settings: Sequence[str]
) -> FeatureRows:
    import pyarrow as pa

    from theval_datasets.builders.base.inputs import Inputs, parse_tables
    from theval_datasets.builders.thqa_mt import ThqaMt
    from theval_datasets.extraction.cache import Cache, default_location
    from theval_datasets.extraction.settings import read_settings
    from theval_datasets.training.tables import CONFIG, FeatureRows, digests_of

    inputs = Inputs(
        manifest_path=manifest,
        cache=Cache(str(cache or default_location())),
        tables=parse_tables(list(tables)),
        settings=read_settings(settings),
    )
    if not any(row.sha256 for row in inputs.rows):
        raise InputError(f"{manifest} lists no clip: there is nothing to score")
    builder = ThqaMt(CONFIG, inputs=inputs)
    made = [table for part in builder.split_tables(CONFIG).values() for table in part]
    return FeatureRows(
        str(manifest),
        "",
        pa.concat_tables(made),
        {field.name: field.origin for field in builder.fields(CONFIG)},
        digests_of(builder.reader(CONFIG).infos()),
    )


def _agreement(
    trained: TrainedMetric, rows: FeatureRows, scored: tuple[Scored, ...], seen: Any
) -> Agreement | None:
    """Agreement with the target over unseen clips that have one; None for fewer than two, or unknown ones."""
    import numpy as np

    from theval_datasets.evaluation.correlation import agreement

    if seen is None or trained.config.target not in rows.rows.column_names:
        return None
    target = rows.numbers(trained.config.target)[:, 0]
    given = np.array([clip.score is not None for clip in scored], bool)
    judged = np.flatnonzero(given & np.isfinite(target) & ~seen)
    if len(judged) < 2:
        return None
    predicted = [score for place in judged if (score := scored[place].score) is not None]
    return agreement(predicted, target[judged], mapping="none")


def _measures(agreement: Agreement) -> dict[str, float | int | None]:
    return {name: getattr(agreement, name) for name in ("n", "srcc", "plcc", "krcc", "rmse")}


def _score(clip: Scored) -> str:
    if clip.score is None:
        return f"– ({clip.reason}: {', '.join(clip.null)})"
    return f"{clip.score:.3f}"
