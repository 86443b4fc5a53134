"""A progress bar in a notebook is a line of the cell's output, and leaves nothing behind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import tqdm
from executed import executed
from tasks import plain_task

import nbtune as nt
from nbtune.cell_line import CellLine

CALLS = {
    "find_lr": lambda **how: nt.find_lr(plain_task(), **how),
    "find_batch_size": lambda **how: nt.find_batch_size(plain_task(), capacity="8 GB", measure_seconds=0, **how),
    "compare_batch_sizes": lambda **how: nt.compare_batch_sizes(plain_task(), [4, 8], budget="20 updates", **how),
}


class Cell:
    """Notes what a cell shows: display ids and what stands there last."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], **how: Any) -> Cell:
        assert how == {"raw": True, "display_id": True} and not self.shown  # one output, which is updated
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], **how: Any) -> None:
        assert how == {"raw": True} and self.shown
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    noted = Cell()
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setattr("IPython.display.display", noted.display)
    return noted


@pytest.mark.parametrize("call", CALLS)
def test_a_bar_is_one_output_that_ends_empty_and_nothing_is_on_stderr(
    call: str, cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    CALLS[call](progress=True)
    assert capsys.readouterr() == ("", "")
    assert cell.shown[-1] == {} and all(bundle["text/plain"] for bundle in cell.shown[:-1])
    assert not any("\r" in text for bundle in cell.shown for text in bundle.values())


@pytest.mark.parametrize("call", CALLS)
def test_a_bar_in_a_notebook_is_drawn_with_blocks(call: str, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[tqdm.tqdm[Any]] = []
    monkeypatch.setattr(tqdm, "tqdm", lambda **how: bars.append(tqdm.std.tqdm(**how, mininterval=0)) or bars[-1])
    CALLS[call](progress=True)
    drawn = "".join(text for bundle in cell.shown for text in bundle.values())
    assert [bar.ascii for bar in bars] == [False] and "#" not in drawn
    assert "█" in drawn or call == "find_batch_size"  # which counts, and has no end to go to


def test_an_error_takes_it_away_as_well(cell: Cell) -> None:
    task = plain_task(loss_fn=lambda output, target: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        nt.find_lr(task)
    assert cell.shown[-1] == {}


@pytest.mark.parametrize("call", CALLS)
def test_without_a_bar_there_is_no_output(call: str, cell: Cell) -> None:
    CALLS[call](progress=False)
    assert cell.shown == []


def test_in_a_terminal_it_stays_on_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace())  # IPython without a kernel
    assert CellLine.here() is None
    nt.find_lr(plain_task())
    assert "learning rate" in capsys.readouterr().err


@pytest.mark.slow
def test_a_saved_notebook_keeps_nothing_of_it() -> None:
    code = (
        "import nbtune as nt\nfrom torch import nn, optim, randn, zeros\nmodel = nn.Linear(4, 2)\n"
        "task = nt.Task(model, optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, "
        "(randn(96, 4), zeros(96).long()))\nnt.find_lr(task)\nprint('done')"
    )
    notebook = executed(code)
    line, printed = notebook.cells[0].outputs
    assert line.output_type == "display_data" and line.data == {} and printed.text == "done\n"
    nbformat.validate(notebook)
