"""Of an optimizer that maximizes, everything shown is the user's own numbers: higher is better, and it is said."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import tqdm
from tasks import blobs
from torch import nn

import nbtune as nt
from nbtune.engine import Task, find_lr
from nbtune.plots.base.columns import View
from nbtune.plots.base.mirror import HIGHER, mirrored
from nbtune.plots.comparison.figure import comparison_view
from nbtune.plots.comparison.rows import summary_rows
from nbtune.plots.learning_rate.race.figure import race_panels, race_view
from nbtune.plots.learning_rate.sweep.figure import lr_view, sweep_panel

X, Y = blobs()
CE = nn.functional.cross_entropy
SHIFT = 5.0
"""So that what is raised is above 0."""


def task_of(sign: int, **changes: Any) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, maximize=sign < 0)
    return Task(model, optimizer, lambda o, y: sign * (CE(o, y) - SHIFT), (X, Y), **changes)


def both(**changes: Any) -> tuple[Any, Any]:
    return tuple(find_lr(task_of(sign), progress=False, **changes) for sign in (1, -1))  # type: ignore[return-value]


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_the_answer_is_the_same_and_the_words_are_the_other_way_round(mode: Any) -> None:
    down, up = both(mode=mode)
    assert (up.suggestion, up.low, up.high, up.peak) == (down.suggestion, down.low, down.high, down.peak)
    assert up.losses == down.losses and (up.sign, down.sign) == (-1, 1)
    assert "lowest" not in up.reason and "rose" not in up.reason
    assert any("higher is better" in caveat for caveat in up.caveats) and not down.caveats


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_the_live_figure_and_the_picture_show_the_users_own_numbers(mode: Any) -> None:
    down, up = both(mode=mode)
    views = [race_view(c)["scores"] if mode == "race" else lr_view(c) for c in (down, up)]
    name = "alive" if mode == "race" else "raw"
    assert np.allclose(views[1].columns[name]["y"], -views[0].columns[name]["y"], equal_nan=True)
    assert views[1].columns[name]["y"].max() > 0
    (bottom, top), (low, high) = (view.y_range for view in views)
    assert high - low == pytest.approx(top - bottom)
    # A race has a heading above and a strip of colours below, whichever way is better.
    assert mode == "race" or (low, high) == (-top, -bottom)
    assert HIGHER in views[1].label
    fig = nt.plot(up)
    axes = [ax for one in getattr(fig, "children", [fig]) for ax in getattr(one, "yaxis", [])]
    assert any(HIGHER in str(ax.axis_label) for ax in axes)


def test_the_axis_says_the_direction_and_what_left_the_frame_points_down() -> None:
    panel, same = sweep_panel(1e-5, 10.0, sign=-1), sweep_panel(1e-5, 10.0)
    assert panel.y.title == f"training loss ({HIGHER})" and same.y.title == "training loss"
    assert {getattr(m, "marker", "") for m in panel.marks if m.source == "off"} == {"inverted_triangle"}
    assert HIGHER in race_panels(1e-5, 10.0, sign=-1)["course"].y.title


def test_a_comparison_says_the_users_own_numbers_in_curves_table_and_words() -> None:
    arguments: dict[str, Any] = {"budget": "600 samples", "lr": 0.3, "progress": False}
    down, up = (nt.compare_batch_sizes(task_of(sign), [8, 32], seeds=2, **arguments) for sign in (1, -1))
    for lower, higher in zip(down.table(), up.table(), strict=True):
        assert higher["final_loss"] == pytest.approx(-lower["final_loss"])
        assert higher["final_loss_low"] <= higher["final_loss"] <= higher["final_loss_high"]
        assert higher["samples_to_target"] == lower["samples_to_target"]
    assert up.start_loss == -down.start_loss and up.target_loss == pytest.approx(-down.target_loss)
    shown = dict(summary_rows(up))["loss at the end"]
    assert all(float(text) > 4 for text in shown)
    view = comparison_view(up)
    hit = view.columns["hit"]
    assert hit["loss"].min() > 3 and np.all(np.isfinite(hit["y"])) and HIGHER in view.columns["words"]["y_title"][0]
    inside = [at for at in view.columns["y_ticks"]["at"] if view.y_range[0] <= at <= view.y_range[1]]
    assert inside and [float(text) for text in view.columns["y_ticks"]["text"]] == pytest.approx(
        view.columns["y_ticks"]["at"]
    )
    assert json.dumps(up.to_dict())


def test_a_target_of_a_maximized_loss_is_given_in_the_users_numbers() -> None:
    duel = nt.compare_batch_sizes(
        task_of(-1), [8, 32], budget="600 samples", lr=0.3, target_loss=4.6, progress=False
    )  # fmt: skip
    assert duel.target_loss == 4.6 and duel.table()[0]["samples_to_target"] is not None and "4.6" in duel.verdict


def test_an_optimizer_that_goes_both_ways_is_read_as_one_that_goes_down_and_that_is_said() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "maximize": True}]
    curve = find_lr(Task(model, torch.optim.SGD(groups, lr=0.1), CE, (X, Y)), progress=False)
    assert curve.sign == 1 and any("a lower loss is taken for the better one" in caveat for caveat in curve.caveats)


def test_a_mirrored_view_keeps_pairs_in_order_and_leaves_words_alone() -> None:
    columns = {"band": {"low": np.array([1.0]), "high": np.array([2.0])}, "said": {"y": np.array([3.0]), "text": ["a"]}}
    view = View(columns, (0.0, 4.0), "Loss.")
    turned = mirrored(view, -1)
    assert mirrored(view, 1) is view and turned.y_range == (-4.0, 0.0)
    assert (turned.columns["band"]["low"][0], turned.columns["band"]["high"][0]) == (-2.0, -1.0)
    assert turned.columns["said"]["text"] == ["a"] and turned.columns["said"]["y"][0] == -3.0
    assert columns["band"]["low"][0] == 1.0


def test_progress_tells_the_users_own_numbers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0))  # every step is drawn, however fast
    find_lr(task_of(-1), rates=4)
    told = [float(loss) for loss in re.findall(r"loss (-?[\d.]+)", capsys.readouterr().err)]
    assert len(told) > 40 and told[0] > 4  # minus the loss that the optimizer lowers from -4.3


def test_a_widget_turns_its_plots_and_says_so() -> None:
    finder = nt.LRFinder(task_of(-1), rates=4)
    finder.run()
    assert finder.result.sign == -1 and any(HIGHER in note for note in finder.notes)
    assert HIGHER in json.dumps(finder.plots["course"].document)
