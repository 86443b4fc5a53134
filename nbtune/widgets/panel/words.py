"""What every tool's panel says before its first run."""

from __future__ import annotations

from ...engine import Task
from .view import Sentence


def idle_sentence(task: Task) -> Sentence:
    """What Start does, how the data were taken, and what of them a run uses up."""
    said = [f"Data: {task.data_form}.", *task.caveats]
    return [
        ["Press Start. Your model is put back as it was afterwards.", ""],
        *([f" {sentence}", "muted"] for sentence in said),
    ]
