"""How good are the suggestions, and do they know it? Regret on tasks whose best rates are known. Prints tables.

    python tests/benchmarks/suggestions.py [FOLDER] [--mode quick] [--repeats N] [--by-task] [--only noisy|quiet]
        [--stopped]

FOLDER is a copy of lr_bench, the team's yardstick: seven small real tasks, and what the peers suggest on them. Beside
them stand the sixteen of held_out.py. Regret is 0 at the best rate and 1 where training did nothing or diverged; the
suggestion is judged at a constant rate, the peak in a one-cycle schedule. Ranges in brackets are 95 % with tasks
resampled. With --stopped each race is also read as if it had been stopped at a quarter, half and three quarters of its
steps: how often there is an answer, its regret, and how often the range holds an η ≤ .05. On the tasks of noisy.py one
batch tells little: there it counts as well what the answer says of its doubt.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import noisy
import numpy as np
import torch
from yardsticks import HORIZONS, SEEDS, Yardstick, bootstrap, yardsticks

from nbtune.engine import LRCurve, Task, find_lr
from nbtune.engine.learning_rate.events import is_training_step
from nbtune.engine.task.order import is_shuffled

STOPPED_AT = 0.25, 0.5, 0.75
"""Parts of the training steps that a race takes."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--mode", choices=("race", "quick"), default="race")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--by-task", action="store_true")
    parser.add_argument("--only", choices=("noisy", "quiet"))
    parser.add_argument("--stopped", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    if arguments.only != "quiet":
        _print_noisy(arguments.mode, seeds, arguments.repeats)
    if arguments.only == "noisy":
        return
    for name, sticks in yardsticks(arguments.folder).items():
        repeats = arguments.repeats
        found = {stick.name: [curve_of(stick, seed, arguments.mode, repeats) for seed in seeds] for stick in sticks}
        print(f"\n{name}, {len(sticks)} tasks × {len(seeds)} seeds, mode {arguments.mode}, repeats {repeats}")
        _print_regrets(sticks, found)
        _print_ranges(sticks, found)
        if arguments.stopped:
            for share in STOPPED_AT:
                _print_stopped(share, sticks, found)
        if arguments.by_task:
            _print_tasks(sticks, found)
        if name == "lr_bench" and arguments.folder:
            _print_peers(sticks, Path(arguments.folder))


def _print_noisy(mode: str, seeds: list[int], repeats: int) -> None:
    """Each answer, then what is wrong with them: counts of answers, one for each seed and task."""
    counts = dict.fromkeys(
        ("all", "sure", "regret ≥ .3, not in doubt", "sure, regret > .1", "ranges", "ranges hold ≤ .05"), 0
    )
    steps = []
    print(
        f"\nnoisy tasks, mode {mode}, repeats {repeats}: η, range, regret after "
        f"{' and '.join(map(str, noisy.HORIZONS))} steps"
    )
    for name, truth in noisy.truths().items():
        best = " / ".join(f"{lr:.2g}" for lr in truth.best_lrs) if truth.has_best else "none"
        print(f"  {name}: best η {best}")
        for seed in seeds:
            curve = curve_of(noisy.TASKS[name], seed, mode, repeats)
            steps.append(curve.updates)
            _count(curve, truth, counts)
            print(f"    {seed}: {_in_doubt(curve, truth)}", flush=True)
    print(f"  {', '.join(f'{title} {count}' for title, count in counts.items())}")
    print(f"  steps: {np.median(steps):.0f} median, {max(steps)} at most")


def _count(curve: LRCurve, truth: noisy.NoisyTruth, counts: dict[str, int]) -> None:
    regret, is_sure = max(truth.regrets(curve.suggestion)), curve.confidence == "sure"
    counts["all"] += 1
    counts["sure"] += is_sure
    counts["regret ≥ .3, not in doubt"] += is_sure and regret >= 0.3
    counts["sure, regret > .1"] += is_sure and regret > 0.1
    if curve.low is not None and curve.high is not None and truth.has_best:
        counts["ranges"] += 1
        # Where no rate is good at both horizons, the best of all may do.
        least = truth.least_within(10.0 ** noisy.LOG_LRS[0], 10.0 ** noisy.LOG_LRS[-1])
        counts["ranges hold ≤ .05"] += truth.least_within(curve.low, curve.high) <= max(0.05, least + 0.01)


def _in_doubt(curve: LRCurve, truth: noisy.NoisyTruth) -> str:
    rate = "none   " if curve.suggestion is None else f"{curve.suggestion:<7.2g}"
    within = "" if curve.low is None or curve.high is None else f"{curve.low:.2g} to {curve.high:.2g}"
    regrets = " ".join(f"{regret:.2f}" for regret in truth.regrets(curve.suggestion))
    return f"{rate} {within:18} {curve.confidence:12} regret {regrets}   {curve.updates} steps"


def curve_of(stick: Any, seed: int, mode: str, repeats: int = 1) -> LRCurve:
    """What is found on one task (or a yardstick's) with one seed, over so many data orders where there are several."""
    task = stick.task if isinstance(stick, Yardstick) else stick
    model = task.model(seed)
    job = Task(model, task.optimizer(model, 1e-3), task.loss_fn, task.loader(seed))
    return find_lr(job, progress=False, mode=mode, repeats=repeats if is_shuffled(job.loader) else 1)


def _regrets(stick: Yardstick, curve: LRCurve) -> tuple[float, float, float]:
    short, constant, _ = stick.regrets(curve.suggestion)
    return short, constant, stick.regrets(curve.peak)[2]


def _told_how_long(stick: Yardstick, curve: LRCurve) -> tuple[float, float, float]:
    """The same for whoever said how long the training will be (``train_steps``)."""
    if curve.suggestion is None:
        return 1.0, 1.0, 1.0
    short, long, cycle = curve.for_steps(200), curve.for_steps(3000), curve.schedule(3000, "one-cycle")
    return (
        stick.regrets(short.suggestion)[0],
        stick.regrets(long.suggestion)[1],
        stick.regrets(cycle.peak)[2],
    )


def _print_regrets(sticks: list[Yardstick], found: dict[str, list[LRCurve]]) -> None:
    table = np.array([[_regrets(stick, curve) for curve in found[stick.name]] for stick in sticks])
    for place, horizon in enumerate(HORIZONS):
        _print_row(horizon, table[:, :, place])
    if all(curve.settings.mode == "race" for row in found.values() for curve in row):
        told = np.array([[_told_how_long(stick, curve) for curve in found[stick.name]] for stick in sticks])
        for place, horizon in enumerate(HORIZONS):
            _print_row(f"told so: {horizon}", told[:, :, place])
    curves = [curve for row in found.values() for curve in row]
    steps = [curve.updates for curve in curves]
    silent, bad = sum(curve.suggestion is None for curve in curves), int((table.max(2) >= 0.5).sum())
    print(f"  no answer {silent}, regret ≥ .5 at any horizon {bad} of {len(curves)}")
    is_sure = np.array([[curve.confidence == "sure" for curve in found[stick.name]] for stick in sticks])
    wrong = int((is_sure & (table.max(2) > 0.1)).sum())
    print(f"  sure {is_sure.sum()}, of these with a regret > .1 at any horizon {wrong}")
    print(f"  steps: {np.median(steps):.0f} median, {max(steps)} at most")


def _print_row(title: str, regrets: Any) -> None:
    low, high = bootstrap([float(mean) for mean in regrets.mean(1)])
    print(f"  {title:34} mean {regrets.mean():.3f} ({low:.3f} to {high:.3f}), worst {regrets.max():.2f}")


def _print_ranges(sticks: list[Yardstick], found: dict[str, list[LRCurve]]) -> None:
    widths, good, best = [], [], []
    for stick in sticks:
        for curve in found[stick.name]:
            if curve.low is None or curve.high is None:
                continue
            lrs = np.geomspace(curve.low, curve.high, 25)
            regrets = np.array([stick.regrets(float(lr)) for lr in lrs])
            widths.append(np.log10(curve.high / curve.low))
            good.append((regrets <= 0.1).mean(0))
            best.append((regrets <= 0.02).any(0))
    shares = " / ".join(f"{share:.0%}" for share in np.mean(good, 0))
    hits = " / ".join(f"{share:.0%}" for share in np.mean(best, 0))
    width = np.median(widths)
    print(f"  range: median width {width:.2f} decades; regret ≤ .1 in {shares} of it; holds ≤ .02 in {hits}")


def _print_stopped(share: float, sticks: list[Yardstick], found: dict[str, list[LRCurve]]) -> None:
    regrets, holds, sure, count = [], [], 0, 0
    for stick in sticks:
        for curve in found[stick.name]:
            part = _stopped_at(share, curve)
            count, sure = count + 1, sure + (part.confidence == "sure")
            if part.suggestion is not None:
                regrets.append(_regrets(stick, part))
            if part.low is not None and part.high is not None:
                least = min(stick.regrets(float(lr))[0] for lr in np.geomspace(part.low, part.high, 25))
                holds.append(least <= 0.05)
    table = np.array(regrets).reshape(-1, len(HORIZONS))
    means = "  ".join(f"{column.mean():.3f}, {column.max():.2f}" for column in table.T) if len(table) else "–"
    print(
        f"  stopped at {share:.0%}: answers {len(regrets)} of {count}, mean and worst at each horizon {means}; "
        f"range {len(holds)} of {count}, holds ≤ .05 after 200 steps in {np.mean(holds):.0%}; sure {sure}"
    )


def _stopped_at(share: float, curve: LRCurve) -> LRCurve:
    """What is known when that part of the training steps is taken."""
    taken = np.cumsum([is_training_step(step) for step in curve.steps])
    count = int(np.searchsorted(taken, share * curve.updates)) + 1
    return LRCurve.from_steps(curve.steps[:count], settings=curve.settings, batch_size=curve.batch_size)


def _print_tasks(sticks: list[Yardstick], found: dict[str, list[LRCurve]]) -> None:
    for stick in sticks:
        means = np.mean([_regrets(stick, curve) for curve in found[stick.name]], 0)
        rates = " ".join(f"{curve.suggestion or 0:.2g}" for curve in found[stick.name])
        print(f"    {stick.name:30} {' '.join(f'{mean:.3f}' for mean in means)}   η {rates}")


def _print_peers(sticks: list[Yardstick], folder: Path) -> None:
    """What lr_bench has on record of other finders, judged alike; their one rate is taken for both uses."""
    by_name = {stick.name: stick for stick in sticks}
    rows: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for path in sorted((folder / "raw").glob("*.json")):
        for row in json.loads(path.read_text()):
            if row["finder"] != "nbtune":
                finder = f"{row['finder']}, {row['method']}"
                regrets = by_name[row["task"]].regrets(row["lr"])
                rows.setdefault(finder, {}).setdefault(row["task"], []).append(regrets)
    print("  peers on record (seeds 100 to 102): mean, worst at each horizon")
    order = sorted(rows.items(), key=lambda item: np.mean([r for task in item[1].values() for r in task]))
    for finder, tasks in order:
        table = np.array(list(tasks.values()))
        cells = "   ".join(f"{table[..., i].mean():.3f}, {table[..., i].max():.2f}" for i in range(3))
        print(f"    {finder[:60]:60} {cells}")


if __name__ == "__main__":
    main()
