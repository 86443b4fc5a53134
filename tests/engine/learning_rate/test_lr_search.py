"""Searches over several data orders and batch sizes, and the curvature after them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from tasks import blobs, everything, hard_task, plain_task
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from nbtune.engine import LRCurve, LRSettings, LRStep, RaceStep, Task, find_lr, race_lr
from nbtune.engine.curvature import estimate as curvature
from nbtune.engine.curvature.estimate import Curvature
from nbtune.engine.learning_rate.by_batch_size import LRByBatchSize
from nbtune.engine.learning_rate.race import run as race
from nbtune.engine.learning_rate.search import LRSearch, search_lr
from nbtune.engine.task.order import reordered
from nbtune.formats import format_lr

MODES = ("race", "quick")


def searched(task: Task, **changes: Any) -> Any:
    return find_lr(task, progress=False, **changes)


def mlp_task(batch_size: int = 16) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Task(model, optimizer, nn.functional.cross_entropy, blobs(512)).with_(batch_size=batch_size)


# Several orders of the data


@pytest.mark.parametrize("mode", MODES)
def test_the_first_order_is_the_tasks_own_and_the_others_are_different(mode: str) -> None:
    task = hard_task()
    before = everything(task)
    curve = searched(task, mode=mode, repeats=3)
    assert everything(task) == before
    alone = searched(task, mode=mode)
    first, *others = curve.orders
    assert first.losses == alone.losses and first.suggestion == alone.suggestion
    assert len(others) == 2 and len({order.losses for order in curve.orders}) == 3


def test_another_order_is_that_of_its_seed() -> None:
    task = mlp_task()
    second = searched(task, repeats=2).orders[1]
    with race_closed(task.with_(data=reordered(task.loader, 16, 1), collate_fn=None)) as run:
        expected = losses_by_lr(run)
    assert losses_by_lr(second.steps) == expected


def losses_by_lr(steps: Iterable[RaceStep]) -> dict[float, list[float]]:
    """In which order rates have their turns is a matter of the clock; what each of them does is not."""
    found: dict[float, list[float]] = {}
    for step in steps:
        found.setdefault(step.lr, []).append(step.loss)
    return found


def test_how_long_the_turns_of_a_race_are_changes_nothing_in_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = []
    for seconds in (1e-9, 1e9):
        monkeypatch.setattr(race, "SLICE_SECONDS", seconds)
        monkeypatch.setattr(race, "TURN_SECONDS", seconds)
        curves.append(searched(hard_task(), mode="race"))
    short, long = curves
    assert [step.lr for step in short.steps] != [step.lr for step in long.steps]
    assert losses_by_lr(short.steps) == losses_by_lr(long.steps)
    assert short.candidates == long.candidates and short.rounds == long.rounds
    assert short.suggestion == long.suggestion and short.reason == long.reason


def race_closed(task: Task) -> Any:
    from contextlib import closing

    return closing(race_lr(task))


@pytest.mark.parametrize("mode", MODES)
def test_the_answer_is_the_median_of_the_orders(mode: str) -> None:
    curve = searched(mlp_task(), mode=mode, repeats=3)
    assert curve.suggestion == pytest.approx(sorted(order.suggestion for order in curve.orders)[1])
    assert curve.low < curve.suggestion < curve.high
    assert "3 data orders" in curve.reason and curve.outcome in ("finished", "diverged")
    assert curve.updates == sum(order.updates for order in curve.orders)
    assert LRCurve.from_steps(curve.steps, settings=curve.settings, batch_size=curve.batch_size) == curve
    json.dumps(curve.to_dict(), allow_nan=False)


def test_data_with_one_order_cannot_be_repeated() -> None:
    for data, why in ((DataLoader(TensorDataset(*blobs()), 16), "one order only"), ([blobs(16)], "made elsewhere")):
        task = plain_task(data=data)
        before = everything(task)
        with pytest.raises(ValueError, match=why):
            searched(task, repeats=2)
        assert everything(task) == before


def order_of(best: float | None) -> list[RaceStep]:
    """A race whose scores have their minimum at ``best``; None for one in which η changes nothing."""
    settings = LRSettings()
    lrs, steps = settings.race_lrs, []
    for step in range(1, 46 if best else 101):
        for lr in (*lrs, 0.0):
            drop = 0.0 if not lr or best is None else 1.5 * math.exp(-(math.log10(lr / best) ** 2))
            steps.append(RaceStep(lr=lr, step=step, loss=2.0 - drop * step / 45, seconds=0.0))
    return steps


def pooled_of(*bests: float | None) -> LRCurve:
    steps = []
    for repeat, best in enumerate(bests):
        steps += [replace(step, repeat=repeat) for step in order_of(best)]
    return LRCurve.from_steps(steps, settings=LRSettings(repeats=len(bests)))


def test_orders_far_apart_are_said_to_disagree_and_close_ones_are_not() -> None:
    assert "disagree by a factor of" in pooled_of(0.001, 0.1).limit
    assert "disagree" not in pooled_of(0.01, 0.02).limit
    assert pooled_of(0.01, 0.01, 1.0).suggestion == pooled_of(0.01, 0.01).suggestion
    assert "agree on it" in pooled_of(0.01, 0.01).reason


def test_an_answer_needs_more_than_half_of_the_orders() -> None:
    assert pooled_of(0.01, 0.01, None).suggestion is not None
    assert "1 of 3 orders gave no answer" in pooled_of(0.01, 0.01, None).limit
    curve = pooled_of(0.01, None)
    assert curve.suggestion is None and curve.low is None and curve.peak is None
    assert "Only 1 of 2 data orders" in curve.reason
    assert pooled_of(None, None).verdict == LRCurve.from_steps(order_of(None), settings=LRSettings()).verdict


def test_a_rate_is_judged_by_the_orders_in_which_it_stayed_longest() -> None:
    curve = pooled_of(0.001, 0.1)
    for candidate, *same in zip(curve.candidates, *(order.candidates for order in curve.orders), strict=True):
        longest = max(len(one.losses) for one in same)
        stayed = [one.score for one in same if len(one.losses) == longest]
        assert len(candidate.losses) == longest and candidate.score == pytest.approx(sum(stayed) / len(stayed))


def begun_with(run: LRSearch, is_next: Callable[[Any], bool]) -> list[Any]:
    """The events of a run that is stopped 20 after the first of the next part."""
    events = []
    with closing(run):
        for event in run:
            events.append(event)
            if is_next(event):
                return [*events, *islice(run, 20)]
    raise AssertionError("there was no next part")


@pytest.mark.parametrize("mode", MODES)
def test_an_order_that_is_under_way_does_not_move_the_answer_of_those_that_ended(mode: str) -> None:
    settings = LRSettings(mode=mode, repeats=2)  # type: ignore[arg-type]
    steps = searched(mlp_task(), mode=mode, repeats=2).steps
    first = [step for step in steps if step.repeat == 0]
    alone = LRCurve.from_steps(first, settings=replace(settings, repeats=1))
    for end in (*range(len(first), len(steps) - 1, 9), len(steps) - 1):
        curve = LRCurve.from_steps(steps[:end], settings=settings)
        assert curve.outcome == "stopped" and curve.suggestion == pytest.approx(alone.suggestion)
        assert (curve.verdict, curve.confidence) == (alone.verdict, alone.confidence)
        assert "Stopped after 1 of 2 orders." in curve.limit


def test_the_range_of_several_orders_holds_the_suggestion() -> None:
    lrs = LRSettings(mode="quick", steps=60).sweep_lrs
    blank = LRStep(index=0, lr=1.0, loss=1.0, smoothed_loss=1.0, seconds=0.0)
    rising = [replace(blank, index=i, lr=lr, loss=1.0 if lr < 0.03 else 9.0) for i, lr in enumerate(lrs)]
    rising = [*rising[:40], replace(rising[40], diverged=True)]
    falling = [replace(step, loss=step.loss - 0.3 * (0.003 < step.lr < 0.03), repeat=1) for step in rising]
    settings = LRSettings(mode="quick", steps=60, repeats=2)
    curve = LRCurve.from_steps([*rising, *falling], settings=settings)
    assert [order.low is None for order in curve.orders] == [True, False]
    assert curve.low is not None and curve.low <= curve.suggestion <= curve.high  # type: ignore[operator]
    assert curve.verdict.startswith("Try η = ")


@pytest.mark.parametrize("repeats", [2, 3])
def test_a_search_that_is_stopped_in_its_second_order_keeps_the_answer_of_the_first(repeats: int) -> None:
    run = search_lr(mlp_task(), LRSettings(repeats=repeats))
    events = begun_with(run, lambda step: step.repeat == 1)
    curve = LRCurve.from_steps(events, settings=LRSettings(repeats=repeats))
    assert curve.outcome == "stopped" and len(curve.orders) == 2
    assert curve.suggestion is not None and curve.suggestion == curve.orders[0].suggestion
    assert f"Stopped after 1 of {repeats} orders." in curve.limit and "no answer" not in curve.limit


@pytest.mark.parametrize("repeats", [0, 1.5, True, "3"])
def test_a_wrong_number_of_orders_is_told(repeats: Any) -> None:
    with pytest.raises(ValueError, match="repeats"):
        LRSettings(repeats=repeats)


# Several batch sizes


@pytest.mark.parametrize("mode", MODES)
def test_every_batch_size_has_its_curve_and_nothing_is_left_behind(mode: str) -> None:
    task = hard_task()
    before = everything(task)
    result = searched(task, mode=mode, batch_sizes=[32, 4])
    assert everything(task) == before
    assert isinstance(result, LRByBatchSize) and list(result.curves) == [4, 32] and result.outcome == "finished"
    assert [curve.batch_size for curve in result.curves.values()] == [4, 32]
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_curve_is_that_of_a_search_at_this_batch_size() -> None:
    task = mlp_task()
    result = searched(task, batch_sizes=[8, 64])
    for k, curve in result.curves.items():
        alone = searched(task.with_(data=reordered(task.loader, k, 0), collate_fn=None))
        assert curve.losses == alone.losses and curve.suggestion == alone.suggestion


def test_micro_batches_stay_as_they_are() -> None:
    seen: set[int] = set()

    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.add(len(output))
        return nn.functional.cross_entropy(output, targets)

    task = plain_task(loss_fn=loss_fn, accumulate=2).with_(batch_size=8)
    result = searched(task, mode="quick", batch_sizes=[4, 32])
    assert seen == {4, 8} and list(result.curves) == [4, 32]


def result_of(suggestions: dict[int, float], **changes: Any) -> LRByBatchSize:
    steps = [replace(s, batch_size=k) for k, lr in suggestions.items() for s in order_of(lr / 0.6)]
    return LRByBatchSize.from_steps(steps, settings=LRSettings(batch_sizes=tuple(suggestions), **changes))


def test_how_the_suggestion_moves_with_the_batch_size_is_a_power_of_it() -> None:
    assert result_of({4: 0.01, 16: 0.02, 64: 0.04}).exponent == pytest.approx(0.5, abs=0.05)
    assert result_of({4: 0.01, 64: 0.04}).verdict == "η grows as about k^0.5"
    assert result_of({4: 0.04, 64: 0.01}).verdict == "η falls as about k^−0.5"
    level = result_of({4: 0.01, 64: 0.012})
    assert level.verdict == "η hardly moves with k" and not level.does_move
    assert result_of({4: 0.01}).exponent is None


def test_one_batch_size_alone_has_its_answer() -> None:
    result = searched(mlp_task(), batch_sizes=[8])
    assert list(result.curves) == [8] and result.outcome == "finished"
    assert result.verdict == f"Use η = {format_lr(result.suggestions[8])} at k = 8" and not result.reason


def test_a_warning_comes_once() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return zip(*blobs(4000), strict=True)

    with pytest.warns(UserWarning, match="IterableDataset") as caught:
        searched(plain_task(data=DataLoader(Stream(), 16)), curvature=True)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_a_stopped_search_over_batch_sizes_keeps_those_that_are_through() -> None:
    run = search_lr(mlp_task(), LRSettings(batch_sizes=(8, 16, 32)))
    events = begun_with(run, lambda step: step.batch_size == 16)
    result = LRByBatchSize.from_steps(events, settings=LRSettings(batch_sizes=(8, 16, 32)))
    assert result.outcome == "stopped" and result.suggestions[8] is not None and 32 not in result.curves
    assert "Stopped before k = 16, 32." in result.limit and "No clear answer" not in result.limit


def test_the_rate_of_the_tasks_own_batch_size_is_applied() -> None:
    task = mlp_task(64)
    result = result_of({4: 0.01, 64: 0.04})
    result.apply(task)
    assert task.lr == result.suggestions[64]
    with pytest.raises(ValueError, match="the task's batch size is 16"):
        result.apply(mlp_task(16))


def test_a_batch_size_that_does_not_fit_does_not_cost_the_others() -> None:
    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(output) > 32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return nn.functional.cross_entropy(output, targets)

    task = plain_task(loss_fn=loss_fn)
    before = everything(task)
    result = searched(task, batch_sizes=[8, 64, 16])
    assert everything(task) == before
    assert result.ended == {64: "out of memory"} and "k = 64: out of memory." in result.limit
    assert list(result.curves) == [8, 16] and result.outcome == "finished"


def test_any_other_error_is_raised() -> None:
    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        searched(plain_task(loss_fn=loss_fn), batch_sizes=[8, 64])


@pytest.mark.parametrize("sizes", [[0], [2.5], ["8"], [True], "8, 16", 8])
def test_wrong_batch_sizes_are_told(sizes: Any) -> None:
    with pytest.raises(ValueError, match="batch_sizes must be whole numbers"):
        LRSettings(batch_sizes=sizes)


def test_more_samples_than_there_are_is_told_at_once() -> None:
    task = plain_task()
    with pytest.raises(ValueError, match="k = 97 is more than the data have: 96 samples"):
        searched(task, batch_sizes=[8, 97])


def test_time_is_shared_by_all_parts() -> None:
    result = searched(mlp_task(), batch_sizes=[8, 16, 32], max_seconds=1e-4)
    assert result.outcome == "stopped" and len(result.curves) <= 1
    assert re.search(r"Stopped before k = (8, )?16, 32\.", result.limit)


def test_orders_and_batch_sizes_go_together() -> None:
    result = searched(mlp_task(), mode="quick", batch_sizes=[8, 32], repeats=2)
    assert [len(curve.orders) for curve in result.curves.values()] == [2, 2]


# The curvature


@pytest.mark.parametrize("mode", MODES)
def test_the_curvature_is_estimated_where_it_is_asked_for(mode: str) -> None:
    task = hard_task()
    before = everything(task)
    curve = searched(task, mode=mode, curvature=True)
    assert everything(task) == before
    assert curve.curvature.limit_lr > 0 and "overshoots" in curve.theory
    alone = searched(task, mode=mode)
    assert alone.curvature is None and alone.theory == "" and alone.suggestion == curve.suggestion


def test_an_estimate_that_fails_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no such kernel\nmore")

    monkeypatch.setattr(curvature, "ScaledHessian", fails)
    curve = searched(mlp_task(), curvature=True)
    assert curve.suggestion is not None and curve.curvature.limit_lr is None
    assert curve.theory == "No 2/λmax: the estimate raised RuntimeError: no such kernel."


def test_an_estimate_takes_no_longer_than_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbtune.engine.learning_rate import search as lr_search

    limits, clock = [], Clock()

    def noted(task: Task, *, max_seconds: float, is_stopped: Any) -> Curvature:
        limits.append(max_seconds)
        return Curvature(reason="not asked")

    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        clock.now += 0.01
        return nn.functional.cross_entropy(output, targets)

    monkeypatch.setattr(lr_search, "measured", noted)
    for module in (lr_search, race):
        monkeypatch.setattr(module, "time", clock)
    curve = searched(mlp_task().with_(loss_fn=loss_fn), curvature=True)
    assert len(limits) == 1 and 2 < curve.seconds <= limits[0] < curve.seconds + 1


class Clock:
    """What a search takes for the time: it goes on with the steps alone."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


def test_an_estimate_ends_after_the_product_under_way_when_hurried() -> None:
    products = []

    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if run.is_estimating:
            products.append(1)
            run.hurry()
        return nn.functional.cross_entropy(output, targets)

    run = search_lr(plain_task(loss_fn=loss_fn), LRSettings(mode="quick", curvature=True))
    *_, found = list(run)
    run.close()
    assert isinstance(found, Curvature) and found.products == 1 and products


def test_an_estimate_does_not_begin_when_the_time_is_up() -> None:
    assert searched(mlp_task(), curvature=True, max_seconds=1e-3).curvature is None
    assert searched(mlp_task(), curvature=True, max_seconds=60).curvature is not None


def test_a_graph_too_large_for_the_memory_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbtune.engine.curvature import hessian

    task = mlp_task()
    assert curvature.estimate_curvature(task).method == "double backward"
    monkeypatch.setattr(hessian, "free_bytes", lambda device: 1000)
    assert curvature.estimate_curvature(task).method == "central differences"


def test_a_rough_estimate_is_a_bound() -> None:
    known = {"limit_lr": 0.5, "rule": "2/λmax", "meaning": "m"}
    assert "2/λmax ≈ 0.5" in Curvature(relative_error=0.05, **known).sentence
    assert "2/λmax ≤ 0.5" in Curvature(relative_error=0.3, **known).sentence


def test_a_limit_from_differences_says_so() -> None:
    found = Curvature(relative_error=0.01, limit_lr=0.5, rule="2/λmax", meaning="m", method="central differences")
    assert found.sentence == "Theory: 2/λmax ≈ 0.5, by differences of gradients; m."


def test_the_curvature_is_that_of_one_batch_size() -> None:
    with pytest.raises(ValueError, match="leave batch_sizes out"):
        LRSettings(curvature=True, batch_sizes=(8,))
