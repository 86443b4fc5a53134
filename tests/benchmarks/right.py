"""All figures of "right on every task that people bring", in one table.

    python tests/benchmarks/right.py [--cases FOLDER] [--fuzz 2000] [--interrupts 1000] [--runs 300] [--tries 20]

Five parts, each a benchmark of its own; 0 leaves one out:

- **cases**: every program of FOLDER (without one, none), each in a process of its own. One is right where it ends by
  itself within five minutes, and what it prints has what ``RIGHT`` asks of it and nothing that it forbids. A program
  that ``RIGHT`` does not know is counted as "ended", and its last line is told.
- **fuzz**: ``fuzz.py``, **interrupts**: ``interrupts.py``, **runs**: ``runs.py``
- **memory limit**: ``memory_limit.py``, as root on Linux.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE_SECONDS = 300

MOVED = {"nbtune.engine import backup": "nbtune.engine.training import backup"} | {
    "nbtune.engine.loader_state": "nbtune.engine.training.loader_state"
}
"""Modules that a case may know by an older place."""


@dataclass(frozen=True)
class Right:
    """What a case must print, and must not, as patterns over its lines."""

    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


ERROR = "(?m)^[A-Za-z]*(Error|Exception)"

RIGHT = {
    "accelerate_scheduler": Right(lacks=(ERROR, "None")),
    "autocast": Right(has=("plain .*\\n(.*\\n)*.*cache off [0-9.]+",), lacks=("None",)),
    "batch_objects": Right(has=(r"(?s)(262144.*){3}",)),
    "beside_the_model": Right(has=(r"teacher (6[4-9]\d|[7-9]\d\d) MiB|[Cc]ounted beside",)),
    "generators_in_place": Right(has=("True",), lacks=("False",)),
    "inference_mode": Right(lacks=(ERROR,)),
    "interrupt_loader_order": Right(has=("as before: True",), lacks=("False",)),
    "lengths_in_lists": Right(lacks=("65536",)),
    "maximize": Right(lacks=("None", ERROR)),
    "none_and_dict_losses": Right(lacks=("None$", ERROR)),
    "outside_object_on_meta": Right(lacks=("NotImplementedError", "meta tensor")),
    "second_interrupt": Right(has=("as before: True",), lacks=("False",)),
    "small": Right(lacks=("Attribute", "Index", "StopIteration", "Runtime", "KeyError", "Recursion")),
    "torch_assert": Right(has=(r"(?s)(meta.*){2}",), lacks=("Recursion",)),
}
"""Of programs that are known; what is right stands beside them in words."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=Path)
    for name, default in (("fuzz", 2000), ("interrupts", 1000), ("runs", 300), ("tries", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    wanted = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and their children, ignore it
    if wanted.cases is not None:
        cases(wanted.cases)
    for name, count in (("fuzz", wanted.fuzz), ("interrupts", wanted.interrupts), ("runs", wanted.runs)):
        if count:
            part(f"{name}, {count} of each", [f"{name}.py", str(count)])
    if wanted.tries:
        part(f"memory limit, {wanted.tries} tries of each", ["memory_limit.py", "--tries", str(wanted.tries)])


def part(title: str, command: list[str]) -> None:
    """Another benchmark's own table, below its title."""
    print(f"\n{title}", flush=True)
    file, *arguments = command
    subprocess.run([sys.executable, str(HERE / file), *arguments], check=False)


def cases(folder: Path) -> None:
    """One line for each program of the folder."""
    verdicts = {path.stem: verdict_of(path) for path in sorted(folder.glob("*.py")) if path.stem not in LIMITED}
    print(f"\ncases: {sum(v.startswith('right') for v in verdicts.values())} of {len(verdicts)} right")
    for name, verdict in verdicts.items():
        print(f"  {name:28}{verdict}", flush=True)


LIMITED = ("memory_limit",)
"""What needs a memory limit around it, which is a part of its own."""


def verdict_of(path: Path) -> str:
    text = path.read_text()
    for old, new in MOVED.items():
        text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_text(text)
        try:
            done = subprocess.run(
                [sys.executable, str(copy)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"wrong: not ended after {PATIENCE_SECONDS} s"
    said = done.stdout.strip().splitlines() or [""]
    if done.returncode:
        return f"wrong: {(done.stderr.strip().splitlines() or ['no word'])[-1][:100]}"
    right = RIGHT.get(path.stem)
    if right is None:
        return f"ended: {said[-1][:100]}"
    missing = [pattern for pattern in right.has if not re.search(pattern, done.stdout)]
    found = [pattern for pattern in right.lacks if re.search(pattern, done.stdout)]
    return f"wrong: lacks {missing}, has {found}" if missing or found else f"right: {said[-1][:100]}"


if __name__ == "__main__":
    main()
