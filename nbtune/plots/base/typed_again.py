"""What the engine knows and this layer, which does not import it, has to know as well. Tests compare the two."""

from __future__ import annotations

ROUND_ENDS = (5, 12, 30, 45, 70, 100)
"""Steps after which a race's rounds end."""

SETTLED_END = 45
"""The last step of a race whose order is settled by then."""

CLEAR_PART = 0.05
"""By which part of the loss at the start a rate must lie below it to be ahead."""

FIRST_SAMPLES = 16
"""The first point of a comparison's curve holds at least as many."""

PARTS = ("context", "parameters", "gradients", "optimizer", "inputs", "activations", "temporary", "reserved")
"""Of the memory, from below, so that what grows with k lies on top."""
