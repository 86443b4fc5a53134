"""One of several devices: predicted beside what real processes allocate, and beside the figures of the ZeRO paper."""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import torch
from processes import (
    BACKWARD,
    FORWARD,
    UPDATE,
    MasterAdam,
    bare_blocks,
    perceptron,
    predicted,
    transformer,
    uneven_perceptron,
    watch,
)
from torch import nn

from nbtune.engine import Task
from nbtune.engine.memory import estimate_memory

MIB = 2**20
CASES: tuple[tuple[Any, str, int, dict[str, Any]], ...] = (
    *((perceptron, kind, 2, {}) for kind in ("none", "zero1", "zero2", "full")),
    *((uneven_perceptron, kind, 4, {}) for kind in ("none", "zero1", "zero2", "full")),
    *((transformer, kind, 4, {}) for kind in ("none", "zero1", "zero2", "full")),
    (perceptron, "full", 2, {"batch_size": 2048}), (transformer, "full", 2, {"accumulate": 2}),
    (transformer, "full", 2, {"checkpoints": True}), (perceptron, "full", 2, {"amp": torch.bfloat16}),
)  # fmt: skip
PAPER = {"none": 120, "zero1": 31.4, "zero2": 16.6, "full": 1.9}
"""GB of weights, gradients and state on each of 64 devices, 7.5 billion parameters. Source: Rajbhandari et al. 2020,
"ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", figure 1."""


def devices() -> None:
    """Per case: parts between steps, and the most in use in each phase, of the process that has most."""
    print("real | predicted, in MiB, without what gloo copies for itself (NCCL has no tensors of its own)")
    parts = ("parameters", "gradients", "optimizer", "forward", "backward", "update")
    heads = " ".join(f"{part:>15}" for part in parts)
    print(f"{'model':18} {'sharding':8} {'N':>2}  {heads}   error of the peak")
    errors = []
    for make, kind, count, changes in CASES:
        asked = {"batch_size": 32, **changes}
        real = watch(make, kind, count, **asked)
        estimate, peaks = predicted(make, kind, count, **asked)
        sizes = estimate.evaluation().breakdown(asked["batch_size"])  # what a step leaves
        pairs = [(max(getattr(one, part) for one in real), sizes[part]) for part in parts[:3]]
        pairs += [(max(one.peaks[name] for one in real), peaks[name]) for name in (FORWARD, BACKWARD, UPDATE)]
        errors.append(max(peaks.values()) / max(one.peak for one in real) - 1)
        cells = " ".join(f"{a / MIB:7.2f}|{b / MIB:7.2f}" for a, b in pairs)
        print(f"{make.__name__:18} {kind:8} {count:2}  {cells}   {errors[-1]:+.3%} {changes or ''}", flush=True)
    sizes_of_errors = [abs(error) for error in errors]
    print(f"median {statistics.median(sizes_of_errors):.3%}, worst {max(sizes_of_errors):.2%}")
    print("zero2 counts the parameters that it gathers as parameters")
    paper()


def paper() -> None:
    """Weights, gradients and state of 7.5 billion parameters on 64 devices."""
    model = bare_blocks(224, 2048)
    data = tuple(torch.zeros(4, 2048, dtype=torch.bfloat16) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task = Task(model, MasterAdam(model.parameters()), nn.functional.mse_loss, data)
    alone = estimate_memory(task, "A100 80")
    count = sum(p.numel() for p in task.parameters)
    print(f"\nthe ZeRO paper: {count / 1e9:.2f} billion parameters, 64 devices, GB; k = 1")
    print(f"{'sharding':8} {'paper':>7} {'predicted':>10} {'its peak':>10}   with buckets, gathered blocks and context")
    for kind, told in PAPER.items():
        estimate = alone.among(64, kind)
        sizes = estimate.breakdown(1)
        kept = sizes["parameters"] + sizes["gradients"] + sizes["optimizer"]
        print(f"{kind:8} {told:7} {kept / 1e9:10.1f} {estimate.peak_bytes(1) / 1e9:10.1f}")
