"""Models that were handed to a compiler take what they would take without it, and that is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from host_truth import peak_of_steps
from torch import nn
from torch.nn import functional as F

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, estimate_memory

X = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
Y = torch.zeros(64).long()


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Sequential(nn.Conv2d(16, 32, 3), nn.Tanh()),
        nn.Flatten(), nn.Linear(32 * 144, 2),
    )  # fmt: skip


def estimated(model: nn.Module, **changes: Any) -> MemoryEstimate:
    arguments = {"loss_fn": F.cross_entropy} if "training_step" not in changes else {}
    optimizer = torch.optim.Adam(model.parameters())
    return estimate_memory(Task(model, optimizer, data=(X, Y), **arguments, **changes), "8 GB")


def inner(compiler: Callable[[nn.Module], Any]) -> nn.Module:
    model = net()
    model[3] = compiler(model[3])
    return model


def own_call() -> nn.Module:
    model = net()
    model.compile()
    return model


WAYS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "script": ("TorchScript", lambda: torch.jit.script(net())),
    "trace": ("TorchScript", lambda: torch.jit.trace(net(), X[:2])),
    "script within": ("TorchScript", lambda: inner(torch.jit.script)),
    "compile": ("torch.compile", lambda: torch.compile(net())),
    "compile within": ("torch.compile", lambda: inner(torch.compile)),
    "its own call": ("torch.compile", own_call),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("way", WAYS)
def test_it_takes_what_the_plain_model_takes_and_says_so(way: str) -> None:
    named, make = WAYS[way]
    model = make()
    before = [p.detach().clone() for p in model.parameters()]
    plain, compiled = estimated(net()), estimated(model)
    assert compiled.method == "meta" and any(named in caveat for caveat in compiled.caveats)
    assert not plain.caveats
    for k in (2, 64, 512):
        assert compiled.breakdown(k) == plain.breakdown(k)
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert parameter.device.type == "cpu" and torch.equal(parameter, old)


def test_a_compiled_step_is_counted_as_the_step() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    plain, compiled = (estimated(net(), training_step=s) for s in (step, torch.compile(step)))
    assert compiled.method == "meta" and compiled.breakdown(64) == plain.breakdown(64)
    assert any("torch.compile" in caveat for caveat in compiled.caveats)


def test_a_model_traced_by_fx_and_one_with_parametrizations_need_no_word() -> None:
    traced = estimated(torch.fx.symbolic_trace(net()))
    assert traced.method == "meta" and not traced.caveats
    assert traced.breakdown(64) == estimated(net()).breakdown(64)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("how", [
    torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.parametrizations.spectral_norm,
    torch.nn.utils.parametrizations.orthogonal, torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm,
])  # fmt: skip
def test_a_weight_that_is_computed_is_counted_as_it_really_is(how: Callable[[nn.Module], Any]) -> None:
    torch.manual_seed(0)
    middle = [how(nn.Linear(256, 256)) for _ in "123"]
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 256), *middle, nn.Linear(256, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False)
    estimate = estimate_memory(Task(model, optimizer, F.cross_entropy, (X, Y)), device="cpu")
    real = peak_of_steps(model, optimizer, (X[0], Y[0]), 16)
    assert estimate.method == "meta" and not estimate.caveats
    assert estimate.peak_bytes(16) - estimate.context_bytes == pytest.approx(real, rel=0.03)
