"""Numbers that are none, or that no run would end with, are refused by every setting, at once and in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tasks import adversaries, blobs, plain_task

import nbtune as nt
from nbtune.engine.checks import MOST_VALUES, SHOWN, each, shown


def kind(value: Any) -> str:
    return type(value).__name__


NO_WHOLE_NUMBERS = [True, False, 0, -1, 1.5, math.nan, math.inf, "3", b"3", None, [3], torch.tensor(3), 10**30]
NO_NUMBERS = [True, math.nan, math.inf, -math.inf, "1e-3", b"1", [0.1], 1j, torch.tensor(0.1)]

WHOLE: dict[str, Callable[[Any], Any]] = {
    "rates": lambda value: nt.LRSettings(rates=value),
    "steps": lambda value: nt.LRSettings(steps=value),
    "updates_per_step": lambda value: nt.LRSettings(updates_per_step=value),
    "validation_batches": lambda value: nt.LRSettings(validation_batches=value),
    "repeats": lambda value: nt.LRSettings(repeats=value),
    "batch_sizes of a search": lambda value: nt.LRSettings(batch_sizes=[value]),
    "max_batch_size": lambda value: nt.BatchSettings(max_batch_size=value),
    "image_size": lambda value: nt.BatchSettings(image_size=value),
    "target_batch_size": lambda value: nt.BatchSettings(target_batch_size=value),
    "batch_sizes of a comparison": lambda value: nt.ComparisonSettings(batch_sizes=[value]),
    "seeds": lambda value: nt.ComparisonSettings(seeds=value),
    "a descent's batch_size": lambda value: nt.DescentSettings(batch_size=value),
    "a descent's steps": lambda value: nt.DescentSettings(steps=value),
    "accumulate": lambda value: plain_task(accumulate=value),
    "with_(batch_size)": lambda value: plain_task().with_(batch_size=value),
    "products": lambda value: nt.estimate_curvature(plain_task(), products=value),
    "batches": lambda value: nt.estimate_curvature(plain_task(), batches=value),
}
NONE_IS_MEANT = {"updates_per_step", "image_size", "target_batch_size", "with_(batch_size)"}

NUMBERS: dict[str, Callable[[Any], Any]] = {
    "lr_min": lambda value: nt.LRSettings(lr_min=value),
    "lr_max": lambda value: nt.LRSettings(lr_max=value),
    "measure_seconds": lambda value: nt.BatchSettings(measure_seconds=value),
    "target_loss": lambda value: nt.ComparisonSettings(target_loss=value),
    "lr by k": lambda value: nt.ComparisonSettings(lr={8: value}),
    "a descent's lr": lambda value: nt.DescentSettings(lr=value),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in WHOLE for value in NO_WHOLE_NUMBERS if value is not None or name not in NONE_IS_MEANT],
)
def test_what_is_no_whole_number_in_reach_is_refused(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"whole number|at most|must divide"):
        WHOLE[name](value)


@pytest.mark.parametrize("name", WHOLE)
def test_numpys_whole_numbers_are_taken(name: str) -> None:
    WHOLE[name](np.int64(16))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_finite_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"must be"):
        NUMBERS[name](value)


@pytest.mark.parametrize("value", [True, 0, -1, math.nan, "1"])
def test_a_limit_of_time_is_a_number_above_zero(value: Any) -> None:
    with pytest.raises(ValueError, match="max_seconds must be above 0"):
        nt.LRSettings(max_seconds=value)


@pytest.mark.parametrize("value", [True, -1, math.nan, math.inf, "1"])
def test_an_estimate_of_the_curvature_takes_no_time_at_the_least(value: Any) -> None:
    with pytest.raises(ValueError, match="max_seconds must be a number from 0 up"):
        nt.estimate_curvature(plain_task(), max_seconds=value)


@pytest.mark.parametrize("value", [True, math.inf, math.nan, 0, -1.0, "0.1", None])
def test_a_rate_that_is_none_is_not_set(value: Any) -> None:
    task = plain_task()
    before = task.lr
    with pytest.raises(ValueError, match="lr must be"):
        task.set_lr(value)
    assert task.lr == before


@pytest.mark.parametrize("sizes", [b"1", bytearray(b"12"), "12", 3, None])
def test_text_and_bytes_are_no_batch_sizes_of_a_search(sizes: Any) -> None:
    with pytest.raises(ValueError, match="batch_sizes must be whole numbers"):
        nt.LRSettings(batch_sizes=sizes)


@pytest.mark.parametrize("sizes", [b"1", bytearray(b"12"), 1.5])
def test_bytes_are_no_batch_sizes_of_a_comparison(sizes: Any) -> None:
    with pytest.raises(TypeError, match="batch_sizes must be whole numbers"):
        nt.ComparisonSettings(batch_sizes=sizes)


@pytest.mark.parametrize("budget", ["0.2 samples", "1.5 updates", "0.5 updates", 10**30, "1e30 samples"])
def test_a_budget_is_of_whole_samples_and_updates(budget: Any) -> None:
    with pytest.raises(ValueError, match="budget must be a whole number of"):
        nt.ComparisonSettings(budget=budget)
    assert nt.ComparisonSettings(budget="0.5 epochs").budget == "0.5 epochs"


@pytest.mark.parametrize("value", NO_WHOLE_NUMBERS, ids=repr)
def test_an_estimate_answers_for_no_other_batch_size_than_asked(value: Any) -> None:
    estimate = nt.estimate_memory(plain_task(data=blobs()), "8 GB")
    for ask in (estimate.peak_bytes, estimate.breakdown, estimate.parts, estimate.layers, estimate.fits):
        with pytest.raises(ValueError, match="batch size must be"):
            ask(value)
    assert estimate.breakdown(np.int64(3)) == estimate.breakdown(3)


# What is given may have no text, no truth and no end


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [list(range(10**6)), "x" * 10**6, 10**5000, deep(), Unspeakable(), torch.zeros(10**4), {1: deep()}],
    ids=kind,
)
def test_an_error_tells_a_value_in_a_few_words_whatever_it_is(value: Any) -> None:
    assert 0 < len(shown(value)) <= SHOWN
    for wrong, name in (
        (nt.LRSettings, "mode"), (nt.BatchSettings, "amp"), (nt.ComparisonSettings, "lr"), (nt.DescentSettings, "lr"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match="must be") as raised:
            wrong(**{name: value})
        assert len(str(raised.value)) < 3 * SHOWN


@pytest.mark.parametrize("value", [torch.zeros(2), np.zeros(2), Unspeakable(), [1], {}, 1, 0, "yes"], ids=kind)
def test_a_switch_is_on_or_off(value: Any) -> None:
    for call in (
        lambda: nt.LRSettings(curvature=value),
        lambda: nt.BatchSettings(checkpointing=value),
        lambda: nt.find_lr(plain_task(), progress=value),
    ):
        with pytest.raises(ValueError, match=r"(curvature|checkpointing|progress) must be True"):
            call()


def test_values_without_an_end_are_not_waited_for() -> None:
    for call in (nt.LRSettings, nt.ComparisonSettings):
        with pytest.raises(ValueError, match="batch_sizes must be at most"):
            call(batch_sizes=itertools.count(1))
    assert len(list(each("values", range(MOST_VALUES)))) == MOST_VALUES


@pytest.mark.parametrize("value", [0, "", [], {}, 3, nt.BatchSettings, nt.DescentSettings(), Unspeakable()], ids=kind)
@pytest.mark.parametrize(
    "call", [nt.find_lr, nt.find_batch_size, nt.LRFinder, nt.BatchProber], ids=lambda c: c.__name__
)
def test_settings_of_another_kind_are_refused_also_empty_ones(call: Callable[..., Any], value: Any) -> None:
    with pytest.raises(TypeError, match=r"settings must be an nbtune\.(LR|Batch)Settings or None"):
        call(plain_task(), value)


@pytest.mark.parametrize("call", [nt.find_lr, nt.compare_batch_sizes, nt.BatchComparison, nt.DescentExplorer])
def test_an_unknown_setting_is_told_with_those_there_are(call: Callable[..., Any]) -> None:
    task = [] if call is nt.DescentExplorer else [plain_task()]
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'lr_mox': the settings are .*seed|optimizer"):
        call(*task, lr_mox=1)


def test_an_optimizer_is_set_by_a_name_that_the_task_has() -> None:
    with pytest.raises(ValueError, match=r'optimizer must be "made", "judge" or None'):
        adversaries().set_lr(0.1, optimizer="critic")


def test_events_hold_plain_numbers_and_results_are_made_of_events_alone() -> None:
    step = nt.DescentStep(index=np.int64(0), w1=np.float32(0.5), w2=math.nan, loss=math.inf)
    assert type(step.index) is int and type(step.w1) is float
    for name, value in (("index", -1), ("index", 0.5), ("w1", "1"), ("loss", None), ("index", 10**30)):
        with pytest.raises((TypeError, ValueError), match=name):
            nt.DescentStep(**{"index": 0, "w1": 0.0, "w2": 0.0, "loss": 0.0, name: value})
    for make in (nt.LRCurve.from_steps, nt.Comparison.from_steps, nt.BatchLimit.from_trials, nt.DescentPath.from_steps):
        for wrong in ([1], ["step"], 3, None, [None]):
            with pytest.raises(TypeError, match=r"(steps|trials) must be an iterable of"):
                make(wrong)
