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
    """How presentations are divided into sessions; the defaults are those of THQA-MT's study.

    Attributes:
        max_clips: Presentations in a session at most, repeats and checks included.
        break_minutes: Minutes between the end of a session and the start of the next.
        per_day: Sessions that a participant may begin on one day (UTC).
        repeat_share: Share of a session's clips that are shown a second time.
        trap_every: One trap in so many presentations of rated clips; 0 for none.
        golden_every: One golden clip in so many presentations of rated clips; 0 for none.
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
        clip: Its id; in a pairwise study the clip that should win.
        low: Lowest score that passes.
        high: Highest score that passes.
        against: In a pairwise study: the clip that should lose.
    """

    clip: str
    low: float | None = None
    high: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Screen:
    """The smallest screen that is let in.

    Attributes:
        width: CSS pixels.
        height: CSS pixels.
        phones: Whether smaller screens are let in too.
    """

    width: int = 1280
    height: int = 720
    phones: bool = False


@dataclass(frozen=True)
class StudyPlan:
    """A study as its curator plans it.

    Attributes:
        kind: `score`: one score and the taxonomy's distortions; `sliders-and-marks`: quality and
            authenticity, marks on a still, and a text; `pairwise`: which of two clips wins.
        name: Short name of the study.
        consent: What participants agree to, as they read it; blank lines part paragraphs.
        question: The question, as they read it.
        instructions: What to look at, as they read it.
        training: Ids of the clips shown first, which are not rated, at least three; in a pairwise
            study the contents of which pairs are shown.
        language: Language of the interface; participants may choose another.
        scale: `slider` from 0 to 5, or `acr5` for the five categories; for `score`.
        dimensions: What is scored, one slider each; none given: `quality`, and in
            `sliders-and-marks` also `authenticity`.
        taxonomy: File with the distortions to tick; None for THQA-MT's. For `score`.
        distortions: Whether distortions are asked for; for `score`.
        ask: What `sliders-and-marks` asks for.
        stills: Folder of stills, ``CLIP_ID.png``, relative to the plan; None cuts them from the
            clips. For marks.
        turn: How the heads turn in clips that stills are cut from.
        names: Pattern that reads content and model from a clip's id, with ``{content}`` and
            ``{model}``. Ids that it does not fit are contents by themselves; in a pairwise study
            they are the model `real`.
        clips_per_participant: How many clips (or pairs) a participant rates; None for all.
        trials: Pairs that are planned in all; None for each pair of models on each content.
        sessions: How presentations are divided.
        golden: Clips whose rating is known.
        screen: Which screens are let in.
        headphones: Whether headphones are checked; None for studies with sound.
        seed: Of every draw.
        protocol: Facts for the card, such as `subjects`, `display`, `intended_uses`; the export
            adds what the plan says itself.
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
            raise InputError("scale: acr5 goes with a study of kind score")
        if self.trials is not None and self.kind != "pairwise":
            raise InputError("trials: only a pairwise study has pairs; say clips_per_participant")
        if self.kind == "sliders-and-marks" and not self.ask:
            raise InputError("ask: expected at least one of sliders, marks and text")
        if self.kind == "pairwise" and self.dimensions:
            raise InputError("dimensions: a pairwise study scores nothing")
        for one in self.golden:
            self._check_golden(one)

    def _check_golden(self, one: Golden) -> None:
        if self.kind == "pairwise":
            if one.against is None or one.low is not None or one.high is not None:
                raise InputError(
                    f"golden: {one.clip}: in a pairwise study say the clip that loses (against), and "
                    "no scores"
                )
        elif one.against is not None or one.low is None or one.high is None or one.low > one.high:
            raise InputError(f"golden: {one.clip}: expected low and high, the lower end first")
        if not self.scored and self.kind != "pairwise":
            raise InputError("golden: this study asks for no score that could be compared")

    @property
    def scored(self) -> tuple[str, ...]:
        """Dimensions that are scored; empty where nothing is."""
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
        """Content and model by a clip's id; no model if the pattern does not fit.

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
        InputError: It is not such a file; says where, what was expected and what was received.
    """
    plain = read_yaml(path, "plan")
    if isinstance(plain, dict) and "kind" in plain:
        kinds = ("score", "sliders-and-marks", "pairwise")
        if plain["kind"] not in kinds:
            raise UnknownNameError("kind of study", str(plain["kind"]), kinds)
    return from_plain(StudyPlan, plain, path.name)
