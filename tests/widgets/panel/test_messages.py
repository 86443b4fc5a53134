"""Messages that no browser of ours sends: each is ignored or answered in words, and the widget goes on working."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from driver import PATIENCE_SECONDS, Gate, at_step, click, done, ended, session_of
from tasks import plain_task

from nbtune.widgets import BatchComparison, BatchProber, DescentExplorer, LRFinder
from nbtune.widgets.panel.message import LONGEST_TEXT, Message

HUGE = 10 * LONGEST_TEXT * "x"
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 0.5, float("nan"), float("inf"), "", "nan", "1e999", "-3", HUGE, "\0", "é“”", [],
    [1, "a"], {}, {"type": "start"}, [[]], {"a": {"b": [None]}}, b"bytes", "grid", "layers",
    "quick", "on", "full", "bars",
)  # fmt: skip
TYPES = (
    "hello", "set", "start", "try", "stop", "apply", "pick", "leave", "step", "reset", "run", "toggle", "", None, 3,
    [], {}, ["start"], HUGE,
)  # fmt: skip
PANELS: dict[str, Callable[[], Any]] = {
    "finder": lambda: LRFinder(plain_task(), mode="quick", steps=20),
    "prober": lambda: BatchProber(plain_task(), max_batch_size=4),
    "comparison": lambda: BatchComparison(plain_task(), [8, 32], budget="64 samples"),
    "explorer": lambda: DescentExplorer(),
}
every_panel = pytest.mark.parametrize("name", PANELS)


def sent(panel: Any, data: Any) -> None:
    """What arrives over the comm."""
    panel._handle_msg({"content": {"data": data}, "buffers": []})


def works(panel: Any) -> bool:
    """Whether Start still leads to a result."""
    session = session_of(panel)
    if session is not None:
        panel.stop()
        ended(panel)
    return bool(done(panel).result)


@pytest.mark.parametrize("content", ODD)
def test_what_has_no_type_is_no_message(content: Any) -> None:
    assert Message.read(content) is None or content == {"type": "start"}
    assert Message.read({"type": content}) is None or isinstance(content, str)


def test_parts_of_a_wrong_form_are_left_out() -> None:
    values = {"steps": 5, "lr_min": "1e-4", 3: "a", "lr_max": HUGE}
    read = Message.read({"type": "start", "values": values, "mode": ["quick"], "name": 4, "value": float("nan")})
    assert read == Message("start", {"lr_min": "1e-4"})


@every_panel
def test_a_widget_lives_through_hundreds_of_odd_messages(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    panel, chance = PANELS[name](), random.Random(name)
    names = [*(field["name"] for field in panel.fields), "nobody", "__class__"]
    for _ in range(100):
        values = {chance.choice(names): chance.choice(ODD) for _ in range(chance.randrange(4))}
        content = {"type": chance.choice(TYPES), "values": chance.choice([values, chance.choice(ODD)])}
        content |= {key: chance.choice(ODD) for key in ("mode", "name", "value", "more") if chance.random() < 0.5}
        panel._on_message(panel, content, [])
        if session_of(panel) is not None and chance.random() < 0.2:
            panel.stop()
            ended(panel)
    for field in panel.fields:
        assert isinstance(panel.values[field["name"]], str) and len(panel.values[field["name"]]) <= LONGEST_TEXT
    fresh = PANELS[name]()
    click(panel, "set", values=dict(fresh.values), mode=fresh.mode)
    assert works(panel) and "Traceback" not in capsys.readouterr().err


@every_panel
@pytest.mark.parametrize(
    "state",
    [
        {"state": "running"}, {"state": "no such"}, {"values": {}}, {"values": None},
        {"plots": {"plot": "IPY_MODEL_x"}}, {"fields": [{}]}, {"actions": []}, {"modes": 3},
        {"_esm": "throw 1"}, {"sentence": [[HUGE, ""]]}, {"nobody": 1},
        None, [], "state", {"layout": "IPY_MODEL_x"}, {"result": 3}, {"problem": 4}, {"_view_count": "x"},
    ],
)  # fmt: skip
def test_a_browser_sets_no_trait(name: str, state: Any) -> None:
    panel = PANELS[name]()
    before = {key: getattr(panel, key) for key in panel.keys}
    sent(panel, {"method": "update", "state": state, "buffer_paths": [["nobody", 3]]})
    for plot in panel.plots.values():
        shown = plot.data
        sent(plot, {"method": "update", "state": {"data": {}, "document": None}})
        assert plot.data == shown
    assert {key: getattr(panel, key) for key in panel.keys} == before


@pytest.mark.parametrize(
    "data",
    [None, [], "custom", {}, {"method": None}, {"method": ["custom"]}, {"method": "custom"}, {"method": "close"}],
)
def test_a_comm_message_without_a_method_is_ignored(data: Any) -> None:
    panel = PANELS["finder"]()
    sent(panel, data)
    panel._handle_msg({})
    panel._handle_msg({"content": {"data": {"method": "custom", "content": {"type": "start"}}}})  # no buffers
    assert ended(panel).state == "done"


def test_a_choice_takes_none_but_its_options_and_a_switch_is_on_or_not() -> None:
    explorer, finder = PANELS["explorer"](), PANELS["finder"]()
    surface = explorer.values["surface"]
    click(explorer, "set", values={"surface": "no such", "batch_size": "3", "lr": "0.1"})
    assert explorer.values["surface"] == surface and explorer.values["lr"] == "0.1"
    theory = finder.values["theory"]
    click(finder, "set", values={"theory": "maybe", "rules": "on"})
    assert finder.values["theory"] == theory and finder.values["rules"] == "on"


def test_a_number_that_is_none_is_told_in_words() -> None:
    finder = PANELS["finder"]()
    click(finder, "start", values={"lr_min": "nan", "steps": "20"})
    assert finder.state == "idle" and "lr_min must be" in finder.problem["text"]


def test_stop_and_start_say_what_they_mean_whatever_the_state_is_when_they_land() -> None:
    gate = Gate()
    finder = LRFinder(at_step(3, gate), mode="quick", steps=20)
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(finder, "start")  # a second press that was under way: no second run, and not a stop
    assert finder.state == "running"
    gate.opened.set()
    session, drawn = session_of(ended(finder)), finder.plot.data
    click(finder, "stop")  # pressed while it ran: neither a start nor a change of the plot
    assert session_of(finder) is session and finder.state == "done" and finder.plot.data == drawn
