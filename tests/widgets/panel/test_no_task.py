"""What is no task is told by the widget that was given it."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

import nbtune


@pytest.mark.parametrize("thing", [None, nn.Linear(4, 2), "task"], ids=["None", "model", "text"])
@pytest.mark.parametrize("name", ["LRFinder", "BatchProber", "BatchComparison"])
def test_a_widget_takes_a_task(name: str, thing: Any) -> None:
    with pytest.raises(TypeError, match=rf"{name} takes an nbtune\.Task, not {type(thing).__name__}"):
        getattr(nbtune, name)(thing)
