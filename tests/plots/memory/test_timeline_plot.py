"""The memory over one step, drawn: every spike, the phases behind it, the card, and the peak with its words."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from bokeh.models import ColumnDataSource
from memory_results import GIB, timeline

from nbtune.plots import plot
from nbtune.plots.memory.timeline import MOST_POINTS, timeline_png, timeline_view


def test_the_curves_are_the_steps_numbers() -> None:
    columns = timeline_view(timeline()).columns
    assert columns["edge"]["y"].tolist() == [1.0, 2.0, 5.0, 4.0, 1.5, 1.0]
    assert columns["reserved"]["y"].tolist() == [2.0, 2.0, 6.0, 6.0, 6.0, 6.0]
    assert (columns["peak"]["x"].tolist(), columns["peak"]["y"].tolist()) == ([2.0], [5.0])


def test_phases_lie_behind_where_they_are() -> None:
    columns = timeline_view(timeline()).columns
    assert [columns[phase]["left"].tolist() for phase in ("forward", "backward", "update")] == [[0.0], [2.0], [5.0]]
    assert columns["names"]["text"] == ["forward pass", "backward pass", "update"]


def test_of_many_places_the_highest_are_kept() -> None:
    count = 10 * MOST_POINTS
    spiky = [GIB] * count
    spiky[7777] = 9 * GIB
    view = timeline_view(timeline(allocated_bytes=tuple(spiky), reserved_bytes=tuple([9 * GIB] * count), peak=7777))
    drawn = view.columns["edge"]
    assert len(drawn["x"]) <= MOST_POINTS + 3 and np.max(drawn["y"]) == 9.0
    assert drawn["x"][int(np.argmax(drawn["y"]))] == 7777.0


@pytest.mark.parametrize(("card", "lines"), [(None, 0), (8 * GIB, 1), (800 * GIB, 0)])
def test_the_card_is_drawn_where_it_is_near(card: int | None, lines: int) -> None:
    view = timeline_view(timeline(), card)
    assert len(view.columns["card"]["y"]) == lines
    assert view.y_range[1] > (8.0 if lines else 6.0)


def test_it_is_plotted_like_any_result_also_when_there_is_none() -> None:
    sources: dict[str, Any] = {s.name: s.data for s in plot(timeline()).select({"type": ColumnDataSource})}
    assert sources["said"]["text"] == ["5.0 GiB · layers.3"]
    assert len(timeline_view(None).columns["edge"]["x"]) == 0


def test_the_picture_has_its_sentence() -> None:
    pytest.importorskip("matplotlib")
    png = timeline_png(timeline(), 8 * GIB)
    assert png is not None and struct.unpack(">II", png[16:24])[0] == 1640
