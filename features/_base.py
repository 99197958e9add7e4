"""What every extractor shares.

An extractor is a frozen dataclass in a file of its own. Its fields are its parameters; class
attributes say what it reads and writes. `open` gives a fresh accumulator for each clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from theval_datasets import schema
from theval_datasets.records import to_plain
from theval_datasets.schema import Accumulator, ClipInputs, Column, FrameRequest, Frames, Values


@dataclasses.dataclass(frozen=True)
class Extractor:
    """Base of all extractors; see `theval_datasets.schema.Extractor` for what each part means."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    extra: ClassVar[str | None] = None
    imports: ClassVar[tuple[str, ...]] = ()
    """Modules of the extra that must be there for it to run."""
    by_default: ClassVar[bool] = True
    """Whether `extract` without `--features` runs it, where its extra is installed."""
    after_needs: ClassVar[bool] = False
    """Whether it wants frames only once what it needs is known, at the price of another decode."""
    writes: ClassVar[tuple[Column, ...]]

    @property
    def frames(self) -> FrameRequest | None:
        """No frames, unless an extractor asks for some."""
        return None

    @property
    def hears(self) -> bool:
        """No audio, unless an extractor asks for it."""
        return False

    def needs(self) -> Sequence[schema.Extractor]:
        """Nothing, unless an extractor says so."""
        return ()

    def parameters(self) -> dict[str, Any]:
        """The dataclass's fields."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def weights(self) -> str:
        """No model, unless an extractor says so."""
        return ""

    def ready(self) -> bool:
        """Whether its weights are on this machine; a run of all extractors leaves it out if not.

        Those of what it needs, unless an extractor says otherwise.
        """
        return all(needed.ready() for needed in self.needs())

    def obtain(self) -> None:
        """Fetch weights that are not here and can be had; for a run that names the extractor.

        What cannot be had is logged; `weights` raises for it later. Those of what it needs, unless
        an extractor says otherwise.
        """
        for needed in self.needs():
            needed.obtain()

    def setup(self) -> Any:
        """Nothing to load, unless an extractor says so."""
        return None

    def open(self, clip: ClipInputs, model: Any) -> Accumulator:
        """Begin a clip; extractors that look at no frames only override `compute`."""
        return _Once(self, clip, model)

    def compute(self, clip: ClipInputs, model: Any) -> tuple[Values, Mapping[str, str]]:
        """Values of an extractor that works on audio or on other features.

        Returns:
            The values, and for each undefined column the reason.

        Raises:
            AbsentError: If there is nothing to measure.
        """
        raise TypeError(f"{type(self).__name__} implements neither `open` nor `compute`")


class _Once:
    """The accumulator of an extractor that does everything at the end."""

    def __init__(self, extractor: Extractor, clip: ClipInputs, model: Any) -> None:
        self._extractor = extractor
        self._clip = clip
        self._model = model

    def update(self, batch: Frames) -> None:
        """No frames were asked for."""

    def finish(self) -> tuple[Values, Mapping[str, str]]:
        return self._extractor.compute(self._clip, self._model)
