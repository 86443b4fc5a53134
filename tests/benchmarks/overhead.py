"""What a whole ``find_lr`` call costs over the bare training loop, headless. Prints a table.

    python tests/benchmarks/overhead.py

Both sides take the same 100 steps on the same batches, one after the other, in turn; the figure is the median of the
rounds' ratios, so that a slow moment of the machine falls on both. The bare loop reads each loss, as a loop that
prints or logs it does.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import torch
from torch import nn

from nbtune.engine import LRSettings, Task, find_lr

QUICK = LRSettings(mode="quick", lr_min=1e-6, lr_max=1e-4, steps=100)  # no divergence: all steps are taken
SETTINGS = {"quick": QUICK, "race": LRSettings()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"{'mode':6} {'steps':>5} {'step':>8} {'bare loop':>10} {'find_lr':>10} {'ratio':>6} {'middle half':>16}")
    for mode, width in product(SETTINGS, (230, 1300)):
        steps, bare, ours = measure(width, SETTINGS[mode], rounds)
        ratios = sorted(o / b for o, b in zip(ours, bare, strict=True))
        print(
            f"{mode:6} {steps:5} {1e3 * statistics.median(bare) / steps:5.2f} ms "
            f"{statistics.median(bare):8.3f} s {statistics.median(ours):8.3f} s "
            f"{statistics.median(ratios):6.3f} {ratios[len(ratios) // 4]:9.3f} to {ratios[-len(ratios) // 4]:.3f}"
        )


def measure(width: int, settings: LRSettings, rounds: int) -> tuple[int, list[float], list[float]]:
    """Steps, and the seconds of each round: the bare loop's over as many steps, find_lr's."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    task = Task(model, optimizer, nn.functional.cross_entropy, data())
    task = task.with_(batch_size=64)

    def both() -> tuple[float, float]:
        model, optimizer = copy.deepcopy((task.model, task.optimizer))
        bare = timed(lambda: bare_loop(model, optimizer, task.loader, steps))
        return bare, timed(lambda: find_lr(task, settings, progress=False))

    steps = find_lr(task, settings, progress=False).updates
    pairs = [both() for _ in range(rounds)]
    return steps, [b for b, _ in pairs], [o for _, o in pairs]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Targets that can be learnt: a race among chances would go on to 100 steps."""
    inputs = torch.randn(6400, 64)
    return inputs, (inputs @ torch.randn(64, 10)).argmax(1)


def bare_loop(model: nn.Module, optimizer: torch.optim.Optimizer, loader: Iterable[Any], steps: int) -> list[float]:
    """What one would write by hand."""
    losses: list[float] = []
    batches = iter(loader)
    for _ in range(steps):
        try:
            inputs, targets = next(batches)
        except StopIteration:
            batches = iter(loader)
            inputs, targets = next(batches)
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
