"""What makes a batch size fit: each row against an estimate of its own, the order, the words, and a stop."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from tasks import everything, hard_task
from torch import nn
from zoo import ZOO, optimizer_of, stacked

import nbtune as nt
from nbtune.engine import Task
from nbtune.engine.batch_size.what_fits.changes import accumulations, single_changes
from nbtune.engine.batch_size.what_fits.find import what_fits
from nbtune.engine.batch_size.what_fits.result import WhatFits
from nbtune.engine.batch_size.what_fits.search import WhatFitsSearch
from nbtune.engine.memory.estimate import estimate_memory

MIB = 2**20


def images_task(side: int = 64, samples: int = 8, **changes: Any) -> Task:
    torch.manual_seed(0)
    block = [nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()) for _ in range(3)]
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Sequential(*block), *head)
    data = torch.randn(samples, 3, side, side), torch.zeros(samples).long()
    return Task(model, torch.optim.AdamW(model.parameters()), nn.functional.cross_entropy, data, **changes)


def words_task(optimizer: str = "AdamW", **changes: Any) -> Task:
    torch.manual_seed(0)
    inner = [nn.Sequential(nn.Linear(256, 1024), nn.GELU(), nn.Linear(1024, 256)) for _ in range(4)]
    model = nn.Sequential(nn.Linear(64, 256), nn.Sequential(*inner), nn.Linear(256, 4))
    data = torch.randn(64, 64), torch.zeros(64).long()
    return Task(model, optimizer_of(optimizer, model), nn.functional.cross_entropy, data, **changes)


@pytest.fixture(scope="module")
def found() -> WhatFits:
    """Of images that are three times too many for the card."""
    return what_fits(images_task(), "1.1 GB", batch_size=512, progress=False)


@pytest.fixture(scope="module")
def hopeless() -> WhatFits:
    """Of words that no change makes fit."""
    return what_fits(words_task(), "715 MB", batch_size=4096, progress=False)


def row_of(found: WhatFits, name: str) -> nt.MemoryChange:
    return next(row for row in found.changes if row.name == name)


def test_each_single_change_is_what_an_estimate_of_its_own_says(found: WhatFits) -> None:
    task = images_task()
    singles = {row.name: dict(row.changes) for row in found.changes if len(row.changes) == 1 and row.accumulate == 1}
    assert {"gradient checkpointing", "mixed precision", "images of 48²", "optimizer SGD"} <= set(singles)
    for name, changes in singles.items():
        if "foreach" in changes:
            continue
        assert row_of(found, name).peak_bytes == estimate_memory(task, "1.1 GB", **changes).peak_bytes(512), name


def test_pairs_hold_both_changes(found: WhatFits) -> None:
    pair = row_of(found, "gradient checkpointing + mixed precision")
    assert dict(pair.changes) == {"checkpointing": True, "amp": torch.bfloat16}
    own = estimate_memory(images_task(), "1.1 GB", checkpointing=True, amp=torch.bfloat16)
    assert pair.peak_bytes == own.peak_bytes(512)


def test_an_optimizer_that_updates_one_tensor_at_a_time_is_what_the_users_own_would_be() -> None:
    search = WhatFitsSearch(estimate_memory(words_task(), "742 MB"), 4)
    changed = next(row for row in search if row.name == "optimizer without foreach")
    search.close()
    task = words_task()
    for group in task.optimizer.param_groups:
        group["foreach"] = False
    assert changed.peak_bytes == estimate_memory(task, "1 GB").peak_bytes(4)


@pytest.mark.parametrize("name", ["mlp", "densenet121", "bert_base"])
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_accumulation_is_replayed_as_it_would_be_traced(name: str, optimizer: str) -> None:
    if name == "mlp":
        model, sample = ZOO["mlp"]()
    elif name == "densenet121":
        from zoo import DenseNet

        model, sample = DenseNet(blocks=(1, 1, 1, 1)), (torch.randn(3, 64, 64), torch.tensor(1))
    else:
        import transformers as t

        config = t.BertConfig(num_hidden_layers=1, hidden_size=64, num_attention_heads=2, intermediate_size=128)
        words = torch.arange(16)
        model, sample = t.BertForSequenceClassification(config), {"input_ids": words, "labels": torch.tensor(1)}
    loss_fn = None if isinstance(sample, dict) else nn.functional.cross_entropy
    task = Task(model, optimizer_of(optimizer, model), loss_fn, [stacked(sample, 2)])
    replayed = estimate_memory(task, "8 GB").accumulating()
    traced = estimate_memory(task.with_(accumulate=2), "8 GB")
    for k in (2, 8, 64):
        # A block may land in another segment, where the additions of gradients come in another order.
        assert abs(replayed.peak_bytes(k) - traced.peak_bytes(k)) <= 4 * MIB
        assert abs(replayed.breakdown(k)["gradients"] - traced.breakdown(k)["gradients"]) <= MIB


def test_accumulation_goes_down_to_the_first_split_that_fits_and_says_what_batchnorm_sees(found: WhatFits) -> None:
    splits = [row for row in found.changes if row.accumulate > 1 and not row.changes]
    assert [row.accumulate for row in splits] == [2**i for i in range(1, len(splits) + 1)]
    assert [row.fits for row in splits] == [False] * (len(splits) - 1) + [True]
    assert all(row.batch_size == 512 // row.accumulate for row in splits)
    assert splits[0].effect == "BatchNorm sees 256" and splits[0].name == "accumulation 2 × 256"


def test_the_smallest_change_comes_first_and_is_the_answer(found: WhatFits) -> None:
    assert found.changes[0].name == "" and not found.changes[0].fits
    assert [row.rank for row in found.changes] == sorted(row.rank for row in found.changes)
    first = next(row for row in found.changes if row.fits)
    assert found.smallest == first
    assert found.verdict == f"With {first.name}, k = 512 fits on the 1.1 GB card"
    assert "predicted" in found.reason


def test_what_fits_already_needs_no_change() -> None:
    found = what_fits(images_task(), "8 GB", batch_size=2, progress=False)
    assert [row.name for row in found.changes] == [""] and found.smallest == found.changes[0]
    assert found.verdict == "k = 2 fits on the 8 GB card as it is"


def test_where_nothing_fits_it_says_so_and_what_comes_closest(hopeless: WhatFits) -> None:
    assert hopeless.smallest is None and hopeless.verdict == "Nothing tried makes k = 4096 fit on the 715 MB card:"
    least = min(hopeless.changes, key=lambda row: row.peak_bytes)
    assert least.name in hopeless.reason and " + " in least.name


def test_more_than_the_data_have_is_told(found: WhatFits) -> None:
    assert "The data have only 8 samples." in found.caveats
    enough = what_fits(images_task(), "8 GB", batch_size=8, progress=False)
    assert not any("The data have only" in caveat for caveat in enough.caveats)


def test_a_stopped_search_is_a_shorter_table() -> None:
    search = WhatFitsSearch(estimate_memory(images_task(), "1.1 GB"), 512)
    rows = [next(search), next(search)]
    search.close()
    found = search.result(rows, "stopped")
    assert found.outcome == "stopped" and len(found.changes) == 2 and list(search) == []
    assert search.result([], "stopped").verdict == "Stopped before anything was known."


def test_nothing_is_changed() -> None:
    task = hard_task()
    before = everything(task)
    found = what_fits(task, "711 MB", batch_size=64, progress=False)
    assert everything(task) == before and len(found.changes) > 3


def test_a_model_that_takes_no_other_images_is_told() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Flatten(), nn.Linear(64 * 62 * 62, 2))
    data = torch.randn(8, 3, 64, 64), torch.zeros(8).long()
    task = Task(model, torch.optim.SGD(model.parameters()), nn.functional.cross_entropy, data)
    found = what_fits(task, "1 GB", batch_size=512, progress=False)
    assert not any("images" in row.name for row in found.changes)
    assert any(left.startswith("images of 32² (") for left in found.left_out) and "Left out: images" in repr(found)


def test_a_users_own_update_is_neither_accumulated_nor_given_another_optimizer() -> None:
    def update(model: Any, optimizer: Any, batch: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    plain = images_task()
    task = Task(plain.model, plain.optimizer, None, plain.loader, update=update)
    found = what_fits(task, "1.1 GB", batch_size=512, progress=False)
    assert all(row.accumulate == 1 and "optimizer" not in row.name for row in found.changes)
    assert row_of(found, "images of 16²").fits


def test_what_the_allocator_gets_through_with_retries_is_a_second_limit() -> None:
    estimate = estimate_memory(images_task(), "1139 MB", image_size=32)
    sizes = [2**i for i in range(11)]
    sure, slower = ([k for k in sizes if fits(k)] for fits in (estimate.fits, estimate.fits_with_retries))
    assert max(sure) == 256 and max(slower) == 512
    in_use = sum(size for name, size in estimate.parts(512) if name not in ("context", "reserved"))
    assert not estimate.with_capacity(estimate.context_bytes + round(1.02 * in_use)).fits_with_retries(512)


def test_the_table_is_plain_data_and_reads_as_a_table(found: WhatFits) -> None:
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["kind"] == "what_fits" and len(plain["changes"]) == len(found.changes)
    assert {"amp": "bfloat16"} in [row["changes"] for row in plain["changes"]]
    lines = repr(found).splitlines()
    assert lines[0] == "WhatFits(batch_size=512, 1.1 GB card = 1.1 GiB)" and "as it is" in lines[3]
    assert pickle.loads(pickle.dumps(found)) == found


def test_what_a_task_can_hold_is_applied_and_the_rest_is_named(found: WhatFits) -> None:
    task = images_task(samples=512).with_(batch_size=4)
    applied = found.apply(task)
    assert found.smallest is not None and (applied.batch_size, applied.accumulate) == (
        found.smallest.batch_size, found.smallest.accumulate
    )  # fmt: skip
    assert (task.batch_size, task.accumulate) == (4, 1)
    mixed = replace(found, smallest=row_of(found, "mixed precision"))
    assert mixed.apply(task).amp is torch.bfloat16 and mixed.apply(task).batch_size == 512
    with pytest.raises(ValueError, match="gradient checkpointing is not a setting of a task"):
        replace(found, smallest=row_of(found, "gradient checkpointing")).apply(task)
    with pytest.raises(ValueError, match="nothing to apply"):
        replace(found, smallest=None).apply(task)


def test_bad_input_is_told_in_a_sentence() -> None:
    task = images_task()
    with pytest.raises(TypeError, match=r"takes an nbtune\.Task, not Sequential"):
        what_fits(task.model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch_size must be"):
        what_fits(task, "8 GB", batch_size=0)
    with pytest.raises(ValueError, match="no size such as '8 GB'"):
        what_fits(task, "a big one")
    with pytest.raises(ValueError, match="pickled"):
        pickle.loads(pickle.dumps(estimate_memory(task, "8 GB"))).changed(amp=torch.bfloat16)


def test_accumulated_batches_are_of_one_size_and_at_least_halved() -> None:
    splits = [change.accumulate for change in accumulations(estimate_memory(images_task(), "8 GB"), 12)]
    assert splits == [2, 4, 12]
    assert [c.accumulate for c in accumulations(estimate_memory(images_task(), "8 GB"), 7)] == [7]
    assert not accumulations(estimate_memory(images_task(), "8 GB"), 1)


def test_accumulation_is_the_same_of_a_mean_and_that_is_told(hopeless: WhatFits) -> None:
    assert any("where the loss is a mean" in caveat for caveat in hopeless.caveats)
    assert not any("is a mean" in c for c in what_fits(words_task(), "8 GB", batch_size=4, progress=False).caveats)


def test_recomputation_runs_batchnorm_twice_and_says_so(found: WhatFits, hopeless: WhatFits) -> None:
    assert row_of(found, "gradient checkpointing").effect == "BatchNorm averages twice"
    assert row_of(hopeless, "gradient checkpointing").effect == "same numbers"


def test_a_model_without_blocks_is_not_told_to_recompute() -> None:
    torch.manual_seed(0)

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(64, 4096), nn.Linear(4096, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x).relu())

    model, data = Plain(), (torch.randn(64, 64), torch.zeros(64).long())
    task = Task(model, torch.optim.AdamW(model.parameters()), nn.functional.cross_entropy, data)
    found = what_fits(task, "715 MB", batch_size=4096, progress=False)
    assert not any("checkpointing" in row.name for row in found.changes)
    assert any(what.startswith("gradient checkpointing (") for what in found.left_out)


def test_frozen_weights_do_not_hide_what_an_optimizer_keeps() -> None:
    task = words_task()
    for parameter in list(task.model.parameters())[:-2]:
        parameter.requires_grad_(False)
    names = {change.name for change in single_changes(estimate_memory(task, "8 GB"), 4)}
    assert {"optimizer SGD", "optimizer Adafactor"} <= names


def test_a_step_of_ones_own_is_not_told_to_round() -> None:
    def update(model: Any, optimizer: Any, batch: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return loss

    plain = images_task()
    task = Task(plain.model, plain.optimizer, None, plain.loader, update=update)
    names = [change.name for change in single_changes(estimate_memory(task, "8 GB"), 4)]
    assert "mixed precision" not in names and "gradient checkpointing" in names


def test_the_cost_of_a_change_is_told_where_it_is_known(found: WhatFits) -> None:
    costs = {row.name: row.cost for row in found.changes}
    assert costs["images of 32²"] == "0.25× pixels" and costs["mixed precision"] == "" == costs["optimizer SGD"]
    assert costs["accumulation 2 × 256"] == "2 passes" and costs[""] == ""


def test_a_search_stopped_after_its_first_row_claims_nothing_of_the_rest() -> None:
    search = WhatFitsSearch(estimate_memory(images_task(), "1.1 GB"), 512)
    rows = [next(search)]
    search.close()
    told = search.result(rows, "stopped")
    assert told.verdict == "k = 512 does not fit on the 1.1 GB card as it is:" and "No change was tried" in told.reason


def test_the_host_is_no_card() -> None:
    found = what_fits(images_task(), batch_size=2, progress=False)
    assert found.verdict == "k = 2 fits in this machine's memory as it is"


def test_how_the_data_were_taken_stands_below(found: WhatFits) -> None:
    assert found.data_form == images_task().data_form and f"Data: {found.data_form}." in repr(found)
    assert found.to_dict()["data_form"] == found.data_form
    assert {"checkpointing": True} in [row["changes"] for row in found.to_dict()["changes"]]


def test_shorter_sequences_are_among_the_changes_where_the_data_are_tokens() -> None:
    model = nn.Sequential(nn.Embedding(100, 32), nn.Linear(32, 1000), nn.ReLU(), nn.Linear(1000, 100), nn.Flatten(0, 1))
    words = torch.zeros(16, 128).long()

    def loss_fn(scores: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(scores, words.flatten())

    task = Task(model, optimizer_of("AdamW", model), loss_fn, (words, words))
    found = what_fits(task, "1.5 GB", batch_size=512, progress=False)
    shorter = row_of(found, "sequences of 32")
    assert shorter.effect == "less context" and shorter.cost == "0.25× tokens" and not shorter.is_the_tasks
    assert shorter.peak_bytes == estimate_memory(task, "1.5 GB", sequence_length=32).peak_bytes(512)
    assert not any(
        "sequences" in row.name for row in what_fits(words_task(), "1 GB", batch_size=99, progress=False).changes
    )


def test_a_very_large_wanted_size_is_split_at_once() -> None:
    splits = accumulations(estimate_memory(images_task(), "8 GB"), 10**9)
    assert [change.accumulate for change in splits][:3] == [2, 4, 8] and splits[-1].accumulate == 10**9


def test_what_a_change_assumes_stands_below_the_table(found: WhatFits) -> None:
    assert any("Checkpointing was planned for each block" in caveat for caveat in found.caveats)
    assert any("in the dtype of the weights" in caveat for caveat in found.caveats)


def test_of_several_devices_the_same_changes_are_open() -> None:
    estimate = estimate_memory(words_task(), "8 GB")
    alone, several = ([c.name for c in single_changes(e, 4)] for e in (estimate, estimate.among(2, "full")))
    assert alone == several


def test_of_several_devices_no_checkpointing_is_told_where_it_changes_nothing() -> None:
    model = nn.Linear(64, 4096)
    task = Task(
        model, optimizer_of("AdamW", model), nn.functional.mse_loss, (torch.randn(64, 64), torch.randn(64, 4096))
    )
    found = what_fits(task, "2x 715 MB", batch_size=4096, progress=False)
    assert not any("checkpointing" in row.name for row in found.changes)
    assert any(what.startswith("gradient checkpointing (") for what in found.left_out)
