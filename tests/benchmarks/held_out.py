"""Sixteen training tasks that are not those of ``lr_bench``, and what is true of them. Prints nothing unless asked.

    python tests/benchmarks/held_out.py --jobs 2

trains them at constant rates (six in a decade for 200 steps, three in a decade for 3,000, and as many one-cycle
schedules) with two seeds, and writes the losses to results/held_out_truth.json. Data: scikit-learn's, text that ships
with Python, and made-up tables. A rule may be judged on these tasks; it may not be tuned to them.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

TRUTH = Path(__file__).parent / "results" / "held_out_truth.json"
SHORT, LONG, TRUTH_SEEDS = 200, 3000, (0, 1)
SHORT_TAIL, LONG_TAIL = 20, 100
PER_DECADE_SHORT, PER_DECADE_LONG = 6, 3
GRIDS = {"SGD": (-4, 2), "adaptive": (-5, 1)}
"""Decades of η."""

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class HeldOutTask:
    """Model, optimizer, loss and data of one task; everything is drawn from the seed that is given."""

    name: str
    build: Callable[[], nn.Module]
    data: Callable[[], Pair]
    make_optimizer: Callable[[Any, float], torch.optim.Optimizer]
    batch_size: int
    loss_fn: Callable[..., torch.Tensor] = functional.cross_entropy

    @property
    def grid(self) -> tuple[int, int]:
        is_sgd = isinstance(self.make_optimizer([nn.Parameter(torch.zeros(1))], 0.1), torch.optim.SGD)
        return GRIDS["SGD" if is_sgd else "adaptive"]

    def model(self, seed: int) -> nn.Module:
        torch.manual_seed(1000 + seed)
        return self.build()

    def optimizer(self, model: nn.Module, lr: float) -> torch.optim.Optimizer:
        return self.make_optimizer([p for p in model.parameters() if p.requires_grad], lr)

    def loader(self, seed: int) -> DataLoader[Any]:
        inputs, targets = self.data()
        order = torch.Generator().manual_seed(5000 + seed)
        size = min(self.batch_size, len(inputs))
        return DataLoader(TensorDataset(inputs, targets), size, shuffle=True, drop_last=True, generator=order)

    def batches(self, seed: int) -> Iterator[Pair]:
        inputs, targets = self.data()
        order = torch.Generator().manual_seed(5000 + seed)
        size = min(self.batch_size, len(inputs))
        while True:
            shuffled = torch.randperm(len(inputs), generator=order)
            for first in range(0, len(inputs) - size + 1, size):
                chosen = shuffled[first : first + size]
                yield inputs[chosen], targets[chosen]

    def train(self, lr_at: Callable[[int], float], seed: int, steps: int) -> np.ndarray:
        """Losses before each update, float64 (steps,); inf from where one is not finite."""
        model = self.model(seed)
        optimizer, losses = self.optimizer(model, lr_at(0)), np.full(steps, np.inf)
        torch.manual_seed(9000 + seed)
        model.train()
        for index, (inputs, targets) in zip(range(steps), self.batches(seed)):  # noqa: B905
            for group in optimizer.param_groups:
                group["lr"] = lr_at(index)
            loss = self.loss_fn(model(inputs), targets)
            losses[index] = value = loss.item()
            if not math.isfinite(value):
                losses[index] = np.inf
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return losses


def one_cycle(peak: float, steps: int) -> Callable[[int], float]:
    """torch's OneCycleLR: cosine from peak / 25 over 30 % of the steps, then to peak / 250,000."""
    top = 0.3 * steps - 1

    def lr_at(index: int) -> float:
        if index <= top:
            return peak / 25 + (peak - peak / 25) * (1 - math.cos(math.pi * index / top)) / 2
        share = (index - top) / (steps - 1 - top)
        return peak / 250_000 + (peak - peak / 250_000) * (1 + math.cos(math.pi * share)) / 2

    return lr_at


class Truth:
    """Regret of a rate on one task at three horizons: (loss - best) / (loss at the start - best), from 0 to 1."""

    def __init__(self, record: dict[str, Any]) -> None:
        start = np.array(record["start"])
        self.log_lrs, self.short = _regret(record["short"], start)
        self._log_long, self.constant = _regret(record["constant"], start)
        _, self.cycle = _regret(record["cycle"], start)
        self.best_lr = float(10 ** self.log_lrs[int(self.short.argmin())])

    def regrets(self, lr: float | None) -> tuple[float, float, float]:
        """After 200 steps, after 3,000 at a constant rate, after 3,000 of one-cycle with this peak; 1 for None."""
        if lr is None or not lr > 0:
            return 1.0, 1.0, 1.0
        at = math.log10(lr)
        short = float(np.interp(at, self.log_lrs, self.short))
        constant, cycle = (float(np.interp(at, self._log_long, row)) for row in (self.constant, self.cycle))
        return short, constant, cycle


def _regret(ends: dict[str, list[float | None]], start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    log_lrs = np.array([math.log10(float(lr)) for lr in ends])
    losses = np.array([[np.inf if loss is None else loss for loss in row] for row in ends.values()])
    mean = np.minimum(losses, start[None, :]).mean(1)
    return log_lrs, (mean - mean.min()) / (start.mean() - mean.min())


def truths() -> dict[str, Truth]:
    return {name: Truth(record) for name, record in json.loads(TRUTH.read_text()).items()}


# data


@functools.cache
def digits(part: str = "all") -> Pair:
    from sklearn.datasets import load_digits

    found = load_digits()
    inputs, targets = torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)
    if part == "low":
        return inputs[targets < 5], targets[targets < 5]
    return (inputs[targets >= 5], targets[targets >= 5]) if part == "high" else (inputs, targets)


def images(part: str = "all") -> Pair:
    inputs, targets = digits(part)
    return inputs.view(-1, 1, 8, 8), targets


def _wrong_labels() -> Pair:
    inputs, targets = digits()
    draw = torch.Generator().manual_seed(3)
    is_wrong = torch.rand(len(targets), generator=draw) < 0.3
    return inputs, torch.where(is_wrong, torch.randint(10, targets.shape, generator=draw), targets)


@functools.cache
def _wine() -> Pair:
    from sklearn.datasets import load_wine

    found = load_wine()
    inputs = torch.tensor(found.data, dtype=torch.float32)
    return (inputs - inputs.mean(0)) / inputs.std(0), torch.tensor(found.target)


@functools.cache
def _cancer() -> Pair:
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    inputs = torch.tensor(found.data, dtype=torch.float32)
    return (inputs - inputs.mean(0)) / inputs.std(0), torch.tensor(found.target)


@functools.cache
def _raw_diabetes() -> Pair:
    from sklearn.datasets import load_diabetes

    found = load_diabetes()
    inputs = torch.tensor(found.data, dtype=torch.float32)
    return inputs / inputs.std(0), torch.tensor(found.target, dtype=torch.float32)[:, None]


@functools.cache
def friedman() -> Pair:
    from sklearn.datasets import make_friedman1

    inputs, targets = make_friedman1(2000, noise=0.5, random_state=0)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(targets, dtype=torch.float32)[:, None] / 5


@functools.cache
def _text(kind: str, length: int) -> Pair:
    if kind == "prose":
        import pydoc_data.topics

        text = "\n".join(pydoc_data.topics.topics.values())
    else:
        import difflib
        import doctest
        import inspect
        import tarfile

        text = "\n".join(Path(m.__file__).read_text() for m in (tarfile, inspect, difflib, doctest))
    ids = torch.tensor([min(ord(character), 127) for character in text[:250_000]])
    rows = (len(ids) - 1) // length
    return ids[: rows * length].view(rows, length), ids[1 : rows * length + 1].view(rows, length)


# models


def dense(*widths: int, act: type[nn.Module] = nn.ReLU, norm: bool = False, dropout: float = 0.0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths[:-1]):
        layers += [nn.Linear(wide, narrow), *([nn.LayerNorm(narrow)] if norm else []), act()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.relu(inputs + self.body(inputs))


def _resnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), _Residual(8), _Residual(8),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def small_cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)
    )


class _Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(128, 24), kind(24, 48, batch_first=True), nn.Linear(48, 128)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.embed(tokens))[0]).transpose(1, 2)


class _Patches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(4, 16), nn.Parameter(torch.zeros(16, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = functional.unfold(images, 2, stride=2).transpose(1, 2)
        return self.head(self.body(self.embed(patches) + self.place).mean(1))


class _Autoencoder(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(*dense(64, 48, 12, 48, 64))


def _bad_start() -> nn.Sequential:
    """Sigmoids in a row from small weights: a plateau."""
    model = dense(64, 48, 48, 10, act=nn.Sigmoid)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model


@functools.cache
def _pretrained(kind: str) -> dict[str, torch.Tensor]:
    """Weights after training on other data: digits 0 to 4, or English before Python source."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        if kind == "images":
            model, data, size = small_cnn(), images("low"), 32
            steps, loss_fn = 400, functional.cross_entropy
        else:
            model, data, size = _Recurrent(nn.GRU), _text("prose", 24), 32
            steps, loss_fn = 1500, functional.cross_entropy
        optimizer, draw = torch.optim.Adam(model.parameters(), 3e-3), torch.Generator().manual_seed(11)
        for _ in range(steps):
            chosen = torch.randint(len(data[0]), (size,), generator=draw)
            optimizer.zero_grad()
            loss_fn(model(data[0][chosen]), data[1][chosen]).backward()
            optimizer.step()
    return model.state_dict()


def _tuned(kind: str) -> Any:
    model = small_cnn() if kind == "images" else _Recurrent(nn.GRU)
    model.load_state_dict(_pretrained(kind))
    if kind == "images":
        model[-1].reset_parameters()  # a new head, for new classes
    return model


def sgd(**kwargs: Any) -> Callable[[Any, float], torch.optim.Optimizer]:
    return lambda parameters, lr: torch.optim.SGD(parameters, lr, **kwargs)


def of(kind: Any, **kwargs: Any) -> Callable[[Any, float], torch.optim.Optimizer]:
    return lambda parameters, lr: kind(parameters, lr=lr, **kwargs)


_squared, _optim = functional.mse_loss, torch.optim
_list = [
    HeldOutTask("wine_linear_sgd_k16", lambda: nn.Linear(13, 3), _wine, sgd(), 16),
    HeldOutTask("cancer_mlp_adam", lambda: dense(30, 32, 2), _cancer, of(_optim.Adam), 32),
    HeldOutTask("raw_diabetes_mlp_adam", lambda: dense(10, 32, 1), _raw_diabetes, of(_optim.Adam), 32, _squared),
    HeldOutTask("friedman_mlp_sgdm", lambda: dense(10, 64, 64, 1), friedman, sgd(momentum=0.9), 32, _squared),
    HeldOutTask("digits_mlp_rmsprop", lambda: dense(64, 64, 10), digits, of(_optim.RMSprop), 64),
    HeldOutTask("digits_mlp_adagrad", lambda: dense(64, 64, 10), digits, of(_optim.Adagrad), 32),
    HeldOutTask("digits_layernorm_dropout_sgd", lambda: dense(64, 64, 64, 10, norm=True, dropout=0.3), digits, sgd(),
                16),
    HeldOutTask("digits_resnet_adamw", _resnet, images, of(_optim.AdamW, weight_decay=0.05), 16),
    HeldOutTask("digits_patches_adamw", _Patches, images, of(_optim.AdamW, weight_decay=0.05), 16),
    HeldOutTask("digits_wrong_labels_sgdm", lambda: dense(64, 64, 10), _wrong_labels, sgd(momentum=0.9), 32),
    HeldOutTask("digits_mlp_sgd_k2", lambda: dense(64, 64, 10), digits, sgd(), 2),
    HeldOutTask("digits_autoencoder_adam", _Autoencoder, lambda: (digits()[0], digits()[0]), of(_optim.Adam), 64,
                _squared),
    HeldOutTask("digits_sigmoid_adam", _bad_start, digits, of(_optim.Adam), 64),
    HeldOutTask("prose_lstm_sgdm", lambda: _Recurrent(nn.LSTM), lambda: _text("prose", 24),
                sgd(momentum=0.9, nesterov=True), 8),
    HeldOutTask("finetune_cnn_sgdm", lambda: _tuned("images"), lambda: images("high"), sgd(momentum=0.9), 32),
    HeldOutTask("finetune_gru_adamw", lambda: _tuned("text"), lambda: _text("source", 24), of(_optim.AdamW), 8),
]  # fmt: skip
TASKS = {task.name: task for task in _list}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--to", type=Path, default=TRUTH)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    arguments = parser.parse_args()
    rates = [(name, kind, lr) for name in arguments.tasks for kind, lr in _runs(*TASKS[name].grid)]
    jobs = [(*rate, seed) for rate in rates for seed in TRUTH_SEEDS]
    # The slowest first.
    jobs.sort(key=lambda job: (job[1] == "short", "text" not in job[0] and "prose" not in job[0]))
    records: dict[str, Any] = {
        name: {kind: {} for kind in ("start", "short", "constant", "cycle")} for name in arguments.tasks
    }
    begun = time.perf_counter()
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        for name, seed, found in pool.map(_run, jobs, chunksize=2):
            for (kind, key), end in found.items():
                place = records[name][kind].setdefault(key, [None] * len(TRUTH_SEEDS))
                place[TRUTH_SEEDS.index(seed)] = end
    for record in records.values():
        record["start"] = record["start"][""]
        for kind in ("short", "constant", "cycle"):
            record[kind] = dict(sorted(record[kind].items(), key=lambda item: float(item[0])))
    arguments.to.write_text(json.dumps(records, indent=0) + "\n")
    print(f"{len(jobs)} runs, {time.perf_counter() - begun:.0f} s")


def _runs(start: int, end: int) -> Iterator[tuple[str, float]]:
    for at in range((end - start) * PER_DECADE_SHORT + 1):
        lr = float(f"{10 ** (start + at / PER_DECADE_SHORT):.6g}")
        if at % (PER_DECADE_SHORT // PER_DECADE_LONG) == 0:
            yield "cycle", lr
            yield "constant", lr
        else:
            yield "short", lr


def _run(job: tuple[str, str, float, int]) -> tuple[str, int, dict[tuple[str, str], float | None]]:
    name, kind, lr, seed = job
    torch.set_num_threads(1)
    task = TASKS[name]
    if kind == "cycle":
        return name, seed, {(kind, repr(lr)): _end(task.train(one_cycle(lr, LONG), seed, LONG), LONG_TAIL)}
    losses = task.train(lambda _: lr, seed, SHORT if kind == "short" else LONG)
    found = {("short", repr(lr)): _end(losses[:SHORT], SHORT_TAIL)}
    if kind == "constant":
        found[kind, repr(lr)] = _end(losses, LONG_TAIL)
        found["start", ""] = _start(task, seed)
    return name, seed, found


def _end(losses: np.ndarray, tail: int) -> float | None:
    end = float(losses[-tail:].mean())
    return float(f"{end:.6g}") if math.isfinite(end) else None


def _start(task: HeldOutTask, seed: int) -> float:
    model = task.model(seed)
    with torch.no_grad():
        found = [float(task.loss_fn(model(x), y)) for (x, y), _ in zip(task.batches(seed), range(12))]  # noqa: B905
    return float(f"{np.mean(found):.6g}")


if __name__ == "__main__":
    main()
