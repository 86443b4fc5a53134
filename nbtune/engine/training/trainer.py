"""One training step as the task says it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from ..device.host_fence import fenced
from ..interrupts import held_back, let_through
from ..task import batches
from ..task.rates import does_maximize, lr_setter, rate_of_its_own
from ..task.task import Task
from .copies import Workpiece
from .copy_watch import CopyWatch, check_graph
from .feeds import Feed, LoaderFeed, first_batches
from .loader_state import LoaderState
from .losses import Losses, explained, raw_loss
from .modes import Modes
from .notes import Notes
from .random_streams import RandomStreams
from .room import Headroom
from .workpiece import borrowed, ledger_of

LOADING, STEPPING = "the next batch from the data loader", "the training step"
_NO_AUTOCAST = nullcontext()


@contextmanager
def trainer(task: Task, *, tuned: str | None = None, is_fenced: bool = False) -> Iterator[Trainer]:
    """A ``Trainer`` on borrowed objects; afterwards everything is as it was (see ``borrowed``)."""
    with borrowed(task) as workpiece:
        loader_state = LoaderState(task.loader)
        made = Trainer(task, workpiece, LoaderFeed(task.loader, loader_state), tuned=tuned, is_fenced=is_fenced)
        try:
            yield made
        finally:
            made.close()
            loader_state.put_back()


class Trainer:
    """Takes training steps on a workpiece.

    Args:
        task: What is tuned.
        workpiece: What it trains.
        feed: The batches; closed with the trainer.
        seed: Of the run's random numbers.
        tuned: The name of the optimizer whose rate is set; None for all, their ratios kept.
        is_first: Whether no other trainer of the same run has shown that the user's code trains what it is given.
        is_fenced: Whether the first step may be too large for the host, as with more samples than the user's own have;
            it then raises an error before the system ends the process.
    Attributes:
        workpiece: What it trains.
        waiting_for: What the step under way is doing, in words, for whoever waits for it from another thread.
    """

    def __init__(
        self,
        task: Task,
        workpiece: Workpiece,
        feed: Feed,
        seed: int = 0,
        *,
        tuned: str | None = None,
        is_first: bool = True,
        is_fenced: bool = False,
    ) -> None:
        self.waiting_for = LOADING
        self.workpiece = workpiece
        self._task, self._workpiece, self._feed = task, workpiece, feed
        self._is_watched, self._is_fenced = is_first and workpiece.is_copy, is_fenced
        self._optimizers = workpiece.optimizers
        self._tuned, asked = tuned, workpiece.optimizers if tuned is None else [workpiece.optimizer[tuned]]
        self._set_lr, self._is_reversed = lr_setter(asked), does_maximize(asked)
        self._streams, self._held_out_streams = RandomStreams(task.device, seed), RandomStreams(task.device, seed)
        self._seed = seed
        self._scaler = torch.amp.GradScaler(task.device.type) if task.amp == torch.float16 else None
        self._losses = Losses(task, asked)
        self.notes.said.update(filter(None, [workpiece.note, *map(rate_of_its_own, asked)]))
        self._dtype = next((p.dtype for p in task.parameters), None)
        self._headroom = Headroom(task.device, ledger_of(task))
        self._steps_taken = 0
        self._lr = 0.0
        self._of_this_step: list[Any] = []
        self._again: list[Any] = []
        self._is_in_step = False
        self._needs_grad_to_look: bool | None = None  # until it has looked for the first time
        self._modes = Modes(workpiece.models, workpiece.optimizers)

    @property
    def notes(self) -> Notes:
        """What was done with the user's losses and batches (skipped, summed, reversed), and for want of memory."""
        return self._losses.notes

    def step(self, lr: float) -> torch.Tensor:
        """Train one step at η = ``lr``.

        Where a step returns None, its batch is skipped and another one is drawn.

        Returns:
            The loss before the update, detached, on the task's device, shape (). It is always one to be lowered: of an
            optimizer with ``maximize=True`` what the user's code returned with its sign reversed.
        Raises:
            TypeError, ValueError: For batches or losses of the wrong form, saying what to do.
            NotEnoughMemoryError: Where next to nothing is left of the host's memory.
            RuntimeError: When the user's code trains the global model instead of the one it is given.
            Exception: Whatever the user's code raises, with a note on the batch's shapes.
        """
        with self.stretch(lr):
            return self.take_step()

    @contextmanager
    def stretch(self, lr: float) -> Iterator[None]:
        """Steps at η = ``lr`` with what surrounds them done once, which costs as much as a small step itself.

        ``with trainer.stretch(lr): loss = trainer.take_step()`` as often as wanted; no yield inside. The caller's
        random streams are out of reach meanwhile, so it should last no longer than some hundredths of a second.
        """
        self._headroom.check()
        self._lr = lr
        self._set_lr(lr)
        self._is_in_step = True
        with self._streams, torch.inference_mode(False) if torch.is_inference_mode_enabled() else torch.enable_grad():
            try:
                yield
            finally:
                self._feed.mark()
                self._is_in_step = False

    @property
    def is_on_cuda(self) -> bool:
        """Whether it trains on a CUDA card."""
        return self._task.device.type == "cuda"

    @property
    def steps_taken(self) -> int:
        """How many updates came to their end."""
        return self._steps_taken

    @property
    def batches_of_step(self) -> list[Any]:
        """Of the step that has just raised: the batches it had drawn."""
        return list(self._of_this_step)

    def fails_again(self) -> bool:
        """Whether the step that has just raised raises once more, on the same batches."""
        self._again, self._of_this_step = self._of_this_step, []
        try:
            self.step(self._lr)
        except Exception:
            return True
        return False

    def take_step(self) -> torch.Tensor:
        """One step inside a ``stretch``; returns and raises as ``step`` does."""
        loss = self._first_trained() if self._steps_taken == 0 else self._trained()
        self._of_this_step = []
        self._steps_taken += 1
        return self._lowered(loss)

    def _first_trained(self) -> torch.Tensor:
        with ExitStack() as around:
            if self._is_watched:
                around.enter_context(CopyWatch(self._task, self._workpiece))
            if self._is_fenced:
                around.enter_context(fenced(self._task.device))
            return self._trained()

    def _trained(self) -> torch.Tensor:
        with let_through():
            return self._forward_backward_step() if self._workpiece.update is None else self._update()

    def look(self) -> torch.Tensor:
        """The loss of the next step's batches without a step, in training mode, inside a ``stretch``; shape ()."""
        with let_through():
            losses = [self._look_at_next() for _ in range(self._task.accumulate)]
        self._of_this_step = []
        return self._lowered(losses[0] if len(losses) == 1 else torch.stack(losses).mean())

    def _look_at_next(self) -> torch.Tensor:
        while (loss := self._loss_alone(self._next_batch())) is None:
            pass
        return loss

    def _loss_alone(self, batch: Any) -> torch.Tensor | None:
        if self._needs_grad_to_look is None:
            kept = batches.with_own_containers(batch, clones=True)
            try:
                with torch.no_grad():
                    loss = self._loss(batch, needs_graph=False)
                self._needs_grad_to_look = False
                return loss
            except RuntimeError:
                # A loss with derivatives in it (a gradient penalty) has none without a graph.
                self._needs_grad_to_look, batch = True, kept
        with torch.set_grad_enabled(self._needs_grad_to_look):
            loss = self._loss(batch, needs_graph=False)
            return None if loss is None else loss.detach()

    def evaluate(self, held_out: list[Any]) -> torch.Tensor:
        """Mean loss over ``held_out`` batches in eval mode, shape (); modes are put back."""
        return self.losses_on(held_out).mean()

    def losses_on(self, held_out: list[Any]) -> torch.Tensor:
        """The loss on each of ``held_out`` in eval mode, shape (batches,) without those skipped; modes are put back."""
        # Streams of their own, from their beginning: what is drawn here must not move the training's, and two looks
        # are compared.
        self._held_out_streams = RandomStreams(self._task.device, self._seed)
        with self._held_out_streams, torch.no_grad(), self._modes.evaluating(), let_through():
            losses = [self._loss(b, needs_graph=False, is_training=False) for b in held_out]
            return self._lowered(torch.stack([loss.float() for loss in losses if loss is not None]))

    def fixed_batches(self, loader: Any, count: int) -> list[Any]:
        """The first ``count`` batches of a loader (all, if there are fewer), on the task's device.

        Raises:
            ValueError: When there is none.
        """
        found = first_batches(loader, count, self._held_out_streams)
        if not found:
            raise ValueError("the validation data yield no batch (an iterator that is used up?)")
        return [batches.to_device(batch, self._task.device) for batch in found]

    @held_back()
    def close(self) -> None:
        """Let go of the loader's workers, and undo what an interrupt has left half done."""
        self._streams.put_back()
        self._held_out_streams.put_back()
        if self._is_in_step:
            self._feed.mark()
        self._feed.close()

    def _lowered(self, loss: torch.Tensor) -> torch.Tensor:
        """What is to be lowered: everything that judges losses takes the lowest for the best."""
        return -loss if self._is_reversed else loss

    def _next_batch(self) -> Any:
        self.waiting_for = LOADING
        batch = self._again.pop(0) if self._again else next(self._feed)
        self.waiting_for = STEPPING
        self._of_this_step.append(batch)  # no copy: a step that writes into its batch repeats it as it left it
        return batches.to_device(batch, self._task.device)

    def _update(self) -> torch.Tensor:
        assert self._workpiece.update is not None
        while True:
            batch = self._next_batch()
            try:
                losses = self._workpiece.update(self._workpiece.model, self._workpiece.optimizer, batch)
            except Exception as error:
                explained(error, batch, self._dtype)
                raise
            if not self._losses.is_skipped(losses):
                return self._losses.judged(losses, self._task.device, self._tuned)

    def _forward_backward_step(self) -> torch.Tensor:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        total: torch.Tensor | None = None
        for _ in range(self._task.accumulate):
            loss = self._backward()
            total = loss.detach() if total is None else total + loss.detach()
        for optimizer in self._optimizers:
            optimizer.step() if self._scaler is None else self._scaler.step(optimizer)
        if self._scaler is not None:
            self._scaler.update()
        assert total is not None
        return total

    def _backward(self) -> torch.Tensor:
        """The share of the next batch in the loss of this step, its gradients added to those that are there."""
        while (loss := self._loss(batch := self._next_batch())) is None:
            pass
        if self._task.accumulate > 1:
            loss = loss / self._task.accumulate
        try:
            (loss if self._scaler is None else self._scaler.scale(loss)).backward()
        except Exception as error:
            explained(error, batch, self._dtype)
            raise
        return loss

    def _loss(self, batch: Any, *, needs_graph: bool = True, is_training: bool = True) -> torch.Tensor | None:
        """The loss of a batch; None where the user's code skips it, which counts among those of the training alone."""
        amp = self._task.amp
        try:
            with _NO_AUTOCAST if amp is None else torch.autocast(self._task.device.type, dtype=amp):
                returned = raw_loss(self._workpiece, batch)
        except Exception as error:
            explained(error, batch, self._dtype)
            raise
        if returned is None if not is_training else self._losses.is_skipped(returned):
            return None
        loss = self._losses.read(returned, needs_graph=needs_graph)
        if self._steps_taken == 0 and needs_graph:
            self._losses.look_for_nan(loss, batch)
            if self._is_watched:
                check_graph(loss, {id(p) for p in self._task.parameters}, self._task)
        return loss
