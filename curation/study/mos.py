"""Mean opinion scores: screening, scaling, averaging, spread and confidence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from theval_datasets.errors import RatingsError

from .ambiguity_model import fit_newton
from .panel import Flags, Floats, Panel
from .parameters import StudyParameters
from .scaling import differential, map_means, mapped, scaled, subject_bias
from .screening import Screening, screen
from .subject_model import SubjectModel, fit_projection


@dataclass(frozen=True, eq=False)
class FitStatistics:
    """Goodness of fit of the scores to the ratings; all values are per rating, as in sureal."""

    loglikelihood: float
    dof: float
    aic: float
    bic: float
    iterations: int | None = None


@dataclass(frozen=True, eq=False)
class OpinionScores:
    """The opinion scores of one dimension.

    Attributes:
        clips: Names of the clips; sorted.
        mos: float64 (clips,); NaN for a clip whose ratings were all rejected.
        std: Standard deviation of the averaged ratings (N - 1); NaN for fewer than two.
        sem: Standard error of `mos`.
        ci95: Half-width of the 95 % interval of `mos`; NaN where undefined.
        n: int64 (clips,): number of averaged ratings.
        screening: Rejected subjects, with the reasons.
        degenerate: Subjects with one rating or no variance.
        bias: Bias of each subject, if it was removed or estimated; else None.
        model: Maximum-likelihood fit; None for means.
        fit: Likelihood and information criteria; None for scores on a mapped scale.
        parameters: Parameters of the analysis.
    """

    clips: tuple[str, ...]
    mos: Floats
    std: Floats
    sem: Floats
    ci95: Floats
    n: Floats
    screening: Screening
    degenerate: Flags
    bias: Floats | None
    model: SubjectModel | None
    fit: FitStatistics | None
    parameters: StudyParameters


def opinion_scores(panel: Panel, parameters: StudyParameters) -> OpinionScores:
    """Opinion scores of a panel.

    Args:
        panel: Ratings of one dimension.
        parameters: Parameters of the analysis.

    Raises:
        RatingsError: If there are no ratings, or a subject is degenerate although the parameters do not
            allow it.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
        >>> opinion_scores(panel, StudyParameters()).mos.tolist()
        [2.0, 3.0]
    """
    if not len(panel):
        raise RatingsError("the table holds no ratings")
    degenerate = degenerate_subjects(panel)
    if degenerate.any() and parameters.degenerate == "error":
        raise RatingsError(_degenerate_message(panel, degenerate))
    dropped = degenerate if parameters.degenerate == "reject" else np.zeros_like(degenerate)
    base = panel.keep(~dropped[panel.subject]) if dropped.any() else panel
    if not len(base):
        raise RatingsError("expected a subject with variance, but every one has one rating or none")
    raw = differential(base, parameters.reference_score) if parameters.differential else base
    if parameters.estimate != "mean":
        return _estimated(panel, raw, parameters, degenerate, dropped)
    averaged = scaled(raw, parameters.scores, parameters)
    screened = (
        averaged
        if parameters.screen_on == parameters.scores
        else scaled(raw, parameters.screen_on, parameters)
    )
    screening = screen(screened, parameters)
    rows = ~screening.rejected[raw.subject]
    kept = averaged.keep(rows)
    if parameters.rescale != "none":
        kept = kept.with_scores(mapped(kept, raw.keep(rows), parameters))
    mos, std, sem, ci95 = _means(kept, parameters)
    bias = subject_bias(raw) if parameters.scores == "bias_removed" else None
    fit = _fit(panel, kept, std, bias) if parameters.rescale == "none" else None
    if parameters.rescale == "minmax_mos":
        mos, factor = map_means(mos, parameters)
        std, sem, ci95 = std * factor, sem * factor, ci95 * factor
        if parameters.clip:
            mos = np.clip(mos, *parameters.range)
    return OpinionScores(
        clips=panel.clips,
        mos=_spread_over(panel, kept, mos, np.nan),
        std=_spread_over(panel, kept, std, np.nan),
        sem=_spread_over(panel, kept, sem, np.nan),
        ci95=_spread_over(panel, kept, ci95, np.nan),
        n=_spread_over(panel, kept, kept.counts.astype(np.float64), 0.0).astype(np.int64),
        screening=_also_rejected(screening, dropped),
        degenerate=degenerate,
        bias=bias,
        model=None,
        fit=fit,
        parameters=parameters,
    )


def degenerate_subjects(panel: Panel) -> Flags:
    """Subjects with one rating, or with all ratings the same: bool (subjects,); without any: False.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> degenerate_subjects(Ratings.from_matrix([[1, 3], [2, 3]]).panel()).tolist()
        [False, True]
    """
    some = np.zeros(len(panel.subjects))
    some[panel.subject] = panel.score
    varied = np.zeros(len(panel.subjects), bool)
    varied[panel.subject[panel.score != some[panel.subject]]] = True
    return (panel.subject_counts > 0) & ~varied


def _degenerate_message(panel: Panel, degenerate: Flags) -> str:
    index = int(np.flatnonzero(degenerate)[0])
    count = int(panel.subject_counts[index])
    what = "one rating" if count == 1 else f"{count} ratings, all the same"
    return (
        f"{int(degenerate.sum())} subjects have one rating or no variance, the first "
        f"{panel.subjects[index]!r} ({what}); check them, then choose: --degenerate reject leaves "
        "them out, --degenerate keep averages them nevertheless"
    )


def _means(kept: Panel, parameters: StudyParameters) -> tuple[Floats, Floats, Floats, Floats]:
    mos = kept.clip_mean(kept.score)
    centred = kept.score - kept.spread(mos)
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.sqrt(kept.clip_sum(centred * centred) / (kept.counts - 1))
        sem = std / np.sqrt(kept.counts)
    return mos, std, sem, sem * _quantile(kept, parameters)


def _quantile(kept: Panel, parameters: StudyParameters) -> Floats | float:
    if parameters.ci == "normal":
        return parameters.ci_normal
    from scipy.special import stdtrit

    with np.errstate(invalid="ignore"):
        quantile: Floats = stdtrit(np.maximum(kept.counts - 1, 1), 0.975)
    return quantile


def _fit(panel: Panel, kept: Panel, std: Floats, bias: Floats | None) -> FitStatistics:
    """Statistics of a normal distribution around each clip's mean; clips without variance do not count.

    The squared residuals of a clip sum to (n - 1) std², so that no pass over the rows is needed.
    """
    spread = std > 0
    count = kept.counts[spread]
    terms = count * np.log(2.0 * np.pi * std[spread] ** 2) + (count - 1)
    parameters = 2 * len(panel.clips)
    if bias is not None:
        parameters += int((panel.subject_counts > 0).sum()) * panel.n_repetitions
    return _criteria(-0.5 * float(terms.sum()) / len(kept), parameters, len(panel), None)


def _criteria(
    loglikelihood: float, n_parameters: int, n: int, iterations: int | None
) -> FitStatistics:
    dof = n_parameters / n
    return FitStatistics(
        loglikelihood=loglikelihood,
        dof=dof,
        aic=2 * dof - 2 * loglikelihood,
        bic=float(np.log(n)) * dof - 2 * loglikelihood,
        iterations=iterations,
    )


def _estimated(
    panel: Panel, raw: Panel, parameters: StudyParameters, degenerate: Flags, dropped: Flags
) -> OpinionScores:
    if parameters.estimate == "projection":
        model = fit_projection(raw, errors_from=parameters.estimate_errors)
    else:
        model = fit_newton(raw, contents=parameters.estimate == "ambiguity")
    _, std, _, _ = _means(raw, parameters)
    return OpinionScores(
        clips=panel.clips,
        mos=_spread_over(panel, raw, model.quality, np.nan),
        std=_spread_over(panel, raw, std, np.nan),
        sem=_spread_over(panel, raw, model.quality_se, np.nan),
        ci95=_spread_over(panel, raw, model.quality_se * _quantile(raw, parameters), np.nan),
        n=_spread_over(panel, raw, raw.counts.astype(np.float64), 0.0).astype(np.int64),
        screening=_also_rejected(Screening(rejected=np.zeros_like(dropped)), dropped),
        degenerate=degenerate,
        bias=model.bias,
        model=model,
        fit=_criteria(model.loglikelihood, model.n_parameters, len(panel), model.iterations),
        parameters=parameters,
    )


def _spread_over(panel: Panel, kept: Panel, values: Floats, otherwise: float) -> Floats:
    """Values of the kept clips, expanded to all clips."""
    if len(kept.clips) == len(panel.clips):
        return values
    place = {clip: index for index, clip in enumerate(panel.clips)}
    spread = np.full(len(panel.clips), otherwise)
    spread[[place[clip] for clip in kept.clips]] = values
    return spread


def _also_rejected(screening: Screening, dropped: Flags) -> Screening:
    if not dropped.any():
        return screening
    return replace(screening, rejected=screening.rejected | dropped)
