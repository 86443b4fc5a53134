"""A rate that blows up may raise: it leaves, the others go on. What is the user's own fault is raised all the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tasks import blobs, everything
from torch import nn
from torch.distributions import Normal
from torch.nn import functional

import nbtune as nt
from nbtune.engine import LRSettings, Task, find_lr
from nbtune.engine.learning_rate.race.rules import reading_of
from nbtune.engine.learning_rate.race.standings import Standings
from nbtune.engine.training import room
from nbtune.engine.training.room import NotEnoughMemoryError

INPUTS = 3 * torch.randn(256, 10, generator=torch.Generator().manual_seed(0))
MODES = [LRSettings(), LRSettings(mode="quick")]


def autoencoder() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def gaussian(model: nn.Module, batch: Any) -> torch.Tensor:
    """Refuses a scale that is not a number, as distributions do."""
    mean, log_scale = model(batch[0]).chunk(2, -1)
    return -Normal(mean, (log_scale / 2).exp()).log_prob(batch[0][:, :5]).mean()


def guarded(model: nn.Module, batch: Any) -> torch.Tensor:
    loss = functional.mse_loss(model(batch[0]), batch[0])
    if not torch.isfinite(loss):
        raise ValueError("loss is not finite, stopping training")
    return loss


def perplexing(model: nn.Module, batch: Any) -> torch.Tensor:
    loss = functional.mse_loss(model(batch[0]), batch[0])
    math.exp(loss.item())
    return loss


def asserting(model: nn.Module, batch: Any) -> torch.Tensor:
    loss = functional.mse_loss(model(batch[0]), batch[0])
    assert loss < 1000, "exploded"
    return loss


def task_of(step: Callable[..., Any], lr: float = 1e-3, optimizer: Any = torch.optim.SGD) -> Task:
    model = autoencoder()
    return Task(model, optimizer(model.parameters(), lr=lr), data=(INPUTS, INPUTS), training_step=step)


def clipped(models: Any, optimizers: Any, batch: Any) -> dict[str, torch.Tensor]:
    loss = functional.mse_loss(models(batch[0]), batch[0])
    optimizers.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(models.parameters(), 1e30, error_if_nonfinite=True)
    optimizers.step()
    return {"loss": loss}


def clipping_task() -> Task:
    model = autoencoder()
    return Task(model, torch.optim.SGD(model.parameters(), lr=1e-3), data=(INPUTS, INPUTS), update=clipped)


@pytest.mark.parametrize("settings", MODES, ids=lambda settings: settings.mode)
@pytest.mark.parametrize(
    ("step", "said"),
    [(gaussian, "ValueError"), (guarded, "stopping training"), (perplexing, "OverflowError"), (asserting, "exploded")],
)
def test_an_error_that_high_rates_provoke_does_not_end_the_search(
    step: Callable[..., Any], said: str, settings: LRSettings
) -> None:
    task = task_of(step)
    before = everything(task)
    curve = find_lr(task, settings, progress=False)
    assert everything(task) == before
    assert curve.suggestion is not None and curve.suggestion < 1
    # A sweep's loss may rise clearly, and end it, before anything raises.
    assert (said in curve.limit and "η = " in curve.limit) or (settings.mode, curve.outcome) == ("quick", "diverged")


@pytest.mark.parametrize("settings", MODES, ids=lambda settings: settings.mode)
def test_an_error_in_the_users_own_update_is_a_rates_too(settings: LRSettings) -> None:
    curve = find_lr(clipping_task(), settings, progress=False)
    assert curve.suggestion is not None
    assert "non-finite" in curve.limit or (settings.mode, curve.outcome) == ("quick", "diverged")


def test_a_sweep_whose_step_raised_ends_there_and_says_so() -> None:
    def strict(model: nn.Module, batch: Any) -> torch.Tensor:
        loss = functional.mse_loss(model(batch[0]), batch[0])
        assert loss < 12, "exploded"
        return loss

    curve = find_lr(task_of(strict), mode="quick", progress=False)
    *before, last = curve.steps
    assert last.diverged and last.error == "AssertionError: exploded" and math.isnan(last.loss)
    assert not any(step.error for step in before) and "At η = " in curve.limit and "exploded" in curve.limit


def test_the_rates_that_raised_are_named_with_those_above() -> None:
    curve = find_lr(task_of(guarded), progress=False)
    failed = [c.lr for c in curve.candidates if c.error]
    assert failed == [c.lr for c in curve.candidates][-len(failed) :] and failed
    assert f"η = {nt.formats.format_lr(failed[0])} and above: ValueError: loss is not finite" in curve.limit
    ends = {step.lr: step for step in curve.steps}
    assert all(math.isnan(ends[lr].loss) and ends[lr].error.startswith("ValueError") for lr in failed)


def test_data_orders_and_batch_sizes_go_on_too() -> None:
    repeated = find_lr(task_of(guarded), mode="quick", repeats=2, progress=False)
    assert repeated.suggestion is not None and len(repeated.orders) == 2
    by_size = find_lr(task_of(guarded), mode="quick", batch_sizes=[16, 64], progress=False)
    assert all(lr is not None for lr in by_size.suggestions.values())


def raising(is_due: Callable[[int], bool]) -> Task:
    """A task whose loss raises at those calls, counted over all rates."""
    calls: list[int] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        calls.append(1)
        if is_due(len(calls)):
            raise LookupError("a bug")
        return functional.mse_loss(model(batch[0]), batch[0])

    return task_of(step)


class Ageing(nn.Module):
    """Breaks in its thirtieth step, at whatever rate, in each of its copies."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.age = autoencoder(), 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.age += self.training
        if self.age >= 30:
            raise LookupError("a bug")
        return self.inner(inputs)


@pytest.mark.parametrize("settings", MODES, ids=lambda settings: settings.mode)
@pytest.mark.parametrize("is_due", [lambda n: n == 1, lambda n: n == 40, lambda n: n >= 40], ids=["1", "40", "from 40"])
def test_a_fault_that_no_rate_provokes_is_raised(is_due: Callable[[int], bool], settings: LRSettings) -> None:
    task = raising(is_due)
    before = everything(task)
    with pytest.raises(LookupError, match="a bug"):
        find_lr(task, settings, progress=False)
    assert everything(task) == before


@pytest.mark.parametrize("settings", MODES, ids=lambda settings: settings.mode)
def test_a_fault_that_shows_late_at_every_rate_is_raised(settings: LRSettings) -> None:
    model = Ageing()
    loss_fn = functional.mse_loss
    task = Task(model, torch.optim.SGD(model.parameters(), lr=1e-3), loss_fn, (INPUTS, INPUTS))
    with pytest.raises(LookupError, match="a bug"):
        find_lr(task, settings, progress=False)


@pytest.mark.parametrize("settings", MODES, ids=lambda settings: settings.mode)
def test_what_the_data_raise_is_no_rates(settings: LRSettings) -> None:
    class Broken(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 256

        def __getitem__(self, index: int) -> Any:
            if index == 200:
                raise OSError("a broken file")
            return INPUTS[index], INPUTS[index]

    model = autoencoder()
    loader = torch.utils.data.DataLoader(Broken(), 32)
    task = Task(model, torch.optim.SGD(model.parameters(), lr=1e-3), functional.mse_loss, loader)
    with pytest.raises(OSError, match="a broken file"):
        find_lr(task, settings, progress=False)


def test_a_rate_that_raises_leaves_where_the_model_cannot_be_copied() -> None:
    task = task_of(guarded)
    task.parameters[-1].register_hook(lambda grad: grad)
    before = everything(task)
    curve = find_lr(task, progress=False)
    assert everything(task) == before
    assert curve.suggestion is not None and "stopping training" in curve.limit


def test_a_run_of_a_comparison_that_raises_ends_and_the_others_go_on() -> None:
    task = task_of(guarded, lr=1e-3)
    duel = nt.compare_batch_sizes(task, [8, 32], budget="2000 samples", lr={8: 100.0, 32: 0.05}, progress=False)
    outcomes = {curve.batch_size: (curve.outcome, curve.why) for curve in duel.by_batch_size}
    assert outcomes[32][0] == "finished" and outcomes[8][0] == "failed"
    assert "stopping training" in outcomes[8][1] and "stopping training" in duel.limit


def test_a_comparison_whose_runs_all_raise_is_the_users_error() -> None:
    with pytest.raises(ValueError, match="stopping training"):
        nt.compare_batch_sizes(task_of(guarded, lr=100.0), [8, 32], budget="2000 samples", progress=False)
    with pytest.raises(LookupError, match="a bug"):
        nt.compare_batch_sizes(raising(lambda n: n >= 10), [8, 32], budget="2000 samples", progress=False)


def test_the_blobs_have_a_suggestion_without_any_error() -> None:
    model = nn.Linear(4, 2)
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), functional.cross_entropy, blobs())
    assert not any(c.error for c in find_lr(task, progress=False).candidates)


def test_a_comparison_in_which_each_run_diverged_or_raised_says_that_the_rate_is_too_large() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        loss = functional.mse_loss(model(batch[0]), batch[0])
        if len(batch[0]) > 8 and not torch.isfinite(loss):
            raise ValueError("loss is not finite, stopping training")
        return loss

    duel = nt.compare_batch_sizes(task_of(step, lr=100.0), [8, 32], budget="2000 samples", progress=False)
    assert {curve.outcome for curve in duel.by_batch_size} == {"diverged", "failed"}
    assert duel.verdict == "No clear answer: every run diverged or raised an error."
    assert duel.reason == "η = 100 is too large: try less." and "stopping training" in duel.limit


def test_an_error_of_all_runs_of_a_comparison_hints_at_the_rate() -> None:
    with pytest.raises(ValueError, match="stopping training") as raised:
        nt.compare_batch_sizes(task_of(guarded, lr=100.0), [8, 32], budget="2000 samples", progress=False)
    assert any("every run raised" in note for note in raised.value.__notes__)


class Guarding:
    """Raises where the loss has blown up; from then on whoever checks that finds no memory."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.has_raised, self.checks = error, False, 0

    def __call__(self, model: nn.Module, batch: Any) -> torch.Tensor:
        loss = functional.mse_loss(model(batch[0]), batch[0])
        if not loss < 15:
            self.has_raised = True
            raise ValueError("blown up")
        if self.has_raised and self.error is not None:
            self.has_raised, self.checks = False, self.checks + 1
            raise self.error
        return loss


OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize("error", [OUT, MemoryError(), NotEnoughMemoryError("only 3 MiB were left")], ids=type)
def test_a_check_that_finds_no_memory_itself_says_nothing_against_the_rate(error: Exception) -> None:
    step = Guarding(error)
    curve = find_lr(task_of(step), mode="quick", progress=False)
    assert step.checks == 1 and "blown up" in curve.steps[-1].error and curve.outcome == "diverged"
    step = Guarding(error)
    rates = {8: 1e-3, 16: 100.0}
    duel = nt.compare_batch_sizes(task_of(step), [8, 16], budget="640 samples", lr=rates, progress=False)
    assert step.checks == 1 and [row["outcome"] for row in duel.table()] == ["finished", "failed"]
    assert "blown up" in duel.by_batch_size[1].why


def test_a_check_for_which_there_is_no_room_says_nothing_against_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Guarding(None)
    monkeypatch.setattr(room, "free_bytes", lambda device: 30 if step.has_raised else None)
    task = task_of(step)
    before = everything(task)
    curve = find_lr(task, mode="quick", progress=False)
    assert "blown up" in curve.steps[-1].error and curve.outcome == "diverged" and everything(task) == before


def test_a_check_that_finds_another_fault_still_tells_against_the_rate() -> None:
    with pytest.raises(ValueError, match="blown up"):
        find_lr(task_of(Guarding(KeyError("mine"))), mode="quick", progress=False)


def test_what_sounds_like_a_card_is_a_rates_all_the_same_on_the_host() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        loss = functional.mse_loss(model(batch[0]), batch[0])
        if not torch.isfinite(loss):
            raise RuntimeError("CUDA error: device-side assert triggered")
        return loss

    curve = find_lr(task_of(step), progress=False)
    assert curve.suggestion is not None and "device-side assert" in curve.limit


def test_rates_that_were_ahead_and_diverged_late_are_named_not_the_lowest_one() -> None:
    standings = Standings([1e-5, 1e-3, 1e-1, 10.0])
    for step in range(1, 36):
        standings.add(0.0, 1.0)
        for lr in list(standings.alive):
            falls = 1 - 0.01 * step * (math.log10(lr) + 5) / 6
            standings.add(lr, math.nan if step == 35 else falls)
    reading = reading_of(standings)
    assert not standings.alive and standings.is_over
    assert "diverged" in reading.answer.verdict and "1e-5" not in reading.answer.reason
    assert (
        reading.answer.reason == "Those still in after step 30, 0.1, 10, were inf, NaN or raised an error by step 35."
    )
    assert reading.answer.retry == (1e-5, 1e-1)


class Late(torch.optim.SGD):
    """Of the three rates that come so far, one raises and two blow up before."""

    def step(self, closure: Any = None) -> Any:
        self.taken = getattr(self, "taken", 0) + 1
        lr = self.param_groups[0]["lr"]
        if self.taken >= 26 and 0.01 < lr < 0.05:
            raise ArithmeticError("overflow")
        if self.taken == 22 and lr and not 0.01 < lr < 0.05:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(math.nan)
        return super().step(closure)


def test_the_last_rate_that_is_in_may_raise_without_ending_the_search() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return functional.mse_loss(model(batch[0]), batch[0])

    curve = find_lr(task_of(step, optimizer=Late), rates=5, lr_min=1e-4, lr_max=0.1, progress=False)
    assert [c.lr for c in curve.candidates if c.error] == pytest.approx([0.0178], rel=0.01)
    assert "the rates that were ahead diverged" in curve.verdict and "ArithmeticError: overflow" in curve.limit
