"""Scores and levels of Gen3DHF's videos, from the release or from ratings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from theval_datasets.curation.study.levels import quality_levels
from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import Join, join_clips, plain_name, reason_of

from ..base.inputs import Inputs
from ..tables.study import StudyTables
from . import release_json as hub
from .labels import DIMENSIONS, PublishedLabel, find_labels, read_labels

if TYPE_CHECKING:
    from theval_datasets.curation.study.ratings import Ratings


class VideoScores:
    """Scores and levels of videos in both dimensions.

    Args:
        inputs: Inputs with a release, scores or ratings.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._given = inputs.path("scores")
        self._places = [place for place in (self._given, inputs.release) if place is not None]
        self._study = StudyTables.of(inputs, "gen3dhf", DIMENSIONS)

    @cached_property
    def labels(self) -> Mapping[str, Mapping[str, PublishedLabel]]:
        """Labels of the code repository's files, by video and dimension.

        Raises:
            InputError: If no input holds a score, or a file is malformed.
        """
        if not self._places and self.ratings is None:
            raise InputError(
                "theval/gen3dhf needs --release DIR or OWNER/NAME (the dataset's repository, a "
                "checkout of the code's, or both in one folder), --with scores=DIR, or --with "
                "ratings=FILE"
            )
        for place in self._places:
            folder = find_labels(place)
            if folder is not None:
                return read_labels(folder)
            if place == self._given and not (place / hub.MOS_NAME).is_file():
                raise _no_scores(place)
        if self.ratings is None and self._mos_file is None:
            raise _no_scores(self._places[-1])
        return {}

    @property
    def ratings(self) -> Ratings | None:
        """The table of ratings; None if none was given."""
        return self._study.ratings

    @cached_property
    def by_video(self) -> dict[str, dict[str, float]]:
        """Scores by video and dimension, from the ratings if given."""
        scores: dict[str, dict[str, float]] = {
            video: {dimension: label.score for dimension, label in known.items()}
            for video, known in self.labels.items()
        }
        if self._mos_file is not None:
            for video, listed in hub.read_mos(self._mos_file).items():
                scores[video] = {**listed, **scores.get(video, {})}
        matched = self._matched(scores)
        for dimension, opinion in self._study.opinions.items():
            for name, score in zip(opinion.clips, opinion.mos.tolist(), strict=True):
                if np.isfinite(score):
                    scores.setdefault(matched[name], {})[dimension] = score
        return scores

    def _matched(self, published: Collection[str]) -> dict[str, str]:
        """Names in the table of ratings to videos: published ones, or videos of their own."""
        if self.ratings is None:
            return {}
        names = {name: plain_name(name).rpartition("/")[2] for name in self.ratings.clips}
        if len(set(names.values())) < len(names):
            names = {name: plain_name(name) for name in self.ratings.clips}
        if published:
            names |= join_clips("ratings", self.ratings.clips, published).matched
        return names

    @cached_property
    def join(self) -> Join | None:
        """Match of the ratings to the videos; None without ratings."""
        if self.ratings is None:
            return None
        return join_clips("ratings", self.ratings.clips, self.by_video)

    def rated(self, videos: Collection[str]) -> dict[str, str]:
        """Names in the table of ratings to some of the videos."""
        join, known = self.join, set(videos)
        if join is None:
            return {}
        return {name: video for name, video in join.matched.items() if video in known}

    @cached_property
    def levels(self) -> dict[str, dict[str, str | None]]:
        """Dimension to video to level; none where all scores are the same."""
        return {dimension: self._levels(dimension) for dimension in DIMENSIONS}

    def label(self, video: str, dimension: str) -> PublishedLabel | None:
        """The published label of a video."""
        return self.labels.get(video, {}).get(dimension)

    def columns(self, video: str) -> tuple[dict[str, Any], set[str]]:
        """The columns of both dimensions, and the entries of `missing`."""
        values: dict[str, Any] = {}
        missing: set[str] = set()
        for dimension in DIMENSIONS:
            label = self.label(video, dimension)
            std, ci95 = self._spreads.get((video, dimension), (None, None))
            score = self.by_video[video].get(dimension)
            level = self.levels[dimension].get(video)
            values |= {
                f"{dimension}_mos": score,
                f"{dimension}_mos_std": std,
                f"{dimension}_mos_ci95": ci95,
                f"{dimension}_level": level,
                f"{dimension}_level_official": None if label is None else label.level,
            }
            if std is None or ci95 is None:
                unrated = self.join is None or video in self.join.without
                missing.add(f"ratings:{reason_of(self.join) if unrated else 'too-few'}")
            if score is None or level is None:
                missing.add(f"scores:{'not-given' if score is None else 'constant'}")
            if label is None or label.level is None:
                missing.add(f"release:{'not-given' if label is None else 'lowest-score'}")
        return values, missing

    def study(self) -> dict[str, Any]:
        """Parameters of the study; {} without ratings."""
        return self._study.facts()

    def simulated(self) -> tuple[str, ...]:
        """A note if the ratings are simulated."""
        return self._study.notes()

    def notes(self) -> list[str]:
        """Notes on the agreement of levels and scores with those of the release."""
        notes = [note for dimension in DIMENSIONS for note in self._level_notes(dimension)]
        if self.ratings is not None and self.labels:
            apart = [
                abs(self.by_video[video][dimension] - label.score)
                for video, known in self.labels.items()
                for dimension, label in known.items()
            ]
            largest = max(apart, default=0.0)
            notes.append(
                f"The scores from the ratings differ from the release's by up to {largest:.6g}."
            )
        return notes

    @cached_property
    def _mos_file(self) -> Path | None:
        paths = (place / hub.MOS_NAME for place in self._places)
        return next((path for path in paths if path.is_file()), None)

    @cached_property
    def _spreads(self) -> dict[tuple[str, str], tuple[float | None, float | None]]:
        spreads_of = {}
        matched = {} if self.join is None else self.join.matched
        for dimension, opinion in self._study.opinions.items():
            spreads = zip(opinion.clips, opinion.std.tolist(), opinion.ci95.tolist(), strict=True)
            for name, *values in spreads:
                video = matched.get(name, name)
                std, ci95 = (value if np.isfinite(value) else None for value in values)
                spreads_of[video, dimension] = (std, ci95)
        return spreads_of

    def _levels(self, dimension: str) -> dict[str, str | None]:
        names = sorted(name for name, value in self.by_video.items() if dimension in value)
        values = [self.by_video[name][dimension] for name in names]
        if len(set(values)) < 2:
            return {}
        return dict(zip(names, quality_levels(values), strict=True))

    def _level_notes(self, dimension: str) -> list[str]:
        differing = [
            video
            for video, level in self.levels[dimension].items()
            for label in (self.label(video, dimension),)
            if label is not None and label.level is not None and label.level != level
        ]
        if not differing:
            return []
        return [
            f"{len(differing)} videos have another {dimension} level than the release gives, such "
            f"as {differing[0]}."
        ]


def _no_scores(folder: Path) -> InputError:
    present = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return InputError(
        f"{folder} holds no scores: expected {hub.MOS_NAME}, or numerical/train_quality.json and "
        "so on, there or below datasets/ or main/datasets/; got "
        f"{', '.join(present[:8]) or 'nothing'}. If a checkout of the code repository has them, "
        "name it by --with scores=DIR"
    )
