"""The memory of every batch size, predicted from two rehearsed steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch.nn.parameter import UninitializedParameter

from ...formats import format_memory
from ..checks import choice, flag, instance, whole_number
from ..interrupts import held_back
from ..small_print import small_print, warn_of
from ..task.task import Task, checked_task
from ..torch_modes import CallersModes
from .layers import LayerShare, ModuleShare, layer_shares, module_shares
from .parts import check_plan
from .rehearsal.rehearse import Plan
from .replay.tape import Parts, fullest, parts_of
from .replay.timeline import MemoryTimeline, timeline
from .samples import NotPredictableError, Samples
from .source import Source
from .surroundings import Room, room_on_card, room_on_host, surroundings

MARGIN, WIDE_MARGIN = 0.05, 0.10
MARGIN_OF_RETRIES = 0.06
TRACED_ELSEWHERE = "Attention is counted as on the card before: this estimate was pickled, and can't be traced again."
LARGEST_SEARCHED, LARGEST_TRACED = 2**24, 2**12

CHANGES = ("image_size", "sequence_length", "amp", "checkpointing", "optimizer", "foreach")

__all__ = ["MemoryEstimate", "NotPredictableError", "Parts", "estimate_memory", "parts_of"]


def estimate_memory(
    task: Task,
    capacity: str | int | None = None,
    *,
    image_size: int | None = None,
    sequence_length: int | None = None,
    amp: torch.dtype | Literal[False] | None = None,
    checkpointing: bool | None = None,
    optimizer: str | None = None,
    device: str | None = None,
    samples: Samples | None = None,
) -> MemoryEstimate:
    """The peak memory of training at every batch size, predicted; no GPU is needed and the model is not run.

    Two training steps are rehearsed at k = 2 and at k = 3 on tensors that have shapes and no numbers, with the kernels
    that CUDA would choose. Every allocation's lengths are a + b·k, so that any k can be replayed through a model of
    PyTorch's caching allocator. Where a model can't be rehearsed so, it is tried with fake tensors, then with tiny
    real steps on a copy.

    Args:
        task: What is to be trained; it is not changed.
        capacity: "8 GB", a card's name in any usual spelling ("T4", "rtx4090", "A100 80GB"; see ``CARDS``), bytes, or
            None: what is free on the task's GPU now, and without one the host's memory. A name also says which
            attention kernels and workspaces the card has; a bare size stands for the task's GPU, or one of Hopper's.
        image_size: Height in pixels the images are scaled to; None for their own.
        sequence_length: Tokens in each sample, of data that are tokens; None for as many as they have.
        amp: dtype of autocast, False for none; None as in the task.
        checkpointing: Whether activations are recomputed in the backward pass; None for as the model is.
        optimizer: One of ``nbtune.engine.memory.parts.OPTIMIZERS`` instead of the task's; None for the task's.
        device: "cuda" or "cpu" (the host, without allocator and context); None: the host where the model is there and
            no capacity is named, else a CUDA card.
        samples: The ``samples`` of another estimate of this task, so that its data are not looked at again.
    Raises:
        NotPredictableError: When no rung of the ladder works, saying why.
        ValueError: For a capacity, an image size or a length that can't be.
        Exception: Whatever the user's own code raises in a real step.

    Examples:
        >>> model = torch.nn.Linear(1000, 1000)
        >>> data = (torch.randn(64, 1000), torch.randn(64, 1000))
        >>> task = Task(model, torch.optim.Adam(model.parameters()), torch.nn.functional.mse_loss, data)
        >>> estimate = estimate_memory(task, "8 GB")
        >>> estimate.breakdown(32)["parameters"]
        4004352
        >>> estimate.fits(512)
        True
    """
    _check_task(task, optimizer, device)
    check_plan(
        image_size=image_size, sequence_length=sequence_length, amp=amp, checkpointing=checkpointing,
        optimizer=optimizer,
    )  # fmt: skip
    is_host = str(device) == "cpu" or (device is None and capacity is None and task.device.type != "cuda")
    wanted_amp = task.amp if amp is None else (amp or None)
    room = room_on_host(capacity) if is_host else room_on_card(task.device, capacity, wanted_amp)
    plan = Plan(
        image_size, sequence_length, wanted_amp, checkpointing, optimizer, is_cuda=not is_host,
        architecture=room.architecture,
    )  # fmt: skip
    modes = CallersModes()
    warn_of(modes.left_out)
    with held_back(), modes.in_force():
        source = _prepared(task, instance("samples", samples, Samples) or Samples(task), plan)
    samples = source.samples
    if is_host:
        room = room_on_host(capacity, held_bytes=_held_bytes(task) + source.beside_bytes)
    caveats = (*room.caveats, *surroundings(task, is_host), *samples.caveats, *source.caveats, *modes.left_out)
    return MemoryEstimate(
        capacity_bytes=room.size_bytes, capacity_name=room.name, context_bytes=room.context_bytes,
        device="cpu" if is_host else "cuda", caveats=caveats, samples=samples, _source=source, _room=room,
        image_size=image_size or (samples.image_size or (None,))[0],
        sequence_length=sequence_length or samples.sequence_length, method=source.method, data_form=task.data_form,
    )  # fmt: skip


def _prepared(task: Task, samples: Samples, plan: Plan) -> Source:
    source = Source(task, samples, plan)
    try:
        source.prepare()
    except Exception as error:
        if plan.image_size is not None:
            error.add_note(f"nbtune: the images were scaled to {plan.image_size} pixels")
        if plan.sequence_length is not None:
            error.add_note(f"nbtune: the sequences were made {plan.sequence_length} tokens long")
        raise
    return source


def _held_bytes(task: Task) -> int:
    """What the model takes of this process already, which the trace counts again: on the host it is there once."""
    buffers = [b for model in task.models.values() for b in model.buffers()]
    gradients = [p.grad for p in task.parameters if p.grad is not None]
    entries = [entry for o in task.optimizers.values() for entry in o.state.values() if isinstance(entry, dict)]
    state = [v for entry in entries for v in entry.values() if isinstance(v, torch.Tensor)]
    return sum(t.nbytes for t in (*task.parameters, *buffers, *gradients, *state) if t.device.type == "cpu")


def _check_task(task: Task, optimizer: str | None, device: Any) -> None:
    checked_task(task, "estimate_memory")
    if any(isinstance(p, UninitializedParameter) for p in task.parameters):
        raise ValueError("the model has lazy layers without a shape yet: call it once with a batch first")
    name = str(device) if isinstance(device, torch.device) else device
    choice("device", name, ("cpu", "cuda", None), told='"cpu" (the host), "cuda" or None')
    if optimizer is not None and task.update is not None:
        raise ValueError("update= steps its own optimizers, so another one can't be planned with")


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Peak memory at every batch size, a prediction.

    Attributes:
        capacity_bytes, capacity_name: Of the card; None where nobody says.
        context_bytes: What the driver and its kernels take beside the allocator: 620 to 800 MiB were found, the middle
            is taken where the card can't be asked, 800 for Hopper's. On the host, this process now without the model,
            which is counted by its parts.
        device: "cuda" or "cpu".
        image_size: Height in pixels of the images it is for; None for other data.
        sequence_length: Tokens of the sequences it is for; None for other data.
        method: How it was traced: "meta", "fake" or "real steps".
        caveats: What it does not know, in sentences.
        samples: What its batches are made of.
        data_form: How the data were taken, such as "1 797 samples, batches of 32, shuffled".
    """

    capacity_bytes: int | None
    capacity_name: str
    context_bytes: int
    device: str
    image_size: int | None
    sequence_length: int | None
    method: str
    caveats: tuple[str, ...]
    samples: Samples = field(repr=False, compare=False)
    _source: Source = field(repr=False, compare=False)
    _room: Room = field(repr=False, compare=False)
    data_form: str = ""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "samples": None}

    def peak_bytes(self, k: int) -> int:
        """Context and everything the allocator reserves at batch size ``k``, without a margin."""
        return self.context_bytes + self._source.moment(_checked(k)).reserved_bytes

    @property
    def asks_for_cuda(self) -> bool:
        """Whether the user's step names CUDA itself (``.cuda()``, ``torch.autocast("cuda")``), on any machine."""
        return self._source.asks_for_cuda

    @property
    def margin(self) -> float:
        """Share of the reserved bytes that ``fits`` asks for beside them: 5 %, or 10 % with recurrent layers."""
        return WIDE_MARGIN if self._source.is_recurrent or self.method == "real steps" else MARGIN

    def fits(self, k: int) -> bool:
        """Whether the peak and its margin stay within the capacity; True where that is not known."""
        if self.capacity_bytes is None:
            return True
        return self.needed_bytes(k) <= self.capacity_bytes

    def needed_bytes(self, k: int) -> int:
        """The peak and its margin: what ``fits`` compares with the capacity."""
        peak = self.peak_bytes(k)
        return round(peak + self.margin * (peak - self.context_bytes))

    def headroom_bytes(self, k: int) -> int | None:
        """What the peak leaves of the capacity; below 0 if it is too big, None without a capacity."""
        return None if self.capacity_bytes is None else self.capacity_bytes - self.peak_bytes(k)

    def largest_batch_size(self, power_of_two: bool = True) -> int:
        """The largest k that fits, of the powers of two or of all; 0 if not even one sample does.

        It is what the card holds, however few samples the data have, so that a small sample of the data can stand for
        all; ``find_batch_size`` keeps within the data. Not above 2**24, and where each batch size has to be traced by
        itself not above 4,096, of the powers of two.
        """
        power_of_two = flag("power_of_two", power_of_two)
        k, limit = 1, LARGEST_SEARCHED if self._source.has_law else LARGEST_TRACED
        if not self.fits(k):
            return 0
        while 2 * k <= limit and self.fits(2 * k):
            k *= 2
        if power_of_two or 2 * k > limit or not self._source.has_law:
            return k
        low, high = k, 2 * k
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle)
        return low

    def parts(self, k: int) -> Parts:
        """(name, bytes) in the order of ``PARTS``: what is in use when most is, which adds up to ``peak_bytes(k)``."""
        k = _checked(k)
        return parts_of(self._source.tape(k).recording, self._source.moment(k), self.context_bytes)

    def breakdown(self, k: int) -> dict[str, int]:
        """Bytes of parameters, gradients, optimizer, activations, inputs and temporary buffers."""
        sizes = dict(self.parts(k))
        names = ("parameters", "gradients", "optimizer", "activations", "inputs", "temporary")
        return {name: sizes[name] for name in names}

    def layers(self, k: int) -> tuple[LayerShare, ...]:
        """What each type of layers takes when activations take most, the largest share of them first."""
        k = _checked(k)
        tape = self._source.tape(k)
        return layer_shares(tape.recording, fullest(tape, k), self._source.owned)

    def modules(self, k: int) -> tuple[ModuleShare, ...]:
        """What each block of the model takes when activations take most, by type of layer, the largest first."""
        k = _checked(k)
        tape = self._source.tape(k)
        return module_shares(tape.recording, fullest(tape, k), self._source.owned)

    def timeline(self, k: int) -> MemoryTimeline:
        """What is in use and reserved over one step at batch size ``k``, and what runs when most is."""
        tape = self._source.tape(_checked(k))
        return timeline(tape, k, self.context_bytes, is_cuda=self.device == "cuda")

    def evaluation(self) -> MemoryEstimate:
        """The same for evaluation: forward passes in eval mode without gradients, between two steps of training.

        What training keeps (parameters, gradients, the optimizer's state) is there too, so that its largest batch size
        is one at which an evaluation amid training fits.
        """
        return replace(self, _source=self._source.evaluation())

    def evaluation_peak_bytes(self, k: int) -> int:
        """The peak of ``evaluation`` at batch size ``k``."""
        return self.evaluation().peak_bytes(k)

    def fits_with_retries(self, k: int) -> bool:
        """Whether training gets through where the allocator gives back what it caches and tries again, which is slower.

        True where ``fits`` is. On the host, which has no such allocator, the same as ``fits``.
        """
        if self.fits(k) or self.capacity_bytes is None or self.device == "cpu":
            return self.fits(k)
        room = self.capacity_bytes - self.context_bytes
        moment = self._source.moment_within(_checked(k), room)
        return moment is not None and (1 + MARGIN_OF_RETRIES) * moment.allocated_bytes <= room

    def changed(self, **changes: Any) -> MemoryEstimate:
        """The same card and data under another plan. Takes about a second for each k that is asked for.

        Args:
            **changes: ``image_size``, ``sequence_length``, ``amp``, ``checkpointing``, ``optimizer`` or ``foreach``;
                see ``Plan``.
        Raises:
            TypeError: For another name.
            ValueError: After a pickle, where nothing but real steps could be traced, and for a plan that can't be.
        """
        if unknown := set(changes) - set(CHANGES):
            raise TypeError(f"changed takes {', '.join(CHANGES)}, not {', '.join(sorted(unknown))}")
        check_plan(**changes)
        if self._source.task is None or self.method == "real steps":
            raise ValueError("other plans can't be traced: this estimate was pickled, or made of real steps")
        if "amp" in changes:  # as in estimate_memory: False for none, None for as it is
            changes["amp"] = self.plan.amp if changes["amp"] is None else (changes["amp"] or None)
        source = self._source.changed(**changes)
        sizes = {name: changes.get(name, getattr(self, name)) for name in ("image_size", "sequence_length")}
        return replace(self, **sizes, _source=source)

    def accumulating(self) -> MemoryEstimate:
        """The same where several batches make one update, so that gradients wait for the next batch.

        Nothing is traced again; k is the number of samples in one of those batches.
        """
        return self if self._source.accumulate > 1 else replace(self, _source=self._source.accumulating())

    @property
    def traced_caveats(self) -> tuple[str, ...]:
        """What was assumed in the traces made so far; of a changed estimate, those of its own."""
        return self._source.caveats

    def find_law(self) -> None:
        """Trace so that every k can be asked for at once, where that can be; of use for a changed estimate."""
        self._source.find_law()

    @property
    def task(self) -> Task:
        """What it is for.

        Raises:
            ValueError: After a pickle, which leaves the model and the data out.
        """
        if self._source.task is None:
            raise ValueError("this estimate was pickled, without its task: estimate again")
        return self._source.task

    @property
    def plan(self) -> Plan:
        """What it assumes beside the task itself."""
        return self._source.plan

    @property
    def can_change_optimizer(self) -> bool:
        """Whether another optimizer may be planned with."""
        return self._source.task is not None and self._source.task.update is None

    @property
    def half_dtype(self) -> torch.dtype:
        """What mixed precision is on its card: float16 where bfloat16 is only emulated."""
        return torch.bfloat16 if self.plan.architecture.has_bfloat16 else torch.float16

    def serves(self, capacity: str | int | None) -> bool:
        """Whether ``with_capacity`` needs to trace nothing, so that it answers at once.

        Raises:
            ValueError: For a capacity that can't be.
        """
        device = torch.device("cpu") if self._source.task is None else self._source.task.device
        return self._source.is_alike(room_on_card(device, capacity, self.plan.amp).architecture)

    def with_capacity(self, capacity: str | int | None) -> MemoryEstimate:
        """The same estimate judged by another card.

        Its own workspaces are put in; nothing is traced again, but where its generation has other attention kernels
        than the one before (a T4 after an A100).

        Raises:
            ValueError: For a capacity that can't be, or when a host's estimate is asked about a card.
        """
        if self.device == "cpu":
            raise ValueError("an estimate of the host's memory can't be judged by a card: estimate again")
        device = torch.device("cpu") if self._source.task is None else self._source.task.device
        room = room_on_card(device, capacity, self.plan.amp)
        source, is_alike = self._source.on(room.architecture), self._source.is_alike(room.architecture)
        stale = () if is_alike or self._source.task is not None else (TRACED_ELSEWHERE,)
        others = [c for c in self.caveats if c not in (*self._room.caveats, TRACED_ELSEWHERE)]
        return replace(
            self, capacity_bytes=room.size_bytes, capacity_name=room.name, context_bytes=room.context_bytes,
            caveats=(*room.caveats, *stale, *others), _source=source, _room=room,
        )  # fmt: skip

    def __repr__(self) -> str:
        lines = [f"Memory of each batch size k on {self.capacity_name} (predicted)", "      k      peak         free"]
        for k in [2**i for i in range(10)]:
            free = self.headroom_bytes(k)
            left = "" if free is None else format_memory(free) if free >= 0 else "too big"
            left = "with retries" if left and not self.fits(k) and self.fits_with_retries(k) else left
            lines.append(f"{k:7} {format_memory(self.peak_bytes(k)):>9} {left:>12}")
        return "\n".join(lines) + small_print(self)


def _checked(k: int) -> int:
    return whole_number("the batch size", k)
