"""What several devices are predicted to hold, against real processes that train together on this machine."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from processes import BACKWARD, FORWARD, UPDATE, perceptron, predicted, transformer, uneven_perceptron, watch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")]

CASES = [
    (perceptron, "none", 2, {}), (uneven_perceptron, "none", 4, {}), (uneven_perceptron, "zero1", 4, {}),
    (perceptron, "zero2", 2, {}), (uneven_perceptron, "full", 4, {}), (transformer, "full", 2, {"accumulate": 2}),
    (transformer, "full", 4, {}), (perceptron, "full", 2, {"checkpoints": True}),
    (transformer, "zero2", 2, {"optimizer": torch.optim.SGD}),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "devices", "changes"), CASES)
def test_every_phase_takes_what_is_predicted(make: Any, kind: str, devices: int, changes: dict[str, Any]) -> None:
    real = watch(make, kind, devices, batch_size=32, **changes)
    estimate, peaks = predicted(make, kind, devices, batch_size=32, **changes)
    assert estimate.method == "meta"
    fullest = {name: max(one.peaks[name] for one in real) for name in (FORWARD, BACKWARD, UPDATE)}
    # A few bytes of counters and of the loss are nobody's part; a thread of gloo's may hold a tensor a little longer.
    for name, size in fullest.items():
        assert peaks[name] == pytest.approx(size, rel=0.01), name
    sizes = estimate.breakdown(32)
    assert sizes["optimizer"] == pytest.approx(max(one.optimizer for one in real), rel=1e-3, abs=100)
    if kind != "zero2":  # which counts what it gathers there
        assert sizes["parameters"] == max(one.parameters for one in real)
