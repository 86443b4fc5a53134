"""How much memory is free, where the task's tensors live."""

from __future__ import annotations

import torch

from ...host_memory import free_host_bytes


def free_bytes(device: torch.device) -> int | None:
    """Bytes a tool may still allocate on ``device``; None where nobody says.

    On CUDA: what the driver reports free plus what torch holds unused. On the host: the machine's available memory,
    what is left of the container's limit (cgroup v2 or v1), of ``MEM_LIMIT`` (bytes, as JupyterHub sets it), or of the
    process's own (``ulimit``), whichever is least.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + unused)
    return free_host_bytes() if device.type == "cpu" else None
