"""The thinker of Qwen2.5-Omni, which reads frames and sound interleaved in time, up to its last hidden states."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.media.frames import SAMPLE_RATE, FloatArray
from theval_datasets.utils.optional import require

from .device import Precision, arithmetic, chosen_device
from .loading import loaded, quiet

EXTRA: Final = "evaltalker"
FPS: Final = 2.0
"""Number of frames a second with which the model is trained."""
ADAPTER: Final = "adapter_config.json"
"""File by which the folder of an adapter is recognised."""

Pool = Literal["mean", "last"]
Pixels = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float32]

_KINDS: Final = ("qwen2_5_omni", "qwen2_5_omni_thinker")
_CELL: Final = 28  # side in pixels of the square that becomes one token
_LEAST_PIXELS: Final = 128 * _CELL * _CELL
_MOST_PIXELS: Final = 768 * _CELL * _CELL
_PROCESSOR: Final = ("processor_config.json", "preprocessor_config.json")
_MERGE: Final = (
    "merge it into the model (`swift export --merge_lora true`) and give the merged folder"
)


class QwenOmni:
    """The thinker and its processor.

    Args:
        folder: Folder of a model, or of a LoRA adapter.
        base: Folder of the model that an adapter was trained on; None for a whole model.
        precision: Type of the weights, in which the model computes.

    Raises:
        MissingExtraError: torch, torchvision, transformers or peft is missing, or they do not fit together.
        WeightsMissingError: A folder holds another model or an incomplete one, or the adapter does not
            fit its base.
    """

    def __init__(self, folder: Path, base: Path | None, precision: Precision) -> None:
        torch = require("torch", extra=EXTRA)
        require("torchvision", extra=EXTRA)
        transformers = require("transformers", extra=EXTRA)
        self._device = chosen_device(EXTRA)
        net = loaded(
            transformers.Qwen2_5OmniThinkerForConditionalGeneration,
            base or folder,
            kinds=_KINDS,
            dtype=getattr(torch, precision),
        )
        if base is not None:
            require("peft", extra=EXTRA)
            _add_adapter(net, folder)
        self._net: Any = net.eval().to(self._device)
        places = [place for place in (folder, base) if place and _has_processor(place)]
        if not places:
            raise WeightsMissingError(
                f"{folder} has no {' or '.join(_PROCESSOR)}: copy the files of the tokenizer and the "
                "processor there from the model that it was trained from"
            )
        with quiet():
            self._processor: Any = transformers.Qwen2_5OmniProcessor.from_pretrained(
                str(places[0]), local_files_only=True
            )

    @property
    def most_seconds(self) -> float:
        """Length in seconds of the sound that the processor keeps; it discards the rest silently."""
        return float(self._processor.feature_extractor.n_samples / SAMPLE_RATE)

    def embed(
        self, frames: Sequence[Pixels], sound: FloatArray, prompt: str, pool: Pool
    ) -> tuple[Vector, int]:
        """Last hidden states of a clip, pooled.

        Args:
            frames: uint8 (height, width, 3) each, in red, green, blue, two a second; of one size, results
                of `pictured`.
            sound: (n,): samples at 16 kHz from the first frame on, no longer than `most_seconds`.
            prompt: The user's text after the clip.
            pool: `mean` over all tokens, or the `last` one, from which an answer would follow.

        Returns:
            (dim,), dim of 3584 for Qwen2.5-Omni-7B, and the number of tokens.
        """
        import torch

        content = [{"type": "video"}, {"type": "text", "text": prompt}]
        with quiet():
            text = self._processor.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
            )
            inputs = self._processor(
                text=[text],
                videos=[torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)],
                audio=[np.asarray(sound, np.float32)],
                audio_from_video_indices=[0],
                load_audio_from_video=True,
                do_sample_frames=False,
                fps=FPS,
                size={"shortest_edge": _LEAST_PIXELS, "longest_edge": _MOST_PIXELS},
                cap_pixels_per_frame=True,
                sampling_rate=SAMPLE_RATE,
                return_tensors="pt",
            ).to(self._device)
            with arithmetic(self._device, "float32"):
                states = self._net.model(**inputs, use_audio_in_video=True).last_hidden_state[0]
        pooled = states[-1].float() if pool == "last" else states.float().mean(dim=0)
        vector: Vector = pooled.cpu().numpy()
        return vector, len(states)


def pictured(frame: Pixels, shape: tuple[int, ...] | None = None) -> Pixels:
    """A frame at the size that the model sees: at most 602,112 pixels, in cells of 28.

    Args:
        frame: uint8 (height, width, 3) in red, green, blue.
        shape: Shape of the clip's first result, which all others get too; None for the first.

    Returns:
        uint8 (rows, columns, 3).
    """
    import torch
    from torchvision.transforms import InterpolationMode, functional

    if shape is None:
        module = require("transformers.models.qwen2_vl.video_processing_qwen2_vl", extra=EXTRA)
        shape = module.smart_resize(*frame.shape[:2], _CELL, _LEAST_PIXELS, _MOST_PIXELS)
    picture = torch.from_numpy(frame.copy()).permute(2, 0, 1)
    sized = functional.resize(picture, list(shape[:2]), InterpolationMode.BICUBIC, antialias=True)
    pixels: Pixels = sized.permute(1, 2, 0).contiguous().numpy()
    return pixels


def base_of(adapter: Path) -> str:
    """Name of the model that an adapter was trained on, according to its configuration."""
    return str(json.loads((adapter / ADAPTER).read_text("utf-8")).get("base_model_name_or_path"))


def check_base(adapter: Path, published: str) -> None:
    """Check that an adapter was trained on a published model, or on one in a folder of this machine.

    Args:
        adapter: Folder of the adapter.
        published: Id of the published model at the Hub.

    Raises:
        WeightsMissingError: It was trained on another model.
    """
    base = base_of(adapter)
    if not Path(base).is_dir() and Path(base).name != published.rpartition("/")[2]:
        raise WeightsMissingError(
            f"the adapter in {adapter} was trained on {base}, which is neither {published} nor a folder "
            f"here; {_MERGE}"
        )


def _has_processor(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PROCESSOR)


def _add_adapter(net: Any, folder: Path) -> None:
    """Add a complete LoRA adapter; peft by itself only warns of tensors that do not fit."""
    import torch
    from safetensors.torch import load_file

    given = load_file(folder / "adapter_model.safetensors")
    try:
        with quiet():
            net.load_adapter(str(folder))
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsMissingError(
            f"the adapter in {folder} does not fit its base: {reason}; {_MERGE}"
        ) from None
    placed = [value for name, value in net.named_parameters() if "lora_" in name]

    def marks(tensors: Sequence[Any], like: Any) -> list[tuple[Any, ...]]:
        return sorted((*t.shape, float(t.to(like).double().sum())) for t in tensors)

    dtype = placed[0].dtype if placed else torch.float32
    if marks(placed, dtype) != marks(list(given.values()), dtype):
        raise WeightsMissingError(
            f"the adapter in {folder} does not fit its base {base_of(folder)}: "
            f"{len(given)} tensors were given and {len(placed)} places found; {_MERGE}"
        )
