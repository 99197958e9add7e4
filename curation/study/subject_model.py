"""Quality, bias and inconsistency by maximum likelihood, solved by alternating projection.

The model of Z. Li, C. G. Bampis, L. Krasula, L. Janowski and I. Katsavounidis, "A Simple Model for
Subject Behavior in Subjective Experiments", HVEI 2020 (ITU-T P.910 Annex E): subject i rates clip
j as ``x_ji = ψ_j + Δ_i + υ_i ε``, with ε standard normal. ψ is the clip's quality, Δ_i the
subject's bias (mean 0 over the subjects) and υ_i the subject's inconsistency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .panel import Floats, Panel

TOLERANCE = 1e-8
"""Change of the clips' scores (Euclidean norm) below which the iterations stop."""
PROJECTION_LIMIT = 1_000
_GUARD = 1e-8
"""Regularisation of a subject's variance before inversion, which keeps weights finite."""


@dataclass(frozen=True, eq=False)
class SubjectModel:
    """Estimated parameters of the model.

    Attributes:
        quality: float64 (clips,): quality of each clip.
        quality_se: float64 (clips,): standard errors of the qualities.
        bias: float64 (subjects,): bias of each subject, with mean 0.
        bias_se: float64 (subjects,): standard errors of the biases.
        inconsistency: float64 (subjects,): standard deviation of each subject's noise.
        inconsistency_se: float64 (subjects,): standard errors of the inconsistencies; not finite where
            the likelihood is flat.
        iterations: Number of iterations.
        loglikelihood: Log-likelihood, mean over the ratings.
        n_parameters: Number of free parameters, as counted by the reference program.
        ambiguity: float64 (contents,): ambiguity of each content; None for the model without contents.
        contents: Names of the contents.
        ambiguity_se: float64 (contents,): standard errors of the ambiguities.
    """

    quality: Floats
    quality_se: Floats
    bias: Floats
    bias_se: Floats
    inconsistency: Floats
    inconsistency_se: Floats
    iterations: int
    loglikelihood: float
    n_parameters: int
    ambiguity: Floats | None = None
    contents: tuple[str, ...] = ()
    ambiguity_se: Floats | None = None


def fit_projection(panel: Panel, *, errors_from: str = "clip") -> SubjectModel:
    """Fit the model by alternating between qualities and biases.

    Args:
        panel: The ratings.
        errors_from: Standard errors of the quality from each `clip`'s residuals or from each
            `subject`'s inconsistency.

    Examples:
        >>> from theval_datasets.curation.study.ratings import Ratings
        >>> panel = Ratings.from_matrix([[1, 3], [2, 4]]).panel()
        >>> model = fit_projection(panel)
        >>> model.quality.tolist(), model.bias.tolist()
        ([2.0, 3.0], [-1.0, 1.0])
    """
    x, subject = panel.score, panel.subject
    quality = panel.clip_mean(x)
    bias = panel.subject_mean(x - panel.spread(quality))
    inconsistency, clip_spread = np.zeros(0), np.zeros(0)
    iterations = 0
    while iterations < PROJECTION_LIMIT:
        before = quality
        residual = x - panel.spread(quality) - bias[subject]
        inconsistency = _subject_std(panel, residual)
        clip_spread = _clip_std(panel, residual)
        weight = (1.0 / (inconsistency**2 + _GUARD))[subject]
        quality = panel.clip_sum(weight * (x - bias[subject])) / panel.clip_sum(weight)
        bias = panel.subject_mean(x - panel.spread(quality))
        iterations += 1
        if np.linalg.norm(before - quality) < TOLERANCE:
            break
    residual = x - panel.spread(quality) - bias[subject]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = inconsistency**2
        precision = 1.0 / variance[subject]
        if errors_from == "subject":
            quality_se = 1.0 / np.sqrt(panel.clip_sum(precision))
        else:
            quality_se = clip_spread / np.sqrt(panel.counts)
        bias_se = 1.0 / np.sqrt(panel.subject_sum(precision))
        curvature = panel.subject_sum(precision - 3.0 * residual**2 * precision**2)
        inconsistency_se = 1.0 / np.sqrt(np.maximum(0.0, -curvature))
    present = panel.subject_counts > 0
    centre = float(bias[present].mean())
    return SubjectModel(
        quality=quality + centre,
        quality_se=quality_se,
        bias=bias - centre,
        bias_se=bias_se,
        inconsistency=inconsistency,
        inconsistency_se=inconsistency_se,
        iterations=iterations,
        loglikelihood=normal_loglikelihood(residual, inconsistency[subject] ** 2),
        n_parameters=len(panel.clips) + 2 * int(present.sum()) * panel.n_repetitions,
    )


def normal_loglikelihood(residual: Floats, variance: Floats) -> float:
    """Mean over the rows of the log density of N(0, variance).

    Args:
        residual: float64 (n,).
        variance: float64 (n,), at least 0; rows without variance do not count.

    Examples:
        >>> round(normal_loglikelihood(np.zeros(2), np.ones(2)), 4)
        -0.9189
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = -0.5 * (np.log(2.0 * np.pi * variance) + residual**2 / variance)
    return float(terms[np.isfinite(terms)].sum() / len(residual))


def _subject_std(panel: Panel, residual: Floats) -> Floats:
    centred = residual - panel.subject_mean(residual)[panel.subject]
    std: Floats = np.sqrt(panel.subject_mean(centred**2))
    return std


def _clip_std(panel: Panel, residual: Floats) -> Floats:
    centred = residual - panel.spread(panel.clip_mean(residual))
    std: Floats = np.sqrt(panel.clip_mean(centred**2))
    return std
