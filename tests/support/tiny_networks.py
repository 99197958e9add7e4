"""Networks of the published architectures with a few random numbers for weights, in folders."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

VST_WIDTH = 96
SAPIENS_WIDTH = 8
QWEN_WIDTH = 32
_MARKS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>",
    "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>", "<|vision_eos|>",
)  # fmt: skip
_NAMES = {
    "audio_token": "<|AUDIO|>", "audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>",
    "image_token": "<|IMAGE|>", "video_token": "<|VIDEO|>", "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
}  # fmt: skip
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'video' %}"
    "<|vision_bos|><|VIDEO|><|vision_eos|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_swin3d(**options: Any) -> Any:
    """A network that stands for `torchvision.models.video.swin3d_t`."""
    from torchvision.models.video.swin_transformer import SwinTransformer3d

    return SwinTransformer3d(
        patch_size=[2, 4, 4], embed_dim=12, depths=[1] * 4, num_heads=[1, 1, 2, 2],
        window_size=[8, 7, 7], **options,
    )  # fmt: skip


def write_vst(models: Path, seed: int = 0) -> Path:
    """Write the state of `tiny_swin3d` in place of the published one, below a folder of weights."""
    import torch

    torch.manual_seed(seed)
    file = models / "torchvision" / "swin3d_t-7615ae03.pth"
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tiny_swin3d().state_dict(), file)
    return file


def write_sapiens(models: Path, seed: int = 0) -> Path:
    """Write a traced transformer with the input and output of Sapiens."""
    import warnings

    import torch

    class Vit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = SAPIENS_WIDTH
            self.patches = torch.nn.Conv2d(3, width, 64, 64)
            self.layer = torch.nn.TransformerEncoderLayer(width, 2, 16, 0.0, batch_first=True)

        def forward(self, pictures: Any) -> tuple[Any]:
            maps = self.patches(pictures)
            tokens = self.layer(maps.flatten(2).transpose(1, 2))
            return (tokens.transpose(1, 2).reshape(maps.shape),)

    torch.manual_seed(seed)
    net = Vit().eval()
    file = models / "sapiens" / "sapiens_2b_epoch_660_torchscript.pt2"
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.jit.trace(net, torch.zeros(2, 3, 1024, 1024), check_trace=False).save(str(file))
    return file


def write_sapiens2(models: Path, seed: int = 0) -> Path:
    """Write a small Sapiens2 and its processor."""
    import torch
    from transformers import Sapiens2Config, Sapiens2ImageProcessor, Sapiens2Model

    torch.manual_seed(seed)
    config = Sapiens2Config(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_attention_heads=1, num_first_full_attention_layers=1,
        num_last_full_attention_layers=0, image_size=[64, 48],
    )  # fmt: skip
    folder = models / "sapiens2-pretrain-1b"
    _save(Sapiens2Model(config), folder)
    Sapiens2ImageProcessor(size={"height": 64, "width": 48}).save_pretrained(str(folder))
    return folder


def write_siglip(folder: Path, texts: Sequence[str], seed: int = 0, **options: Any) -> Path:
    """Write a small SigLIP with its image processor and a tokenizer that knows the letters of some texts.

    Args:
        folder: Where.
        texts: Texts that the tokenizer can encode.
        seed: Of the weights.
        options: Changes of the vision part.
    """
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    folder.mkdir(parents=True, exist_ok=True)
    n_pieces = write_pieces(folder / "spiece.model", texts)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1} | {
        "num_attention_heads": 2
    }
    ids = {"vocab_size": n_pieces, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = {"image_size": 32, "patch_size": 8}
    torch.manual_seed(seed)
    net = SiglipModel(SiglipConfig(text_config=small | ids, vision_config=small | vision | options))
    for parameter in net.parameters():  # those of a new network are too alike to tell anything
        torch.nn.init.normal_(parameter, std=0.5)
    torch.nn.init.constant_(net.logit_scale, 4.0)
    torch.nn.init.constant_(net.logit_bias, -0.5)
    _save(net, folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(str(folder))
    published = {"tokenizer_class": "SiglipTokenizer", "model_input_names": ["input_ids"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(published))
    return folder


def write_pieces(file: Path, texts: Sequence[str]) -> int:
    """Write a model of SentencePiece with a piece for each letter; return the number of pieces."""
    import io

    import sentencepiece

    n_letters = len({letter for text in texts for letter in text.lower() if letter != " "})
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.lower() for text in texts), model_writer=model,
        vocab_size=n_letters + 4, model_type="char", character_coverage=1.0, bos_id=-1, eos_id=1,
        unk_id=2, pad_id=0, minloglevel=2,
    )  # fmt: skip
    file.write_bytes(model.getvalue())
    return n_letters + 4


@functools.cache
def _qwen_processor() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        Qwen2_5OmniProcessor,
        Qwen2TokenizerFast,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(list(_MARKS))
    fast = Qwen2TokenizerFast(
        tokenizer_object=tokenizer, unk_token=None, pad_token=_MARKS[0], eos_token=_MARKS[2],
        extra_special_tokens=_NAMES,
    )  # fmt: skip
    return Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(),
        video_processor=Qwen2VLVideoProcessor(),
        feature_extractor=WhisperFeatureExtractor(feature_size=128),
        tokenizer=fast,
        chat_template=_TEMPLATE,
    )


def tiny_thinker(seed: int = 0) -> Any:
    """A thinker of Qwen2.5-Omni."""
    import torch
    from transformers import Qwen2_5OmniThinkerConfig, Qwen2_5OmniThinkerForConditionalGeneration

    tokenizer = _qwen_processor().tokenizer
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in _MARKS}
    small = {"intermediate_size": 32, "hidden_size": QWEN_WIDTH}
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "d_model": QWEN_WIDTH, "encoder_layers": 1, "encoder_attention_heads": 2,
            "encoder_ffn_dim": 32, "output_dim": QWEN_WIDTH,
        },
        vision_config={
            **small, "depth": 1, "num_heads": 2, "out_hidden_size": QWEN_WIDTH,
            "fullatt_block_indexes": [0],
        },
        text_config={
            **small, "vocab_size": len(tokenizer), "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3],
            },
        },
        audio_token_index=ids["<|AUDIO|>"], audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"], image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"], vision_start_token_id=ids["<|vision_bos|>"],
        vision_end_token_id=ids["<|vision_eos|>"],
    )  # fmt: skip
    torch.manual_seed(seed)
    return Qwen2_5OmniThinkerForConditionalGeneration(config)


def write_qwen(folder: Path, seed: int = 0) -> Path:
    """Write a thinker with its processor, as fine-tuning leaves one."""
    _save(tiny_thinker(seed), folder)
    _quietly(_qwen_processor().save_pretrained, str(folder))
    return folder


def write_whole_qwen(folder: Path, thinker: Path) -> Path:
    """Write a thinker as a part of a whole Qwen2.5-Omni, which is how the base is published."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(thinker, folder)
    state = load_file(thinker / "model.safetensors")
    named = {f"thinker.{name}": value for name, value in state.items()}
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((thinker / "config.json").read_text())
    whole = {"model_type": "qwen2_5_omni", "thinker_config": config, "enable_audio_output": False}
    (folder / "config.json").write_text(json.dumps(whole))
    return folder


def write_adapter(folder: Path, base: Path, prefix: str = "") -> Path:
    """Write a LoRA adapter with random weights.

    Args:
        folder: Where.
        base: Folder of the thinker that it belongs to.
        prefix: What comes before the names of its weights: of the whole model ``thinker.``.
    """
    import warnings

    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration

    torch.manual_seed(7)
    net = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(str(base))
    options = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        get_peft_model(net, options).save_pretrained(str(folder))
    file = folder / "adapter_model.safetensors"
    start = "base_model.model."
    named = {k.replace(start, start + prefix): v for k, v in load_file(file).items()}
    save_file(named, file, metadata={"format": "pt"})
    return folder


def _save(net: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _quietly(net.save_pretrained, str(folder))


def _quietly(call: Any, *arguments: Any) -> None:
    from theval_datasets.features.networks.loading import quiet

    with quiet():
        call(*arguments)
