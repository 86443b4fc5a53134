"""The tapes behind an estimate, traced on the first rung of a ladder that holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ..errors import first_line
from ..task.task import Task
from .architecture import Architecture
from .blocks import blocks_of
from .layers import owned_parameters
from .real_tape import cuda_is_needed, tape_of_real_steps
from .rehearsal.place import is_without_cuda
from .rehearsal.recording import Recording
from .rehearsal.rehearse import Plan, Stage, rehearse
from .replay.allocator import CapacityError
from .replay.tape import Moment, NotAlikeError, Tape, add_up, fullest, replay
from .samples import NotPredictableError, Samples
from .sharding.plan import Sharding
from .sharding.wrapped import devices_of
from .surroundings import Room, is_recurrent, room_on_card

TRACED_AT = (2, 3)
MARGIN_OF_RETRIES = 0.06
CHECKED_AT = 129
"""The law found at the two small sizes must hold here too, else each size is traced by itself."""


class Source:
    """The tapes behind an estimate, made when they are first needed."""

    def __init__(self, task: Task, samples: Samples, plan: Plan) -> None:
        self.task, self.samples, self.plan = task, samples, plan
        self._traced_for = plan.architecture
        self.method = ""
        self._caveats: tuple[str, ...] = ()
        self._tape: Tape | None = None
        self._beside = 0
        self._is_lawful = False  # whether one tape serves every k of the plan that this one was changed from
        self._first: Recording | None = None
        self._tapes: dict[int, Tape] = {}
        self._moments: dict[int, Moment] = {}
        self._evaluation: Source | None = None
        self._changed: dict[Plan, Source] = {}
        self._derived: tuple[Source, Callable[[Tape], Tape]] | None = None
        self._last: tuple[Tape, Tape] | None = None
        self.owned, self.is_recurrent = owned_parameters(task.models), is_recurrent(task)
        self.roots, self.is_replicated = tuple(task.models), devices_of(task)[0] is not None
        self.blocks = tuple(path for root, model in task.models.items() for path in blocks_of(model, root))
        self.accumulate = task.accumulate

    def __getstate__(self) -> dict[str, Any]:
        """A pickle leaves the model and the data out; what was traced so far is enough for most questions."""
        return {**vars(self), "task": None, "samples": None}

    @classmethod
    def prepared(cls, task: Task, samples: Samples, plan: Plan) -> Source:
        """One whose first traces are made.

        Raises:
            NotPredictableError: When no rung of the ladder holds.
            Exception: Whatever the user's own code raises in a real step.
        """
        source = cls(task, samples, plan)
        try:
            source.prepare()
        except Exception as error:
            if plan.image_size is not None:
                error.add_note(f"nbtune: the images were scaled to {plan.image_size} pixels")
            if plan.sequence_length is not None:
                error.add_note(f"nbtune: the sequences were made {plan.sequence_length} tokens long")
            raise
        return source

    def prepare(self) -> None:
        """Find the first rung of the ladder that holds, and trace on it.

        Raises:
            NotPredictableError: When none does.
        """
        reasons = []
        for method in ("meta", "fake"):
            try:
                self._trace(method)
                return
            except NotPredictableError as error:
                reasons.append(str(error))
                break
            except Exception as error:
                if is_without_cuda(error):
                    raise cuda_is_needed(error) from error
                reasons.append(first_line(error))
        self._trace_real(reasons)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What was assumed in the traces made so far; of what is derived from others, those of its own traces too."""
        if self._derived is None:
            return self._caveats
        return tuple(dict.fromkeys((*self._derived[0].caveats, *self._caveats)))

    @property
    def asks_for_cuda(self) -> bool:
        """Whether the user's step names CUDA itself."""
        return self._first is not None and self._first.asks_for_cuda

    @property
    def beside_bytes(self) -> int:
        """What was counted beside the model."""
        return self._beside if self._first is None else self._first.beside_bytes

    @property
    def has_law(self) -> bool:
        """Whether one tape serves every k; else each is traced, which takes a second or so."""
        return self._tape is not None if self._derived is None else self._derived[0].has_law

    def moment(self, k: int) -> Moment:
        """When most is in use at batch size ``k``."""
        if k not in self._moments:
            run = replay if self.plan.is_cuda else add_up
            self._moments[k] = run(self.tape(k), k)
        return self._moments[k]

    def fullest(self, k: int) -> tuple[Recording, dict[int, int]]:
        """What is recorded, and ids and bytes of the activations when they take most."""
        tape = self.tape(k)
        return tape.recording, fullest(tape, k)

    def room(self, capacity: str | int | None) -> Room:
        """A named card, or the task's own GPU."""
        device = torch.device("cpu") if self.task is None else self.task.device
        return room_on_card(device, capacity, self.plan.amp)

    def gets_through(self, k: int, capacity_bytes: int) -> bool:
        """Whether a card that holds no more does it, whose allocator gives back what is cached and tries again."""
        try:
            moment = replay(self.tape(k), k, capacity_bytes)
        except CapacityError:
            return False
        return (1 + MARGIN_OF_RETRIES) * moment.allocated_bytes <= capacity_bytes

    def tape(self, k: int) -> Tape:
        """What is allocated and freed at batch size ``k``."""
        if self._derived is not None:
            if k not in self._tapes:
                self._tapes[k] = self._derived_of(*self._derived, k)
            return self._tapes[k]
        if self._tape is not None and (k > 1 or self.method == "real steps"):
            return self._tape
        if k not in self._tapes:
            self._tapes[k] = self._alone() if k == 1 else self._fixed(k)
        return self._tapes[k]

    def _derived_of(self, source: Source, how: Callable[[Tape], Tape], k: int) -> Tape:
        """Most batch sizes have the same tape, which is derived once."""
        tape = source.tape(k)
        if self._last is None or self._last[0] is not tape:
            self._last = tape, how(tape)
        return self._last[1]

    def _fixed(self, k: int) -> Tape:
        if self.task is None:
            raise ValueError(f"k = {k} was not traced before this estimate was pickled; estimate again")
        recording, said = rehearse(self.task, self.samples, k, self.plan, Stage(self.method))
        self._caveats = tuple(dict.fromkeys((*self._caveats, *said)))
        return Tape.fixed(recording)

    def _alone(self) -> Tape:
        """One sample by itself may take a course of its own, since lengths of 1 need no copies."""
        if self.task is None and self._tape is not None:
            return self._tape
        try:
            return self._fixed(1)
        except Exception:  # BatchNorm refuses one value per channel; the prober says so when it runs
            if self.task is None:
                raise
            return self._tape or self._fixed(2)

    def changed(self, **changes: Any) -> Source:
        """The same task under another plan, on the same rung; each k is traced when it is asked for.

        Args:
            **changes: Fields of ``Plan``.
        Raises:
            ValueError: For an evaluation, beside which the training's own gradients and state lie.
        """
        if self._derived is not None:
            source, how = self._derived
            if not self.plan.is_training:
                raise ValueError("an evaluation's plan is its training's: change that one, then take its evaluation")
            return source.changed(**changes)._derive(how)
        plan = replace(self.plan, **changes)
        if plan == self.plan:
            return self
        if plan not in self._changed:
            made = self._changed[plan] = Source(self.task, self.samples, plan)
            made.method, made._beside, made._is_lawful = self.method, self.beside_bytes, self.has_law or self._is_lawful
        return self._changed[plan]

    def on(self, architecture: Architecture) -> Source:
        """The same on another card: traced again only where its attention kernels are others.

        After a pickle nothing can be traced, and the attention stays as it was; see ``is_alike``.
        """
        if architecture == self.plan.architecture or not self.plan.is_cuda:
            return self
        is_kept = self.is_alike(architecture) or self.task is None
        if self._derived is None and not is_kept:
            made = self.changed(architecture=architecture)
            made.find_law()
            return made
        made = self._resized(architecture)
        if self._derived is not None:
            source, how = self._derived
            made._derived, made._tapes = (source.on(architecture), how), made._tapes if is_kept else {}
        return made

    def _resized(self, architecture: Architecture) -> Source:
        made = self._like_this()
        made.plan = replace(self.plan, architecture=architecture)
        size = architecture.workspace_bytes
        made._tape = None if self._tape is None else self._tape.with_matrix_bytes(size)
        made._tapes = {k: tape.with_matrix_bytes(size) for k, tape in self._tapes.items()}
        made._evaluation = None if self._evaluation is None else self._evaluation.on(architecture)
        return made

    def is_alike(self, architecture: Architecture) -> bool:
        """Whether all attention seen so far takes the same kernels there."""
        if not self.plan.is_cuda or self.method == "real steps":
            return True
        if self._derived is not None:
            return self._derived[0].is_alike(architecture)
        tapes = [self._tape, *self._tapes.values()]
        seen = {dtype for tape in tapes if tape is not None for dtype in tape.recording.attended}
        return all(architecture.attention(dtype) == self._traced_for.attention(dtype) for dtype in seen)

    def accumulating(self) -> Source:
        """The same steps beside the gradients of a batch before; nothing is traced again."""
        if self.sharding is not None:
            return self.whole.accumulating()._derive(self.sharding)
        return self._derive(Tape.accumulating)

    @property
    def sharding(self) -> Sharding | None:
        """How it is divided among several devices; None for one device alone."""
        how = None if self._derived is None else self._derived[1]
        return how if isinstance(how, Sharding) else None

    @property
    def whole(self) -> Source:
        """The same on one device alone."""
        return self if self._derived is None or self.sharding is None else self._derived[0]

    def divided(self, devices: int, kind: str) -> Source:
        """What one of several devices holds, or one alone; nothing is traced again."""
        if devices == 1 and not self.is_replicated:
            return self.whole
        how = Sharding(kind, devices, self.roots, self.blocks)
        return self if how == self.sharding else self.whole._derive(how)

    @property
    def sharding_caveats(self) -> tuple[str, ...]:
        """What is assumed of several devices, in sentences."""
        if self.sharding is None:
            return ()
        is_cast, is_several = self.plan.amp is not None, self.accumulate > 1
        return self.sharding.caveats(is_cuda=self.plan.is_cuda, is_cast=is_cast, accumulates=is_several)

    def _derive(self, how: Callable[[Tape], Tape]) -> Source:
        made = self._like_this()
        made._tape, made._tapes, made._evaluation, made._derived = None, {}, None, (self, how)
        return made

    def _like_this(self) -> Source:
        made = object.__new__(Source)
        vars(made).update(vars(self))  # not a copy, which would leave the task out as a pickle does
        made._moments, made._changed, made._last = {}, {}, None
        return made

    def find_law(self) -> None:
        """Trace so that one tape serves every k, where that can be; worth it from the third k on."""
        if self._derived is not None:
            self._derived[0].find_law()
        elif self._tape is None and self.task is not None and self.method != "real steps":
            self._trace(self.method, is_checked=not self._is_lawful)

    def evaluation(self) -> Source:
        """Forward passes in eval mode without gradients, beside the gradients and the state that training leaves."""
        if self.sharding is not None:
            return self.whole.evaluation()._derive(self.sharding)
        if self._evaluation is None and self.task is None:
            raise ValueError("evaluation was not traced before this estimate was pickled; estimate again")
        if self._evaluation is None:
            alone = Source(self.task, self.samples, replace(self.plan, is_training=False))
            alone.prepare()
            self._evaluation = alone._derive(partial(Tape.beside, others=self.tape(TRACED_AT[0]).left()))
        return self._evaluation

    def _trace(self, method: str, *, is_checked: bool = True) -> None:
        stage = Stage(method)
        traced = [rehearse(self.task, self.samples, k, self.plan, stage) for k in TRACED_AT]
        self.method, self._caveats, self._first = method, traced[0][1], traced[0][0]
        try:
            tape = Tape.from_recordings(traced[0][0], TRACED_AT[0], traced[1][0], TRACED_AT[1])
            if is_checked:
                tape.check(rehearse(self.task, self.samples, CHECKED_AT, self.plan, stage)[0], CHECKED_AT)
            self._tape = tape
        except NotAlikeError as error:
            self._caveats = (*self._caveats, f"Each batch size was traced by itself, since {error}.")

    def _trace_real(self, reasons: list[str]) -> None:
        self._tape = tape_of_real_steps(self.task, self.samples, self.plan, TRACED_AT, reasons[0])
        self.method = "real steps"
        self._caveats = (f"Traced in small real steps, with the host's kernels, since {reasons[0].rstrip('.')}.",)
