"""How many trials and errors each search strategy needs: 11 models × 8 capacities; prints a table.

    python tests/benchmarks/strategies.py

No GPU is needed: the card is played, and what a batch size really takes on it is the prediction times a hidden error of
−10 to +15 %, drawn anew for each of the 88 cases. A size that takes more than the capacity is an out-of-memory error.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).parents[1]))

from zoo import ZOO, optimizer_of

from nbtune.engine import Task
from nbtune.engine.batch_size.strategies import (
    PlayedCard,
    Search,
    doubling,
    estimating,
    halving,
    powers_of_two,
    tried,
)
from nbtune.engine.memory.estimate import estimate_memory

MODELS = [name for name in ZOO if name != "lstm"]
CAPACITIES = (4, 6, 8, 11, 16, 24, 40, 80)
LARGEST = 512
ERRORS = (-0.10, 0.15)


@dataclass
class Tally:
    """What one strategy did in all cases."""

    trials: list[int]
    errors: list[int]
    unfit: int = 0
    best: int = 0


class One(Dataset[Any]):
    """A data set of one sample."""

    def __init__(self, sample: Any) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return self.sample


def main() -> None:
    torch.set_num_threads(1)
    draw = random.Random(0)
    tallies = {name: Tally([], []) for name in ("estimate", "halve", "double")}
    cases = 0
    for name in MODELS:
        estimate = estimate_of(name)
        for capacity in CAPACITIES:
            cases += 1
            error = 1 + draw.uniform(*ERRORS)
            for strategy, tally in tallies.items():
                count(tally, strategy, estimate.with_capacity(capacity * 2**30), error)
    print(f"{cases} cases; k up to {LARGEST}; hidden errors {ERRORS[0]:+.0%} to {ERRORS[1]:+.0%}")
    print(f"{'strategy':10} {'trials mean/max':>16} {'errors mean/max':>16} {'does not fit':>13} {'best power':>11}")
    for strategy, tally in tallies.items():
        trials = f"{statistics.mean(tally.trials):.2f}/{max(tally.trials)}"
        errors = f"{statistics.mean(tally.errors):.2f}/{max(tally.errors)}"
        print(f"{strategy:10} {trials:>16} {errors:>16} {tally.unfit:13} {tally.best:11}")


def estimate_of(name: str) -> Any:
    """The prediction for a model of the zoo under AdamW."""
    model, sample = ZOO[name]()
    loss_fn = None if isinstance(sample, dict) else torch.nn.functional.cross_entropy
    return estimate_memory(Task(model, optimizer_of("AdamW", model), loss_fn, One(sample)), CAPACITIES[0] * 2**30)


def count(tally: Tally, strategy: str, estimate: Any, error: float) -> None:
    """Let a strategy search on a card whose truth is the prediction times ``error``."""
    capacity = estimate.capacity_bytes

    def true_peak(k: int) -> int:
        return int(estimate.peak_bytes(k) * error)

    card = PlayedCard(lambda k: true_peak(k) <= capacity, true_peak)
    search: dict[str, Callable[[], Search]] = {
        "estimate": lambda: estimating(estimate, LARGEST),
        "halve": lambda: halving(LARGEST),
        "double": lambda: doubling(LARGEST),
    }
    run, attempts, answer = tried(search[strategy](), card), [], 0
    while True:
        try:
            attempts.append(next(run)[1])
        except StopIteration as end:
            answer = end.value
            break
    tally.trials.append(len(attempts))
    tally.errors.append(sum(attempt.is_error for attempt in attempts))
    tally.unfit += answer > 0 and true_peak(answer) > capacity
    tally.best += answer == max((k for k in powers_of_two(LARGEST) if true_peak(k) <= capacity), default=0)


if __name__ == "__main__":
    main()
