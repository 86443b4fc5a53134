"""Data that are one graph: that k has no meaning is said, and of nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from nbtune.engine import Task
from nbtune.engine.memory import NotPredictableError, estimate_memory

NODES, EDGES = 300, 900


class Convolution(nn.Module):
    """Sums what neighbours send."""

    def __init__(self) -> None:
        super().__init__()
        self.send, self.head = nn.Linear(8, 32), nn.Linear(32, 3)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return self.head(torch.zeros(len(x), 32, device=x.device).index_add_(0, edges[1], self.send(x)[edges[0]]))


def graph() -> tuple[torch.Tensor, ...]:
    numbers = torch.Generator().manual_seed(0)
    edges = torch.randint(0, NODES, (2, EDGES), generator=numbers)
    return torch.randn(NODES, 8, generator=numbers), edges, torch.randint(0, 3, (NODES,), generator=numbers)


def task_of(data: Any) -> Task:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return F.cross_entropy(model(batch[0], batch[1]), batch[2])

    model = Convolution()
    return Task(model, torch.optim.Adam(model.parameters()), training_step=step, data=data)


@pytest.mark.parametrize(
    "data", [lambda: [graph()], lambda: DataLoader([graph()], batch_size=None)], ids=["", "loader"]
)
def test_one_whole_graph_is_told(data: Any) -> None:
    caveats = estimate_memory(task_of(data()), "8 GB").caveats
    assert any("300 nodes, 900 edges" in caveat and "no meaning" in caveat for caveat in caveats)


def test_a_graph_that_a_loader_calls_a_batch_of_one_is_refused_in_such_words() -> None:
    data = DataLoader([graph()], batch_size=1, collate_fn=lambda graphs: graphs[0])
    with pytest.raises(NotPredictableError, match=r"k has no meaning, .* one whole graph"):
        estimate_memory(task_of(data), "8 GB")


@pytest.mark.parametrize("data", [
    [(torch.randn(2, 8), torch.zeros(2, 5).long())], [graph(), graph()], [(torch.randn(30, 8), torch.zeros(30).long())],
], ids=["two rows of words", "several graphs", "no edges"])  # fmt: skip
def test_of_other_data_nothing_is_said(data: Any) -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return model.head(model.send(batch[0])).mean()

    model = Convolution()
    task = Task(model, torch.optim.Adam(model.parameters()), training_step=step, data=data)
    assert not any("graph" in caveat for caveat in estimate_memory(task, "8 GB").caveats)
