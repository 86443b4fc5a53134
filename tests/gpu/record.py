"""Records what a card's caching allocator does, event by event: the truth for its model (see test_allocator.py).

    python tests/gpu/record.py            # writes $OUT/allocator_traces.json.gz

One line per event: action, address (from the lowest one on), bytes; and which operator made which allocations.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from cases import CASES, built, cleared, grad_scaler, stacked, step  # noqa: E402

OUT = Path(os.environ.get("OUT", "."))


class OpLog(TorchDispatchMode):
    """Which operator made how many allocations, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[tuple[str, int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = torch.cuda.memory_stats_as_nested_dict()["allocation"]["all"]["allocated"]
        result = func(*args, **(kwargs or {}))
        after = torch.cuda.memory_stats_as_nested_dict()["allocation"]["all"]["allocated"]
        self.ops.append((str(func), before, after))
        return result


def traced(case: dict[str, Any]) -> dict[str, Any]:
    """Two training steps of a case: every event of the allocator, and the operators."""
    cleared()
    torch.cuda.memory._record_memory_history(enabled="all", context=None, max_entries=2_000_000)
    begun = torch.cuda.memory_stats_as_nested_dict()["allocation"]["all"]["allocated"]
    model, optimizer, sample = built(case)
    scaler, log, marks = grad_scaler(case), OpLog(), []
    for _ in range(2):
        with log:
            step(model, optimizer, scaler, stacked(sample, case["traced"]), case.get("amp"))
        marks.append(len(log.ops))
    torch.cuda.synchronize()
    trace = torch.cuda.memory._snapshot()["device_traces"][torch.cuda.current_device()]
    torch.cuda.memory._record_memory_history(enabled=None)
    lowest = min(event["addr"] for event in trace)
    wanted = ("alloc", "free_completed", "segment_alloc", "segment_free")
    events = [[e["action"], e["addr"] - lowest, e["size"]] for e in trace if e["action"] in wanted]
    names = sorted({name for name, *_ in log.ops})
    ops = [[names.index(name), before - begun, after - begun] for name, before, after in log.ops]
    return {**case, "events": events, "op_names": names, "ops": ops, "marks": marks}


def main() -> None:
    traces = [traced(case) for case in CASES if "traced" in case]
    about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}
    with gzip.open(OUT / "allocator_traces.json.gz", "wt") as file:
        json.dump({**about, "traces": traces}, file, separators=(",", ":"))
    print(len(traces), "traces")


if __name__ == "__main__":
    main()
