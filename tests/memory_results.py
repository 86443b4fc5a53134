"""Results of the batch prober as plots see them: DenseNet121, 128², AdamW on an 8 GB card, and what can go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbtune.engine.batch_size.limit import BatchLimit
from nbtune.engine.batch_size.settings import BatchSettings
from nbtune.engine.batch_size.trial import MemoryTrial
from nbtune.engine.batch_size.what_fits.result import MemoryChange, WhatFits
from nbtune.engine.memory.replay.timeline import MemoryTimeline

MIB, GIB = 2**20, 2**30
SPEEDS = {1: 5.4, 2: 6.3, 4: 7.9, 8: 8.7, 16: 8.7, 32: 9.4, 64: 7.5}
RESERVED = {1: 5, 2: 20, 4: 10, 8: 12, 16: 14, 32: 60, 64: 260, 128: 533}


def parts_of(k: int) -> tuple[tuple[str, int], ...]:
    sizes = {
        "context": 600, "parameters": 27, "gradients": 0.05, "optimizer": 53, "inputs": 0.1875 * k,
        "activations": 40.4 * k, "temporary": 16, "reserved": RESERVED.get(k, 4.2 * k),
    }  # fmt: skip
    return tuple((name, int(mib * MIB)) for name, mib in sizes.items())


def trial_of(k: int, *, capacity: int | None = 8 * GIB, measured: bool = False, **changes: Any) -> MemoryTrial:
    peak = sum(size for _, size in parts_of(k))
    fits = capacity is None or peak <= capacity
    values: dict[str, Any] = {
        "batch_size": k, "fits": fits, "peak_bytes": peak if measured and fits else None, "predicted_bytes": peak,
        "parts": parts_of(k), "is_measured": measured,
        "samples_per_second": SPEEDS.get(k) if measured else None,
    }  # fmt: skip
    return MemoryTrial(**{**values, **changes})


def limit_of(trials: list[MemoryTrial], capacity: int | None = 8 * GIB, **changes: Any) -> BatchLimit:
    """What a search that saw ``trials`` found; the knee as the engine finds it."""
    fitting = [t.batch_size for t in trials if t.fits]
    speeds = {t.batch_size: t.samples_per_second for t in trials if t.samples_per_second}
    best = max(speeds.values(), default=0.0)
    rising = len(speeds) > 1 and max(speeds, key=lambda k: speeds[k] or 0) == max(speeds)
    knee = next((k for k, speed in speeds.items() if speed and speed >= 0.9 * best), None)
    largest = max(fitting, default=0)
    values: dict[str, Any] = {
        "trials": tuple(trials), "settings": BatchSettings(), "capacity_bytes": capacity, "capacity_name": "8 GB card",
        "largest": largest, "batch_size": largest or None, "knee": None if rising else knee,
        "is_still_rising": rising, "accumulate": None,
        "verdict": f"k = {largest} is the largest power of two that fits", "reason": "(predicted, 1.7 GiB free).",
        "limit": "Speed on this CPU stops growing at k = 8.", "outcome": "finished",
    }  # fmt: skip
    return BatchLimit(**{**values, **changes})


def densenet(measured_up_to: int = 64, capacity: int | None = 8 * GIB, **changes: Any) -> BatchLimit:
    """All ten predicted, then measured ones."""
    sizes = [2**i for i in range(10)]
    trials = [trial_of(k, capacity=capacity) for k in sizes]
    trials += [trial_of(k, capacity=capacity, measured=True) for k in sizes if k <= measured_up_to]
    return limit_of(trials, capacity, **changes)


@dataclass(frozen=True)
class Layer:
    kind: str
    count: int
    example: str
    parameter_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Module:
    group: str
    kind: str
    activation_bytes: int
    parameter_bytes: int = 0


LAYERS = (
    Layer("normalisation", 121, "BatchNorm2d", int(0.32 * MIB), 2520 * MIB),
    Layer("concatenation", 58, "cat", 0, 1620 * MIB),
    Layer("convolution", 120, "Conv2d", int(26.6 * MIB), 940 * MIB),
    Layer("pooling", 5, "AvgPool2d", 0, 125 * MIB),
    Layer("dense", 1, "Linear", int(0.03 * MIB), 0),
)
MODULES = tuple(
    Module(group, kind, mib * MIB)
    for group, kinds in {
        "features.denseblock1": {"normalisation": 816, "concatenation": 528, "convolution": 384},
        "features.denseblock2": {"normalisation": 648, "concatenation": 504, "convolution": 192},
        "features.denseblock3": {"normalisation": 564, "concatenation": 492, "convolution": 96},
        "features.transition1": {"normalisation": 224, "convolution": 112, "pooling": 28},
        "features.norm0": {"normalisation": 128},
        "features.conv0": {"convolution": 128},
        "features.pool0": {"pooling": 96},
        "features.denseblock4": {"normalisation": 86, "concatenation": 80, "convolution": 16},
        "classifier": {"dense": 0},
    }.items()
    for kind, mib in kinds.items()
)


@dataclass(frozen=True)
class MemoryEstimate:
    """Stands for the engine's own, named like it so that ``plot`` takes it; sums as in the looks' pictures."""

    capacity_bytes: int | None = 8 * GIB
    capacity_name: str = "8 GB card"

    def peak_bytes(self, k: int) -> int:
        return sum(size for _, size in parts_of(k))

    def fits(self, k: int) -> bool:
        return self.capacity_bytes is None or self.peak_bytes(k) <= self.capacity_bytes

    def fits_with_retries(self, k: int) -> bool:
        return self.fits(k)

    def largest_batch_size(self, power_of_two: bool = True) -> int:
        return max((2**i for i in range(10) if self.fits(2**i)), default=0)

    def parts(self, k: int) -> tuple[tuple[str, int], ...]:
        return parts_of(k)

    def layers(self, k: int) -> tuple[Layer, ...]:
        return LAYERS

    def modules(self, k: int) -> tuple[Module, ...]:
        return MODULES


@dataclass(frozen=True)
class Row:
    image_size: int
    batch_sizes: tuple[int, ...]
    peak_bytes: tuple[int, ...]
    fits: tuple[bool, ...]
    largest: int


@dataclass(frozen=True)
class MemoryGrid:
    rows: tuple[Row, ...]
    capacity_bytes: int | None = 8 * GIB
    capacity_name: str = "8 GB card"
    verdict: str = "On 8 GB, halving the image side lets k grow 4×"
    reason: str = "k = 8 at 512², 32 at 256², 128 at 128²."
    limit: str = ""


def grid() -> MemoryGrid:
    """Six image sizes; what a sample takes grows with the square of the side."""
    sizes, rows = tuple(2**i for i in range(10)), []
    for side in (512, 384, 256, 192, 128, 64):
        peaks = tuple(int((0.66 + 0.0434 * k * (side / 128) ** 2) * GIB) for k in sizes)
        fits = tuple(peak <= 8 * GIB for peak in peaks)
        rows.append(Row(side, sizes, peaks, fits, max(k for k, ok in zip(sizes, fits, strict=True) if ok)))
    return MemoryGrid(tuple(rows))


def change_of(name: str, gib: float, rank: float = 1.0, **changes: Any) -> MemoryChange:
    """A change that takes so much of an 8 GB card."""
    peak = int(gib * GIB)
    values: dict[str, Any] = {
        "effect": "same numbers" if name else "", "cost": "same" if name else "", "changes": (), "batch_size": 32,
        "accumulate": 1, "peak_bytes": peak, "needed_bytes": peak, "free_bytes": 8 * GIB - peak,
        "fits": peak <= 8 * GIB, "fits_with_retries": peak <= 8 * GIB,
    }  # fmt: skip
    return MemoryChange(name=name, rank=rank, **{**values, **changes})


def what_fits() -> WhatFits:
    """One change of each kind: too big, just too big, and two that fit."""
    changes = [
        change_of("", 14.0, 0.0),
        change_of("gradient checkpointing", 9.1, 2.0, changes=(("checkpointing", True),), fits_with_retries=True),
        change_of("accumulation 4 × 8", 4.2, 3.0, accumulate=4, batch_size=8, effect="BatchNorm sees 8"),
        change_of("mixed precision", 7.6, 4.0, changes=(("amp", "bfloat16"),), effect="16-bit rounding"),
        change_of("gradient checkpointing + mixed precision", 5.2, 40.0, effect="16-bit rounding"),
    ]
    return WhatFits.from_changes(changes, batch_size=32, card=(8 * GIB, "8 GB card"))


def timeline(**changes: Any) -> MemoryTimeline:
    """Six places: forward, backward, an update."""
    values: dict[str, Any] = {
        "batch_size": 32, "allocated_bytes": tuple(int(x * GIB) for x in (1, 2, 5, 4, 1.5, 1)),
        "reserved_bytes": tuple(x * GIB for x in (2, 2, 6, 6, 6, 6)), "context_bytes": GIB,
        "phases": (("forward", 0, 2), ("backward", 2, 5), ("update", 5, 6)), "peak": 2, "peak_phase": "backward",
        "peak_module": "layers.3", "peak_layer": "Conv2d", "peak_operator": "aten.convolution_backward",
    }  # fmt: skip
    return MemoryTimeline(**{**values, **changes})
