"""Rules for meta tensors that are shorter than PyTorch's make the same tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from zoo import DenseNet, optimizer_of, stacked

from nbtune.engine import Task
from nbtune.engine.memory.rehearsal import recorder
from nbtune.engine.memory.rehearsal.recording import Recording
from nbtune.engine.memory.rehearsal.rehearse import Plan, Stage, rehearse
from nbtune.engine.memory.rehearsal.shortcuts import UNSUITED, shortcut
from nbtune.engine.memory.samples import Samples

_aten = torch.ops.aten


def gpt2() -> tuple[nn.Module, Any]:
    import transformers as t

    config = t.GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=50, n_positions=16, use_cache=False)
    return t.GPT2LMHeadModel(config), {"input_ids": torch.arange(16), "labels": torch.arange(16)}


def densenet() -> tuple[nn.Module, Any]:
    return DenseNet(blocks=(2, 2, 1, 1)), (torch.randn(3, 64, 64), torch.tensor(1))


@pytest.mark.parametrize("make", [gpt2, densenet])
@pytest.mark.parametrize("amp", [None, torch.bfloat16])
def test_a_trace_is_the_same_as_by_pytorchs_own_rules(make: Any, amp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, sample = make()
    loss_fn = None if isinstance(sample, dict) else nn.functional.cross_entropy
    task = Task(model, optimizer_of("AdamW", model), loss_fn, [stacked(sample, 2)])
    samples = Samples(task)

    def traced() -> Recording:
        return rehearse(task, samples, 3, Plan(amp=amp), Stage("meta"))[0]

    short = traced()
    monkeypatch.setattr(recorder, "shortcut", lambda func: None)
    own = traced()
    assert short.events == own.events
    assert [(a.size_bytes(), a.part, a.operator) for a in short.allocations] == [
        (a.size_bytes(), a.part, a.operator) for a in own.allocations
    ]


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


SHORT = [
    (meta(2, 3), meta(2, 3)),
    (meta(2, 8)[:, :3], meta(2, 5)[:, 2:]),
    (meta(3, 2).t(), meta(3, 2).t()),
    (meta(2, 3), 2.5),
    (meta(2, 3), True),
]
LEFT = [
    (meta(2, 3), meta(3)),
    (meta(2, 3), meta(2, 3, dtype=torch.bfloat16)),
    (meta(2, 3), meta(3, 2).t()),
    (meta(2, 1).expand(2, 3), meta(2, 3)),
    (meta(2, 3, dtype=torch.int64), meta(2, 3, dtype=torch.int64)),
    (meta(2, 3, dtype=torch.int64), 2.5),
    (meta(), meta(2, 3)),
    (2.0, meta(2, 3)),
]
FUNCTIONS = [_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor]


@pytest.mark.parametrize("func", FUNCTIONS)
@pytest.mark.parametrize("pair", SHORT, ids=range(len(SHORT)))
def test_sums_and_products_are_like_pytorchs(func: Any, pair: tuple[Any, Any]) -> None:
    quick = shortcut(func)
    assert quick is not None
    made, own = quick(*pair), func(*pair)
    assert (made.shape, made.dtype, made.stride()) == (own.shape, own.dtype, own.stride())
    assert made.untyped_storage().nbytes() == own.untyped_storage().nbytes()


@pytest.mark.parametrize("func", FUNCTIONS)
@pytest.mark.parametrize("pair", LEFT, ids=range(len(LEFT)))
def test_of_other_shapes_orders_and_types_they_are_left_to_pytorch(func: Any, pair: tuple[Any, Any]) -> None:
    quick = shortcut(func)
    assert quick is not None and quick(*pair) is UNSUITED


LIKE = [_aten.zeros_like.default, _aten.empty_like.default, _aten.ones_like.default]
LIKE_WHAT = [
    meta(2, 3), meta(), meta(0, 3), meta(3, 2).t(), meta(2, 8)[:, :3], meta(2, 1).expand(2, 3),
    meta(2, 3, 4, 4).to(memory_format=torch.channels_last), meta(2, 3, dtype=torch.bfloat16),
]  # fmt: skip


@pytest.mark.parametrize("func", LIKE)
@pytest.mark.parametrize("x", LIKE_WHAT, ids=range(len(LIKE_WHAT)))
@pytest.mark.parametrize("more", [{}, {"dtype": torch.float64}, {"memory_format": torch.preserve_format}])
def test_tensors_made_like_others_are_like_pytorchs(func: Any, x: torch.Tensor, more: dict[str, Any]) -> None:
    quick = shortcut(func)
    assert quick is not None
    made, own = quick(x, **more), func(x, **more)
    assert (made.shape, made.stride(), made.dtype, made.device) == (own.shape, own.stride(), own.dtype, own.device)


@pytest.mark.parametrize("func", LIKE)
def test_whole_numbers_other_devices_and_other_orders_are_left_to_pytorch(func: Any) -> None:
    quick = shortcut(func)
    assert quick is not None
    for x, more in [
        (meta(2, 3, dtype=torch.int64), {}), (meta(2, 3), {"dtype": torch.int64}), (meta(2, 3), {"device": "cpu"}),
        (meta(2, 3, 4, 4), {"memory_format": torch.channels_last}),
    ]:  # fmt: skip
        assert quick(x, **more) is UNSUITED
