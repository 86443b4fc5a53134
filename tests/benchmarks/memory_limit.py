"""Does a kernel live under a memory limit of 1.3 × what plain training needs? Prints a table: tool × way × tries.

    python tests/benchmarks/memory_limit.py [--tries 20] [--models wide,adam,deep,trained] [--tools race,quick,…]

As root on Linux, with cgroups of version 1 or 2: each model is trained plainly in a process of its own, its peak is
read from its cgroup, and then each tool is called again and again in a process that may hold 1.3 times as much.

Deaths are processes that the system killed; refusals are NotEnoughMemoryError; "other" counts calls that said they took
another way (a replay, a backup on disk); "changed" counts calls after which a weight, a buffer, a gradient, the
optimizer's state or a random state was another, or a file was left in the folder for temporary ones.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

FACTOR = 1.3
ROOT = Path("/sys/fs/cgroup")
MODELS = ("wide", "adam", "deep", "trained")
TOOLS = ("race", "quick", "repeats", "batch_sizes", "find_batch_size", "compare", "curvature")
WAYS = ("copy", "in place")


class Cgroup:
    """One of our own, in which processes can be started."""

    def __init__(self) -> None:
        self.is_v2 = (ROOT / "cgroup.controllers").exists()
        self.folder = ROOT / ("" if self.is_v2 else "memory") / f"nbtune_benchmark_{os.getpid()}"
        self.folder.mkdir()

    def run(self, arguments: list[str], limit: int | None) -> subprocess.CompletedProcess[str]:
        """A process under a limit."""
        names = ("memory.max", "max") if self.is_v2 else ("memory.limit_in_bytes", "-1")
        (self.folder / names[0]).write_text(names[1] if limit is None else str(limit))
        if not self.is_v2:
            (self.folder / "memory.max_usage_in_bytes").write_text("0")
        return subprocess.run(
            ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh", sys.executable, *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def close(self) -> None:
        self.folder.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--child", nargs=4)
    wanted = parser.parse_args()
    if wanted.child:
        return child(*wanted.child)
    cgroup = Cgroup()
    try:
        for model in wanted.models.split(","):
            judge(cgroup, model, wanted)
    finally:
        cgroup.close()


def judge(cgroup: Cgroup, model: str, wanted: argparse.Namespace) -> None:
    """The rows of one model."""
    peak = peak_of(cgroup, model)
    limit = int(FACTOR * peak)
    print(f"\n{model}: plain training peaks at {peak / 2**20:.0f} MiB, the limit is {limit / 2**20:.0f} MiB")
    print(
        f"{'tool':16} {'way':9} {'tries':>5} {'deaths':>6} {'answers':>7} {'refusals':>8} {'other':>5} {'changed':>7}"
    )
    for tool in wanted.tools.split(","):
        for way in wanted.ways.split(","):
            print(row(cgroup, (model, tool, way), limit, wanted.tries), flush=True)


def peak_of(cgroup: Cgroup, model: str) -> int:
    done = cgroup.run([__file__, "--child", model, "plain", "copy", "1"], None)
    line = next((line for line in done.stdout.splitlines() if line.startswith("peak")), None)
    if line is None:
        raise RuntimeError(done.stderr)
    return int(line.split()[1])


def row(cgroup: Cgroup, case: tuple[str, str, str], limit: int, tries: int) -> str:
    counts: Counter[str] = Counter()
    words: list[str] = []
    while counts["tried"] < tries:
        left = tries - counts["tried"]
        done = cgroup.run([__file__, "--child", *case, str(left)], limit)
        lines = [line for line in done.stdout.splitlines() if line.startswith("try")]
        for line in lines:
            counts.update(["tried", *line.split("|")[1].split()])
            words += [line.split("|")[2]]
        if done.returncode in (-9, 137):
            counts.update(["tried", "death"])
        elif len(lines) < left:
            counts["tried"] = tries
            words.append(f"exit {done.returncode}: {done.stderr[-300:]}")
    said = Counter(words).most_common(1)[0][0] if words else ""
    names = ("tried", "death", "answer", "refusal", "other", "changed")
    numbers = [f"{counts[name]:{width}}" for name, width in zip(names, (5, 6, 7, 8, 5, 7), strict=True)]
    return f"{case[1]:16} {case[2]:9} {' '.join(numbers)}  {said}"


def child(model: str, tool: str, way: str, tries: str) -> None:
    """In the process that is limited."""
    warnings.simplefilter("ignore")
    import torch

    import nbtune as nt
    from nbtune.engine.training.room import NotEnoughMemoryError

    torch.manual_seed(0)
    tempfile.tempdir = tempfile.mkdtemp(prefix="nbtune_benchmark_")
    task = task_of(model, way)
    if tool == "plain":
        step(task, 3)
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        print("peak", int(peak.split()[1]) * 1024)
        return
    if model == "trained":
        step(task, 2)
    before = everything(task)
    for _ in range(int(tries)):
        try:
            result = CALLS[tool](nt, task)
            words = said_by(result)
            kind = "answer other" if "on disk" in words or "began anew" in words else "answer"
        except NotEnoughMemoryError as error:
            kind, words = "refusal", str(error)
        kind += "" if everything(task) == before else " changed"
        print(f"try|{kind}|{words}", flush=True)
    os.rmdir(tempfile.tempdir)


def task_of(name: str, way: str) -> Any:
    import torch
    from torch import nn
    from torch.nn import functional

    import nbtune as nt

    if name == "deep":
        inputs, count, size = 256, 8192, 2048
        model: nn.Module = nn.Sequential(*[part for _ in range(30) for part in (nn.Linear(256, 256), nn.Tanh())])
    else:
        inputs, count, size = 8, 64, 4
        width = 3000 if name == "adam" else 5000
        model = nn.Sequential(
            nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
        )  # fmt: skip
    if way == "in place":
        model.lock = threading.Lock()  # type: ignore[assignment]
    kinds = {"adam": lambda p: torch.optim.Adam(p, 1e-3), "trained": lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9)}
    optimizer = kinds.get(name, lambda p: torch.optim.SGD(p, 1e-3))(model.parameters())
    data = torch.utils.data.TensorDataset(torch.randn(count, inputs), torch.randint(3, (count,)))
    loader = torch.utils.data.DataLoader(data, size, shuffle=True)
    return nt.Task(model, optimizer, functional.cross_entropy, loader)


def step(task: Any, count: int) -> None:
    for _, (inputs, targets) in zip(range(count), task.loader, strict=False):
        task.optimizer.zero_grad()
        task.loss_fn(task.model(inputs), targets).backward()
        task.optimizer.step()


def everything(task: Any) -> str:
    """A digest of all that is to be as it was, made without memory of its own."""
    import torch

    digest = hashlib.blake2b()
    state = [v for entry in task.optimizer.state.values() for v in entry.values()]
    grads = [p.grad for p in task.parameters]
    for value in (*task.model.parameters(), *task.model.buffers(), *grads, *state):
        if isinstance(value, torch.Tensor):
            digest.update(value.detach().reshape(-1).view(torch.uint8).numpy().data)
        else:
            digest.update(repr(value).encode())
    digest.update(torch.get_rng_state().numpy().tobytes())
    digest.update(repr(os.listdir(tempfile.gettempdir())).encode())
    return digest.hexdigest()


def said_by(result: Any) -> str:
    parts = [getattr(result, name, "") for name in ("verdict", "reason", "limit", "sentence")]
    return " ".join([*map(str, parts), *getattr(result, "caveats", ())]).replace("|", " ")


CALLS: dict[str, Any] = {
    "race": lambda nt, task: nt.find_lr(task, max_seconds=4, progress=False),
    "quick": lambda nt, task: nt.find_lr(task, mode="quick", steps=10, max_seconds=4, progress=False),
    "repeats": lambda nt, task: nt.find_lr(task, mode="quick", steps=10, repeats=2, max_seconds=4, progress=False),
    "batch_sizes": lambda nt, task: nt.find_lr(
        task, mode="quick", steps=10, batch_sizes=[2, 64], max_seconds=4, progress=False
    ),
    "find_batch_size": lambda nt, task: nt.find_batch_size(task, measure_seconds=1, max_batch_size=8, progress=False),
    "compare": lambda nt, task: nt.compare_batch_sizes(task, [4, 64], budget="64 samples", progress=False),
    "curvature": lambda nt, task: nt.engine.estimate_curvature(task, max_seconds=2),
}

if __name__ == "__main__":
    main()
