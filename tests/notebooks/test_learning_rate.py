"""The first tutorial says what its text says."""

from __future__ import annotations

import re

import nbformat
import pytest
from executed import executed, has_picture_beside, outputs, printed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learning_rate() -> nbformat.NotebookNode:
    return executed("01_learning_rate.ipynb")


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
