"""What a search for batch sizes is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from ..checks import number, whole_number
from ..memory.cards import parse_capacity
from ..memory.parts import OPTIMIZERS

Strategy = Literal["estimate", "halve", "double"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What a search for batch sizes is asked to do; the widget and ``find_batch_size`` take the same one.

    Args:
        capacity: The card: a size ("8 GB", "10.5 GiB"), a name ("T4", "A100 40"), bytes, or None for the GPU the model
            is on (what is free on it now), and without one for the host's memory.
        strategy: "estimate" (predict, then confirm), "halve" (from ``max_batch_size`` down on each out-of-memory
            error), "double" (from 1 up to the first).
        max_batch_size: The largest k looked at, ≥ 1; no more than there are samples, where the data tell.
        image_size: Side in pixels of the (square) images; None for the data's own.
        optimizer: One of ``OPTIMIZERS`` to plan with instead of the task's own; None for the task's.
        amp: dtype of autocast to plan with, False for none; None for the task's.
        checkpointing: Whether activations are recomputed in the backward pass; None for as the model is.
        measure_seconds: Time for steps that are really run, ≥ 0; 0 for predictions alone.
        target_batch_size: An effective batch size wanted, for the advice on accumulation.
    Raises:
        ValueError: For a value outside these limits.
    """

    capacity: str | int | None = None
    strategy: Strategy = "estimate"
    max_batch_size: int = 512
    image_size: int | None = None
    optimizer: str | None = None
    amp: torch.dtype | Literal[False] | None = None
    checkpointing: bool | None = None
    measure_seconds: float = 20.0
    target_batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.capacity is not None:
            parse_capacity(self.capacity)
        if self.strategy not in get_args(Strategy):
            raise ValueError(f"strategy must be one of {', '.join(get_args(Strategy))}, not {self.strategy!r}")
        for name in ("max_batch_size", "image_size", "target_batch_size"):
            value, may_be_none = getattr(self, name), name != "max_batch_size"
            if value is not None or not may_be_none:
                object.__setattr__(self, name, whole_number(name, value))
        if self.optimizer is not None and self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.amp is not None and self.amp is not False and self.amp not in (torch.bfloat16, torch.float16):
            raise ValueError(f"amp must be torch.bfloat16, torch.float16, False or None, not {self.amp!r}")
        if self.checkpointing not in (None, True, False):
            raise ValueError(f"checkpointing must be True, False or None, not {self.checkpointing!r}")
        object.__setattr__(self, "measure_seconds", number("measure_seconds", self.measure_seconds, least=0))
