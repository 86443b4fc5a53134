"""What this process, its container and the machine hold of the host's memory. Standard library only.

Where a container has a limit, it is the container's numbers that count, never the machine's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """The host's memory at one moment, all in bytes.

    Attributes:
        place: Whose limit it is: "container" (a cgroup's, or JupyterHub's ``MEM_LIMIT``) or "machine".
        limit_bytes: What there is in all.
        now_bytes: Resident memory of this process.
        peak_bytes: Its largest so far, ≥ ``now_bytes``.
        others_bytes: What everybody else in that place holds; files that are merely cached do not count.
    """

    place: Literal["container", "machine"]
    limit_bytes: int
    now_bytes: int
    peak_bytes: int
    others_bytes: int

    @property
    def free_bytes(self) -> int:
        """What is left, ≥ 0."""
        return max(0, self.limit_bytes - self.now_bytes - self.others_bytes)


def host_memory() -> HostMemory | None:
    """The memory of the container or machine this process runs in; None where nobody says.

    On Linux from /proc and the cgroup (v2, of this process or of one above it; or v1); elsewhere from psutil, if it is
    installed, and then ``peak_bytes`` is what the process holds now.
    """
    if (found := _linux_memory() or _other_memory()) is None:
        return None
    machine_bytes, available_bytes, now_bytes, peak_bytes = found
    used_in_machine = max(0, machine_bytes - available_bytes)
    in_machine = HostMemory(
        place="machine", limit_bytes=machine_bytes, now_bytes=now_bytes, peak_bytes=max(now_bytes, peak_bytes),
        others_bytes=max(0, used_in_machine - now_bytes),
    )  # fmt: skip
    in_containers = [
        replace(in_machine, place="container", limit_bytes=limit, others_bytes=max(0, used - now_bytes))
        for limit, used in _container_limits(now_bytes)
        if limit < machine_bytes
    ]
    return min(in_containers, key=lambda memory: memory.free_bytes, default=in_machine)


def free_host_bytes() -> int | None:
    """Bytes one may still allocate on the host: the least of what machine, container and process have left.

    Of the process: what ``ulimit -v`` and ``ulimit -d`` leave it, where they are set.
    """
    memory = host_memory()
    left = [] if memory is None else [memory.free_bytes, *_left_of_process()]
    if memory is not None and (available := _meminfo().get("MemAvailable")) is not None:
        left.append(available)
    return min(left, default=None)


def is_in_memory(folder: Path) -> bool:
    """Whether what is written there takes memory after all: a tmpfs, as /dev/shm and many a /tmp are."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return False
    place = folder.resolve()
    # A later mount at the same place hides the one before it.
    kinds = {Path(mount.encode().decode("unicode_escape")): kind for _, mount, kind, *_ in map(str.split, lines)}
    above = [mount for mount in (place, *place.parents) if mount in kinds]
    return bool(above) and kinds[above[0]] in ("tmpfs", "ramfs", "devtmpfs")


def resident_bytes() -> int | None:
    """What this process holds of the host's memory; None where nobody says (no /proc)."""
    try:
        # Asked after every operation of a fenced step: read_text would take five times as long.
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return None


def _left_of_process() -> Iterator[int]:
    """What the limits of this process leave it: of its address space, and of the part that holds data."""
    try:
        import resource
    except ImportError:  # Windows
        return
    status = _kibibytes(Path("/proc/self/status"))
    for name, kind in (("VmSize", resource.RLIMIT_AS), ("VmData", resource.RLIMIT_DATA)):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY and name in status:
            yield max(0, limit - status[name])


def _linux_memory() -> tuple[int, int, int, int] | None:
    """Bytes of the machine, available in it, this process now, and its peak."""
    machine, now_bytes = _meminfo(), resident_bytes()
    if now_bytes is None or not {"MemTotal", "MemAvailable"} <= set(machine):
        return None
    peak_bytes = _kibibytes(Path("/proc/self/status")).get("VmHWM", now_bytes)
    return machine["MemTotal"], machine["MemAvailable"], now_bytes, peak_bytes


def _other_memory() -> tuple[int, int, int, int] | None:
    try:
        import psutil
    except ImportError:
        return None
    machine, now_bytes = psutil.virtual_memory(), psutil.Process().memory_info().rss
    return machine.total, machine.available, now_bytes, now_bytes


def _meminfo() -> dict[str, int]:
    return _kibibytes(Path("/proc/meminfo"))


def _kibibytes(path: Path) -> dict[str, int]:
    """The lines "Name:  123 kB" of a file of the kernel's, in bytes."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0].rstrip(":"): int(line[1]) * 1024 for line in lines if line[2:] == ["kB"]}


def _container_limits(now_bytes: int) -> Iterator[tuple[int, int]]:
    """(limit, used) of every limit this process is under."""
    limits = list(_cgroup_limits())
    yield from limits
    try:
        hub_limit = int(float(os.environ["MEM_LIMIT"]))
    except (KeyError, ValueError, OverflowError):
        return
    usage = [used for _, used in limits] or list(_root_usage())
    # Without a cgroup, other processes of the same user count too, but nobody says which they are.
    yield hub_limit, min(usage, default=now_bytes)


def _cgroup_limits() -> Iterator[tuple[int, int]]:
    for folder in _cgroup_folders():
        for names in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            limit, usage = (_number(folder / name) for name in names)
            if limit is not None and usage is not None:
                yield limit, _without_cache(folder, usage)


def _root_usage() -> Iterator[int]:
    for folder, name in ((_CGROUP, "memory.current"), (_CGROUP / "memory", "memory.usage_in_bytes")):
        if (usage := _number(folder / name)) is not None:
            yield _without_cache(folder, usage)


def _cgroup_folders() -> list[Path]:
    """Of this process's cgroup and those above it: batch systems set the limit in one of them."""
    folders = [_CGROUP, _CGROUP / "memory"]
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, controllers, place = line.split(":", 2)
        root = {"": _CGROUP, "memory": _CGROUP / "memory"}.get(controllers)
        if root is not None and ".." not in place:
            folder = root / place.strip("/")
            folders += [above for above in (folder, *folder.parents) if root in above.parents]
    return folders


def _without_cache(folder: Path, usage: int) -> int:
    """Cached files go when memory is wanted; those that are mapped (libraries) are needed, if they are in use."""
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return usage
    stat = dict(line.split(maxsplit=1) for line in lines if " " in line)

    def of(*names: str) -> int:
        return int(next((stat[name] for name in names if name in stat), "0"))

    idle = of("total_inactive_file", "inactive_file")
    idle += of("slab_reclaimable")  # what the kernel remembers of files
    unmapped = idle + of("total_active_file", "active_file") - of("total_mapped_file", "file_mapped")
    return max(0, usage - max(idle, unmapped))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no such file, or "max": no limit
        return None
