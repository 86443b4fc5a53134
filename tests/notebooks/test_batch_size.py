"""The second tutorial says what its text says."""

from __future__ import annotations

import re

import nbformat
import pytest
from executed import executed, has_picture_beside, printed, tutorial

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def batch_size() -> nbformat.NotebookNode:
    return executed(notebook=tutorial("02_batch_size.ipynb"))


def test_the_division_suggests_8192_and_what_really_fits_is_8_32_and_128(batch_size: nbformat.NotebookNode) -> None:
    assert "8 GB card ÷ 1 MB images = 8,192 samples" in printed(batch_size)
    fits = re.findall(r"(\d+)² .*k = (\d+) is the largest power of two", printed(batch_size))
    assert dict(fits) == {"512": "8", "256": "32", "128": "128"}


def test_the_grid_the_halving_and_the_estimate_agree_with_the_first_table(batch_size: nbformat.NotebookNode) -> None:
    rows = dict(re.findall(r"^ *(\d+)²: k = (\d+)$", printed(batch_size), re.MULTILINE))
    assert (rows["512"], rows["256"], rows["128"]) == ("8", "32", "128")
    assert re.search(r"halving: +7 trials, 6 out-of-memory errors, k = 8\n", printed(batch_size))
    assert re.search(r"estimate: +0 trials, 0 out-of-memory errors, k = 8\n", printed(batch_size))


def test_the_parts_of_the_memory_sum_to_the_whole(batch_size: nbformat.NotebookNode) -> None:
    table = printed(batch_size).partition("at 128², MiB\n")[2]
    rows = {
        name.strip(): float(size.replace("\u202f", ""))
        for name, size in re.findall(r"^ *([a-z ]+?) +([\d\u202f.]+)$", table, re.MULTILINE)
    }
    whole = rows.pop("in all")
    assert {"activations", "the rest"} < set(rows) and sum(rows.values()) == pytest.approx(whole, abs=5)


def test_activations_outweigh_parameters_and_dense_layers_have_few_of_them(batch_size: nbformat.NotebookNode) -> None:
    outweigh = re.search(r"activations outweigh parameters (\d+)×", printed(batch_size))
    dense = re.search(r"dense layers hold ([\d.]+)% of the parameters", printed(batch_size))
    assert outweigh is not None and int(outweigh[1]) > 100
    assert dense is not None and float(dense[1]) < 1


def test_one_image_works_until_the_last_maps_are_one_pixel(batch_size: nbformat.NotebookNode) -> None:
    outcomes = dict(re.findall(r"(\d+)²: .* k = 1 (works|fails)", printed(batch_size)))
    assert outcomes == {"512": "works", "128": "works", "32": "fails"}
    assert "k = 1: BatchNorm needs more than one value per channel\nk = 2: " in printed(batch_size)


def test_half_precision_and_checkpointing_make_room(batch_size: nbformat.NotebookNode) -> None:
    counts = re.findall(r"^ *([a-z ]+): +(\d+) fit; k = \d+ as", printed(batch_size), re.MULTILINE)
    neither, half, recomputed, both = (int(count) for _, count in counts)
    assert neither < recomputed < both
    assert neither < half < both


def test_the_three_probers_leave_pictures_and_sentences(batch_size: nbformat.NotebookNode) -> None:
    for words in ("k = 128 is the largest", "halving the image side lets k grow", "played, 7 trials"):
        assert has_picture_beside(words, batch_size)
