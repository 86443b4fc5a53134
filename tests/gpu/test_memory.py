"""Predicted memory against a card's own figures; see test_gpu.py for how to run it."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", reason="the usual models come from transformers")
from allocator_truth import check_allocator, recorded
from cases import CASES, built, cleared, grad_scaler, plain, step
from zoo import stacked, task_of_case

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, estimate_memory
from nbtune.engine.memory.cards import CONTEXT_BYTES, GIB
from nbtune.engine.memory.cards import HOPPER_CONTEXT_BYTES as HOPPER

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")

MIB = 2**20


def task_of(case: dict[str, Any]) -> Task:
    model, optimizer, sample = built(case)
    amp = getattr(torch, case["amp"]) if "amp" in case else None
    loss_fn = None if isinstance(sample, dict) else torch.nn.functional.cross_entropy
    return Task(model, optimizer, loss_fn, [stacked(sample, 2)], amp=amp)


def name_of(case: dict[str, Any]) -> str:
    words = [case["model"], case.get("size"), case.get("amp", "float32"), case.get("optimizer", "AdamW")]
    return " ".join(str(w) for w in [*words, "checkpointing" if case.get("checkpointing") else None] if w)


@cache
def estimate_of(index: int) -> MemoryEstimate:
    """Traced once for all tests, which is the slow part; of a model on the host, since an estimate keeps its model."""
    return estimate_memory(task_of_case(CASES[index]), "H100 80")


def test_the_allocator_model_reserves_what_the_card_does_at_every_event(table: Callable[..., None]) -> None:
    differing = 0
    for index in (2, 5, 8, 11, 14, 18, 21, 24):
        case = CASES[index]

        def run(case: dict[str, Any] = case) -> None:
            model, optimizer, sample = built(case)
            for _ in range(2):
                step(model, optimizer, grad_scaler(case), stacked(sample, case["ks"][1]), case.get("amp"))

        cleared()
        check = check_allocator(recorded(run))
        differing += check.differing
        table(f"allocator, {name_of(case)}: events, differing, by MiB",
              [check.events, check.differing, round(check.largest_difference_bytes / MIB, 1)])  # fmt: skip
    assert differing == 0


def test_estimates_meet_the_measured_peak_reserved_memory(table: Callable[..., None]) -> None:
    errors, with_margin = [], []
    for index, case in enumerate(CASES):
        cleared()
        estimate = estimate_of(index)
        sizes = (case["ks"][1], case["ks"][-1])
        predicted = {k: estimate.peak_bytes(k) - estimate.context_bytes for k in sizes}
        margin = estimate.margin
        row = []
        for k in sizes:
            reserved, allocated = plain(case, k)["peaks"][-1]
            error = predicted[k] / reserved - 1
            errors.append(100 * error)
            with_margin.append(100 * (predicted[k] * (1 + margin) / reserved - 1))
            row.append([k, predicted[k] // MIB, reserved // MIB, allocated // MIB, round(100 * error, 1)])
        table(f"estimate, {name_of(case)}: k, predicted, reserved, allocated MiB, error %", row)
    apart = sorted(abs(error) for error in errors)
    table("estimates: cases, median and p95 of |error| %, least and most %", [
        len(errors), round(statistics.median(apart), 2), round(apart[int(0.95 * len(apart))], 1),
        round(min(errors), 1), round(max(errors), 1),
    ])  # fmt: skip
    table("with the margin: most under %", round(min(with_margin), 1))
    assert statistics.median(apart) <= 3 and apart[int(0.95 * len(apart))] <= 12 and min(with_margin) > -10


def test_what_is_beside_the_allocator_is_about_what_is_assumed(table: Callable[..., None]) -> None:
    free, total = torch.cuda.mem_get_info()
    beside = total - free - torch.cuda.memory_reserved()
    table("context and kernels beside PyTorch's segments, MiB (assumed, found)", [HOPPER // MIB, beside // MIB])
    assert 0.5 < beside / HOPPER < 1.5


@pytest.mark.parametrize("gigabytes", [8, 16, 24, 40])
def test_the_largest_size_is_that_of_an_exhaustive_search(table: Callable[..., None], gigabytes: int) -> None:
    equal, total, oom = 0, torch.cuda.mem_get_info()[1], 0
    chosen = (1, 5, 8, 9, 14, 16, 18, 21, 24)
    for index in chosen:
        cleared()
        case, found = CASES[index], estimate_of(index).with_capacity(f"{gigabytes} GB").largest_batch_size()
        torch.cuda.set_per_process_memory_fraction((gigabytes * GIB - CONTEXT_BYTES) / total)
        try:
            fits, larger_fits = runs(case, found), runs(case, 2 * found)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        equal, oom = equal + (fits and not larger_fits), oom + (not fits)
        table(f"{gigabytes} GB, {name_of(case)}: k, it fits, 2k fits", [found, fits, larger_fits])
    table(f"{gigabytes} GB: largest power of two equal to the true one, of, too large", [equal, len(chosen), oom])
    assert oom == 0 and equal >= len(chosen) - 3


def runs(case: dict[str, Any], k: int) -> bool:
    """Whether two steps at k need no retry of the allocator."""
    before = torch.cuda.memory_stats().get("num_alloc_retries", 0)
    try:
        plain({**case, "steps": 2}, k)
        return torch.cuda.memory_stats()["num_alloc_retries"] == before
    except torch.OutOfMemoryError:
        return False


def test_a_prediction_leaves_the_card_and_the_model_alone(table: Callable[..., None]) -> None:
    case = CASES[5]
    task = task_of(case)
    before = copy.deepcopy(task.model.state_dict())
    torch.cuda.reset_peak_memory_stats()
    allocated = torch.cuda.memory_allocated()
    estimate_memory(task, "8 GB").peak_bytes(64)
    grown = torch.cuda.max_memory_allocated() - allocated
    table("bytes a prediction took on the card", grown)
    after = task.model.state_dict()
    assert grown == 0 and all(torch.equal(before[name], after[name]) for name in before)
