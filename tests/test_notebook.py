"""The tutorials run from top to bottom unattended, and say what their text says."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"


@pytest.fixture(scope="module")
def executed() -> nbformat.NotebookNode:
    notebook = nbformat.read(FOLDER / "01_learning_rate.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "".join(o.get("text", "") for o in outputs)


def test_the_tutorial_is_kept_without_outputs() -> None:
    notebook = nbformat.read(FOLDER / "01_learning_rate.ipynb", as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)


def test_the_suggested_rate_trains_and_thirty_times_less_or_more_does_not(executed: nbformat.NotebookNode) -> None:
    right = {
        name.strip(): int(share)
        for name, share in re.findall(r"([\w× ]+): η.*?(\d+)% of the held-out", printed(executed))
    }
    assert right["suggested"] > 85
    assert right["30× too small"] < right["suggested"]
    assert right["30× too large"] < 30
    assert re.search(r"30× too large: .* 1 different answer", printed(executed))


def test_the_weights_change_by_more_than_themselves_at_a_large_eta(executed: nbformat.NotebookNode) -> None:
    shares = [float(share) for share in re.findall(r"([\d.]+)%\s+[\d.]+ →", printed(executed))]
    assert shares == sorted(shares)
    assert shares[0] < 1
    assert shares[-1] > 100


def test_the_finder_leaves_the_readers_model_alone(executed: nbformat.NotebookNode) -> None:
    assert "weights untouched: True" in printed(executed)
    assert "learning rate untouched: 0.001" in printed(executed)


def test_the_widgets_output_holds_the_picture_and_the_sentence(executed: nbformat.NotebookNode) -> None:
    shown = [o.data for cell in executed.cells for o in cell.get("outputs", []) if "Use η" in str(o.get("data", ""))]
    assert any("image/png" in data for data in shown)
