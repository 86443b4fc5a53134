"""The comparison of batch sizes as a person meets it, in JupyterLab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Notebook

pytestmark = pytest.mark.slow

SETUP = """
import time
import torch
from torch import nn
import nbtune as nt
torch.set_num_threads(1)
torch.manual_seed(0)
inputs = torch.randn(700, 16)
targets = (inputs @ torch.randn(16, 4)).argmax(1)
kept, held_out = (inputs[:600], targets[:600]), (inputs[600:], targets[600:])
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
steps = 0
def loss_fn(outputs, targets):
    global steps
    steps += 1
    if steps == {fails_at}:
        raise LookupError("no such class")
    time.sleep({pause})
    return nn.functional.cross_entropy(outputs, targets)
task = nt.Task(model, torch.optim.SGD(model.parameters(), lr=0.1), loss_fn, kept)
"""
SHOW = """
comparison = nt.BatchComparison(task, {sizes}, validation=held_out, seeds={seeds}, budget='{budget}'{more})
comparison
"""


def begun(lab: Notebook, name: str, *cells: str, pause: float = 0, fails_at: int = 0, **changes: object) -> None:
    given = {"sizes": [1, 32, 512], "seeds": 3, "budget": "4 epochs", "more": "", **changes}
    lab.server.write(name, SETUP.format(pause=pause, fails_at=fails_at), SHOW.format(**given), *cells)
    lab.open(name)
    lab.run(0)
    lab.run(1)
    lab.wait("() => document.querySelectorAll('.nbtune-panel [data-sequence]').length === 1")


def start(lab: Notebook) -> None:
    lab.panel().locator(".nbtune-run").click()


def finished(lab: Notebook) -> None:
    lab.wait_for_state("done")
    # Until its picture lies in the output too, Lab may yet make the view anew.
    lab.wait("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON()).includes('image/png')")


def choose(lab: Notebook, axis: str) -> None:
    lab.panel().get_by_role("radio", name=axis).click()
    lab.wait("axis => document.querySelector('[data-block=curves] [aria-label]').ariaLabel.includes(axis)", axis)


def spoken(lab: Notebook) -> str:
    return lab.panel().locator("[data-block=curves] [role=img]").get_attribute("aria-label") or ""


def height(lab: Notebook) -> float:
    box = lab.panel().bounding_box()
    assert box is not None
    return box["height"]


def test_start_to_the_answer_in_plot_table_sentence_and_button(lab: Notebook) -> None:
    code = "print(comparison.result.batch_size, sum(len(curve.losses) for curve in comparison.result.by_batch_size))"
    begun(lab, "duel.ipynb", code, "print(comparison.task.batch_size)")
    idle = height(lab)
    lab.picture("comparison_idle")
    start(lab)
    finished(lab)
    assert abs(height(lab) - idle) <= 1  # nothing moves, but for a rounded pixel
    lab.picture("comparison_done")
    lab.run(2)
    found, drawn = lab.output(2).split()
    assert int(drawn) > 30
    lab.panel().get_by_role("columnheader", name=f"k = {found}", exact=True).wait_for()
    assert lab.panel().locator(".nbtune-apply").inner_text().startswith(f"Apply k = {found}")
    lab.panel().locator(".nbtune-apply").click()
    lab.panel().get_by_text("Applied:").wait_for()
    lab.run(3)
    assert lab.output(3).strip() == found


def test_the_axis_and_the_held_out_losses_are_switched_during_a_run(lab: Notebook) -> None:
    begun(lab, "axis.ipynb", pause=0.002, budget="2000 epochs", seeds=1)
    start(lab)
    lab.panel().get_by_text(" is lowest ").wait_for()
    choose(lab, "seconds")
    lab.panel().get_by_label("held-out").check()
    drawn = lab.panel().locator("[data-sequence]").get_attribute("data-sequence")
    lab.wait("drawn => +document.querySelector('.nbtune-panel [data-sequence]').dataset.sequence > +drawn", drawn)
    assert lab.panel().get_attribute("data-state") == "running"
    lab.picture("comparison_running")
    lab.panel().locator(".nbtune-run").click()
    finished(lab)
    assert "stopped after" in lab.panel().locator(".nbtune-progress").inner_text()
    assert "seconds" in spoken(lab)
    choose(lab, "updates")
    lab.picture("comparison_stopped")


def test_a_head_of_the_table_colours_its_curve(lab: Notebook) -> None:
    begun(lab, "many.ipynb", sizes=[1, 4, 16, 64, 256, "full"], seeds=1, budget="2 epochs")
    start(lab)
    finished(lab)
    head = lab.panel().get_by_role("button", name="k = 16", exact=True)
    head.click()
    lab.wait("() => document.querySelector('[name=\"k=16\"]').ariaPressed === 'true'")
    assert "nbtune-series-data" in (head.locator("xpath=..").get_attribute("class") or "")
    lab.picture("comparison_many")


def test_an_error_is_quoted_in_place_of_the_plot(lab: Notebook) -> None:
    begun(lab, "fails.ipynb", fails_at=900, seeds=1)
    start(lab)
    lab.wait_for_state("failed")
    lab.panel().get_by_text("LookupError: no such class", exact=True).wait_for()
    assert "loss_fn" in lab.panel().locator(".nbtune-problem-where").inner_text()
    lab.picture("comparison_failed")


def test_it_follows_the_dark_theme(lab: Notebook) -> None:
    begun(lab, "dark_duel.ipynb")
    lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    lab.wait("() => document.querySelector('.nbtune-panel').dataset.nbtuneTheme === 'dark'")
    start(lab)
    finished(lab)
    lab.picture("comparison_dark")
    lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    lab.wait("() => document.querySelector('.nbtune-panel').dataset.nbtuneTheme === 'light'")


def test_a_narrow_page_stacks_everything_and_folds_the_settings(lab: Notebook) -> None:
    begun(lab, "narrow_duel.ipynb")
    lab.page.set_viewport_size({"width": 596, "height": 1600})
    lab.panel().get_by_text("k = 1, 32, 512 · η fixed: 0.1 · 4 epochs · seeds: 3").wait_for()
    start(lab)
    finished(lab)
    lab.picture("comparison_narrow")
    place = {name: lab.panel().locator(where).bounding_box() for name, where in PLACES.items()}
    assert place["start"]["y"] < place["axis"]["y"] < place["curves"]["y"] < place["table"]["y"]
    assert place["curves"]["width"] > 0.9 * place["stage"]["width"]
    assert not lab.panel().locator("select").first.is_visible()


PLACES = {
    "start": ".nbtune-run",
    "axis": "[name='axis=samples']",
    "curves": "[data-block=curves]",
    "table": "[data-block=summary]",
    "stage": ".nbtune-stage",
}


@pytest.mark.parametrize("sizes", [[1, 32, 512], [1, 8, 64, 512]])
def test_no_column_is_cut_between_two_side_bars(lab: Notebook, sizes: list[int]) -> None:
    begun(lab, f"beside_{len(sizes)}.ipynb", sizes=sizes, seeds=1, budget="5 epochs", more=", capacity='8 GB'")
    start(lab)
    finished(lab)
    lab.page.set_viewport_size({"width": 1440, "height": 1000})
    lab.command("nbtune:show-panel")
    lab.page.evaluate("() => window.jupyterapp.shell.expandLeft()")
    lab.wait("() => Math.abs(document.querySelector('.nbtune-panel').clientWidth - 720) < 80")
    table = lab.panel().locator("[data-block=summary]")
    expect(table.locator("thead .nbtune-series")).to_have_count(len(sizes))
    assert table.evaluate("block => block.scrollWidth - block.clientWidth") == 0
    stage, curves = (lab.panel().locator(PLACES[name]).bounding_box() for name in ("stage", "curves"))
    assert stage is not None and curves is not None and curves["width"] > 0.5 * stage["width"]
    lab.picture(f"comparison_between_side_bars_{len(sizes)}")


HAS_TICKS = """async sets => {
    const [Bokeh] = await Promise.all(globalThis[Symbol.for("nbtune.bokehjs")].values());
    const figure = Bokeh.documents.flatMap(doc => doc.roots()).find(root => root.below?.length);
    const ticks = JSON.stringify(Array.from(figure.below.find(part => part.ticker).ticker.ticks));
    return sets.some(set => JSON.stringify(set) === ticks);
}"""
"""Whether numbers stand on the x axis at one of these sets of places, as BokehJS has it."""


def test_numbers_stand_along_the_whole_axis_when_only_its_length_changes(lab: Notebook) -> None:
    update = (
        "from nbtune.plots.comparison.view import comparison_view\n"
        "view = comparison_view(comparison.result, axis='seconds', x_end={})\n"
        "comparison.plots['curves'].update(view)\n"
        "print([view.columns[name]['at'].tolist() for name in ('ticks', 'narrow_ticks')])"
    )
    begun(lab, "grows.ipynb", update.format(10.0), update.format(1e6), seeds=1, budget="1 epochs")
    start(lab)
    finished(lab)
    for cell in (2, 3):
        lab.run(cell)
        lab.wait(HAS_TICKS, json.loads(lab.output(cell)))
