"""Tables of scores of THQA and THQA-NTIRE, and the patterns of their clips' names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from theval_datasets.errors import InputError
from theval_datasets.manifest.joins import plain_name

from ..tables.csv_files import Row, number, read_csv

NAME: Final = re.compile(r"(\d+)_voice_([a-z]{2})_(\d+)_(.+)")
"""THQA's names: ``{portrait}_voice_{language}_{voice}_{method}``."""
_PROMPTED: Final = re.compile(r"(\d+)_([^_]+)_common_voice_([a-z]{2})_(\d+)_(.+)")
_SENTENCE: Final = re.compile(
    r"(.+?)_SEN_(.+)_((?:audio|video)_lead|pause_(?:start|middle)|\w+_level)_(-?[\d.]+)"
)


@dataclass(frozen=True, slots=True)
class ClipOrigin:
    """Origin of a clip according to its name; None for what the name does not state.

    Attributes:
        pattern: Pattern that the name follows.
        prompt: Number of the prompt that the portrait was generated from.
        portrait_generator: Text-to-image model.
        portrait: Number of a portrait of THQA.
        voice: Number of the voice recording.
        generator: Method that drove the portrait.
        subject: Person of a recorded sentence.
        sentence: The sentence, with underscores.
        distortion: Distortion of the recording.
        level: Level of the distortion.
        language: ISO 639-1 code.
    """

    pattern: str
    prompt: str | None = None
    portrait_generator: str | None = None
    portrait: str | None = None
    voice: str | None = None
    generator: str | None = None
    subject: str | None = None
    sentence: str | None = None
    distortion: str | None = None
    level: float | None = None
    language: str | None = None

    @property
    def script(self) -> tuple[str, str, float] | None:
        """Sentence and distortion together."""
        if self.sentence is None or self.distortion is None or self.level is None:
            return None
        return (self.sentence, self.distortion, self.level)

    @property
    def content_id(self) -> str | None:
        """Content that the clip shares with others: its prompt, else its portrait, else its sentence."""
        for kind, value in (
            ("prompt", self.prompt),
            ("portrait", self.portrait),
            ("sentence", self.sentence),
        ):
            if value is not None:
                return f"{kind}-{value}"
        return None


def parse_name(name: str) -> ClipOrigin:
    """Origin of a clip according to its name; all None if the name follows no known pattern.

    Examples:
        >>> parse_name("3_voice_en_34960039_wavlip").generator
        'wavlip'
    """
    if match := _PROMPTED.fullmatch(name):
        prompt, model, language, voice, talker = match.groups()
        return ClipOrigin("prompted", prompt, model, None, voice, talker, language=language)
    if match := _SENTENCE.fullmatch(name):
        subject, sentence, distortion, level = match.groups()
        try:
            amount = float(level)
        except ValueError:
            return ClipOrigin("unknown")
        return ClipOrigin(
            "sentence", subject=subject, sentence=sentence, distortion=distortion, level=amount
        )
    if match := NAME.fullmatch(name):
        portrait, language, voice, method = match.groups()
        return ClipOrigin("thqa", None, None, portrait, voice, method, language=language)
    return ClipOrigin("unknown")


def read_scores(path: Path, column: str) -> Iterator[tuple[str, str, float, Row]]:
    r"""Place, name of the clip, score from 0 to 5 and cells of each row of a table of scores.

    Args:
        path: CSV with the column `Score`.
        column: Column with the names of the clips.

    Raises:
        InputError: For a name that is empty or occurs twice, or an invalid score.

    Examples:
        >>> _ = Path("scores.csv").write_text("Image,Score\nWav2Lip_1.mp4,3.5\n")
        >>> [(name, score) for _, name, score, _ in read_scores(Path("scores.csv"), "Image")]
        [('Wav2Lip_1', 3.5)]
    """
    seen = set()
    for where, row in read_csv(path, (column, "Score")):
        name = plain_name(row[column])
        if not name or name in seen:
            raise InputError(f"{where}: {row[column]!r} is empty or occurs twice")
        seen.add(name)
        score = number(row, "Score", where)
        if not 0 <= score <= 5:
            raise InputError(f"{where}: expected a score between 0 and 5, got {score}")
        yield where, name, score, row
