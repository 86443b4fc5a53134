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
    return lambda name, value: _rows.append((name, value))


def pytest_sessionfinish() -> None:
    if not _rows:
        return
    card = torch.cuda.get_device_name()
    report = {"device": card, "torch": torch.__version__, "cuda": torch.version.cuda, "results": dict(_rows)}
    path = Path(os.environ.get("OUT", ".")) / "gpu.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\n\n{card}, torch {torch.__version__}")
    for name, value in _rows:
        print(f"  {name:60} {value}")
