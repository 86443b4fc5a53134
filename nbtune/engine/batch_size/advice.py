"""What would make one sample fit, as far as estimates confirm it."""

from __future__ import annotations

from typing import Any

from ...formats import format_memory
from ..memory.estimate import MemoryEstimate
from .what_fits.changes import HALF, single_changes

WORTH_SAYING = 0.95
"""A change that leaves more than this share of the peak, beside the context, is no help."""


def confirmed_advice(estimate: MemoryEstimate | None) -> str:
    """One sentence on what to change where not even one sample fits; "" where nothing can be told.

    Each change is estimated before it is named, at k = 1 and for the same card: by itself, and where none is enough,
    all that help together.
    """
    if estimate is None:
        return ""
    context = estimate.context_bytes
    worth_saying = context + WORTH_SAYING * (estimate.peak_bytes(1) - context)
    enough, helping = [], dict[str, Any]()
    for words, change in _changes(estimate):
        found = _one_sample_with(estimate, change)
        if found is None or found.peak_bytes(1) > worth_saying:
            continue
        helping[words] = change
        enough += [f"{words} ({format_memory(found.peak_bytes(1))})"] if found.fits(1) else []
    if enough:
        return f"One sample is predicted to fit with {', or with '.join(enough)}."
    return _together(estimate, helping)


def _together(estimate: MemoryEstimate, helping: dict[str, Any]) -> str:
    changes = {name: value for change in helping.values() for name, value in change.items()}
    found = _one_sample_with(estimate, changes) if len(helping) > 1 else None
    if found is not None and found.fits(1):
        size = format_memory(found.peak_bytes(1))
        return f"One sample is predicted to fit with {' and '.join(helping)} together ({size})."
    tried = ", ".join(words for words, _ in _changes(estimate))
    known = any(_one_sample_with(estimate, change) is not None for _, change in _changes(estimate))
    return f"None of these is predicted to make it fit: {tried}." if known else ""


def _one_sample_with(estimate: MemoryEstimate, change: dict[str, Any]) -> MemoryEstimate | None:
    """The estimate under a change, traced at k = 1; None where that cannot be told."""
    try:
        changed = estimate.changed(**change)
        changed.peak_bytes(1)
    except Exception:  # no number can be traced, pooling refuses small images
        return None
    return changed


def _changes(estimate: MemoryEstimate) -> list[tuple[str, dict[str, Any]]]:
    """Of those of ``what_fits`` one of each kind, so that it stays a sentence: half the side, and plain SGD."""
    changes = [change.plan for change in single_changes(estimate, 1)]
    half = {name: round((getattr(estimate, name) or 0) * HALF) for name in ("image_size", "sequence_length")}
    wanted = {**half, "optimizer": "SGD"}
    chosen = [c for c in changes if all(wanted.get(name, value) == value for name, value in c.items())]
    return [(_in_words(change), change) for change in chosen if set(change) != {"foreach"}]


def _in_words(change: dict[str, Any]) -> str:
    if "adapters" in change:
        return f"adapters ({change['adapters']})"
    ((name, value),) = change.items()
    words = {
        "checkpointing": "checkpointing", "amp": "mixed precision (amp)", "optimizer": f"plain {value}",
        "image_size": f"images of {value} pixels", "sequence_length": f"sequences of {value} tokens",
        "weights": "weights in bfloat16",
    }  # fmt: skip
    return words[name]
