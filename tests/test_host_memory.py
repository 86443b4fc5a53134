"""The host's memory, read from files as Linux, a container or a batch system would lay them out."""

from __future__ import annotations

import gc
import mmap
from dataclasses import replace
from pathlib import Path

import pytest

from nbtune import host_memory as module
from nbtune.host_memory import HostMemory, free_host_bytes, host_memory, resident_bytes

MIB, GIB = 2**20, 2**30
NO_LIMIT_V1 = 9223372036854771712
OWN = 1 * GIB


class Machine:
    """The files of a machine with 16 GiB, of which 10 are available; this process holds 1 GiB and held 2."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("/proc/meminfo", f"MemTotal: {16 * MIB} kB\nMemFree: 7 kB\nMemAvailable: {10 * MIB} kB\nHuge: 3\n")
        self.write("/proc/self/status", f"Name:\tpython\nVmHWM:\t {2 * MIB} kB\nThreads:\t3\n")

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def write(self, name: str, text: object) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(f"{text}\n")

    def limit(self, limit: object, used: int, *, group: str = "", stat: str = "") -> None:
        """A cgroup of version 2."""
        folder = f"/sys/fs/cgroup/{group}"
        self.write(f"{folder}/memory.max", limit)
        self.write(f"{folder}/memory.current", used)
        self.write(f"{folder}/memory.stat", f"anon 5\n{stat}")

    def limit_v1(self, limit: object, used: int, *, group: str = "", stat: str = "") -> None:
        folder = f"/sys/fs/cgroup/memory/{group}"
        self.write(f"{folder}/memory.limit_in_bytes", limit)
        self.write(f"{folder}/memory.usage_in_bytes", used)
        self.write(f"{folder}/memory.stat", f"rss 5\n{stat}")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(module, "Path", made.path)
    monkeypatch.setattr(module, "_CGROUP", made.path("/sys/fs/cgroup"))
    monkeypatch.setattr(module, "resident_bytes", lambda: OWN)
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    return made


def seen() -> HostMemory:
    memory = host_memory()
    assert memory is not None
    return memory


def test_a_machine_without_a_container_counts_what_is_not_available(machine: Machine) -> None:
    assert seen() == HostMemory(
        place="machine", limit_bytes=16 * GIB, now_bytes=OWN, peak_bytes=2 * GIB, others_bytes=5 * GIB
    )
    assert seen().free_bytes == free_host_bytes() == 10 * GIB


def test_the_limit_of_a_container_counts_instead_of_the_machines(machine: Machine) -> None:
    machine.limit(4 * GIB, used=3 * GIB)
    assert seen() == HostMemory(
        place="container", limit_bytes=4 * GIB, now_bytes=OWN, peak_bytes=2 * GIB, others_bytes=2 * GIB
    )
    assert free_host_bytes() == 1 * GIB


def test_the_same_of_a_container_of_the_older_kind(machine: Machine) -> None:
    machine.limit_v1(4 * GIB, used=3 * GIB)
    assert (seen().place, seen().limit_bytes, seen().others_bytes) == ("container", 4 * GIB, 2 * GIB)


@pytest.mark.parametrize("is_old", [False, True], ids=["v2", "v1"])
def test_a_limit_set_above_the_process_s_own_cgroup_counts(machine: Machine, is_old: bool) -> None:
    limit, line = (machine.limit_v1, "9:memory:/batch/job/step") if is_old else (machine.limit, "0::/batch/job/step")
    unlimited = NO_LIMIT_V1 if is_old else "max"
    machine.write("/proc/self/cgroup", f"12:cpu,cpuacct:/elsewhere\n{line}")
    limit(unlimited, 14 * GIB)
    limit(unlimited, 9 * GIB, group="batch")
    limit(6 * GIB, 4 * GIB, group="batch/job")
    limit(unlimited, 2 * GIB, group="batch/job/step")
    limit(3 * GIB, 3 * GIB, group="elsewhere")
    assert (seen().place, seen().limit_bytes, seen().others_bytes) == ("container", 6 * GIB, 3 * GIB)


def test_of_several_limits_the_one_with_the_least_left_counts(machine: Machine) -> None:
    machine.write("/proc/self/cgroup", "0::/batch/job")
    machine.limit(8 * GIB, 7 * GIB, group="batch")
    machine.limit(6 * GIB, 2 * GIB, group="batch/job")
    assert (seen().limit_bytes, seen().free_bytes) == (8 * GIB, 1 * GIB)


def test_a_cgroup_outside_the_container_s_own_view_is_not_looked_for(machine: Machine) -> None:
    machine.write("/proc/self/cgroup", "0::/../other")
    machine.limit(2 * GIB, 2 * GIB, group="../other")
    assert seen().place == "machine"


@pytest.mark.parametrize("limit", ["max", NO_LIMIT_V1, 16 * GIB, 64 * GIB, "", "what?"])
def test_no_limit_or_one_as_large_as_the_machine_is_none(machine: Machine, limit: object) -> None:
    machine.limit(limit, 3 * GIB)
    machine.limit_v1(limit, 3 * GIB)
    assert (seen().place, seen().limit_bytes) == ("machine", 16 * GIB)


def test_files_that_are_merely_cached_do_not_count(machine: Machine) -> None:
    machine.limit(4 * GIB, used=3 * GIB, stat=f"inactive_file {1 * GIB}\nactive_file {1 * GIB}\nfile_mapped {1 * GIB}")
    assert seen().others_bytes == 1 * GIB


def test_on_the_older_kind_those_of_the_groups_below_do_not_count_either(machine: Machine) -> None:
    machine.limit_v1(4 * GIB, used=3 * GIB, stat=f"inactive_file 0\ntotal_inactive_file {1 * GIB}")
    assert seen().others_bytes == 1 * GIB


def test_others_never_hold_less_than_nothing(machine: Machine) -> None:
    # Shared libraries are resident in this process, and charged to the container that read them first.
    machine.limit(4 * GIB, used=100 * MIB)
    assert (seen().others_bytes, seen().free_bytes) == (0, 3 * GIB)
    machine.limit(4 * GIB, used=100 * MIB, stat=f"inactive_file {1 * GIB}")
    assert seen().others_bytes == 0


def test_nothing_is_left_where_more_is_used_than_allowed(machine: Machine) -> None:
    machine.limit(2 * GIB, used=3 * GIB)
    assert seen().free_bytes == free_host_bytes() == 0


def test_the_limit_of_a_hub_counts_with_the_use_of_the_container(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEM_LIMIT", f"{3 * GIB}.0")
    machine.limit("max", used=2 * GIB)
    assert (seen().place, seen().limit_bytes, seen().others_bytes) == ("container", 3 * GIB, 1 * GIB)


def test_without_a_cgroup_the_limit_of_a_hub_counts_for_this_process_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEM_LIMIT", str(3 * GIB))
    assert (seen().limit_bytes, seen().others_bytes, seen().free_bytes) == (3 * GIB, 0, 2 * GIB)


@pytest.mark.parametrize("text", ["", "2G", "inf", "nan", str(64 * GIB)])
def test_a_hub_s_limit_that_says_nothing_is_ignored(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("MEM_LIMIT", text)
    assert seen().place == "machine"


def test_a_container_cannot_give_more_than_the_machine_has(machine: Machine) -> None:
    machine.limit(15 * GIB, used=1 * GIB)
    assert seen().free_bytes == 14 * GIB and free_host_bytes() == 10 * GIB


def test_a_peak_is_never_below_what_is_held_now(machine: Machine) -> None:
    machine.write("/proc/self/status", "VmHWM: 1 kB")
    assert seen().peak_bytes == OWN
    machine.path("/proc/self/status").unlink()
    assert seen().peak_bytes == OWN


def test_without_proc_and_psutil_nobody_says(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "resident_bytes", lambda: None)
    monkeypatch.setitem(__import__("sys").modules, "psutil", None)
    assert host_memory() is None and free_host_bytes() is None


def test_without_proc_psutil_says(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(module, "resident_bytes", lambda: None)
    machine.path("/proc/meminfo").unlink()
    memory = seen()
    assert memory.limit_bytes == psutil.virtual_memory().total
    assert memory.peak_bytes == memory.now_bytes > 0


def test_this_very_process_is_found_on_this_very_machine() -> None:
    gc.collect()
    held = resident_bytes()
    assert held is not None
    # Mapped, so that it is new: the heap of a process that has run other tests may hold as much unused.
    with mmap.mmap(-1, 256 * MIB) as ballast:
        ballast.write(b"x" * (256 * MIB))
        memory = seen()
    assert memory.now_bytes >= held + 128 * MIB and memory.peak_bytes >= memory.now_bytes
    assert memory.limit_bytes > memory.now_bytes and memory.others_bytes >= 0


def test_memory_at_a_moment_does_not_change_later() -> None:
    memory = seen()
    assert replace(memory) == memory
    with pytest.raises(AttributeError):
        memory.now_bytes = 0  # type: ignore[misc]
