"""Rescaling of ratings: differential scores, z-scores, bias removal, and maps to a range."""

from __future__ import annotations

import numpy as np

from theval_datasets.errors import RatingsError

from .panel import Floats, Panel
from .parameters import Scale, StudyParameters


def scaled(panel: Panel, scale: Scale, parameters: StudyParameters) -> Panel:
    """The panel with its scores on one of the three scales.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1], [2], [3]]).panel()
        >>> scaled(panel, "zscore", StudyParameters()).score.tolist()
        [-1.0, 0.0, 1.0]
    """
    if scale == "zscore":
        return panel.with_scores(
            zscores(panel, ddof=parameters.zscore_ddof, scope=parameters.zscore_scope)
        )
    if scale == "bias_removed":
        return panel.with_scores(panel.score - subject_bias(panel)[panel.subject])
    return panel


def zscores(panel: Panel, *, ddof: int = 1, scope: str = "subject") -> Floats:
    """``(x - mean) / std`` of each subject's ratings, or of each of a subject's sessions.

    Args:
        panel: Ratings.
        ddof: Delta degrees of freedom: 1 divides the variance by N - 1.
        scope: `subject` or `session`.

    Returns:
        float64 (n,).

    Raises:
        RatingsError: If a subject (or a session) has too few ratings, or all ratings equal.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> zscores(Ratings.from_matrix([[1], [2], [3]]).panel()).tolist()
        [-1.0, 0.0, 1.0]
    """
    group, n_groups = panel.subject, len(panel.subjects)
    if scope == "session":
        n_sessions = int(panel.session.max(initial=0)) + 1
        group, n_groups = panel.subject * n_sessions + panel.session, n_groups * n_sessions
    count = np.bincount(group, minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(group, weights=panel.score, minlength=n_groups) / count
        centred = panel.score - mean[group]
        squares = np.bincount(group, weights=centred * centred, minlength=n_groups)
        std = np.sqrt(squares / (count - ddof))
        scale = np.bincount(group, weights=np.abs(panel.score), minlength=n_groups) / count
        flat = (count > 0) & ~(std > 1e-12 * scale)
    if flat.any():
        index = int(np.flatnonzero(flat)[0])
        subject = panel.subjects[index if scope == "subject" else index // n_sessions]
        raise RatingsError(
            f"{int(flat.sum())} {scope}s have one rating or no variance, the first of subject "
            f"{subject!r} ({int(count[index])} ratings): there is no z-score; "
            "--degenerate reject leaves them out"
        )
    z: Floats = centred / std[group]
    return z


def subject_bias(panel: Panel) -> Floats:
    """Mean deviation of each subject from the clips' means (ITU-T P.913 §12.4).

    Returns:
        float64 (subjects,); NaN for a subject without ratings.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> subject_bias(Ratings.from_matrix([[1, 3], [2, 4]]).panel()).tolist()
        [-1.0, 1.0]
    """
    return panel.subject_mean(panel.score - panel.spread(panel.clip_mean(panel.score)))


def differential(panel: Panel, reference_score: float) -> Panel:
    """``x + reference_score - mean of the reference of the same content``.

    Args:
        panel: Scores, float64 (n,).
        reference_score: Score that every reference is moved to, on the scale of the scores.

    Returns:
        The panel with (n,) scores on that scale, which may leave its range.

    Raises:
        RatingsError: If the table names no contents and references, or a content does not have
            exactly one reference.

    Examples:
        >>> import polars as pl
        >>> from theval_datasets.curation.study.tables import from_frame
        >>> table = pl.DataFrame({"clip_id": ["a", "b"], "score": [4, 3], "is_reference": [1, 0]})
        >>> table = table.with_columns(subject=pl.lit("s"), content_id=pl.lit("c"))
        >>> differential(from_frame(table).panel(), reference_score=5).score.tolist()
        [5.0, 4.0]
    """
    if panel.content is None or panel.reference is None:
        raise RatingsError(
            "differential scores need the columns 'content_id' and 'is_reference' (0 or 1)"
        )
    content, codes = np.unique(np.asarray(panel.content), return_inverse=True)
    references = np.bincount(codes, weights=panel.reference, minlength=len(content))
    if (references != 1).any():
        worst = int(np.flatnonzero(references != 1)[0])
        raise RatingsError(
            f"content {str(content[worst])!r} has {int(references[worst])} references; differential "
            "scores need exactly one rated clip with is_reference=1 for each content"
        )
    mean = panel.clip_mean(panel.score)
    of_content = np.zeros(len(content))
    of_content[codes[panel.reference]] = mean[panel.reference]
    return panel.with_scores(panel.score + reference_score - panel.spread(of_content[codes]))


def mapped(panel: Panel, raw: Panel, parameters: StudyParameters) -> Floats:
    """Scores of the retained subjects on the scale of `range`; see `StudyParameters.rescale`.

    Args:
        panel: The scores that are averaged, of the retained subjects.
        raw: The same rows before z-scoring.
        parameters: `rescale`, `range` and `clip`; `minmax_mos` is left to `map_means`.

    Returns:
        float64 (n,), one per row of the panel.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1], [2], [3]]).panel()
        >>> normal = scaled(panel, "zscore", StudyParameters())
        >>> parameters = StudyParameters(scores="zscore", rescale="pm3", range=(0.0, 100.0))
        >>> mapped(normal, panel, parameters).round(2).tolist()
        [33.33, 50.0, 66.67]
    """
    low, high = parameters.range
    if parameters.rescale == "pm3":
        unit = (panel.score + 3.0) / 6.0
    elif parameters.rescale == "minmax_z":
        unit = _unit(panel.score, panel.score.min(), panel.score.max(), "score")
    elif parameters.rescale == "minmax_subject":
        smallest = np.full(len(panel.subjects), np.inf)
        largest = -smallest
        np.minimum.at(smallest, raw.subject, raw.score)
        np.maximum.at(largest, raw.subject, raw.score)
        unit = _unit(raw.score, smallest[raw.subject], largest[raw.subject], "rating of a subject")
    else:
        return panel.score
    scores: Floats = low + (high - low) * unit
    return np.clip(scores, low, high) if parameters.clip else scores


def map_means(mean: Floats, parameters: StudyParameters) -> tuple[Floats, float]:
    """Mean scores mapped linearly from their minimum and maximum to `range`, and the map's factor.

    Args:
        mean: float64 (clips,).
        parameters: With `range`.

    Returns:
        float64 (clips,) on `range`, and the factor by which standard deviations change.

    Raises:
        RatingsError: If all means are the same.

    Examples:
        >>> scores, factor = map_means(np.array([1.0, 2.0, 3.0]), StudyParameters(range=(0, 100)))
        >>> scores.tolist(), factor
        ([0.0, 50.0, 100.0], 50.0)
    """
    low, high = parameters.range
    factor = (high - low) / (mean.max() - mean.min()) if mean.max() > mean.min() else 0.0
    if not factor:
        raise RatingsError("all clips have the same mean: minmax_mos is undefined, use another map")
    return low + (mean - mean.min()) * factor, float(factor)


def _unit(values: Floats, low: Floats | float, high: Floats | float, what: str) -> Floats:
    width = np.asarray(high) - np.asarray(low)
    if not (width > 0).all():
        raise RatingsError(f"expected variance to map to the range, but every {what} is the same")
    unit: Floats = (values - low) / width
    return unit
