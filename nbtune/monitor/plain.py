"""The parts of a status as plain JSON, as ``contract.ts`` of the extension reads it."""

from __future__ import annotations

import keyword
import sys
from typing import Any

from ..jobs import Finding, Forecast, Job

_LONGEST_NAME = 80


def gpus() -> list[dict[str, Any]]:
    """The GPUs this process already uses. Asking about another one would create a context on it."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not hasattr(cuda, "is_initialized") or not cuda.is_initialized():
        return []
    used = [i for i in range(cuda.device_count()) if cuda.memory_reserved(i) or cuda.max_memory_reserved(i)]
    return [_gpu(cuda, index) for index in used]


def _gpu(cuda: Any, index: int) -> dict[str, Any]:
    free_bytes, limit_bytes = cuda.mem_get_info(index)
    now_bytes = cuda.memory_reserved(index)
    return {
        "name": f"cuda:{index}", "title": cuda.get_device_name(index), "place": "gpu", "limit_bytes": limit_bytes,
        "now_bytes": now_bytes, "peak_bytes": max(now_bytes, cuda.max_memory_reserved(index)),
        # This process's CUDA context is among the others: nobody but NVML could tell it apart.
        "others_bytes": max(0, limit_bytes - free_bytes - now_bytes),
    }  # fmt: skip


def plain_job(job: Job) -> dict[str, Any]:
    """How far a job is."""
    progress, seconds_left = job.progress, job.seconds_left
    return {
        "id": job.id, "tool": job.tool, "detail": job.detail, "is_stopping": job.is_stopping,
        "is_blocking": job.is_blocking, "widget": job.widget, "done": progress.done, "total": progress.total,
        "unit": progress.unit, "share": progress.share,
        "seconds_left": None if seconds_left is None else round(seconds_left, 2),
    }  # fmt: skip


def plain_finding(finding: Finding, names: dict[int, str]) -> dict[str, Any]:
    """What was found, and the code that applies it; ``names``: of the notebook's tasks, by their ids."""
    return {
        "id": finding.id, "tool": finding.tool, "lr": finding.lr, "batch_size": finding.batch_size,
        "detail": finding.detail, "model": finding.model, "widget": finding.widget, "cell": finding.cell,
        "code": finding.code(names.get(id(finding.task()), "task")),
    }  # fmt: skip


def plain_forecast(
    forecast: Forecast | None, devices: list[dict[str, Any]], names: dict[int, str]
) -> dict[str, Any] | None:
    """Where the next batch size would end now; None where that is not known, or below what is held anyway."""
    device = next((known for known in devices if forecast is not None and known["name"] == forecast.device), None)
    if forecast is None or device is None or (task := forecast.task()) is None:
        return None
    # What the process holds beyond all it held then came since, and stays while the next batch size trains.
    next_bytes = forecast.next_bytes + max(0, device["now_bytes"] - forecast.held_bytes)
    if next_bytes <= device["now_bytes"]:
        return None
    has_room = next_bytes + device["others_bytes"] <= device["limit_bytes"]
    name, size = names.get(id(task), "task"), forecast.batch_size
    return {
        "device": forecast.device, "batch_size": size, "has_run": forecast.has_run,
        "next_batch_size": forecast.next_batch_size, "next_bytes": next_bytes,
        "does_fit": forecast.does_fit and has_room,
        "code": "" if size is None else Finding(tool="batch_size", batch_size=size).code(name),
    }  # fmt: skip


def is_name(name: Any) -> bool:
    """Whether it may stand in a line of code; the notebook's dict of variables takes any text.

    The browser checks it again, by a rule of its own: a name it does not take would cost it the whole message.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        return False
    return name[0].isalpha() and name.replace("_", "").isalnum() and len(name) <= _LONGEST_NAME
