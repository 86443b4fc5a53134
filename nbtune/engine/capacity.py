"""How much memory is free, where the task's tensors live."""

from __future__ import annotations

from pathlib import Path

import torch


def free_bytes(device: torch.device) -> int | None:
    """Bytes a tool may still allocate on ``device``; None where nobody says.

    On CUDA: what the driver reports free plus what torch holds unused. On the host: the machine's available memory,
    or what is left of the container's limit (cgroup v2 or v1), whichever is less.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + unused)
    if device.type != "cpu":
        return None
    known = [size for size in (_available_in_machine(), _left_in_container()) if size is not None]
    return min(known, default=None)


def _available_in_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kibibytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kibibytes is None else int(kibibytes) * 1024


def _left_in_container() -> int | None:
    root = Path("/sys/fs/cgroup")
    for limit, usage in (
        (root / "memory.max", root / "memory.current"),
        (root / "memory/memory.limit_in_bytes", root / "memory/memory.usage_in_bytes"),
    ):
        try:
            return int(limit.read_text()) - int(usage.read_text())
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return None
