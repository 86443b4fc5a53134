"""The race of constant rates: who stays, what is read off it, and how the runs are paired, replayed and stopped."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from tasks import adversaries, blobs, everything, hard_task, plain_task
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from nbtune.engine import LRCurve, LRSettings, RaceStep, Task, find_lr, race_lr
from nbtune.engine.learning_rate.race import rules as race_rules
from nbtune.engine.learning_rate.race import run as lr_race
from nbtune.engine.learning_rate.race.rules import read
from nbtune.engine.learning_rate.race.standings import MOST_STEPS, Standings

LRS = LRSettings().race_lrs


def run_race(loss_of: Callable[[float, int], float], lrs: tuple[float, ...] = LRS, until: int = 100) -> Standings:
    """A race whose losses are given by a function of η (0 for the control) and the step."""
    standings = Standings(lrs)
    for step in range(until):
        for lr in (*standings.alive, 0.0):
            standings.add(lr, loss_of(lr, step))
        if standings.is_over:
            break
    return standings


def bowl(best: float, noise: float = 0.0, fall: float = 0.05) -> Callable[[float, int], float]:
    """Rates near ``best`` fall fastest, rates ten times higher rise; every batch has noise of its own."""
    batch_noise = np.random.default_rng(0).normal(0, noise or 1e-9, 101)

    def loss_of(lr: float, step: int) -> float:
        if lr == 0:
            return 2.0 + batch_noise[step]
        off = math.log10(lr / best)
        if off > 1:
            return 2.0 + batch_noise[step] + step * off
        return 2.0 * math.exp(-fall * step * math.exp(-2 * off * off)) + batch_noise[step]

    return loss_of


def shared(task: Task, **changes: Any) -> list[RaceStep]:
    with closing(race_lr(task, LRSettings(**changes))) as run:
        return list(run)


def losses_by_lr(steps: list[RaceStep]) -> dict[float, list[float]]:
    found: dict[float, list[float]] = {}
    for step in steps:
        found.setdefault(step.lr, []).append(step.loss)
    return found


# Who stays


@pytest.mark.parametrize("best", [1e-3, 0.02, 0.5])
def test_the_minimum_is_found_between_the_rates_and_the_suggestion_lies_below_it(best: float) -> None:
    standings = run_race(bowl(best))
    reading = read(standings, is_stopped=False)
    assert reading.best == pytest.approx(best, rel=0.35)
    assert reading.suggestion == pytest.approx(0.6 * (reading.best or 0)) and reading.peak == pytest.approx(
        0.7 * (reading.best or 0)
    )
    assert reading.low is not None and reading.high is not None and reading.suggestion is not None
    assert reading.low < reading.suggestion < reading.high < 10 * best


def test_a_race_without_noise_is_over_soon() -> None:
    standings = run_race(bowl(0.02))
    assert standings.is_over and not standings.wants_fixed and len(standings.control) in (30, 45)
    assert sum(map(len, standings.losses.values())) <= 190


def test_noise_that_all_rates_share_changes_nothing() -> None:
    calm, loud = run_race(bowl(0.02)), run_race(bowl(0.02, noise=0.3))
    assert calm.alive == loud.alive
    assert read(loud, is_stopped=False).best == pytest.approx(read(calm, is_stopped=False).best, rel=0.5)


def test_on_a_plateau_the_highest_rates_that_do_no_harm_stay() -> None:
    def plateau(lr: float, step: int) -> float:
        return 2.0 + (step * lr if lr > 0.5 else 0.0) - (0.02 * max(0, step - 60) if lr == LRS[8] else 0.0)

    standings = run_race(plateau)
    assert standings.taken == 100 and LRS[8] in standings.alive and LRS[0] not in standings.alive
    assert read(standings, is_stopped=False).best == pytest.approx(LRS[8], rel=0.3)


def test_a_loss_that_has_hardly_fallen_by_step_45_is_raced_on() -> None:
    late, early = run_race(bowl(0.02, fall=0.004)), run_race(bowl(0.02, fall=0.05))
    assert late.taken > 45 >= early.taken


def test_a_rate_whose_loss_is_not_finite_leaves_at_once_and_takes_no_more_steps() -> None:
    def loss_of(lr: float, step: int) -> float:
        return math.nan if lr > 0.2 and step == 2 else bowl(0.02)(lr, step)

    standings = run_race(loss_of)
    gone = [c for c in standings.candidates() if c.lr > 0.2]
    assert all(len(c.losses) == 3 and c.left_after == 3 and c.is_harmful and c.score == math.inf for c in gone)
    assert read(standings, is_stopped=False).suggestion is not None


def test_a_far_worse_neighbour_does_not_bend_the_parabola_away() -> None:
    def loss_of(lr: float, step: int) -> float:
        return 1e6 if lr > 0.09 and step > 30 else bowl(0.02)(lr, step)

    assert read(run_race(loss_of), is_stopped=False).best == pytest.approx(0.02, rel=0.6)


@pytest.mark.parametrize("level", [-5.0, 0.0, 1000.0])
def test_the_level_of_the_loss_does_not_matter_where_it_falls_far(level: float) -> None:
    shape = bowl(0.02)
    standings = run_race(lambda lr, step: level + 1000 * shape(lr, step))
    assert read(standings, is_stopped=False).best == pytest.approx(0.02, rel=0.4)


# No answer


@pytest.mark.parametrize(("loss_of", "lrs", "verdict"), [
    (lambda lr, step: 2.0, LRS, "η does not change the loss"),
    (lambda lr, step: 2.0 * 0.95**step if lr else 2.0, LRS, "η does not change the loss"),
    (lambda lr, step: math.nan, LRS, "the loss is not finite"),
    (lambda lr, step: 2.0 + (lr > 0) * step, LRS, "the range is too high"),
    (lambda lr, step: math.nan if lr and step else 2.0, LRS, "the range is too high"),
    (lambda lr, step: 2.0 - lr * step, (1e-9, 1e-8, 1e-7, 1e-6), "the range is too low"),
])  # fmt: skip
def test_no_clear_answer(loss_of: Callable[[float, int], float], lrs: tuple[float, ...], verdict: str) -> None:
    standings = run_race(loss_of, lrs)
    reading = read(standings, is_stopped=False)
    assert standings.is_over and reading.suggestion is None and verdict in reading.verdict
    assert not any(mark.isdigit() for mark in reading.verdict)


def test_a_constant_loss_and_a_rate_that_is_ignored_get_none() -> None:
    class Deaf(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                group["lr"] = 0.05
            return super().step(closure)

    flat = plain_task(loss_fn=lambda output, targets: 0 * output.sum() + 1)
    assert find_lr(flat, progress=False).suggestion is None
    task = plain_task()
    deaf = task.with_(optimizer=Deaf(task.model.parameters(), 0.1))
    curve = find_lr(deaf, progress=False)
    assert curve.suggestion is None and "is η used at all" in curve.reason


def test_the_highest_rate_best_is_said() -> None:
    reading = read(run_race(bowl(100.0)), is_stopped=False)
    assert reading.suggestion is not None and "a higher one may be better" in reading.limit


# Runs


def test_every_rate_and_the_control_see_the_same_batches() -> None:
    seen: dict[int, list[float]] = {}

    class Model(nn.Linear):
        pass

    def training_step(model: nn.Module, batch: Any) -> torch.Tensor:
        seen.setdefault(id(model), []).append(float(batch[0].sum()))
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    inputs, targets = blobs()
    model = Model(inputs.shape[1], 2)
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), None, (inputs, targets), training_step=training_step)
    shared(task)
    longest = max(seen.values(), key=len)
    assert len(seen) == 14 and len(longest) >= 30 and len(set(longest)) > 10
    assert all(batches == longest[: len(batches)] for batches in seen.values())


def test_dropout_is_the_same_at_every_rate() -> None:
    inputs, targets = blobs()
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(inputs.shape[1], 2))
    task = Task(
        model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy,
        DataLoader(torch.utils.data.TensorDataset(inputs, targets), 8, shuffle=True),
    )  # fmt: skip
    by_lr = losses_by_lr(shared(task, lr_min=1e-12, lr_max=1e-9, rates=4))
    columns = list(by_lr.values())
    assert len(columns) == 5 and all(np.allclose(column[:5], columns[0][:5], rtol=1e-6) for column in columns)


@pytest.mark.parametrize("make", [plain_task, hard_task])
def test_a_replayed_race_gives_the_same_losses(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Task]) -> None:
    together = losses_by_lr(shared(make()))
    monkeypatch.setattr(lr_race, "copies_at_once", lambda task: 1)
    task = make()
    before = everything(task)
    steps = shared(task)
    assert losses_by_lr(steps) == together and all(step.is_replayed for step in steps)
    assert everything(task) == before
    assert "began anew" in LRCurve.from_steps(steps, settings=LRSettings()).limit


def test_a_replayed_race_in_place_gives_the_same_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    together = losses_by_lr(shared(plain_task()))
    task = plain_task()
    task.parameters[0].register_hook(lambda grad: grad)  # which a copy would lose
    before = everything(task)
    assert losses_by_lr(shared(task)) == together
    assert everything(task) == before


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from zip(*blobs(), strict=True)


@pytest.mark.parametrize("kind", ["iterator", "generator", "iterable dataset"])
def test_data_that_come_once_are_kept_for_a_replay(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(lr_race, "copies_at_once", lambda task: 1)
    inputs, targets = blobs()
    rows = [(inputs[i : i + 8], targets[i : i + 8]) for i in range(0, len(inputs) - 8, 8)]
    once = {"iterator": lambda: iter(rows * 40), "generator": lambda: (row for row in rows * 40)}
    data = once[kind]() if kind in once else DataLoader(Stream(), 8)
    by_lr = losses_by_lr(shared(plain_task(data=data)))
    assert len(by_lr) == 14 and all(losses[0] == by_lr[0.0][0] for losses in by_lr.values())


def test_memory_that_runs_out_side_by_side_leads_to_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    open_models: set[int] = set()

    def training_step(model: nn.Module, batch: Any) -> torch.Tensor:
        open_models.add(id(model))
        if len(open_models) == 6:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    expected = losses_by_lr(shared(plain_task()))
    task = plain_task(loss_fn=None, training_step=training_step)
    before = everything(task)
    steps = shared(task)
    assert losses_by_lr(steps) == expected and not steps[0].is_replayed and steps[-1].is_replayed
    assert everything(task) == before


def test_memory_that_runs_out_even_in_place_is_raised_and_nothing_is_lost() -> None:
    def training_step(model: nn.Module, batch: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    task = plain_task(loss_fn=None, training_step=training_step)
    before = everything(task)
    with pytest.raises(torch.OutOfMemoryError):
        shared(task)
    assert everything(task) == before


def test_a_step_that_takes_its_batch_apart_or_writes_into_it_does_not_spoil_it_for_the_others() -> None:
    def tidy(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(2 * batch["inputs"]), batch["labels"])

    def untidy(model: nn.Module, batch: Any) -> torch.Tensor:
        labels = batch.pop("labels")
        return nn.functional.cross_entropy(model(batch["inputs"].mul_(2)), labels)

    inputs, targets = blobs()
    rows = [{"inputs": x, "labels": y} for x, y in zip(inputs, targets, strict=True)]
    found = [
        losses_by_lr(shared(plain_task(loss_fn=None, training_step=step, data=DataLoader(rows, 8))))
        for step in (tidy, untidy)
    ]
    assert found[0] == found[1]


def test_a_loss_with_derivatives_in_it_has_a_control_too() -> None:
    def penalised(model: nn.Module, batch: Any) -> torch.Tensor:
        inputs = batch[0].clone().requires_grad_()
        loss = nn.functional.cross_entropy(model(inputs), batch[1])
        (grad,) = torch.autograd.grad(loss, inputs, create_graph=True)
        return loss + grad.square().sum()

    curve = find_lr(plain_task(loss_fn=None, training_step=penalised), progress=False)
    assert curve.outcome == "finished" and curve.suggestion is not None


def test_an_update_of_the_users_own_is_raced() -> None:
    def update(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> dict[str, torch.Tensor]:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    task = plain_task(loss_fn=None, update=update)
    before = everything(task)
    found, same = find_lr(task, progress=False), find_lr(plain_task(), progress=False)
    assert found.suggestion == pytest.approx(same.suggestion) and everything(task) == before


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_one_of_several_optimizers_can_be_named(mode: str) -> None:
    task = adversaries()
    curve = find_lr(task, mode=mode, optimizer="judge", progress=False)
    assert curve.suggestion is not None
    curve.apply(task)
    assert task.optimizers["judge"].param_groups[0]["lr"] == curve.suggestion
    assert task.optimizers["made"].param_groups[0]["lr"] == 1e-3
    together = find_lr(adversaries(), mode=mode, progress=False)
    first = [next(step.loss for step in c.steps if step.lr > 0) for c in (curve, together)]
    assert first[0] < first[1]  # its own loss, not the sum


def test_all_optimizers_together_keep_their_ratio() -> None:
    task, seen = adversaries(), set()
    update = task.update

    def watched(models: Any, optimizers: Any, batch: Any) -> Any:
        rates = [optimizers[name].param_groups[0]["lr"] for name in ("made", "judge")]
        seen.add(None if rates[0] == 0 else round(rates[1] / rates[0], 6))
        return update(models, optimizers, batch)

    find_lr(task.with_(update=watched), progress=False)
    assert seen == {None, 2.0}


def test_an_optimizer_that_does_not_exist_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="no optimizer 'x': the task has 'made', 'judge'"):
        find_lr(adversaries(), optimizer="x")
    with pytest.raises(ValueError, match="has only one"):
        race_lr(plain_task(), LRSettings(optimizer="x"))


def test_small_batches_get_several_updates_behind_each_loss() -> None:
    settings = LRSettings()
    assert [settings.updates_behind_loss(k) for k in (1, 2, 3, 4, 64, None)] == [4, 2, 2, 1, 1, 1]
    assert (
        LRSettings(mode="quick").updates_behind_loss(1) == 1
        and LRSettings(updates_per_step=3).updates_behind_loss(1) == 3
    )


def test_a_race_can_be_judged_by_held_out_data() -> None:
    inputs, targets = blobs()
    task = plain_task(data=(inputs[:64], targets[:64]))
    curve = find_lr(task, validation=(inputs[64:], targets[64:]), progress=False)
    control = [step.loss for step in curve.steps if step.lr == 0]
    assert curve.suggestion is not None and curve.is_held_out and len(set(control)) == 1


# Stopped


def test_a_stopped_race_says_only_what_it_knows() -> None:
    steps = shared(plain_task())
    whole = LRCurve.from_steps(steps, settings=LRSettings())
    for count in range(0, len(steps), 7):
        part = LRCurve.from_steps(steps[:count], settings=LRSettings())
        assert part.outcome == "stopped" and part.confidence != "sure"
        assert part.suggestion is None or "in doubt" in part.limit
        through = [c for c in part.candidates if len(c.losses) >= 5]
        assert part.suggestion is None or (len(through) >= 3 and min(c.lr for c in through) < part.suggestion)
    assert whole.outcome == "finished" and whole.suggestion is not None and "in doubt" not in whole.limit


def test_a_race_stopped_in_its_first_round_knows_something_of_the_whole_range() -> None:
    steps = shared(plain_task())
    # Every second rate and the control are through before the others begin.
    first = [step for step in steps if step.step <= 5][: 5 * 8]
    assert {step.lr for step in first} == {0.0, *LRSettings().race_lrs[::2]}
    before, after = (LRCurve.from_steps(first[:count], settings=LRSettings()) for count in (len(first) - 1, len(first)))
    assert (before.suggestion, before.low, before.high) == (None, None, None)
    assert after.low is not None and after.high is not None and after.confidence != "sure"
    leader = min((c for c in after.candidates if c.score is not None), key=lambda c: c.score or 0.0)
    assert after.suggestion == pytest.approx(race_rules.EARLY_PART * 0.6 * leader.lr)
    assert after.low < after.suggestion < after.high


def test_a_race_stopped_before_anything_fell_says_where_a_better_rate_may_lie() -> None:
    steps = [step for step in shared(noisy_minimum()) if step.step <= 5]
    part = LRCurve.from_steps(steps, settings=LRSettings())
    assert part.outcome == "stopped" and part.suggestion is None and part.confidence == "cannot tell"
    assert part.low is not None and part.high is not None and part.low < part.high < 10
    assert "no suggestion yet" in part.verdict and "it lies from" in part.reason


def noisy_minimum() -> Task:
    """Nothing can be better than no training, and high rates are worse."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 4, generator=draw)
    model = torch.nn.Linear(4, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    data = (inputs, torch.randn(256, 1, generator=draw))
    return Task(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.functional.mse_loss, data)


def test_max_seconds_ends_a_race_and_keeps_what_is_known() -> None:
    curve = find_lr(plain_task(), max_seconds=1e-6, progress=False)
    assert curve.outcome == "stopped" and curve.suggestion is None and curve.updates < 20


def test_the_steps_to_come_are_known_from_the_start() -> None:
    with closing(race_lr(plain_task())) as run:
        assert run.total == 184
        totals = [(run.total, step.lr > 0) for step in run]
    assert max(total for total, _ in totals) <= MOST_STEPS
    assert totals[-1][0] == sum(is_trained for _, is_trained in totals) < len(totals)  # the control is never trained


def test_a_curve_of_a_race_is_plain_data() -> None:
    plain = find_lr(plain_task(), progress=False).to_dict()
    assert plain["kind"] == "lr_curve" and plain["settings"]["mode"] == "race" and len(plain["candidates"]) == 13
    assert {"lr", "losses", "left_after", "score", "score_error"} <= set(plain["candidates"][0])


@pytest.mark.parametrize("changes", [{"mode": "slow"}, {"rates": 3}, {"rates": 4.5}, {"updates_per_step": 0}])
def test_settings_that_do_not_work_are_told_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        LRSettings(**changes)
