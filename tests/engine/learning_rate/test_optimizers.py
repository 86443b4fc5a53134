"""Several optimizers, each in a race of its own: the same races as alone, and the user's own left as it was."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import torch
from tasks import adversaries, blobs, everything, hard_task, plain_task
from torch import nn

import nbtune as nt
from nbtune.engine import LRSettings, Task, find_lr
from nbtune.engine.interrupts import has_failed_to_put_back
from nbtune.engine.learning_rate.by_optimizer import LRByOptimizer
from nbtune.engine.learning_rate.rivals import Rival, own_name, rivals_of

SGD, ADAMW = torch.optim.SGD, torch.optim.AdamW


def found(task: Task, optimizers: Any, **changes: Any) -> LRByOptimizer:
    return find_lr(task, progress=False, optimizers=optimizers, **changes)


def test_each_is_raced_as_it_would_be_alone_and_everything_is_put_back() -> None:
    task = hard_task()
    before = everything(task)
    result = found(task, ["AdamW", "SGD with momentum"])
    assert everything(task) == before
    assert list(result.curves) == ["AdamW (yours)", "AdamW", "SGD with momentum"] and result.outcome == "finished"
    assert result.own == "AdamW (yours)"
    for name, rival in zip(list(result.curves)[1:], result.settings.optimizers, strict=True):
        alone = find_lr(rival.beside(task), progress=False)
        steps = [(s.lr, s.step, s.loss) for s in result.curves[name].steps]
        assert sorted(steps) == sorted((s.lr, s.step, s.loss) for s in alone.steps)
        assert result.suggestions[name] == alone.suggestion
    own = find_lr(task, progress=False)
    assert result.suggestions[result.own] == own.suggestion
    assert result.updates == sum(curve.updates for curve in result.curves.values())


def test_losses_are_in_order_and_what_pytorch_makes_has_its_code() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    # Plain SGD crawls along a valley that is a thousand times as steep across.
    inputs, targets = blobs(512)
    data = (inputs * torch.tensor([1.0, 30.0, 0.03, 1.0]), targets)
    task = Task(model, SGD(model.parameters(), lr=0.1), nn.functional.cross_entropy, data)
    result = found(task, {"Adam": torch.optim.Adam, "still": partial(SGD, weight_decay=0.0)})
    assert list(result.losses.values()) == sorted(result.losses.values())
    assert set(result.close) <= set(result.losses) and next(iter(result.losses)) in result.close
    assert result.code("Adam").startswith("optimizer = torch.optim.Adam(model.parameters(), lr=")
    assert "weight_decay=0.0)" in result.code("still") and result.code(result.own) == ""
    with pytest.raises(ValueError, match="name must be"):
        result.code("Lion")


def steps_of(name: str, level: float, noise: float = 0.01) -> list[nt.RaceStep]:
    """A race in which every rate but the lowest falls to ``level``."""
    generator = torch.Generator().manual_seed(len(name))
    lrs = LRSettings(rates=4, lr_min=1e-4, lr_max=0.1).race_lrs
    steps = []
    for lr in (*lrs, 0.0):
        for step in range(1, 46):
            way = 0.0 if lr in (0.0, lrs[0]) else min(1.0, step / 20) * (1 - abs(lr - lrs[2]) / lrs[3])
            loss = 2.0 - (2.0 - level) * way + noise * float(torch.randn(1, generator=generator))
            steps.append(nt.RaceStep(lr=lr, step=step, loss=loss, seconds=0.0, optimizer=name))
    return sorted(steps, key=lambda step: (step.step, step.lr == 0.0))


def folded(*races: tuple[str, float], names: tuple[str, ...] = ("Adam", "Lion"), noise: float = 0.01) -> LRByOptimizer:
    optimizers = {name: partial(SGD, momentum=0.5) for name in names}
    settings = LRSettings(rates=4, lr_min=1e-4, lr_max=0.1, optimizers=optimizers)  # type: ignore[arg-type]
    steps = [step for name, level in races for step in steps_of(name, level, noise)]
    return LRByOptimizer.from_steps(steps, settings=settings)


def test_the_one_ahead_beyond_doubt_is_the_best_and_two_alike_are_not_told_apart() -> None:
    result = folded(("SGD (yours)", 1.5), ("Adam", 0.5), ("Lion", 1.0))
    assert result.best == "Adam" and list(result.losses) == ["Adam", "Lion", "SGD (yours)"]
    assert result.verdict.startswith("Adam does best: use it with η = ")
    result = folded(("SGD (yours)", 1.5), ("Adam", 0.5), ("Lion", 0.501))
    assert result.best is None and set(result.close) == {"Adam", "Lion"}
    assert "cannot be told apart" in result.verdict and "SGD" not in result.verdict
    assert "η = " in result.reason and f"{result.step} steps" in result.reason


def test_a_race_that_was_stopped_is_compared_with_none_and_that_is_said() -> None:
    steps = [*steps_of("SGD (yours)", 1.5), *steps_of("Adam", 1.0), *[s for s in steps_of("Lion", 0.1) if s.step < 8]]
    settings = folded(("SGD (yours)", 1.5)).settings
    result = LRByOptimizer.from_steps(steps, settings=settings)
    assert result.suggestions["Lion"] is not None and list(result.losses) == ["Adam", "SGD (yours)"]
    assert result.verdict.startswith("Adam does best of those raced to the end: ") and result.outcome == "stopped"
    assert {name: c.lr for name, c in result.leaders.items()}.keys() == set(result.curves)


def test_what_was_not_reached_is_said() -> None:
    result = folded(("SGD (yours)", 1.5))
    assert result.outcome == "stopped" and "Stopped before Adam, Lion." in result.limit and result.best is None
    assert result.verdict.startswith("Only SGD (yours) has an answer")
    nothing = folded()
    assert nothing.outcome == "stopped" and nothing.own == "" and "no optimizer" in nothing.verdict
    with pytest.raises(ValueError, match="no suggestion to apply"):
        nothing.apply(plain_task())


class Refuses(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        raise RuntimeError("no steps today")


def test_what_another_optimizer_raises_ends_it_alone() -> None:
    task = plain_task()
    before = everything(task)
    result = found(task, [Refuses, "Adam"])
    assert everything(task) == before
    assert result.outcome == "finished" and "no steps today" in result.ended["Refuses"]
    assert result.suggestions["Adam"] is not None and "Refuses: RuntimeError" in result.limit


def test_what_the_tasks_own_raises_is_raised() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    task = Task(model, Refuses(model.parameters(), lr=0.1), nn.functional.cross_entropy, blobs())
    with pytest.raises(RuntimeError, match="no steps today"):
        found(task, ["Adam"])


def test_groups_keep_their_ratios_and_the_direction_stays() -> None:
    task = hard_task()
    own = task.optimizers[""]
    made = rivals_of(["Adam"])[0].beside(task).optimizers[""]
    assert [len(g["params"]) for g in made.param_groups] == [len(g["params"]) for g in own.param_groups]
    assert [g["lr"] for g in made.param_groups] == [1e-3, 1e-2]
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    up = Task(model, SGD(model.parameters(), lr=0.1, maximize=True), lambda o, y: -nn.functional.cross_entropy(o, y),
              blobs())  # fmt: skip
    assert rivals_of(["AdamW"])[0].beside(up).sign_of() == -1
    result = found(up, ["AdamW"])
    assert result.sign == -1 and result.suggestions["AdamW"] is not None
    with pytest.raises(ValueError, match="cannot maximize"):
        found(up, [Plain])


class Plain(torch.optim.Optimizer):
    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 0.1})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(parameter.grad, alpha=-group["lr"])


def test_what_may_be_named() -> None:
    rivals = rivals_of(["adam", "SGD+momentum", "sgd with nesterov momentum", ADAMW, partial(SGD, momentum=0.5), Plain])
    assert [rival.name for rival in rivals] == [
        "Adam", "SGD with momentum", "SGD with Nesterov momentum", "AdamW", "SGD(momentum=0.5)", "Plain"
    ]  # fmt: skip
    assert rivals_of({"mine": Plain})[0].name == "mine" and rivals_of(()) == ()
    assert rivals_of(rivals_of(["Adam"])) == rivals_of(["Adam"])
    assert rivals_of({"x": Rival("y", Plain)})[0].name == "x"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("AdamW", "must be a list such as"), (3, "must be a list such as"), ([3], "must be names, classes or func"),
        (["Adm"], "known are Adam"), (["LBFGS"], "is none that PyTorch has"), (["Adam", "adam"], "names of their own"),
        ({3: "Adam"}, "must have names"), (["SGD"] * 9, "at most 8"),
        ([SGD([nn.Parameter(torch.zeros(1))], lr=0.1)], "must be names, classes or functions"),
    ],
)  # fmt: skip
def test_what_names_no_optimizer(given: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        LRSettings(optimizers=given)


@pytest.mark.parametrize(
    "others", [{"batch_sizes": (8, 16)}, {"optimizer": "a"}, {"curvature": True}, {"mode": "quick"}]
)
def test_what_does_not_go_with_several(others: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="optimizers are raced against each other"):
        LRSettings(optimizers=("Adam",), **others)  # type: ignore[arg-type]


def test_what_does_not_take_the_parameters_is_told_before_a_step() -> None:
    task = plain_task()
    with pytest.raises(ValueError, match="greedy does not take these parameters: no thanks"):
        found(task, {"greedy": refuses_parameters})
    with pytest.raises(ValueError, match=r"must make a torch\.optim\.Optimizer, not int"):
        found(task, {"three": lambda groups: 3})
    with pytest.raises(ValueError, match="for a task of one"):
        found(adversaries(), ["Adam"])


def refuses_parameters(groups: Any) -> Any:
    raise TypeError("no thanks")


def test_what_goes_the_other_way_or_has_the_name_of_the_own_is_told_before_a_step() -> None:
    task = hard_task()
    with pytest.raises(ValueError, match="maximizes, as the task's own optimizer does not"):
        found(task, [partial(SGD, maximize=True)])
    with pytest.raises(ValueError, match=r"AdamW \(yours\) is what the task's own is called"):
        found(task, {own_name(task): "SGD"})


def test_the_code_of_an_optimizer_is_python_whatever_it_was_made_with() -> None:
    given = {"lr": 3.0, "weight_decay": 0.1, "foreach": None, "betas": (0.9, 0.95)}
    (rival,) = rivals_of([partial(ADAMW, **given)])
    names = {"torch": torch, "parameters": [nn.Parameter(torch.zeros(1))]}
    (group,) = eval(rival.code.format(parameters="parameters", lr="0.25"), names).param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.25, 0.1, (0.9, 0.95))
    (rival,) = rivals_of([partial(ADAMW, extra={"a": {1}})])
    assert "extra={'a': {1}})" in rival.code.format(parameters="parameters", lr="0.25")


class Door:
    """What cannot be put back once another optimizer has made a step."""

    is_shut = False

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.is_shut:
            raise RuntimeError("the door is shut")


def test_what_could_not_be_put_back_after_another_optimizer_ends_the_whole_search() -> None:
    door = Door()

    class Shuts(SGD):
        def step(self, closure: Any = None) -> Any:
            door.is_shut = True
            return super().step(closure)

    with pytest.raises(RuntimeError, match="the door is shut") as raised:
        found(plain_task().with_(preserve=[door]), [Shuts, "Adam"])
    assert has_failed_to_put_back(raised.value)


def test_over_several_orders_each_has_all_of_them() -> None:
    result = found(plain_task(), ["Adam"], repeats=2)
    assert [len(curve.orders) for curve in result.curves.values()] == [2, 2] and result.outcome == "finished"


def test_it_is_applied_to_the_tasks_own_told_as_plain_data_and_read_for_another_length() -> None:
    task = plain_task()
    result = found(task, ["Adam"])
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["kind"] == "lr_by_optimizer" and plain["optimizers"] == ["SGD (yours)", "Adam"]
    assert plain["curves"][0]["settings"]["optimizers"] == [] and own_name(task) in repr(result)
    long = result.for_steps(3000)
    for name, lr in result.suggestions.items():
        assert lr is not None and (long.suggestions[name] or 0) < lr
    assert long.for_steps(None) == result
    result.apply(task)
    assert task.lr == pytest.approx(result.suggestions[result.own])


def test_an_interrupt_keeps_what_was_found() -> None:
    task, seen = plain_task(), list[int]()
    own = task.loss_fn

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        if len(seen) == 400:
            raise KeyboardInterrupt
        assert own is not None
        return own(output, target)

    task = task.with_(loss_fn=loss)
    before = everything(task)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        found(task, ["Adam", "AdamW"])
    result = interrupted.value.result  # type: ignore[attr-defined]
    assert everything(task) == before
    assert isinstance(result, LRByOptimizer) and result.outcome == "stopped" and result.suggestions[result.own]
