"""Models, batch sizes and settings whose memory is measured on a card, and how one of them is trained."""

from __future__ import annotations

import gc
import time
from typing import Any

import torch
from zoo import ZOO, loss_of, optimizer_of, stacked, switch_checkpointing_on

BF16, FP16 = "bfloat16", "float16"
CASES: list[dict[str, Any]] = [
    {"model": "densenet121", "size": 128, "ks": [1, 2, 8, 32, 64], "traced": 64},
    {"model": "densenet121", "size": 256, "ks": [2, 8, 32]},
    {"model": "densenet121", "size": 512, "ks": [1, 2, 8], "traced": 2},
    {"model": "densenet121", "size": 224, "ks": [2, 16, 64], "amp": BF16, "traced": 16},
    {"model": "densenet121", "size": 224, "ks": [2, 16], "optimizer": "SGD"},
    {"model": "resnet50", "ks": [1, 2, 8, 32, 64], "traced": 32},
    {"model": "resnet50", "ks": [2, 32], "amp": FP16, "optimizer": "momentum", "traced": 32},
    {"model": "convnext_tiny", "ks": [2, 16, 64], "traced": 16},
    {"model": "convnext_tiny", "ks": [2, 16, 64], "amp": BF16, "traced": 16},
    {"model": "efficientnet_b0", "ks": [2, 16, 64], "traced": 16},
    {"model": "efficientnet_b0", "ks": [2, 16, 64], "amp": BF16, "optimizer": "RMSprop", "traced": 16},
    {"model": "unet", "ks": [1, 4, 16], "traced": 4},
    {"model": "unet", "ks": [1, 4, 16], "amp": BF16, "optimizer": "SGD", "traced": 4},
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
        switch_checkpointing_on(model)
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


def grad_scaler(case: dict[str, Any]) -> Any:
    # A small scale: the usual one overflows at first, and skipped steps make no optimizer state.
    return torch.amp.GradScaler("cuda", init_scale=128.0, enabled=case.get("amp") == FP16)


def cleared() -> None:
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def plain(case: dict[str, Any], k: int) -> dict[str, Any]:
    cleared()
    model, optimizer, sample = built(case)
    scaler = grad_scaler(case)
    peaks = []
    for _ in range(case.get("steps", 3)):
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
