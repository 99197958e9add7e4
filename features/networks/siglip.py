"""SigLIP: zero-shot classification of pictures by texts, through transformers.

Zhai et al., Sigmoid Loss for Language Image Pre-Training (2023). A kind is described by several texts, whose
embeddings are averaged (Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
2021, section 3.1.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import WeightsMissingError
from theval_datasets.utils.optional import available, require

from .device import arithmetic, chosen_device
from .loading import check, identity, loaded, quiet

EXTRA: Final = "depiction"
WEIGHTS: Final = "siglip"
MODULES: Final = ("sentencepiece", "torch", "transformers")
_TYPES: Final = ("siglip",)
_BATCH: Final = 16

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float64]


def siglip_identity(folder: Path) -> str:
    """Identity of a model for cache keys.

    Args:
        folder: Folder of the model.

    Raises:
        MissingExtraError: transformers is not installed.
        WeightsMissingError: The folder holds another model, or a damaged or incomplete file.
    """
    check(folder, _TYPES)
    return identity(folder, extra=EXTRA)


class SiglipClassifier:
    """A SigLIP that tells kinds of pictures apart; the texts are embedded once.

    Pictures are scaled by Pillow, so that values do not depend on whether torchvision is installed. Equal
    pictures, in equal batches, have equal values on one machine; those of other processors, GPUs or numbers of
    threads differ by rounding.

    Args:
        folder: Folder with the model, its tokenizer, and the configuration of its image processor.
        kinds: Texts that describe each kind.

    Raises:
        MissingExtraError: torch, transformers or sentencepiece is missing, or a torchvision does not fit torch.
        WeightsMissingError: The folder holds another model, or parts that are damaged or do not fit together.
    """

    def __init__(self, folder: Path, kinds: Mapping[str, Sequence[str]]) -> None:
        for module in MODULES:
            require(module, extra=EXTRA)
        if available("torchvision"):  # which transformers then imports
            require("torchvision", extra=EXTRA)
        import torch
        import transformers

        self._device = chosen_device(EXTRA)
        net = loaded(transformers.SiglipModel, folder, kinds=_TYPES, dtype=torch.float32)
        net = net.to(self._device)
        try:
            with quiet(), arithmetic(self._device, "float32"):
                tokenizer = transformers.SiglipTokenizer.from_pretrained(
                    str(folder), local_files_only=True
                )
                n_pieces, n_known = len(tokenizer), net.config.text_config.vocab_size
                if n_pieces > n_known:
                    raise ValueError(
                        f"the tokenizer has {n_pieces} pieces and the model knows {n_known}"
                    )
                self._processor: Any = transformers.SiglipImageProcessorPil.from_pretrained(
                    str(folder), local_files_only=True
                )
                self._texts = torch.stack(
                    [self._embedded(net, tokenizer, texts) for texts in kinds.values()]
                )
            self._scale: Any = net.logit_scale.detach().exp().double()
            self._vision: Any = net.vision_model
            trial = self.probabilities([np.full((2, 2, 3), 127, np.uint8)])
        except (OSError, RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise WeightsMissingError(
                f"the parts of the model in {folder} do not fit together, or one is damaged ({reason}); "
                "fetch the model again"
            ) from None
        if not np.isfinite(trial).all():
            raise WeightsMissingError(
                f"the weights in {folder} are damaged: expected probabilities of a picture, got NaN; "
                "fetch the model again"
            )

    def _embedded(self, net: Any, tokenizer: Any, texts: Sequence[str]) -> Any:
        """Embedding of a kind: the mean of its texts' embeddings, (dim,), of length 1."""
        from torch.nn.functional import normalize

        inputs = tokenizer(
            list(texts),
            padding="max_length",  # as in training, where padding was not masked
            truncation=True,
            max_length=net.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        states = net.text_model(input_ids=inputs["input_ids"].to(self._device)).pooler_output
        return normalize(normalize(states, dim=-1).mean(dim=0), dim=-1)

    def probabilities(self, pictures: Sequence[Pixels]) -> Probabilities:
        """Probability of each kind for each picture, if it is of one of the kinds.

        Args:
            pictures: n of uint8 (height, width, 3) in red, green, blue; scaled to squares.

        Returns:
            (n, kinds): 0 to 1, of sum 1 for each picture.
        """
        from torch.nn.functional import normalize

        parts = [np.zeros((0, len(self._texts)))]
        for begin in range(0, len(pictures), _BATCH):
            inputs = self._processor(
                images=list(pictures[begin : begin + _BATCH]), return_tensors="pt"
            )
            with arithmetic(self._device, "float32"):
                states = self._vision(pixel_values=inputs["pixel_values"].to(self._device))
                likeness = normalize(states.pooler_output, dim=-1) @ self._texts.T
                # The model's bias is the same for all kinds, and has no influence.
                logits = likeness.double() * self._scale
                parts.append(logits.softmax(dim=-1).cpu().numpy())
        return np.concatenate(parts)
