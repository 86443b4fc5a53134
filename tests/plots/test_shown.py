"""A plot as a cell's last line: a picture of the result in every notebook, and still a figure for whoever embeds it."""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bokeh.embed import file_html, json_item
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, Model, Plot
from comparison_results import comparison_of
from IPython.core.formatters import DisplayFormatter
from memory_results import densenet, grid, timeline, what_fits
from race_results import bowl, race_of
from torch import nn

import nbtune as nt
from nbtune.engine.learning_rate.by_batch_size import LRByBatchSize
from nbtune.engine.learning_rate.events import LRStep
from nbtune.engine.learning_rate.rivals import rivals_of
from nbtune.plots import FIGURES
from nbtune.plots.comparison.figure import comparison_figure


def sweep() -> nt.LRCurve:
    lrs = np.geomspace(1e-5, 10, 100).tolist()
    steps = [
        LRStep(index=i, lr=lr, loss=2 / (1 + lr), smoothed_loss=2 / (1 + lr), seconds=0.01 * i)
        for i, lr in enumerate(lrs)
    ]
    return nt.LRCurve.from_steps(steps)


def estimate() -> Any:
    model = nn.Linear(4, 2)
    data = torch.zeros(8, 4), torch.zeros(8).long()
    return nt.estimate_memory(
        nt.Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, data), "8 GB"
    )


RESULTS: dict[str, Callable[[], Any]] = {
    "race": lambda: race_of(bowl),
    "sweep": sweep,
    "LRByBatchSize": lambda: LRByBatchSize.from_steps((), settings=nt.LRSettings(batch_sizes=(8, 32))),
    "LRByOptimizer": lambda: nt.LRByOptimizer.from_steps((), settings=nt.LRSettings(optimizers=rivals_of(["Adam"]))),
    "BatchLimit": densenet,
    "MemoryGrid": grid,
    "MemoryEstimate": estimate,
    "MemoryTimeline": timeline,
    "WhatFits": what_fits,
    "Comparison": comparison_of,
    "DescentPath": lambda: nt.DescentPath.of(nt.DescentSettings(lr=0.19)),
}


def test_every_kind_of_result_is_among_these() -> None:
    assert {*FIGURES} == {*RESULTS, "LRCurve"} - {"race", "sweep"}


@pytest.mark.parametrize("name", RESULTS)
def test_it_shows_a_picture_and_words_and_no_list_of_properties(name: str) -> None:
    result = RESULTS[name]()
    data, metadata = DisplayFormatter().format(nt.plot(result))
    assert set(data) == {"image/png", "text/plain"} and data["text/plain"] == repr(result)
    png = b64decode(data["image/png"])
    assert struct.unpack(">I", png[16:20])[0] == 2 * metadata["image/png"]["width"] == 1640
    assert metadata["image/png"]["alt"] == repr(result)


@pytest.mark.parametrize("name", RESULTS)
def test_it_is_embedded_like_any_figure(name: str) -> None:
    shown = nt.plot(RESULTS[name]())
    assert isinstance(shown, Model)
    assert any(model.renderers for model in shown.references() if isinstance(model, Plot))
    assert "Bokeh" in file_html(column(shown), title="embedded")
    assert json_item(shown)["doc"]["roots"]


def test_without_matplotlib_it_shows_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtune.plots.base.sentence.can_draw", lambda: False)
    data, metadata = DisplayFormatter().format(nt.plot(race_of(bowl)))
    assert set(data) == {"text/plain"} and "Use η" in data["text/plain"] and metadata == {}


def test_what_reads_a_source_is_called_when_that_source_changes() -> None:
    """Ticks may change alone, and so may the words: whoever waits for one of them misses the others."""
    models = comparison_figure().references()
    sources = [model for model in models if isinstance(model, ColumnDataSource)]
    callbacks = [model for model in models if isinstance(model, CustomJS) and "narrow_ticks" in model.args]
    assert len(callbacks) == 1
    read = [source for source in sources if source in callbacks[0].args.values()]
    assert len(read) == 4
    assert all(callbacks[0] in source.js_property_callbacks.get("change:data", ()) for source in read)
