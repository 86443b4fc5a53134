"""The picture that a saved notebook shows in place of a widget: of every tool, in each of its views, as it is drawn."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
import torch
from driver import click, done, ended, is_picture_kept, said, saved
from tasks import plain_task
from torch import nn

from nbtune.engine import Task
from nbtune.widgets import BatchComparison, BatchProber, DescentExplorer, LRFinder
from nbtune.widgets.batch_size import run as prober_run
from nbtune.widgets.descent import play

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.usefixtures("drawn_pictures")


def images_task() -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    data = torch.randn(8, 3, 16, 16), torch.arange(8)
    return Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, data)


TOOLS: dict[str, Callable[[], Any]] = {
    "sweep": lambda: LRFinder(plain_task(), mode="quick", steps=20),
    "race": lambda: LRFinder(plain_task(), rates=5),
    "by size": lambda: LRFinder(plain_task(), mode="quick", steps=20, batch_sizes=[8, 32]),
    "comparison": lambda: BatchComparison(plain_task(), [8, 32], budget="64 samples"),
    "explorer": lambda: DescentExplorer(lr=0.12),
}


def width_of(png: str | bytes) -> int:
    data = b64decode(png) if isinstance(png, str) else png
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int(struct.unpack(">I", data[16:20])[0])


@pytest.mark.parametrize("name", TOOLS)
def test_the_picture_of_a_finished_run_is_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "PAUSE_SECONDS", 0.0)
    panel = done(TOOLS[name]())
    assert is_picture_kept(panel) and width_of(saved(panel)["image/png"]) == 1640
    assert saved(panel)["text/plain"] == said(panel)


def test_every_view_of_the_prober_has_a_picture_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober_run, "PLAYED_SECONDS", 0.0)
    prober = done(BatchProber(images_task(), capacity="1 GB", measure_seconds=0, max_batch_size=8))
    pictures = set()
    for mode, _ in prober.modes:
        ended(click(prober, "set", mode=mode))
        click(prober, "leave")
        assert width_of(saved(prober)["image/png"]) == 1640, mode
        pictures.add(saved(prober)["image/png"])
    assert len(pictures) == len(prober.modes) == 5
