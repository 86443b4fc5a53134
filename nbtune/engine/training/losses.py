"""What a step returns as one loss: skipped batches, losses by name, and errors that say what to write."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np
import torch

from ..errors import text_of
from ..task import batches
from ..task.rates import does_maximize
from ..task.task import Task
from .notes import Notes

SKIPPED_AT_LEAST, SKIPPED_IN_A_ROW = 8, 16
"""Batches that may be skipped before their share is looked at, and at most one after the other: a step that guards
itself against NaN skips all that come after its model has blown up."""


MIXED = "Some parameter groups have maximize=True and others do not: a lower loss is taken for the better one."


class GivesLoss(Protocol):
    """What a loss is computed with: a workpiece, or whatever stands in for one."""

    @property
    def model(self) -> Any: ...

    @property
    def loss_fn(self) -> Callable[..., Any] | None: ...

    @property
    def training_step(self) -> Callable[..., Any] | None: ...


class Losses:
    """Reads what a task's steps return, and keeps what is to be said about it.

    Args:
        task: Whose.
        optimizers: Those whose rate is looked for: where they go up, the losses' signs are reversed.
    Attributes:
        notes: What was done with losses and batches.
    """

    def __init__(self, task: Task, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        self._name, self._in_a_row = _name_of_step(task), 0
        self.notes = Notes(self._name)
        if does_maximize(optimizers):
            self.notes.said.add(f"maximize=True: of what {self._name} returns, higher is better.")
        elif any(group.get("maximize", False) for o in optimizers for group in o.param_groups):
            self.notes.said.add(MIXED)

    def is_skipped(self, returned: Any) -> bool:
        """Whether a step returned None, so that another batch is to be drawn.

        Raises:
            ValueError: When it does so for more than half of the batches.
        """
        notes = self.notes
        if returned is not None:
            notes.taken, self._in_a_row = notes.taken + 1, 0
            return False
        notes.skipped, self._in_a_row = notes.skipped + 1, self._in_a_row + 1
        is_most = notes.skipped >= SKIPPED_AT_LEAST and notes.skipped > notes.taken
        if is_most or self._in_a_row >= SKIPPED_IN_A_ROW:
            raise ValueError(
                f"{self._name} returned None for {notes.skipped} of {notes.skipped + notes.taken} batches, the last "
                f"{self._in_a_row} one after the other: None skips a batch, at most half of them. Does it end with "
                "`return loss`?"
            )
        return True

    def read(self, returned: Any, *, needs_graph: bool) -> torch.Tensor:
        """The loss, shape (); see ``checked_loss``."""
        if _is_by_name(returned):
            self._say_summed(returned)
        return checked_loss(returned, needs_graph)

    def judged(self, losses: Any, device: torch.device, tuned: str | None = None) -> torch.Tensor:
        """Of what ``update`` returned: the loss named as the tuned optimizer, or "loss", or the sum; shape ()."""
        if not isinstance(losses, Mapping):
            losses = {"loss": losses}
        if not losses:
            raise ValueError("update returned no loss: return {name: loss}")
        judged = [name for name in (tuned, "loss") if name in losses][:1] or list(losses)
        named = [losses[name] for name in judged]
        for value in named:
            if not isinstance(value, (torch.Tensor, np.ndarray, Real)) or math.prod(getattr(value, "shape", ())) != 1:
                raise TypeError(f"update must return {{name: loss}} with one number each, not {type(value).__name__}")
        if len(judged) > 1:
            self._say_summed(judged)
        values = [torch.as_tensor(v, device=device).detach().reshape(()) for v in named]
        return torch.stack([v.float() if not v.is_floating_point() else v for v in values]).sum()

    def look_for_nan(self, loss: torch.Tensor, batch: Any) -> None:
        """At the first step: whether a loss that is not finite comes of inputs that are not."""
        if bool(torch.isfinite(loss)):
            return
        floats = [t for t in batches.tensors_of(batch) if t.is_floating_point() or t.is_complex()]
        if not all(bool(torch.isfinite(t).all()) for t in floats):
            self.notes.said.add("The first batch itself holds NaN or inf.")

    def _say_summed(self, names: Iterable[Any]) -> None:
        self.notes.said.add(f"The losses that {self._name} returns ({', '.join(map(str, names))}) are summed.")


def raw_loss(workpiece: GivesLoss, batch: Any) -> Any:
    """What the user's code gives for this batch, unchecked; see ``checked_loss``.

    Raises:
        TypeError: For a batch that ``loss_fn`` cannot take, or a model without a loss of its own.
    """
    model = workpiece.model
    if workpiece.training_step is not None:
        return workpiece.training_step(model, batch)
    batch = batches.with_tensors(batch, model)
    if workpiece.loss_fn is not None:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise TypeError(
                f"loss_fn needs batches (inputs, targets), and this one is {_form(batch)}: "
                "give training_step(model, batch) -> loss instead of loss_fn"
            )
        return workpiece.loss_fn(model(batch[0]), batch[1])
    output = _output(model, batch)
    loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if loss is None and _is_by_name(output) and all("loss" in str(name) for name in output):
        return output  # as torchvision's detectors return them
    if loss is None and isinstance(output, torch.Tensor) and output.ndim == 0:
        return output  # the loss itself
    if loss is None:
        raise TypeError(
            f"no loss_fn given, and the model returned {type(output).__name__} without a .loss: "
            "give loss_fn or training_step"
        )
    return loss


def _output(model: Any, batch: Any) -> Any:
    arguments, named = tuple[Any, ...](), dict[str, Any]()
    if isinstance(batch, Mapping):
        named = dict(batch)
    else:
        arguments = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    try:
        return model(*arguments, **named)
    except TypeError as error:
        try:
            inspect.signature(model.forward).bind(*arguments, **named)
        except TypeError:
            # It was never begun: the batch has targets, and nobody said what becomes of them.
            raise TypeError(
                f"no loss_fn given, and {type(model).__name__}.forward does not take the whole batch "
                f"({_form(batch)}), as a model with a loss of its own would: give loss_fn(output, targets), or "
                "training_step(model, batch)"
            ) from error
        except ValueError:
            pass
        raise


def _form(batch: Any) -> str:
    return f"a {type(batch).__name__}" + (f" of {len(batch)}" if isinstance(batch, (tuple, list, Mapping)) else "")


def checked_loss(loss: Any, needs_graph: bool) -> torch.Tensor:
    """One loss, shape ().

    Args:
        loss: A tensor of one number; {"loss": tensor, ...} or an object with ``.loss``; a dict of losses, which are
            summed; or (loss, others), where no other is one number.
        needs_graph: Whether it is to be differentiated.
    Raises:
        TypeError, ValueError: For anything else, saying what to write.
    """
    loss = _of_form(loss, needs_graph)
    if not isinstance(loss, torch.Tensor):
        raise TypeError(f"the loss must be a tensor, not {type(loss).__name__}{_hint(loss)}")
    if loss.numel() != 1:
        raise ValueError(f"the loss has shape {tuple(loss.shape)} and must be one number: take its mean()")
    if loss.is_complex() or (needs_graph and not loss.is_floating_point()):
        raise TypeError(f"the loss is {_kind_of(loss)}")
    if needs_graph and not loss.requires_grad:
        raise ValueError(
            "the loss does not depend on any trainable parameter (it has no graph): was it detached, or computed under "
            "torch.no_grad()?"
        )
    return loss if loss.ndim == 0 else loss.reshape(())


def _hint(loss: Any) -> str:
    if isinstance(loss, np.ndarray):
        return "; leave .numpy() out"
    return "; leave .item() out"


def _kind_of(loss: torch.Tensor) -> str:
    name = str(loss.dtype).removeprefix("torch.")
    if loss.is_complex():
        return f"{name}, which has no lowest: return its .real or its .abs()"
    return f"{name}, which has no derivative: return a loss such as cross_entropy, not a count of errors or an accuracy"


def _of_form(loss: Any, needs_graph: bool) -> Any:
    if isinstance(loss, torch.Tensor):
        return loss
    if isinstance(loss, Mapping):
        return loss["loss"] if "loss" in loss else _sum(loss, needs_graph)
    if isinstance(loss, (tuple, list)):
        numbers = [one for one in loss if isinstance(one, torch.Tensor) and one.numel() == 1]
        if not numbers or numbers[0] is not loss[0] or len(numbers) > 1:
            raise TypeError(f"the step returned {_form(loss)}: return the loss alone, or a dict with it as 'loss'")
        return loss[0]
    return getattr(loss, "loss", loss)


def _is_by_name(losses: Any) -> bool:
    """Whether they are losses by name, none of them the "loss" itself."""
    is_named = isinstance(losses, Mapping) and "loss" not in losses and bool(losses)
    return is_named and all(isinstance(v, torch.Tensor) and v.numel() == 1 for v in losses.values())


def _sum(losses: Mapping[str, Any], needs_graph: bool) -> torch.Tensor:
    numbers = [name for name, v in losses.items() if not isinstance(v, torch.Tensor) or v.numel() != 1]
    # A number beside the losses (an accuracy) would be summed with them, and be judged.
    numbers = numbers or [name for name, v in losses.items() if needs_graph and not v.requires_grad]
    if numbers or not losses:
        what = f"{numbers[0]!r}, which is no loss to be summed" if numbers else "nothing"
        raise TypeError(f'the step returned a dict with {what}: return {{"loss": loss, ...}}, or the loss alone')
    first, *others = (value.reshape(()) for value in losses.values())
    total: torch.Tensor = sum(others, start=first)
    return total


def explained(error: Exception, batch: Any, dtype: torch.dtype | None) -> None:
    """Add to a user's error what it does not say: the batch's shapes, and what to do about another dtype.

    Args:
        error: Raised by the forward or the backward pass.
        batch: It was about.
        dtype: Of the first parameter.
    """
    error.add_note(f"nbtune: the batch was {batches.shapes(batch)}")
    words = text_of(error)
    if any(part in words for part in _ABOUT_INDICES):
        hint = "whole numbers are needed where these are given: convert labels and indices with .long()"
    elif _NUMPY in words:
        hint = "the batch holds NumPy arrays: make tensors of them, such as torch.from_numpy(inputs).float()"
    else:
        given = {t.dtype for t in batches.tensors_of(batch)} - {dtype}
        if dtype is None or not given or not any(part in words for part in _ABOUT_DTYPES):
            return
        others = ", ".join(sorted(str(d).removeprefix("torch.") for d in given))
        hint = (
            f"the batch holds {others}, and the weights are {str(dtype).removeprefix('torch.')}: convert its inputs "
            f"(or float targets) with {'.float()' if dtype == torch.float32 else f'.to({dtype})'}"
        )
    error.args = (f"{hint}. ({words})",)


_NUMPY = "must be Tensor, not num"
_ABOUT_INDICES = ("scalar type Long but", "target dtype to be Long", "argument #1 'indices'")
_ABOUT_DTYPES = (
    "same dtype", "same datatype", "expected scalar type", "should be the same", "Found dtype", "does not match weight",
    "can't be cast to the desired output type",
)  # fmt: skip
"""Of PyTorch 2's messages about types that differ: of products, convolutions, norms, losses, the backward pass."""


def _name_of_step(task: Task) -> str:
    name = next((n for n in ("update", "training_step", "loss_fn") if getattr(task, n) is not None), None)
    return "the model" if name is None else f"your {name}"
