"""What would make one sample fit, as far as estimates confirm it."""

from __future__ import annotations

from typing import Any

from ...formats import format_memory
from ..memory.estimate import MemoryEstimate
from .what_fits.changes import HALF, ONE_AT_A_TIME, Change, compatible, single_changes

WORTH_SAYING = 0.95
"""A change that leaves more than this share of the peak, beside the context, is no help."""


def confirmed_advice(estimate: MemoryEstimate | None) -> str:
    """One sentence on what to change where not even one sample fits; "" where nothing can be told.

    Each change is estimated before it is named, at k = 1 and for the same card: by itself, and where none is enough,
    all that help together.
    """
    if estimate is None or not estimate.can_change_plan:
        return ""
    context = estimate.context_bytes
    worth_saying = context + WORTH_SAYING * (estimate.peak_bytes(1) - context)
    tried = _changes(estimate)
    known = [(change, _one_sample_with(estimate, change.plan)) for change in tried]
    helping = [(c, found) for c, found in known if found is not None and found.peak_bytes(1) <= worth_saying]
    enough = [f"{_in_words(c)} ({format_memory(e.peak_bytes(1))})" for c, e in helping if e.fits(1)]
    if enough:
        return f"One sample is predicted to fit with {', or with '.join(enough)}."
    together = _together(estimate, helping)
    if together or all(found is None for _, found in known):
        return together
    return f"None of these is predicted to make it fit: {', '.join(map(_in_words, tried))}."


def _together(estimate: MemoryEstimate, helping: list[tuple[Change, MemoryEstimate]]) -> str:
    """What all that help, and go together, do at once; "" where that is not enough."""
    changes = compatible(change for change, _ in sorted(helping, key=lambda found: found[1].peak_bytes(1)))
    if len(changes) < 2:
        return ""
    found = _one_sample_with(estimate, sum(changes[1:], changes[0]).plan)
    if found is None or not found.fits(1):
        return ""
    size = format_memory(found.peak_bytes(1))
    return f"One sample is predicted to fit with {' and '.join(map(_in_words, changes))} together ({size})."


def _one_sample_with(estimate: MemoryEstimate, change: dict[str, Any]) -> MemoryEstimate | None:
    """The estimate under a change, traced at k = 1; None where that cannot be told."""
    try:
        changed = estimate.changed(**change)
        changed.peak_bytes(1)
    except Exception:  # no number can be traced, pooling refuses small images
        return None
    return changed


def _changes(estimate: MemoryEstimate) -> list[Change]:
    """Of those of ``what_fits`` one of each kind, so that it stays a sentence: half the side, and plain SGD."""
    half = {name: round((getattr(estimate, name) or 0) * HALF) for name in ("image_size", "sequence_length")}
    wanted = {**half, "optimizer": "SGD"}
    return [
        change
        for change in single_changes(estimate, 1)
        if change.name != ONE_AT_A_TIME and all(wanted.get(n, value) == value for n, value in change.plan.items())
    ]


def _in_words(change: Change) -> str:
    if "adapters" in change.plan:
        return f"adapters ({change.plan['adapters']})"
    ((name, value),) = change.plan.items()
    words = {
        "checkpointing": "checkpointing", "amp": "mixed precision (amp)", "optimizer": f"plain {value}",
        "image_size": f"images of {value} pixels", "sequence_length": f"sequences of {value} tokens",
        "weights": "weights in bfloat16",
    }  # fmt: skip
    return words[name]
