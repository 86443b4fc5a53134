"""The descent explorer as a person meets it, in JupyterLab: by mouse, by keyboard, dark, narrow and after a reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Notebook
    from playwright.sync_api import Locator

pytestmark = pytest.mark.slow

SHOW = """
from nbtune.widgets import DescentExplorer
explorer = DescentExplorer()
explorer
"""
STATE = "print(explorer.settings.surface, explorer.settings.lr, explorer.settings.batch_size, explorer.result.outcome)"


def begun(lab: Notebook, name: str, *cells: str) -> None:
    lab.server.write(name, SHOW, *cells)
    lab.open(name)
    lab.run(0)
    wait_for_plots(lab)


def wait_for_plots(lab: Notebook) -> None:
    lab.wait("() => document.querySelectorAll('.nbtune-panel [data-sequence]').length === 4")


def slider(lab: Notebook) -> Locator:
    return lab.panel().locator("input[name=lr-slider]")


def wait_for_words(lab: Notebook, words: str) -> None:
    lab.wait(
        "t => document.querySelector('.nbtune-sentence').textContent.replaceAll('\\u00a0', ' ').includes(t)", words
    )


def wait_for_label(lab: Notebook, words: str, block: str = "yours") -> None:
    where = f"[data-block={block}] [data-sequence]"
    lab.wait("([w, t]) => document.querySelector(w).ariaLabel.includes(t)", [where, words])


@pytest.fixture
def console(lab: Notebook) -> list[str]:
    """What the page's console said of errors."""
    said: list[str] = []
    lab.page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    return said


def test_it_opens_with_three_paths_and_says_what_the_third_does(lab: Notebook, console: list[str]) -> None:
    begun(lab, "descent.ipynb")
    wait_for_words(lab, "η = 0.19 is above the limit 2/λmax = 0.167: each step jumps over the valley floor")
    wait_for_label(lab, "Path from (−4.3, 1.25). At η = 0.19 it leaves the picture at step 4.")
    assert lab.panel().get_by_text("good: η = 0.12, arrives").is_visible()
    assert lab.panel().locator(".nbtune-limit sub").inner_text() == "max"
    assert not lab.panel().get_by_role("radiogroup").count()
    assert console == []
    lab.picture("descent_open")


def test_a_drag_of_the_slider_ends_at_the_path_under_the_hand(lab: Notebook, console: list[str]) -> None:
    begun(lab, "drag.ipynb", STATE)
    box = slider(lab).bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    lab.page.mouse.move(box["x"] + box["width"] - 10, y)
    lab.page.mouse.down()
    for i in range(40):
        lab.page.mouse.move(box["x"] + (1 - i / 50) * (box["width"] - 20), y)
    lab.page.mouse.up()
    shown = slider(lab).input_value()
    assert float(shown) < 0.1
    wait_for_label(lab, f"At η = {shown} it ")
    wait_for_words(lab, f"η = {shown} is below the limit")
    lab.run(1)
    assert lab.output(1).split()[2] == shown and slider(lab).input_value() == shown
    assert console == []


def test_arrow_keys_move_the_slider_step_by_step_and_none_is_lost(lab: Notebook) -> None:
    begun(lab, "arrows.ipynb")
    slider(lab).focus()
    for _ in range(30):
        lab.page.keyboard.press("ArrowLeft")
    wait_for_words(lab, "η = 0.16 is below the limit")
    assert slider(lab).input_value() == "0.16" and lab.panel().locator("input[name=lr]").input_value() == "0.16"
    lab.page.keyboard.press("ArrowRight")
    wait_for_words(lab, "η = 0.161 is below the limit")
    assert slider(lab).evaluate("el => el === document.activeElement")


def test_step_is_pressed_and_held_by_keyboard(lab: Notebook) -> None:
    begun(lab, "step.ipynb")
    lab.panel().get_by_role("button", name="Reset").click()
    wait_for_words(lab, "At the start:")
    lab.picture("descent_reset")
    lab.panel().get_by_role("button", name="Step").focus()
    for taken, key in ((3, "Enter"), (6, "Space")):
        for _ in range(3):
            lab.page.keyboard.down(key)  # the second and third are repeats
        lab.page.keyboard.up(key)
        wait_for_words(lab, f"Step {taken} of 40:")
    wait_for_label(lab, f"after step {taken}.", "good")
    lab.picture("descent_step")


def test_every_surface_and_batch_size_is_drawn_and_the_focus_stays(lab: Notebook, console: list[str]) -> None:
    begun(lab, "surfaces.ipynb", STATE)
    surfaces, sizes = (lab.panel().locator(f"select[name={name}]") for name in ("surface", "batch_size"))
    surfaces.focus()
    lab.page.keyboard.press("ArrowDown")
    wait_for_words(lab, "it jumps into the other, flatter one (limit 0.54) and stays.")
    assert surfaces.evaluate("el => el === document.activeElement")
    assert slider(lab).get_attribute("max") == "0.6"
    lab.picture("descent_two_minima")
    sizes.select_option("1")
    lab.panel().locator("input[name=lr]").fill("0.3")
    lab.page.keyboard.press("Enter")
    wait_for_words(lab, "k = 1: the path wanders around the minimum")
    lab.picture("descent_noise")
    lab.run(1)
    assert lab.output(1).strip() == "two minima 0.3 1 wanders"
    assert console == []


def test_a_rate_that_is_none_is_refused_beside_the_picture(lab: Notebook) -> None:
    begun(lab, "refused.ipynb")
    lab.panel().locator("input[name=lr]").fill("fast")
    lab.page.keyboard.press("Enter")
    wait_for_words(lab, "Not drawn: η must be a number above 0, such as 0.1, not “fast”.")
    assert lab.panel().locator("[data-block=yours] [data-sequence]").is_visible()


def test_a_reload_shows_the_last_path_and_a_saved_notebook_its_picture(lab: Notebook) -> None:
    begun(lab, "reload.ipynb", STATE)
    lab.panel().locator("input[name=lr]").fill("0.05")
    lab.page.keyboard.press("Enter")
    wait_for_label(lab, "At η = 0.05 it arrives")
    lab.run(1)  # the reader goes elsewhere
    lab.wait("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON()).includes('image/png')")
    lab.command("docmanager:save")
    lab.open("reload.ipynb")
    wait_for_plots(lab)
    wait_for_label(lab, "At η = 0.05 it arrives")
    assert slider(lab).input_value() == "0.05"


def test_a_dark_page_recolours_all_four_plots(lab: Notebook) -> None:
    begun(lab, "dark_descent.ipynb")
    lab.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
    try:
        lab.wait("() => [...document.querySelectorAll('[data-sequence]')].every((el) => el.dataset.theme === 'dark')")
        lab.wait("() => document.querySelector('#jupyterlab-splash') === null")
        lab.picture("descent_dark")
    finally:
        lab.command("apputils:change-theme", {"theme": "JupyterLab Light"})  # the server keeps it for other tests


def test_a_narrow_page_shows_the_readers_path_first_and_keeps_the_slider(lab: Notebook) -> None:
    begun(lab, "narrow_descent.ipynb")
    lab.page.set_viewport_size({"width": 620, "height": 1600})
    lab.wait("() => document.querySelector('.nbtune-panel').clientWidth < 640")
    assert slider(lab).is_visible()
    place = {name: lab.panel().locator(f"[data-block={name}]").bounding_box() for name in ("small", "good", "yours")}
    assert place["yours"]["y"] < place["small"]["y"] == place["good"]["y"]
    assert place["good"]["x"] > place["small"]["x"] and place["yours"]["width"] > 1.8 * place["good"]["width"]
    lab.picture("descent_narrow")


def test_play_is_drawn_step_by_step_and_the_button_is_stop_meanwhile(lab: Notebook) -> None:
    begun(lab, "play.ipynb", "explorer.start()", "path = await explorer\nprint(len(path.steps))")
    lab.run(1)
    lab.panel().get_by_role("button", name="Stop").wait_for()
    wait_for_words(lab, "of 40:")
    lab.run(2)
    assert int(lab.output(2)) > 20
    lab.wait_for_state("done")
    wait_for_plots(lab)
    wait_for_words(lab, "η = 0.19 is above the limit")
