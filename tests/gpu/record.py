"""Records what a card's allocator really did: the truth for the allocator model and for the estimates.

    python tests/gpu/record.py            # writes $OUT/memory_truth.json and $OUT/memory_traces.json.gz

For every case: peak reserved and allocated bytes of three plain steps at several batch sizes, and for one size every
event of the allocator together with the operator that caused it.
"""

from __future__ import annotations

import gc
import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
from zoo import ZOO, loss_of, optimizer_of, stacked

OUT = Path(os.environ.get("OUT", "."))
BF16, FP16 = "bfloat16", "float16"
CASES: list[dict[str, Any]] = [
    {"model": "densenet121", "size": 128, "ks": [1, 2, 8, 32, 64], "traced": 8},
    {"model": "densenet121", "size": 256, "ks": [2, 8, 32]},
    {"model": "densenet121", "size": 512, "ks": [1, 2, 8], "traced": 2},
    {"model": "densenet121", "size": 224, "ks": [2, 16, 64], "amp": BF16, "traced": 16},
    {"model": "densenet121", "size": 224, "ks": [2, 16], "optimizer": "SGD"},
    {"model": "resnet50", "ks": [1, 2, 8, 32, 64], "traced": 8},
    {"model": "resnet50", "ks": [2, 32], "amp": FP16, "optimizer": "momentum", "traced": 32},
    {"model": "convnext_tiny", "ks": [2, 16, 64], "traced": 16},
    {"model": "convnext_tiny", "ks": [2, 16, 64], "amp": BF16, "traced": 16},
    {"model": "efficientnet_b0", "ks": [2, 16, 64], "traced": 16},
    {"model": "efficientnet_b0", "ks": [2, 16, 64], "amp": BF16, "optimizer": "RMSprop"},
    {"model": "unet", "ks": [1, 4, 16], "traced": 4},
    {"model": "unet", "ks": [1, 4, 16], "amp": BF16, "optimizer": "SGD"},
    {"model": "vit_base", "ks": [1, 2, 8, 32, 64], "traced": 8},
    {"model": "vit_base", "ks": [2, 32, 64], "amp": BF16, "traced": 32},
    {"model": "vit_base", "ks": [2, 32, 64], "checkpointing": True, "traced": 32},
    {"model": "swin_tiny", "ks": [2, 16, 64], "traced": 16},
    {"model": "swin_tiny", "ks": [2, 16, 64], "amp": BF16},
    {"model": "bert_base", "ks": [1, 2, 8, 32], "traced": 8},
    {"model": "bert_base", "ks": [2, 8, 32], "amp": FP16, "traced": 8},
    {"model": "bert_base", "ks": [2, 8, 32], "amp": BF16, "checkpointing": True, "traced": 8},
    {"model": "gpt2", "ks": [1, 2, 4, 16], "traced": 4},
    {"model": "gpt2", "ks": [2, 4, 16], "amp": BF16, "traced": 4},
    {"model": "gpt2", "ks": [2, 16], "checkpointing": True},
    {"model": "t5_small", "ks": [2, 16, 64], "traced": 16},
    {"model": "t5_small", "ks": [2, 16, 64], "amp": BF16, "optimizer": "Adam"},
    {"model": "lstm", "ks": [2, 16, 128, 512], "traced": 16},
    {"model": "lstm", "ks": [2, 128], "amp": BF16, "traced": 128},
    {"model": "mlp", "ks": [1, 64, 4096], "traced": 64},
    {"model": "mlp", "ks": [1, 64, 4096], "optimizer": "SGD"},
]


def built(case: dict[str, Any]) -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    model, sample = ZOO[case["model"]](*([case["size"]] if "size" in case else []))
    if case.get("checkpointing"):
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model = model.cuda().train()
    return model, optimizer_of(case.get("optimizer", "AdamW"), model), sample


def cuda(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {k: cuda(v) for k, v in batch.items()}
    return tuple(map(cuda, batch)) if isinstance(batch, tuple) else batch.cuda()


def step(model: Any, optimizer: Any, scaler: Any, batch: Any, amp: str | None) -> None:
    batch = cuda(batch)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cuda", dtype=getattr(torch, amp or "float16"), enabled=amp is not None):
        loss = loss_of(model, batch)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()


def cleared() -> None:
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


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


def plain(case: dict[str, Any], k: int) -> dict[str, Any]:
    cleared()
    model, optimizer, sample = built(case)
    scaler = torch.amp.GradScaler("cuda", enabled=case.get("amp") == FP16)
    peaks = []
    for _ in range(3):
        torch.cuda.reset_peak_memory_stats()
        step(model, optimizer, scaler, stacked(sample, k), case.get("amp"))
        torch.cuda.synchronize()
        stats = torch.cuda.memory_stats()
        peaks.append([stats["reserved_bytes.all.peak"], stats["allocated_bytes.all.peak"]])
    begun = time.perf_counter()
    step(model, optimizer, scaler, stacked(sample, k), case.get("amp"))
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    free, total = torch.cuda.mem_get_info()
    outside = total - free - torch.cuda.memory_reserved()
    return {"k": k, "peaks": peaks, "retries": stats["num_alloc_retries"], "outside": outside, "seconds": seconds}


def traced(case: dict[str, Any], k: int) -> dict[str, Any]:
    cleared()
    torch.cuda.memory._record_memory_history(enabled="all", context=None, max_entries=2_000_000)
    begun = torch.cuda.memory_stats_as_nested_dict()["allocation"]["all"]["allocated"]
    model, optimizer, sample = built(case)
    scaler = torch.amp.GradScaler("cuda", enabled=case.get("amp") == FP16)
    log = OpLog()
    marks = []
    for _ in range(2):
        with log:
            step(model, optimizer, scaler, stacked(sample, k), case.get("amp"))
        marks.append(len(log.ops))
    torch.cuda.synchronize()
    snapshot = torch.cuda.memory._snapshot()
    torch.cuda.memory._record_memory_history(enabled=None)
    names: dict[int, int] = {}
    events = []
    for e in snapshot["device_traces"][torch.cuda.current_device()]:
        events.append([e["action"], names.setdefault(e.get("addr", -1), len(names)), e.get("size", 0), e.get("stream", 0)])
    table = sorted({name for name, *_ in log.ops})
    index = {name: i for i, name in enumerate(table)}
    ops = [[index[name], a - begun, b - begun] for name, a, b in log.ops]
    return {"k": k, "events": events, "op_names": table, "ops": ops, "marks": marks,
            "reserved": torch.cuda.memory_reserved(), "peak": torch.cuda.memory_stats()["reserved_bytes.all.peak"]}  # fmt: skip


def main() -> None:
    free, total = torch.cuda.mem_get_info()
    context = total - free
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(), "total": total, "context": context, "torch": torch.__version__,
        "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "cases": [],
    }  # fmt: skip
    x = torch.randn(64, 64, device="cuda")
    report["after_first_tensor"] = total - torch.cuda.mem_get_info()[0] - torch.cuda.memory_reserved()
    torch.mm(x, x)
    report["cublas_workspace"] = torch.cuda.memory_allocated() - x.nbytes
    report["after_first_matmul"] = total - torch.cuda.mem_get_info()[0] - torch.cuda.memory_reserved()
    del x
    traces = []
    for case in CASES:
        begun = time.perf_counter()
        entry = dict(case)
        try:
            entry["runs"] = [plain(case, k) for k in case["ks"]]
            if "traced" in case:
                traces.append({**case, **traced(case, case["traced"])})
        except Exception as error:
            entry["error"] = repr(error)[:500]
            torch.cuda.memory._record_memory_history(enabled=None)
        report["cases"].append(entry)
        (OUT / "memory_truth.json").write_text(json.dumps(report))
        peaks = [round(r["peaks"][-1][0] / 2**20) for r in entry.get("runs", ())]
        print({k: v for k, v in case.items() if k != "runs"}, peaks, entry.get("error", ""),
              round(time.perf_counter() - begun, 1), flush=True)  # fmt: skip
    with gzip.open(OUT / "memory_traces.json.gz", "wt") as file:
        json.dump(traces, file, separators=(",", ":"))


if __name__ == "__main__":
    main()
