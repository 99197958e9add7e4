"""The plan of a study: a small YAML file, read into frozen dataclasses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from theval_datasets.errors import InputError, UnknownNameError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import read_yaml

from ..clips.head_views import HeadTurn
from ..study.protocol import StudyProtocol
from .languages import check_language

Kind = Literal["score", "sliders-and-marks", "pairwise"]
Question = Literal["sliders", "marks", "text"]

LEAST_TRAINING: Final = 3
_SLOT: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class SessionRules:
    """Division of presentations into sessions; the defaults are those of THQA-MT's study.

    Attributes:
        max_clips: Maximum number of presentations in a session, including repeats and checks.
        break_minutes: Minimum break between two sessions in minutes.
        per_day: Maximum number of sessions that a participant may begin on one day (UTC).
        repeat_share: Share of a session's clips that are shown twice.
        trap_every: Number of rated clips per trap; 0 for no traps.
        golden_every: Number of rated clips per golden clip; 0 for no golden clips.
    """

    max_clips: int = 200
    break_minutes: float = 30.0
    per_day: int = 3
    repeat_share: float = 0.05
    trap_every: int = 10
    golden_every: int = 20

    def __post_init__(self) -> None:
        if self.max_clips < 1 or self.per_day < 1 or self.break_minutes < 0:
            raise InputError(
                "expected max_clips and per_day of at least 1 and break_minutes of at least 0, got "
                f"{self.max_clips}, {self.per_day} and {self.break_minutes}"
            )
        if not 0 <= self.repeat_share <= 0.5:
            raise InputError(f"expected repeat_share from 0 to 0.5, got {self.repeat_share}")
        if self.trap_every < 0 or self.golden_every < 0:
            raise InputError(
                "expected trap_every and golden_every of at least 0 (0 for none), got "
                f"{self.trap_every} and {self.golden_every}"
            )


@dataclass(frozen=True)
class Golden:
    """A clip whose rating is known.

    Attributes:
        clip: Id of the clip; in a pairwise study, of the clip that should win.
        low: Lowest score that passes.
        high: Highest score that passes.
        against: Id of the clip that should lose, in a pairwise study.
    """

    clip: str
    low: float | None = None
    high: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Screen:
    """Requirements on participants' screens.

    Attributes:
        width: Minimum width in CSS pixels.
        height: Minimum height in CSS pixels.
        phones: Whether smaller screens are accepted too.
    """

    width: int = 1280
    height: int = 720
    phones: bool = False


@dataclass(frozen=True)
class StudyPlan:
    """A study as its curator plans it.

    Attributes:
        kind: `score`: one score and the taxonomy's distortions; `sliders-and-marks`: quality and
            authenticity, marks on a still, and a text; `pairwise`: the better of two clips.
        name: Short name of the study.
        consent: Consent form shown to participants; blank lines separate paragraphs.
        question: Question shown to participants.
        instructions: Instructions shown to participants.
        training: Ids of the clips that are shown first and not rated, at least three; in a pairwise
            study, the contents whose pairs are shown first.
        language: Language of the interface; participants may choose another.
        scale: `slider` from 0 to 5, or `acr5` for the five categories; for `score`.
        dimensions: Scored dimensions, one slider each; by default `quality`, and in
            `sliders-and-marks` also `authenticity`.
        taxonomy: File with the distortions to tick; None for THQA-MT's. For `score`.
        distortions: Whether participants tick distortions; for `score`.
        ask: Tasks of `sliders-and-marks`.
        stills: Folder of stills, ``CLIP_ID.png``, relative to the plan; None to cut them from the
            clips. For marks.
        turn: Rotation of the heads in the clips from which stills are cut.
        names: Pattern of a clip's id, with ``{content}`` and ``{model}``. An id that does not match is
            a content by itself; in a pairwise study its model is `real`.
        clips_per_participant: Number of clips (or pairs) that a participant rates; None for all.
        trials: Total number of pairs; None for each pair of models on each content.
        sessions: Division of presentations into sessions.
        golden: Clips whose rating is known.
        screen: Requirements on participants' screens.
        headphones: Whether headphones are checked; None to check them if clips have sound.
        seed: Seed of all random choices.
        protocol: Facts for the card, such as `subjects`, `display`, `intended_uses`; the export
            adds those that follow from the plan.
    """

    kind: Kind
    name: str
    consent: str
    question: str
    training: tuple[str, ...]
    instructions: str = ""
    language: str = "en"
    scale: Literal["slider", "acr5"] = "slider"
    dimensions: tuple[str, ...] = ()
    taxonomy: str | None = None
    distortions: bool = True
    ask: tuple[Question, ...] = ("sliders", "marks", "text")
    stills: str | None = None
    turn: HeadTurn = field(default_factory=HeadTurn)
    names: str = "{content}__{model}"
    clips_per_participant: int | None = None
    trials: int | None = None
    sessions: SessionRules = field(default_factory=SessionRules)
    golden: tuple[Golden, ...] = ()
    screen: Screen = field(default_factory=Screen)
    headphones: bool | None = None
    seed: int = 0
    protocol: StudyProtocol = field(default_factory=StudyProtocol)

    def __post_init__(self) -> None:
        check_language(self.language)
        for name in ("name", "consent", "question"):
            if not getattr(self, name).strip():
                raise InputError(f"{name}: expected a text, got an empty one")
        if len(set(self.training)) < LEAST_TRAINING:
            raise InputError(
                f"training: expected at least {LEAST_TRAINING} different clips, got "
                f"{len(set(self.training))}"
            )
        if sorted(_SLOT.findall(self.names)) != ["content", "model"]:
            raise InputError(
                f"names: expected a pattern with {{content}} and {{model}}, got {self.names!r}"
            )
        for name in ("clips_per_participant", "trials"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InputError(f"{name}: expected at least 1, got {number}")
        if self.scale == "acr5" and self.kind != "score":
            raise InputError("scale: acr5 is only available in a study of kind score")
        if self.trials is not None and self.kind != "pairwise":
            raise InputError(
                "trials: only a pairwise study has pairs; set clips_per_participant instead"
            )
        if self.kind == "sliders-and-marks" and not self.ask:
            raise InputError("ask: expected at least one of sliders, marks and text")
        if self.kind == "pairwise" and self.dimensions:
            raise InputError("dimensions: a pairwise study scores nothing")
        for golden in self.golden:
            self._check_golden(golden)

    def _check_golden(self, golden: Golden) -> None:
        if self.kind == "pairwise":
            if golden.against is None or golden.low is not None or golden.high is not None:
                raise InputError(
                    f"golden: {golden.clip}: expected the clip that should lose (against) and no "
                    "scores, in a pairwise study"
                )
        elif golden.against is not None or golden.low is None or golden.high is None:
            raise InputError(f"golden: {golden.clip}: expected low and high, and no other clip")
        elif golden.low > golden.high:
            raise InputError(
                f"golden: {golden.clip}: expected low of at most high, got {golden.low:g} and "
                f"{golden.high:g}"
            )
        if not self.scored and self.kind != "pairwise":
            raise InputError("golden: this study asks for no score that could be compared")

    @property
    def scored(self) -> tuple[str, ...]:
        """Scored dimensions; empty if the study has no scores."""
        if self.kind == "pairwise" or (
            self.kind == "sliders-and-marks" and "sliders" not in self.ask
        ):
            return ()
        default = ("quality",) if self.kind == "score" else ("quality", "authenticity")
        return self.dimensions or default

    @property
    def score_range(self) -> tuple[float, float]:
        """The lowest and the highest score."""
        return (1.0, 5.0) if self.scale == "acr5" else (0.0, 5.0)

    def content_and_model(self, clip_id: str) -> tuple[str, str | None]:
        """Content and model of a clip according to its id; no model if the pattern does not match.

        Example:
            >>> plan = StudyPlan("score", "s", "c", "q", ("a", "b", "c"))
            >>> plan.content_and_model("talk-7__Wav2Lip"), plan.content_and_model("talk-7")
            (('talk-7', 'Wav2Lip'), ('talk-7', None))
        """
        pattern = re.escape(self.names)
        for slot in ("content", "model"):
            pattern = pattern.replace(re.escape(f"{{{slot}}}"), f"(?P<{slot}>.+)")
        match = re.fullmatch(pattern, clip_id)
        return (match["content"], match["model"]) if match else (clip_id, None)


def read_plan(path: Path) -> StudyPlan:
    """Read a plan.

    Args:
        path: A YAML file with the fields of `StudyPlan`.

    Raises:
        InputError: The file is missing or not a plan.
    """
    plain = read_yaml(path, "plan")
    if isinstance(plain, dict) and "kind" in plain:
        kinds = ("score", "sliders-and-marks", "pairwise")
        if plain["kind"] not in kinds:
            raise UnknownNameError("kind of study", str(plain["kind"]), kinds)
    return from_plain(StudyPlan, plain, path.name)
