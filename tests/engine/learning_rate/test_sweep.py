"""The sweep: what it yields, how it ends, what the curve says."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from tasks import blobs, plain_task
from torch import nn

from nbtune.engine import LRCurve, LRSettings, LRStep, Task, find_lr, sweep_lr
from nbtune.engine.learning_rate.sweep import rules as lr_rules

CE = nn.functional.cross_entropy


def steps_from(losses: list[float], lr_min: float = 1e-5, lr_max: float = 10.0) -> list[LRStep]:
    lrs = np.geomspace(lr_min, lr_max, len(losses))
    return [
        LRStep(index=i, lr=lr, loss=v, smoothed_loss=v, seconds=0.01 * i)
        for i, (lr, v) in enumerate(zip(lrs, losses, strict=True))
    ]


def losses_of_shape(start: float, lowest: float, top: float) -> list[float]:
    """Flat for 50 steps, down to ``lowest`` by step 75, up to ``top`` by step 95, with noise of 1 % of the drop."""
    noise = np.random.default_rng(0).normal(0, 0.01 * (start - lowest), 95)
    down, up = np.linspace(start, lowest, 25), np.linspace(lowest, top, 20)
    if lowest > 0:  # what spans orders of magnitude goes down by factors
        down, up = np.geomspace(start, lowest, 25), np.geomspace(lowest, top, 20)
        noise[50:] *= np.minimum(1, np.concatenate([down, up]) / start)
    return list(np.concatenate([np.full(50, start), down, up]) + noise)


def test_eta_grows_by_equal_factors_over_the_range() -> None:
    curve = find_lr(plain_task(), LRSettings(mode="quick", lr_min=1e-4, lr_max=1e-2, steps=21), progress=False)
    assert curve.lrs == pytest.approx(np.geomspace(1e-4, 1e-2, 21)) and curve.outcome == "finished"


def test_the_losses_are_those_of_a_loop_written_by_hand() -> None:
    task = plain_task()
    curve = find_lr(task, LRSettings(mode="quick", steps=20), progress=False)
    expected = []
    for (inputs, targets), lr in zip([b for _ in range(10) for b in task.loader], curve.lrs, strict=False):
        loss = CE(task.model(inputs), targets)
        task.optimizer.zero_grad()
        loss.backward()
        task.optimizer.param_groups[0]["lr"] = lr
        task.optimizer.step()
        expected.append(loss.item())
    assert curve.losses == pytest.approx(expected[: len(curve.losses)])
    assert len(expected) >= 20


def test_a_loss_that_explodes_ends_the_sweep_as_diverged_with_an_answer_below() -> None:
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
    task = plain_task(loss_fn=nn.functional.mse_loss, data=(x, x[:, :2]))
    curve = find_lr(task, LRSettings(mode="quick", lr_max=1000), progress=False)
    assert curve.outcome == "diverged" and len(curve.steps) < 100
    assert curve.suggestion is not None and curve.suggestion < curve.rises_from / 10


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_sweep_and_is_never_the_answer(bad: float) -> None:
    calls: list[int] = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return CE(output, target) * (bad if len(calls) == 40 else 1.0)

    curve = find_lr(plain_task(loss_fn=loss_fn), mode="quick", progress=False)
    assert curve.outcome == "diverged" and len(curve.steps) == 40
    assert curve.suggestion is None or curve.suggestion < curve.lrs[-1] / 10


@pytest.mark.parametrize(
    ("start", "lowest", "top"),
    [(-5.0, -20.0, 60.0), (1e-4, 1e-7, 1.0), (1e6, 3.0, 1e5), (0.0, -1.0, 3.0), (2.3, 0.1, 9.0)],
)
def test_divergence_is_seen_at_any_sign_and_scale(start: float, lowest: float, top: float) -> None:
    watch = lr_rules.DivergenceWatch()
    seen = [watch.sees(loss) for loss in losses_of_shape(start, lowest, top)]
    assert any(seen) and not any(seen[:70])


def test_a_noisy_flat_loss_is_not_taken_for_divergence() -> None:
    watch, noise = lr_rules.DivergenceWatch(), np.random.default_rng(0).normal(0.7, 0.2, 500)
    assert not any(watch.sees(float(loss)) for loss in noise)


def test_a_loss_that_ignores_eta_gets_no_suggestion() -> None:
    for losses in ([2.3] * 100, list(np.random.default_rng(0).normal(2.3, 0.1, 100))):
        curve = LRCurve.from_steps(steps_from(losses))
        assert curve.suggestion is None and "does not change the loss" in curve.verdict
        with pytest.raises(ValueError, match="no suggestion to apply"):
            curve.apply(plain_task())


def test_a_range_that_is_too_low_is_told_with_one_to_try() -> None:
    curve = find_lr(plain_task(), LRSettings(mode="quick", lr_min=1e-9, lr_max=1e-7, steps=40), progress=False)
    assert curve.suggestion is None and curve.retry == (1e-5, 10.0) and "too low" in curve.verdict


def test_a_stopped_run_is_a_valid_shorter_result() -> None:
    steps = steps_from([2.3] * 100)
    curve = LRCurve.from_steps(steps[:30], settings=LRSettings(mode="quick"))
    assert curve.outcome == "stopped" and "Stopped before the loss rose" in curve.verdict
    assert LRCurve.from_steps([], settings=LRSettings(mode="quick")).suggestion is None


def test_the_suggestion_lies_twelve_times_below_the_clear_rise_or_below_the_minimum() -> None:
    curve = LRCurve.from_steps(steps_from(losses_of_shape(2.3, 0.1, 9.0)))
    high, rises_from = curve.high or 0.0, curve.rises_from or 0.0
    assert curve.suggestion == pytest.approx(min(rises_from / 12, lr_rules.MOST_OF_MINIMUM * high))
    assert (curve.low or 0.0) <= curve.suggestion < high < rises_from
    assert curve.verdict.startswith("Try η = ") and curve.confidence == "between"


def test_a_loss_that_rises_late_does_not_lift_the_suggestion_out_of_the_usable_range() -> None:
    lrs = np.geomspace(1e-5, 10, 100)
    # Down to 0.3 at η = 0.05, and then so slowly up that half of the drop is lost again a hundred times above.
    down, up = np.clip(1 - np.log10(lrs / 1e-5) / 3.7, 0, None), np.clip(np.log10(lrs / 0.05), 0, None)
    losses = 0.3 + 2.0 * down + 0.5 * up
    steps = [
        LRStep(index=i, lr=float(lr), loss=float(loss), smoothed_loss=float(loss), seconds=0.0)
        for i, (lr, loss) in enumerate(zip(lrs, losses, strict=True))
    ]
    curve = LRCurve.from_steps(steps)
    assert curve.rises_from is not None and curve.low is not None and curve.high is not None
    assert curve.rises_from / 12 > lr_rules.MOST_OF_MINIMUM * curve.high
    assert curve.suggestion == pytest.approx(lr_rules.MOST_OF_MINIMUM * curve.high) and curve.low <= curve.suggestion
    assert "the lowest loss" in curve.reason


def test_max_seconds_stops_the_sweep() -> None:
    curve = find_lr(plain_task(), mode="quick", max_seconds=1e-6, progress=False)
    assert len(curve.steps) == 1 and curve.outcome == "stopped"


def test_held_out_loss_is_measured_in_eval_mode_on_the_same_batches() -> None:
    modes: list[bool] = []

    class Watching(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            modes.append(self.training)
            return super().forward(x)

    model = Watching(4, 2)
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), CE, blobs())
    held_out = blobs(seed=1)
    curve = find_lr(task, LRSettings(mode="quick", steps=10, lr_max=1e-4), validation=held_out, progress=False)
    assert modes[0] is True and set(modes) == {True, False}
    expected = CE(model(held_out[0]), held_out[1]).item()
    assert curve.steps[0].validation_loss == pytest.approx(expected, abs=0.1)
    assert curve.losses == tuple(s.validation_loss for s in curve.steps)


def test_smoothing_has_no_lag_on_a_line_and_leaves_the_ends() -> None:
    line = np.arange(30.0)
    assert lr_rules.smooth(line) == pytest.approx(line)
    assert lr_rules.line_end(list(line)) == pytest.approx(29)
    noisy = line + np.random.default_rng(0).normal(size=30)
    assert np.abs(lr_rules.smooth(noisy) - line)[2:-2].mean() < 0.7 * np.abs(noisy - line)[2:-2].mean()


def test_the_curve_is_plain_json_and_says_what_it_is() -> None:
    curve = LRCurve.from_steps(steps_from([*losses_of_shape(2.3, 0.1, 9.0), math.nan]))
    plain = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    assert (plain["kind"], plain["schema"], plain["suggestion"]) == ("lr_curve", 1, curve.suggestion)
    assert plain["steps"][-1]["loss"] is None
    assert f"suggestion={lr_rules.format_lr(curve.suggestion)}" in repr(curve)


@pytest.mark.parametrize(
    "changes",
    [{"lr_min": 0}, {"lr_min": 1, "lr_max": 1}, {"lr_max": math.inf}, {"lr_min": -1}, {"steps": 3}, {"max_seconds": 0}],
)
def test_wrong_settings_are_told_before_anything_runs(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        find_lr(plain_task(), progress=False, **changes)
    with pytest.raises(TypeError):
        find_lr(plain_task(), no_such_setting=1)


def test_the_sweep_says_what_it_waits_for() -> None:
    sweep = sweep_lr(plain_task())
    assert sweep.waiting_for == "the next batch from the data loader"
    next(sweep)
    assert sweep.waiting_for == "the training step"
    sweep.close()


def test_the_progress_bar_goes_to_stderr_and_away(capsys: pytest.CaptureFixture[str]) -> None:
    find_lr(plain_task(), LRSettings(mode="quick", steps=10))
    captured = capsys.readouterr()
    assert captured.out == "" and "learning rate" in captured.err
