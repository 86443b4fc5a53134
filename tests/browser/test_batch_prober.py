"""The batch prober as a person meets it, in JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Notebook

pytestmark = pytest.mark.slow

SETUP = """
import torch
from torch import nn
import nbtune as nt
torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2)
)
images = torch.utils.data.TensorDataset(torch.randn(512, 3, 64, 64), torch.randint(0, 2, (512,)))
loader = torch.utils.data.DataLoader(images, 8)
task = nt.Task(model, torch.optim.AdamW(model.parameters()), nn.functional.cross_entropy, loader)
"""
SHOW = "prober = nt.BatchProber(task, capacity='2 GB', measure_seconds={seconds})\nprober"


def begun(lab: Notebook, name: str, *cells: str, seconds: float = 0) -> None:
    lab.server.write(name, SETUP, SHOW.format(seconds=seconds), *cells)
    lab.open(name)
    lab.run(0)
    lab.run(1)
    lab.wait("() => document.querySelectorAll('.nbtune-panel [data-sequence]').length === 4")


def started(lab: Notebook) -> None:
    lab.panel().locator(".nbtune-run").click()
    lab.wait_for_state("done")
    # Until its picture lies in the output too, Lab may yet make the view anew.
    lab.wait("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON()).includes('image/png')")


def choose(lab: Notebook, view: str) -> None:
    lab.panel().get_by_role("radio", name=view).click()
    lab.panel().get_by_role("radio", name=view, checked=True).wait_for()


def height(lab: Notebook) -> float:
    box = lab.panel().bounding_box()
    assert box is not None
    return box["height"]


def test_a_click_on_start_gives_the_answer_in_plot_table_sentence_and_button(lab: Notebook) -> None:
    begun(lab, "prober.ipynb", "print(prober.result.batch_size, prober.task.batch_size)", seconds=2)
    idle = height(lab)
    lab.picture("prober_idle")
    started(lab)
    assert abs(height(lab) - idle) <= 1  # nothing moves, but for a rounded pixel
    lab.picture("prober_done")
    lab.panel().locator(".nbtune-apply").click()
    lab.panel().get_by_text("Applied:").wait_for()
    lab.run(2)
    found, applied = lab.output(2).split()
    assert found == applied
    assert lab.panel().locator(".nbtune-apply").inner_text() == f"Apply k = {found}"
    assert f"k = {found}" in lab.panel().locator("[data-block=parts]").inner_text()


def test_another_card_and_another_bar_are_shown_at_once(lab: Notebook) -> None:
    begun(lab, "cards.ipynb")
    started(lab)
    cards = lab.panel().get_by_role("combobox", name="card")
    cards.select_option(label="other size …")
    lab.page.keyboard.type("0.6 GB")
    lab.page.keyboard.press("Enter")
    lab.panel().get_by_text("Not even k = 1 fits").wait_for()
    assert cards.locator("option:checked").inner_text() == "0.6 GB"
    lab.picture("prober_nothing_fits")
    cards.select_option(label="8 GB (named)")
    lab.panel().get_by_text("k = 512 fits, the largest looked at").wait_for()
    lab.panel().get_by_role("button", name="smaller k").click()
    lab.panel().locator("[data-block=parts]").get_by_text("k = 256").wait_for()
    bars = lab.panel().locator("[data-block=bars]")
    box = bars.bounding_box()
    assert box is not None
    bars.click(position={"x": 105, "y": box["height"] / 2})
    lab.panel().locator("[data-block=parts]").get_by_text("k = 1,").wait_for()


def test_the_other_views_are_real_tables(lab: Notebook) -> None:
    begun(lab, "views.ipynb")
    started(lab)
    choose(lab, "What takes it")
    layers = lab.panel().locator("[data-block=layers]")
    assert layers.get_by_role("rowheader", name="convolution").is_visible()
    lab.picture("prober_layers")
    choose(lab, "Image size × k")
    lab.panel().locator("[data-block=grid] tbody tr").nth(4).wait_for()
    lab.wait_for_state("done")
    grid = lab.panel().locator("[data-block=grid]")
    assert grid.get_by_role("rowheader", name="64").first.is_visible()
    assert grid.get_by_role("columnheader", name="512", exact=True).is_visible()
    assert "fits, largest" in grid.inner_text()
    lab.picture("prober_grid")


def test_what_makes_it_fit_is_a_table_whose_changes_can_be_tried(lab: Notebook) -> None:
    begun(lab, "fits.ipynb", "print(prober.task.batch_size, prober.task.accumulate)")
    choose(lab, "What makes it fit")
    wanted = lab.panel().get_by_role("textbox", name="k wanted")
    wanted.fill("512")
    cards = lab.panel().get_by_role("combobox", name="card")
    cards.select_option(label="other size …")
    lab.page.keyboard.type("1.5 GB")
    lab.page.keyboard.press("Enter")
    started(lab)
    table = lab.panel().locator("[data-block=changes]")
    assert table.get_by_role("rowheader", name="as it is").is_visible()
    assert table.locator(".nbtune-cell-line").count() == table.locator("tbody tr").count() > 5
    lab.picture("prober_fits")
    lab.panel().locator(".nbtune-apply").click()
    lab.panel().get_by_text("Applied:").wait_for()
    lab.run(2)
    k, accumulate = map(int, lab.output(2).split())
    assert k * accumulate == 512 and accumulate > 1
    table.get_by_role("row", name="mixed precision").first.get_by_role("button", name="Try").click()
    lab.panel().get_by_role("radio", name="Batch sizes", checked=True).wait_for()
    lab.wait_for_state("done")
    assert lab.panel().get_by_role("checkbox", name="mixed precision").is_checked()


def test_one_step_is_drawn_with_its_peak(lab: Notebook) -> None:
    begun(lab, "step.ipynb")
    started(lab)
    choose(lab, "Over one step")
    assert "Most is in use in the" in lab.panel().inner_text()
    assert "in use at the peak" in (
        lab.panel().locator("[data-block=timeline] [aria-label]").first.get_attribute("aria-label") or ""
    )
    lab.picture("prober_step")


def test_a_narrow_page_puts_start_first_and_the_table_below(lab: Notebook) -> None:
    begun(lab, "narrow_prober.ipynb")
    lab.page.set_viewport_size({"width": 620, "height": 1600})
    lab.panel().get_by_text("2 GB, estimate").wait_for()
    started(lab)
    lab.picture("prober_narrow")
    place = {name: lab.panel().locator(where).bounding_box() for name, where in PLACES.items()}
    assert place["start"]["y"] < place["bars"]["y"] < place["parts"]["y"]
    assert place["bars"]["width"] > 0.9 * place["panel"]["width"]
    assert not lab.panel().locator("select").first.is_visible()


PLACES = {
    "start": ".nbtune-run",
    "bars": "[data-block=bars]",
    "parts": "[data-block=parts]",
    "panel": ".nbtune-stage",
}
