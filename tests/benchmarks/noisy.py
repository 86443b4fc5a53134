"""Training tasks on which one batch tells little, and what is true of them. Prints nothing unless asked.

    python tests/benchmarks/noisy.py [--tasks NAME …]

trains them at constant rates (four in a decade, three seeds), and writes the loss over all training samples in
evaluation mode after 200 and 1,000 steps to results/noisy_truth.json: some minutes on one core. Each end is the mean of
five evaluations over the last tenth, since single ones are noise too. A rule may be judged on these tasks; it may not
be tuned to them.
"""

from __future__ import annotations

import argparse
import copy
import functools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from held_out import HeldOutTask, dense, digits, friedman, images, of, sgd, small_cnn
from torch import nn
from torch.nn import functional

TRUTH = Path(__file__).parent / "results" / "noisy_truth.json"
HORIZONS, SEEDS, LOG_LRS = (200, 1000), (0, 1, 2), np.arange(-5, 1.01, 0.25)
EVALUATIONS = 5

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class NoisyTask(HeldOutTask):
    """A ``HeldOutTask`` of which the loss over all its samples is known; ``has_best``: whether training lowers it."""

    has_best: bool = True

    def ends(self, lrs: Sequence[float], seed: int) -> np.ndarray:
        """The loss over all training samples in evaluation mode at each horizon, shape (horizons, rates)."""
        bundle, found, part = Bundle(self, lrs, seed), [], []
        for step, (inputs, targets) in enumerate(self.batches(seed), 1):
            bundle.step(inputs, targets)
            horizon = HORIZONS[len(found)]
            if step > 0.9 * horizon and step % (horizon // 10 // EVALUATIONS) == 0:
                part.append(bundle.losses(*self.data()))
            if step == horizon:
                found.append(np.mean(part, 0))
                part = []
            if len(found) == len(HORIZONS):
                break
        return np.array(found)


class Bundle:
    """Copies of one model that train side by side, each at a rate of its own, on the same batches: one call for all.

    The optimizer steps at a rate of 1, and each copy goes its rate's part of that way; so it has to be one whose steps
    are in proportion to the rate, element by element.
    """

    def __init__(self, task: HeldOutTask, lrs: Sequence[float], seed: int) -> None:
        self.model, self._task, count = task.model(seed), task, len(lrs)
        stacked = [{n: t.detach().expand(count, *t.shape).clone() for n, t in named} for named in (
            self.model.named_parameters(), self.model.named_buffers())]  # fmt: skip
        self.params, self.buffers = stacked
        for param in self.params.values():
            param.requires_grad_()
        self._optimizer = task.make_optimizer(list(self.params.values()), 1.0)
        self._lrs = torch.tensor(lrs)
        self._losses_of = torch.vmap(self._loss, in_dims=(0, 0, None, None), randomness="same")
        torch.manual_seed(9000 + seed)

    def step(self, inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
        """One update of each; its loss before, shape (rates,)."""
        self.model.train()
        losses = self._losses_of(self.params, self.buffers, inputs, targets)
        self._optimizer.zero_grad()
        losses.sum().backward()
        before = [param.detach().clone() for param in self.params.values()]
        self._optimizer.step()
        with torch.no_grad():
            for param, was in zip(self.params.values(), before, strict=True):
                param.sub_(was).mul_(self._lrs.view(-1, *[1] * (was.dim() - 1))).add_(was)
        return losses.detach().double().numpy()

    def losses(self, inputs: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
        """In evaluation mode, shape (rates,)."""
        self.model.eval()
        with torch.no_grad():
            return self._losses_of(self.params, self.buffers, inputs, targets).double().numpy()

    def _loss(self, params: Any, buffers: Any, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._task.loss_fn(torch.func.functional_call(self.model, (params, buffers), (inputs,)), targets)


class NoisyTruth:
    """Regret of a rate at each of ``HORIZONS``; where nothing lowers the loss, 0 for None and 1 for any rate."""

    def __init__(self, record: dict[str, Any], has_best: bool) -> None:
        start = float(np.mean(record["start"]))
        ends = np.array([[[math.inf if e is None else e for e in row] for row in rows] for rows in record["ends"]])
        means = np.minimum(ends, start).mean(0)
        best = means.min(1, keepdims=True)
        self.has_best = has_best
        self._regrets = np.clip((means - best) / np.maximum(start - best, 1e-12), 0, 1)

    @property
    def best_lrs(self) -> tuple[float, ...]:
        return tuple(float(10 ** LOG_LRS[place]) for place in self._regrets.argmin(1))

    def regrets(self, lr: float | None) -> tuple[float, ...]:
        """Of a rate, from 0 to 1; 1 for None."""
        if not self.has_best:
            return (0.0 if lr is None else 1.0,) * len(HORIZONS)
        if lr is None or not lr > 0:
            return (1.0,) * len(HORIZONS)
        return tuple(float(np.interp(math.log10(lr), LOG_LRS, row)) for row in self._regrets)

    def least_within(self, low: float, high: float) -> float:
        """The lowest regret of a rate of the range, at the horizon at which it has more."""
        return min(max(self.regrets(float(lr))) for lr in np.geomspace(low, high, 49))


def truths() -> dict[str, NoisyTruth]:
    return {name: NoisyTruth(one, TASKS[name].has_best) for name, one in json.loads(TRUTH.read_text()).items()}


# data


@functools.cache
def _wrong_labels(part: float) -> Pair:
    inputs, targets = digits()
    draw = torch.Generator().manual_seed(13)
    is_wrong = torch.rand(len(targets), generator=draw) < part
    return inputs, torch.where(is_wrong, torch.randint(10, targets.shape, generator=draw), targets)


def _wrong_images() -> Pair:
    inputs, targets = _wrong_labels(0.7)
    return inputs.view(-1, 1, 8, 8), targets


@functools.cache
def _heavy_tails() -> Pair:
    """A table whose targets have errors of Student's t with two degrees of freedom."""
    inputs, targets = friedman()
    return inputs, targets + 0.7 * _drawn(lambda rng: rng.standard_t(2, targets.shape))


@functools.cache
def _returns() -> Pair:
    """Values of states, seen through returns whose noise is four times as large."""
    inputs = _drawn(lambda rng: rng.normal(size=(2000, 8)))
    values = torch.sin(2 * inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3] / 2
    return inputs, values + 4 * values.std() * _drawn(lambda rng: rng.normal(size=(2000, 1)))


@functools.cache
def _weighted_actions() -> Pair:
    """States, with the action that was taken there and its weight, exp(return): a few weigh most."""
    inputs, action = _drawn(lambda rng: rng.normal(size=(2000, 8))), _drawn(lambda rng: rng.integers(4, size=2000))
    values = torch.stack([inputs[:, 0], -inputs[:, 0], inputs[:, 1] - 0.5, -inputs[:, 1] - 0.5], 1)
    returns = values.gather(1, action.long()[:, None])[:, 0] + _drawn(lambda rng: rng.normal(size=2000))
    weights = returns.exp()
    return inputs, torch.stack([action, weights / weights.mean()], 1)


def _weighted_likelihood(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    losses = functional.cross_entropy(outputs, targets[:, 0].long(), reduction="none")
    return (losses * targets[:, 1]).mean()


@functools.cache
def _imbalanced() -> Pair:
    """One sample in thirty is of the second class."""
    inputs = _drawn(lambda rng: rng.normal(size=(3000, 20)))
    is_rare = torch.arange(3000) % 30 == 0
    inputs[is_rare, :4] += 1.0
    return inputs, is_rare.long()


@functools.cache
def _ten_samples() -> Pair:
    inputs, targets = digits()
    chosen = torch.cat([torch.nonzero(targets == digit)[:1, 0] for digit in range(10)])
    return inputs[chosen], targets[chosen]


@functools.cache
def _linear() -> Pair:
    inputs = _drawn(lambda rng: rng.normal(size=(1000, 10)))
    return inputs, inputs[:, :1] + _drawn(lambda rng: rng.normal(size=(1000, 1)))


def _drawn(draw: Callable[[np.random.Generator], Any]) -> torch.Tensor:
    return torch.tensor(draw(np.random.default_rng(17)), dtype=torch.float32)


# models


def _trained(task: str, build: Callable[[], nn.Module], steps: int) -> nn.Module:
    return copy.deepcopy(_weights(task, build, steps))


@functools.cache
def _weights(task: str, build: Callable[[], nn.Module], steps: int) -> nn.Module:
    """The model of another task of this list, after a training at a rate that suits it."""
    with torch.random.fork_rng():
        torch.manual_seed(23)
        model, of_task = build(), TASKS[task]
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        for _, (inputs, targets) in zip(range(steps), of_task.batches(23)):  # noqa: B905
            optimizer.zero_grad()
            of_task.loss_fn(model(inputs), targets).backward()
            optimizer.step()
    return model


@functools.cache
def _minimum(of_data: Callable[[], Pair], outputs: int) -> nn.Module:
    """A linear model in the very minimum of its loss, in which no update lowers it."""
    inputs, targets = of_data()
    model = nn.Linear(inputs.shape[1], outputs).double()
    loss_fn = functional.mse_loss if outputs == 1 else functional.cross_entropy
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs.double()), targets.double() if outputs == 1 else targets)
        loss.backward()
        return loss

    optimizer.step(closure)
    return model.float()


def _normed_cnn() -> nn.Sequential:
    model = list(small_cnn())
    return nn.Sequential(model[0], nn.BatchNorm2d(8), *model[1:3], nn.BatchNorm2d(16), *model[3:])


_small, _image_net = (lambda: dense(64, 64, 10)), small_cnn
_squared, _optim = functional.mse_loss, torch.optim
_list = [
    NoisyTask("wrong_labels_k4_sgdm", _small, lambda: _wrong_labels(0.5), sgd(momentum=0.9), 4),
    NoisyTask("wrong_labels_cnn_k16_adamw", small_cnn, _wrong_images, of(_optim.AdamW), 16),
    NoisyTask("dropout_k16_adam", lambda: dense(64, 96, 96, 10, dropout=0.7), digits, of(_optim.Adam), 16),
    NoisyTask("dropout_tanh_k8_sgd", lambda: dense(64, 64, 10, act=nn.Tanh, dropout=0.8), digits, sgd(), 8),
    NoisyTask("batchnorm_k2_sgdm", _normed_cnn, images, sgd(momentum=0.9), 2),
    NoisyTask("friedman_k2_adam", lambda: dense(10, 32, 1), friedman, of(_optim.Adam), 2, _squared),
    NoisyTask("heavy_tails_k8_sgd", lambda: dense(10, 32, 1), _heavy_tails, sgd(), 8, _squared),
    NoisyTask("heavy_tails_k16_adam", lambda: dense(10, 32, 1), _heavy_tails, of(_optim.Adam), 16, _squared),
    NoisyTask("imbalanced_k16_sgdm", lambda: dense(20, 32, 2), _imbalanced, sgd(momentum=0.9), 16),
    NoisyTask("returns_k16_adam", lambda: dense(8, 32, 1), _returns, of(_optim.Adam), 16, _squared),
    NoisyTask("weighted_actions_k8_rmsprop", lambda: dense(8, 32, 4), _weighted_actions, of(_optim.RMSprop), 8,
              _weighted_likelihood),
    NoisyTask("ten_samples_k2_adam", _small, _ten_samples, of(_optim.Adam), 2),
    NoisyTask("trained_on_k16_sgdm", lambda: _trained("batchnorm_k2_sgdm", _image_net, 2500), images,
              sgd(momentum=0.9), 16),
    NoisyTask("trained_on_wrong_labels_k16_adam", lambda: _trained("wrong_labels_k4_sgdm", _small, 1500),
              lambda: _wrong_labels(0.5), of(_optim.Adam), 16),
    NoisyTask("at_minimum_linear_k8_sgd", lambda: copy.deepcopy(_minimum(_linear, 1)), _linear, sgd(), 8, _squared,
              has_best=False),
    NoisyTask("at_minimum_softmax_k16_adam", lambda: copy.deepcopy(_minimum(_imbalanced, 2)), _imbalanced,
              of(_optim.Adam), 16, has_best=False),
]  # fmt: skip
TASKS = {task.name: task for task in _list}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path, default=TRUTH)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.perf_counter()
    records = json.loads(arguments.to.read_text()) if arguments.to.exists() else {}
    for name in arguments.tasks:
        records[name] = _record(TASKS[name])
        lines = (f"{json.dumps(name)}: {json.dumps(records[name])}" for name in TASKS if name in records)
        arguments.to.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)


def _record(task: NoisyTask) -> dict[str, Any]:
    ends = [task.ends((10.0**LOG_LRS).tolist(), seed) for seed in SEEDS]
    start = [float(Bundle(task, [0.0], seed).losses(*task.data())[0]) for seed in SEEDS]
    kept = [[[float(f"{e:.5g}") if math.isfinite(e) else None for e in row] for row in rows] for rows in ends]
    return {"start": start, "ends": kept}


if __name__ == "__main__":
    main()
