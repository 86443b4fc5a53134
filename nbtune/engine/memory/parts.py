"""What memory is divided into, and what a step can be planned with."""

from __future__ import annotations

from typing import Any

import torch

from ..checks import choice, whole_number

OPTIMIZERS = ("SGD", "SGD with momentum", "Adam", "AdamW", "RMSprop", "Adafactor")


PARTS = ("context", "parameters", "gradients", "optimizer", "inputs", "activations", "temporary", "reserved")
"""What takes the memory, from below; "reserved" is held by the allocator and not in use."""

CHANGES = (
    "image_size", "sequence_length", "amp", "checkpointing", "optimizer", "foreach", "weights", "adapters",
)  # fmt: skip
"""What ``MemoryEstimate.changed`` takes."""

PARTS_OF_TENSORS = ("parameters", "gradients", "optimizer", "activations", "inputs", "temporary")
"""What a step itself makes."""


def check_plan(
    *,
    image_size: Any = None,
    sequence_length: Any = None,
    amp: Any = None,
    checkpointing: Any = None,
    optimizer: Any = None,
    foreach: Any = None,
    weights: Any = None,
    adapters: Any = None,
) -> None:
    """Whether a step can be planned with these, each as in ``estimate_memory`` or ``Plan``; None for as it is.

    Raises:
        ValueError: For anything else.
    """
    if image_size is not None:
        whole_number("image_size", image_size)
    if sequence_length is not None:
        whole_number("sequence_length", sequence_length)
    choice("amp", amp, (torch.bfloat16, torch.float16, False, None))
    choice("checkpointing", checkpointing, (True, False, None))
    choice("foreach", foreach, (True, False, None))
    choice("weights", weights, (torch.bfloat16, torch.float16, torch.float32, None))
    choice("adapters", adapters, ("LoRA", "QLoRA", None))
    choice("optimizer", optimizer, (*OPTIMIZERS, None))


def check_changes(**changes: Any) -> None:
    """The same of changes to a plan, by their names.

    Raises:
        TypeError: For another name.
        ValueError: For anything else that can't be.
    """
    if unknown := set(changes) - set(CHANGES):
        raise TypeError(f"changed takes {', '.join(CHANGES)}, not {', '.join(sorted(unknown))}")
    check_plan(**changes)
