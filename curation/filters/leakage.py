"""Whether a clip, or somebody in it, is in another set already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theval_datasets.curation.alike import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MUTE_ALIKE,
    Shelf,
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
        """Compare each clip with the references that have a similar picture, and all people."""
        shelf = Shelf()
        shelved = [one for one in references if len(one.prints.frames)]
        for one in shelved:
            shelf.add(one.prints)
        known = [one for one in references if one.people.size] if self.people else []
        return [self._judge(features, shelf, shelved, known) for _, features in clips]

    def _judge(
        self, features: Features, shelf: Shelf, shelved: Sequence[Any], known: Sequence[Any]
    ) -> Verdict:
        if not shelved and not known:
            return keep()
        try:
            prints = prints_of(features.values("fingerprints"))
            embeddings = features.values("arcface")["person_embedding"] if known else None
        except UndecidedError as absent:
            return undecided(absent.what)
        near, picture = shelf.near(prints, max(self.frames, self.mute))
        for number in near:
            frames, audio = resemblance(prints, shelved[number].prints)
            if same_recording(frames, audio, self.frames, self.audio, self.mute):
                name = shelved[number].clip_id
                return reject("leaked-clip", of=name, picture=picture, frames=frames, audio=audio)
        cosine: float | None = None
        for one in known:
            if embeddings is None:
                break
            if one.people.shape[1] != embeddings.shape[1]:
                return undecided("other-pack", of=one.clip_id)
            cosine = max(cosine or -1.0, float(similarity(embeddings, one.people).max()))
            if cosine >= self.same:
                return reject("leaked-person", of=one.clip_id, picture=picture, cosine=cosine)
        return keep(picture=picture, cosine=cosine)
