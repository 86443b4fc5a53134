"""The largest images that fit: neighbours of the answer, upwards and downwards, and what cannot be asked."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nbtune.engine import Task
from nbtune.engine.batch_size.image_size import largest_image_size
from nbtune.engine.memory.estimate import estimate_memory


def images_task(side: int = 64) -> Task:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(32, 2))
    data = torch.randn(8, 3, side, side), torch.zeros(8).long()
    return Task(model, torch.optim.SGD(model.parameters()), nn.functional.cross_entropy, data)


@pytest.mark.parametrize(("capacity", "k"), [("1 GB", 4), ("2 GB", 4), ("2 GB", 64), ("810 MB", 16)])
def test_the_next_size_no_longer_fits(capacity: str, k: int) -> None:
    task = images_task()
    side = largest_image_size(task, capacity, batch_size=k)
    assert side % 32 == 0 and side > 0
    assert estimate_memory(task, capacity, image_size=side).fits(k)
    assert not estimate_memory(task, capacity, image_size=side + 32).fits(k)


def test_it_can_lie_above_and_below_the_datas_own_and_between_the_usual_multiples() -> None:
    task = images_task()
    assert largest_image_size(task, "2 GB", batch_size=4) > 64 > largest_image_size(task, "810 MB", batch_size=256)
    fine = largest_image_size(task, "1 GB", batch_size=4, multiple=1)
    assert fine // 32 * 32 == largest_image_size(task, "1 GB", batch_size=4)


def test_nothing_fits_is_zero() -> None:
    assert largest_image_size(images_task(), "711 MB", batch_size=4096) == 0


def test_what_cannot_be_asked() -> None:
    task = images_task()
    with pytest.raises(TypeError, match=r"nbtune\.Task"):
        largest_image_size(task.model, "8 GB")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiple must be"):
        largest_image_size(task, "8 GB", multiple=0)
    model = nn.Linear(4, 2)
    words = Task(
        model,
        torch.optim.SGD(model.parameters()),
        nn.functional.cross_entropy,
        (torch.randn(8, 4), torch.zeros(8).long()),
    )
    with pytest.raises(ValueError, match="no images"):
        largest_image_size(words, "8 GB")


def test_where_only_the_rounded_own_size_is_refused_it_says_what_to_write() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 26 * 26, 2))
    data = torch.randn(8, 1, 28, 28), torch.zeros(8).long()
    task = Task(model, torch.optim.SGD(model.parameters()), nn.functional.cross_entropy, data)
    with pytest.raises(ValueError, match=r"no images of 32 pixels .*: give multiple="):
        largest_image_size(task, "8 GB")
    assert largest_image_size(task, "8 GB", multiple=28) == 28
