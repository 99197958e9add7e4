"""Whether a clip shows or sounds like an earlier one of the set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from theval_datasets.curation.alike import (
    AUDIO_ALIKE,
    FRAMES_ALIKE,
    MUTE_ALIKE,
    Prints,
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
from theval_datasets.features.fingerprints import Fingerprints
from theval_datasets.schema import Extractor


@dataclass(frozen=True)
class NearDuplicates(SetFilter):
    """Keeps the first of clips that resemble each other, in order of `clip_id`.

    Two clips are the same recording, in another quality or a part of it, when over a stretch that
    both share the pictures agree and the sounds do. One without sound is judged by its pictures
    alone, more strictly: two takes of one person in one place look nearly the same.

    Attributes:
        frames: Share of differing bits of the perceptual hashes up to which pictures agree.
        audio: Share of differing bits of the audio fingerprints up to which sounds agree.
        mute: As `frames`, where either clip has no sound.
    """

    frames: float = FRAMES_ALIKE
    audio: float = AUDIO_ALIKE
    mute: float = MUTE_ALIKE

    shown: ClassVar[Mapping[str, str]] = {"frames": "frames", "audio": "audio"}

    def needs(self) -> Sequence[Extractor]:
        """Fingerprints."""
        return (Fingerprints(),)

    def judge(
        self, clips: Sequence[tuple[Clip, Features]], references: Sequence[Any] = ()
    ) -> list[Verdict]:
        """Compare each clip with those kept before it that have a similar picture."""
        shelf = Shelf()
        kept: list[tuple[str, Prints]] = []
        verdicts: list[Verdict] = []
        for clip, features in clips:
            try:
                prints = prints_of(features.values("fingerprints"))
            except UndecidedError as absent:
                verdicts.append(undecided(absent.what))
                continue
            near, picture = shelf.near(prints, max(self.frames, self.mute))
            frames: float | None = None
            audio: float | None = None
            twin = None
            for number in near:
                name, other = kept[number]
                seen, heard = resemblance(prints, other)
                if same_recording(seen, heard, self.frames, self.audio, self.mute):
                    twin, frames, audio = name, seen, heard
                    break
                if frames is None or seen < frames:
                    frames, audio = seen, heard
            measured = {"picture": picture, "frames": frames, "audio": audio}
            if twin is None:
                kept.append((clip.clip_id, prints))
                shelf.add(prints)
                verdicts.append(keep(**measured))
            else:
                verdicts.append(reject("duplicate", of=twin, **measured))
        return verdicts
