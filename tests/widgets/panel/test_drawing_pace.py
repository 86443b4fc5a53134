"""What a tick of a run draws and sends: what moves, its words now and then, and less often where it is costly."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from nbtune import session
from nbtune.plots.base.columns import View
from nbtune.session import Session
from nbtune.widgets.panel import word_pace
from nbtune.widgets.panel.bokeh_plot import BokehPlot
from nbtune.widgets.panel.word_pace import WordPace


def plot_of(*sources: str) -> BokehPlot:
    shown = figure(y_range=(0, 1))
    for name in sources:
        shown.line("x", "x", source=ColumnDataSource({"x": []}, name=name))
    return BokehPlot(shown)


def view_of(**values: float) -> View:
    return View({name: {"x": np.array([value])} for name, value in values.items()}, (0.0, 1.0), str(values))


def in_sight(plot: BokehPlot) -> dict[str, float]:
    """What a browser shows: the whole, and what changed since."""
    columns = {**plot.data["columns"], **plot.since.get("columns", {})}
    return {name: float(np.frombuffer(of["x"])[0]) for name, of in columns.items() if of["x"]}


def test_a_tick_sends_what_has_changed_and_leaves_the_rest() -> None:
    plot = plot_of("line", "mark", "word")
    plot.update(view_of(line=1, mark=1, word=1))
    whole = plot.data
    plot.update(view_of(line=2, mark=1))
    assert plot.data is whole and set(plot.since["columns"]) == {"line"}
    assert in_sight(plot) == {"line": 2, "mark": 1, "word": 1} and plot.since["label"] == "{'line': 2, 'mark': 1}"


def test_what_changed_in_one_tick_stays_through_the_next() -> None:
    plot = plot_of("line", "mark", "word")
    plot.update(view_of(line=1, mark=1, word=1))
    plot.update(view_of(mark=2))
    plot.update(view_of(line=3))
    assert in_sight(plot) == {"line": 3, "mark": 2, "word": 1}
    plot.update(view_of(mark=1))  # and back again
    assert in_sight(plot) == {"line": 3, "mark": 1, "word": 1}


def test_a_view_of_everything_and_an_empty_plot_stand_alone() -> None:
    plot = plot_of("line", "word")
    plot.update(view_of(line=1, word=1))
    plot.update(view_of(line=2))
    plot.update(view_of(line=3, word=3))
    assert plot.since == {} and in_sight(plot) == {"line": 3, "word": 3}
    plot.update(view_of(line=2))
    plot.clear()
    assert plot.since == {} and in_sight(plot) == {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A time that only the test lets pass, and what drawing has cost by it."""
    now = SimpleNamespace(at=0.0, spent=0.0)
    for module in (word_pace, session):
        fake = SimpleNamespace(monotonic=lambda: now.at, thread_time=lambda: now.spent)
        monkeypatch.setattr(module, "time", fake)
    return now


def test_words_are_placed_twice_a_second_and_where_an_axis_moves(clock: SimpleNamespace) -> None:
    pace, placed, ends = WordPace(), [], {}

    def draw(words: bool) -> dict[str, View]:
        if words:
            placed.append(clock.at)
        return {"plot": View({}, (0.0, ends.get("y", 1.0)), "", (0.0, ends.get("x", 1.0)))}

    for tick in range(21):
        clock.at = 0.1 * tick
        pace.views(draw)
    assert placed == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0], abs=0.11)
    for axis in ("x", "y"):
        before = len(placed)
        ends[axis] = 2.0
        pace.views(draw)
        assert len(placed) == before + 1
    pace.restart()
    pace.views(draw)
    assert len(placed) == before + 2


@pytest.mark.parametrize(("cost_seconds", "least", "most"), [(0.0, 70, 81), (0.004, 15, 30), (10.0, 5, 20)])
def test_showing_that_costs_much_is_done_less_often(
    clock: SimpleNamespace, cost_seconds: float, least: int, most: int
) -> None:
    def run() -> Iterator[int]:
        for step in range(400):
            clock.at += 0.01
            yield step

    shown: list[int] = []

    def show(events: list[int]) -> None:
        clock.spent += cost_seconds
        shown.extend(events)
        calls.append(len(events))

    calls: list[int] = []
    watched = Session(run(), show)
    watched.start()
    assert watched.wait(60) and watched.error is None
    assert shown == list(range(400)) and least <= len(calls) <= most
