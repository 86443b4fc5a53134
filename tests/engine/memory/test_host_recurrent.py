"""Recurrent layers on the host: what is predicted against what two real steps allocate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from host_truth import peak_of_steps
from torch import nn
from zoo import optimizer_of

from nbtune.engine import Task
from nbtune.engine.memory import estimate_memory

pytestmark = [
    pytest.mark.slow,  # real layers
    pytest.mark.skipif(
        torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available(),
        reason="the rules were read off a CPU with AVX-512",
    ),
]


class Tagger(nn.Module):
    """Embedding, a recurrent layer, one class per sequence."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.words, self.layer = nn.Embedding(64, layer.input_size), layer
        self.head = nn.Linear(layer.hidden_size * (2 if layer.bidirectional else 1), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.words(x)
        return self.head(
            self.layer(x if self.layer.batch_first else x.transpose(0, 1))[0].sum(int(self.layer.batch_first))
        )


SHAPES: dict[str, dict[str, Any]] = {
    "one": {},
    "deep": {"num_layers": 3, "dropout": 0.3},
    "two ways": {"num_layers": 2, "bidirectional": True},
    "time first": {"batch_first": False},
    "no biases": {"bias": False},
}


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_recurrent_layer_takes_what_is_predicted(kind: type[nn.RNNBase], shape: str) -> None:
    torch.manual_seed(0)
    model = Tagger(kind(72, 80, **{"batch_first": True, **SHAPES[shape]}))
    optimizer = optimizer_of("AdamW", model.train())
    data = (torch.zeros(8, 30).long(), torch.zeros(8).long())
    estimate = estimate_memory(Task(model, optimizer, nn.functional.cross_entropy, data), device="cpu")
    real = peak_of_steps(model, optimizer, (torch.zeros(30).long(), torch.tensor(0)), 12)
    assert estimate.method == "meta"
    assert estimate.peak_bytes(12) - estimate.context_bytes == pytest.approx(real, rel=0.02)


def test_a_layer_that_forgets_nothing_is_counted_once_per_direction() -> None:
    def kept(**changes: Any) -> int:
        model = Tagger(nn.LSTM(72, 80, batch_first=True, **changes))
        data = (torch.zeros(8, 30).long(), torch.zeros(8).long())
        task = Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, data)
        return estimate_memory(task, device="cpu").breakdown(64)["activations"]

    assert kept(bidirectional=True) > 1.8 * kept()
