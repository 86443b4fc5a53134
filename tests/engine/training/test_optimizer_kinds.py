"""Optimizers of every kind under a search: an answer or a sentence, and everything put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import prodigyopt
import pytest
import schedulefree
import torch
import transformers
from tasks import everything
from torch import nn
from torch.nn import functional

from nbtune.engine import Task, find_lr

Make = Callable[[Iterable[nn.Parameter]], Any]
MATRICES: dict[str, Make] = {"Muon": torch.optim.Muon} if hasattr(torch.optim, "Muon") else {}
KINDS: dict[str, Make] = {
    "Rprop": torch.optim.Rprop,
    "NAdam": torch.optim.NAdam,
    "tensor lr": lambda p: torch.optim.Adam(p, lr=torch.tensor(1e-3)),
    "Adafactor": torch.optim.Adafactor,
    "HF Adafactor": lambda p: transformers.Adafactor(p, lr=1e-3, relative_step=False, scale_parameter=False),
    "schedule-free SGD": lambda p: schedulefree.SGDScheduleFree(p, lr=0.1),
    "schedule-free AdamW": schedulefree.AdamWScheduleFree,
    "Prodigy": prodigyopt.Prodigy,
    **MATRICES,
}


def task_of(make: Make, **changes: Any) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4, bias=False))
    data = torch.randn(64, 8), torch.randint(0, 4, (64,))
    return Task(model, make(model.parameters()), functional.cross_entropy, data, **changes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["race", "quick"])
def test_every_kind_is_searched_and_put_back(kind: str, mode: str) -> None:
    task = task_of(KINDS[kind])
    before = everything(task)
    curve = find_lr(task, mode=mode, steps=20, rates=5, progress=False)
    assert len(curve.steps) >= 10 and everything(task) == before
    assert any("finds its own rate and expects lr = 1" in caveat for caveat in curve.caveats) is (kind == "Prodigy")


@pytest.mark.parametrize("make", [schedulefree.SGDScheduleFree, schedulefree.AdamWScheduleFree])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_schedule_free_optimizer_trains_and_is_evaluated_in_its_modes(
    make: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(make)
    getattr(task.optimizer, mode)()
    seen: set[tuple[bool, bool]] = set()

    def loss_fn(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.add((torch.is_grad_enabled(), made[-1].param_groups[0]["train_mode"]))
        return functional.cross_entropy(scores, labels)

    made: list[Any] = []
    train = make.train
    monkeypatch.setattr(make, "train", lambda self: (made.append(self), train(self))[1])
    task = Task(task.model, task.optimizer, loss_fn, (torch.randn(64, 8), torch.randint(0, 4, (64,))))
    held_out = [(torch.randn(8, 8), torch.randint(0, 4, (8,)))]
    before = everything(task)
    find_lr(task, mode="quick", steps=10, validation=held_out, progress=False)
    assert seen == {(True, True), (False, False)}  # trained in training, evaluated in evaluation
    assert everything(task) == before


def test_one_that_chooses_its_own_rate_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValueError, match="give it an lr to tune"):
        find_lr(task_of(transformers.Adafactor), progress=False)
