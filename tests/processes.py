"""Real training in several processes on this machine, and what each of them allocates: gloo on the CPU.

Used by the tests of several devices and by their benchmark. Every process watches its own allocations, by PyTorch's
profiler. ``predicted`` says the same of the same training without running it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch._C._profiler import _EventType

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
NEEDED = "torch.distributed.fsdp", "torch.distributed.optim", "torch.profiler", "processes"
Make = Callable[[], tuple[nn.Module, Any, list[str]]]


@dataclass(frozen=True, slots=True)
class Watched:
    """What one process allocated in its last step.

    Attributes:
        parameters, gradients, optimizer: Bytes of its own tensors when the step is over, gradients before they go.
        peaks: The most in use in each phase.
    """

    parameters: int
    gradients: int
    optimizer: int
    peaks: dict[str, int]

    @property
    def peak(self) -> int:
        return max(self.peaks.values())


def watch(make: Make, kind: str, devices: int, **asked: Any) -> list[Watched]:
    """Train two steps in so many processes.

    Args:
        make: Builds (model, sample, paths of its blocks); a function of a module, since every process calls it.
        kind: As ``sharding`` of ``estimate_memory``.
        **asked: ``batch_size``, ``accumulate``; ``optimizer``, a class.
    """
    # Forked from a process that has imported what they need, which takes longer than their training.
    torch.multiprocessing.get_context("forkserver").set_forkserver_preload(list(NEEDED))
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            _process, (make, kind, devices, folder, asked), nprocs=devices, start_method="forkserver"
        )
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(devices)]


def _process(rank: int, make: Make, kind: str, devices: int, folder: str, asked: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    _settle_collectives()
    store = dist.FileStore(f"{folder}/store", devices)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=devices)
    try:
        torch.save(_watched(make, kind, **asked), Path(folder) / f"{rank}.pt")
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _watched(
    make: Make, kind: str, *, batch_size: int, accumulate: int = 1, optimizer: Any = torch.optim.AdamW,
    checkpoints: bool = False, amp: Any = None,
) -> Watched:  # fmt: skip
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        torch.manual_seed(0)
        model, sample, blocks = make()
        if checkpoints:
            _checkpoint(model, blocks)
        wrapped = _wrapped(model, kind, blocks)
        stepper = _optimizer(wrapped, kind, optimizer)
        for _ in range(2):
            for _ in range(4):  # time for gloo's threads to let buckets go
                dist.barrier()
            with torch.profiler.record_function(FORWARD):
                stepper.zero_grad()
            for _ in range(accumulate):
                with torch.profiler.record_function(FORWARD), torch.autocast("cpu", amp, enabled=amp is not None):
                    x, y = (torch.stack([part] * batch_size) for part in sample)
                    loss = _loss(wrapped(x), y) / accumulate
                with torch.profiler.record_function(BACKWARD):
                    loss.backward()
                del loss, x, y
            gradients = sum(_bytes(p.grad) for p in wrapped.parameters() if p.grad is not None)
            with torch.profiler.record_function(UPDATE):
                stepper.step()
    entries = getattr(stepper, "optim", stepper).state.values()
    state = sum(_bytes(v) for entry in entries for v in entry.values() if isinstance(v, torch.Tensor))
    parameters = sum(_bytes(p) for p in wrapped.parameters())
    return Watched(parameters, gradients, state, _peaks(profile, sum(part.nbytes for part in sample)))


def _settle_collectives() -> None:
    """Have each collective end only when gloo's threads have let its tensors go.

    Else one of them may be the last to hold a tensor, and then it is freed where the profiler does not look.
    """
    for name in ("all_gather_single", "all_gather_into_tensor", "reduce_scatter_single", "reduce_scatter_tensor"):
        if hasattr(dist, name):
            setattr(dist, name, _settled(getattr(dist, name)))


def _settled(collective: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        before = [_holders(tensor) for tensor in tensors]
        work = collective(*args, **kwargs)
        while any(_holders(tensor) > count for tensor, count in zip(tensors, before, strict=True)):
            time.sleep(0.0005)
        return work

    return call


def _holders(tensor: torch.Tensor) -> int:
    return int(torch._C._storage_Use_Count(tensor.untyped_storage()._cdata))


def predicted(
    make: Make, kind: str, devices: int, *, batch_size: int, accumulate: int = 1, optimizer: Any = torch.optim.AdamW,
    checkpoints: bool = False, amp: Any = None,
) -> tuple[Any, dict[str, int]]:  # fmt: skip
    """The estimate of such a process, and the most in use in each phase."""
    from nbtune.engine import Task  # which the processes themselves need not import
    from nbtune.engine.memory import estimate_memory

    torch.manual_seed(0)
    model, sample, _ = make()
    stepper = optimizer(model.parameters(), lr=1e-3, foreach=False)
    data = [tuple(torch.stack([part] * 2) for part in sample)]
    task = Task(model, stepper, _loss, data, accumulate=accumulate, amp=amp)
    again = checkpoints or None
    estimate = estimate_memory(task, device="cpu", checkpointing=again, devices=devices, sharding=kind)
    line, peaks = estimate.timeline(batch_size), dict.fromkeys((FORWARD, BACKWARD, UPDATE), 0)
    for name, first, last in line.phases:
        peaks[name] = max(peaks[name], max(line.allocated_bytes[first:last]) - line.context_bytes)
    return estimate, peaks


def _loss(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(output.flatten(0, -2), wanted.flatten())


def _checkpoint(model: nn.Module, blocks: list[str]) -> None:
    """Recompute each block's activations, inside what is sharded."""
    from torch.utils.checkpoint import checkpoint

    for path in blocks:
        block = model.get_submodule(path)
        plain: Any = block.forward
        block.forward = lambda *a, plain=plain: checkpoint(plain, *a, use_reentrant=False)


def _wrapped(model: nn.Module, kind: str, blocks: list[str]) -> Any:
    if kind in ("none", "zero1"):
        # Every process makes the same weights; to send them would leave a copy that a thread of gloo's may free.
        return nn.parallel.DistributedDataParallel(model, init_sync=False)
    from torch.distributed.fsdp import fully_shard

    for module in [*(model.get_submodule(path) for path in blocks), model]:
        fully_shard(module, reshard_after_forward=None if kind == "full" and module is model else kind == "full")
    return model


def _optimizer(model: Any, kind: str, optimizer: Any) -> Any:
    if kind != "zero1":
        return optimizer(model.parameters(), lr=1e-3, foreach=False)
    from torch.distributed.optim import ZeroRedundancyOptimizer

    return ZeroRedundancyOptimizer(model.parameters(), optimizer, foreach=False, lr=1e-3)


def _bytes(tensor: Any) -> int:
    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return int(local.nbytes)


def _peaks(profile: Any, sample_bytes: int) -> dict[str, int]:
    """The most in use in each phase of the last step."""
    events = _events(profile)
    spans = {name: [(e.start_time_ns, e.end_time_ns) for e in events if e.name == name] for name in
             (FORWARD, BACKWARD, UPDATE)}  # fmt: skip
    begins = sorted(start for start, _ in spans[FORWARD])
    last = begins[len(begins) // 2]
    now, peaks = -sample_bytes, dict.fromkeys(spans, 0)
    for at, size in _changes(events):
        now += size
        for name, found in spans.items():
            if at >= last and any(start <= at <= end for start, end in found):
                peaks[name] = max(peaks[name], now)
    return peaks


def _changes(events: list[Any]) -> Iterator[tuple[int, int]]:
    """(time, bytes) of all mallocs and frees, without what gloo copies for itself.

    What its threads free is not seen, only that the address is given away again.
    """
    in_use: dict[int, int] = {}
    for event in sorted((e for e in events if e.tag == _EventType.Allocation), key=lambda e: e.start_time_ns):
        address, size = event.extra_fields.ptr, event.extra_fields.alloc_size
        before = in_use.pop(address, 0)
        if size > 0:
            in_use[address] = 0 if _is_in_gloo(event) else size
        yield event.start_time_ns, in_use.get(address, 0) - before


def _is_in_gloo(event: Any) -> bool:
    while event.parent is not None:
        event = event.parent
        if event.name.startswith(("c10d::", "gloo:")):
            return True
    return False


def _events(profile: Any) -> list[Any]:
    found, queue = [], list(profile.profiler.kineto_results.experimental_event_tree())
    while queue:
        event = queue.pop()
        queue += event.children
        found.append(event)
    return found


# --- models -----------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """A block of a multi-layer perceptron."""

    def __init__(self, width: int, wide: int) -> None:
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(width), nn.Linear(width, wide), nn.Linear(wide, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(self.norm(x))))


class Perceptron(nn.Module):
    """Blocks between two layers."""

    def __init__(self, width: int = 256, count: int = 6, classes: int = 10) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, width), nn.Linear(width, classes)
        self.blocks = nn.ModuleList(Residual(width, 4 * width) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Transformer(nn.Module):
    """A small language model with its words at both ends."""

    def __init__(self, words: int = 1000, width: int = 128, count: int = 4) -> None:
        super().__init__()
        self.words, self.norm, self.head = nn.Embedding(words, width), nn.LayerNorm(width), nn.Linear(width, words)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True) for _ in range(count)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.words(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def perceptron(width: int = 256) -> tuple[nn.Module, Any, list[str]]:
    model = Perceptron(width)
    return model, (torch.randn(64), torch.tensor(1)), [f"blocks.{i}" for i in range(len(model.blocks))]


def uneven_perceptron() -> tuple[nn.Module, Any, list[str]]:
    """No length of it is a multiple of 2 or 4."""
    return perceptron(255)


def transformer() -> tuple[nn.Module, Any, list[str]]:
    model = Transformer()
    return model, (torch.arange(64), torch.arange(64)), [f"layers.{i}" for i in range(len(model.layers))]


def bare_blocks(count: int, width: int) -> nn.Module:
    """Blocks of matrices alone, in half precision, on the meta device: 8 · width² parameters each."""
    wide = 4 * width
    with torch.device("meta"):
        blocks = [
            nn.Sequential(nn.Linear(width, wide, bias=False), nn.ReLU(), nn.Linear(wide, width, bias=False))
            for _ in range(count)
        ]
        return nn.Sequential(*blocks).to(torch.bfloat16)


class MasterAdam(torch.optim.Optimizer):
    """Adam of mixed precision as the ZeRO paper has it: beside weights and gradients of two bytes, twelve of state."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, {"lr": 1e-3})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if not self.state[parameter]:
                state = {name: torch.zeros_like(parameter, dtype=torch.float32) for name in ("master", "m", "v")}
                self.state[parameter].update(state)
