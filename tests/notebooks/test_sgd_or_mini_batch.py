"""The third tutorial says what its text says."""

from __future__ import annotations

import re

import nbformat
import pytest
from executed import executed, has_picture_beside, printed, tutorial

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sgd_or_mini_batch() -> nbformat.NotebookNode:
    return executed(notebook=tutorial("03_sgd_or_mini_batch.ipynb"))


def numbers(pattern: str, notebook: nbformat.NotebookNode) -> list[float]:
    found = re.search(pattern, printed(notebook))
    assert found is not None, pattern
    return [float(group.replace(",", "")) for group in found.groups()]


def test_descent_settles_below_the_limit_and_flies_off_above(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    ends = re.findall(r"η = (\d\.\d+) × 2/λmax: loss +([\d.]+) → ([\d.e+-]+)", printed(sgd_or_mini_batch))
    assert len(ends) == 4
    for share, before, after in ends:
        assert (float(after) < 0.01 * float(before)) == (float(share) < 1)


def test_sgd_and_mini_batches_of_one_give_identical_weights(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    assert "SGD and mini-batch with k = 1, identical weights: True" in printed(sgd_or_mini_batch)
    assert numbers(r"moved by up to ([\d.]+)", sgd_or_mini_batch)[0] > 0.1
    assert numbers(r"8 samples differ by ([\d.e-]+)", sgd_or_mini_batch)[0] < 1e-6


def test_one_sample_at_a_time_learns_as_well_and_its_time_is_told(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    assert numbers(r"an epoch at k = 1 takes up to (\d+)×", sgd_or_mini_batch)[0] > 0
    single, eight = (numbers(rf"k = +{k}: +[\d.]+ ms.*held-out loss ([\d.]+)", sgd_or_mini_batch)[0] for k in (1, 8))
    assert single < 1.5 * eight < 1


def test_one_rate_does_not_suit_all_batch_sizes(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    losses = r"η = {} for all: ([\d.]+) at k = 1, ([\d.]+) at k = 8"
    small_single, small_eight = numbers(losses.format("0.01"), sgd_or_mini_batch)
    large_single, large_eight = numbers(losses.format("0.2"), sgd_or_mini_batch)
    assert small_single < 0.5 * small_eight and large_eight < 0.5 * large_single


def test_batch_norm_makes_one_sample_impossible_and_two_bad(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    before, _, after = printed(sgd_or_mini_batch).partition("with BatchNorm\n")
    assert "BatchNorm needs more than one sample." in after.partition("k =  2")[0]
    without = before.partition("without BatchNorm\n")[2] or before
    losses = [float(re.findall(r"k =  2: held-out loss +([\d.]+)", text)[-1]) for text in (without, after)]
    assert losses[1] > 1.5 * losses[0]


def test_the_rate_matters_more_than_the_batch_size(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    over_k, over_lr = numbers(r"64× in k: ([\d.]+)×; over 64× in η: ([\d.]+)×", sgd_or_mini_batch)
    assert over_lr > 2 * over_k
    assert numbers(r"in section 3: ([\d.]+) after", sgd_or_mini_batch)[0] < 1.5


def test_the_time_of_a_pass_and_of_a_step_is_told_and_the_comparison_drawn(
    sgd_or_mini_batch: nbformat.NotebookNode,
) -> None:
    # How large these are is for tests/benchmarks/tutorial_times.py: a machine that does something else decides it here.
    assert numbers(r"one pass at k = 1 takes (\d+)×", sgd_or_mini_batch)[0] > 0
    assert numbers(r"a step on 256 samples takes ([\d.]+)×", sgd_or_mini_batch)[0] > 0
    assert has_picture_beside("reaches loss", sgd_or_mini_batch) and has_picture_beside("2/λmax", sgd_or_mini_batch)
    assert "weights untouched: True" in printed(sgd_or_mini_batch)
