"""What the live plot costs and how far it lags, in a real JupyterLab. Prints a table. Needs Chromium.

    python tests/benchmarks/live.py

- 2,000 steps flat out: from the last step to the browser having drawn every point; the counts of the label, of Python
  and of the BokehJS model; from each step's loss to the frame after its point was drawn (wall clocks of one machine).
- The same at steps of 10 ms.
- Processor time of the kernel with the widget on screen, less that of a headless call with the same steps, as a part
  of the run's time, without the picture that is drawn once after the run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from conftest import ARGUMENTS, BROWSERS, Notebook, Server, shutil

SETUP = """
import json, time, torch
from torch import nn
import nbtune as nt
torch.set_num_threads(1)
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
data = torch.randn(3200, 8), torch.randint(0, 2, (3200,))
times = []
def loss_fn(output, target):
    if pause:
        time.sleep(pause)
    times.append(time.time())
    return nn.functional.cross_entropy(output, target)
task = nt.Task(model, torch.optim.SGD(model.parameters(), 0.1), loss_fn, data)
calm = nt.LRSettings(mode="quick", lr_min=1e-7, lr_max=1e-5, steps={steps}, curvature=False)
race = nt.LRSettings(curvature=False)
pause = {pause}
"""
COST = """
import asyncio
spent = {"sweep": {"headless": [], "live": []}, "race": {"headless": [], "live": []}}
for name, shown, settings in (("sweep", finder, calm), ("race", racer, race)):
    for _ in range(3):
        begun, cpu = time.time(), time.process_time()
        nt.find_lr(task, settings, progress=False)
        spent[name]["headless"].append(((time.process_time() - cpu), time.time() - begun))
        begun, cpu = time.time(), time.process_time()
        shown.start()
        while shown.state != "done":  # the picture for the saved notebook comes after it, once
            await asyncio.sleep(0.1)
        spent[name]["live"].append(((time.process_time() - cpu), time.time() - begun))
        await shown
print(json.dumps(spent))
"""
# Notes, for every count of points the view shows, the wall clock of the frame after it was drawn.
WATCH = """() => {
    const plot = document.querySelector("[data-points]");
    window.drawn = [];
    new MutationObserver(() => {
        const points = +plot.dataset.points;
        requestAnimationFrame(() => window.drawn.push([points, Date.now() / 1000]));
    }).observe(plot, { attributes: true, attributeFilter: ["data-points"] });
}"""


def main() -> None:
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        server = Server("lab", Path(folder))
        try:
            for steps, pause in ((2000, 0.0), (400, 0.01)):
                notebook = Notebook(browser.new_page(viewport={"width": 1000, "height": 1200}), server)
                report(steps, pause, *streamed(notebook, steps, pause))
            for name, share in cost(notebook).items():
                print(f"kernel's processor time for the live plot of a {name}: {share:.1%} of the run's time")
        finally:
            server.close()
            browser.close()


def streamed(notebook: Notebook, steps: int, pause: float) -> tuple[list[float], list[list[float]], str]:
    """Wall clock of each step, [points, wall clock] of each drawing, and the progress label."""
    name = f"live_{steps}.ipynb"
    show = "finder = nt.LRFinder(task, calm)\nfinder"
    race = "racer = nt.LRFinder(task, race)\nracer"
    notebook.server.write(name, SETUP.format(steps=steps, pause=pause), show, "print(json.dumps(times))", race, COST)
    notebook.open(name)
    notebook.run(0)
    notebook.run(1)
    notebook.wait("() => document.querySelector('[data-points]') !== null")
    notebook.page.evaluate(WATCH)
    notebook.panel().locator(".nbtune-run").click()
    notebook.wait_for_state("done")
    notebook.wait_for_points(steps)
    notebook.run(2)
    return json.loads(notebook.output(2)), notebook.page.evaluate("() => window.drawn"), notebook.panel().inner_text()


def report(steps: int, pause: float, times: list[float], drawn: list[list[float]], label: str) -> None:
    lags = sorted(next(at for points, at in drawn if points > i) - time for i, time in enumerate(times))
    counts = f"label {'agrees' if f'{steps} of {steps} steps' in label else 'DIFFERS'}, Python {len(times)}"
    print(
        f"{steps} steps {'flat out' if not pause else f'of {1e3 * pause:.0f} ms'}, {times[-1] - times[0]:.2f} s: "
        f"caught up {drawn[-1][1] - times[-1]:.3f} s after the last; "
        f"step to pixel p50 {1e3 * lags[len(lags) // 2]:.0f} ms, "
        f"p95 {1e3 * lags[int(0.95 * len(lags))]:.0f} ms; {len(drawn)} drawings; {counts}, BokehJS {drawn[-1][0]:.0f}"
    )


def cost(notebook: Notebook) -> dict[str, float]:
    """Processor time the widget adds, as a part of the wall time; medians of three rounds, of a sweep and a race."""
    notebook.run(3)
    notebook.run(4)
    spent: dict[str, Any] = json.loads(notebook.output(4))
    return {name: _added(of) for name, of in spent.items()}


def _added(spent: dict[str, Any]) -> float:
    headless, live = (sorted(cpu / wall for cpu, wall in spent[kind])[1] for kind in ("headless", "live"))
    return live - headless


if __name__ == "__main__":
    main()
