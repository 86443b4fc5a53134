"""What the JupyterLab extension weighs and costs, in a real JupyterLab. Prints a table. Needs Chromium.

    python tests/benchmarks/lab.py [--pairs 15]

- Its JavaScript, as built into nbtune/labextension and put into the wheel.
- Lab's start, from the navigation to ``app.restored``, with the extension and with a page that names none such; in
  turn, from a warm cache, the first pair not counted. The median of the pairs' differences, with their middle half.
- The kernel's side at one sample a second, while a cell sleeps: processor time of the monitor's thread, and of the
  whole process beyond that of a kernel without nbtune (so with ipykernel's sending). Then the thread's during a sweep.
- Stop, from the click in the status bar to the job gone from the panel, while ``find_lr`` blocks the cell; a step takes
  20 ms, and the job ends after the step it is at. This JupyterLab and ipykernel 7 have subshells; without them the
  extension interrupts the kernel.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from conftest import ARGUMENTS, BROWSERS, PATIENCE_MS, Notebook, Server, shutil

EXTENSION = Path(__file__).parents[2] / "nbtune" / "labextension"
SECONDS = 30
STOPS = 10
# Each run of a cell says what it took of a core.
WITHOUT = f"""
import json, threading, time, torch
from sklearn.datasets import load_digits
def asleep(seconds=lambda: 0.0):
    begun = time.perf_counter(), time.process_time(), seconds()
    time.sleep({SECONDS})
    return [(now - then) for now, then in zip((time.perf_counter(), time.process_time(), seconds()), begun)]
print(json.dumps(asleep()))
"""
SETUP = """
import nbtune as nt
x, y = load_digits(return_X_y=True)
data = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
pause = 0.0
def step(model, batch):
    time.sleep(pause)
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
task = nt.Task(model, torch.optim.Adam(model.parameters()), data=data, training_step=step)
for _ in range(3):
    nt.find_lr(task, progress=False)
def of_monitor():
    thread = next(t for t in threading.enumerate() if t.name == "nbtune-monitor")
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
"""
WITH = "print(json.dumps(asleep(of_monitor)))"
SWEEP = f"""
pause, begun = 0.02, (time.perf_counter(), of_monitor())
nt.find_lr(task, progress=False, steps={50 * SECONDS // 2}, lr_max=1e-4)
print(json.dumps([now - then for now, then in zip((time.perf_counter(), of_monitor()), begun)]))
"""
STOPPED = f"""
for _ in range({STOPS}):
    nt.find_lr(task, progress=False, steps=1000, lr_max=1e-4)
"""
NOTE_START = """() => {
    let app;
    Object.defineProperty(window, "jupyterapp", {
        get: () => app,
        set: value => {
            app = value;
            app.restored.then(() => { window.restoredAt = performance.now(); });
        },
    });
}"""
STOP = """async () => {
    const job = document.querySelector("[data-job]").dataset.job;
    const isThere = () => document.querySelector(`[data-job="${job}"]`) !== null;
    const begun = performance.now();
    document.querySelector(".nbtune-lab-stop").click();
    while (isThere()) await new Promise(requestAnimationFrame);
    return performance.now() - begun;
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=15)
    arguments = parser.parse_args()
    report_size()
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        server = Server("lab", Path(folder))
        try:
            report_start(browser.new_context(), server, arguments.pairs)
            notebook = Notebook(browser.new_page(viewport={"width": 1000, "height": 1000}), server)
            report_kernel(notebook)
            report_stops(notebook.page)
        finally:
            server.close()
            browser.close()


def report_size() -> None:
    size = sum(path.stat().st_size for path in EXTENSION.rglob("*.js"))
    print(f"JavaScript as shipped: {size / 1000:.1f} kB")


def report_start(context: BrowserContext, server: Server, pairs: int) -> None:
    started: list[tuple[float, float]] = []
    for i in range(pairs + 1):
        first = i % 2 == 0  # whoever goes second meets another cache and another moment
        one, other = start_ms(context, server, first), start_ms(context, server, not first)
        started.append((one, other) if first else (other, one))
    differences = [ours - bare for ours, bare in started[1:]]
    low, middle, high = statistics.quantiles(differences, n=4)
    print(
        f"Lab's start, {pairs} pairs: {statistics.median(bare for _, bare in started[1:]):.0f} ms without, with it "
        f"{middle:+.0f} ms (middle half {low:+.0f} to {high:+.0f})"
    )


def start_ms(context: BrowserContext, server: Server, with_extension: bool) -> float:
    page = context.new_page()
    page.add_init_script(f"({NOTE_START})()")
    page.route(re.compile(r"/lab/tree/\?"), lambda route: told_of(route, with_extension))
    page.goto(server.url(""))
    page.wait_for_function("() => window.restoredAt !== undefined", timeout=PATIENCE_MS)
    milliseconds = float(page.evaluate("() => window.restoredAt"))
    is_there = page.evaluate("() => window.jupyterapp.commands.hasCommand('nbtune:show-panel')")
    assert is_there == with_extension
    page.close()
    return milliseconds


def told_of(route: Route, with_extension: bool) -> None:
    """Hand the page on; without the extension if so wanted."""
    response = route.fetch()
    text = response.text()
    found = re.search(r'(<script id="jupyter-config-data"[^>]*>)(.*?)(</script>)', text, re.DOTALL)
    assert found is not None
    config = json.loads(found[2])
    if not with_extension:
        named = config["federated_extensions"]
        config["federated_extensions"] = [extension for extension in named if extension["name"] != "nbtune"]
        assert len(config["federated_extensions"]) == len(named) - 1
    route.fulfill(response=response, body=text[: found.start(2)] + json.dumps(config) + text[found.end(2) :])


def report_kernel(notebook: Notebook) -> None:
    notebook.server.write("cost.ipynb", WITHOUT, SETUP, WITH, SWEEP, STOPPED)
    notebook.open("cost.ipynb")
    notebook.command("nbtune:show-panel")
    bare, bare_process, _ = printed(notebook, 0)
    notebook.run(1)
    notebook.page.get_by_text("this kernel now").wait_for(timeout=PATIENCE_MS)
    seconds, process, thread = printed(notebook, 2)
    share, bare_share = process / seconds, bare_process / bare
    print(
        f"kernel's side, a cell sleeps for {SECONDS} s: the monitor's thread {thread / seconds:.2%} of a core, "
        f"the process {share - bare_share:.2%} more than without nbtune ({bare_share:.2%})"
    )
    seconds, thread = printed(notebook, 3)
    print(f"kernel's side, a sweep of {seconds:.0f} s: the monitor's thread {thread / seconds:.2%} of a core")


def printed(notebook: Notebook, index: int) -> list[float]:
    """What a long cell printed, as JSON."""
    notebook.run(index, wait=False)
    cell = "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs.length > 0"
    notebook.page.wait_for_function(cell, arg=index, timeout=10 * 1000 * SECONDS)
    notebook.wait_until_idle()
    return [float(number) for number in json.loads(notebook.output(index))]


def report_stops(page: Page) -> None:
    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 4; }")
    page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-cell'); }")
    taken: list[float] = []
    for _ in range(STOPS):
        page.wait_for_function("() => document.querySelector('.nbtune-lab-stop:enabled')", timeout=PATIENCE_MS)
        page.wait_for_timeout(700)
        taken.append(float(page.evaluate(STOP)))
    print(
        f"Stop, from the click to the job gone, {STOPS} times: median {statistics.median(taken):.0f} ms, "
        f"most {max(taken):.0f} ms"
    )


if __name__ == "__main__":
    main()
