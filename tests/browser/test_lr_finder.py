"""The learning-rate finder as a person meets it, in JupyterLab and Notebook 7."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.image as image
import nbformat
import numpy as np
import pytest
from executed import executed
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from nbtune.plots.base.tokens import TOKENS

if TYPE_CHECKING:
    from conftest import Notebook

pytestmark = pytest.mark.slow

SETUP = """
import hashlib, pathlib, time, torch
from torch import nn
import nbtune as nt
torch.set_num_threads(1)
torch.manual_seed(0)

calls, gate = 0, pathlib.Path("{gate}")

class Wait(nn.Module):
    def forward(self, x):
        global calls
        calls += 1
        if calls < {held_at}:
            time.sleep(0.005)  # steps that take no time are shown many at once
        while calls == {held_at} and gate.is_file():
            time.sleep(0.01)
        return x

def state():
    tensors = [*model.state_dict().values(), torch.get_rng_state()]
    return hashlib.sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest()

model = nn.Sequential(Wait(), nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 2))
inputs = torch.randn(640, 8)
targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
task = nt.Task(model, torch.optim.Adam(model.parameters(), 1e-3), nn.CrossEntropyLoss(), (inputs, targets))
before = state()
"""
SHOW = "finder = nt.LRFinder(task, mode='quick')\nfinder"
REPORT = "print(len(finder.result.steps), finder.result.outcome, finder.state, state() == before)"


def begun(notebook: Notebook, name: str, *cells: str, held_at: int = 0) -> Path:
    """Open a notebook and run its first two cells, the second of which shows a widget.

    At its ``held_at``-th call the model waits until the returned file is deleted.
    """
    gate = notebook.server.hold(f"{name}.gate")
    notebook.server.write(name, SETUP.format(gate=gate.name, held_at=held_at), *cells)
    notebook.open(name)
    notebook.run(0)
    notebook.run(1)
    notebook.wait("() => document.querySelector('[data-points]') !== null")
    return gate


def clicked_through(notebook: Notebook, name: str) -> None:
    """Start, watch the points come, see the end, and compare the counts."""
    gate = begun(notebook, name, SHOW, REPORT, held_at=40)
    assert notebook.points() == 0
    notebook.picture("idle")
    notebook.panel().locator(".nbtune-run").click()
    notebook.wait_for_points(20)
    notebook.picture("running")
    assert "Stop" in notebook.panel().locator(".nbtune-run").inner_text()
    gate.unlink()
    notebook.wait_for_state("done")
    notebook.run(2)
    steps, outcome, state, is_restored = notebook.output(2).split()
    notebook.wait_for_points(int(steps))
    assert notebook.points() == int(steps)
    assert f"{steps} of 100 steps" in notebook.panel().inner_text()
    assert (outcome, state, is_restored) == ("diverged", "done", "True")
    notebook.picture("done")


def test_a_click_on_start_streams_the_points_and_every_count_agrees(lab: Notebook) -> None:
    clicked_through(lab, "start.ipynb")
    assert re.search(r"Try\s+η\s=\s[\d.e-]+", lab.panel().inner_text())


def test_the_same_holds_in_notebook_7(notebook7: Notebook) -> None:
    clicked_through(notebook7, "start.ipynb")


RACE = "finder = nt.LRFinder(task)\nfinder"
RACED = "c = finder.result; print(c.updates, c.outcome, len(c.rounds), state() == before, c.suggestion is not None)"
IN_THE_SECOND_ROUND = 90
"""The first is 5 batches for each of 13 rates and the control, the second 7 for each that is left and the control."""
RATES_HAVE_LEFT = "() => / ([2-9]|1[0-2]) of 13 rates left/.test(document.querySelector('.nbtune-panel').innerText)"
THREE_PLOTS = """() => {
    const plots = Array.from(document.querySelectorAll('[data-points]:not([hidden] *)'));
    const [course, standings, scores] = plots.map(plot => plot.getBoundingClientRect());
    return plots.length === 3 && course.width > 250 && standings.width === 200 && scores.width > 250;
}"""


def raced(notebook: Notebook, name: str) -> None:
    """Start a race, watch rates leave, see the answer, apply it."""
    gate = begun(notebook, name, RACE, RACED, "print(task.lr)", held_at=IN_THE_SECOND_ROUND)
    notebook.wait(THREE_PLOTS)
    notebook.picture("race-idle")
    notebook.panel().locator(".nbtune-run").click()
    notebook.wait(RATES_HAVE_LEFT)
    notebook.picture("race-running")
    gate.unlink()
    notebook.wait_for_points(20)
    notebook.wait_for_state("done")
    notebook.run(2)
    updates, outcome, rounds, is_restored, is_answered = notebook.output(2).split()
    assert (outcome, is_restored, is_answered) == ("finished", "True", "True") and int(rounds) >= 2
    said = notebook.panel().inner_text()
    assert 13 * 5 < int(updates) <= 400 and f"{updates} steps in all · 13 rates · finished" in said
    assert re.search(r"Use\s+η\s=\s[\d.e-]+: good from [\d.e-]+ to [\d.e-]+\.", said) and "notes" in said
    notebook.picture("race-done")
    notebook.panel().locator(".nbtune-apply").click()
    notebook.wait("() => document.querySelector('.nbtune-panel').innerText.includes('the optimizer now uses η')")
    notebook.run(3)
    assert float(notebook.output(3)) != 1e-3


def test_a_race_is_run_by_a_click_and_its_answer_applied(lab: Notebook) -> None:
    raced(lab, "race.ipynb")


def test_a_race_in_notebook_7(notebook7: Notebook) -> None:
    raced(notebook7, "race.ipynb")


def test_a_stopped_race_says_what_it_knows_and_a_mode_changes_the_stage(lab: Notebook) -> None:
    gate = begun(lab, "race-stop.ipynb", RACE, RACED, held_at=IN_THE_SECOND_ROUND)
    lab.panel().locator(".nbtune-run").click()
    lab.wait(RATES_HAVE_LEFT)
    lab.panel().get_by_text("Quick sweep").click()  # not while it runs
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("stopping")
    gate.unlink()
    lab.wait_for_state("done")
    lab.run(2)
    assert lab.output(2).split()[1:4] == ["stopped", "1", "True"]
    assert "Stopped before the race was decided" in lab.panel().inner_text()
    lab.picture("race-stopped")
    lab.panel().get_by_text("Quick sweep").click()
    lab.wait("() => document.querySelectorAll('[data-points]:not([hidden] *)').length === 1")
    assert "Press Start." in lab.panel().inner_text()
    lab.panel().locator(".nbtune-run").click()
    lab.wait("() => document.querySelector('.nbtune-panel').innerText.includes('of 100 steps · ')")
    lab.wait_for_state("done")


SIDE_BY_SIDE = """() => {
    const plots = Array.from(document.querySelectorAll('[data-points]:not([hidden] *)'));
    return plots.length === 2 && plots.every(plot => plot.getBoundingClientRect().width > 300);
}"""
SIZED = "r = finder.result; print(len(r.curves), r.outcome, None not in r.suggestions.values(), state() == before)"


def test_controls_stay_where_they_are_when_there_is_something_to_apply_and_while_one_types(lab: Notebook) -> None:
    begun(lab, "stays.ipynb", "finder = nt.LRFinder(task, max_steps=60)\nfinder")
    panel = lab.panel()
    start, orders = panel.get_by_role("button", name="Start"), panel.get_by_label("data orders")
    before = start.bounding_box(), orders.bounding_box()
    panel.get_by_label("training steps").fill("3000")
    start.click()
    lab.wait_for_state("done")
    assert (start.bounding_box(), orders.bounding_box()) == before
    assert panel.get_by_label("to", exact=True).bounding_box()["x"] < before[0]["x"] - 60


def test_batch_sizes_are_a_mode_with_two_plots_of_its_own(lab: Notebook) -> None:
    begun(lab, "sizes.ipynb", RACE, SIZED)
    lab.panel().get_by_text("Batch sizes").click()
    lab.wait(SIDE_BY_SIDE)
    lab.picture("sizes-idle")
    lab.panel().locator("input[name=batch_sizes]").fill("8, 32, 128")
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("done")
    lab.run(2)
    assert lab.output(2).split() == ["3", "finished", "True", "True"]
    said = lab.panel().inner_text()
    assert "3 batch sizes · finished" in said and re.search(r"Suggested: [\d.e-]+ at k\s=\s8, ", said)
    lab.picture("sizes-done")


def test_the_theory_comes_and_goes_with_its_switch_and_trains_nothing_anew(lab: Notebook) -> None:
    begun(lab, "theory.ipynb", "finder = nt.LRFinder(task, curvature=False)\nfinder", RACED)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("done")
    assert "Theory:" not in (lab.panel().text_content() or "")
    said = lab.panel().locator(".nbtune-result").inner_text()
    lab.panel().locator("input[name=theory]").check()
    lab.wait("() => document.querySelector('.nbtune-panel').textContent.includes('Theory:')")  # among the notes
    lab.wait_for_state("done")
    lab.picture("theory")
    lab.run(2)
    assert lab.output(2).split()[3:] == ["True", "True"]
    lab.panel().locator("input[name=theory]").uncheck()
    lab.wait("() => !document.querySelector('.nbtune-panel').textContent.includes('Theory:')")
    assert lab.panel().locator(".nbtune-result").inner_text() == said


def test_stop_keeps_what_was_measured_and_restores_the_model(lab: Notebook) -> None:
    gate = begun(lab, "stop.ipynb", SHOW, REPORT, held_at=30)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_points(12)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("stopping")
    gate.unlink()
    lab.wait_for_state("done")
    lab.run(2)
    steps, outcome, _, is_restored = lab.output(2).split()
    assert 12 <= int(steps) < 100
    assert (outcome, is_restored) == ("stopped", "True")
    assert "Stopped before the loss rose" in lab.panel().inner_text()
    lab.picture("stopped")


def test_a_reload_and_a_second_view_show_the_same_curve(lab: Notebook) -> None:
    begun(lab, "views.ipynb", SHOW, "await finder;", "display(finder)")
    lab.run(2)
    lab.wait_for_state("done")
    steps, words = lab.points(), lab.panel().inner_text()
    lab.run(3)
    lab.wait_for_points(steps, index=1)
    assert lab.points(1) == steps
    assert lab.panel(1).inner_text() == words
    lab.command("docmanager:save")
    lab.wait("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    lab.open("views.ipynb")
    lab.wait_for_points(steps)
    lab.wait_for_points(steps, index=1)
    assert lab.panel().inner_text() == words


def test_the_dark_theme_recolours_an_open_plot(lab: Notebook) -> None:
    begun(lab, "dark.ipynb", SHOW, "await finder;")
    lab.run(2)
    lab.wait_for_state("done")
    light = lab.panel().screenshot()
    assert _brightness(light) > 0.7
    assert _has_line(light, "light") and not _has_line(light, "dark")
    lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    try:
        lab.wait("() => document.querySelector('[data-points]').dataset.theme === 'dark'")
        # Lab's own dark splash covers the page meanwhile, and the canvas is painted a moment after the theme is known.
        lab.wait("() => document.querySelector('#jupyterlab-splash') === null")
        lab.wait("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        dark = lab.panel().screenshot()
        lab.picture("dark")
        assert _brightness(dark) < 0.3
        assert _has_line(dark, "dark") and not _has_line(dark, "light")
    finally:
        lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})
        lab.wait("() => document.body.dataset.jpThemeLight === 'true'")


def test_an_error_in_the_model_is_told_in_words_with_its_traceback_a_click_away(lab: Notebook) -> None:
    broken = "model[1] = nn.Linear(9, 32)\nnt.LRFinder(nt.Task(model, torch.optim.SGD(model.parameters(), 0.1),"
    begun(lab, "error.ipynb", f"{broken} nn.CrossEntropyLoss(), (inputs, targets)))")
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("failed")
    words = lab.panel().inner_text()
    assert "raised an error at step 1" in words
    assert "mat1 and mat2 shapes cannot be multiplied" in words
    assert "Model, optimizer and random state are as they were before Start." in words
    assert "Traceback (most recent call last)" not in words
    lab.picture("failed")
    lab.panel().get_by_text("Show the traceback").click()
    assert "Traceback (most recent call last)" in lab.panel().inner_text()


def test_a_narrow_page_puts_start_first_and_folds_the_settings(lab: Notebook) -> None:
    begun(lab, "narrow.ipynb", SHOW, "await finder;")
    lab.run(2)
    lab.page.set_viewport_size({"width": 620, "height": 1200})
    lab.panel().get_by_text("1e-5 to 10, 100 steps").wait_for()
    lab.picture("narrow")
    start, fields = lab.panel().locator(".nbtune-run").bounding_box(), lab.panel().locator("input").first
    assert start["width"] > 0.4 * lab.panel().bounding_box()["width"]
    assert not fields.is_visible()


def test_wrong_settings_are_told_at_once_and_nothing_runs(lab: Notebook) -> None:
    begun(lab, "settings.ipynb", SHOW, "print(finder.state, finder.result)")
    lab.panel().locator("input").first.fill("100")
    lab.panel().locator(".nbtune-run").click()
    lab.panel().get_by_text("lr_min must be below lr_max").wait_for()
    lab.run(2)
    assert lab.output(2).split() == ["idle", "None"]


def test_a_notebook_saved_by_hand_exports_the_picture_and_the_sentence(lab: Notebook) -> None:
    begun(lab, "saved.ipynb", SHOW)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("done")
    lab.wait("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON()).includes('image/png')")
    lab.command("docmanager:save")
    lab.wait("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    path = lab.server.folder / "saved.ipynb"
    expect(lab.page.locator(".nbtune-panel")).to_have_count(1)  # the live view stayed, and stayed one
    assert_exports_the_picture(path)
    assert path.stat().st_size < 200_000


def test_an_unattended_run_exports_the_picture_and_the_sentence(tmp_path: Path) -> None:
    notebook = executed(SETUP.format(gate="none", held_at=0), SHOW, "curve = await finder\ncurve")
    nbformat.write(notebook, tmp_path / "out.ipynb")
    assert_exports_the_picture(tmp_path / "out.ipynb")


def assert_exports_the_picture(path: Path) -> None:
    outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", [])]
    shown = next(o["data"] for o in outputs if "image/png" in o.get("data", {}))
    assert "Try η" in "".join(shown["text/plain"])  # GitHub shows the picture, a terminal the sentence
    html, _ = HTMLExporter().from_filename(str(path))
    body = html[html.index("<body") :]
    assert 'src="data:image/png;base64' in body
    assert '<script type="application/vnd.jupyter.widget-view+json">' not in body
    assert "Loading widget" not in body


def _brightness(png: bytes) -> float:
    """Median of a screenshot's pixels, 0 is black."""
    return float(np.median(_pixels(png)))


def _has_line(png: bytes, theme: str) -> bool:
    """Whether the curve is there in the colour it has in this theme."""
    colour = [int(TOKENS[theme]["data"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return int((np.abs(_pixels(png) - colour).max(axis=-1) < 0.02).sum()) > 100


def _pixels(png: bytes) -> Any:
    return image.imread(BytesIO(png), format="png")[..., :3]
