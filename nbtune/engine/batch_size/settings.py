"""What a search for batch sizes is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from ..checks import choice, flag, number, whole_number
from ..memory.cards import parse_capacity
from ..memory.parts import check_plan

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
        sequence_length: Tokens in each sample, of data that are tokens; None for as many as they have.
        optimizer: One of ``nbtune.engine.memory.parts.OPTIMIZERS`` to plan with; None for the task's own.
        amp: dtype of autocast to plan with, False for none; None for the task's.
        checkpointing: Whether activations are recomputed in the backward pass; None for as the model is.
        measure_seconds: Time for steps that are really run, ≥ 0; 0 for predictions alone.
        target_batch_size: An effective batch size wanted, for the advice on accumulation.
        evaluation: Predict batches of an evaluation between two steps of training (no gradients), not of training.
    Raises:
        TypeError, ValueError: For a value outside these limits.
    """

    capacity: str | int | None = None
    strategy: Strategy = "estimate"
    max_batch_size: int = 512
    image_size: int | None = None
    sequence_length: int | None = None
    optimizer: str | None = None
    amp: torch.dtype | Literal[False] | None = None
    checkpointing: bool | None = None
    measure_seconds: float = 20.0
    target_batch_size: int | None = None
    evaluation: bool = False

    def __post_init__(self) -> None:
        if self.capacity is not None:
            parse_capacity(self.capacity)
        object.__setattr__(self, "strategy", choice("strategy", self.strategy, get_args(Strategy)))
        for name in ("max_batch_size", "image_size", "sequence_length", "target_batch_size"):
            value, may_be_none = getattr(self, name), name != "max_batch_size"
            if value is not None or not may_be_none:
                object.__setattr__(self, name, whole_number(name, value))
        check_plan(amp=self.amp, checkpointing=self.checkpointing, optimizer=self.optimizer)
        object.__setattr__(self, "evaluation", flag("evaluation", self.evaluation))
        object.__setattr__(self, "measure_seconds", number("measure_seconds", self.measure_seconds, least=0))
