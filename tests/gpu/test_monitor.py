"""What the JupyterLab extension's monitor says of a real card, and that looking costs nothing and touches nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from nbtune.jobs import Board
from nbtune.monitor import Monitor

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


def cards(status: dict[str, Any]) -> list[dict[str, Any]]:
    return [device for device in status["devices"] if device["place"] == "gpu"]


def test_a_card_in_use_is_described_by_what_the_driver_and_torch_say(table: Callable[..., None]) -> None:
    held = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    (card,) = cards(Monitor(print, board=Board()).status())
    free, total = torch.cuda.mem_get_info()
    assert card["name"] == f"cuda:{held.device.index}" and card["limit_bytes"] == total
    assert 2**30 <= card["now_bytes"] <= card["peak_bytes"]
    assert abs(total - card["now_bytes"] - card["others_bytes"] - free) < 2**26
    table("monitor: this kernel, others, MiB", f"{card['now_bytes'] >> 20}, {card['others_bytes'] >> 20}")
    del held


def test_a_peak_that_a_tool_has_reset_is_still_told() -> None:
    monitor = Monitor(print, board=Board())
    held = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    (before,) = cards(monitor.status())
    del held
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    kept = torch.empty(2**20, dtype=torch.uint8, device="cuda")
    (after,) = cards(monitor.status())
    assert after["peak_bytes"] == before["peak_bytes"] and kept.numel()


def test_looking_at_the_card_costs_little_and_does_not_slow_the_steps(table: Callable[..., None]) -> None:
    weight = torch.randn(1024, 1024, device="cuda")

    def seconds() -> float:
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(2000):
            weight @ weight
        torch.cuda.synchronize()
        return time.perf_counter() - began

    monitor = Monitor(lambda status: None, board=Board(), is_busy=lambda: True)
    seconds()
    alone = min(seconds() for _ in range(5))
    began = time.thread_time()
    for _ in range(100):
        monitor.status()
    share = (time.thread_time() - began) / 100
    monitor.watch("test", 0.2)
    watched = min(seconds() for _ in range(5))
    monitor.close()
    table("monitor: share of a core at one sample a second", f"{share:.2%}")
    table("monitor: steps watched five times a second over steps alone", f"{watched / alone:.3f}")
    assert share < 0.05 and threading.active_count() < 50
