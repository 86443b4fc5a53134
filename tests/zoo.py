"""Models of twelve kinds in their usual size, for memory tests here and on cards: torch, and transformers where named.

Each entry of ``ZOO`` builds (model, sample): a sample is what one item of a batch is, without the batch dimension.
A batch of k is k times the same sample, stacked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Built = tuple[nn.Module, Any]


class _DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        narrow = self.conv1(self.relu1(self.norm1(torch.cat(features, 1))))
        return self.conv2(self.relu2(self.norm2(narrow)))


class _DenseBlock(nn.ModuleList):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = [x]
        for layer in self:
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    """DenseNet-BC as in Huang et al. 2017, table 1; (6, 12, 24, 16) is DenseNet121."""

    def __init__(self, blocks: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32, classes: int = 1000) -> None:
        super().__init__()
        channels = 2 * growth
        stem = [nn.Conv2d(3, channels, 7, 2, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        parts: list[nn.Module] = [*stem, nn.MaxPool2d(3, 2, 1)]
        for index, layers in enumerate(blocks):
            parts.append(_DenseBlock([_DenseLayer(channels + i * growth, growth) for i in range(layers)]))
            channels += layers * growth
            if index + 1 < len(blocks):
                narrow = nn.Conv2d(channels, channels // 2, 1, bias=False)
                parts += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), narrow, nn.AvgPool2d(2, 2)]
                channels //= 2
        self.features = nn.Sequential(*parts, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(nn.functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class UNet(nn.Module):
    """Four levels of two convolutions with BatchNorm, transposed convolutions on the way up (Ronneberger 2015)."""

    def __init__(self, width: int = 32, classes: int = 21) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(5)]
        self.down = nn.ModuleList([_double(a, b) for a, b in zip([3, *widths], widths, strict=False)])
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList([nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs])
        self.merge = nn.ModuleList([_double(a, b) for a, b in pairs])
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for index, block in enumerate(self.down):
            x = block(x if index == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for up, merge, skip in zip(self.up, self.merge, kept[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.head(x)


def _double(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(
        *[
            m
            for i, o in ((a, b), (b, b))
            for m in (nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))
        ]
    )


class LSTMTagger(nn.Module):
    """Embedding, two LSTM layers, one class per sequence."""

    def __init__(self, words: int = 20000, width: int = 512) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 256)
        self.lstm = nn.LSTM(256, width, 2, batch_first=True, dropout=0.2)
        self.head = nn.Linear(width, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(tokens))[0][:, -1])


def _image(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, size, size), torch.tensor(1)


def _transformers_image(kind: str, size: int = 224, **config: Any) -> Built:
    import transformers

    made = getattr(transformers, f"{kind}Config")(num_labels=1000, **config)
    x, y = _image(size)
    return getattr(transformers, f"{kind}ForImageClassification")(made), {"pixel_values": x, "labels": y}


def _tokens(length: int, words: int = 1000) -> torch.Tensor:
    return torch.arange(length) % words


def _bert(length: int = 256, **config: Any) -> Built:
    import transformers

    model = transformers.BertForSequenceClassification(transformers.BertConfig(num_labels=2, **config))
    return model, {"input_ids": _tokens(length), "attention_mask": torch.ones(length).long(), "labels": torch.tensor(1)}


def _gpt2(length: int = 512) -> Built:
    import transformers

    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(use_cache=False))
    return model, {"input_ids": _tokens(length), "labels": _tokens(length)}


def _t5(length: int = 128) -> Built:
    import transformers

    config = transformers.T5Config(decoder_start_token_id=0, use_cache=False)  # the defaults are T5-small's sizes
    return transformers.T5ForConditionalGeneration(config), {"input_ids": _tokens(length), "labels": _tokens(length)}


def _mlp() -> Built:
    layers = [nn.Linear(784, 2048), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10)]
    return nn.Sequential(*layers), (torch.randn(784), torch.tensor(1))


def _unet(size: int = 256) -> Built:
    return UNet(), (torch.randn(3, size, size), torch.ones(size, size).long())


ZOO: dict[str, Callable[..., Built]] = {
    "densenet121": lambda size=224: (DenseNet(), _image(size)),
    "resnet50": lambda size=224: _transformers_image("ResNet", size),
    "convnext_tiny": lambda size=224: _transformers_image("ConvNext", size),
    "efficientnet_b0": lambda size=224: _transformers_image(
        "EfficientNet", size, width_coefficient=1.0, depth_coefficient=1.0, image_size=224, hidden_dim=1280,
        dropout_rate=0.2,
    ),
    "unet": _unet,
    "vit_base": lambda size=224: _transformers_image("ViT", size),
    "swin_tiny": lambda size=224: _transformers_image("Swin", size, depths=[2, 2, 6, 2], embed_dim=96),
    "bert_base": _bert,
    "gpt2": _gpt2,
    "t5_small": _t5,
    "lstm": lambda length=128: (LSTMTagger(), (_tokens(length), torch.tensor(1))),
    "mlp": _mlp,
}  # fmt: skip


def stacked(sample: Any, k: int) -> Any:
    """A batch of k times the same sample."""
    if isinstance(sample, dict):
        return {name: stacked(value, k) for name, value in sample.items()}
    if isinstance(sample, tuple):
        return tuple(stacked(value, k) for value in sample)
    return sample.expand(k, *sample.shape).contiguous()


def loss_of(model: nn.Module, batch: Any) -> torch.Tensor:
    """The model's own loss for dict batches, cross entropy for pairs."""
    if isinstance(batch, dict):
        return model(**batch).loss
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def optimizer_of(name: str, model: nn.Module) -> torch.optim.Optimizer:
    """An optimizer by its name, as most would write it."""
    made: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "SGD": lambda p: torch.optim.SGD(p, 0.01),
        "momentum": lambda p: torch.optim.SGD(p, 0.01, momentum=0.9),
        "Adam": lambda p: torch.optim.Adam(p, 1e-4),
        "AdamW": lambda p: torch.optim.AdamW(p, 1e-4),
        "RMSprop": lambda p: torch.optim.RMSprop(p, 1e-4),
    }
    return made[name](model.parameters())


def switch_checkpointing_on(model: Any) -> None:
    """By the switch of a transformers model, which has another name since 5.24."""
    is_new = hasattr(model, "activation_checkpointing_enable")
    name = "activation_checkpointing" if is_new else "gradient_checkpointing"
    getattr(model, f"{name}_enable")(**{f"{name}_kwargs": {"use_reentrant": False}})


def task_of_case(case: dict[str, Any]) -> Any:
    """The task of a case of ``tests/gpu/cases.py``, on the host.

    Args:
        case: "model", and where they differ from the usual: "size", "amp", "optimizer", "checkpointing".
    """
    from nbtune.engine import Task

    torch.manual_seed(0)
    model, sample = ZOO[case["model"]](*([case["size"]] if "size" in case else []))
    if case.get("checkpointing"):
        switch_checkpointing_on(model)
    loss_fn = None if isinstance(sample, dict) else nn.functional.cross_entropy
    amp = getattr(torch, case["amp"]) if "amp" in case else None
    return Task(model, optimizer_of(case.get("optimizer", "AdamW"), model), loss_fn, [stacked(sample, 2)], amp=amp)
