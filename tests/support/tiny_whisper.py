"""A Whisper of the right form and a few numbers, untrained, as CTranslate2 keeps one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LANGUAGES = ("en", "zh", "fr", "es", "it", "ja")
_WIDTH, _MELS, _HEADS = 16, 80, 2


def write_tiny_whisper(folder: Path, seed: int = 0, favourite: str | None = None) -> None:
    """Write model.bin, vocabulary, tokenizer and configuration.

    Args:
        folder: Made if it is not there.
        seed: Of the weights.
        favourite: A language that the model always hears.
    """
    from ctranslate2.specs.whisper_spec import WhisperSpec
    from tokenizers import Tokenizer, models

    words = ["", *(f"w{i}" for i in range(8))]  # CTranslate2 knows by "" that it is multilingual
    marks = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)]
    marks += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    marks += ["<|nospeech|>", "<|notimestamps|>"]
    marks += [f"<|{i * 0.02:.2f}|>" for i in range(4)]
    vocabulary = words + marks
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> Any:
        return (rng.standard_normal(shape) * 0.3).astype(np.float32)

    spec = WhisperSpec(1, _HEADS, 1, _HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = some(_WIDTH, _MELS, 3), some(_WIDTH)
    encoder.conv2.weight, encoder.conv2.bias = some(_WIDTH, _WIDTH, 3), some(_WIDTH)
    encoder.position_encodings.encodings = some(1500, _WIDTH)
    _attention(encoder.layer[0].self_attention, some, (3, 1))
    _feed_forward(encoder.layer[0].ffn, some)
    _norm(encoder.layer_norm)
    decoder.embeddings.weight = some(len(vocabulary), _WIDTH)
    decoder.position_encodings.encodings = some(448, _WIDTH)
    _attention(decoder.layer[0].self_attention, some, (3, 1))
    _attention(decoder.layer[0].attention, some, (1, 2, 1))
    _feed_forward(decoder.layer[0].ffn, some)
    _norm(decoder.layer_norm)
    decoder.projection.weight = decoder.embeddings.weight
    if favourite is not None:
        bias = np.zeros(len(vocabulary), np.float32)
        bias[vocabulary.index(f"<|{favourite}|>")] = 20.0
        decoder.projection.bias = bias
    spec.register_vocabulary(vocabulary)
    spec.config.lang_ids = [vocabulary.index(f"<|{code}|>") for code in LANGUAGES]
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="w0"))
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": _MELS}))


def _attention(layer: Any, some: Any, widths: tuple[int, ...]) -> None:
    _norm(layer.layer_norm)
    for linear, width in zip(layer.linear, widths, strict=True):
        linear.weight, linear.bias = some(width * _WIDTH, _WIDTH), some(width * _WIDTH)


def _feed_forward(layer: Any, some: Any) -> None:
    _norm(layer.layer_norm)
    layer.linear_0.weight, layer.linear_0.bias = some(4 * _WIDTH, _WIDTH), some(4 * _WIDTH)
    layer.linear_1.weight, layer.linear_1.bias = some(_WIDTH, 4 * _WIDTH), some(_WIDTH)


def _norm(layer: Any) -> None:
    layer.gamma = np.ones(_WIDTH, np.float32)
    layer.beta = np.zeros(_WIDTH, np.float32)
