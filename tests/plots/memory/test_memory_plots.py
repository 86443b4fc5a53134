"""The figures, tables and pictures of memory: what each state of a search looks like, in columns and in words."""

from __future__ import annotations

import io
import re
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, GlyphRenderer
from memory_results import (
    GIB,
    LAYERS,
    MIB,
    MODULES,
    MemoryEstimate,
    Module,
    densenet,
    grid,
    limit_of,
    parts_of,
    trial_of,
)

from nbtune.engine.batch_size.limit import BatchLimit
from nbtune.engine.batch_size.settings import BatchSettings
from nbtune.engine.memory.parts import PARTS
from nbtune.plots import plot
from nbtune.plots.base.columns import View
from nbtune.plots.base.frame import fill
from nbtune.plots.base.labels import text_px
from nbtune.plots.base.scale import round_ticks
from nbtune.plots.base.sentence import words_of
from nbtune.plots.base.tokens import TOKENS
from nbtune.plots.memory import scene as memory_scene
from nbtune.plots.memory.bars import SOURCES, memory_figure, memory_view
from nbtune.plots.memory.labels import FRAME_WIDTHS, x_edges
from nbtune.plots.memory.layers import SOURCES as LAYER_SOURCES
from nbtune.plots.memory.layers import treemap_figure, treemap_view
from nbtune.plots.memory.picture import grid_png, layers_png, memory_png
from nbtune.plots.memory.rows import grid_rows, layer_rows, parts_rows
from nbtune.plots.memory.scene import FRAME_HEIGHT, MANTISSAS, sizes_of
from nbtune.plots.memory.speed import SOURCES as SPEED_SOURCES
from nbtune.plots.memory.speed import speed_figure, speed_view
from nbtune.plots.memory.treemap import HEIGHT, WIDTH, treemap
from nbtune.plots.memory.view import EDGES

OOM = {"fits": False, "peak_bytes": None}


def states() -> Iterator[BatchLimit]:
    yield densenet()
    yield densenet(0)
    yield densenet(128, capacity=int(6.4 * GIB))
    yield densenet(capacity=80 * GIB, capacity_name="A100 80")
    yield densenet(0, capacity=GIB // 2)
    yield densenet(8, capacity=None)
    yield limit_of([])
    yield limit_of([], capacity=None, capacity_name="")
    yield limit_of([trial_of(1, measured=True, parts=())])
    yield limit_of([trial_of(512, measured=True, predicted_bytes=None, parts=(), **OOM)])
    yield limit_of([trial_of(k, predicted_bytes=None, parts=(), **OOM) for k in (1, 2)], capacity=None)
    yield densenet(settings=BatchSettings(max_batch_size=100_000))
    yield densenet(settings=BatchSettings(max_batch_size=1))


def texts(view: View, prefix: str = "labels") -> list[str]:
    return [text for name, c in view.columns.items() if name.startswith(f"{prefix}_") for text in c["text"]]


def test_every_state_fills_exactly_the_promised_sources_with_doubles_or_strings() -> None:
    for limit in states():
        for view, promised in (
            (memory_view(limit), SOURCES), (memory_view(limit, running=True), SOURCES),
            (speed_view(limit), SPEED_SOURCES), (treemap_view(MemoryEstimate(), 8), LAYER_SOURCES),
            (treemap_view(None, None), LAYER_SOURCES),
        ):  # fmt: skip
            assert {name: set(columns) for name, columns in view.columns.items()} == {
                name: set(columns) for name, columns in promised.items()
            }
            for columns in view.columns.values():
                assert len({len(column) for column in columns.values()}) == 1
                for c in columns.values():
                    assert all(isinstance(x, str) for x in c) if isinstance(c, list) else c.dtype == np.float64


def test_the_parts_of_a_bar_lie_on_one_another_and_add_up_to_its_peak() -> None:
    predicted = memory_view(densenet()).columns["predicted"]
    edges = np.array([predicted[name] for name in EDGES])
    assert (np.diff(edges, axis=0) >= 0).all()
    assert edges[-1].tolist() == pytest.approx([sum(size for _, size in parts_of(128)) / GIB])
    assert edges[1][0] == pytest.approx(600 / 1024)


def test_the_stack_has_the_engines_parts_in_its_order() -> None:
    assert memory_scene.PARTS == PARTS


def test_what_was_run_is_solid_what_was_not_is_striped_and_what_does_not_fit_is_crossed() -> None:
    columns = memory_view(densenet()).columns
    assert columns["measured"]["x"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert columns["predicted"]["x"].tolist() == columns["outline"]["x"].tolist() == [7]
    assert columns["too_big"]["x"].tolist() == [8, 9]


def test_a_measured_trial_takes_the_place_of_a_predicted_one() -> None:
    columns = memory_view(limit_of([trial_of(4), trial_of(4, measured=True, peak_bytes=900 * MIB)])).columns
    assert len(columns["predicted"]["x"]) == 0
    assert columns["hit"]["head"] == ["k 4 · 0.9 of 8.0 GiB, 7.1 free"]
    assert columns["hit"]["detail"] == ["measured; predicted 0.8"]


def test_a_bar_taller_than_the_axis_is_cut_and_carries_its_number() -> None:
    view = memory_view(densenet())
    assert view.y_range == (0, pytest.approx(1.45 * 8))
    assert (view.columns["too_big"]["top"] > view.y_range[1]).all()
    assert {"11.9", "23.1"} <= set(view.columns["labels_danger"]["text"])


def test_a_bar_that_just_does_not_fit_keeps_its_height() -> None:
    view = memory_view(limit_of([trial_of(128, capacity=6 * GIB)], capacity=6 * GIB))
    assert view.columns["too_big"]["top"].tolist() == pytest.approx([sum(s for _, s in parts_of(128)) / GIB])


def test_every_number_of_what_is_free_stands_in_its_gap() -> None:
    view = memory_view(densenet())
    free = view.columns["labels_answer"]
    assert [t for t in free["text"] if t != "free"] == ["1.7", "4.5", "6.0", "6.7", "7.0", "7.2", "7.2", "7.3"]
    assert "free" in free["text"]
    heights = {round(x): top for g in ("headroom", "best") for x, top, _ in zip(*view.columns[g].values(), strict=True)}
    for x, y, text in zip(free["x"], free["y"], free["text"], strict=True):
        if text != "free":
            assert y == pytest.approx((heights[round(x)] + 8) / 2, abs=0.01)


def test_a_gap_too_low_for_its_number_has_it_above_the_capacity() -> None:
    capacity = sum(size for _, size in parts_of(128)) + 60 * MIB
    view = memory_view(densenet(128, capacity=capacity))
    free = view.columns["labels_answer"]
    assert free["y"][free["text"].index("0.1")] > capacity / GIB


def test_the_answer_is_marked_at_the_end_and_not_before() -> None:
    assert memory_view(densenet()).columns["best"]["x"].tolist() == [7]
    running = memory_view(densenet(), running=True).columns
    assert len(running["best"]["x"]) == 0
    assert 7 in running["headroom"]["x"]


def test_a_card_keeps_its_name_and_says_its_size_once() -> None:
    assert "8 GB card = 8.0 GiB" in texts(memory_view(densenet()))
    assert "This GPU = 6.4 GiB" in texts(memory_view(densenet(capacity=int(6.4 * GIB), capacity_name="this GPU")))


def test_without_a_capacity_there_is_no_line_and_each_bar_says_its_size() -> None:
    view = memory_view(densenet(0, capacity=None))
    assert [len(view.columns[name]["x"]) for name in ("headroom", "best", "too_big")] == [0, 0, 0]
    assert len(view.columns["capacity"]["y"]) == 0
    assert view.columns["labels_ink"]["text"][-3:] == ["6.3", "11.9", "23.1"]
    assert 23 < view.y_range[1] < 30


def test_nothing_known_of_a_size_that_ran_out_of_memory_still_crosses_it_out() -> None:
    view = memory_view(limit_of([trial_of(512, measured=True, predicted_bytes=None, parts=(), **OOM)]))
    assert view.columns["too_big"]["top"][0] > view.y_range[1]
    assert view.columns["hit"]["head"] == ["k 512 · does not fit"]
    assert view.columns["hit"]["detail"] == ["ran out of memory"]


def test_a_bar_without_parts_is_drawn_whole() -> None:
    columns = memory_view(limit_of([trial_of(64, measured=True, parts=())])).columns
    assert columns["measured_whole"]["top"].tolist() == pytest.approx([sum(s for _, s in parts_of(64)) / GIB])
    assert len(columns["measured"]["x"]) == 0


def test_parts_thinner_than_a_line_are_not_hidden_by_one() -> None:
    partings = memory_view(densenet(0)).columns["partings"]
    of_largest = partings["y"][np.isclose((partings["left"] + partings["right"]) / 2, 7)]
    pixel = 1.45 * 8 / FRAME_HEIGHT
    assert 1 <= len(of_largest) <= 4
    assert np.diff(of_largest).min(initial=9) >= 3.9 * pixel


def test_no_two_labels_of_any_state_touch() -> None:
    cards = [densenet(64, capacity=int(gib * GIB)) for gib in (0.3, 0.7, 0.75, 1, 3.5, 6.35, 11.95, 12, 24, 80, 141)]
    for limit in (*states(), *cards):
        for prefix, width in FRAME_WIDTHS.items():
            view = memory_view(limit)
            boxes = list(_label_boxes(view, prefix, width, len(sizes_of(limit.settings))))
            for i, (left, right, y) in enumerate(boxes):
                assert left >= 0 and right <= width and 0 <= y <= FRAME_HEIGHT
                assert not any(left < r and x < right and abs(y - other) < 17.9 for x, r, other in boxes[:i])


def _label_boxes(view: View, prefix: str, width: float, sizes: int) -> Iterator[tuple[float, float, float]]:
    first, last = x_edges(tuple(range(sizes)))
    for name, c in view.columns.items():
        for i in range(len(c["text"]) if name.startswith(f"{prefix}_") else 0):
            wide = text_px(c["text"][i], c["weight"][i] == "bold")
            left = (c["x"][i] - first) / (last - first) * width
            left -= {"left": 0.0, "center": wide / 2, "right": wide}[c["align"][i]]
            yield left, left + wide, (view.y_range[1] - c["y"][i]) / view.y_range[1] * FRAME_HEIGHT


def test_no_card_has_more_than_four_ticks() -> None:
    for top in np.geomspace(0.1, 1000, 500):
        assert 2 <= len(round_ticks(0.0, float(top), MANTISSAS)) <= 4


def test_the_labels_for_screen_readers_are_the_results() -> None:
    assert memory_view(densenet()).label == (
        "Memory by batch size on an 8 GB card. 128 fits with 1.7 GiB free; 256 needs 11.9. "
        "1 to 64 measured, 128 to 512 predicted."
    )
    assert memory_view(densenet(0, capacity=GIB // 2, capacity_name="T4")).label == (
        "Memory by batch size on a T4. Nothing fits: 1 needs 0.7. 1 to 512 predicted."
    )
    assert memory_view(limit_of([])).label == "Memory by batch size on an 8 GB card. Nothing predicted or measured yet."
    assert speed_view(densenet()).label == (
        "Speed by batch size, 1 to 64. Best 9.4 samples/s at k = 32. Knee at k = 8."
    )


def test_filling_a_figure_changes_nothing_but_columns_and_the_range() -> None:
    fig = memory_figure(sizes_of(BatchSettings()), None, "")
    before = _properties(fig)
    fill(fig, memory_view(densenet()))
    after = _properties(fig)
    changed = {key[1] for key in before if before[key] != after[key]}
    assert changed == {"data", "end"}
    sources = {s.name: s for s in fig.select({"type": ColumnDataSource})}
    assert set(sources) == set(SOURCES)
    assert sources["capacity"].data["y"].tolist() == [8.0]


def _properties(fig: Any) -> dict[tuple[str, str], str]:
    return {(m.id, name): repr(value) for m in fig.references() for name, value in m.properties_with_values().items()}


def test_every_coloured_mark_names_the_tokens_of_its_colours() -> None:
    for fig in (memory_figure((1, 2, 4), 8 * GIB, "T4"), speed_figure(), treemap_figure(), plot(grid())):
        renderers = list(fig.select({"type": GlyphRenderer}))
        assert len(renderers) > 5
        for renderer in renderers:
            glyph = renderer.glyph
            tokens = [token for tag in glyph.tags for token in tag["theme"].values()]
            assert tokens or glyph.fill_alpha == 0
            assert set(tokens) <= set(TOKENS["dark"]) == set(TOKENS["light"])


def test_green_and_vermilion_are_no_memory_parts() -> None:
    for colours in TOKENS.values():
        parts = {colours[f"part_{name}"] for name in memory_scene.PARTS}
        assert len(parts) == 8
        assert not parts & {colours[name] for name in ("answer", "danger", "background")}


def test_each_result_can_be_plotted_and_sent_to_a_browser() -> None:
    for result in (densenet(), grid(), MemoryEstimate()):
        document = Document()
        document.add_root(plot(result))
        assert document.to_json(deferred=False)["roots"]


def test_a_plot_of_an_estimate_shows_its_predictions_and_the_largest_that_fits() -> None:
    sources = {s.name: s for s in plot(MemoryEstimate()).select({"type": ColumnDataSource})}
    assert len(sources["predicted"].data["x"]) == 8
    assert sources["best"].data["x"].tolist() == [7]


def test_sizes_have_places_at_powers_of_two_and_at_the_largest() -> None:
    assert sizes_of(BatchSettings(max_batch_size=48)) == (1, 2, 4, 8, 16, 32, 48)
    between = limit_of([trial_of(12), trial_of(16)], settings=BatchSettings(max_batch_size=16))
    assert memory_view(between).columns["hit"]["x"].tolist() == [4]


def test_the_knee_is_a_hollow_diamond_with_its_name() -> None:
    view = speed_view(densenet())
    assert view.columns["knee"]["x"].tolist() == [3]
    assert view.columns["near_best"]["y"].tolist() == pytest.approx([0.9 * 9.4])
    assert texts(view) == ["90 % of best", "knee: k = 8"]


def test_a_speed_that_still_grows_has_no_knee() -> None:
    view = speed_view(densenet(32))
    assert len(view.columns["knee"]["x"]) == 0
    assert "still rising" in texts(view)


def test_while_running_no_knee_is_named() -> None:
    view = speed_view(densenet(), running=True)
    assert len(view.columns["knee"]["x"]) == 0
    assert texts(view) == ["90 % of best"]


def test_speed_without_a_step_says_so_in_its_place() -> None:
    assert texts(speed_view(densenet(0))) == ["no step run yet"]
    sources = {s.name: s for s in speed_figure().select({"type": ColumnDataSource})}
    assert sources["labels_muted"].data["text"] == ["no step run yet"]


def test_the_rows_of_parts_begin_with_what_grows_and_end_with_the_sum() -> None:
    rows = parts_rows(trial_of(128))
    assert [(row.token, row.name, row.mib, row.percent) for row in (rows[0], rows[4], rows[7], rows[8])] == [
        ("part_activations", "activations", "5\u202f171", "80"),
        ("part_gradients", "gradients", "< 0.1", "< 0.1"),
        ("part_context", "CUDA context", "600", "9.3"),
        ("", "in all", "6\u202f424", "100"),
    ]
    assert {row.token for row in rows[:-1]} == {f"part_{name}" for name in memory_scene.PARTS}


def test_rows_of_nothing_keep_their_places() -> None:
    assert [row.name for row in parts_rows(None)] == [row.name for row in parts_rows(trial_of(1))]
    assert {row.mib for row in parts_rows(None)} == {"–"}
    assert parts_rows(trial_of(64, parts=()))[-1].mib == parts_rows(trial_of(64))[-1].mib


def test_shares_by_kind_of_layer_are_of_their_own_totals() -> None:
    table = layer_rows(MemoryEstimate(), 8)
    assert (table.parameters, table.activations) == ("27 MiB in all", "5.1 GiB in all")
    first, second, third = table.rows[:3]
    assert (first.kind, first.count, first.parameter_text, first.activation_text) == (
        "normalisation", "121 BatchNorm2d", "1.2 %", "48 %",
    )  # fmt: skip
    assert (second.count, second.parameter_text) == ("58 joins", "0 %")
    assert third.parameter_share == pytest.approx(0.987, abs=0.001)
    assert sum(row.activation_share for row in table.rows) == pytest.approx(1)
    assert table.verdict == "Activations outweigh parameters 190×."
    assert table.label == (
        "Normalisation holds 1.2 % of parameters and 48 % of activations, "
        "convolution holds 99 % of parameters and 18 % of activations."
    )


def test_a_table_of_layers_has_ten_rows_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(replace(LAYERS[0], kind=f"kind {i}", activation_bytes=i) for i in range(30))
    monkeypatch.setattr(MemoryEstimate, "layers", lambda self, k: many)
    assert [row.kind for row in layer_rows(MemoryEstimate(), 1).rows] == [f"kind {i}" for i in range(29, 19, -1)]


def test_a_cell_of_the_grid_says_what_it_needs_and_whether_that_fits() -> None:
    first = grid_rows(grid())[0]
    assert first.image_size == 512
    assert [cell.step for cell in first.cells[:4]] == [0, 0, 1, 2]
    assert [cell.fits for cell in first.cells] == [True] * 4 + [False] * 6
    assert [cell.is_largest for cell in first.cells].index(True) == 3
    assert first.cells[3].label == "6.2 GiB, fits, largest"
    assert first.cells[4].label == "11.8 GiB, does not fit"
    assert first.cells[9].text == "356"


def test_the_tiles_fill_the_treemap_in_proportion_to_what_they_take() -> None:
    groups = treemap(MODULES)
    tiles = [tile for group in groups for tile in group.tiles]
    assert sum(g.rect.width * g.rect.height for g in groups) == pytest.approx(WIDTH * HEIGHT)
    for group in groups:
        whole = sum(t.rect.width * t.rect.height for t in group.tiles)
        taken = sum(t.activation_bytes for t in group.tiles)
        for tile in group.tiles:
            assert tile.rect.width * tile.rect.height / whole == pytest.approx(tile.activation_bytes / taken)
            assert tile.rect.x >= group.rect.x - 1e-6 and tile.rect.y >= group.rect.y - 1e-6
            assert tile.rect.y + tile.rect.height <= group.rect.y + group.rect.height + 1e-6
    assert sum(t.activation_bytes for t in tiles) == sum(module.activation_bytes for module in MODULES)


def test_the_groups_of_a_treemap_are_named_and_the_smallest_share_a_place() -> None:
    headers = [group.header for group in treemap(MODULES)]
    assert headers[:2] == ["block 1 · 1\u202f728", "dense block 2 · 1\u202f344"]
    assert "4 others" in headers


def test_a_model_of_many_equal_layers_keeps_them_apart() -> None:
    layers = [Module(f"encoder.layer.{i}", "attention", 100 * MIB) for i in range(24)]
    assert [group.header for group in treemap(layers)] == [f"layer {i}" for i in range(24)]
    assert len(treemap([*layers, *(Module(f"h.{i}", "dense", 100 * MIB) for i in range(90))])) == 24


def test_nothing_of_a_treemap_is_written_outside_its_tile() -> None:
    for group in treemap(MODULES):
        for tile in group.tiles:
            assert all(text_px(line) + 6 <= tile.rect.width for line in tile.lines)
            assert 16 * len(tile.lines) <= tile.rect.height


@pytest.mark.slow
def test_pictures_have_room_for_the_plot_and_the_sentence_in_every_state() -> None:
    pytest.importorskip("matplotlib")
    pictures = [
        *(memory_png(limit) for limit in states()),
        grid_png(grid()),
        layers_png(MemoryEstimate(), 8),
    ]
    for png in pictures:
        assert png is not None
        width, height = struct.unpack(">II", png[16:24])
        assert width == 1640
        assert 500 < height < 800


def test_the_picture_shows_the_answer_in_green_and_what_does_not_fit_in_vermilion() -> None:
    pytest.importorskip("matplotlib")
    green, vermilion = TOKENS["light"]["answer"], TOKENS["light"]["danger"]
    answered, nothing_fits = memory_png(densenet()), memory_png(densenet(0, capacity=GIB // 2))
    assert _pixels(answered, green) > 500
    assert _pixels(nothing_fits, green) == 0
    assert _pixels(nothing_fits, vermilion) > _pixels(answered, vermilion) > 500


def _pixels(png: bytes | None, colour: str) -> int:
    from matplotlib.image import imread

    pixels = np.round(imread(io.BytesIO(png or b""), format="png")[..., :3] * 255)
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((pixels == rgb).all(axis=-1).sum())


def test_a_sentence_keeps_numbers_and_their_k_on_one_line() -> None:
    pytest.importorskip("matplotlib")
    limit = densenet(verdict="k = 128 fits", reason="(it needs 6\u202f424 MiB).", limit="")
    assert [word.text for word in words_of(limit, "ink")] == [
        "k\u00a0=\u00a0128", "fits", "(it", "needs", "6\u202f424", "MiB).",
    ]  # fmt: skip
    nothing = densenet(verdict="Not even k = 1 fits:", reason="it needs 9 GiB.", limit="")
    assert not any(re.search("::", word.text) for word in words_of(nothing, "ink"))


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert memory_png(densenet()) is None
    assert grid_png(grid()) is None
    assert layers_png(MemoryEstimate(), 8) is None


def test_a_size_that_needs_retries_is_neither_a_fitting_bar_nor_a_crossed_one() -> None:
    slower = trial_of(256, fits=False, fits_with_retries=True)
    limit = limit_of([trial_of(k) for k in (1, 64, 128)] + [slower, trial_of(512, fits=False)])
    view = memory_view(limit)
    places = {name: list(view.columns[name]["x"]) for name in ("slower", "too_big", "predicted")}
    assert places == {"slower": [8.0], "too_big": [9.0], "predicted": [0.0, 6.0, 7.0]}
    assert "slower" in [text for name in ("labels_ink",) for text in view.columns[name]["text"]]
    assert "256 may get through, slower" in view.label
    assert "fits with retries, slower" in view.columns["hit"]["head"][3]
