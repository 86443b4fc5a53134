"""The first tutorial says what its text says."""

from __future__ import annotations

import re

import nbformat
import pytest
from executed import executed, has_picture_beside, outputs, printed, tutorial

pytestmark = pytest.mark.slow

MARKS = """
from nbtune.plots.learning_rate.by_size.view import by_size_view as _by_size
from nbtune.plots.learning_rate.race.view import race_view as _race
from nbtune.plots.learning_rate.sweep.view import lr_view as _sweep
for _name, _view in {
    **{f"race {k}": v for k, v in _race(curve).items()}, "sweep": _sweep(sweep),
    **{f"sizes {k}": v for k, v in _by_size(moves).items()},
}.items():
    for _source, _columns in _view.columns.items():
        if len(next(iter(_columns.values()))):
            print(f"drawn: {_name} {_source}")
"""
"""A cell after the last of the first tutorial: which marks its three pictures have."""


@pytest.fixture(scope="module")
def learning_rate() -> nbformat.NotebookNode:
    return executed(MARKS, notebook=tutorial("01_learning_rate.ipynb"))


def test_the_suggested_rate_trains_and_thirty_times_less_or_more_does_not(learning_rate: nbformat.NotebookNode) -> None:
    right = {
        name.strip(): int(share)
        for name, share in re.findall(r"([\w× ]+): η.*?(\d+)% of the held-out", printed(learning_rate))
    }
    assert right["suggested"] > 85
    assert right["30× too small"] < right["suggested"]
    assert right["30× too large"] < 30
    assert re.search(r"30× too large: .* 1 different answer", printed(learning_rate))


def test_the_weights_change_by_more_than_themselves_at_a_large_eta(learning_rate: nbformat.NotebookNode) -> None:
    shares = [float(share) for share in re.findall(r"([\d.]+)%\s+[\d.]+ →", printed(learning_rate))]
    assert shares == sorted(shares)
    assert shares[0] < 1
    assert shares[-1] > 100


def test_the_finder_leaves_the_readers_model_alone(learning_rate: nbformat.NotebookNode) -> None:
    assert "weights untouched: True" in printed(learning_rate)
    assert "learning rate untouched: 0.001" in printed(learning_rate)


def test_the_search_over_batch_sizes_has_its_picture_and_an_answer_for_each(
    learning_rate: nbformat.NotebookNode,
) -> None:
    assert has_picture_beside("Suggested: ", learning_rate)
    shown = next(str(o.data) for o in outputs(learning_rate) if "LRByBatchSize(" in str(o.get("data", "")))
    assert re.search(r"\{8: [\d.]+, 32: [\d.]+, 128: [\d.]+\}", shown)


def test_the_widgets_output_holds_the_picture_and_the_sentence(learning_rate: nbformat.NotebookNode) -> None:
    assert has_picture_beside("Use η", learning_rate)


DESCRIBED = {
    "every line is one rate": "race course leader", "ends in a short tick": "race course lost_ends",
    "each line runs into its row": "race standings links", "grey curves": "race scores past",
    "the black one": "race scores valley", "strip below the right plot": "race scores strip",
    "Triangles at the upper edge": "race scores off", "green line": "race scores suggestion",
    "shaded band": "race scores band", "small green triangle": "race scores peak", "usable range": "sweep band",
    "hatched part": "sweep hatch", "one curve per": "sizes curves line_middle",
    "bars are the ranges": "sizes moves range_low",
}  # fmt: skip
"""Words of the first tutorial → the mark of its own pictures that they are about. What is drawn only sometimes, the
text says with "where"."""


def test_the_first_tutorial_describes_marks_that_its_pictures_have(learning_rate: nbformat.NotebookNode) -> None:
    text = " ".join(" ".join(cell.source.split()) for cell in learning_rate.cells if cell.cell_type == "markdown")
    drawn = set(re.findall(r"drawn: (.*)", printed(learning_rate)))
    assert [words for words in DESCRIBED if words not in text] == []
    assert {words: mark for words, mark in DESCRIBED.items() if mark not in drawn} == {}
    assert "A whisker, where a dot has one" in text and "stability limit*, where it lies" in text
