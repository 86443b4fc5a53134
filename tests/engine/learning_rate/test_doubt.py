"""What a race knows of its doubt: differences with errors, fixed batches where steps do not tell, what is said."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from tasks import everything, hard_task, plain_task
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbtune.engine import LRCurve, LRSettings, RaceStep, Task, find_lr, race_lr
from nbtune.engine.learning_rate.race import run as lr_race
from nbtune.engine.learning_rate.race.difference import ERRORS, errors_for, of_batches, of_steps
from nbtune.engine.learning_rate.race.fixed import SAMPLES
from nbtune.engine.learning_rate.race.look import look_at
from nbtune.engine.learning_rate.race.rules import reading_of
from nbtune.engine.learning_rate.race.runner import Runner
from nbtune.engine.learning_rate.race.standings import FIXED_FROM, MOST_STEPS, Standings

LRS = LRSettings().race_lrs
ZERO = np.zeros


def noisy_losses(level: float, seed: int = 0, slope: float = 0.004) -> Callable[[float, int], float]:
    """Rates near 0.01 fall slowly; above 1 they rise. Every rate has noise of its own at every step."""
    rng = np.random.default_rng(seed)

    def loss_of(lr: float, step: int) -> float:
        if lr == 0:
            return 2.0
        fall = slope * math.exp(-((math.log10(lr) + 2) ** 2)) - (lr > 1) * lr
        return 2.0 - step * fall + float(rng.normal(0, level)) * min(1.0, 10 * lr)

    return loss_of


def raced(loss_of: Callable[[float, int], float], fixed_of: Callable[[float, int], float] | None = None) -> Standings:
    """A race of given losses; and, where they are asked for, of losses on ten fixed batches around ``fixed_of``."""
    standings, around = Standings(LRS), np.random.default_rng(1).normal(0, 0.3, 10)
    while not standings.is_over:
        step = len(standings.control) + 1
        for lr in (*standings.alive, 0.0):
            is_due = fixed_of and standings.wants_fixed and step == standings.end
            fixed = tuple((around + fixed_of(lr, step)).tolist()) if is_due and fixed_of else ()
            standings.add(lr, loss_of(lr, step), fixed=fixed)
    return standings


def minimum_task(optimizer: type[torch.optim.Optimizer] = torch.optim.SGD, **changes: Any) -> Task:
    """A linear model in the very minimum of its loss: no rate lowers it, and noise hides which ones do no harm."""
    draw = torch.Generator().manual_seed(5)
    inputs = torch.randn(800, 4, generator=draw)
    targets = inputs[:, :1] + torch.randn(800, 1, generator=draw)
    model = nn.Linear(4, 1)
    with torch.no_grad():
        model.weight.copy_(torch.linalg.lstsq(inputs - inputs.mean(0), targets - targets.mean()).solution.T)
        model.bias.copy_(targets.mean() - inputs.mean(0) @ model.weight[0])
    loader = DataLoader(TensorDataset(inputs, targets), 8, shuffle=True, generator=torch.Generator().manual_seed(1))
    arguments = {"loss_fn": nn.functional.mse_loss, "data": loader, **changes}
    return Task(model, optimizer(model.parameters(), lr=0.1), **arguments)  # type: ignore[call-arg]


def steps_of(task: Task, **changes: Any) -> list[RaceStep]:
    with closing(race_lr(task, LRSettings(**changes))) as run:
        return [step for step in run if isinstance(step, RaceStep)]


def looks_of(steps: list[RaceStep]) -> dict[tuple[float, int], tuple[float, ...]]:
    return {(step.lr, step.step): step.fixed_losses for step in steps if step.fixed_losses}


# Differences


def test_pure_chance_is_hardly_ever_beyond_the_margin() -> None:
    rng = np.random.default_rng(0)
    for count in (4, 8, 15, 30):
        found = [of_steps(rng.normal(size=count), ZERO(count)) for _ in range(1000)]
        assert sum(abs(one.mean) > one.margin for one in found) <= 30
    found = [of_batches(rng.normal(size=8), ZERO(8)) for _ in range(1000)]
    assert sum(abs(one.mean) > one.margin for one in found) <= 30


def test_a_memory_from_step_to_step_widens_the_margin() -> None:
    rng = np.random.default_rng(0)
    means, margins = [], []
    for _ in range(200):
        noise = rng.normal(size=120)
        slow = np.convolve(noise, np.ones(6), "valid")[:60]
        one = of_steps(slow, ZERO(60))
        means.append(abs(one.mean))
        margins.append(one.margin)
    plain = ERRORS * np.std(slow) / math.sqrt(60)
    assert np.median(margins) > 1.5 * plain and np.mean(np.array(means) > margins) < 0.1


def test_few_looks_ask_for_more_errors_and_two_losses_tell_nothing() -> None:
    assert errors_for(2) > errors_for(4) > errors_for(30) > ERRORS and errors_for(1e9) == pytest.approx(ERRORS)
    assert of_steps(np.array([1.0, 1.0]), ZERO(2)).margin == math.inf
    assert of_batches(np.array([1.0]), ZERO(1)).margin == math.inf


def test_one_huge_loss_does_not_hide_that_all_are_worse() -> None:
    control, losses = np.full(15, 2.0), np.array([*[3.0] * 14, 900.0])
    look = look_at(45, {0.1: control - 1, 10.0: losses}, control)
    assert look.below[10.0].least < 0 and look.harmful == {10.0} and look.close == (0.1,)
    assert of_batches(np.array([1.0, math.nan]), ZERO(2)).mean == math.inf


# Who stays, and for how long


def test_noise_keeps_a_race_going_and_a_quiet_one_is_over_before_it_looks_at_fixed_batches() -> None:
    loud, quiet = raced(noisy_losses(0.3)), raced(lambda lr, step: noisy_losses(0.0)(lr, 20 * step))
    assert loud.wants_fixed and not quiet.wants_fixed
    assert quiet.updates < 200 < loud.updates <= MOST_STEPS


def test_noise_alone_is_hardly_ever_an_answer_and_never_a_sure_one() -> None:
    answers = [reading_of(raced(noisy_losses(0.3, seed, slope=0.0))).answer for seed in range(20)]
    silent = [answer for answer in answers if answer.suggestion is None]
    assert len(silent) >= 16 and all(answer.confidence != "sure" for answer in answers)
    for answer in silent:
        assert answer.confidence == "cannot tell" and answer.low is not None and answer.low < (answer.high or 0.0)
        assert "more steps" in answer.limit.lower() and "larger k" in answer.limit


def test_fixed_batches_tell_what_steps_do_not() -> None:
    truth = noisy_losses(0.0)
    answer = reading_of(raced(noisy_losses(0.3), lambda lr, step: truth(lr, 6 * step))).answer
    assert answer.suggestion is not None and answer.low is not None and answer.low < 0.01 < (answer.high or 0)


def test_a_plateau_whose_highest_unharmed_rate_may_be_harmful_is_no_answer() -> None:
    rng = np.random.default_rng(0)
    standings = raced(lambda lr, step: 2.0 + (step * lr * 0.05 + float(rng.normal(0, 0.2)) if lr else 0.0))
    answer = reading_of(standings).answer
    assert standings.harmful and answer.suggestion is None and "noise" in answer.verdict


def test_rates_that_cannot_be_told_apart_are_a_range_and_the_answer_says_that_it_is_in_doubt() -> None:
    rng = np.random.default_rng(0)

    def loss_of(lr: float, step: int) -> float:
        good = 1e-3 < lr < 0.2
        return 2.0 + (lr > 0.2) * step * lr - good * min(1.2, 0.05 * step) + float(rng.normal(0, 0.1)) * (lr > 0)

    answer = reading_of(raced(loss_of)).answer
    assert answer.confidence == "between" and answer.suggestion is not None
    assert answer.verdict.startswith("In doubt: use η = ") and "somewhere from" in answer.reason
    assert answer.low is not None and answer.low < 3.3e-3 and answer.high is not None and answer.high > 0.09


# Runs


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_at_the_exact_minimum_there_is_no_answer(optimizer: type[torch.optim.Optimizer]) -> None:
    task = minimum_task(optimizer)
    before = everything(task)
    curve = find_lr(task, progress=False)
    assert curve.suggestion is None and curve.confidence == "cannot tell" and curve.outcome == "finished"
    assert curve.updates <= MOST_STEPS and everything(task) == before


def test_more_steps_are_taken_where_they_are_allowed_and_an_order_is_not_settled() -> None:
    few, more = find_lr(minimum_task(), progress=False), find_lr(minimum_task(), max_steps=900, progress=False)
    assert few.updates <= 400 < more.updates <= 900


def test_fixed_batches_are_seen_by_all_and_trained_on_by_nobody() -> None:
    trained, looked = set[float](), dict[float, set[int]]()

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        key = float(batch[0].double().sum())
        if model.training:
            trained.add(key)
        else:
            looked.setdefault(key, set()).add(id(model))
        return nn.functional.mse_loss(model(batch[0]), batch[1])

    steps = steps_of(minimum_task(loss_fn=None, training_step=step))
    assert len(looked) == math.ceil(SAMPLES / 8) and not trained & set(looked)
    assert len({frozenset(models) for models in looked.values()}) == 1
    looks = looks_of(steps)
    assert {len(losses) for losses in looks.values()} == {len(looked)} and (0.0, 30) in looks
    assert min(at for _, at in looks) > FIXED_FROM


class Restless(nn.Module):
    """Dropout, BatchNorm and noise of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.body(inputs + 0.1 * torch.randn_like(inputs))


def restless_task() -> Task:
    draw = torch.Generator().manual_seed(2)
    data = TensorDataset(torch.randn(800, 4, generator=draw), torch.randn(800, 1, generator=draw))
    torch.manual_seed(0)
    model = Restless()
    return Task(
        model, torch.optim.Adam(model.parameters(), lr=0.1), nn.functional.mse_loss, DataLoader(data, 8, shuffle=True)
    )


def test_a_look_at_fixed_batches_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    task = restless_task()
    before = everything(task)
    once = steps_of(task)
    assert looks_of(once) and everything(task) == before
    look = Runner.losses_on
    monkeypatch.setattr(Runner, "losses_on", lambda runner, fixed: (look(runner, fixed), look(runner, fixed))[0])
    twice = steps_of(restless_task())
    assert {(s.lr, s.step): s.loss for s in once} == {(s.lr, s.step): s.loss for s in twice}


@pytest.mark.parametrize("is_copy", [True, False])
def test_a_race_in_doubt_that_is_replayed_is_the_same_race(monkeypatch: pytest.MonkeyPatch, is_copy: bool) -> None:
    together = steps_of(restless_task())
    task = restless_task()
    if is_copy:
        monkeypatch.setattr(lr_race, "copies_at_once", lambda task: 1)
    else:
        task.parameters[0].register_hook(lambda grad: grad)  # which a copy would lose
    before = everything(task)
    replayed = steps_of(task)
    assert {(s.lr, s.step): s.loss for s in replayed} == {(s.lr, s.step): s.loss for s in together}
    assert looks_of(replayed) == looks_of(together) and replayed[-1].is_replayed
    assert everything(task) == before


@pytest.mark.parametrize("what", ["another thing", "an error", "a gradient"])
def test_where_there_is_no_loss_in_evaluation_mode_steps_have_to_do(what: str) -> None:
    def step(model: nn.Module, batch: Any) -> Any:
        output = model(batch[0])
        if not model.training and what == "another thing":
            return {"boxes": output}
        if not model.training and what == "an error":
            raise RuntimeError("targets are for training")
        loss = nn.functional.mse_loss(output, batch[1])
        if what == "a gradient":
            inputs = batch[0].clone().requires_grad_()
            (grad,) = torch.autograd.grad(model(inputs).sum(), inputs, create_graph=True)
            loss = loss + 0 * grad.square().sum()
        return loss

    task = minimum_task(loss_fn=None, training_step=step)
    before = everything(task)
    steps = steps_of(task)
    assert not looks_of(steps) and len(steps) > 200 and everything(task) == before


def test_an_interrupt_in_the_middle_of_a_look_leaves_everything_as_it_was() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        if not model.training:
            raise KeyboardInterrupt
        return nn.functional.mse_loss(model(batch[0]), batch[1])

    task = minimum_task(loss_fn=None, training_step=step)
    before = everything(task)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        find_lr(task, progress=False)
    known = interrupted.value.result  # type: ignore[attr-defined]
    assert known.outcome == "stopped" and known.updates > 100 and everything(task) == before


def test_a_race_that_is_stopped_says_what_it_knows_and_is_never_sure() -> None:
    steps = steps_of(restless_task())
    for count in range(0, len(steps), 13):
        part = LRCurve.from_steps(steps[:count], settings=LRSettings())
        assert part.outcome == "stopped" and part.confidence != "sure"


def test_a_maximized_loss_is_in_doubt_like_its_mirror_image() -> None:
    def mirrored(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return -nn.functional.mse_loss(outputs, targets)

    up = minimum_task(loss_fn=mirrored)
    up = up.with_(optimizer=torch.optim.SGD(up.model.parameters(), lr=0.1, maximize=True))
    found, same = find_lr(up, progress=False), find_lr(minimum_task(), progress=False)
    assert found.sign == -1 and (found.confidence, found.low, found.high) == (same.confidence, same.low, same.high)


def test_held_out_data_of_the_users_own_are_looked_at_and_no_others() -> None:
    draw = torch.Generator().manual_seed(0)
    held_out = torch.randn(64, 4, generator=draw), torch.randn(64, 1, generator=draw)
    steps = steps_of(minimum_task(), validation=held_out)
    assert not looks_of(steps)


# The result


def test_confidence_is_on_every_result() -> None:
    race, quick = find_lr(plain_task(), progress=False), find_lr(plain_task(), mode="quick", progress=False)
    assert race.confidence in ("sure", "between") and quick.confidence == "between"
    assert race.to_dict()["confidence"] == race.confidence
    assert find_lr(hard_task(), repeats=2, progress=False).confidence in ("sure", "between", "cannot tell")


def test_a_race_in_doubt_is_plain_data_and_folds_to_the_same_result() -> None:
    curve = find_lr(minimum_task(), progress=False)
    json.dumps(curve.to_dict(), allow_nan=False)
    again = LRCurve.from_steps(curve.steps, settings=curve.settings, batch_size=curve.batch_size)
    assert again == curve and looks_of(list(again.steps))  # type: ignore[arg-type]


def old_race(best: float) -> list[RaceStep]:
    """As races were before: six, four and three stay after 5, 12 and 30 steps; 45 in all."""
    alive, steps = list(LRS), []
    for begin, end, kept in ((0, 5, 6), (5, 12, 4), (12, 30, 3), (30, 45, 3)):
        losses = {lr: 2.0 - 0.04 * math.exp(-((math.log10(lr / best)) ** 2)) * end for lr in alive}
        for lr in (*alive, 0.0):
            for step in range(begin, end):
                fall = 0.04 * math.exp(-((math.log10(lr / best)) ** 2)) if lr else 0.0
                steps.append(RaceStep(lr=lr, step=step + 1, loss=2.0 - fall * (step + 1), seconds=0.0))
        alive = sorted(sorted(alive, key=losses.__getitem__)[:kept])
    return steps


@pytest.mark.parametrize("best", [1e-4, 0.02, 3.0])
def test_the_steps_of_an_older_version_are_a_whole_race_still(best: float) -> None:
    curve = LRCurve.from_steps(old_race(best), settings=LRSettings())
    assert curve.outcome == "finished" and curve.best == pytest.approx(best, rel=0.5)


def odd_task(in_evaluation: Callable[[torch.Tensor], torch.Tensor | None], **changes: Any) -> Task:
    """Small batches of a noisy line, with another loss in evaluation mode."""
    draw = torch.Generator().manual_seed(5)
    inputs = torch.randn(2000, 4, generator=draw)
    targets = inputs[:, :1] + 2 * torch.randn(2000, 1, generator=draw)
    torch.manual_seed(0)
    model = nn.Linear(4, 1)

    def training_step(model: nn.Module, batch: Any) -> torch.Tensor | None:
        loss = nn.functional.mse_loss(model(batch[0]), batch[1])
        return loss if model.training else in_evaluation(loss)

    loader = DataLoader(TensorDataset(inputs, targets), 4, shuffle=True, generator=torch.Generator().manual_seed(1))
    arguments = {"data": loader, "training_step": training_step, **changes}
    return Task(model, torch.optim.SGD(model.parameters(), lr=0.1), **arguments)


def test_looks_that_run_against_the_training_lose_no_search() -> None:
    """The lowest loss on the fixed batches may be that of a rate which was worse at every step."""
    trained, control = {0.01: np.full(4, 0.9), 10.0: np.full(4, 9.0)}, np.ones(4)
    fixed = {0.01: np.full(8, 0.9) + np.arange(8) / 1e3, 10.0: np.full(8, 0.1) + np.arange(8) / 1e3}
    look = look_at(30, trained, control, fixed, np.ones(8))
    assert look.leader == 10.0 and look.leader in look.close and look.is_settled in (True, False)
    assert find_lr(odd_task(lambda loss: 100 - loss), progress=False).outcome == "finished"


@pytest.mark.parametrize("kind", ["nan", "constant"])
def test_a_loss_in_evaluation_mode_that_says_nothing_is_not_judged_by(kind: str) -> None:
    by_steps = find_lr(odd_task(lambda loss: None), progress=False)
    curve = find_lr(odd_task(lambda loss: loss * (math.nan if kind == "nan" else 0)), progress=False)
    assert (curve.suggestion, curve.low, curve.high) == (by_steps.suggestion, by_steps.low, by_steps.high)
    assert curve.suggestion is not None


def test_looks_count_neither_as_skipped_nor_as_taken() -> None:
    curve = find_lr(odd_task(lambda loss: None), progress=False)
    assert not any("returned None" in caveat for caveat in curve.caveats)


@pytest.mark.filterwarnings("ignore:The data are an iterator")
@pytest.mark.parametrize("count", [50, 70])
def test_data_that_come_once_are_not_spent_on_looks_and_end_a_race_early(count: int) -> None:
    batches = list(odd_task(lambda loss: loss).loader)[:count]
    curve = find_lr(odd_task(lambda loss: loss, data=iter(batches)), progress=False)
    assert curve.updates > 13 * 5 and not any(step.fixed_losses for step in curve.steps)
    early = [caveat for caveat in curve.caveats if caveat.startswith("Ended early: the data ended after")]
    assert bool(early) == (curve.outcome == "stopped")


def test_no_sample_is_looked_at_twice() -> None:
    """A few samples in several batches are no further looks, which the error would take them for."""
    draw = torch.Generator().manual_seed(5)
    data = torch.randn(24, 4, generator=draw), torch.randn(24, 1, generator=draw)
    loader = DataLoader(TensorDataset(*data), 8, shuffle=True)
    assert not any(looks_of(steps_of(minimum_task(data=loader))))
    several = DataLoader(TensorDataset(*(torch.cat([x] * 2) for x in data)), 8, shuffle=True)
    assert {len(look) for look in looks_of(steps_of(minimum_task(data=several))).values()} == {6}


def test_several_orders_in_doubt_say_so() -> None:
    curve = find_lr(odd_task(lambda loss: None), repeats=2, progress=False)
    assert curve.confidence == "between" and curve.verdict.startswith("In doubt: use η = ")
    assert "the best lies somewhere from" in curve.reason and "good" not in curve.reason
    assert "would tell" in curve.limit


def test_batch_sizes_in_doubt_are_named_and_no_law_is_claimed() -> None:
    found = find_lr(odd_task(lambda loss: None), batch_sizes=(4, 8), progress=False)
    doubtful = [k for k, curve in found.curves.items() if curve.confidence == "between"]
    assert doubtful and f"In doubt at k = {', '.join(map(str, doubtful))}." in found.limit
    if len(doubtful) == 2 and not found.does_move:
        assert found.verdict == "Cannot tell whether η moves with k"


def test_an_event_read_back_is_the_one_that_was_written() -> None:
    step = RaceStep(lr=0.1, step=1, loss=1.0, seconds=0.0)
    assert RaceStep(lr=0.1, step=1, loss=1.0, seconds=0.0, fixed_losses=[]) == step  # type: ignore[arg-type]
    assert hash(step) == hash(RaceStep(lr=0.1, step=1, loss=1.0, seconds=0.0, fixed_losses=[]))  # type: ignore[arg-type]
