"""What is no widget, as a cell's output shows it: the picture of a plot, and a progress bar that goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Notebook

pytestmark = pytest.mark.slow

SETUP = """
import time
from pathlib import Path
import torch
from torch import nn
import nbtune as nt
torch.set_num_threads(1)
torch.manual_seed(0)
inputs = torch.randn(400, 8)
targets = (inputs @ torch.randn(8, 2)).argmax(1)
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
steps = 0
def loss_fn(outputs, targets):
    global steps
    steps += 1
    while steps == 100 and Path("bar.hold").exists():
        time.sleep(0.01)
    return nn.functional.cross_entropy(outputs, targets)
task = nt.Task(model, torch.optim.SGD(model.parameters(), lr=0.1), loss_fn, (inputs, targets))
"""
FIND = "curve = nt.find_lr(task)"
BEGIN = """i => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = i;
    window.jupyterapp.commands.execute("notebook:run-cell");  // whose promise lasts as long as the cell
    return null;
}"""
IMAGES = "document.querySelectorAll('.jp-OutputArea-output img')"


def plotted(notebook: Notebook) -> None:
    """A plot of each kind as a cell's last line is a picture, and the saved notebook keeps it."""
    plots = ("curve", "nt.estimate_memory(task, '8 GB')", "nt.DescentPath.of(nt.DescentSettings())")
    notebook.server.write("plots.ipynb", SETUP, FIND, *(f"nt.plot({what})" for what in plots))
    notebook.page.set_viewport_size({"width": 1000, "height": 2400})  # Lab draws only what is in sight
    notebook.open("plots.ipynb")
    for cell in range(2 + len(plots)):
        notebook.run(cell)
    notebook.wait(
        f"n => [...{IMAGES}].filter(image => image.complete && image.naturalWidth > 0).length === n", len(plots)
    )
    widths = notebook.page.evaluate(f"() => [...{IMAGES}].map(image => image.naturalWidth / 2)")
    assert widths == [820.0] * len(plots)
    shown = notebook.page.locator(".jp-Notebook").inner_text()
    assert "figure(id=" not in shown and "Row(id=" not in shown
    saved = notebook.page.evaluate("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON())")
    assert saved.count('"image/png"') >= len(plots) and "Use η" in saved and "text/html" not in saved


def test_a_plot_as_the_last_line_is_a_picture_in_lab(lab: Notebook) -> None:
    plotted(lab)


def test_a_plot_as_the_last_line_is_a_picture_in_notebook(notebook7: Notebook) -> None:
    plotted(notebook7)


def test_a_progress_bar_is_text_while_it_runs_and_leaves_no_room_afterwards(lab: Notebook) -> None:
    gate = lab.server.hold("bar.hold")
    lab.server.write("bar.ipynb", SETUP, f"{FIND}\nprint('found')", "print('found')")
    lab.open("bar.ipynb")
    lab.run(0)
    lab.page.evaluate(BEGIN, 1)
    lab.page.locator(".jp-OutputArea-output", has_text="learning rate").wait_for()
    assert lab.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    gate.unlink()
    lab.wait_until_idle()
    lab.run(2)
    lab.page.locator(".jp-OutputArea-output", has_text="found").nth(1).wait_for()
    cells = lab.page.locator(".jp-CodeCell .jp-OutputArea")
    heights = [box["height"] for box in (cells.nth(i).bounding_box() for i in (1, 2)) if box is not None]
    assert heights[0] == heights[1] > 0  # of one printed line each
    assert lab.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
