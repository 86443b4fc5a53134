"""A run trains in a training loop's modes, whatever its caller is in, and leaves the caller's as they were."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from tasks import everything, plain_task
from torch import nn

from nbtune import compare_batch_sizes, estimate_curvature, find_batch_size, find_lr
from nbtune.engine import LRSettings, Task, sweep_lr
from nbtune.engine.torch_modes import AUTOCAST_LEFT_OUT

TOOLS: dict[str, Callable[[Task], Any]] = {
    "race": lambda task: find_lr(task, rates=4, progress=False).losses,
    "quick": lambda task: find_lr(task, mode="quick", steps=20, progress=False).losses,
    "probe": lambda task: find_batch_size(task, max_batch_size=2, measure_seconds=0.1, progress=False).largest,
    "comparison": lambda task: compare_batch_sizes(task, [8], budget="32 samples", progress=False).curves[0].losses,
    "curvature": lambda task: estimate_curvature(task, products=3).largest_eigenvalue,
}  # fmt: skip

SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast twice": lambda: Twice(),
    "inference mode": lambda: torch.inference_mode(),
    "no gradients": lambda: torch.no_grad(),
    "anomaly mode": lambda: torch.autograd.detect_anomaly(check_nan=False),
}  # fmt: skip


class Twice:
    """Autocast inside autocast, with weights in its cache."""

    def __enter__(self) -> None:
        self.outer, self.inner = torch.autocast("cpu", dtype=torch.bfloat16), torch.autocast("cpu", dtype=torch.float16)
        self.outer.__enter__()
        self.inner.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.inner.__exit__(*error)
        self.outer.__exit__(*error)


def modes() -> list[Any]:
    depth = torch.autocast_increment_nesting() - 1
    torch.autocast_decrement_nesting()
    return [
        depth, torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(), torch.get_default_device(), torch.get_default_dtype(),
        torch.is_anomaly_enabled(), torch._C._len_torch_function_stack(),
    ]  # fmt: skip


@pytest.mark.parametrize("surrounding", SURROUNDINGS)
@pytest.mark.parametrize("tool", TOOLS)
def test_the_answer_does_not_depend_on_the_callers_modes_and_these_stay(tool: str, surrounding: str) -> None:
    task = plain_task()
    expected, before = TOOLS[tool](task), everything(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with SURROUNDINGS[surrounding]():
            around = modes()
            assert TOOLS[tool](task) == pytest.approx(expected, rel=1e-6)
            assert modes() == around
    assert everything(task) == before


def test_a_surrounding_autocast_is_said_to_be_left_out() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.warns(UserWarning, match="left out: give the task amp="):
        find_lr(plain_task(), mode="quick", steps=10, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_lr(plain_task(), mode="quick", steps=10, progress=False)
        with torch.autocast("cpu", enabled=False):
            find_lr(plain_task(), mode="quick", steps=10, progress=False)
    assert AUTOCAST_LEFT_OUT


def test_a_step_with_an_autocast_of_its_own_casts_the_weights_anew_inside_another_one() -> None:
    task = plain_task(amp=torch.bfloat16)
    expected = TOOLS["quick"](task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert TOOLS["quick"](task) == expected


def test_the_default_dtype_and_device_are_those_of_the_moment_when_the_run_was_made() -> None:
    seen = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((torch.get_default_dtype(), torch.get_default_device().type))
        return nn.functional.cross_entropy(output, target)

    run = sweep_lr(plain_task(loss_fn=loss_fn), LRSettings(mode="quick", steps=10))
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            next(run)
            assert torch.get_default_dtype() == torch.float64 and torch.get_default_device().type == "meta"
            run.close()
    finally:
        torch.set_default_dtype(before)
    assert set(seen) == {(torch.float32, "cpu")}


def test_modes_that_a_broken_off_step_has_not_left_are_left() -> None:
    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        torch.device("meta").__enter__()
        raise KeyboardInterrupt

    before = modes()
    with pytest.raises(KeyboardInterrupt):
        find_lr(plain_task(loss_fn=loss_fn), mode="quick", steps=10, progress=False)
    assert modes() == before
