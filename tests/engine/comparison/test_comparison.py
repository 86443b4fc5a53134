"""Batch sizes trained side by side: what is trained, what each run is charged, what is said of it."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import torch
from tasks import blobs, everything, hard_task, plain_task
from torch import nn

from nbtune.engine import Task
from nbtune.engine.comparison import training_run
from nbtune.engine.comparison.budget import Budget
from nbtune.engine.comparison.compare import compare_batch_sizes
from nbtune.engine.comparison.curves import RunCurve
from nbtune.engine.comparison.events import LossStep, Run
from nbtune.engine.comparison.result import Comparison
from nbtune.engine.comparison.rules import target_of
from nbtune.engine.comparison.run import train_batch_sizes
from nbtune.engine.comparison.settings import ComparisonSettings
from nbtune.engine.learning_rate.events import LRStep
from nbtune.engine.task.order import reordered

CE = nn.functional.cross_entropy


def compared(task: Task, batch_sizes: list[Any], **changes: Any) -> Comparison:
    return compare_batch_sizes(task, batch_sizes, progress=False, **{"budget": "2 epochs", **changes})


def run_of(comparison: Comparison, batch_size: int, seed: int = 0) -> RunCurve:
    return next(r for r in comparison.curves if r.run.batch_size == batch_size and r.run.seed == seed)


def noisy_task() -> Task:
    """Dropout and a loader that shuffles: two sources of random numbers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 2))
    return Task(model, torch.optim.Adam(model.parameters(), 0.01), CE, blobs())


def in_place(task: Task) -> Task:
    task.model.lock = threading.Lock()  # what cannot be copied
    return task


# What is trained


@pytest.mark.parametrize("batch_size", [1, 16])
def test_a_run_trains_as_a_loop_written_by_hand(batch_size: int) -> None:
    task = plain_task()
    ours = run_of(compared(task, [batch_size], budget="1 epoch"), batch_size)
    losses = []
    for inputs, targets in reordered(task.loader, batch_size, seed=0):
        loss = CE(task.model(inputs), targets)
        task.optimizer.zero_grad()
        loss.backward()
        task.optimizer.step()
        losses.append(loss.item())
    ends = (0, *ours.updates)
    means = [sum(losses[a:b]) / (b - a) for a, b in itertools.pairwise(ends)]
    assert ours.updates[-1] == len(losses) == 96 // batch_size
    assert ours.losses == pytest.approx(means, rel=1e-6)


def test_every_run_begins_from_the_same_weights() -> None:
    comparison = compared(plain_task(), ["full"], seeds=3)
    assert len({f"{run.losses[0]:.5f}" for run in comparison.curves}) == 1


def test_neighbours_change_nothing_in_a_run() -> None:
    alone = run_of(compared(noisy_task(), [8]), 8)
    beside = run_of(compared(noisy_task(), [1, 8, 32], seeds=2), 8)
    assert beside.losses == alone.losses and beside.updates == alone.updates


def test_two_calls_give_the_same_curves_whatever_the_timing() -> None:
    first, second = compared(noisy_task(), [1, 8]), compared(slow(noisy_task(), 0.002), [1, 8])
    assert [r.losses for r in first.curves] == [pytest.approx(r.losses, rel=1e-12) for r in second.curves]


def slow(task: Task, seconds: float) -> Task:
    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        time.sleep(seconds)
        return CE(output, target)

    return task.with_(loss_fn=loss_fn)


def test_a_seed_is_one_order_of_the_data_at_every_batch_size_and_another_seed_another() -> None:
    loader = torch.utils.data.DataLoader(range(40), 10, shuffle=True)
    order = {(k, seed): torch.cat(list(reordered(loader, k, seed))).tolist() for k in (1, 8) for seed in (0, 1)}
    assert order[1, 0] == order[8, 0] and order[1, 1] == order[8, 1] and order[1, 0] != order[1, 1]
    assert sorted(order[1, 0]) == list(range(40))


@pytest.mark.parametrize("sampler", ["weighted", "subset", "own generator"])
def test_a_loader_s_own_sampler_shuffles_the_copies_and_is_not_moved(sampler: str) -> None:
    data = torch.utils.data.TensorDataset(*blobs())
    generator = torch.Generator().manual_seed(5)
    samplers = {
        "weighted": torch.utils.data.WeightedRandomSampler([1.0] * 96, 96, generator=generator),
        "subset": torch.utils.data.SubsetRandomSampler(range(48), generator=generator),
        "own generator": torch.utils.data.RandomSampler(data, generator=generator),
    }
    task = plain_task(data=torch.utils.data.DataLoader(data, 8, sampler=samplers[sampler]))
    before = generator.get_state()
    comparison = compared(task, [4, 16], seeds=2)
    assert torch.equal(generator.get_state(), before)
    assert run_of(comparison, 4, 0).losses != run_of(comparison, 4, 1).losses
    assert comparison.dataset_size == (48 if sampler == "subset" else 96)


def test_gradients_of_accumulated_batches_are_those_of_one_batch() -> None:
    whole, parts = plain_task().with_(batch_size=8), plain_task(accumulate=2).with_(batch_size=8)
    at_once, piecewise = compared(whole, [4, 32]), compared(parts, [4, 32])
    assert run_of(piecewise, 32).losses == pytest.approx(run_of(at_once, 32).losses, rel=1e-5)
    applied = [compared(parts, [k], budget="6 epochs").apply(parts) for k in (4, 32)]
    assert [(task.batch_size, task.accumulate) for task in applied] == [(4, 1), (8, 4)]
    with pytest.raises(ValueError, match="k = 12 is not a whole number of micro-batches of 8"):
        compared(parts, [12])


def test_a_model_that_cannot_be_copied_is_trained_run_after_run_from_the_same_start() -> None:
    copied, placed = compared(noisy_task(), [4, 16], seeds=2), compared(in_place(noisy_task()), [4, 16], seeds=2)
    assert {r.run: r.losses for r in placed.curves} == {r.run: r.losses for r in copied.curves}


def test_runs_wait_for_room_where_memory_holds_few_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtune.engine.comparison.run.copies_at_once", lambda task: 2)
    task = noisy_task()
    run = train_batch_sizes(task, ComparisonSettings(batch_sizes=[4, 8, 16], seeds=2, budget="1 epoch"))
    with closing(run):
        ends = [step.run for step in run if step.ended]
    assert {r.seed for r in ends[:2]} == {0} and len(ends) == 6


@pytest.mark.parametrize("form", ["pair", "loader"])
def test_held_out_data_are_evaluated_without_a_trace_in_the_training(form: str) -> None:
    pair = blobs(50, seed=1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*pair), 25, shuffle=True)
    with_held_out = compared(noisy_task(), [1, 8], validation=pair if form == "pair" else loader)
    assert [r.losses for r in with_held_out.curves] == [r.losses for r in compared(noisy_task(), [1, 8]).curves]
    for row, curve in zip(with_held_out.table(), with_held_out.by_batch_size, strict=True):
        assert row["held_out_loss"] == curve.held_out_losses[-1] is not None
        assert sum(loss is not None for loss in curve.held_out_losses) >= len(curve.losses) // 2


# The user's own


@pytest.fixture(params=["copy", "in place"])
def task(request: pytest.FixtureRequest) -> Task:
    made = hard_task(preserve=())
    return in_place(made) if request.param == "in place" else made


def test_everything_is_as_it_was_after_the_end(task: Task) -> None:
    before = everything(task)
    compared(task, [2, 16], seeds=2, validation=blobs(32, seed=1))
    assert everything(task) == before


def test_everything_is_as_it_was_after_a_stop(task: Task) -> None:
    before = everything(task)
    run = train_batch_sizes(task, ComparisonSettings(batch_sizes=[2, 16], seeds=2))
    steps = [next(run) for _ in range(7)]
    run.close()
    comparison = run.comparison(step for step in steps if isinstance(step, LossStep))
    assert everything(task) == before
    assert comparison.outcome == "stopped" and comparison.by_batch_size


def test_everything_is_as_it_was_after_an_error_of_the_users_own(task: Task) -> None:
    calls: list[int] = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 9:
            raise KeyError("mine")
        return CE(output, target)

    before = everything(task)
    with pytest.raises(KeyError, match="mine") as raised:
        compared(task.with_(loss_fn=loss_fn), [2, 16])
    assert everything(task) == before
    assert "the batch was" in "".join(raised.value.__notes__)


def test_everything_is_as_it_was_after_memory_ran_out(task: Task) -> None:
    before = everything(task)
    comparison = compared(full_from(task, 16), [2, 16])
    assert everything(task) == before
    assert [c.outcome for c in comparison.by_batch_size] == ["finished", "failed"]


def full_from(task: Task, batch_size: int, after: int = 0) -> Task:
    """Batches of this size or more run out of memory, after some that did not."""
    seen: list[int] = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if len(target) >= batch_size:
            seen.append(1)
            if len(seen) > after:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return CE(output, target)

    return task.with_(loss_fn=loss_fn)


def test_a_step_that_trains_the_global_model_is_told() -> None:
    task = plain_task()
    stray = task.with_(loss_fn=None, training_step=lambda model, batch: CE(task.model(batch[0]), batch[1]))
    before = everything(task)
    with pytest.raises(RuntimeError, match="uses the global model"):
        compared(stray, [1, 8])
    assert everything(task) == before


# How a run ends


def test_a_run_whose_loss_is_not_finite_ends_and_the_others_go_on() -> None:
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(4, 1)
    task = Task(model, torch.optim.SGD(model.parameters(), 1e-3), nn.functional.mse_loss, (x, x.sum(1, keepdim=True)))
    comparison = compared(task, [1, 8], budget="20 epochs", lr={1: 5.0, 8: 0.1})
    wild, calm = comparison.by_batch_size
    assert (wild.outcome, calm.outcome, comparison.outcome) == ("diverged", "finished", "finished")
    assert not math.isfinite(run_of(comparison, 1).losses[-1]) and all(map(math.isfinite, wild.losses))
    assert comparison.batch_size == 8 and "k = 1 diverged at η = 5." in comparison.limit
    assert wild.row(1.0)["final_loss"] is None
    everyone = compared(task, [1, 8], budget="20 epochs", lr=5.0)
    assert everyone.outcome == "diverged" and everyone.batch_size is None
    assert "η = 5 is too large" in everyone.reason


def test_batch_norm_refuses_one_sample_and_the_others_go_on() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    comparison = compared(Task(model, torch.optim.SGD(model.parameters(), 0.1), CE, blobs()), [1, 8])
    assert [c.outcome for c in comparison.by_batch_size] == ["failed", "finished"]
    assert "k = 1: BatchNorm needs more than one sample." in comparison.limit


def test_memory_that_runs_out_midway_keeps_the_curve_until_then() -> None:
    comparison = compared(full_from(plain_task(), 16, after=3), [4, 16], budget="4 epochs")
    assert run_of(comparison, 16).updates == (1, 2, 3) and run_of(comparison, 16).why == "out of memory."
    assert run_of(comparison, 4).outcome == "finished"


@pytest.mark.parametrize("budget", ["240 samples", "15 updates"])
def test_a_budget_is_the_same_for_all(budget: str) -> None:
    comparison = compared(plain_task(), [1, 16], seeds=2, budget=budget)
    spent = [(r.samples_seen[-1], r.updates[-1]) for r in comparison.curves]
    expected = {"240 samples": [(240, 240), (240, 15)], "15 updates": [(15, 15), (240, 15)]}[budget]
    assert sorted(spent) == sorted(expected * 2)
    assert {r.outcome for r in comparison.curves} == {"finished"}


class Clock:
    """The time that training runs read: it goes on with the steps alone."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now

    def timed(self, task: Task, single_seconds: float, batch_seconds: float) -> Task:
        """The task with steps that take so long by this clock."""

        def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            self.now += single_seconds if len(target) == 1 else batch_seconds
            return CE(output, target)

        return task.with_(loss_fn=loss_fn)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(training_run, "time", made)
    return made


def test_a_budget_of_seconds_is_each_run_s_own_time(clock: Clock) -> None:
    begun = clock.now
    comparison = compared(clock.timed(plain_task(), 0.05, 0.002), [1, 16], budget="0.5 s")
    single, batched = (run_of(comparison, k) for k in (1, 16))
    assert all(r.seconds[-1] >= 0.5 and r.outcome == "finished" for r in (single, batched))
    assert single.seconds[-1] + batched.seconds[-1] <= clock.now - begun + 1e-6
    # A single sample's step takes 50 ms, a batch's next to nothing: nobody pays for the other.
    assert single.seconds[-1] / single.updates[-1] == pytest.approx(0.05)
    assert batched.seconds[-1] / batched.updates[-1] == pytest.approx(0.002)


@pytest.mark.parametrize("step_seconds", [0.0003, 0.003, 0.3])
def test_all_curves_grow_together(clock: Clock, step_seconds: float) -> None:
    task = clock.timed(plain_task(), step_seconds, step_seconds)
    run = train_batch_sizes(task, ComparisonSettings(batch_sizes=[1, 4, 16], budget="960 samples"))
    seen: dict[Run, int] = {}
    with closing(run):
        for step in run:
            assert isinstance(step, LossStep)
            seen[step.run] = step.samples_seen
            if len(seen) == 3 and run.share_done < 0.99:
                assert max(seen.values()) <= 2.5 * min(seen.values()) + 64
    assert run.share_done == 1


# η for each k


def test_the_rate_is_the_optimizer_s_own_unless_said_otherwise() -> None:
    assert {r.run.lr for r in compared(plain_task(0.05), [1, 8]).curves} == {0.05}
    assert {r.run.lr for r in compared(plain_task(0.05), [1, 8], lr=0.2).curves} == {0.2}
    assert [c.lr for c in compared(plain_task(), [1, 8], lr={1: 0.01, 8: 0.3}).by_batch_size] == [0.01, 0.3]
    assert [c.lr for c in compared(plain_task(), [1, "full"], lr={1: 0.01, "full": 0.3}).by_batch_size] == [0.01, 0.3]


def test_scaled_rates_are_linear_for_sgd_and_go_with_the_root_for_adam() -> None:
    sgd, adam = plain_task(0.32).with_(batch_size=32), noisy_task().with_(batch_size=16)
    assert [c.lr for c in compared(sgd, [1, 64], lr="scaled").by_batch_size] == [0.01, 0.64]
    assert [c.lr for c in compared(adam, [1, 64], lr="scaled").by_batch_size] == [0.0025, 0.02]


def test_found_rates_come_from_a_sweep_at_each_k() -> None:
    run = train_batch_sizes(noisy_task(), ComparisonSettings(batch_sizes=[1, 16], budget="1 epoch", lr="found"))
    finding: list[int | None] = []
    steps: list[LossStep] = []
    with closing(run):
        for step in run:
            if isinstance(step, LRStep):
                finding.append(run.finding)
            else:
                steps.append(step)
    comparison = run.comparison(steps)
    assert set(finding) == {1, 16} and len(finding) > 40
    assert all(c.lr != 0.01 for c in comparison.by_batch_size)
    assert not any("no clear η" in caveat for caveat in comparison.caveats)


def test_where_a_sweep_finds_nothing_the_optimizer_s_own_rate_is_used_and_said() -> None:
    task = plain_task(0.05, loss_fn=lambda output, target: (output * 0).sum() + 1)
    comparison = compared(task, [8], lr="found")
    assert comparison.by_batch_size[0].lr == 0.05
    assert comparison.caveats == (
        "The sweep gave no clear η for k = 8: it trains at the optimizer's own, 0.05.",
    )  # fmt: skip


@pytest.mark.parametrize("refused", ["batch norm", "memory"])
def test_a_k_that_cannot_train_is_told_while_others_are_looked_for(refused: str) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), CE, blobs())
    k = 1 if refused == "batch norm" else 32
    comparison = compared(task if k == 1 else full_from(task, 32), [k, 8], lr="found")
    assert {c.batch_size: c.outcome for c in comparison.by_batch_size} == {k: "failed", 8: "finished"}
    assert {c.batch_size: c.lr != 0.1 for c in comparison.by_batch_size} == {k: False, 8: True}


# Bad input


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_sizes": [1, 97]}, "k = 97 is more than the data have: 96 samples"),
        ({"batch_sizes": [0, 4]}, "whole numbers from 1 up, not 0"),
        ({"batch_sizes": [4, 4]}, "has 4 twice"),
        ({"batch_sizes": [96, "full"]}, "'full' is 96 samples here"),
        ({"batch_sizes": []}, "is empty"),
        ({"batch_sizes": [2.5]}, "whole numbers or 'full', not 2.5"),
        ({"batch_sizes": ["all"]}, "whole numbers or 'full', not 'all'"),
        ({"seeds": 0}, "seeds must be a whole number from 1 up"),
        ({"budget": 0}, "budget must be above 0"),
        ({"budget": "0 s"}, "budget must be above 0"),
        ({"budget": "soon"}, "budget must be such as"),
        ({"budget": "4 parsecs"}, "budget must be such as"),
        ({"budget": 1.5}, "budget must be text"),
        ({"lr": -1.0}, "lr must be a number above 0"),
        ({"lr": float("nan")}, "lr must be a number above 0"),
        ({"lr": "best"}, "one of fixed, scaled, found"),
        ({"lr": {1: 0.1}, "batch_sizes": [1, 4]}, "lr has no η for k = 4"),
        ({"target_loss": float("inf")}, "target_loss must be a finite number"),
        ({"capacity": "banana"}, "banana"),
    ],
)
def test_bad_input_is_refused_at_once(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        train_batch_sizes(plain_task(), ComparisonSettings(**changes))


def test_batches_made_elsewhere_cannot_be_compared_and_the_reason_is_given() -> None:
    with pytest.raises(ValueError, match="made elsewhere"):
        train_batch_sizes(plain_task(data=[blobs(8)] * 3), ComparisonSettings(batch_sizes=[1, 4]))


def test_no_task_no_comparison() -> None:
    with pytest.raises(TypeError, match=r"takes an nbtune\.Task"):
        compare_batch_sizes(nn.Linear(1, 1), [1])  # type: ignore[arg-type]


# What is said of it


def steps_of(losses: dict[int, list[float]], seconds: float = 0.1, seed: int = 0) -> Iterator[LossStep]:
    """Points 100 samples apart."""
    for k, values in losses.items():
        for i, loss in enumerate(values):
            yield LossStep(
                run=Run(k, 0.1, seed), samples_seen=100 * (i + 1), updates=100 * (i + 1) // k, loss=loss,
                seconds=seconds * (i + 1) * (10 if k == 1 else 1), point=i,
                ended="finished" if i == len(values) - 1 else "",
            )  # fmt: skip


def test_the_answer_is_the_k_that_is_first_at_the_target_in_time() -> None:
    falling = [2.0, 1.0, 0.5, 0.1, 0.02]
    comparison = Comparison.from_steps(steps_of({1: falling, 32: falling, 64: [2.0] * 5}), dataset_size=320)
    assert (comparison.batch_size, comparison.target_loss) == (32, 0.2)
    assert comparison.verdict == "k = 32 reaches loss 0.2 in 0.35 s, k = 1 in 3.5 s"
    assert comparison.reason == "k = 1 needs about as many samples (353 against 353) but 10× the time."
    assert "k = 64 did not get there" in comparison.limit
    row = comparison.table()[1]
    assert (row["updates_per_epoch"], row["final_loss"], row["samples_to_target"]) == (10, 0.02, 353)
    assert row["seconds_per_epoch"] == pytest.approx(0.5 / 15 * 10)


def test_a_loss_that_rose_again_did_not_reach_the_target() -> None:
    comparison = Comparison.from_steps(steps_of({1: [2.0, 0.1, 0.05, 1.5], 32: [2.0, 1.0, 0.5, 0.1]}))
    assert comparison.by_batch_size[0].reach(0.5) is None and comparison.by_batch_size[1].reach(0.5) is not None
    assert comparison.verdict.startswith("Only k = 32 reaches")
    assert "k = 1 rose again, from 0.050 to 1.5: η = 0.1 is large for it." in comparison.limit


def test_a_target_counts_from_when_the_loss_stays_there() -> None:
    (curve,) = Comparison.from_steps(steps_of({4: [2.0, 0.4, 1.9, 0.4, 0.6, 0.3]})).by_batch_size
    samples, _ = curve.reach(0.5) or (0, 0)
    assert 300 < samples <= 400  # not the dip before 1.9, and 0.6 is only noise


def test_no_k_that_came_down_is_no_answer() -> None:
    comparison = Comparison.from_steps(steps_of({1: [2.3, 2.3], 32: [2.3, 2.29]}))
    assert comparison.batch_size is comparison.target_loss is None
    assert comparison.verdict == "No clear answer: the loss did not come down."
    with pytest.raises(ValueError, match="no batch size to apply"):
        comparison.apply(plain_task())


def test_seeds_make_a_mean_and_a_band() -> None:
    steps = [*steps_of({4: [2.0, 0.1]}), *steps_of({4: [2.0, 0.4]}, seed=1)]
    curve = Comparison.from_steps(steps).by_batch_size[0]
    assert curve.losses == pytest.approx([2.0, 0.2]) and (curve.lows[-1], curve.highs[-1]) == (0.1, 0.4)


def test_losses_below_zero_are_compared_too() -> None:
    comparison = Comparison.from_steps(steps_of({1: [1.0, -2.0, -3.0], 8: [1.0, -1.0, -3.0]}))
    assert comparison.target_loss == -1.0 and comparison.batch_size == 8


def test_the_target_lies_where_the_second_best_came_by_half_way() -> None:
    curves = Comparison.from_steps(steps_of({1: [2.0, 0.02], 8: [2.0, 0.08], 64: [2.0, 1.9]})).by_batch_size
    assert target_of(curves, 2.0) == 0.4
    assert target_of(Comparison.from_steps(steps_of({1: [2.0, 0.02], 8: [2.0, 1.0]})).by_batch_size, 2.0) == 0.2


@pytest.mark.parametrize("count", range(8))
def test_any_number_of_events_is_a_valid_result(count: int) -> None:
    steps = list(steps_of({1: [2.0, 1.0, 0.5, 0.1], 8: [2.0, 1.0, 0.5, 0.1]}))
    comparison = Comparison.from_steps(steps[:count], settings=ComparisonSettings(batch_sizes=[1, 8]))
    assert comparison.outcome == "stopped" and comparison.verdict and repr(comparison)
    assert json.loads(json.dumps(comparison.to_dict()))["kind"] == "comparison"


def test_a_point_of_several_events_is_their_mean_by_updates() -> None:
    run = Run(1, 0.1, 0)
    events = [(10, 1.0, 0), (30, 4.0, 0), (40, 5.0, 1)]
    steps = [LossStep(run=run, samples_seen=u, updates=u, loss=loss, seconds=u, point=p) for u, loss, p in events]
    (curve,) = Comparison.from_steps(steps).curves
    assert curve.losses == (3.0, 5.0) and curve.updates == (30, 40) and curve.seconds == (30, 40)


def test_what_was_found_is_applied_to_a_new_task() -> None:
    task = plain_task(0.05)
    comparison = compared(task, [4, 32], lr=0.2, budget="4 epochs")
    changed = comparison.apply(task)
    assert changed.batch_size == comparison.batch_size and task.lr == 0.2 and task.batch_size == 32


def test_memory_is_predicted_for_a_named_card() -> None:
    few, many = compared(plain_task(), [1, 64], capacity="8 GB").table()
    assert 2**29 < few["peak_bytes"] <= many["peak_bytes"] < 2**30


def test_seeds_without_shuffling_are_told() -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*blobs()), 8)
    comparison = compared(plain_task(data=loader), [4], seeds=2)
    assert any("does not shuffle" in caveat for caveat in comparison.caveats)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (5600, "5\u202f600 samples"), ("5,600", "5\u202f600 samples"), ("1e4 samples", "10\u202f000 samples"),
        ("400 updates", "400 updates"), ("400 steps", "400 updates"), ("10s", "10 s"), ("2 min", "120 s"),
        ("1 epoch", "96 samples"), ("0.5 epochs", "48 samples"), (None, "480 samples"),
    ],
)  # fmt: skip
def test_budgets_are_read_as_they_are_said(given: Any, text: str) -> None:
    assert Budget.parse(given).for_data(96).text == text
