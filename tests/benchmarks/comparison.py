"""What a comparison of batch sizes costs over the bare training loops. Prints a table.

    python tests/benchmarks/comparison.py            # headless
    python tests/benchmarks/comparison.py --live     # also with the widget in a real JupyterLab; needs Chromium

- One epoch of digits at k = 1 (1,400 updates), a whole call over a loop written by hand.
- Eight interleaved runs (4 k × 2 seeds; equal updates), at steps below 1 ms and above 5 ms: the whole call, then the
  widget with its plot on screen, over eight bare loops one after the other.

Both sides take the same steps on the same batches in turn; each figure is the median of the rounds' ratios, with their
middle half, so that a slow moment of the machine falls on both. The bare loop reads each loss, as a loop that prints or
logs it does.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

from nbtune.engine import Task
from nbtune.engine.comparison.compare import compare_batch_sizes
from nbtune.engine.task.order import reordered

CE = nn.functional.cross_entropy
SIZES = (1, 8, 16, 32)
SEEDS = 2
UPDATES = {"short": 1500, "long": 150}
Pair = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--live", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report("one epoch of digits, k = 1", 1400, epoch_pairs(arguments.rounds))
    for name, updates in UPDATES.items():
        count = len(SIZES) * SEEDS * updates
        report(f"8 runs, {name} steps, headless", count, [headless(wide_task(name), updates) for _ in range(5)])
    if arguments.live:
        for name, updates in UPDATES.items():
            report(f"8 runs, {name} steps, live plot", len(SIZES) * SEEDS * updates, live(name))


def report(name: str, steps: int, pairs: list[Pair]) -> None:
    ratios = sorted(ours / bare for bare, ours in pairs)
    bare = statistics.median(bare for bare, _ in pairs)
    print(
        f"{name:32} {1e3 * bare / steps:6.2f} ms a step, bare {bare:6.2f} s, ratio {statistics.median(ratios):.3f} "
        f"({ratios[len(ratios) // 4]:.3f} to {ratios[-1 - len(ratios) // 4]:.3f})",
        flush=True,
    )


def digits_task() -> Task:
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32)[:1400, None] / 16, torch.tensor(digits.target)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    return Task(model, torch.optim.SGD(model.parameters(), 0.01), CE, (images, labels[:1400]))


def wide_task(name: str) -> Task:
    """Steps below 1 ms ("short") or above 5 ms ("long") at every k of ``SIZES``."""
    width = {"short": 100, "long": 1800}[name]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    data = (torch.randn(3200, 64), torch.randint(0, 10, (3200,)))
    return Task(model, torch.optim.SGD(model.parameters(), 1e-3), CE, data)


def epoch_pairs(rounds: int) -> list[Pair]:
    task = digits_task()

    def both() -> Pair:
        bare = timed(lambda: bare_loop(task, 1, 0, 1400))
        return bare, timed(lambda: compare_batch_sizes(task, [1], budget="1400 updates", progress=False))

    both()
    return [both() for _ in range(rounds)]


def headless(task: Task, updates: int) -> Pair:
    budget = f"{updates} updates"
    bare = bare_seconds(task, updates)
    return bare, timed(lambda: compare_batch_sizes(task, SIZES, seeds=SEEDS, budget=budget, progress=False))


def bare_seconds(task: Task, updates: int) -> float:
    return timed(lambda: [bare_loop(task, k, seed, updates) for k in SIZES for seed in range(SEEDS)])


def bare_loop(task: Task, batch_size: int, seed: int, updates: int) -> list[float]:
    """What one would write by hand."""
    model, optimizer = copy.deepcopy((task.model, task.optimizer))
    loader = reordered(task.loader, batch_size, seed)
    losses: list[float] = []
    while True:
        for inputs, targets in loader:
            loss = CE(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == updates:
                return losses


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


SETUP = """
import asyncio, json, sys, time, torch
sys.path.insert(0, {folder!r})
from comparison import SEEDS, SIZES, UPDATES, bare_seconds, wide_task
import nbtune as nt
torch.set_num_threads(1)
task, updates = wide_task({name!r}), UPDATES[{name!r}]
widget = nt.BatchComparison(task, SIZES, seeds=SEEDS, budget=f"{{updates}} updates")
widget
"""
ROUND = """
bare, begun = bare_seconds(task, updates), time.perf_counter()
widget.start()
while widget.state != "done":  # the picture for the saved notebook comes after it, once
    await asyncio.sleep(0.02)
ours = time.perf_counter() - begun
await widget
print(json.dumps([bare, ours]))
"""


def live(name: str) -> list[Pair]:
    """The same with the widget on screen, both sides in the notebook's kernel."""
    import json
    import shutil
    import sys

    from playwright.sync_api import sync_playwright

    here = Path(__file__).parent
    sys.path[:0] = [str(here.parent / "browser"), str(here.parent)]
    from conftest import ARGUMENTS, BROWSERS, Notebook, Server

    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser: Any = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        server = Server("lab", Path(folder))
        try:
            notebook = Notebook(browser.new_page(viewport={"width": 1000, "height": 1200}), server)
            notebook.page.set_default_timeout(120_000)
            server.write("live.ipynb", SETUP.format(folder=str(here), name=name), ROUND)
            notebook.open("live.ipynb")
            notebook.run(0)
            notebook.wait("() => document.querySelector('[data-sequence]') !== null")
            pairs = []
            for _ in range(4):
                notebook.run(1, wait=False)
                notebook.page.wait_for_timeout(500)
                notebook.page.wait_for_function(IDLE, timeout=120_000)
                pairs.append(tuple(json.loads(notebook.output(1))))
            return pairs[1:]  # the first one warms up
        finally:
            server.close()
            browser.close()


IDLE = """() => {
    const widget = window.jupyterapp?.shell.currentWidget;
    return (widget?.sessionContext ?? widget?.content?.sessionContext)?.session?.kernel?.status === "idle";
}"""

if __name__ == "__main__":
    main()
