"""What is to be said of a run besides its answer, by whoever noticed: it becomes the result's ``caveats``.

That is what was done with the user's losses and batches, and what the lack of memory has led to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Notes:
    """Of one trainer, as it goes; read from other threads meanwhile (see ``told``).

    Attributes:
        step: What returns the losses, such as "your training_step".
        said: Sentences.
        skipped: Batches for which a step returned None.
        taken: Those for which it returned a loss.
    """

    step: str
    said: set[str] = field(default_factory=set)
    skipped: int = 0
    taken: int = 0


def told(notes: Iterable[Notes]) -> set[str]:
    """The sentences of all trainers of a run, each once; skipped batches are added up.

    Examples:
        >>> told([Notes("your loss_fn", skipped=2, taken=8), Notes("your loss_fn", skipped=1, taken=9)])
        {'Batches for which your loss_fn returned None were skipped: 3 of 20.'}
    """
    every = list(notes)
    skipped = sum(one.skipped for one in every)
    found = set[str]().union(*(one.said.copy() for one in every))  # they grow in the thread that trains
    if skipped:
        asked = skipped + sum(one.taken for one in every)
        found.add(f"Batches for which {every[0].step} returned None were skipped: {skipped} of {asked}.")
    return found
