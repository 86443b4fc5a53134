"""Results of a comparison as plots and widgets see them: three k that learn, and what can go wrong. Made up, seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

from nbtune.engine.comparison.events import LossStep, Run
from nbtune.engine.comparison.result import Comparison
from nbtune.engine.comparison.settings import ComparisonSettings

TRIO = {1: 0.01, 32: 0.32, 512: 0.32}
QUARTET = {1: 0.01, 8: 0.08, 64: 0.3, 512: 0.3}
SAMPLES = 56_000


def steps_of(
    rates: Mapping[int, float] = TRIO,
    *,
    seeds: int = 3,
    samples: int = SAMPLES,
    share: float = 1.0,
    ended: Mapping[int, tuple[float, str]] | None = None,
    shift: float = 0.0,
    held_out: bool = True,
) -> list[LossStep]:
    """The events of made-up runs whose loss falls from 2.3 by a power law, the largest k last.

    Args:
        rates: η by k.
        seeds: Runs of each k.
        samples: The budget of each.
        share: Of the budget, that has been spent.
        ended: k → (share of the budget, why) of the runs that end early; diverging ones rise to NaN before.
        shift: Added to every loss.
        held_out: Whether held-out losses are known.
    """
    chance = random.Random(0)
    steps = []
    for seed in range(seeds):
        for k, lr in rates.items():
            part, why = (ended or {}).get(k, (share, "finished" if share == 1 else ""))
            steps += _run(Run(k, lr, seed), samples, min(part, share), why if part <= share else "", chance)
    return [_changed(step, shift, held_out) for step in steps]


def _changed(step: LossStep, shift: float, held_out: bool) -> LossStep:
    loss = step.loss + shift
    known = held_out and step.point % 2 == 0 and not step.ended.startswith("di")
    values = {name: getattr(step, name) for name in LossStep.__slots__}
    return LossStep(**{**values, "loss": loss, "held_out_loss": 1.5 * abs(loss) if known else None})


def _run(run: Run, samples: int, share: float, why: str, chance: random.Random) -> Iterator[LossStep]:
    k, last = run.batch_size, max(1, int(samples * share) // run.batch_size)
    updates, point, seconds = 0, 0, 0.0
    if share == 0 and why:
        yield LossStep(run=run, samples_seen=0, updates=0, loss=math.nan, seconds=0.0, point=0, ended=why)
    while updates < last and share > 0:
        until = min(last, max(updates + math.ceil(16 / k), math.ceil(1.2 * updates)))
        seconds += (until - updates) * (0.0006 + 0.00001 * k)
        updates = until
        loss = _loss(updates * min(k, 40), why == "diverged", updates / last) * math.exp(chance.gauss(0, 0.15))
        ended = why if updates == last else ""
        yield LossStep(
            run=run, samples_seen=updates * k, updates=updates, loss=loss if ended != "diverged" else math.nan,
            seconds=seconds, point=point, ended=ended,
        )  # fmt: skip
        point += 1


def _loss(samples: float, diverges: bool, share: float) -> float:
    fallen = 2.3 / (1 + (samples / 1500) ** 2)
    return fallen if not diverges or share < 0.3 else 2.3 * math.exp(12 * (share - 0.3))


def comparison_of(rates: Mapping[int, float] = TRIO, *, settings: Mapping[str, Any] = {}, **changes: Any) -> Comparison:
    """What is known after ``steps_of(rates, **changes)``."""
    asked = {"batch_sizes": tuple(rates), "seeds": changes.get("seeds", 3), "budget": changes.get("samples", SAMPLES)}
    return Comparison.from_steps(
        steps_of(rates, **changes), settings=ComparisonSettings(**{**asked, **settings}), dataset_size=1400
    )


def diverged() -> Comparison:
    """k = 1 leaves the frame half-way and ends."""
    return comparison_of(ended={1: (0.5, "diverged")})


def failed() -> Comparison:
    """The largest k does not run at all."""
    return comparison_of(ended={512: (0.0, "Out of memory at k = 512.")})
