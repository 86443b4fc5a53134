"""Who may train a model, and on what: a copy, or the model itself with a backup."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import torch

from ..interrupts import held_back, to_the_end
from ..task.ingredients import parameters_of
from ..task.task import NO_NUMBERS, Task
from .backup import Backup, optimizer_backup, put_back_groups
from .copies import Workpiece, copied, is_copyable
from .holdings import bytes_in, gradient_bytes, state_bytes, training_bytes
from .kept import tree_of
from .room import HOST, Ledger, check_training_fits, free_text, keeper_for

_held: dict[int, Ledger] = {}  # by the ids of the parameters that runs of this process work on: what those runs hold
_held_lock = threading.Lock()


class ModelBusyError(RuntimeError):
    """Another nbtune run is working on these parameters."""


@contextmanager
def borrowed(task: Task) -> Iterator[Workpiece]:
    """The task's model and optimizer to train; afterwards everything is as it was.

    Raises:
        ModelBusyError: While another run holds any of the same parameters.
        NotEnoughMemoryError: Where there is room neither for a copy nor for a backup, in memory or on disk.
    """
    with held(task), lent(task) as workpiece:
        yield workpiece


@contextmanager
def held(task: Task) -> Iterator[None]:
    """Keeps other runs off the task's parameters; afterwards what ``preserve`` names is as it was.

    Raises:
        ModelBusyError: While another run holds any of the same parameters.
        NotEnoughMemoryError: Where there is no room for what ``preserve`` names.
        ValueError: For a model without numbers, on the meta device.
    """
    if task.device.type == "meta":
        raise ValueError(NO_NUMBERS)
    with _hold(task), _preserved(task):
        yield


@contextmanager
def lent(
    task: Task, *, in_place: bool = False, has_room: bool = False, backups: Backups | None = None
) -> Iterator[Workpiece]:
    """A workpiece in the task's present state, while the task is ``held``.

    A copy is trained when it can be made and fits, so that the user's own model stays usable meanwhile; several may be
    lent at once. Else (and with ``in_place``) the model itself is, by one borrower at a time, with a backup in host
    memory, or on disk where that is too small.

    Args:
        task: Whose.
        in_place: Whether no copy is wanted.
        has_room: That there is memory for the copy is known already (see ``copies_at_once``).
        backups: The backup that several borrowers share, one after the other.
    Raises:
        NotEnoughMemoryError: Where there is room neither for a copy nor for a backup.
    """
    with held_back(), torch.inference_mode(False):
        beside = 0 if in_place else _beside_of_copy(task)
        workpiece = None if in_place else _copied(task, beside, has_room=has_room)
    if workpiece is not None:
        with ledger_of(task).holding(task.device, beside):
            yield workpiece
        return
    with ExitStack() as undo:
        kept = backups or undo.enter_context(closing(Backups()))
        # Gradients that are there will give way to the run's own.
        check_training_fits(task.device, training_bytes(task) - gradient_bytes(task))
        backup = kept.of(task)
        try:
            backup.set_gradients_aside()
            yield Workpiece(
                task.model, task.optimizer, task.loss_fn, task.training_step, task.update, False, kept.note
            )  # fmt: skip
        finally:
            backup.put_back()


def copy_of(task: Task) -> Workpiece | None:
    """Deep copies of everything that holds parameters, made together so that they still refer to each other.

    Args:
        task: Held.
    Returns:
        None where there is no room for them, or they cannot be made.
    """
    return _copied(task, _beside_of_copy(task), has_room=False)


def _copied(task: Task, beside_bytes: int, *, has_room: bool) -> Workpiece | None:
    if not is_copyable(task) or not (has_room or ledger_of(task).has_room(task.device, beside_bytes)):
        return None
    return copied(task)


class Backups:
    """The backup of a task's own objects, made when it is first needed, and kept for the next one who does.

    Attributes:
        note: Where it is, a sentence, if memory was short; else "".
    """

    def __init__(self) -> None:
        self._backup: Backup | None = None
        self._undo = ExitStack()
        self.note = ""

    def of(self, task: Task) -> Backup:
        """The task's state as it was when first asked for.

        Raises:
            NotEnoughMemoryError: Where there is room for it neither in memory nor on disk.
        """
        if self._backup is None:
            try:
                self._backup = self._made(task)
            except BaseException:
                self._undo.close()
                raise
        return self._backup

    def _made(self, task: Task) -> Backup:
        what, needed, free = "a backup of your model's state", _backup_bytes(task), free_text()
        keeper = self._undo.enter_context(closing(keeper_for(needed, ledger_of(task), what, _grads_beside(task))))
        backup = Backup(task, keeper)
        if backup.is_on_disk:
            self.note = f"Your own model was trained, with a backup on disk: {free} of memory were free."
        else:
            self._undo.enter_context(ledger_of(task).holding(HOST, needed))
        return backup

    def close(self) -> None:
        """Let go of it."""
        self._undo.close()
        self._backup = None


def copies_at_once(task: Task) -> int:
    """How many training runs fit at once, each on a copy with gradients and moments of its own; at least one."""
    each, spare = _state_bytes(task) + training_bytes(task), ledger_of(task).spare_bytes(task.device)
    if spare is None:
        return 1
    if task.device.type == "cpu":  # where what plain training takes itself is not counted
        spare += training_bytes(task) - gradient_bytes(task)
    return max(1, spare // max(1, each))


def ledger_of(task: Task) -> Ledger:
    """What the runs on a held task's parameters hold; an empty one where nobody holds it."""
    return next((_held[id(p)] for p in parameters_of(task) if id(p) in _held), None) or Ledger()


def _state_bytes(task: Task) -> int:
    """Looked up once while the task is held: of many modules that takes as long as a step."""
    ledger = ledger_of(task)
    if ledger.state_bytes is None:
        ledger.state_bytes = state_bytes(task)
    return ledger.state_bytes


def _beside_of_copy(task: Task) -> int:
    """What a copy holds beside plain training, whose gradients and moments the first copy's stand for on the host."""
    held = _state_bytes(task)
    if task.device.type == "cpu" and not ledger_of(task).held_bytes(task.device):
        return held + gradient_bytes(task)
    return held + training_bytes(task)


def _backup_bytes(task: Task) -> int:
    return _state_bytes(task) + gradient_bytes(task)


def _grads_beside(task: Task) -> int:
    """Of a backup in memory: gradients that are set aside on the host stay where they are."""
    return gradient_bytes(task) if task.device.type == "cpu" else 0


@contextmanager
def _hold(task: Task) -> Iterator[None]:
    wanted = {id(p) for p in task.parameters}
    with _held_lock:
        if wanted & set(_held):
            raise ModelBusyError("another nbtune run is using this model: stop it, or wait until it has ended")
        _held.update(dict.fromkeys(wanted, Ledger()))
    try:
        yield
    finally:
        with _held_lock:
            for one in wanted:
                _held.pop(one, None)


@contextmanager
def _preserved(task: Task) -> Iterator[None]:
    """Put back what ``preserve`` names, and the groups of the user's optimizer, which a scheduler in it changes."""
    with ExitStack() as undo:  # one that fails keeps none of the others from being put back
        for optimizer in task.optimizers.values() if task.preserve else ():
            undo.callback(to_the_end, put_back_groups, optimizer, optimizer_backup(optimizer)[0])
        for thing in task.preserve:
            state = thing.state_dict()
            needed = bytes_in(state)
            keeper = undo.enter_context(closing(keeper_for(needed, ledger_of(task), "what preserve= names")))
            if not keeper.is_on_disk:
                undo.enter_context(ledger_of(task).holding(HOST, needed))
            undo.callback(
                to_the_end, _load, thing, tree_of(state, keeper.keep) if keeper.is_on_disk else copy.deepcopy(state)
            )
        yield


def _load(thing: Any, saved: Any) -> None:
    thing.load_state_dict(tree_of(saved, lambda kept: kept if isinstance(kept, torch.Tensor) else kept.made()))
