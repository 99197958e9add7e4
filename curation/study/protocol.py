"""The protocol of a rating study: facts that a table of ratings does not state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.utils.records import from_plain
from theval_datasets.utils.yaml_files import read_yaml

_DESCRIPTIVE: Final = (
    "subjects", "sessions", "display", "instructions", "consent", "intended_uses", "forbidden_uses",
)  # fmt: skip
"""Fields that describe the study, in the order in which a card shows them."""


@dataclass(frozen=True)
class StudyProtocol:
    """Conditions of a study; None where not stated.

    Attributes:
        scale: Ends of the rating scale.
        missing_codes: Numbers in the table that stand for "not rated".
        subjects: Subjects: number, recruitment, age, gender, vision, experience.
        sessions: Number, length and breaks of the sessions, training, repetitions.
        display: Screen, resolution, distance, sound, room; or "online".
        instructions: The question and the instructions, as subjects read them.
        consent: Basis on which ratings were collected and are published.
        intended_uses: Intended uses of the labels.
        forbidden_uses: Forbidden uses of the labels.
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
    r"""Read a protocol.

    Args:
        path: YAML file with fields of `StudyProtocol`; None for a protocol without statements.

    Raises:
        InputError: If the file is malformed.

    Examples:
        >>> _ = Path("protocol.yaml").write_text("scale: [1, 5]\nmissing_codes: [-1]\n")
        >>> read_protocol(Path("protocol.yaml")).scale
        (1.0, 5.0)
    """
    if path is None:
        return StudyProtocol()
    return from_plain(StudyProtocol, read_yaml(path, "protocol") or {}, path.name)
