"""Models for ``memory.py host``: how to build each, one sample, and k. Real ones, narrow, so that steps are quick."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from zoo import ZOO, DenseNet, LSTMTagger, UNet

Built = tuple[nn.Module, Any]
Case = tuple[Callable[[], Built], int]
_NARROW = {"num_hidden_layers": 4, "hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 512}
_BERT = {**_NARROW, "vocab_size": 1000, "num_labels": 2}


def seen() -> dict[str, Case]:
    """Those at whose errors the rules were looked up."""
    t = _transformers()
    return {
        "densenet121": (lambda: (DenseNet(), _image(96)), 4),
        "resnet": (lambda: (t.ResNetForImageClassification(
            t.ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[32, 64, 128, 256])), _pixels(96)), 16),
        "convnext": (lambda: (t.ConvNextForImageClassification(
            t.ConvNextConfig(depths=[2, 2, 2, 2], hidden_sizes=[24, 48, 96, 192])), _pixels(96)), 8),
        "efficientnet_b0": (lambda: ZOO["efficientnet_b0"](64), 4),
        "unet": (lambda: (UNet(8), (torch.randn(3, 128, 128), torch.ones(128, 128).long())), 4),
        "vit": (lambda: (
            t.ViTForImageClassification(t.ViTConfig(**_NARROW, image_size=96, patch_size=8)), _pixels(96)), 8),
        "swin": (lambda: (t.SwinForImageClassification(
            t.SwinConfig(depths=[2, 2], num_heads=[2, 4], embed_dim=48, image_size=112)), _pixels(112)), 4),
        "bert": (lambda: (t.BertForSequenceClassification(t.BertConfig(**_BERT)), {
            "input_ids": torch.arange(128), "attention_mask": torch.ones(128).long(), "labels": torch.tensor(1)}), 8),
        "gpt2": (lambda: (t.GPT2LMHeadModel(
            t.GPT2Config(n_layer=4, n_embd=128, n_head=4, vocab_size=1000, use_cache=False)), _words(128)), 8),
        "t5": (lambda: (t.T5ForConditionalGeneration(t.T5Config(
            d_model=128, d_ff=512, d_kv=32, num_layers=3, num_heads=4, vocab_size=1000, decoder_start_token_id=0,
            use_cache=False)), _words(64)), 8),
        "lstm": (lambda: (LSTMTagger(1000, 64), (torch.arange(64), torch.tensor(1))), 16),
        "mlp": (lambda: ZOO["mlp"](), 512),
        "segformer": (lambda: (t.SegformerForImageClassification(t.SegformerConfig(
            depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 48, 64], num_attention_heads=[1, 2, 3, 4])), _pixels(96)), 4),
        "gru": (lambda: (GRUTagger(), (torch.arange(48), torch.tensor(1))), 16),
    }  # fmt: skip


def others() -> dict[str, Case]:
    """Those that came later: nothing was changed for them."""
    t = _transformers()
    llama = {**_NARROW, "num_key_value_heads": 2, "vocab_size": 1000, "use_cache": False}
    return {
        "mobilenet_v2": (lambda: (t.MobileNetV2ForImageClassification(
            t.MobileNetV2Config(depth_multiplier=0.5, image_size=96)), _pixels(96)), 8),
        "regnet": (lambda: (t.RegNetForImageClassification(t.RegNetConfig(
            depths=[1, 1, 2, 1], hidden_sizes=[32, 64, 128, 256], groups_width=16)), _pixels(96)), 8),
        "llama": (lambda: (t.LlamaForCausalLM(t.LlamaConfig(**llama)), _words(96)), 8),
        "whisper": (lambda: (t.WhisperForConditionalGeneration(t.WhisperConfig(
            d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=128, decoder_ffn_dim=128, vocab_size=600, max_source_positions=100, use_cache=False,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1)),
            {"input_features": torch.randn(80, 200), "labels": torch.arange(20)}), 8),
    }  # fmt: skip


def kept_back() -> dict[str, Case]:
    """Five at which nobody looked while the rules were made."""
    t = _transformers()
    return {
        "convnext_v2": (lambda: (t.ConvNextV2ForImageClassification(
            t.ConvNextV2Config(depths=[1, 1, 2, 1], hidden_sizes=[16, 32, 64, 128])), _pixels(96)), 8),
        "mobilevit": (lambda: (t.MobileViTForImageClassification(t.MobileViTConfig(
            hidden_sizes=[48, 64, 80], neck_hidden_sizes=[16, 16, 24, 32, 48, 64, 128], image_size=128)),
            _pixels(128)), 4),
        "poolformer": (lambda: (t.PoolFormerForImageClassification(t.PoolFormerConfig(
            depths=[1, 1, 2, 1], hidden_sizes=[24, 48, 96, 128])), _pixels(96)), 8),
        "electra": (lambda: (t.ElectraForSequenceClassification(
            t.ElectraConfig(**_BERT, embedding_size=64)), {
            "input_ids": torch.arange(96), "attention_mask": torch.ones(96).long(), "labels": torch.tensor(1)}), 8),
        "opt": (lambda: (t.OPTForCausalLM(t.OPTConfig(
            hidden_size=128, word_embed_proj_dim=128, num_hidden_layers=3, num_attention_heads=4, ffn_dim=512,
            vocab_size=1000, max_position_embeddings=128, use_cache=False)), _words(96)), 8),
    }  # fmt: skip


class GRUTagger(nn.Module):
    """Embedding, two GRU layers in both directions, one class per sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(500, 64), nn.Linear(128, 4)
        self.gru = nn.GRU(64, 64, 2, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(self.words(x))[0].mean(1))


def _transformers() -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    return transformers


def _image(size: int) -> Any:
    return torch.randn(3, size, size), torch.tensor(1)


def _pixels(size: int) -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(3, size, size), "labels": torch.tensor(1)}


def _words(length: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.arange(length), "labels": torch.arange(length)}
