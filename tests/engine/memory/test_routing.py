"""Steps that send samples different ways by numbers that nobody knows beforehand: mixtures of experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, estimate_memory

X = torch.randn(64, 8, 16, generator=torch.Generator().manual_seed(0))
EXPERTS = 4
Choice = Callable[[torch.Tensor], torch.Tensor]


class Experts(nn.Module):
    """Each token goes to one or two of four experts.

    Args:
        choose: From scores (tokens, experts) to (tokens, choices).
        dispatch: Adds to ``out`` what an expert makes of its tokens.
    """

    def __init__(self, choose: Choice, dispatch: Callable[..., None]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gate = nn.Linear(16, EXPERTS)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(16, 256), nn.GELU(), nn.Linear(256, 16)) for _ in "1234")
        self._choose, self._dispatch = choose, dispatch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(0, -2)
        chosen = self._choose(self.gate(tokens))
        out = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            self._dispatch(out, tokens, chosen == number, expert)
        return out.view(x.shape)


def by_places(out: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor, expert: nn.Module) -> None:
    rows = torch.where(mask)[0]
    out.index_add_(0, rows, expert(tokens[rows]))


def by_mask(out: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor, expert: nn.Module) -> None:
    mask = mask.any(-1)
    if mask.any():
        out[mask] = expert(tokens[mask])


def by_count(out: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor, expert: nn.Module) -> None:
    count = int(mask.sum())
    out[:count] += expert(tokens[:count])


def best(scores: torch.Tensor) -> torch.Tensor:
    return scores.argmax(-1, keepdim=True)


def best_two(scores: torch.Tensor) -> torch.Tensor:
    return scores.topk(2, dim=-1).indices


def told(scores: torch.Tensor) -> torch.Tensor:
    """Choices that do not hang on the scores: the numbers are known, and even."""
    return torch.arange(len(scores), device=scores.device)[:, None] % EXPERTS


def estimated(model: nn.Module) -> MemoryEstimate:
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), F.mse_loss, (X, X))
    return estimate_memory(task, "8 GB")


def told_of(estimate: MemoryEstimate) -> bool:
    return any("even share" in caveat for caveat in (*estimate.caveats, *estimate.traced_caveats))


@pytest.mark.parametrize("dispatch", [by_places, by_mask])
def test_experts_are_taken_to_be_in_balance_and_it_is_said(dispatch: Callable[..., None]) -> None:
    routed, even = estimated(Experts(best, dispatch)), estimated(Experts(told, dispatch))
    assert routed.method == even.method == "meta"
    assert told_of(routed) and not told_of(even)
    # The scores are there beside, and what chooses among them.
    assert routed.breakdown(64)["activations"] == pytest.approx(even.breakdown(64)["activations"], rel=0.02)


def test_two_experts_for_each_token_take_twice_as_much() -> None:
    one, two = (estimated(Experts(choose, by_places)).breakdown(256)["activations"] for choose in (best, best_two))
    assert two == pytest.approx(2 * one, rel=0.05)


def test_one_tape_serves_every_batch_size_where_the_tokens_can_be_shared_out() -> None:
    assert not any("by itself" in caveat for caveat in estimated(Experts(best, by_places)).caveats)


def test_a_count_that_becomes_a_length_is_even_too() -> None:
    estimate = estimated(Experts(best, by_count))
    assert estimate.method == "meta" and estimate.caveats


def test_an_accuracy_for_the_record_says_nothing_of_ways() -> None:
    seen: list[float] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        out = model(batch[0])
        seen.append((out.argmax(-1) == 0).sum().item())
        return F.mse_loss(out, batch[1])

    model = nn.Linear(16, 16)
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), data=(X, X), training_step=step)
    estimate = estimate_memory(task, "8 GB")
    assert estimate.method == "meta" and not told_of(estimate)
    assert any("made up" in caveat for caveat in estimate.caveats)


@pytest.mark.parametrize("name", ["Mixtral", "Qwen2Moe"])
def test_ready_made_mixtures_of_experts_are_traced_without_numbers(name: str) -> None:
    import transformers as t

    config = getattr(t, f"{name}Config")(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        vocab_size=100, num_local_experts=4, num_experts=4, moe_intermediate_size=32, use_cache=False,
        shared_expert_intermediate_size=32,
    )  # fmt: skip
    model = getattr(t, f"{name}ForCausalLM")(config)
    words = torch.arange(16)[None].expand(2, 16)
    task = Task(model, torch.optim.AdamW(model.parameters()), data=[{"input_ids": words, "labels": words}])
    assert estimate_memory(task, "8 GB").method == "meta"
