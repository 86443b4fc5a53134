"""The extension in the oldest JupyterLab and Notebook it claims, 4.2.0 and 7.2.0, in an environment of their own.

The environment holds what the server needs and the extension's built files, no torch; its kernels are of the tests'
environment. Half a minute for pip and one and a half for the tests, so without NBTUNE_REQUIRE_BROWSER they are only run
where NBTUNE_OLDEST_LAB=1 asks for them. NBTUNE_OLDEST_LAB may also be the folder of such an environment: .ci/run makes
one beforehand, of what oldest_lab.txt lists, anywidget and the wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from repository import is_environment, kept_tutorials

from . import test_lab_extension as newest
from .conftest import PATIENCE_MS, Notebook, Server
from .test_lab_extension import panel_says, run_in_background, sequence

ROOT = Path(__file__).parents[2]
IS_WANTED = bool(os.environ.get("NBTUNE_REQUIRE_BROWSER") or os.environ.get("NBTUNE_OLDEST_LAB"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IS_WANTED, reason="neither NBTUNE_REQUIRE_BROWSER nor NBTUNE_OLDEST_LAB is set"),
]

JUPYTER = Path(__file__).with_name("oldest_lab.txt")


@pytest.fixture(scope="session")
def oldest_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of an environment with the oldest Jupyter, and the extension as a user has it there."""
    made = os.environ.get("NBTUNE_OLDEST_LAB", "")
    if is_environment(made):
        return str(Path(made) / "bin" / "python")
    folder = tmp_path_factory.mktemp("oldest") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip_install(python, "--requirement", str(JUPYTER))
    wheel = os.environ.get("NBTUNE_WHEEL")
    pip_install(python, "--no-deps", "anywidget", *([wheel] if wheel else []))
    if not wheel:
        copy_extension(folder / "share" / "jupyter" / "labextensions" / "nbtune")
    return python


def pip_install(python: str, *what: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *what], check=True)


def copy_extension(place: Path) -> None:
    """As the wheel's shared data has it."""
    shutil.copytree(ROOT / "nbtune" / "labextension", place)
    shutil.copy(ROOT / "nbtune" / "lab" / "install.json", place)
    tutorials = place / "static" / "tutorials"
    tutorials.mkdir(parents=True)
    for name, text in kept_tutorials().items():
        (tutorials / name).write_text(text, encoding="utf-8")


# In place of those of conftest.py: so ``lab`` and ``notebook7``, and whatever uses them here, are of these servers.
@pytest.fixture(scope="session")
def lab_server(oldest_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("lab", tmp_path_factory.mktemp("oldest_lab"), python=oldest_python)
    yield server
    server.close()


@pytest.fixture(scope="session")
def notebook_server(oldest_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("notebook", tmp_path_factory.mktemp("oldest_notebook"), python=oldest_python)
    yield server
    server.close()


# The same tests as in the newest JupyterLab, where nothing is to be otherwise.
opened, light = newest.opened, newest.light
test_a_saved_notebook_shows_its_picture_without_a_kernel_and_the_widget_after_a_run = (
    newest.test_a_saved_notebook_shows_its_picture_without_a_kernel_and_the_widget_after_a_run
)
test_the_toolbar_and_the_palette_insert_a_cell_for_the_notebooks_own_task = (
    newest.test_the_toolbar_and_the_palette_insert_a_cell_for_the_notebooks_own_task
)
test_the_launcher_begins_a_notebook_that_runs_as_it_is = newest.test_the_launcher_begins_a_notebook_that_runs_as_it_is
test_notebook_7_has_the_panel_too = newest.test_notebook_7_has_the_panel_too

JUDGE = """torch.manual_seed(0)
same = Net(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)).state_dict()
is_same = all(torch.equal(value, same[name]) for name, value in model.state_dict().items())
print(is_same and not optimizer.state)"""
STORY = (
    newest.SETUP,
    newest.HELD,
    "PAUSE = 1.0\ncurve = await finder",
    "print(curve.outcome)",
    "PAUSE = 0.3  # a race has more steps than the sweep before\nheadless = nt.find_lr(task, progress=False)",
    JUDGE,
    "PAUSE = 0.0\ncurve = nt.find_lr(task, progress=False)",
)


def test_the_panel_lives_and_its_stop_is_heard_though_this_lab_has_no_subshells(lab: Notebook) -> None:
    lab.server.write("story.ipynb", *STORY)
    lab.open("story.ipynb")
    assert lab.page.evaluate("() => window.jupyterapp.version") == "4.2.0"
    lab.command("nbtune:show-panel")
    panel_says(lab, "nbtune is not imported in this kernel.")
    lab.run(0)
    panel_says(lab, "this kernel now")
    lives_while_a_cell_blocks(lab)
    # The kernel hears while it awaits.
    stop_in_the_status_bar(lab, 2)
    lab.run(3)
    lab.wait("() => window.jupyterapp.shell.currentWidget.content.widgets[3].model.outputs.length > 0")
    assert lab.output(3).split() == ["stopped"]
    # It does not while the main thread is the sweep's own; so it is interrupted.
    stop_in_the_status_bar(lab, 4)
    expect(lab.page.locator(".jp-Notebook .jp-CodeCell").nth(4)).to_contain_text("Interrupted: everything is put back")
    lab.run(5)
    lab.wait("() => window.jupyterapp.shell.currentWidget.content.widgets[5].model.outputs.length > 0")
    assert lab.output(5).split() == ["True"]
    lab.run(6)
    panel_says(lab, "η = ", "race, Net")


def lives_while_a_cell_blocks(lab: Notebook) -> None:
    before, gate = sequence(lab), lab.server.hold("gate")
    run_in_background(lab, 1)
    lab.wait("n => +document.querySelector('.nbtune-lab-body').dataset.status >= n", before + 3)
    assert lab.page.evaluate(newest.KERNEL_STATUS) == "busy"
    gate.unlink()


def stop_in_the_status_bar(lab: Notebook, cell: int) -> None:
    lab.wait_until_idle()
    run_in_background(lab, cell)
    panel_says(lab, "Learning rate · ", " steps", "s left")
    lab.page.get_by_role("button", name="Stop: Learning rate").last.click()
    panel_says(lab, "Nothing is running in this kernel.")
    prompt = lab.page.locator(".jp-Notebook .jp-CodeCell").nth(cell).locator(".jp-InputPrompt")
    expect(prompt).not_to_have_text("[*]:", timeout=PATIENCE_MS)
