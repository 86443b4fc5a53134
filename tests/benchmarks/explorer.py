"""How soon the descent explorer follows the slider, in a real JupyterLab. Prints a table. Needs Chromium.

    python tests/benchmarks/explorer.py

- The slider is dragged through 150 positions and back, at about 60 a second; then an arrow key is held for 150 more.
  From each input event to the end of the frame in which BokehJS painted that η or a later one, which is the one after
  it was given the data. The browser waits for the kernel's answer before it tells the next value.
- What a change takes in the kernel, from the message to the last trait sent, and the bytes sent.
- Another surface: all three contours and the strip.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from conftest import ARGUMENTS, BROWSERS, Notebook, Server, shutil

POSITIONS = 150
SETUP = """
import json, time
from nbtune.widgets import DescentExplorer
explorer = DescentExplorer()
seconds, handle = [], explorer._clicked_set
def timed(content):
    begun = time.perf_counter()
    handle(content)
    seconds.append(time.perf_counter() - begun)
explorer._clicked_set = timed
explorer
"""
KERNEL = """
sent = sum(
    len(column) if isinstance(column, bytes) else len(json.dumps(column))
    for name in ("yours", "strip") for source in explorer.plots[name].data["columns"].values()
    for column in source.values()
)
print(json.dumps({"seconds": seconds, "bytes": sent}))
"""
# Notes when a hand moved, and when each plot's label, which names η, was drawn and painted.
WATCH = """() => {
    window.moved = [];
    window.drawn = [];
    const place = (block) => document.querySelector(`[data-block=${block}] [data-sequence]`);
    document.querySelector(".nbtune-panel").addEventListener("input", ({ target: { name, value } }) => {
        window.moved.push([performance.now(), name, value]);
    }, true);
    new MutationObserver(() => {
        const label = place("yours").getAttribute("aria-label");
        const done = () => window.drawn.push([performance.now(), label.match(/η = ([^ ]+)/)[1]]);
        requestAnimationFrame(() => setTimeout(done)); // BokehJS asked for that frame before
    }).observe(place("yours"), { attributes: true, attributeFilter: ["data-sequence"] });
}"""


def main() -> None:
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        server = Server("lab", Path(folder))
        try:
            notebook = Notebook(browser.new_page(viewport={"width": 1000, "height": 1000}), server)
            opened(notebook)
            for name, move in (("dragged", drag), ("arrow key held", hold_arrow), ("another surface", choose_surfaces)):
                report(name, *measured(notebook.page, move))
            notebook.run(1)
            report_kernel(json.loads(notebook.output(1)))
        finally:
            server.close()
            browser.close()


def opened(notebook: Notebook) -> None:
    notebook.server.write("explorer.ipynb", SETUP, KERNEL)
    notebook.open("explorer.ipynb")
    notebook.run(0)
    notebook.wait("() => document.querySelectorAll('.nbtune-panel [data-sequence]').length === 4")
    notebook.page.evaluate(WATCH)


def drag(page: Page) -> None:
    box = page.locator("input[name=lr-slider]").bounding_box()
    assert box is not None
    y, left, right = box["y"] + box["height"] / 2, box["x"] + 10, box["x"] + box["width"] - 10
    page.mouse.move(right, y)
    page.mouse.down()
    for i in range(2 * POSITIONS):
        share = 1 - abs(1 - i / POSITIONS)
        page.mouse.move(right + share * (left - right), y)
        page.wait_for_timeout(16)
    page.mouse.up()


def hold_arrow(page: Page) -> None:
    page.locator("input[name=lr-slider]").focus()
    for _ in range(POSITIONS):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(33)


def choose_surfaces(page: Page) -> None:
    for surface in ("bowl", "two minima", "narrow valley") * 5:
        page.locator("select[name=surface]").select_option(surface)
        page.wait_for_timeout(400)


def measured(page: Page, move: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    """[time, field, value] of each input event and [time, η] of each drawing, ms."""
    page.evaluate("() => { window.moved = []; window.drawn = []; }")
    move(page)
    page.wait_for_timeout(1000)
    return page.evaluate("() => window.moved"), page.evaluate("() => window.drawn")


def report(name: str, moved: list[list[Any]], drawn: list[list[Any]]) -> None:
    shown = [(at, shown_by(at, float(lr), moved)) for at, lr in drawn]
    lags = sorted(
        next(at for at, last in shown if last >= i) - begun
        for i, (begun, *_) in enumerate(moved)
        if any(last >= i for _, last in shown)
    )
    print(
        f"{name}: {len(moved)} input events, {len(drawn)} drawings; from the event to the picture "
        f"p50 {lags[len(lags) // 2]:.0f} ms, p95 {lags[int(0.95 * len(lags))]:.0f} ms, most {lags[-1]:.0f} ms"
    )


def shown_by(at: float, lr: float, moved: list[list[Any]]) -> int:
    """The last event before a drawing that asked for what it shows; a surface brings an η of its own."""
    asked = (
        i for i, (begun, name, value) in enumerate(moved)
        if begun < at and (name == "surface" or abs(float(value) - lr) < 1e-9)
    )  # fmt: skip
    return max(asked, default=-1)


def report_kernel(found: dict[str, Any]) -> None:
    times = sorted(found["seconds"])
    print(
        f"kernel, {len(times)} changes: p50 {1e3 * times[len(times) // 2]:.1f} ms, "
        f"p95 {1e3 * times[int(0.95 * len(times))]:.1f} ms; {found['bytes'] / 1024:.1f} KiB of columns a change"
    )


if __name__ == "__main__":
    main()
