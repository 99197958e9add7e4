"""Quality, bias, inconsistency and content ambiguity by damped Newton steps.

The model of Z. Li and C. G. Bampis, "Recover Subjective Quality Scores from Noisy Measurements",
DCC 2017: ``x_ji = ψ_j + Δ_i + υ_i ε + ρ_c(j) ε'``. Each parameter in turn moves a tenth of its
Newton step on the log-likelihood; inconsistencies υ and ambiguities ρ stay at or above 0. Without
ambiguities it is the model of `subject_model`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theval_datasets.errors import RatingsError

from .panel import Codes, Floats, Panel
from .subject_model import TOLERANCE, SubjectModel, normal_loglikelihood

STEP = 0.1
NEWTON_LIMIT = 10_000


@dataclass
class _State:
    """Parameters during the iterations, and the curvature of each block at its last step."""

    quality: Floats
    bias: Floats
    inconsistency: Floats
    ambiguity: Floats


def fit_newton(panel: Panel, *, contents: bool) -> SubjectModel:
    """Fit the model by maximum likelihood.

    Args:
        panel: Ratings; `content` is required for the ambiguities.
        contents: Whether contents have an ambiguity.

    Raises:
        RatingsError: If ambiguities are requested and the table names no contents.
    """
    names, of_row = _contents(panel, contents)
    state = _start(panel, of_row, len(names), contents)
    n_subjects = len(panel.subjects)
    bias_curve = subject_curve = content_curve = quality_curve = np.zeros(0)
    iterations = 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        while iterations < NEWTON_LIMIT:
            before = state.quality
            weight = 1.0 / _variance(state, panel.subject, of_row)
            bias_curve = panel.subject_sum(weight)
            numerator = panel.subject_sum((panel.score - panel.spread(state.quality)) * weight)
            state.bias = _towards(state.bias, numerator / bias_curve)

            slope, curve = _spread_step(
                state.inconsistency[panel.subject], state.ambiguity[of_row], _residual(panel, state)
            )
            subject_curve = panel.subject_sum(curve)
            state.inconsistency = np.maximum(
                0.0,
                _towards(
                    state.inconsistency,
                    state.inconsistency - panel.subject_sum(slope) / subject_curve,
                ),
            )
            if contents:
                slope, curve = _spread_step(
                    state.ambiguity[of_row],
                    state.inconsistency[panel.subject],
                    _residual(panel, state),
                )
                content_curve = np.bincount(of_row, weights=curve, minlength=len(names)).astype(
                    np.float64
                )
                moved = state.ambiguity - (
                    np.bincount(of_row, weights=slope, minlength=len(names)) / content_curve
                )
                state.ambiguity = np.maximum(0.0, _towards(state.ambiguity, moved))

            weight = 1.0 / _variance(state, panel.subject, of_row)
            quality_curve = panel.clip_sum(weight)
            numerator = panel.clip_sum((panel.score - state.bias[panel.subject]) * weight)
            state.quality = _towards(state.quality, numerator / quality_curve)
            iterations += 1
            if np.linalg.norm(before - state.quality) < TOLERANCE:
                break
        loglikelihood = normal_loglikelihood(
            _residual(panel, state), _variance(state, panel.subject, of_row)
        )
        centre = float(state.bias.mean())
        return SubjectModel(
            quality=state.quality + centre,
            quality_se=1.0 / np.sqrt(quality_curve),
            bias=state.bias - centre,
            bias_se=1.0 / np.sqrt(bias_curve),
            inconsistency=state.inconsistency,
            inconsistency_se=1.0 / np.sqrt(np.maximum(0.0, -subject_curve)),
            iterations=iterations,
            loglikelihood=loglikelihood,
            n_parameters=len(panel.clips)
            + 2 * n_subjects * panel.n_repetitions
            + (len(names) if contents else 0),
            ambiguity=state.ambiguity if contents else None,
            contents=names if contents else (),
            ambiguity_se=1.0 / np.sqrt(np.maximum(0.0, -content_curve)) if contents else None,
        )


def _contents(panel: Panel, wanted: bool) -> tuple[tuple[str, ...], Codes]:
    if not wanted:
        return ("",), np.zeros(len(panel), np.int64)
    if panel.content is None:
        raise RatingsError("content ambiguity needs the column 'content_id'")
    names, codes = np.unique(np.asarray(panel.content), return_inverse=True)
    return tuple(str(name) for name in names), codes.astype(np.int64)[panel.clip]


def _start(panel: Panel, of_row: Codes, n_contents: int, contents: bool) -> _State:
    quality = panel.clip_mean(panel.score)
    ambiguity: Floats
    residual = panel.score - panel.spread(quality)
    centred = residual - panel.subject_mean(residual)[panel.subject]
    inconsistency = np.sqrt(panel.subject_mean(centred**2))
    ambiguity = np.zeros(n_contents)
    if contents:
        count = np.bincount(of_row, minlength=n_contents)
        mean = np.bincount(of_row, weights=residual, minlength=n_contents) / count
        squares = np.bincount(of_row, weights=(residual - mean[of_row]) ** 2, minlength=n_contents)
        ambiguity = np.sqrt(squares / count)
    return _State(quality, np.zeros(len(panel.subjects)), inconsistency, ambiguity)


def _towards(old: Floats, new: Floats) -> Floats:
    moved: Floats = old * (1.0 - STEP) + new * STEP
    return moved


def _residual(panel: Panel, state: _State) -> Floats:
    residual: Floats = panel.score - panel.spread(state.quality) - state.bias[panel.subject]
    return residual


def _variance(state: _State, subject: Codes, of_row: Codes) -> Floats:
    variance: Floats = state.inconsistency[subject] ** 2 + state.ambiguity[of_row] ** 2
    return variance


def _spread_step(moving: Floats, other: Floats, residual: Floats) -> tuple[Floats, Floats]:
    """Slope of each row's log-likelihood in the moving standard deviation, and its curvature.

    The curvature is the one of the published solution, with the fourth power of the variance under
    its second term, so that the iterates and the standard errors agree with it.
    """
    a, b = moving**2, other**2
    variance = a + b
    slope = -moving / variance + moving * residual**2 / variance**2
    curve = (a - b) / variance**2 + residual**2 * (b * b - 3.0 * a * a - 2.0 * a * b) / variance**4
    return slope, curve
