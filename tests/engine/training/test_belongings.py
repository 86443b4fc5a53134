"""What modules keep beside their parameters is as it was after a run in place, and not touched by one on a copy."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tasks import everything, plain_task
from torch import nn

from nbtune.engine import Task, find_lr
from nbtune.engine.training.backup import Backup
from nbtune.engine.training.belongings import Belongings


class History:
    """An object of the user's own."""

    def __init__(self) -> None:
        self.losses, self.last = [0.0], None


class Keeps(nn.Linear):
    """Keeps all kinds of things and changes them in each forward pass."""

    def __init__(self) -> None:
        super().__init__(4, 2)
        self.drawn = torch.Generator().manual_seed(1)
        self.numpy, self.legacy, self.python = np.random.default_rng(1), np.random.RandomState(1), random.Random(1)
        self.average, self.seen = torch.zeros(2), [1]
        self.counts: Any = {"calls": [0], "kinds": Counter(a=1)}
        self.recent, self.names, self.history = deque([1, 2], maxlen=2), {"a"}, History()
        self.by_name, self.table, self.nested = OrderedDict(a=1, b=2), np.zeros(3), ([0], torch.zeros(1))
        self.groups = defaultdict(list, x=[1])
        self.register_buffer("hidden", None)
        self.generators = [torch.Generator().manual_seed(2)]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(inputs.shape, generator=self.drawn) + torch.rand(1, generator=self.generators[0])
        noise = noise + self.numpy.normal() + self.legacy.normal() + self.python.random()
        output = super().forward(inputs + 0.01 * noise)
        self.average = 0.9 * self.average + 0.1 * output.detach().mean(0)
        self.seen.append(len(self.seen))
        self.counts["calls"][0] += 1
        self.counts["kinds"]["b"] += 1
        self.counts["new"] = object()
        self.recent.append(3)
        self.names.add("b")
        self.history.losses.append(1.0)
        self.history.last = output
        self.by_name["a"] = self.by_name.pop("a") + 1
        self.table += 1
        self.nested[0][0] += 1
        self.nested[1].add_(1)
        self.groups["y"].append(1)
        self.hidden = output.detach()
        self.cache = output
        return output

    def kept(self) -> list[Any]:
        """All of it, in a form that can be compared, and which objects these are."""
        states = [g.get_state().tolist() for g in (self.drawn, *self.generators)]
        states += [repr(self.numpy.bit_generator.state), repr(self.legacy.get_state()), self.python.getstate()]
        values = [self.average.tolist(), self.seen, self.counts, self.recent, self.names, vars(self.history)]
        values += [list(self.by_name.items()), self.table.tolist(), self.nested[0], self.nested[1].item(), self.groups]
        names = sorted(set(vars(self)) | set(self._buffers))
        return [*states, repr(values), [id(v) for v in vars(self).values()], names, self.hidden]


def task_of(model: nn.Module) -> Task:
    own = plain_task()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    return Task(model, optimizer, own.loss_fn, own._data)


@pytest.mark.parametrize("settings", [{"mode": "quick", "steps": 10}, {"rates": 4, "max_seconds": 1.0}])
@pytest.mark.parametrize("path", ["copy", "in place"])
def test_generators_tensors_containers_and_objects_of_a_module_are_as_they_were(
    path: str, settings: dict[str, Any]
) -> None:
    model = Keeps()
    if path == "in place":
        model.weight.register_hook(lambda grad: grad)
    task = task_of(model)
    before, others = model.kept(), everything(task)
    find_lr(task, progress=False, **settings)
    assert model.kept() == before and everything(task) == others


def test_a_copy_draws_from_generators_of_its_own_as_the_original_would() -> None:
    states = []

    class Watched(Keeps):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            states.append((self.drawn.get_state().tolist(), self.drawn is model.drawn))
            return super().forward(inputs)

    model = Watched()
    before = model.drawn.get_state().tolist()
    find_lr(task_of(model), mode="quick", steps=10, progress=False)
    assert states[0] == (before, False) and states[1][0] != before


def test_a_parameter_whose_data_was_replaced_lies_where_it_lay() -> None:
    task = plain_task()
    weight = task.model.weight
    place, values, kept = weight.data_ptr(), weight.detach().clone(), Backup(task)
    weight.data = torch.zeros(3, 3)
    kept.put_back()
    assert weight.data_ptr() == place and torch.equal(weight, values)


def test_what_is_longer_or_python_s_own_is_left_alone() -> None:
    import logging

    module = nn.Linear(1, 1)
    module.data, module.log, module.big = list(range(20_000)), logging.getLogger("x"), np.zeros(2**22)
    kept = Belongings([module])
    module.data.append(1)
    module.log.filters.append(len)  # type: ignore[arg-type]
    kept.put_back()
    assert len(module.data) == 20_001 and module.log.filters.pop() is len


def test_containers_that_hold_themselves_are_followed_once() -> None:
    module = nn.Linear(1, 1)
    ring: list[Any] = []
    ring.append(ring)
    module.ring = ring
    kept = Belongings([module])
    ring.append(1)
    kept.put_back()
    assert len(ring) == 1 and ring[0] is ring


# The modes of a model in training


class Frozen(nn.Module):
    """A train() that keeps BatchNorm in evaluation mode, and counts how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm, self.head = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.modes: list[bool] = []

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.norm.training)
        return self.head(self.norm(self.body(inputs)))


def run_in_place(make: Callable[[], nn.Module]) -> tuple[nn.Module, list[bool]]:
    model = make()
    model.body.weight.register_hook(lambda grad: grad)
    noted: list[bool] = []
    model.norm.register_forward_hook(lambda module, *_: noted.append(module.training))
    modes = [m.training for m in model.modules()]
    find_lr(task_of(model), mode="quick", steps=10, progress=False, validation=plain_task()._data)
    assert [m.training for m in model.modules()] == modes
    return model, noted


@pytest.mark.parametrize("is_called", [False, True])
def test_a_train_of_the_users_own_decides_on_the_modes_and_they_are_put_back(is_called: bool) -> None:
    _, noted = run_in_place(lambda: Frozen().train() if is_called else Frozen())
    assert noted and not any(noted)


def test_a_part_with_a_train_of_its_own_decides_for_itself() -> None:
    def make() -> nn.Module:
        whole = nn.Module()
        whole.body, whole.part, whole.late = nn.Linear(4, 4), Frozen(), nn.Dropout().eval()
        whole.norm = whole.part.norm
        whole.forward = lambda x: whole.late(whole.part(whole.body(x)))
        return whole

    model, noted = run_in_place(make)
    assert noted and not any(noted) and not model.late.training


def test_parts_in_evaluation_mode_on_purpose_stay_in_it_where_train_is_torchs() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(OrderedDict(body=nn.Linear(4, 4), norm=nn.BatchNorm1d(4), head=nn.Linear(4, 2)))
        model.norm.eval()
        return model

    _, noted = run_in_place(make)
    assert noted and not any(noted)


def test_a_train_that_undoes_what_eval_did_is_called_after_each_evaluation() -> None:
    class Merging(Frozen):
        merged = False

        def train(self, mode: bool = True) -> Frozen:
            self.merged = not mode
            return super().train(mode)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            assert self.merged != self.training
            return super().forward(inputs)

    run_in_place(Merging)
