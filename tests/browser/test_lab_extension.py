"""The extension in a real JupyterLab and Notebook 7: the panel beside the notebook, and outputs without a kernel."""

from __future__ import annotations

import json
import re
from typing import Any

import nbformat
import pytest
from playwright.sync_api import expect
from repository import PACKAGED, kept_tutorials

from .conftest import PATIENCE_MS, Notebook

pytestmark = pytest.mark.slow

PANEL = ".nbtune-lab-panel"
SETUP = """import time, torch, nbtune as nt
from sklearn.datasets import load_digits
x, y = load_digits(return_X_y=True)
data = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
torch.manual_seed(0)
class Net(torch.nn.Sequential): pass
model = Net(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters())
def step(model, batch):
    time.sleep(PAUSE)
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
PAUSE = 0.0
task = nt.Task(model, optimizer, data=data, training_step=step)
finder = nt.LRFinder(task, mode="quick", steps=60)"""
HELD = "import os\nwhile os.path.exists('gate'): time.sleep(0.01)"
KERNEL_STATUS = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"
RUN_IN_BACKGROUND = """index => {
    window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
    void window.jupyterapp.commands.execute("notebook:run-cell");
}"""


def panel_says(notebook: Notebook, *texts: str) -> None:
    for text in texts:
        expect(notebook.page.locator(PANEL)).to_contain_text(text, timeout=PATIENCE_MS)


def sequence(notebook: Notebook) -> int:
    return int(notebook.page.locator(".nbtune-lab-body").get_attribute("data-status") or -1)


def run_in_background(notebook: Notebook, index: int) -> None:
    notebook.page.evaluate(RUN_IN_BACKGROUND, index)


def sources(notebook: Notebook) -> list[str]:
    cells = "() => window.jupyterapp.shell.currentWidget.content.widgets.map(c => c.model.sharedModel.getSource())"
    return list(notebook.page.evaluate(cells))


def wait_for_last_cell(notebook: Notebook, source: str) -> None:
    """A command inserts its cell when the extension has asked the kernel what is there."""
    last = "window.jupyterapp.shell.currentWidget.content.widgets.at(-1).model.sharedModel.getSource()"
    notebook.wait(f"source => {last} === source", source)


@pytest.fixture
def opened(lab: Notebook, request: pytest.FixtureRequest) -> Notebook:
    """A notebook with the panel beside it, and nbtune imported and a task made in its kernel."""
    return with_panel(lab, request, SETUP)


@pytest.fixture
def light(lab: Notebook, request: pytest.FixtureRequest) -> Notebook:
    """The same without torch, for what needs no task."""
    return with_panel(lab, request, "import time, nbtune as nt")


def with_panel(lab: Notebook, request: pytest.FixtureRequest, setup: str) -> Notebook:
    name = f"{request.node.name.split('[')[0][:40]}.ipynb"
    lab.server.write(name, setup, *getattr(request, "param", ()))
    lab.open(name)
    lab.command("nbtune:show-panel")
    lab.run(0)
    panel_says(lab, "this kernel now")
    return lab


def test_a_kernel_without_nbtune_is_told_and_helped(lab: Notebook) -> None:
    lab.server.write("plain.ipynb", "1 + 1")
    lab.open("plain.ipynb")
    lab.command("nbtune:show-panel")
    panel_says(lab, "nbtune is not imported in this kernel.")
    lab.page.get_by_role("button", name="Insert the import").click()
    assert sources(lab) == ["1 + 1", "import nbtune as nt"]
    lab.run(1)
    panel_says(lab, "this kernel now", "Nothing is running in this kernel.")


@pytest.mark.parametrize("light", [("time.sleep(600)",)], indirect=True)
def test_the_panel_lives_while_a_cell_blocks(light: Notebook) -> None:
    before = sequence(light)
    run_in_background(light, 1)
    light.wait("n => +document.querySelector('.nbtune-lab-body').dataset.status >= n", before + 4)
    assert light.page.evaluate(KERNEL_STATUS) == "busy"


def test_the_panel_is_alive_during_run_all(lab: Notebook) -> None:
    lab.server.write("all.ipynb", "import nbtune as nt, time", "time.sleep(600)")
    lab.open("all.ipynb")
    lab.command("nbtune:show-panel")
    panel_says(lab, "nbtune is not imported in this kernel.")
    lab.page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    panel_says(lab, "this kernel now")
    prompt = lab.page.locator(".jp-Notebook .jp-CodeCell").nth(1).locator(".jp-InputPrompt")
    expect(prompt).to_have_text("[*]:")


JUDGE = """torch.manual_seed(0)
same = Net(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)).state_dict()
is_same = all(torch.equal(value, same[name]) for name, value in model.state_dict().items())
print(finder.state, finder.result.outcome, is_same and not optimizer.state)"""


@pytest.mark.parametrize("opened", [("PAUSE = 1.0", "finder.start()", "time.sleep(600)", JUDGE)], indirect=True)
def test_stop_in_the_status_bar_ends_a_sweep_while_a_cell_blocks(opened: Notebook) -> None:
    opened.run(1)
    opened.run(2)
    run_in_background(opened, 3)
    panel_says(opened, "Learning rate · quick sweep", "of 60 steps", "s left")
    stops = opened.page.get_by_role("button", name="Stop: Learning rate")
    expect(stops).to_have_count(2)  # in the panel and in the status bar
    stops.last.click()
    panel_says(opened, "Nothing is running in this kernel.")
    prompt = opened.page.locator(".jp-Notebook .jp-CodeCell").nth(3).locator(".jp-InputPrompt")
    expect(prompt).to_have_text("[*]:")  # the cell goes on, only the sweep was stopped
    opened.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    expect(prompt).to_have_text("[4]:", timeout=PATIENCE_MS)
    opened.run(4)
    opened.wait("() => window.jupyterapp.shell.currentWidget.content.widgets[4].model.outputs.length > 0")
    assert opened.output(4).split() == ["done", "stopped", "True"]


@pytest.mark.parametrize("opened", [("curve = nt.find_lr(task, progress=False)", HELD)], indirect=True)
def test_a_result_is_inserted_and_found_again(opened: Notebook) -> None:
    opened.run(1)
    panel_says(opened, "η = ", "race, Net")
    insert = opened.page.get_by_role("button", name="Insert: η = ")
    gate = opened.server.hold("gate")
    run_in_background(opened, 2)
    insert.focus()
    before = sequence(opened)
    opened.wait("n => +document.querySelector('.nbtune-lab-body').dataset.status >= n", before + 2)
    expect(insert).to_be_focused()  # the panel is drawn anew each second, under the fingers of who uses the keyboard
    gate.unlink()
    opened.wait_until_idle()
    insert.press("Enter")
    cell = sources(opened)[-1]
    assert cell.startswith("task.set_lr(0.")
    opened.run(3)
    assert opened.output(3) == ""
    opened.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
    opened.page.get_by_role("button", name="Show: η = ").click()
    opened.wait("() => window.jupyterapp.shell.currentWidget.content.activeCellIndex === 1")


HOSTILE = """name = '<img src=x onerror="window.nbtuneHacked = true">'
Hostile = type(name, (torch.nn.Linear,), {})
hostile = Hostile(64, 10)
theirs = nt.Task(hostile, torch.optim.SGD(hostile.parameters(), 0.1), torch.nn.functional.cross_entropy, data)
globals()["x'); import os #"] = theirs
curve = nt.find_lr(theirs, progress=False)"""


@pytest.mark.parametrize("opened", [(HOSTILE,)], indirect=True)
def test_a_hostile_class_name_is_shown_as_text_and_runs_nothing(opened: Notebook) -> None:
    opened.run(1)
    panel_says(opened, "<img src=x onerror=")
    assert opened.page.locator(f"{PANEL} img").count() == 0
    assert opened.page.evaluate("() => window.nbtuneHacked") is None
    opened.page.get_by_role("button", name="Insert: η = ").click()
    assert sources(opened)[-1].startswith("theirs.set_lr(0.")


@pytest.mark.parametrize("light", [("time.sleep(600)",)], indirect=True)
def test_a_reload_finds_the_panel_alive_also_while_a_cell_blocks(light: Notebook) -> None:
    run_in_background(light, 1)
    before = sequence(light)
    light.page.reload()
    light.page.wait_for_selector(PANEL, state="attached", timeout=PATIENCE_MS)
    light.page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('nbtune:show-panel')")
    light.command("nbtune:show-panel")
    panel_says(light, "this kernel now")
    assert sequence(light) > before
    assert light.page.evaluate(KERNEL_STATUS) != "idle"


def test_a_restart_forgets_and_an_import_brings_it_back(light: Notebook) -> None:
    light.page.evaluate(
        "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"
    )
    panel_says(light, "nbtune is not imported in this kernel.")
    light.run(0)
    panel_says(light, "this kernel now")


@pytest.mark.parametrize("light", [("import os; os._exit(1)",)], indirect=True)
def test_a_kernel_that_ends_is_told_with_the_memory_it_had(light: Notebook) -> None:
    run_in_background(light, 1)
    panel_says(light, "The kernel ended. The last that was heard of its memory: ", " GiB.")
    light.page.locator(".jp-Dialog button").first.click()
    light.wait_until_idle()
    light.run(0)
    panel_says(light, "this kernel now")


def test_the_panel_follows_the_notebook_in_front(light: Notebook) -> None:
    light.server.write("second.ipynb", "1 + 1")
    first = light.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    light.command("docmanager:open", {"path": "second.ipynb"})
    panel_says(light, "second.ipynb", "nbtune is not imported in this kernel.")
    second = light.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    for _ in range(3):  # faster than a goodbye takes
        for place in (first, second, first):
            light.page.evaluate("id => window.jupyterapp.shell.activateById(id)", place)
        panel_says(light, "this kernel now")


COUNT_TIMERS = """() => {
    window.nbtuneTimers = new Set();
    const { setInterval, clearInterval } = window;
    window.setInterval = (...given) => {
        const id = setInterval(...given);
        if (new Error().stack.includes('/nbtune/')) window.nbtuneTimers.add(id);
        return id;
    };
    window.clearInterval = id => { window.nbtuneTimers.delete(id); clearInterval(id); };
}"""


LEFT = """import comm, threading
channels = [c for c in comm.get_comm_manager().comms.values() if c.target_name == "nbtune.monitor"]
threads = [t for t in threading.enumerate() if t.name == "nbtune-monitor"]
print(len(channels), len(threads), len(channels[0].receive.__self__._watchers))"""


def test_nothing_is_left_after_closing_ten_notebooks(lab: Notebook) -> None:
    lab.page.add_init_script(f"({COUNT_TIMERS})()")
    lab.server.write("many.ipynb", SETUP, LEFT)
    lab.open("many.ipynb")
    lab.command("nbtune:show-panel")
    lab.run(0)
    for _ in range(10):
        panel_says(lab, "this kernel now")
        lab.command("docmanager:save")
        lab.page.evaluate("() => { window.jupyterapp.shell.currentWidget.close(); }")
        panel_says(lab, "Open a notebook")
        lab.command("docmanager:open", {"path": "many.ipynb"})  # its kernel went on meanwhile
        lab.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=PATIENCE_MS)
        lab.wait_until_idle()
    panel_says(lab, "this kernel now")
    lab.run(1)
    assert lab.output(1).split() == ["1", "1", "1"]
    assert lab.page.evaluate("() => window.nbtuneTimers.size") == 0


def saved_notebook(folder: Any, name: str) -> Any:
    return nbformat.read(folder / name, as_version=4)


def test_a_saved_notebook_shows_its_picture_without_a_kernel_and_the_widget_after_a_run(opened: Notebook) -> None:
    name = opened.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    opened.page.evaluate(
        """() => {
            const n = window.jupyterapp.shell.currentWidget;
            n.model.sharedModel.insertCell(1, { cell_type: 'code', source: 'finder' });
            n.model.sharedModel.insertCell(2, { cell_type: 'code', source: 'curve = await finder' });
        }"""
    )
    opened.run(1)
    expect(opened.panel()).to_be_visible(timeout=PATIENCE_MS)
    opened.run(2)
    opened.wait_for_state("done")
    # The live widget stays one and live, though its output holds a picture now.
    expect(opened.page.locator(".nbtune-panel")).to_have_count(1)
    expect(opened.page.locator(".nbtune-lab-saved img")).to_have_count(0)
    opened.command("docmanager:save")
    opened.wait("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    output = saved_notebook(opened.server.folder, name).cells[1].outputs[0]
    assert "image/png" in output.data and json.dumps(output.data["application/vnd.nbtune.view+json"])
    opened.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    opened.page.goto(opened.server.url(name))
    picture = opened.page.locator(".nbtune-lab-saved img")
    expect(picture).to_be_visible(timeout=PATIENCE_MS)
    assert (picture.get_attribute("alt") or "").startswith("Try η = ")
    expect(opened.page.locator("body")).not_to_contain_text("Loading widget")
    opened.wait_until_idle()
    opened.run(0)
    opened.run(1)
    expect(opened.panel()).to_be_visible(timeout=PATIENCE_MS)
    expect(picture).to_have_count(0)


def test_notebook_7_has_the_panel_too(notebook7: Notebook) -> None:
    notebook7.server.write("seven.ipynb", SETUP, "time.sleep(600)")
    notebook7.open("seven.ipynb")
    notebook7.command("nbtune:show-panel")
    panel_says(notebook7, "nbtune is not imported in this kernel.")
    notebook7.run(0)
    panel_says(notebook7, "this kernel now")
    before = sequence(notebook7)
    run_in_background(notebook7, 1)
    notebook7.wait("n => +document.querySelector('.nbtune-lab-body').dataset.status >= n", before + 3)


def test_the_toolbar_and_the_palette_insert_a_cell_for_the_notebooks_own_task(opened: Notebook) -> None:
    opened.page.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="nbtune").click()
    menu = opened.page.locator(".lm-Menu")
    expect(menu).to_contain_text("Batch prober")
    menu.get_by_text("Learning-rate finder").click()
    wait_for_last_cell(opened, "import nbtune as nt\nfinder = nt.LRFinder(task)\nfinder")
    opened.command("nbtune:insert-descent-explorer")
    wait_for_last_cell(opened, "import nbtune as nt\nnt.DescentExplorer()")
    opened.run(1)
    expect(opened.panel()).to_be_visible(timeout=PATIENCE_MS)


def test_the_launcher_begins_a_notebook_that_runs_as_it_is(light: Notebook) -> None:
    light.command("launcher:create")
    launcher = light.page.locator(".jp-Launcher")
    expect(launcher).to_contain_text("Open the nbtune tutorials", timeout=PATIENCE_MS)
    launcher.locator(".jp-LauncherCard", has_text="Learning-rate finder").click()
    expect(light.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")).to_contain_text(
        "# An example", timeout=PATIENCE_MS
    )
    light.wait_until_idle()
    assert len(sources(light)) == 2
    light.run(0)
    light.run(1)
    expect(light.panel()).to_be_visible(timeout=PATIENCE_MS)


def test_tutorials_are_copied_once_and_never_overwritten(light: Notebook) -> None:
    light.command("nbtune:open-tutorials")
    light.wait("() => window.jupyterapp.shell.currentWidget?.context?.path.startsWith('nbtune-tutorials/01')")
    copies = light.server.folder / "nbtune-tutorials"
    shipped = sorted(PACKAGED.glob("*.ipynb"))  # not those of the working tree: somebody may have tried them
    assert sorted(path.name for path in copies.glob("*.ipynb")) == [path.name for path in shipped]
    assert [path.name for path in shipped] == sorted(kept_tutorials())
    for path in shipped:
        assert json.loads((copies / path.name).read_text())["cells"] == json.loads(path.read_text())["cells"]
    mine = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    (copies / shipped[1].name).write_text(mine)
    (copies / shipped[2].name).unlink()
    light.command("nbtune:open-tutorials")
    assert (copies / shipped[1].name).read_text() == mine
    assert (copies / shipped[2].name).exists()


PERIOD = """import comm
channel = next(c for c in comm.get_comm_manager().comms.values() if c.target_name == "nbtune.monitor")
print(channel.receive.__self__._period_seconds)"""


@pytest.mark.parametrize("light", [(PERIOD,)], indirect=True)
def test_the_settings_decide_the_rhythm_and_the_status_bar(light: Notebook) -> None:
    item = light.page.locator(".nbtune-lab-item")
    expect(item).to_contain_text("GiB")
    light.page.evaluate(
        """async () => {
            const { settings } = window.jupyterapp.serviceManager;
            await settings.save("nbtune:beside", '{"statusBar": "nothing", "refreshPeriod": 0.2}');
        }"""
    )
    light.page.reload()
    light.page.wait_for_selector(PANEL, state="attached", timeout=PATIENCE_MS)
    light.wait_until_idle()
    try:
        panel_says(light, "this kernel now")
        expect(light.page.locator(".nbtune-lab-item")).to_have_count(0)
        light.run(1)
        assert light.output(1).strip() == "0.2"
    finally:
        light.page.evaluate("() => window.jupyterapp.serviceManager.settings.save('nbtune:beside', '{}')")


def test_the_panel_speaks_spanish_where_jupyterlab_does(light: Notebook) -> None:
    setting = "@jupyterlab/translation-extension:plugin"
    save = "([id, text]) => window.jupyterapp.serviceManager.settings.save(id, text)"
    light.page.evaluate(save, [setting, json.dumps({"locale": "es_ES"})])
    try:
        light.page.reload()
        light.page.wait_for_selector(PANEL, state="attached", timeout=PATIENCE_MS)
        light.wait_until_idle()
        panel_says(light, "este kernel ahora", "Nada en curso en este kernel.")
        total = light.page.locator(f"{PANEL} h3 .nbtune-lab-figure").first.inner_text()
        assert re.fullmatch(r"[\d,]+ de [\d,]+ GiB", total)
        light.page.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name="nbtune").click()
        expect(light.page.locator(".lm-Menu")).to_contain_text("Buscador de la tasa de aprendizaje")
    finally:
        light.page.evaluate(save, [setting, "{}"])


def test_other_libraries_widgets_are_left_alone(light: Notebook) -> None:
    light.page.evaluate(
        """() => {
            const n = window.jupyterapp.shell.currentWidget;
            n.model.sharedModel.insertCell(1, { cell_type: 'code', source:
                'import ipywidgets; ipywidgets.IntSlider(description="theirs")' });
        }"""
    )
    light.run(1)
    expect(light.page.locator(".widget-slider")).to_contain_text("theirs", timeout=PATIENCE_MS)
    assert light.page.locator(".nbtune-lab-saved").count() == 0


CHANNEL = """import comm, json
channel = next(c for c in comm.get_comm_manager().comms.values() if c.target_name == "nbtune.monitor")
monitor = channel.receive.__self__
monitor.close()
status = monitor.status()"""
STRANGE = """for strange in (None, [], {}, {"devices": {}}, {"jobs": [{}]}, {"sequence": "many"}, {"tasks": ["a; b"]}):
    channel.publish(strange if not strange else {**status, **strange})
    channel.publish({"kind": "nbtune.status", "schema": "1", "text": strange})"""
FLOOD = """for sequence in range(100_000, 102_000):
    channel.publish({**status, "sequence": sequence})"""
NEWER = """channel.publish({**status, "schema": 2})"""


@pytest.mark.parametrize("light", [(CHANNEL, STRANGE, FLOOD, NEWER)], indirect=True)
def test_strange_messages_are_ignored_floods_are_thinned_and_newer_versions_told(light: Notebook) -> None:
    warnings: list[str] = []
    light.page.on("console", lambda m: warnings.append(m.text) if "nbtune" in m.text else None)
    light.run(1)
    light.run(2)
    light.page.evaluate(
        """() => {
            window.nbtuneDrawn = 0;
            const body = document.querySelector('.nbtune-lab-body');
            new MutationObserver(() => { window.nbtuneDrawn += 1; }).observe(body, { attributes: true });
        }"""
    )
    light.run(3)
    light.wait("() => document.querySelector('.nbtune-lab-body').dataset.status === '101999'")
    assert light.page.evaluate("() => window.nbtuneDrawn") < 200
    assert len(warnings) == 1 and "was ignored" in warnings[0]
    light.run(4)
    panel_says(light, "speaks another version (2) than this panel")
