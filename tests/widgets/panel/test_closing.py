"""A panel that is closed: its run ends and is put back, its result stays, and nothing of it is left open."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from driver import PATIENCE_SECONDS, Gate, at_step, click, done, ended, output_of, said, session_of, wait_for
from ipywidgets import Widget
from ipywidgets.widgets.widget import _instances
from tasks import everything, plain_task

from nbtune.engine import Task, find_lr
from nbtune.engine.run import GeneratorRun
from nbtune.engine.training.loader_state import LoaderState
from nbtune.jobs import BOARD
from nbtune.widgets import BatchComparison, BatchProber, DescentExplorer, LRFinder
from nbtune.widgets.panel.bokeh_plot import BokehJS

PANELS: dict[str, Callable[[Task], Any]] = {
    "quick": lambda task: LRFinder(task, mode="quick", steps=200, lr_max=1e-3),
    "race": lambda task: LRFinder(task, rates=5),
    "prober": lambda task: BatchProber(task, strategy="double", max_batch_size=64, measure_seconds=0.1),
    "comparison": lambda task: BatchComparison(task, [8, 32], budget="3000 samples"),
}
every_panel = pytest.mark.parametrize("name", PANELS)


def open_widgets() -> set[str]:
    """Of this kernel, but for what all panels share."""
    return set(_instances) - {BokehJS.shared().model_id}


def stepping(react: Callable[[], Any]) -> Task:
    """A task whose third step calls ``react``."""
    return at_step(3, react)


@every_panel
def test_a_panel_closed_during_a_run_stops_it_puts_back_and_keeps_the_result(name: str) -> None:
    gate, before_all = Gate(), open_widgets()
    task = stepping(gate)
    before = everything(task)
    panel = PANELS[name](task)
    panel.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    closing = threading.Thread(target=panel.close)
    closing.start()
    assert wait_for(lambda: session_of(panel).is_stopped)
    gate.opened.set()
    closing.join(PATIENCE_SECONDS)
    ended(panel)
    assert panel.state == "done" and panel.error is None and panel.result is not None
    assert panel.result.outcome == "stopped"
    assert BOARD.jobs == () and open_widgets() == before_all
    assert everything(task) == before
    assert find_lr(task, mode="quick", steps=10, progress=False).steps


@every_panel
def test_close_all_ends_every_run(name: str) -> None:
    gate = Gate()
    panel = PANELS[name](stepping(gate))
    panel.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    closing = threading.Thread(target=Widget.close_all)
    closing.start()
    assert wait_for(lambda: session_of(panel).is_stopped)
    gate.opened.set()
    closing.join(PATIENCE_SECONDS)
    assert ended(panel).state == "done" and panel.result is not None and BOARD.jobs == ()
    assert open_widgets() == set()


@every_panel
def test_a_step_may_close_the_panel_whose_run_it_is(name: str) -> None:
    panels: list[Any] = []
    panel = PANELS[name](stepping(lambda: panels[0].close()))
    panels.append(panel)
    panel.start()
    assert ended(panel).state == "done" and panel.is_closed and panel.result is not None and BOARD.jobs == ()


@pytest.mark.parametrize("state", ["running", "stopping", "done"])
def test_whoever_watches_a_state_may_close_the_panel(state: str) -> None:
    before = open_widgets()
    panels: list[Any] = []
    panel = PANELS["quick"](stepping(lambda: click(panels[0], "stop") if state == "stopping" else None))
    panels.append(panel)
    panel.observe(lambda change: panel.close() if change["new"] == state else None, "state")
    panel.start()
    assert ended(panel).state == "done" and panel.error is None and BOARD.jobs == ()
    assert open_widgets() == before


def test_whoever_watches_a_first_drawing_may_close_the_panel() -> None:
    before = open_widgets()
    panel = PANELS["quick"](plain_task())
    panel.observe(lambda change: panel.close(), "sentence")
    panel.start()
    assert ended(panel).state == "done" and BOARD.jobs == () and open_widgets() == before


def test_close_while_stopping_and_close_twice_change_nothing_more() -> None:
    gate = Gate()
    panel = PANELS["quick"](stepping(gate))
    panel.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    panel.stop()
    closing = threading.Thread(target=panel.close)
    closing.start()
    gate.opened.set()
    closing.join(PATIENCE_SECONDS)
    result = ended(panel).result
    panel.close()
    panel.stop()
    assert panel.state == "done" and panel.result is result and len(result.steps) == 3


def test_a_closed_panel_starts_nothing_and_is_deaf() -> None:
    panel = PANELS["quick"](plain_task())
    panel.close()
    with pytest.raises(RuntimeError, match="this LRFinder was closed; make a new one"):
        panel.start()
    with pytest.raises(RuntimeError, match="was closed"):
        panel.run()
    for message in ("start", "set", "hello", "leave", "apply"):
        click(panel, message, mode="race")
    assert panel.state == "idle" and session_of(panel) is None


def test_nobody_waits_for_the_end_of_a_run_that_has_ended_without_being_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: GeneratorRun[Any]) -> None:
        raise RuntimeError("cannot be put back")

    monkeypatch.setattr(GeneratorRun, "close", broken)
    panel = PANELS["race"](plain_task())
    panel.start()
    assert ended(panel).state == "failed" and not session_of(panel).is_closed
    waits: list[Any] = []
    monkeypatch.setattr(session_of(panel), "wait", waits.append)
    panel.close()
    assert panel.is_closed and waits == []


def test_the_finding_of_a_closed_panel_stays_and_names_no_widget() -> None:
    panel = done(PANELS["race"](plain_task()))
    assert BOARD.findings[0].widget == panel.widget_id
    panel.close()
    assert BOARD.findings[0].widget == "" and BOARD.findings[0].lr


def test_a_panel_without_a_run_closes_too(capsys: pytest.CaptureFixture[str]) -> None:
    before = open_widgets()
    explorer = DescentExplorer()
    path = explorer.result
    explorer.close()
    assert open_widgets() == before and explorer.result is path
    done(PANELS["race"](plain_task())).close()
    assert open_widgets() == before and capsys.readouterr().err == ""


def test_plots_that_a_new_axis_replaces_are_closed() -> None:
    before = open_widgets()
    finder = PANELS["race"](plain_task())
    click(finder, "set", mode="quick")
    click(finder, "start", values={"lr_max": "1", "steps": "20"})
    ended(finder)
    assert set(finder.plots) == {"plot"}
    finder.close()
    assert open_widgets() == before


def test_a_constructor_that_raises_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = open_widgets()
    for wrong in (
        lambda: LRFinder(3),
        lambda: LRFinder(plain_task(), steps=-1),
        lambda: BatchComparison(plain_task(), [0]),
    ):
        with pytest.raises((TypeError, ValueError)):
            wrong()
    gc.collect()  # their __del__, which must not miss what the constructor did not get to
    assert open_widgets() == before and capsys.readouterr().err == ""


@every_panel
def test_a_closed_panel_is_let_go_of_with_its_task(name: str) -> None:
    task = plain_task()
    panel = PANELS[name](task)
    panel.start()
    panel.close()
    ended(panel)
    gone = weakref.ref(panel), weakref.ref(task)
    del panel, task
    assert wait_for(lambda: gc.collect() >= 0 and all(ref() is None for ref in gone))


def test_the_outputs_of_a_closed_panel_show_what_is_kept_in_place_of_a_widget() -> None:
    panel = PANELS["quick"](plain_task())
    shown = output_of(panel)
    click(panel, "hello")
    panel.close()
    assert shown[-1]["text/plain"] == "LRFinder of nbtune, closed. Run this cell for a new one."
    other = PANELS["race"](plain_task())
    shown = output_of(other)
    click(other, "hello")
    done(other)
    assert any("widget-view" in kind for kind in shown[-1])
    other.close()
    assert "image/png" in shown[-1] and not any("widget-view" in kind for kind in shown[-1])


@pytest.mark.parametrize("name", ["quick", "race", "comparison"])
def test_where_putting_back_fails_the_panel_does_not_say_that_all_is_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any) -> None:
        raise OSError("the states are gone")

    monkeypatch.setattr(LoaderState, "_put_back", fail)
    panel = PANELS[name](plain_task())
    panel.start()
    ended(panel)
    assert panel.state == "failed" and "the states are gone" in panel.problem["text"]
    assert "Putting things back failed" in said(panel) and "as they were" not in said(panel)
