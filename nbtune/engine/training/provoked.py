"""Errors that a learning rate provokes, told from faults of the user's own code.

A rate that blows up does not always end in a loss that is not finite: distributions refuse a NaN scale, ``math.exp``
overflows, a guard in the step raises. Such an error is that rate's divergence: the rate leaves, others go on, and what
it said is kept. All else is the user's, and is raised. An error is taken for a rate's own where all of this holds:

- at least one update at that rate came before it (before, no weight is other than the user's own);
- the very step raises again, on the same batches: a fault that comes once, or with the n-th call, is no rate's;
- the same step goes well elsewhere. In a race: at a lower rate, or at least not at the same step at every rate that is
  still in, and without training (the control). In a sweep: all steps to there go well at the lowest rate. In a
  comparison: the batches go well with the weights of the start, and not every run ends with an error.

What the data loader raises, and what the memory does, is never a rate's.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

from ..device import out_of_memory
from ..errors import first_line
from ..task.task import Task
from .feeds import GivenBatches
from .trainer import LOADING, Trainer
from .workpiece import copy_of

_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """What a rate's step raised.

    Attributes:
        step: How many steps the rate had taken before.
        error: As raised; its frames hold nothing any more.
    """

    step: int
    error: Exception

    @property
    def words(self) -> str:
        """The error in one line."""
        return words_of(self.error)


def may_be_provoked(error: Exception, trainer: Trainer) -> bool:
    """Whether an error that a trainer's step has just raised may be its rate's: see this module.

    The step is repeated, on the same batches; the trainer is of no other use afterwards.
    """
    kind = out_of_memory.kind_of(error)
    # After a CUDA error nothing can be repeated on that card; elsewhere it is a word like any other.
    is_memorys = kind != "other" and (kind != "sticky" or trainer.is_on_cuda)
    if is_memorys or trainer.waiting_for == LOADING or not trainer.steps_taken:
        return False
    traceback.clear_frames(error.__traceback__)  # they hold the step's tensors
    return trainer.fails_again()


def goes_well_at_the_start(task: Task, given: list[Any], lr: float) -> bool:
    """Whether one step at η = ``lr`` on these batches raises nothing, on another copy of the task's present state.

    Where there is no room for one, or for its step, that is taken to be so.
    """
    workpiece = copy_of(task)
    if workpiece is None:
        return True
    fresh = Trainer(task, workpiece, GivenBatches(given), is_first=False)
    try:
        fresh.step(lr)
    except Exception as error:
        return is_of_memory(error)
    finally:
        fresh.close()
    return True


def is_of_memory(error: Exception) -> bool:
    """Whether a check of another error found no memory for itself, so that it says nothing against the steps before."""
    return out_of_memory.kind_of(error) == "out of memory"


def words_of(error: Exception) -> str:
    """``ValueError: its message``, the first line of it and no more than a hundred characters."""
    name, first = type(error).__name__, first_line(error)
    text = name if first == name else f"{name}: {first}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
