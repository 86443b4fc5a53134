"""Collects what the tests measured; prints it as a table last and writes it as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

_rows: list[tuple[str, Any]] = []


@pytest.fixture
def table() -> Callable[[str, Any], None]:
    def add(name: str, value: Any) -> None:
        _rows.append((name, value))
        _write()  # a run that is cut off keeps what it found

    return add


def _write() -> None:
    report = {
        "device": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda,
        "results": dict(_rows),
    }  # fmt: skip
    path = Path(os.environ.get("OUT", ".")) / "gpu.json"
    path.write_text(json.dumps(report, indent=1) + "\n")


def pytest_sessionfinish() -> None:
    if not _rows:
        return
    print(f"\n\n{torch.cuda.get_device_name()}, torch {torch.__version__}")
    for name, value in _rows:
        print(f"  {name:60} {value}")
