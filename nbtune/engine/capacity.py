"""How much memory is free, where the task's tensors live."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_FILES = (
    (_CGROUP / "memory.max", _CGROUP / "memory.current"),
    (_CGROUP / "memory/memory.limit_in_bytes", _CGROUP / "memory/memory.usage_in_bytes"),
)


def free_bytes(device: torch.device) -> int | None:
    """Bytes a tool may still allocate on ``device``; None where nobody says.

    On CUDA: what the driver reports free plus what torch holds unused. On the host: the machine's available memory,
    what is left of the container's limit (cgroup v2 or v1), or of ``MEM_LIMIT`` (bytes, as JupyterHub sets it),
    whichever is least.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + unused)
    if device.type != "cpu":
        return None
    known = [size for size in (_available_in_machine(), _left_in_container(), _left_of_hub_limit()) if size is not None]
    return min(known, default=None)


def _available_in_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kibibytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kibibytes is None else int(kibibytes) * 1024


def resident_bytes() -> int | None:
    """What this process holds of the host's memory; None where nobody says (no /proc)."""
    try:
        # Asked after every operation of a fenced step: read_text would take five times as long.
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


def _left_in_container() -> int | None:
    for limit, usage in _CGROUP_FILES:
        try:
            return int(limit.read_text()) - int(usage.read_text())
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
    return None


def _left_of_hub_limit() -> int | None:
    try:
        limit = int(float(os.environ["MEM_LIMIT"]))
    except (KeyError, ValueError, OverflowError):
        return None
    for _, usage in _CGROUP_FILES:
        try:
            return max(0, limit - int(usage.read_text()))
        except (OSError, ValueError):
            continue
    # Other processes of the same user count too, but nobody says which they are.
    return max(0, limit - (resident_bytes() or 0))
