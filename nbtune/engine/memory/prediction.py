"""The answer of ``estimate_memory``: the memory of every batch size, judged by a card."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..checks import flag
from ..task.task import Task
from .asked import checked_k
from .largest import largest_that_fits
from .layers import LayerShare, ModuleShare, layer_shares, module_shares
from .parts import PARTS_OF_TENSORS, check_changes
from .rehearsal.rehearse import Plan
from .replay.tape import Parts, parts_of
from .replay.timeline import MemoryTimeline, timeline
from .samples import Samples
from .sharding.plan import checked_sharding
from .source import Source
from .surroundings import Room
from .text import table_of

MARGIN, WIDE_MARGIN = 0.05, 0.10
TRACED_ELSEWHERE = "Attention is counted as on the card before: this estimate was pickled, and can't be traced again."


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
        return self.context_bytes + self._source.moment(checked_k(k)).reserved_bytes

    @property
    def asks_for_cuda(self) -> bool:
        """Whether the user's step names CUDA itself (``.cuda()``, ``torch.autocast("cuda")``), on any machine."""
        return self._source.asks_for_cuda

    @property
    def devices(self) -> int:
        """How many train together, each on batches of k samples; it is for the one that holds most."""
        return 1 if self._source.sharding is None else self._source.sharding.devices

    @property
    def sharding(self) -> str:
        """What they divide: "none", "zero1", "zero2" or "full"."""
        return "none" if self._source.sharding is None else self._source.sharding.kind

    def among(self, devices: int, sharding: str | None = None) -> MemoryEstimate:
        """The same on one of several devices, or one alone, from the same trace; errors as in ``estimate_memory``."""
        return self._among(*checked_sharding(devices, sharding))

    def _among(self, devices: int, kind: str) -> MemoryEstimate:
        before, source = self._source.sharding_caveats, self._source.divided(devices, kind)
        caveats = (*(c for c in self.caveats if c not in before), *source.sharding_caveats)
        return replace(self, caveats=caveats, _source=source)

    @property
    def margin(self) -> float:
        """Share of the reserved bytes that ``fits`` asks for beside them: 5 %, or 10 % with recurrent layers."""
        return WIDE_MARGIN if self._source.is_recurrent or self.method == "real steps" else MARGIN

    def fits(self, k: int) -> bool:
        """Whether the peak and its margin stay within the capacity; True where that is not known."""
        return self.capacity_bytes is None or self.needed_bytes(k) <= self.capacity_bytes

    def needed_bytes(self, k: int) -> int:
        """The peak and its margin: what ``fits`` compares with the capacity."""
        peak = self.peak_bytes(k)
        return round(peak + self.margin * (peak - self.context_bytes))

    def headroom_bytes(self, k: int) -> int | None:
        """What the peak leaves of the capacity; below 0 if it is too big, None without a capacity."""
        return None if self.capacity_bytes is None else self.capacity_bytes - self.peak_bytes(k)

    def largest_batch_size(self, power_of_two: bool = True) -> int:
        """The largest k that fits, of the powers of two or of all; 0 if not even one sample does.

        It is what the card holds, however few samples the data have; ``find_batch_size`` keeps within the data. Not
        above 2**24, and where each batch size has to be traced by itself not above 4,096, of the powers of two.
        """
        law = self._source.has_law
        return largest_that_fits(self.fits, has_law=law, power_of_two=flag("power_of_two", power_of_two))

    def parts(self, k: int) -> Parts:
        """(name, bytes) in the order of ``PARTS``: what is in use when most is, which adds up to ``peak_bytes(k)``."""
        k = checked_k(k)
        return parts_of(self._source.tape(k).recording, self._source.moment(k), self.context_bytes)

    def breakdown(self, k: int) -> dict[str, int]:
        """Bytes of parameters, gradients, optimizer, activations, inputs and temporary buffers."""
        sizes = dict(self.parts(k))
        return {name: sizes[name] for name in PARTS_OF_TENSORS}

    def layers(self, k: int) -> tuple[LayerShare, ...]:
        """What each type of layers takes when activations take most, the largest share of them first."""
        return layer_shares(*self._source.fullest(checked_k(k)), self._source.owned)

    def modules(self, k: int) -> tuple[ModuleShare, ...]:
        """What each block of the model takes when activations take most, by type of layer, the largest first."""
        return module_shares(*self._source.fullest(checked_k(k)), self._source.owned)

    def timeline(self, k: int) -> MemoryTimeline:
        """What is in use and reserved over one step at batch size ``k``, and what runs when most is."""
        k = checked_k(k)
        return timeline(self._source.tape(k), k, self.context_bytes, is_cuda=self.device == "cuda")

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

        True where ``fits`` is; on the host, which has no such allocator, only there.
        """
        if self.fits(k) or self.capacity_bytes is None or self.device == "cpu":
            return self.fits(k)
        return self._source.gets_through(checked_k(k), self.capacity_bytes - self.context_bytes)

    def changed(self, **changes: Any) -> MemoryEstimate:
        """The same card and data under another plan. Takes about a second for each k that is asked for.

        Args:
            **changes: ``image_size``, ``sequence_length``, ``amp``, ``checkpointing``, ``optimizer``, ``foreach``,
                ``weights`` or ``adapters``; see ``Plan``.
        Raises:
            TypeError: For another name.
            ValueError: After a pickle, where nothing but real steps could be traced, and for a plan that can't be.
        """
        check_changes(**changes)
        if not self.can_change_plan:
            raise ValueError("other plans can't be traced: this estimate was pickled, or made of real steps")
        if "amp" in changes:  # as in estimate_memory: False for none, None for as it is
            changes["amp"] = self.plan.amp if changes["amp"] is None else (changes["amp"] or None)
        source = self._source.changed(**changes)
        sizes = {name: changes.get(name, getattr(self, name)) for name in ("image_size", "sequence_length")}
        return replace(self, **sizes, _source=source)

    def accumulating(self) -> MemoryEstimate:
        """The same where several batches of k make one update: gradients wait for the next. Nothing is traced again."""
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
        """What it is for; a ValueError after a pickle, which leaves the model and the data out."""
        if self._source.task is None:
            raise ValueError("this estimate was pickled, without its task: estimate again")
        return self._source.task

    @property
    def plan(self) -> Plan:
        """What it assumes beside the task itself."""
        return self._source.plan

    @property
    def can_change_plan(self) -> bool:
        """Whether ``changed`` can trace: not after a pickle, nor where nothing but real steps could be traced."""
        return self._source.task is not None and self.method != "real steps"

    @property
    def can_change_optimizer(self) -> bool:
        """Whether another optimizer may be planned with."""
        return self._source.task is not None and self._source.task.update is None

    @property
    def half_dtype(self) -> torch.dtype:
        """What mixed precision is on its card: float16 where bfloat16 is only emulated."""
        return torch.bfloat16 if self.plan.architecture.has_bfloat16 else torch.float16

    def serves(self, capacity: str | int | None) -> bool:
        """Whether ``with_capacity`` needs to trace nothing, so that it answers at once; its errors are the same."""
        return self._source.is_alike(self._source.room(capacity).architecture)

    def with_capacity(self, capacity: str | int | None) -> MemoryEstimate:
        """The same estimate judged by another card.

        Its own workspaces are put in, and "2x A100" makes it one of two devices; nothing is traced again, but where its
        generation has other attention kernels than the one before (a T4 after an A100).

        Raises:
            ValueError: For a capacity that can't be, or when a host's estimate is asked about a card.
        """
        if self.device == "cpu":
            raise ValueError("an estimate of the host's memory can't be judged by a card: estimate again")
        room = self._source.room(capacity)
        source, is_alike = self._source.on(room.architecture), self._source.is_alike(room.architecture)
        stale = () if is_alike or self._source.task is not None else (TRACED_ELSEWHERE,)
        others = [c for c in self.caveats if c not in (*self._room.caveats, TRACED_ELSEWHERE)]
        return replace(
            self, capacity_bytes=room.size_bytes, capacity_name=room.name, context_bytes=room.context_bytes,
            caveats=(*room.caveats, *stale, *others), _source=source, _room=room,
        )._among(room.count if max(room.count, self._room.count) > 1 else self.devices, self.sharding)  # fmt: skip

    def __repr__(self) -> str:
        return table_of(self)
