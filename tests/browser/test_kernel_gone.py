"""Panels whose kernel goes away, and cells that are run again, as a person meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Notebook

pytestmark = pytest.mark.slow

SETUP = """
import time, pathlib, torch, nbtune as nt
from torch.nn import functional
torch.manual_seed(0)
model = torch.nn.Linear(4, 2)
inputs = torch.randn(96, 4)
data = inputs, (inputs.sum(1) > 0).long()
def training_step(model, batch):
    while pathlib.Path("HELD").exists() and len(steps) > 30:
        time.sleep(0.02)
    steps.append(1)
    return functional.cross_entropy(model(batch[0]), batch[1])
steps = []
task = nt.Task(model, torch.optim.SGD(model.parameters(), lr=0.1), None, data, training_step=training_step)
"""
SHOW = "finder = nt.LRFinder(task, mode='quick')\nfinder"
RESTART = "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"


def begun(notebook: Notebook, name: str, hold: str) -> None:
    """A run that is held in its midst."""
    notebook.server.write(name, SETUP.replace("HELD", hold), SHOW)
    notebook.open(name)
    notebook.run(0)
    notebook.run(1)
    notebook.wait_for_state("idle")
    notebook.panel().locator(".nbtune-run").click()
    notebook.wait_for_state("running")
    notebook.wait_for_points(20)


def says_gone(notebook: Notebook, words: str) -> None:
    notebook.wait_for_state("gone")
    panel = notebook.panel()
    expect(panel.locator(".nbtune-sentence")).to_contain_text(words)
    run = panel.locator(".nbtune-run")
    expect(run).to_have_attribute("aria-disabled", "true")
    expect(run).not_to_contain_text("Stop")
    expect(panel.locator(".nbtune-progress")).not_to_contain_text("left", use_inner_text=True)
    assert notebook.points() >= 20  # what was drawn stays


@pytest.mark.parametrize("kind", ["lab", "notebook7"])
def test_a_restart_during_a_run_is_said_and_what_was_drawn_stays(kind: str, request: pytest.FixtureRequest) -> None:
    notebook: Notebook = request.getfixturevalue(kind)
    gate = notebook.server.hold(f"gone_{kind}")
    begun(notebook, f"gone_{kind}.ipynb", gate.name)
    notebook.page.evaluate(RESTART)
    gate.unlink()
    says_gone(notebook, "The kernel was restarted during this run")
    notebook.picture("gone_light")
    notebook.wait_until_idle()
    notebook.run(0)
    notebook.run(1)
    notebook.wait_for_state("idle")


def test_a_kernel_that_dies_during_a_run_is_said(lab: Notebook) -> None:
    gate = lab.server.hold("gate_died")
    lab.server.write("died.ipynb", SETUP.replace("HELD", "gate_died"), SHOW, "import os; os._exit(1)")
    lab.open("died.ipynb")
    lab.run(0)
    lab.run(1)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_points(20)
    lab.run(2, wait=False)
    says_gone(lab, "The kernel died during this run")
    gate.unlink()


def test_after_a_restart_a_finished_panel_gives_way_to_its_picture(lab: Notebook) -> None:
    lab.server.write("done.ipynb", SETUP.replace("HELD", "none"), SHOW)
    lab.open("done.ipynb")
    lab.run(0)
    lab.run(1)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("done")
    lab.wait(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.toJSON()[0].data['image/png']"
    )
    lab.page.evaluate(RESTART)
    expect(lab.page.locator(".nbtune-lab-saved img")).to_be_visible()
    expect(lab.page.locator(".nbtune-lab-saved")).to_contain_text("The kernel of this widget is gone.")
    expect(lab.panel()).to_have_count(0)


def test_a_closed_panel_gives_way_to_its_picture(lab: Notebook) -> None:
    lab.server.write("closed.ipynb", SETUP.replace("HELD", "none"), SHOW, "finder.close()")
    lab.open("closed.ipynb")
    lab.run(0)
    lab.run(1)
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("done")
    lab.run(2)
    expect(lab.page.locator(".nbtune-lab-saved img")).to_be_visible()
    expect(lab.panel()).to_have_count(0)


def test_a_cell_that_is_run_again_shows_the_run_under_way_and_stops_it(lab: Notebook) -> None:
    gate = lab.server.hold("gate_again")
    begun(lab, "again.ipynb", gate.name)
    lab.run(1)
    lab.wait("() => document.querySelectorAll('.nbtune-panel').length === 1")
    sentence = lab.panel().locator(".nbtune-sentence")
    expect(sentence).to_contain_text("Another run is using this model: a search for a learning rate")
    run = lab.panel().locator(".nbtune-run")
    expect(run).to_have_text("■ Stop")
    lab.picture("again_light")
    run.click()
    expect(sentence).to_contain_text("which is stopping")
    gate.unlink()
    expect(sentence).to_contain_text("The other run has ended.")
    expect(run).to_have_text("▶ Start")
    run.click()
    lab.wait_for_state("done")


def test_a_loader_that_hangs_is_named_before_anybody_asks(lab: Notebook) -> None:
    gate = lab.server.hold("gate_hang")
    hanging = """
def batches():
    for index in range(1000):
        while index == 40 and pathlib.Path("gate_hang").exists():
            time.sleep(0.02)
        yield data
task = nt.Task(model, torch.optim.SGD(model.parameters(), lr=0.1), functional.cross_entropy, batches())
"""
    lab.server.write("hang.ipynb", SETUP.replace("HELD", "none") + hanging, SHOW)
    lab.open("hang.ipynb")
    lab.run(0)
    lab.run(1)
    lab.panel().locator(".nbtune-run").click()
    expect(lab.panel().locator(".nbtune-sentence")).to_contain_text("Waiting for the data: no batch for")
    lab.picture("hang_light")
    gate.unlink()
    lab.wait_for_state("done")


def test_a_run_stopped_after_a_reload_keeps_its_picture(lab: Notebook) -> None:
    gate = lab.server.hold("gate_reload")
    begun(lab, "reloaded.ipynb", gate.name)
    lab.command("docmanager:save")
    lab.page.reload()
    lab.wait_for_state("running")
    lab.panel().locator(".nbtune-run").click()
    gate.unlink()
    lab.wait_for_state("done")
    lab.wait(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.toJSON()[0].data['image/png']"
    )
    expect(lab.panel()).to_have_count(1)  # and stays alive
    lab.command("docmanager:save")
    saved = nbformat.read(lab.server.folder / "reloaded.ipynb", 4).cells[1].outputs[0]
    assert "image/png" in saved.data and saved.data["text/plain"].startswith("Stopped")
