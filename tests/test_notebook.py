"""The tutorials run from top to bottom unattended, and say what their text says."""

from __future__ import annotations

import re
from functools import cache

import nbformat
import pytest
from nbclient import NotebookClient
from repository import kept_tutorials

KEPT = kept_tutorials()


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


@cache
def executed(name: str, more: str = "") -> nbformat.NotebookNode:
    """The notebook, as git keeps it, after a run of its own kernel; once for all tests."""
    notebook = nbformat.reads(KEPT[name], as_version=4)
    if more:
        notebook.cells.append(nbformat.v4.new_code_cell(more))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


@pytest.fixture
def learning_rate() -> nbformat.NotebookNode:
    return executed("01_learning_rate.ipynb", MARKS)


@pytest.fixture
def batch_size() -> nbformat.NotebookNode:
    return executed("02_batch_size.ipynb")


@pytest.fixture
def sgd_or_mini_batch() -> nbformat.NotebookNode:
    return executed("03_sgd_or_mini_batch.ipynb")


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.get("text", "") for o in outputs(notebook))


def has_picture_beside(words: str, notebook: nbformat.NotebookNode) -> bool:
    shown = [o.data for o in outputs(notebook) if words in str(o.get("data", ""))]
    return any("image/png" in data for data in shown)


@pytest.mark.parametrize("name", KEPT)
def test_a_tutorial_is_kept_without_outputs(name: str) -> None:
    notebook = nbformat.reads(KEPT[name], as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)


@pytest.mark.slow
def test_the_suggested_rate_trains_and_thirty_times_less_or_more_does_not(learning_rate: nbformat.NotebookNode) -> None:
    right = {
        name.strip(): int(share)
        for name, share in re.findall(r"([\w× ]+): η.*?(\d+)% of the held-out", printed(learning_rate))
    }
    assert right["suggested"] > 85
    assert right["30× too small"] < right["suggested"]
    assert right["30× too large"] < 30
    assert re.search(r"30× too large: .* 1 different answer", printed(learning_rate))


@pytest.mark.slow
def test_the_weights_change_by_more_than_themselves_at_a_large_eta(learning_rate: nbformat.NotebookNode) -> None:
    shares = [float(share) for share in re.findall(r"([\d.]+)%\s+[\d.]+ →", printed(learning_rate))]
    assert shares == sorted(shares)
    assert shares[0] < 1
    assert shares[-1] > 100


@pytest.mark.slow
def test_the_finder_leaves_the_readers_model_alone(learning_rate: nbformat.NotebookNode) -> None:
    assert "weights untouched: True" in printed(learning_rate)
    assert "learning rate untouched: 0.001" in printed(learning_rate)


@pytest.mark.slow
def test_the_search_over_batch_sizes_has_its_picture_and_an_answer_for_each(
    learning_rate: nbformat.NotebookNode,
) -> None:
    assert has_picture_beside("Suggested: ", learning_rate)
    shown = next(str(o.data) for o in outputs(learning_rate) if "LRByBatchSize(" in str(o.get("data", "")))
    assert re.search(r"\{8: [\d.]+, 32: [\d.]+, 128: [\d.]+\}", shown)


@pytest.mark.slow
def test_the_widgets_output_holds_the_picture_and_the_sentence(learning_rate: nbformat.NotebookNode) -> None:
    assert has_picture_beside("Use η", learning_rate)


DESCRIBED = {
    r"every line is one rate": "race course leader", "those that end in ×": "race course crosses",
    r"dots are those that reached": "race scores alive", "× those that left": "race scores crosses",
    "triangles at the upper edge": "race scores off", "green line": "race scores suggestion",
    "shaded band": "race scores band", "short green mark": "race scores peak", "usable range": "sweep band",
    "hatched part": "sweep hatch", "one curve per": "sizes curves line_middle",
    "bars are the ranges": "sizes moves range_low",
}  # fmt: skip
"""Words of the first tutorial → the mark of its own pictures that they are about. What is drawn only sometimes, the
text says with "where"."""


@pytest.mark.slow
def test_the_first_tutorial_describes_marks_that_its_pictures_have(learning_rate: nbformat.NotebookNode) -> None:
    text = " ".join(" ".join(cell.source.split()) for cell in learning_rate.cells if cell.cell_type == "markdown")
    drawn = set(re.findall(r"drawn: (.*)", printed(learning_rate)))
    assert [words for words in DESCRIBED if words not in text] == []
    assert {words: mark for words, mark in DESCRIBED.items() if mark not in drawn} == {}
    assert "where they stayed to the end too, a dashed curve" in text and "dash-dotted line, where it lies" in text


@pytest.mark.slow
def test_the_division_suggests_8192_and_what_really_fits_is_8_32_and_128(batch_size: nbformat.NotebookNode) -> None:
    assert "8 GB card ÷ 1 MB images = 8,192 samples" in printed(batch_size)
    fits = re.findall(r"(\d+)² .*k = (\d+) is the largest power of two", printed(batch_size))
    assert dict(fits) == {"512": "8", "256": "32", "128": "128"}


@pytest.mark.slow
def test_the_grid_the_halving_and_the_estimate_agree_with_the_first_table(batch_size: nbformat.NotebookNode) -> None:
    rows = dict(re.findall(r"^ *(\d+)²: k = (\d+)$", printed(batch_size), re.MULTILINE))
    assert (rows["512"], rows["256"], rows["128"]) == ("8", "32", "128")
    assert re.search(r"halving: +7 trials, 6 out-of-memory errors, k = 8\n", printed(batch_size))
    assert re.search(r"estimate: +0 trials, 0 out-of-memory errors, k = 8\n", printed(batch_size))


@pytest.mark.slow
def test_the_parts_of_the_memory_sum_to_the_whole(batch_size: nbformat.NotebookNode) -> None:
    table = printed(batch_size).partition("at 128², MiB\n")[2]
    rows = {
        name.strip(): float(size.replace("\u202f", ""))
        for name, size in re.findall(r"^ *([a-z ]+?) +([\d\u202f.]+)$", table, re.MULTILINE)
    }
    whole = rows.pop("in all")
    assert {"activations", "the rest"} < set(rows) and sum(rows.values()) == pytest.approx(whole, abs=5)


@pytest.mark.slow
def test_activations_outweigh_parameters_and_dense_layers_have_few_of_them(batch_size: nbformat.NotebookNode) -> None:
    outweigh = re.search(r"activations outweigh parameters (\d+)×", printed(batch_size))
    dense = re.search(r"dense layers hold ([\d.]+)% of the parameters", printed(batch_size))
    assert outweigh is not None and int(outweigh[1]) > 100
    assert dense is not None and float(dense[1]) < 1


@pytest.mark.slow
def test_one_image_works_until_the_last_maps_are_one_pixel(batch_size: nbformat.NotebookNode) -> None:
    outcomes = dict(re.findall(r"(\d+)²: .* k = 1 (works|fails)", printed(batch_size)))
    assert outcomes == {"512": "works", "128": "works", "32": "fails"}
    assert "k = 1: BatchNorm needs more than one value per channel\nk = 2: " in printed(batch_size)


@pytest.mark.slow
def test_half_precision_and_checkpointing_make_room(batch_size: nbformat.NotebookNode) -> None:
    counts = re.findall(r"^ *([a-z ]+): +(\d+) fit; k = \d+ as", printed(batch_size), re.MULTILINE)
    neither, half, recomputed, both = (int(count) for _, count in counts)
    assert neither < recomputed < both
    assert neither < half < both


@pytest.mark.slow
def test_the_three_probers_leave_pictures_and_sentences(batch_size: nbformat.NotebookNode) -> None:
    for words in ("k = 128 is the largest", "halving the image side lets k grow", "played, 7 trials"):
        assert has_picture_beside(words, batch_size)


def numbers(pattern: str, notebook: nbformat.NotebookNode) -> list[float]:
    found = re.search(pattern, printed(notebook))
    assert found is not None, pattern
    return [float(group.replace(",", "")) for group in found.groups()]


@pytest.mark.slow
def test_descent_settles_below_the_limit_and_flies_off_above(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    ends = re.findall(r"η = (\d\.\d+) × 2/λmax: loss +([\d.]+) → ([\d.e+-]+)", printed(sgd_or_mini_batch))
    assert len(ends) == 4
    for share, before, after in ends:
        assert (float(after) < 0.01 * float(before)) == (float(share) < 1)


@pytest.mark.slow
def test_sgd_and_mini_batches_of_one_give_identical_weights(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    assert "SGD and mini-batch with k = 1, identical weights: True" in printed(sgd_or_mini_batch)
    assert numbers(r"moved by up to ([\d.]+)", sgd_or_mini_batch)[0] > 0.1
    assert numbers(r"8 samples differ by ([\d.e-]+)", sgd_or_mini_batch)[0] < 1e-6


@pytest.mark.slow
def test_one_sample_at_a_time_learns_as_well_and_its_time_is_told(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    assert numbers(r"an epoch at k = 1 takes up to (\d+)×", sgd_or_mini_batch)[0] > 0
    single, eight = (numbers(rf"k = +{k}: +[\d.]+ ms.*held-out loss ([\d.]+)", sgd_or_mini_batch)[0] for k in (1, 8))
    assert single < 1.5 * eight < 1


@pytest.mark.slow
def test_one_rate_does_not_suit_all_batch_sizes(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    losses = r"η = {} for all: ([\d.]+) at k = 1, ([\d.]+) at k = 8"
    small_single, small_eight = numbers(losses.format("0.01"), sgd_or_mini_batch)
    large_single, large_eight = numbers(losses.format("0.2"), sgd_or_mini_batch)
    assert small_single < 0.5 * small_eight and large_eight < 0.5 * large_single


@pytest.mark.slow
def test_batch_norm_makes_one_sample_impossible_and_two_bad(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    before, _, after = printed(sgd_or_mini_batch).partition("with BatchNorm\n")
    assert "BatchNorm needs more than one sample." in after.partition("k =  2")[0]
    without = before.partition("without BatchNorm\n")[2] or before
    losses = [float(re.findall(r"k =  2: held-out loss +([\d.]+)", text)[-1]) for text in (without, after)]
    assert losses[1] > 1.5 * losses[0]


@pytest.mark.slow
def test_the_rate_matters_more_than_the_batch_size(sgd_or_mini_batch: nbformat.NotebookNode) -> None:
    over_k, over_lr = numbers(r"64× in k: ([\d.]+)×; over 64× in η: ([\d.]+)×", sgd_or_mini_batch)
    assert over_lr > 2 * over_k
    assert numbers(r"in section 3: ([\d.]+) after", sgd_or_mini_batch)[0] < 1.5


@pytest.mark.slow
def test_the_time_of_a_pass_and_of_a_step_is_told_and_the_comparison_drawn(
    sgd_or_mini_batch: nbformat.NotebookNode,
) -> None:
    # How large these are is for tests/benchmarks/tutorial_times.py: a machine that does something else decides it here.
    assert numbers(r"one pass at k = 1 takes (\d+)×", sgd_or_mini_batch)[0] > 0
    assert numbers(r"a step on 256 samples takes ([\d.]+)×", sgd_or_mini_batch)[0] > 0
    assert has_picture_beside("reaches loss", sgd_or_mini_batch) and has_picture_beside("2/λmax", sgd_or_mini_batch)
    assert "weights untouched: True" in printed(sgd_or_mini_batch)
