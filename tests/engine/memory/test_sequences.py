"""Sequences of tokens: which data hold them, and what shorter ones take against data that are really shorter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as t
from torch import nn
from zoo import optimizer_of, stacked

from nbtune.engine import Task
from nbtune.engine.memory.estimate import estimate_memory
from nbtune.engine.memory.samples import Samples
from nbtune.engine.memory.sequences import sequence_length_of_batch, with_sequence_length


def text_task(tokens: int = 64, kind: str = "dict") -> Task:
    torch.manual_seed(0)
    config = t.BertConfig(num_hidden_layers=1, hidden_size=64, num_attention_heads=2, intermediate_size=128)
    words = torch.arange(tokens)
    model: nn.Module = t.BertForMaskedLM(config)
    sample: Any = {"input_ids": words, "attention_mask": torch.ones(tokens).long(), "labels": words}
    if kind == "pair":
        model = nn.Sequential(nn.Embedding(100, 32), nn.Linear(32, 100), nn.Flatten(0, 1))
        return Task(model, optimizer_of("AdamW", model), pair_loss, [stacked((words % 100, words % 100), 2)])
    return Task(model, optimizer_of("AdamW", model), None, [stacked(sample, 2)])


def pair_loss(scores: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(scores, words.flatten())


@pytest.mark.parametrize("kind", ["dict", "pair"])
@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("tokens", [16, 128])
def test_other_lengths_are_what_data_of_that_length_take(kind: str, device: str, tokens: int) -> None:
    estimate = estimate_memory(text_task(kind=kind), device=device, sequence_length=tokens)
    assert estimate.sequence_length == tokens
    really = estimate_memory(text_task(tokens, kind=kind), device=device)
    for k in (2, 16, 64):
        assert estimate.breakdown(k) == really.breakdown(k)


def test_a_change_of_length_is_an_estimate_of_that_length() -> None:
    estimate = estimate_memory(text_task(), "8 GB")
    assert estimate.sequence_length == 64
    shorter = estimate.changed(sequence_length=32)
    assert shorter.sequence_length == 32
    assert shorter.peak_bytes(64) == estimate_memory(text_task(), "8 GB", sequence_length=32).peak_bytes(64)
    assert shorter.breakdown(64)["activations"] < 0.6 * estimate.breakdown(64)["activations"]


def test_masks_of_pairs_of_tokens_follow_in_both_lengths() -> None:
    batch = {"ids": torch.zeros(3, 20).long(), "mask": torch.ones(3, 20, 20), "wide": torch.zeros(3, 4, 20)}
    shorter = with_sequence_length(batch, 8)
    assert [tuple(x.shape) for x in shorter.values()] == [(3, 8), (3, 8, 8), (3, 4, 20)]
    longer = with_sequence_length({"ids": np.arange(40).reshape(2, 20)}, 50)["ids"]
    assert longer.shape == (2, 50) and list(longer[0][18:22]) == [18, 19, 0, 1]


@pytest.mark.parametrize(
    "batch",
    [
        (torch.randn(2, 30), torch.zeros(2).long()),
        (torch.randn(2, 3, 32, 32), torch.zeros(2, 20).long()),
        (torch.zeros(2, 4).long(), torch.zeros(2)),
        (torch.zeros(2, 40), torch.zeros(2, 40).bool()),
    ],
    ids=["features", "images", "few", "floats"],
)
def test_what_holds_no_tokens_has_no_length(batch: Any) -> None:
    assert sequence_length_of_batch(batch) is None
    with pytest.raises(ValueError, match="hold no tokens"):
        with_sequence_length(batch, 8)


def test_a_length_that_is_none_is_refused() -> None:
    for wrong in (0, -1, 2.5, True, "16"):
        with pytest.raises((TypeError, ValueError), match="sequence_length"):
            estimate_memory(text_task(), "8 GB", sequence_length=wrong)  # type: ignore[arg-type]
    assert Samples(text_task()).sequence_length == 64
