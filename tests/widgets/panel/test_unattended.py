"""A notebook run from top to bottom with nobody there: every widget leaves its picture and its sentence."""

from __future__ import annotations

import nbformat
import pytest
from executed import executed
from nbconvert import HTMLExporter

pytestmark = pytest.mark.slow

TASK = """
import torch
import nbtune as nt
from nbtune.widgets import DescentExplorer
torch.manual_seed(0)
inputs = torch.randn(96, 4)
data = inputs, (inputs.sum(1) > 0).long()
def task():
    model = torch.nn.Linear(4, 2)
    return nt.Task(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.functional.cross_entropy, data)
"""
WIDGETS = {
    "finder": "nt.LRFinder(task())",
    "prober": 'nt.BatchProber(task(), capacity="8 GB", measure_seconds=0)',
    "comparison": "nt.BatchComparison(task(), [1, 8])",
    "explorer": "DescentExplorer()",
}
SENTENCES = {
    "finder": "Use η = ", "prober": "k = ", "comparison": "k = ",
    "explorer": "η = 0.19 is above the limit 2/λmax = 0.167",
}  # fmt: skip
"""Widget → what its sentence begins with; that of a comparison may begin with another word."""


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    """The task, the four widgets, then a cell that awaits each of them: one kernel for all."""
    shown = [f"{name} = {made}\n{name}" for name, made in WIDGETS.items()]
    return executed(TASK, *shown, *(f"found = await {name}" for name in WIDGETS))


@pytest.mark.parametrize("name", WIDGETS)
def test_an_unattended_notebook_keeps_the_picture_and_the_sentence(name: str, notebook: nbformat.NotebookNode) -> None:
    (output,) = notebook.cells[1 + list(WIDGETS).index(name)].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    said = output.data["text/plain"]
    assert SENTENCES[name] in said if name == "comparison" else said.startswith(SENTENCES[name])


def test_an_export_shows_pictures_and_no_widget(notebook: nbformat.NotebookNode) -> None:
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert html.count('src="data:image/png') == len(WIDGETS)
    assert '<script type="application/vnd.jupyter.widget-view+json"' not in html
