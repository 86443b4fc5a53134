"""The descent explorer without a browser: the messages it would send are given by hand, what it would draw is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import driver
import pytest
from driver import ended, said, saved
from ipywidgets import Widget

from nbtune.engine.descent.path import DescentPath
from nbtune.engine.descent.settings import DescentSettings
from nbtune.widgets.descent import play
from nbtune.widgets.descent.explorer import DescentExplorer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(play, "PAUSE_SECONDS", 0.001)
    yield
    Widget.close_all()


def click(widget: DescentExplorer, action: str, **values: str) -> DescentExplorer:
    return driver.click(widget, action, values=values)


def field(widget: DescentExplorer, name: str) -> dict[str, Any]:
    return next(field for field in widget.fields if field["name"] == name)


def title(widget: DescentExplorer, name: str = "yours") -> str:
    return str(widget.contents[f"{name}_title"][0][0])


def sequences(widget: DescentExplorer) -> dict[str, int]:
    return {name: plot.data["sequence"] for name, plot in widget.plots.items()}


def points(widget: DescentExplorer, name: str) -> int:
    """Points of the path drawn, in whichever family it is."""
    columns = widget.plots[name].data["columns"]
    return sum(len(columns[f"path_{family}"]["x"]) // 8 for family in ("data", "answer", "danger"))


def test_it_opens_with_three_whole_paths_the_readers_own_above_the_limit() -> None:
    explorer = DescentExplorer()
    assert explorer.state == "idle" and explorer.values == {
        "surface": "narrow valley",
        "lr": "0.19",
        "batch_size": "64",
    }
    assert [title(explorer, name) for name in ("small", "good", "yours")] == [
        "small: η = 0.01, creeps", "good: η = 0.12, arrives", "yours: η = 0.19, flies off",
    ]  # fmt: skip
    assert said(explorer).startswith(
        "η = 0.19 is above the limit 2/λmax = 0.167: each step jumps over the valley floor"
    )
    assert explorer.sentence[0][1] == "strong" and (points(explorer, "good"), points(explorer, "yours")) == (41, 5)
    assert explorer.result.leaves_at == 4


def test_the_slider_carries_the_limit_and_ends_half_above_it() -> None:
    for surface, limit in (("bowl", 2.0), ("narrow valley", 1 / 6), ("two minima", 0.4)):
        slider = field(DescentExplorer(surface=surface), "lr")
        assert slider["limit"] == pytest.approx(limit) and slider["max"] == pytest.approx(1.5 * limit)
        assert 100 < slider["max"] / slider["step"] < 1000 and slider["min"] > 0
    assert slider["limit_text"] == "limit 2/λmax = 0.4"


def test_another_rate_draws_the_readers_path_and_the_strip_and_nothing_else() -> None:
    explorer = DescentExplorer()
    before = sequences(explorer)
    click(explorer, "set", lr="0.05")
    changed = [name for name, sequence in sequences(explorer).items() if sequence != before[name]]
    assert changed == ["yours", "strip"]
    assert title(explorer) == "yours: η = 0.05, arrives" and explorer.settings.lr == 0.05
    assert said(explorer) == "η = 0.05 is below the limit 2/λmax = 0.167: it arrives after 39 steps."


def test_what_is_sent_for_another_rate_is_small() -> None:
    explorer = click(DescentExplorer(), "set", lr="0.05")
    for name in ("yours", "strip"):
        columns = explorer.plots[name].data["columns"].values()
        assert sum(len(column) for source in columns for column in source.values()) < 12_000


def test_another_batch_size_draws_all_three_with_noise() -> None:
    explorer = DescentExplorer(lr=0.12)
    before = sequences(explorer)
    click(explorer, "set", batch_size="1")
    assert all(sequence > before[name] for name, sequence in sequences(explorer).items())
    assert title(explorer, "good").endswith("wanders") and said(explorer).startswith("k = 1: the path wanders")


def test_another_surface_keeps_the_rates_place_relative_to_the_limit() -> None:
    explorer = click(DescentExplorer(), "set", surface="bowl")
    assert explorer.values["lr"] == "2.3" and field(explorer, "lr")["limit"] == 2
    assert title(explorer, "good") == "good: η = 1.4, arrives"
    click(explorer, "set", surface="narrow valley")
    assert explorer.values["lr"] == "0.19" and explorer.plots["yours"].data["x_range"] == [-5, 5]


@pytest.mark.parametrize("text", ["abc", "", "0", "-0.1", "nan", "inf", "0,1"])
def test_a_rate_that_is_none_is_refused_and_the_picture_stays(text: str) -> None:
    explorer = DescentExplorer()
    before = sequences(explorer)
    click(explorer, "set", lr=text)
    assert said(explorer) == f"Not drawn: η must be a number above 0, such as 0.1, not “{text}”."
    assert sequences(explorer) == before and explorer.problem is None and explorer.result.settings.lr == 0.19
    with pytest.raises(ValueError, match="above 0"):
        explorer.start()
    click(explorer, "set", lr="0.05")
    assert title(explorer) == "yours: η = 0.05, arrives"


def test_reset_shows_the_start_and_each_step_one_more_in_all_three() -> None:
    explorer = click(DescentExplorer(), "reset")
    assert [points(explorer, name) for name in ("small", "good", "yours")] == [1, 1, 1]
    assert said(explorer).startswith("At the start: loss 19.")
    for taken in (1, 2, 3):
        click(explorer, "step")
        assert [points(explorer, name) for name in ("small", "good", "yours")] == [taken + 1] * 3
    assert title(explorer) == "yours: η = 0.19, step 3" and said(explorer).startswith("Step 3 of 40: loss ")
    assert explorer.result.steps[-1].index == 3


def test_after_the_last_step_it_begins_anew() -> None:
    explorer = click(DescentExplorer(steps=3), "reset")
    for _ in range(3):
        click(explorer, "step")
    assert title(explorer, "small").endswith("creeps") and said(explorer).startswith("η = 0.19 is above")
    assert points(click(explorer, "step"), "small") == 2


def test_a_change_on_the_way_draws_all_three_whole_again() -> None:
    explorer = click(click(DescentExplorer(), "reset"), "set", lr="0.05")
    assert [points(explorer, name) for name in ("small", "good", "yours")] == [41, 41, 41]


def test_start_plays_the_path_and_gives_it() -> None:
    explorer = DescentExplorer(lr=0.12)
    explorer.start()
    assert ended(explorer).state == "done" and explorer.result == DescentPath.of(DescentSettings(lr=0.12))
    assert points(explorer, "yours") == 41 and "image/png" in saved(explorer)


def test_await_and_run_give_the_path_of_the_rate_in_the_field() -> None:
    async def cell(explorer: DescentExplorer) -> Any:
        return await explorer

    explorer = click(DescentExplorer(), "set", lr="0.12")
    assert asyncio.run(cell(explorer)).settings.lr == 0.12
    click(explorer, "set", lr="0.05")
    assert asyncio.run(cell(explorer)).settings.lr == 0.05 and explorer.run().settings.lr == 0.05


def test_a_stopped_play_is_a_shorter_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "PAUSE_SECONDS", 0.05)
    explorer = DescentExplorer(lr=0.12)
    explorer.start()
    click(explorer, "step")  # a second hand
    click(explorer, "set", lr="0.05")
    explorer.stop()
    assert ended(explorer).state == "done" and explorer.settings.lr == 0.12
    assert len(explorer.result.steps) < 41 and title(explorer).startswith("yours: η = 0.12, step")


def test_settings_come_as_an_object_or_by_name() -> None:
    settings = DescentSettings(surface="bowl", lr=1.0)
    assert DescentExplorer(settings, batch_size=8).settings == DescentSettings(surface="bowl", lr=1.0, batch_size=8)
    assert DescentExplorer(surface="two minima").settings.lr == 0.46
    with pytest.raises(ValueError, match="one of bowl"):
        DescentExplorer(surface="saddle")
    with pytest.raises(TypeError, match="unexpected"):
        DescentExplorer(speed=1)


def test_a_rate_nobody_changed_keeps_digits_the_field_does_not_show() -> None:
    explorer = click(DescentExplorer(lr=0.123456789), "set", batch_size="16")
    assert explorer.values["lr"] == "0.1235" and explorer.settings.lr == 0.123456789


def test_whoever_leaves_leaves_a_picture_of_what_was_seen() -> None:
    explorer = DescentExplorer()
    click(click(explorer, "set", lr="0.05"), "leave")
    assert saved(explorer)["text/plain"] == said(explorer)
    first = saved(explorer)["image/png"]
    click(explorer, "leave")
    assert saved(explorer)["image/png"] is first
    click(click(explorer, "step"), "leave")
    assert saved(explorer)["image/png"] != first
