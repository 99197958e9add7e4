"""Parameters of a study's statistics, and the presets of the published studies."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import read_yaml

Scale = Literal["raw", "zscore", "bias_removed"]


@dataclass(frozen=True)
class StudyParameters:
    """Parameters of the computation of opinion scores; a dataset's `info.json` records all of them.

    Attributes:
        screen: Method of subject rejection: ITU-R BT.500's outlier counts, or the correlation with the
            panel's mean; None keeps all.
        screen_on: Scores that are screened: the ratings, their z-scores, or the ratings without each
            subject's bias.
        sd_ddof: Delta degrees of freedom of the standard deviation in BT.500's limits.
        denominator: Divisor of BT.500's counts: the subject's ratings, or all presentations.
        skip_zero_variance: Whether clips on which all subjects agree are left out of the counts;
            otherwise every subject is an outlier on both sides there.
        tie_tolerance: Relative tolerance within which a rating is on BT.500's limit, so that rounding
            errors do not decide; 0 compares floating-point numbers exactly.
        scores: Scores that are averaged.
        zscore_ddof: Delta degrees of freedom of the z-scores' standard deviation.
        zscore_scope: Scope of z-scores: a subject, or each of a subject's sessions.
        rescale: Map to `range`: `pm3` puts the z-scores -3 and 3 at its ends; `minmax_z` the smallest and
            largest score of the retained subjects; `minmax_subject` each subject's own smallest
            and largest; `minmax_mos` the smallest and largest mean.
        range: Ends of the scale.
        clip: Whether mapped scores are clipped to `range` before averaging.
        ci: Distribution of the 95 % intervals: normal or Student's t.
        ci_normal: Normal quantile; the public reference program rounds it to 1.95996.
        differential: Subtract from each clip the mean of its content's reference, and add
            `reference_score`, before everything else.
        reference_score: Score of a reference.
        estimate: Estimator: `mean`; `projection`: maximum likelihood with a bias and an inconsistency
            for each subject, by alternating projection; `newton`: the same by damped Newton steps;
            `ambiguity`: also with an ambiguity for each content.
        estimate_errors: For `projection`: standard errors from each subject's inconsistency, or
            from each clip's residuals.
        vote_threshold: Share of the subjects' votes above which a distortion is present.
        vote_subjects: Subjects whose votes count.
        rating_range: Scale of the ratings, which are checked against it; None for no check.
        degenerate: Treatment of a subject with one rating or without variance: an error, rejection, or
            none.
    """

    screen: Literal["bt500", "pearson", "spearman"] | None = "bt500"
    screen_on: Scale = "raw"
    sd_ddof: Literal[0, 1] = 1
    denominator: Literal["rated", "presentations"] = "rated"
    skip_zero_variance: bool = True
    tie_tolerance: float = 1e-9
    scores: Scale = "raw"
    zscore_ddof: Literal[0, 1] = 1
    zscore_scope: Literal["subject", "session"] = "subject"
    rescale: Literal["pm3", "minmax_z", "minmax_subject", "minmax_mos", "none"] = "none"
    range: tuple[float, float] = (0.0, 5.0)
    clip: bool = False
    ci: Literal["normal", "t"] = "normal"
    ci_normal: float = 1.959963984540054
    differential: bool = False
    reference_score: float = 5.0
    estimate: Literal["mean", "projection", "newton", "ambiguity"] = "mean"
    estimate_errors: Literal["subject", "clip"] = "clip"
    vote_threshold: float = 0.5
    vote_subjects: Literal["retained", "all"] = "retained"
    rating_range: tuple[float, float] | None = None
    degenerate: Literal["error", "reject", "keep"] = "error"

    def __post_init__(self) -> None:
        if not self.range[0] < self.range[1]:
            raise InputError(f"expected a range from low to high, got {self.range}")
        if not 0 <= self.vote_threshold < 1:
            raise InputError(f"expected a vote threshold in [0, 1), got {self.vote_threshold}")
        if self.tie_tolerance < 0:
            raise InputError(f"expected a tie tolerance of at least 0, got {self.tie_tolerance}")
        if self.clip and self.rescale == "none":
            raise InputError("`clip` cuts to the range of a map: set `rescale` too")
        if self.rescale == "pm3" and self.scores != "zscore":
            raise InputError(
                f"`pm3` maps z-scores from -3 to 3, got scores={self.scores!r}: use scores='zscore', or "
                "another map"
            )
        if self.estimate != "mean" and (self.screen or self.rescale != "none"):
            raise InputError(
                f"the estimate {self.estimate!r} weighs subjects itself: use it with screen=None "
                "and rescale='none'"
            )


def presets() -> dict[str, StudyParameters]:
    """The named sets of parameters, from `presets.yaml`.

    Examples:
        >>> "bt500" in presets()
        True
    """
    return {name: _parameters(name, plain) for name, plain in _read("presets.yaml").items()}


def preset(name: str) -> StudyParameters:
    """A preset by its name.

    Raises:
        UnknownNameError: If the name is unknown.

    Examples:
        >>> preset("bt500").screen
        'bt500'
    """
    known = presets()
    if name not in known:
        raise UnknownNameError("preset", name, known)
    return known[name]


def reference_models() -> dict[str, StudyParameters]:
    """Parameters of the models of sureal 0.9.0, by its names, from `reference_models.yaml`.

    Examples:
        >>> sorted(reference_models())[:2]
        ['BR_MOS', 'BR_SR_MOS']
    """
    common = _read("reference_models.yaml")
    shared = common.pop("shared")
    return {name: _parameters(name, {**shared, **plain}) for name, plain in common.items()}


def reference_model(name: str) -> StudyParameters:
    """A model of sureal by its name.

    Raises:
        UnknownNameError: If the name is unknown.

    Examples:
        >>> reference_model("MOS").estimate
        'mean'
    """
    known = reference_models()
    if name not in known:
        raise UnknownNameError("model", name, known)
    return known[name]


def _read(name: str) -> dict[str, Any]:
    plain: dict[str, Any] = read_yaml(resources.files(__package__ or "") / name)
    return plain


def _parameters(name: str, plain: dict[str, Any]) -> StudyParameters:
    return from_plain(StudyParameters, plain, name)
