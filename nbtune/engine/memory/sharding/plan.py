"""How training is divided among several devices: what was asked for, and what that assumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...checks import choice, whole_number
from ..replay.tape import Tape
from .fully_sharded import fully_sharded
from .replicated import replicated

KINDS = ("none", "zero1", "zero2", "full")
MOST_DEVICES = 2**16

DDP = (
    "Each device has the whole model (DistributedDataParallel with its defaults): buckets of 25 MB, the first of 1 MB, "
    "hold a second copy of all gradients, which gradient_as_bucket_view=True would save."
)
ZERO1 = (
    "The optimizer's state is divided by whole parameters (ZeroRedundancyOptimizer): the device that has most of it is "
    "judged."
)
ZERO2 = (
    "Gradients, state and parameters are divided (fully_shard with reshard_after_forward=False): all parameters are "
    "gathered from the forward pass to the end of the backward pass, beside this device's part of them."
)
NO_BLOCKS = "The model has no list of blocks, so it is gathered as a whole: fully_shard saves less than it could."
CASTS = (
    "Under autocast, parameters are gathered in their own dtype and cast beside it: fully_shard's MixedPrecisionPolicy "
    "gathers in half precision, which takes less."
)
ACCUMULATION = "Gradients are reduced after each batch that makes part of an update (no no_sync)."
ON_CARDS = (
    "What devices send each other is counted as tensors of one stream; on cards the other streams have pools of their "
    "own, which may reserve some units more, and NCCL takes memory of its own (544 MB for two and 688 MB for four A100 "
    "were reported), which is not counted."
)
ON_HOST = "Each of the processes is judged as if it were alone in this machine's memory."


@dataclass(frozen=True, slots=True)
class Sharding:
    """What one of several devices holds; applied to a tape of one device alone, it makes the tape of one of several.

    Attributes:
        kind: One of ``KINDS``.
        devices: How many.
        roots, blocks: Paths of the models, and of the blocks they repeat, each of which is gathered by itself.
    """

    kind: str
    devices: int
    roots: tuple[str, ...]
    blocks: tuple[str, ...]

    def __call__(self, tape: Tape) -> Tape:
        """The tape of one device of several."""
        if self.kind in ("none", "zero1"):
            return replicated(tape, self.devices, is_state_divided=self.kind == "zero1")
        return fully_sharded(tape, self.devices, self.roots, self.blocks, frees=self.kind == "full")

    def caveats(self, *, is_cuda: bool, is_cast: bool, accumulates: bool) -> tuple[str, ...]:
        """What it assumes, in sentences.

        Args:
            is_cuda: On cards; else on hosts.
            is_cast: Under autocast.
            accumulates: Several batches make one update.
        """
        is_gathered = self.kind in ("zero2", "full")
        said: list[tuple[bool, str]] = [
            (not is_gathered, DDP),
            (self.kind == "zero1", ZERO1),
            (self.kind == "zero2", ZERO2),
            (self.kind == "full" and bool(self.blocks), self._units()),
            (is_gathered and not self.blocks, NO_BLOCKS),
            (is_gathered and is_cast, CASTS),
            (is_gathered and accumulates, ACCUMULATION),
            (True, ON_CARDS if is_cuda else ON_HOST),
        ]
        return tuple(sentence for is_so, sentence in said if is_so)

    def _units(self) -> str:
        first = self.blocks[0] if self.blocks else ""
        return (
            f"Parameters, gradients and state are divided (fully_shard on each of {len(self.blocks)} blocks, such as "
            f"{first}, and on the rest): a block is gathered, twice, while it runs, and so are its gradients."
        )


def checked_sharding(
    devices: Any, sharding: Any, named: int = 1, own_devices: int | None = None, own_kind: str | None = None
) -> tuple[int, str]:
    """How many devices, and how they divide.

    Args:
        devices, sharding: As given to ``estimate_memory``; None for what follows from the other.
        named: How many cards the capacity names.
        own_devices, own_kind: What the task is wrapped for; None for nothing.
    Raises:
        ValueError: For what can't be, and where ``devices`` and the capacity contradict each other.
    """
    kind = choice("sharding", sharding, (*KINDS, None), told='"none", "zero1", "zero2", "full" or None')
    told = own_devices if own_devices is not None and named == 1 else named
    count = told if devices is None else whole_number("devices", devices, most=MOST_DEVICES)
    kind = own_kind if kind is None and count > 1 else kind
    if named > 1 and count != named:
        raise ValueError(f"devices={count}, but the capacity names {named} cards: leave one of them out")
    if kind not in (None, "none") and count == 1:
        raise ValueError(f'sharding="{kind}" divides among several devices: say how many, such as devices=8')
    return count, kind or "none"
