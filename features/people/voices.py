"""Voices matched to the visible people who speak while they are heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from theval_datasets.extraction.outcomes import Values

from ..networks.lr_asd import FPS

Floats = npt.NDArray[np.float64]


class VoiceMatch(NamedTuple):
    """A voice and its person.

    Attributes:
        voice: Number of the voice, as in `speakers`.
        person: Number of the person, as in `faces`.
        share: Share of the voice's turns, as far as the person is in sight during them, in which that
            person speaks; 0 to 1.
    """

    voice: int
    person: int
    share: float


def match_voices(speakers: Values, active: Values, *, min_share: float = 0.5) -> list[VoiceMatch]:
    """Match each voice to at most one person, and each person to at most one voice.

    The matching maximises the total time during which voices are heard while their people speak. A voice has
    no match if its person speaks for too small a share of it, or is never in sight: it is off-screen, or the
    network is mistaken.

    Args:
        speakers: Values of the extractor `speakers`.
        active: Values of the extractor `active_speaker`.
        min_share: Minimum share of a match.

    Returns:
        Matches by the number of the voice.

    Examples:
        >>> speakers = {"turns": np.array([[0.0, 1.0]]), "speaker": np.array([3])}
        >>> heard = {"time": np.arange(25) / 25, "person": np.ones(25, int), "speaking": np.ones(25, bool)}
        >>> match_voices(speakers, heard)
        [VoiceMatch(voice=3, person=1, share=1.0)]
    """
    from scipy.optimize import linear_sum_assignment

    voices, people = np.unique(speakers["speaker"]), np.unique(active["person"])
    if not len(voices) or not len(people):
        return []
    middle = active["time"] + 0.5 / FPS
    together, in_sight = np.zeros((2, len(voices), len(people)))
    for i, voice in enumerate(voices):
        during = np.zeros(len(middle), bool)
        for start, end in speakers["turns"][speakers["speaker"] == voice]:
            during |= (middle >= start) & (middle < end)
        for j, person in enumerate(people):
            own = during & (active["person"] == person)
            in_sight[i, j] = own.sum()
            together[i, j] = (own & active["speaking"]).sum()
    share = np.divide(together, in_sight, out=np.zeros_like(together), where=in_sight > 0)
    worth = np.where((share >= min_share) & (together > 0), together, 0.0)
    rows, columns = linear_sum_assignment(-worth)
    return [
        VoiceMatch(int(voices[i]), int(people[j]), float(share[i, j]))
        for i, j in zip(rows, columns, strict=True)
        if worth[i, j] > 0
    ]


def voices_rttm(clip_id: str, speakers: Values, persons: Mapping[int, int]) -> str:
    """The turns of a clip's voices as RTTM, with the numbers of people.

    Args:
        clip_id: Id of the clip; white space in it becomes ``_``.
        speakers: Values of the extractor `speakers`.
        persons: Number of the person by number of the voice, for voices that have one.

    Returns:
        A line per turn, by its start: ``personN``, or ``voiceN`` for a voice without a visible person.

    Examples:
        >>> speakers = {"turns": np.array([[0.0, 1.0], [1.5, 2.0]]), "speaker": np.array([0, 1])}
        >>> print(voices_rttm("a clip", speakers, {0: 2}), end="")
        SPEAKER a_clip 1 0.000 1.000 <NA> <NA> person2 <NA> <NA>
        SPEAKER a_clip 1 1.500 0.500 <NA> <NA> voice1 <NA> <NA>
    """
    name = "_".join(clip_id.split())
    lines = []
    for (start, end), voice in sorted(
        zip(speakers["turns"].tolist(), speakers["speaker"].tolist(), strict=True)
    ):
        label = f"person{persons[voice]}" if voice in persons else f"voice{voice}"
        lines.append(
            f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {label} <NA> <NA>\n"
        )
    return "".join(lines)
