"""Features of synchrony: the last hidden states of Qwen2.5-Omni on frames and sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import numpy as np

from theval_datasets.errors import InputError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, find, known, need
from theval_datasets.media.frames import SAMPLE_RATE, FloatArray, FrameRequest, Frames

from .networks.device import Precision
from .networks.loading import identity
from .networks.qwen_omni import (
    ADAPTER,
    EXTRA,
    FPS,
    Pixels,
    Pool,
    QwenOmni,
    base_of,
    check_base,
    pictured,
)

PROMPT: Final = "How good is the quality of this talking head, and which distortions does it have?"
"""Question to the model after the clip."""
_OWN: Final = "qwen-sync"
_BASE: Final = "qwen2.5-omni"


@dataclass(frozen=True)
class QwenSync(Extractor):
    """Last hidden states of a fine-tuned Qwen2.5-Omni, pooled over the tokens of the clip.

    EvalTalker's Qwen-Sync is Qwen2.5-Omni fine-tuned on the scores and distortions of THQA-MT, and is not
    published. The default model is your own: a folder of a fine-tuned model, or of a LoRA adapter with
    its base, below `THEVAL_MODELS`. The model sees two frames a second and hears the sound on the timeline
    of the video. Only the first `seconds` are read; `cut` states whether the clip is longer. Clips without
    sound are empty.

    Attributes:
        model: `fine-tuned`: your own; `base`: Qwen2.5-Omni-7B as published, not trained on quality.
        pool: `mean` over all tokens, or the `last` token.
        seconds: Maximum length to read from the clip's start, in seconds.
        prompt: Text after the clip; it should be the one with which the model was fine-tuned.
        precision: Type of the weights, in which the model computes.
        folder: Folder that is searched first for the fine-tuned model; not part of the cache key.
    """

    model: Literal["fine-tuned", "base"] = "fine-tuned"
    pool: Pool = "mean"
    seconds: float = 30.0
    prompt: str = PROMPT
    precision: Precision = "bfloat16"
    folder: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "qwen_sync"
    source: ClassVar[str] = "EvalTalker (2025), section 4.4, on Xu et al., Qwen2.5-Omni (2025)"
    extra: ClassVar[str | None] = EXTRA
    imports: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "transformers")
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 1.0
    memory: ClassVar[int] = 24 << 30
    writes: ClassVar[tuple[Column, ...]] = (
        Column(
            "embedding",
            "float32",
            ("dim",),
            "Last hidden states of Qwen-Sync on frames and sound, pooled over the tokens.",
        ),
        Column("seconds", "float64", (), "Length of the clip that was read.", unit="s", low=0),
        Column("cut", "bool", (), "Whether the clip is longer than what was read."),
        Column("n_tokens", "int32", (), "Number of tokens.", low=1),
    )

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise InputError(f"expected seconds above 0, got {self.seconds}")

    @property
    def frames(self) -> FrameRequest:
        """Two frames a second."""
        return FrameRequest(fps=FPS)

    @property
    def needs_audio(self) -> bool:
        """Always."""
        return True

    def parameters(self) -> dict[str, Any]:
        """All parameters except the folder."""
        given = super().parameters()
        return {name: given[name] for name in given if name != "folder"}

    def weights(self) -> Sequence[Weights]:
        """The model; of an adapter, itself and its base."""
        if self.model == "base":
            return (known(_BASE),)
        own = replace(known(_OWN), folder=self.folder)
        tuned = find(own)
        if tuned is None or not (tuned / ADAPTER).is_file():
            return (own,)
        base = known(_BASE)
        if Path(local := base_of(tuned)).is_dir():
            base = replace(base, folder=local, files=("config.json", "*.safetensors"))
        return own, base

    def fetch_weights(self) -> None:
        """Download the base model if `model` is `base`."""
        if self.model == "base":
            super().fetch_weights()

    def weights_id(self) -> str:
        """Hashes of the model's files, and the version of transformers."""
        return identity(*self._places(), extra=EXTRA)

    def setup(self) -> QwenOmni:
        """Load the model."""
        own, *base = self._places()
        return QwenOmni(own, base[0] if base else None, self.precision)

    def _places(self) -> list[Path]:
        """Folder of the model; of an adapter, its own and that of its base.

        Raises:
            WeightsMissingError: One is missing, or the adapter was trained on another model.
        """
        own, *base = self.weights()
        place = need(own)
        if base:
            check_base(place, known(_BASE).source)
        return [place, *map(need, base)]

    def open(self, clip: ClipInputs, model: Any) -> _Clip:
        """Begin to keep frames, if there is sound."""
        return _Clip(clip, model, self)


class _Clip:
    """Keeps the first frames of a clip, at the size of the model's input."""

    def __init__(self, clip: ClipInputs, model: QwenOmni, options: QwenSync) -> None:
        clip.audio()  # without sound there is nothing to decode for
        self._clip = clip
        self._model = model
        self._options = options
        self._seconds = min(options.seconds, model.most_seconds)
        self._frames: list[Pixels] = []

    def update(self, batch: Frames) -> None:
        for frame, time in zip(batch.pixels, batch.times, strict=True):
            if time < self._seconds:
                self._frames.append(
                    pictured(frame, self._frames[0].shape if self._frames else None)
                )

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        sound = self._sound()
        vector, n_tokens = self._model.embed(
            self._frames, sound, self._options.prompt, self._options.pool
        )
        length = max(self._clip.duration, self._clip.audio().end)
        return {
            "embedding": vector,
            "seconds": np.array(min(self._seconds, length)),
            "cut": np.array(length > self._seconds),
            "n_tokens": np.array(n_tokens, np.int32),
        }, {}

    def _sound(self) -> FloatArray:
        """The sound from the first frame on, silent where the track begins later."""
        audio = self._clip.audio()
        most = int(self._seconds * SAMPLE_RATE)
        late = np.zeros(min(most, round(audio.start * SAMPLE_RATE)), np.float32)
        return np.concatenate([late, audio.samples[: most - len(late)]])
