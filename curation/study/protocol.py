"""The protocol of a rating study: what no table of ratings tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from theval_datasets.errors import InputError
from theval_datasets.utils.records import from_plain

_DESCRIPTIVE: Final = (
    "subjects", "sessions", "display", "instructions", "consent", "intended_uses", "forbidden_uses",
)  # fmt: skip
"""Fields that describe the study, in the order in which a card shows them."""


@dataclass(frozen=True)
class StudyProtocol:
    """How a study was carried out; None for what is not stated.

    Attributes:
        scale: Ends of the rating scale.
        missing_codes: Numbers in the table that stand for "not rated".
        subjects: Who rated: how many, recruited how, age, gender, vision, experience.
        sessions: Number, length and breaks of the sessions, training, repetitions.
        display: Screen, resolution, distance, sound, room; or "online".
        instructions: The question and the instructions, as subjects read them.
        consent: The basis on which ratings were collected and are published.
        intended_uses: What the labels are meant for.
        forbidden_uses: What they may not be used for.
    """

    scale: tuple[float, float] | None = None
    missing_codes: tuple[float, ...] = ()
    subjects: str | None = None
    sessions: str | None = None
    display: str | None = None
    instructions: str | None = None
    consent: str | None = None
    intended_uses: tuple[str, ...] = ()
    forbidden_uses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise InputError(f"scale: expected the lower end first, got {list(self.scale)}")

    def facts(self) -> dict[str, str]:
        """The stated fields as text, for `info.json` and the card."""
        facts = {}
        for name in _DESCRIPTIVE:
            value = getattr(self, name)
            if value:
                facts[name] = value if isinstance(value, str) else "; ".join(value)
        return facts


def read_protocol(path: Path | None) -> StudyProtocol:
    """Read a protocol.

    Args:
        path: A YAML file with fields of `StudyProtocol`; None for a protocol that states nothing.

    Raises:
        InputError: If it is not such a file.
    """
    if path is None:
        return StudyProtocol()
    try:
        plain: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path.name} cannot be read as YAML: {error}") from None
    return from_plain(StudyProtocol, plain or {}, path.name)
