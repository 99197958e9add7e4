"""Whether a clip, or somebody in it, is in another set already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theval_datasets.curation.alike import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MUTE_ALIKE,
    prints_of,
    resemblance,
    same_recording,
)
from theval_datasets.curation.filters._base import (
    Clip,
    Features,
    SetFilter,
    UndecidedError,
    Verdict,
    keep,
    reject,
    undecided,
)
from theval_datasets.features._pack import similarity
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.schema import Extractor


@dataclass(frozen=True)
class Leakage(SetFilter):
    """Keeps clips that no given reference index holds (`theval-data index` makes one).

    Attributes:
        frames: Share of differing bits up to which pictures are the same.
        audio: Share of differing bits up to which sounds are the same.
        mute: As `frames`, where either clip has no sound.
        people: Whether the same people are leakage too.
        same: Cosine of embeddings from which two faces are one person.
    """

    frames: float = FRAMES_ALIKE
    audio: float = AUDIO_ALIKE
    mute: float = MUTE_ALIKE
    people: bool = True
    same: float = 0.4

    shown: ClassVar[Mapping[str, str]] = {"cosine": "same", "frames": "frames", "audio": "audio"}

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints and embeddings."""
        return (Fingerprints(), *((Arcface(),) if self.people else ()))

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip with every reference."""
        return [self._judge(features, references) for _, features in clips]

    def _judge(self, features: Features, references: Sequence[Any]) -> Verdict:
        if not references:
            return keep()
        try:
            prints = prints_of(features.values("fingerprints"))
            embeddings = features.values("arcface")["person_embedding"] if self.people else None
        except UndecidedError as absent:
            return undecided(absent.what)
        least: tuple[float, float | None] = (0.5, None)
        cosine = -1.0
        for reference in references:
            frames, audio = resemblance(prints, reference.prints)
            least = min(least, (frames, audio), key=lambda pair: pair[0])
            if same_recording(frames, audio, self.frames, self.audio, self.mute):
                return reject("leaked-clip", of=reference.clip_id, frames=frames, audio=audio)
            if embeddings is None or not reference.people.size:
                continue
            if reference.people.shape[1] != embeddings.shape[1]:
                return undecided("other-pack", of=reference.clip_id)
            cosine = max(cosine, float(similarity(embeddings, reference.people).max()))
            if cosine >= self.same:
                return reject("leaked-person", of=reference.clip_id, cosine=cosine)
        return keep(frames=least[0], audio=least[1], cosine=cosine)
