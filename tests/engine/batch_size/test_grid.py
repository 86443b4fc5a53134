"""Image sizes against batch sizes, judged by one card and by another."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch
from tasks import plain_task
from torch import nn

from nbtune.engine import Task
from nbtune.engine.batch_size.grid import MemoryGrid, sweep_image_sizes
from nbtune.engine.batch_size.settings import BatchSettings
from nbtune.engine.memory import estimate_memory, parse_capacity

SETTINGS = BatchSettings(capacity="1 GB", max_batch_size=64)


@cache
def swept() -> MemoryGrid:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    data = torch.randn(64, 3, 32, 32), torch.randint(0, 8, (64,))
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, data)
    run = sweep_image_sizes(task, SETTINGS)
    return MemoryGrid.from_rows(list(run), settings=SETTINGS, capacity_bytes=2**30, capacity_name="1 GB card")


@pytest.mark.parametrize("card", ["A100 80", 2**29])
def test_another_card_judges_the_same_peaks(card: str | int) -> None:
    grid, size = swept(), parse_capacity(card)
    other = grid.with_capacity(card)
    assert other.capacity_bytes == size and other.settings.capacity == card
    for row, before in zip(other.rows, grid.rows, strict=True):
        assert row.needed_bytes == before.needed_bytes
        assert row.fits == tuple(needed <= size for needed in row.needed_bytes)
        assert row.largest == max((k for k, fits in zip(row.batch_sizes, row.fits, strict=True) if fits), default=0)
    assert other.batch_size == (other.rows[0].largest or None)


def test_judged_by_its_own_card_again_a_grid_is_the_same() -> None:
    assert swept().with_capacity("1 GB").rows == swept().rows


def test_a_grid_is_plain_data_for_json() -> None:
    told = json.loads(json.dumps(swept().to_dict()))
    assert (told["kind"], told["batch_size"], len(told["rows"])) == (
        "memory_grid",
        swept().batch_size,
        len(swept().rows),
    )
    assert told["rows"][0]["needed_bytes"] == list(swept().rows[0].needed_bytes)


def test_data_that_are_no_images_have_no_sizes_to_change() -> None:
    with pytest.raises(ValueError, match="no images"):
        list(sweep_image_sizes(plain_task(), SETTINGS))


class Branching(nn.Module):
    """Above 100 samples it takes another course, so that no one tape serves every k."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x) if len(x) <= 100 else self.layers(torch.cat([x, x], 1).sigmoid()[:, :3]).exp()


def test_rows_of_a_model_without_one_law_are_what_estimates_of_their_own_say() -> None:
    torch.manual_seed(0)
    model = Branching()
    data = torch.randn(256, 3, 32, 32), torch.randint(0, 8, (256,))
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, data)
    for row in sweep_image_sizes(task, BatchSettings(capacity="1 GB", max_batch_size=128)):
        alone = estimate_memory(task, "1 GB", image_size=row.image_size)
        assert row.peak_bytes == tuple(alone.peak_bytes(k) for k in row.batch_sizes)
