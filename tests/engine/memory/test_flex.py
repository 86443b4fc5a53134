"""flex_attention keeps no scores, whatever the length."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, estimate_memory

flex = pytest.importorskip("torch.nn.attention.flex_attention")
WIDTH, HEADS = 32, 2


class Attention(nn.Module):
    """One layer of attention by a function of (query, key, value)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.inputs, self._name = nn.Linear(WIDTH, 3 * WIDTH), name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.inputs(x).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        attend = flex.flex_attention if self._name == "flex" else F.scaled_dot_product_attention
        return attend(q, k, v).transpose(1, 2).flatten(2)


def estimated(name: str, length: int) -> MemoryEstimate:
    model, x = Attention(name), torch.zeros(2, length, WIDTH)
    return estimate_memory(Task(model, torch.optim.SGD(model.parameters(), 0.1), F.mse_loss, [(x, x)]), "8 GB")


def test_it_takes_what_fused_attention_takes_and_says_so() -> None:
    fused, own = estimated("fused", 256), estimated("flex", 256)
    assert own.method == "meta" and any("flex_attention" in caveat for caveat in own.caveats)
    assert sum(own.breakdown(64).values()) == pytest.approx(sum(fused.breakdown(64).values()), rel=0.05)


def test_twice_the_length_takes_twice_as_much() -> None:
    short, long = (sum(estimated("flex", length).breakdown(64).values()) for length in (256, 512))
    assert long == pytest.approx(2 * short, rel=0.05)


def test_afterwards_it_is_what_it_was() -> None:
    before = [getattr(flex, name) for name in ("_validate_device", "flex_attention_hop")]
    estimated("flex", 64)
    assert [getattr(flex, name) for name in ("_validate_device", "flex_attention_hop")] == before
    assert flex._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG is False
