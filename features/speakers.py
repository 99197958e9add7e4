"""Speaker diarisation by pyannote, and overlapping speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from theval_datasets.errors import AbsentError
from theval_datasets.extraction.extractor import ClipInputs, Column, Extractor
from theval_datasets.extraction.outcomes import Values
from theval_datasets.extraction.weights import Weights, fetch_if_missing, from_repository, need
from theval_datasets.media.frames import SAMPLE_RATE
from theval_datasets.utils.optional import require

from .networks import pyannote as _pyannote

_EXTRA: Final = "diarization"


@dataclass(frozen=True)
class Speakers(Extractor):
    """Speaker turns by pyannote's pipeline, with the published settings of version 3.1.

    Attributes:
        segmentation: Id of the segmentation model at the Hub.
        embedding: Id of the voice embedding model at the Hub.
        threshold: Maximum distance of the voice embeddings of one speaker.
        min_cluster_size: Minimum number of speech chunks of a speaker.
        folder: Folder of the segmentation model; not part of the cache key.
        embedding_folder: Folder of the voice embedding model; not part of the cache key.
        token: Token of the Hub; None for `HF_TOKEN`. It is never stored.
    """

    segmentation: str = _pyannote.SEGMENTATION
    embedding: str = _pyannote.EMBEDDING
    threshold: float = 0.7045654963945799
    min_cluster_size: int = 12
    folder: str | None = field(default=None, compare=False)
    embedding_folder: str | None = field(default=None, compare=False)
    token: str | None = field(default=None, compare=False, repr=False)

    name: ClassVar[str] = "speakers"
    source: ClassVar[str] = (
        "pyannote.audio 3.1 (Bredin, pyannote.audio 2.1 Speaker Diarization Pipeline, 2023)"
    )
    extra: ClassVar[str | None] = _EXTRA
    imports: ClassVar[tuple[str, ...]] = ("pyannote.audio",)
    default_enabled: ClassVar[bool] = False
    gpus: ClassVar[float] = 0.1
    writes: ClassVar[tuple[Column, ...]] = (
        Column("turns", "float64", ("turn", 2), "Start and end of each turn.", unit="s"),
        Column("speaker", "int32", ("turn",), "Number of the speaker, by first turn.", low=0),
        Column(
            "overlaps", "float64", ("overlap", 2), "Start and end of overlapping speech.", unit="s"
        ),
        Column("n_speakers", "int32", (), "Speakers heard.", low=1),
        Column("overlap_ratio", "float64", (), "Share of the audio with overlap.", low=0, high=1),
    )

    @property
    def needs_audio(self) -> bool:
        """The whole track."""
        return True

    def parameters(self) -> dict[str, Any]:
        """All parameters except folders and token."""
        given = super().parameters()
        hidden = ("folder", "embedding_folder", "token")
        return {name: given[name] for name in given if name not in hidden}

    def weights(self) -> Sequence[Weights]:
        """The segmentation model and the voice embedding model."""
        return (
            from_repository("pyannote-segmentation", self.segmentation, self.folder),
            from_repository("pyannote-embedding", self.embedding, self.embedding_folder),
        )

    def fetch_weights(self) -> None:
        """Download both models from the Hub."""
        for weights in self.weights():
            fetch_if_missing(weights, self.token)

    def weights_id(self) -> str:
        """Hashes of both checkpoints."""
        require("pyannote.audio", extra=_EXTRA)
        return _pyannote.identity(*map(need, self.weights()))

    def setup(self) -> Any:
        """Load both models as a pipeline."""
        segmentation, embedding = (_pyannote.load(need(weights)) for weights in self.weights())
        with _pyannote.quiet():
            pipelines = require("pyannote.audio.pipelines", extra=_EXTRA)
            pipeline = pipelines.SpeakerDiarization(
                segmentation=segmentation,
                embedding=embedding,
                embedding_exclude_overlap=True,
                clustering="AgglomerativeClustering",
            )
            settings: dict[str, Any] = {"min_duration_off": 0.0}
            if not segmentation.specifications.powerset:
                settings["threshold"] = 0.5
            pipeline.instantiate(
                {
                    "segmentation": settings,
                    "clustering": {
                        "method": "centroid",
                        "min_cluster_size": self.min_cluster_size,
                        "threshold": self.threshold,
                    },
                }
            )
        return pipeline

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Process the whole track."""
        audio = clip.audio()
        with _pyannote.quiet():
            diarization = model(_pyannote.file_of(audio))
        length = len(audio.samples) / SAMPLE_RATE
        numbers: dict[str, int] = {}
        turns: list[tuple[float, float]] = []
        speakers: list[int] = []
        for segment, _, label in diarization.itertracks(yield_label=True):
            turns.append((segment.start, min(segment.end, length)))
            speakers.append(numbers.setdefault(label, len(numbers)))
        if not turns:
            raise AbsentError("no-speech", "no speaker was detected")
        overlaps = np.array([(s.start, min(s.end, length)) for s in diarization.get_overlap()])
        overlaps = overlaps.reshape(-1, 2)
        return {
            "turns": np.array(turns, dtype=np.float64) + audio.start,
            "speaker": np.array(speakers, np.int32),
            "overlaps": overlaps.astype(np.float64) + audio.start,
            "n_speakers": np.array(len(numbers), np.int32),
            "overlap_ratio": np.array(float((overlaps[:, 1] - overlaps[:, 0]).sum()) / length),
        }, {}
