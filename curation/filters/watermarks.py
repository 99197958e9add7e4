"""Watermarks, logos with lettering, and captions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import ClassVar, Final

from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.outcomes import UNAVAILABLE, Values
from theval_datasets.features.lettering import Lettering

from .base import Clip, Features, Filter, UndecidedError, Verdict, keep, reject

WORDS: Final = (
    "shutterstock", "gettyimages", "istock", "adobestock", "alamy", "dreamstime", "depositphotos",
    "pond5", "storyblocks", "envato", "videohive", "youtube", "youku", "tiktok", "instagram",
    "facebook", "snapchat", "vimeo", "dailymotion", "bilibili", "kwai", "weibo", "clideo", "capcut",
    "kinemaster", "filmora", "inshot", "invideo", "heygen", "synthesia", "canva", "watermark",
    "preview", "generated", "抖音", "快手", "小红书", "哔哩哔哩", "西瓜视频", "优酷", "爱奇艺", "腾讯视频",
)  # fmt: skip
"""Words of watermarks: agencies, platforms, editors, and words that mark a preview or a generated video."""
_ADDRESS: Final = re.compile(
    r"@[\w.]{3,}|©|\b(?:www\.)?[a-z0-9-]{2,}\.(?:com|net|org|tv|io|ai|co|cn|jp|fr|it|es|de|uk)\b",
    re.IGNORECASE,
)
_STILL: Final = 0.5  # minimum share of the frames in which a line is still
_BEGINNING: Final = 5  # letters of the beginning of a word of which the rest was not read
_LONG: Final = 8  # letters of a word that is recognised if some letters were misread
_ALIKE: Final = 0.8  # likeness of such a word


@dataclass(frozen=True)
class Watermarks(Filter):
    """Keeps clips without lettering that was laid over the picture.

    A line of text is a mark if it stays in place to the pixel in half of the frames, and lies in the upper or
    lower part of the picture; or if it holds a word of watermarks, an address or a handle, wherever it is.
    Text of the scene that an unmoved camera shows above or below the people, such as a poster, is taken
    for a mark too. Missed are logos without lettering, scripts other than Latin, Greek, Chinese and Japanese, and
    lettering that drifts and holds no such word.

    Attributes:
        max_marks: Maximum number of marks.
        certainty: Mean probability of its characters from which a line counts.
        letters: Number of letters and digits from which a line counts; Chinese and Japanese ones count twice.
        border: Height of the upper and the lower part, as a share of the picture; the middle of a line counts.
        words: Words of watermarks.
        required: Whether clips are undecided where the extra ``[ocr]`` is not installed; else they pass.
    """

    max_marks: int = 0
    certainty: float = 0.8
    letters: int = 3
    border: float = 0.2
    words: tuple[str, ...] = WORDS
    required: bool = True

    shown: ClassVar[Mapping[str, str]] = {"marks": "max_marks"}
    decides: ClassVar[Mapping[str, str]] = {"watermark": "marks"}

    def needs(self) -> Sequence[Extractor]:
        """Text in the picture."""
        return (Lettering(),)

    def judge(self, clip: Clip, features: Features) -> Verdict:
        """By the most certain mark."""
        try:
            values = features.values("lettering")
        except UndecidedError as missing:
            if not self.required and missing.reason in UNAVAILABLE:
                return keep(marks=None, mark=None, score=None)
            raise
        marks = [i for i in range(len(values["text"])) if self._is_mark(values, i)]
        best = max(marks, key=lambda i: float(values["score"][i]), default=None)
        measured = {
            "marks": len(marks),
            "mark": None if best is None else str(values["text"][best]),
            "score": None if best is None else float(values["score"][best]),
        }
        if len(marks) > self.max_marks:
            return reject("watermark", **measured)
        return keep(**measured)

    def _is_mark(self, values: Values, i: int) -> bool:
        """Whether a line of text is a mark."""
        text = str(values["text"][i])
        if float(values["score"][i]) < self.certainty or _letters(text) < self.letters:
            return False
        if _ADDRESS.search(text) or _holds(text, self.words):
            return True
        middle = float(values["text_box"][i, [1, 3]].mean())
        at_border = min(middle, 1 - middle) <= self.border
        return at_border and float(values["still"][i]) >= _STILL


def _letters(text: str) -> int:
    """Number of letters and digits; those that stand for a word or a syllable count twice."""
    return sum(1 + (ord(c) >= 0x2E80) for c in text if c.isalnum())


def _holds(text: str, words: Sequence[str]) -> bool:
    """Whether a text holds one of some words, or is the beginning of one, or like one.

    Examples:
        >>> _holds("shutterstsck", ("shutterstock",)), _holds("shutt", ("shutterstock",))
        (True, True)
        >>> _holds("stock", ("shutterstock", "istock")), _holds("review", ("preview",))
        (False, False)
    """
    plain = "".join(c for c in text.casefold() if c.isalnum())
    return any(
        word in plain
        or (len(plain) >= _BEGINNING and word.startswith(plain))
        or (len(word) >= _LONG and SequenceMatcher(None, word, plain, False).ratio() >= _ALIKE)
        for word in words
    )
