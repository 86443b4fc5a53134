"""A schedule is the same as a function, as torch's scheduler and as printed code; and what searches make of it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from tasks import plain_task
from torch import nn

import nbtune as nt
from nbtune.engine import LRCurve
from nbtune.engine.learning_rate.schedule import KINDS, PARTS, UNKNOWN, Kind, Schedule, part_of_best

LENGTHS = [1, 2, 3, 7, 60, 200]


def optimizer_of(*lrs: float, **options: Any) -> torch.optim.Optimizer:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    return torch.optim.SGD(groups, **options)


def rates_under(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> list[list[float]]:
    """η of every group at each step."""
    seen = []
    for step in range(steps):
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        optimizer.step()
        if scheduler is not None and step < steps - 1:  # OneCycleLR refuses one more
            scheduler.step()
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", LENGTHS)
def test_function_scheduler_and_code_agree_at_every_step(kind: Kind, steps: int) -> None:
    schedule = Schedule(kind, steps, 0.0123)
    wanted = pytest.approx([schedule.lr_at(step) for step in range(steps)], rel=1e-9)
    optimizer = optimizer_of(0.5)
    assert [lr for (lr,) in rates_under(optimizer, schedule.scheduler(optimizer), steps)] == wanted
    optimizer = optimizer_of(0.5)
    names: dict[str, Any] = {"torch": torch, "optimizer": optimizer}
    exec(schedule.code, names)
    assert [lr for (lr,) in rates_under(optimizer, names.get("scheduler"), steps)] == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_no_rate_is_above_the_peak_nor_0_and_a_long_one_reaches_it(kind: Kind) -> None:
    rates = [Schedule(kind, 500, 0.2).lr_at(step) for step in range(-1, 502)]
    assert max(rates) == pytest.approx(0.2, rel=1e-3) and min(rates) > 0
    assert rates[0] == rates[1] and rates[-1] == rates[-2]  # before and after, that of the ends


def test_decay_warms_up_stays_and_cools_down() -> None:
    rates = [Schedule("decay", 1000, 1.0).lr_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 50) and rates[49:701] == [1.0] * 652
    assert rates[701] < 1 and rates[-1] == pytest.approx(1 / 300)


def test_groups_keep_their_ratios_and_earlier_schedulers_are_forgotten() -> None:
    optimizer = optimizer_of(0.0, 0.1, 0.01)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[0.0, 5.0, 0.5], total_steps=10)
    for group, lr in zip(optimizer.param_groups, (0.0, 0.1, 0.01), strict=True):
        group["lr"] = lr
    schedule = Schedule("decay", 40, 0.3)
    seen = rates_under(optimizer, schedule.scheduler(optimizer), 40)
    for step, rates in enumerate(seen):
        assert rates == pytest.approx([0.0, schedule.lr_at(step), schedule.lr_at(step) / 10])


@pytest.mark.parametrize("kind", KINDS)
def test_code_forgets_an_earlier_scheduler(kind: Kind) -> None:
    optimizer = optimizer_of(5.0)
    torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    schedule = Schedule(kind, 40, 0.3)
    names: dict[str, Any] = {"torch": torch, "optimizer": optimizer}
    exec(schedule.code, names)
    wanted = pytest.approx([schedule.lr_at(step) for step in range(40)])
    assert [lr for (lr,) in rates_under(optimizer, names.get("scheduler"), 40)] == wanted


def test_ratios_outlive_a_scheduler_that_ended_at_0() -> None:
    optimizer = optimizer_of(0.0, 0.1, 0.3)
    earlier = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=2)
    rates_under(optimizer, earlier, 3)
    assert not any(group["lr"] for group in optimizer.param_groups)
    Schedule("constant", 40, 0.2).scheduler(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.0, 0.2, 0.6])


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_goes_on_from_a_saved_scheduler(kind: Kind) -> None:
    schedule, optimizer = Schedule(kind, 40, 0.3), optimizer_of(0.1, 0.2)
    scheduler = schedule.scheduler(optimizer)
    rates_under(optimizer, scheduler, 31)
    whole = pickle.loads(pickle.dumps((optimizer, scheduler)))
    fresh = optimizer_of(7.0, 7.0)
    parts = (fresh, schedule.scheduler(fresh))
    for part, saved in zip(parts, (optimizer, scheduler), strict=True):
        part.load_state_dict(copy.deepcopy(saved.state_dict()))  # type: ignore[attr-defined]
    wanted = rates_under(optimizer, scheduler, 9)
    assert rates_under(whole[0], whole[1], 9) == rates_under(fresh, parts[1], 9) == wanted


def test_an_optimizer_that_chooses_its_rate_has_no_schedule() -> None:
    optimizer = optimizer_of(0.1)
    optimizer.param_groups[0]["lr"] = None  # as Adafactor's
    with pytest.raises(ValueError, match="SGD chooses its own rate"):
        Schedule("decay", 10, 0.1).scheduler(optimizer)


def test_a_rate_that_is_a_tensor_stays_one() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=torch.tensor(0.1), capturable=False, foreach=False)
    Schedule("constant", 10, 0.25).scheduler(optimizer)
    assert torch.is_tensor(optimizer.param_groups[0]["lr"]) and float(optimizer.param_groups[0]["lr"]) == 0.25


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("steady", 10, 0.1), "kind must be one of"), (("decay", 0, 0.1), "steps must be"),
        (("decay", True, 0.1), "steps must be"), (("decay", 10, -1.0), "peak must be"),
        (("decay", 10, float("nan")), "peak must be"),
    ],
)  # fmt: skip
def test_what_is_no_schedule(arguments: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        Schedule(*arguments)


def test_what_is_no_optimizer() -> None:
    with pytest.raises(TypeError, match=r"torch\.optim\.Optimizer, not Linear"):
        Schedule("decay", 10, 0.1).scheduler(nn.Linear(1, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_the_longer_the_lower(kind: Kind) -> None:
    parts = [part_of_best(kind, steps) for steps in (1, 200, 500, 1000, 3000, 10**7)]
    assert parts == sorted(parts, reverse=True) and parts[0] == parts[1] and parts[-1] == parts[-2]
    assert [part_of_best(kind, length) for length in PARTS[kind]] == pytest.approx(list(PARTS[kind].values()))
    assert part_of_best(kind, None) == UNKNOWN[kind]


def test_a_race_is_read_anew_for_a_training_of_another_length() -> None:
    task = plain_task()
    curve = nt.find_lr(task, progress=False)
    short, long = curve.for_steps(100), curve.for_steps(10_000)
    assert curve.best is not None and curve.suggestion is not None
    assert short.suggestion == pytest.approx(part_of_best("constant", 100) * curve.best)
    assert long.suggestion == pytest.approx(part_of_best("constant", 10_000) * curve.best)
    assert short.verdict.endswith(" for 100 steps") and long.verdict.endswith(" for 10\u202f000 steps")
    assert (short.low, short.high, short.best) == (curve.low, curve.high, curve.best)
    assert (short.caveats, short.data_form, short.steps) == (curve.caveats, curve.data_form, curve.steps)
    assert short.for_steps(None) == curve
    assert nt.find_lr(task, progress=False, train_steps=100).settings == short.settings


def test_a_search_gives_a_schedule_of_any_kind() -> None:
    curve = nt.find_lr(plain_task(), progress=False, train_steps=400)
    for kind in KINDS:
        peak = part_of_best(kind, 400) * (curve.best or 0)
        schedule = curve.schedule(kind=kind)
        assert (schedule.kind, schedule.steps) == (kind, 400) and schedule.peak == pytest.approx(peak)
    assert curve.schedule(3000).steps == 3000
    assert curve.schedule(kind="constant").peak == pytest.approx(curve.suggestion)
    with pytest.raises(ValueError, match="kind must be one of"):
        curve.schedule(kind="steady")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="steps must say how long the training is"):
        curve.for_steps(None).schedule()


def test_a_sweep_has_no_best_rate_so_its_own_peak_is_taken() -> None:
    curve = nt.find_lr(plain_task(), progress=False, mode="quick")
    assert curve.suggestion is not None
    assert curve.schedule(100).peak == curve.peak and curve.schedule(100, "constant").peak == curve.suggestion


def test_without_an_answer_there_is_no_schedule() -> None:
    curve = nt.find_lr(plain_task(), progress=False, lr_min=1e-9, lr_max=1e-7)
    with pytest.raises(ValueError, match="no suggestion to make a schedule of"):
        curve.schedule(100)


def test_a_schedule_keeps_the_margin_of_a_race_that_was_stopped() -> None:
    curve = nt.find_lr(plain_task(), progress=False)
    early = 0
    for end in range(0, len(curve.steps), 10):
        stopped = LRCurve.from_steps(curve.steps[:end], settings=curve.settings)
        if stopped.suggestion is None or stopped.best is None:
            continue
        early += stopped.suggestion < 0.9 * part_of_best("constant", None) * stopped.best
        for length in (100, 2000):
            read = stopped.for_steps(length)
            assert stopped.schedule(length, "constant").peak == pytest.approx(read.suggestion)
            assert stopped.schedule(length, "one-cycle").peak == pytest.approx(read.peak)
    assert early


def test_a_search_over_batch_sizes_is_read_anew_at_each() -> None:
    found = nt.find_lr(plain_task(), progress=False, batch_sizes=[8, 32])
    long = found.for_steps(3000)
    for k, curve in found.curves.items():
        assert long.curves[k].best == curve.best and long.curves[k].settings.train_steps == 3000
        assert long.curves[k].suggestion == pytest.approx(part_of_best("constant", 3000) * (curve.best or 0))
    assert long.for_steps(None) == found


@pytest.mark.parametrize("kind", KINDS)
def test_in_doubt_a_short_training_is_no_reason_for_a_higher_rate(kind: Kind) -> None:
    for steps in (1, 100, 1000, 3000, 10**6):
        sure, doubtful = part_of_best(kind, steps), part_of_best(kind, steps, is_sure=False)
        assert doubtful == min(sure, UNKNOWN[kind])
    assert part_of_best(kind, 1) > UNKNOWN[kind]
