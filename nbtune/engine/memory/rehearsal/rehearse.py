"""Two training steps without numbers: what they would allocate on a CUDA device, at one batch size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ....formats import format_memory
from ... import waits
from ...errors import stops_told
from ...task.task import Task
from ...torch_modes import CallersModes
from ...training.copy_watch import check_graph
from ...training.losses import checked_loss, raw_loss
from ...training.random_streams import RandomStreams
from ..architecture import UNNAMED, Architecture
from ..batch_law import Measure, has_lengths, with_leaves
from ..samples import NotPredictableError, Samples
from . import adapters
from . import replica as replicas
from .autocast import cuda_autocast, has_asked_for_cuda_autocast
from .compiled import plainly_run_scripts
from .flex import flex_played
from .host_kernels import host_workspaces
from .kernels import cuda_workspaces
from .lbfgs import play_lbfgs
from .left_alone import left_alone
from .place import Place
from .quiet import failures_unlogged
from .recorder import Recorder
from .recording import UPDATE, Recording
from .replica import Replica, replica_of
from .roads import CudaRoads, HostRoads, Roads
from .values import is_followed

STEPS = 2
"""An optimizer makes its state at the end of its first step, so that the second one holds the peak."""


GUESSED = "The step asks for a computed number (.item()), which was made up: its course was not seen with the real one."

ROUTED = (
    "The step sends its samples different ways, by numbers that are not known: each way is taken to get its even "
    "share, as in a mixture of experts that is in balance. One that is not takes more."
)

WORTH_NAMING = 2**20
MOST_KNOWN = 2**16


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rehearsal assumes beside the task itself; None means as the task has it.

    Attributes:
        image_size, sequence_length: Height in pixels, and tokens, of the samples.
        weights: dtype of the models' floating-point parameters and buffers.
        adapters: "LoRA" or "QLoRA": small matrices learn beside frozen weights, which of the second have 4 bits.
        foreach: Whether optimizers update all tensors at once, which takes memory; None for as CUDA's would.
        is_cuda: Emulate a CUDA device; else the host's own kernels.
        is_training: Training steps; else forward passes in eval mode without gradients.
        architecture: Of the card; on the host nothing depends on it.
    """

    image_size: int | None = None
    sequence_length: int | None = None
    amp: torch.dtype | None = None
    checkpointing: bool | None = None
    optimizer: str | None = None
    foreach: bool | None = None
    weights: torch.dtype | None = None
    adapters: str | None = None
    is_cuda: bool = True
    is_training: bool = True
    architecture: Architecture = UNNAMED


class Stage:
    """Where a rehearsal's tensors live: on the meta device, or as fakes of the host's."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._fakes = FakeTensorMode(allow_non_fake_inputs=False) if kind == "fake" else None
        self.device = torch.device("meta" if kind == "meta" else "cpu")

    def empty(self, tensor: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """A tensor of the same shape, dtype (unless another is given) and strides that holds no numbers."""
        if self._fakes is None:
            return torch.empty_like(tensor, device="meta", dtype=dtype)
        with self._fakes:
            if 0 in tensor.stride():  # one sample's memory that stands for many; a real batch has memory for each
                return torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")

    def active(self) -> Any:
        return nullcontext() if self._fakes is None else self._fakes

    def put(self, batch: Any, recorder: Recorder, dtype: torch.dtype | None = None) -> Any:
        """The batch without its numbers, which the recorder is told as far as it follows them.

        Args:
            dtype: Of its floating-point tensors; None for their own.
        """

        def emptied(x: Any) -> Any:
            if not isinstance(x, torch.Tensor):
                return x
            if not has_lengths(x):
                raise TypeError("the batches hold sparse or nested tensors")
            made = self.empty(x, dtype if x.is_floating_point() else None)
            if self.kind == "meta" and is_followed(x):
                recorder.values.know(made, x.clone())
            return made

        return with_leaves(batch, emptied)


def rehearse(task: Task, samples: Samples, k: int, plan: Plan, stage: Stage) -> tuple[Recording, tuple[str, ...]]:
    """What two steps at batch size ``k`` allocate.

    Returns:
        The recording, and what was assumed, in sentences.
    Raises:
        Exception: Whatever the model raises when its tensors hold no numbers.
    """
    # A later k may be asked for anywhere.
    with CallersModes().in_force():
        return _rehearsed(task, samples, k, plan, stage)


def _rehearsed(
    task: Task, samples: Samples, k: int, plan: Plan, stage: Stage
) -> tuple[Recording, tuple[str, ...]]:  # fmt: skip
    replica = replica_of(task, stage.empty)
    caveats = _prepare(replica, plan, stage)
    optimizers = [*replica.optimizers, *replica.hidden_optimizers]
    caveats = (*caveats, *play_lbfgs(optimizers))
    if plan.foreach is not None:
        replicas.update_at_once(optimizers, plan.foreach)
    are_fused = plan.is_cuda and replicas.fuse_as_on_cuda(optimizers)
    adopts = stage.kind == "meta" and task.device.type in ("cpu", "meta")
    recorder = Recorder(
        stage.device.type, cuda_workspaces if plan.is_cuda else host_workspaces, adopts=adopts,
        matrix_bytes=plan.architecture.workspace_bytes,
    )  # fmt: skip
    home = torch.device("cpu") if task.device.type == "meta" else task.device  # the data of a model without numbers
    place = Place(stage.device, home, is_cuda=plan.is_cuda)
    on_cuda = CudaRoads(plan.amp, place, plan.architecture)
    roads: Roads = on_cuda if plan.is_cuda else HostRoads(plan.amp, place)
    batch = samples.batch_of(
        k, plan.image_size, plan.sequence_length
    )  # out here, where nothing watches or replaces its making

    def next_batch() -> Any:
        return stage.put(batch, recorder, plan.weights)

    with ExitStack() as stack:
        stack.enter_context(failures_unlogged())
        stack.enter_context(plainly_run_scripts())
        stack.enter_context(RandomStreams(torch.device("cpu")))
        stack.enter_context(cuda_autocast() if plan.is_cuda else nullcontext())
        stack.enter_context(torch.set_grad_enabled(plan.is_training))
        stack.enter_context(stage.active())
        stack.enter_context(recorder.following(replica.models, optimizers))
        stack.enter_context(recorder)
        stack.enter_context(waits.current().tracing(lambda: f"{recorder.doing} at k = {k}{recorder.place}"))
        notes = stack.enter_context(left_alone(task))
        stack.enter_context(flex_played(notes))
        if stage.kind == "meta":
            _know_buffers(task, replica, recorder)
            _know_small_ones(replica, recorder)
        recorder.see([list(m.state_dict(keep_vars=True).values()) for m in replica.modules], "parameters")
        recorder.see([made for _, made in replica.stand_ins], "parameters")
        for _ in range(STEPS):
            recorder.begin_step()
            with stops_told():
                _step(task, replica, recorder, roads, plan, next_batch)
        recorder.stop()
        recorder.recording.attended = frozenset(on_cuda.attended)
        recorder.recording.asks_for_cuda = has_asked_for_cuda_autocast() or place.has_asked_for_cuda
    recorder.recording.beside_bytes = sum(replica.beside.values())
    if are_fused:
        _forget_temporaries_of_updates(recorder.recording)
    caveats = (*caveats, *sorted(notes))
    if recorder.recording.beside_bytes >= WORTH_NAMING:
        caveats = (*caveats, _named(replica.beside))
    if recorder.values.guessed:
        caveats = (*caveats, GUESSED)
    if recorder.values.routed:
        caveats = (*caveats, ROUTED)
    return recorder.recording, caveats


def _named(beside: dict[str, int]) -> str:
    found = sorted(beside.items(), key=lambda item: -item[1])
    names = ", ".join(f"{name} ({format_memory(size)})" for name, size in found if size >= WORTH_NAMING / 10)
    return f"Counted beside the model, with the parameters: {names}."


def _forget_temporaries_of_updates(recording: Recording) -> None:
    for allocation in recording.allocations:
        if allocation.phase == UPDATE and allocation.part == "temporary":
            allocation.item_bytes = 0


def _prepare(replica: Replica, plan: Plan, stage: Stage) -> tuple[str, ...]:
    caveats: tuple[str, ...] = ()
    if stage.kind != "meta" and (plan.weights or plan.adapters):
        raise NotPredictableError("smaller weights are planned on the meta device alone")
    if plan.weights is not None:
        caveats = adapters.plan_weights(replica, plan.weights)
    if plan.adapters is not None:
        caveats = (*caveats, *adapters.plan_adapters(replica, plan.adapters))
    if plan.checkpointing:
        caveats = (*caveats, *replicas.plan_checkpointing(replica))
    elif plan.checkpointing is False:
        replicas.unplan_checkpointing(replica)
    if plan.optimizer is not None:
        replicas.plan_optimizer(replica, plan.optimizer)
    if not plan.is_training:
        for model in replica.models.values():
            model.eval()
    return caveats


def _step(
    task: Task, replica: Replica, recorder: Recorder, roads: Roads, plan: Plan, next_batch: Callable[[], Any]
) -> None:  # fmt: skip
    for optimizer in replica.optimizers if replica.update is None else ():
        optimizer.zero_grad(set_to_none=True)
    if replica.update is not None and plan.is_training:
        with _emulated(roads, keep_weights=True):
            replica.update(replica.model, replica.optimizer, _seen(recorder, next_batch()))
        return
    for _ in range(task.accumulate if plan.is_training else 1):
        with _emulated(roads, keep_weights=True):
            batch = _seen(recorder, next_batch())
            loss = checked_loss(raw_loss(replica, batch), needs_graph=plan.is_training)
        if plan.is_training:
            check_graph(loss, {id(p) for p in task.parameters}, task)
            with _emulated(roads, keep_weights=False):
                torch.autograd.backward(loss / task.accumulate if task.accumulate > 1 else loss)
        del loss, batch
    if plan.is_training:
        for optimizer in replica.optimizers:
            optimizer.step()


def _know_buffers(task: Task, replica: Replica, recorder: Recorder) -> None:
    """Positions and masks that modules keep are numbers too."""
    for theirs, ours in zip(task.models.values(), replica.models.values(), strict=True):
        for real, empty in zip(theirs.buffers(), ours.buffers(), strict=True):
            if not real.is_floating_point() and not real.is_meta:
                recorder.values.know(empty, real.detach().cpu().clone())


def _know_small_ones(replica: Replica, recorder: Recorder) -> None:
    """Class weights and schedules are read by the step: their numbers are followed, floating-point ones too."""
    for real, made in replica.stand_ins:
        if real.numel() <= MOST_KNOWN and type(real) is torch.Tensor and not real.is_meta:
            recorder.values.know(made, real.detach().cpu().clone(), always=True)


def _seen(recorder: Recorder, batch: Any) -> Any:
    recorder.see(Measure.of(batch).leaves, "inputs")
    return batch


@contextmanager
def _emulated(roads: Roads, *, keep_weights: bool) -> Iterator[None]:
    with roads, roads.autocast.on(keep_weights=keep_weights):
        yield
