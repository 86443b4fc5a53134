"""Is later training the same, bit for bit, after a finder ran? Six cases; prints a table.

    python tests/benchmarks/hygiene.py

The cases: the sweep ends normally, by an exception, by an interrupt (each at step 30), for a plain set-up and a hard
one (the loader shuffles by its own generator, one BatchNorm is kept in eval mode on purpose). In all: BatchNorm,
dropout, a frozen layer, SGD with momentum that has trained before, a StepLR on the optimizer. After the sweep the
training goes on for 18 steps, beside a twin that was never swept.
"""

from __future__ import annotations

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbtune.engine import Task, find_lr


def main() -> None:
    torch.set_num_threads(1)
    cases = [(end, is_hard) for is_hard in (False, True) for end in ("normal", "exception", "interrupt")]
    same = {case: is_same(*case) for case in cases}
    for (end, is_hard), value in same.items():
        print(f"{'hard' if is_hard else 'plain':6} {end:10} {'same' if value else 'DIFFERENT'}")
    print(f"{sum(same.values())} of {len(same)} cases: later training the same bit for bit")


def is_same(end: str, is_hard: bool) -> bool:
    """Whether a swept set-up and its twin train on alike."""
    swept, twin = SetUp(end, is_hard), SetUp(end, is_hard)
    try:
        state = torch.get_rng_state()
        find_lr(Task(swept.model, swept.optimizer, swept.loss, swept.loader), progress=False)
    except (ValueError, KeyboardInterrupt):
        pass
    later = swept.train(18)
    torch.set_rng_state(state)
    return later == twin.train(18)


class SetUp:
    """A model in the middle of its training."""

    def __init__(self, end: str, is_hard: bool) -> None:
        self.end, self.calls, self.counts = end, 0, False
        torch.manual_seed(1)
        self.model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 10),
        )  # fmt: skip
        self.model[0].requires_grad_(False)
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trainable, lr=0.05, momentum=0.9)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 10)
        digits = load_digits()
        images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
        generator = torch.Generator().manual_seed(3) if is_hard else None
        data = TensorDataset(images, torch.tensor(digits.target))
        self.loader = DataLoader(data, 64, shuffle=True, drop_last=True, generator=generator)
        self.train(5)
        if is_hard:
            self.model[1].eval()
        self.counts = True

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.calls += self.counts
        if self.calls == 30 and self.counts:
            if self.end == "exception":
                raise ValueError("boom in user code")
            if self.end == "interrupt":
                raise KeyboardInterrupt
        return nn.functional.cross_entropy(output, target)

    def train(self, steps: int) -> list[Any]:
        """Losses and weights of some steps, as bytes."""
        self.counts, batches, seen = False, iter(self.loader), []
        for _ in range(steps):
            inputs, targets = next(batches)
            self.optimizer.zero_grad()
            loss = self.loss(self.model(inputs), targets)
            loss.backward()
            self.optimizer.step()
            seen.append(loss.item())
        self.scheduler.step()
        return [seen, *(p.detach().numpy().tobytes() for p in self.model.state_dict().values())]


if __name__ == "__main__":
    main()
