"""A step that trains the user's own objects is accused with proof, by name; else it is said what was seen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tasks import blobs, everything, plain_task
from torch import nn

from nbtune.engine import LRSettings, Task, find_lr

CE = nn.functional.cross_entropy
QUICK = LRSettings(mode="quick", steps=12)


def two_layers() -> tuple[nn.Sequential, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    return model, torch.optim.SGD(model.parameters(), 0.1)


def told(task: Task, message: str) -> None:
    before = everything(task)
    for settings in (QUICK, LRSettings()):
        with pytest.raises(RuntimeError, match=message):
            find_lr(task, settings, progress=False)
    assert everything(task) == before


def test_a_loss_that_hangs_on_the_global_model_names_the_parameter() -> None:
    model, optimizer = two_layers()

    def with_penalty(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return CE(output, targets) + model[1].weight.square().sum()

    named = r"your loss_fn uses the global model.*the loss hangs on the parameter '1\.weight' of your own model"
    told(Task(model, optimizer, with_penalty, blobs()), named)


def test_an_update_that_trains_the_global_model_names_what_it_changed() -> None:
    model, optimizer = two_layers()

    def by_hand(_: nn.Module, __: Any, batch: Any) -> dict[str, torch.Tensor]:
        loss = CE(model(batch[0]), batch[1])
        gradients = torch.autograd.grad(loss, model[0].bias)
        with torch.no_grad():
            model[0].bias -= 0.1 * gradients[0]
        return {"loss": loss}

    named = r"your update uses the global model.*the parameter '0\.bias' of your own model was changed"
    told(Task(model, optimizer, data=blobs(), update=by_hand), named)


def test_an_optimizer_from_outside_is_named_as_such() -> None:
    model, optimizer = two_layers()

    def step(_: nn.Module, __: Any, batch: Any) -> dict[str, torch.Tensor]:
        optimizer.step()
        return {"loss": CE(model(batch[0]), batch[1])}

    told(Task(model, optimizer, data=blobs(), update=step), r"your update uses the global model.*took a step")


class Misled:
    """An optimizer whose copies lead back to the model it was made for."""

    def __init__(self, model: nn.Module, groups: list[Any]) -> None:
        self.model, self.param_groups, self.state = model, groups, dict[Any, Any]()

    def __deepcopy__(self, memo: Any) -> Misled:
        groups = [{**g, "params": [memo.get(id(p), p) for p in g["params"]]} for g in self.param_groups]
        return Misled(self.model, groups)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.model.zero_grad(set_to_none)

    def step(self) -> None:
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(1e-3)

    def state_dict(self) -> dict[str, Any]:
        return {}


def test_a_wrapper_that_leads_back_accuses_nobody() -> None:
    model, optimizer = two_layers()
    task = Task(model, Misled(model, optimizer.param_groups), CE, blobs())
    before = model[0].weight.clone()
    seen = r"went astray: the parameter '0\.weight' of your own model was changed instead of the copy"
    with pytest.raises(RuntimeError, match=seen) as caught:
        find_lr(task, QUICK, progress=False)
    assert "your loss_fn" not in str(caught.value) and torch.equal(model[0].weight, before)


def test_data_that_the_step_reads_from_outside_are_no_ones_fault() -> None:
    weights = torch.ones(2)
    task = plain_task(loss_fn=lambda output, targets: CE(output, targets, weight=weights))
    assert find_lr(task, progress=False).suggestion is not None
