"""What memory is divided into, and the optimizers whose share can be planned."""

from __future__ import annotations

OPTIMIZERS = ("SGD", "SGD with momentum", "Adam", "AdamW", "RMSprop", "Adafactor")


PARTS = ("context", "parameters", "gradients", "optimizer", "inputs", "activations", "temporary", "reserved")
"""What takes the memory, from below; "reserved" is held by the allocator and not in use."""
