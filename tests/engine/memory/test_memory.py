"""The allocator model, and what an estimate of memory says, counts and leaves alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from tasks import everything, hard_task, plain_task
from torch import nn
from zoo import ZOO, optimizer_of, stacked

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, estimate_memory, parse_capacity
from nbtune.engine.memory.parts import OPTIMIZERS, PARTS
from nbtune.engine.memory.rehearsal.rehearse import Plan, Stage, rehearse
from nbtune.engine.memory.replay.allocator import CachingAllocator, CapacityError
from nbtune.engine.memory.replay.tape import Tape, replay
from nbtune.engine.memory.samples import Samples

KIB, MIB, GIB = 2**10, 2**20, 2**30
CROSS_ENTROPY = nn.functional.cross_entropy
LARGE = 2**14
"""So many samples that activations outweigh the weights of the small models here."""


def mlp_task(width: int = 512, k: int = 8, optimizer: str = "SGD", **changes: Any) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    arguments = {"loss_fn": CROSS_ENTROPY, "data": (torch.randn(k, 64), torch.zeros(k).long()), **changes}
    return Task(model, optimizer_of(optimizer, model), **arguments)


class Blocks(nn.Module):
    """A list of blocks, wide inside: what checkpointing is for."""

    def __init__(self, width: int = 256, count: int = 6) -> None:
        super().__init__()
        wide = 4 * width
        inner = [nn.Sequential(nn.Linear(width, wide), nn.ReLU(), nn.Linear(wide, width)) for _ in range(count)]
        self.blocks = nn.Sequential(*inner)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x))


def task_of(model: nn.Module, sample: Any, optimizer: str = "SGD", **changes: Any) -> Task:
    loss_fn = None if isinstance(sample, dict) else CROSS_ENTROPY
    return Task(model, optimizer_of(optimizer, model), **{"loss_fn": loss_fn, "data": [stacked(sample, 2)], **changes})


def blocks_task(**changes: Any) -> Task:
    torch.manual_seed(0)
    return task_of(Blocks(), (torch.randn(256), torch.tensor(1)), **changes)


def tiny_bert(**config: Any) -> tuple[nn.Module, Any]:
    import transformers

    sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256}
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(vocab_size=100, num_labels=2, **sizes, **config)
    )
    tokens = torch.arange(64)
    return model, {"input_ids": tokens, "attention_mask": torch.ones(64).long(), "labels": torch.tensor(1)}


def direct_peak(task: Task, k: int) -> int:
    """Reserved bytes of a rehearsal at this very k."""
    return replay(Tape.fixed(rehearse(task, Samples(task), k, Plan(), Stage("meta"))[0]), k).reserved_bytes


def reserved(estimate: MemoryEstimate, k: int) -> int:
    return estimate.peak_bytes(k) - estimate.context_bytes


# --- the allocator ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "taken"), [(1, 512), (512, 512), (513, 1024), (3 * MIB + 1, 3 * MIB + 512)])
def test_sizes_are_rounded_up_to_512_bytes(size: int, taken: int) -> None:
    allocator = CachingAllocator()
    allocator.malloc(size)
    assert allocator.allocated_bytes == taken


@pytest.mark.parametrize(
    ("size", "segment"),
    [(1, 2), (MIB, 2), (MIB + 1, 20), (10 * MIB - 512, 20), (10 * MIB, 10), (11 * MIB, 12), (300 * MIB + 1, 302)],
)
def test_a_first_request_makes_the_segment_of_its_class(size: int, segment: int) -> None:
    allocator = CachingAllocator()
    allocator.malloc(size)
    assert allocator.reserved_bytes == segment * MIB


def test_nothing_is_taken_for_an_empty_tensor() -> None:
    allocator = CachingAllocator()
    allocator.free(allocator.malloc(0))
    assert allocator.reserved_bytes == 0


def test_small_and_large_requests_do_not_share_segments() -> None:
    allocator = CachingAllocator()
    allocator.malloc(5 * MIB)
    allocator.malloc(KIB)
    assert allocator.reserved_bytes == 22 * MIB


def test_what_is_left_of_a_segment_serves_the_next_request() -> None:
    allocator = CachingAllocator()
    for _ in range(4):
        allocator.malloc(5 * MIB)
    assert allocator.reserved_bytes == 20 * MIB
    allocator.malloc(5 * MIB)
    assert allocator.reserved_bytes == 40 * MIB


def test_a_large_block_is_not_split_for_a_rest_of_one_mebibyte() -> None:
    allocator = CachingAllocator()
    allocator.free(allocator.malloc(12 * MIB))
    allocator.malloc(11 * MIB)
    assert allocator.allocated_bytes == 12 * MIB
    other = CachingAllocator()
    other.free(other.malloc(14 * MIB))
    other.malloc(11 * MIB)
    assert other.allocated_bytes == 11 * MIB


def test_freed_neighbours_are_joined() -> None:
    allocator = CachingAllocator()
    blocks = [allocator.malloc(5 * MIB) for _ in range(4)]
    for index in (1, 3, 2):
        allocator.free(blocks[index])
    allocator.malloc(15 * MIB)
    assert allocator.reserved_bytes == 20 * MIB


def test_the_smallest_free_block_that_is_large_enough_is_taken() -> None:
    allocator = CachingAllocator()
    large, _, small = allocator.malloc(40 * MIB), allocator.malloc(30 * MIB), allocator.malloc(20 * MIB)
    allocator.free(large)
    allocator.free(small)
    allocator.malloc(18 * MIB)  # out of the 20, so that the 40 stay whole
    allocator.malloc(40 * MIB)
    assert allocator.reserved_bytes == 90 * MIB


def test_a_full_card_gives_back_what_is_cached_and_tries_again() -> None:
    allocator = CachingAllocator(100 * MIB)
    allocator.free(allocator.malloc(60 * MIB))
    allocator.malloc(80 * MIB)
    assert (allocator.retries, allocator.reserved_bytes, allocator.peak_reserved_bytes) == (1, 80 * MIB, 80 * MIB)


def test_a_segment_in_use_is_not_given_back() -> None:
    allocator = CachingAllocator(100 * MIB)
    kept, freed = allocator.malloc(5 * MIB), allocator.malloc(5 * MIB)
    allocator.free(freed)
    with pytest.raises(CapacityError, match="do not fit"):
        allocator.malloc(90 * MIB)
    allocator.free(kept)
    allocator.malloc(90 * MIB)
    assert allocator.reserved_bytes == 90 * MIB


def test_allocator_counts_are_zero_again_when_all_is_freed() -> None:
    allocator, generator = CachingAllocator(), torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 30 * MIB, (200,), generator=generator).tolist()
    order = torch.randperm(200, generator=generator).tolist()
    blocks = [allocator.malloc(size) for size in sizes]
    assert allocator.allocated_bytes >= sum(sizes)
    for index in order:
        allocator.free(blocks[index])
    assert allocator.allocated_bytes == 0
    allocator.release_cached()
    assert allocator.reserved_bytes == 0


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [("unet", 64), pytest.param("t5_small", 32, marks=pytest.mark.slow), ("lstm", 16), ("mlp", 0)],
)
def test_replay_at_any_batch_size_is_the_rehearsal_at_that_size(name: str, size: int) -> None:
    model, sample = ZOO[name](*([size] if size else []))
    task = task_of(model, sample, "AdamW")
    estimate = estimate_memory(task, "8 GB")
    assert estimate.method == "meta" and not any("by itself" in c for c in estimate.caveats)
    for k in (7, 64, 512):
        assert reserved(estimate, k) == pytest.approx(direct_peak(task, k), rel=1e-3), k
    # A learned attention bias that all samples share fits a fused kernel where there is one sample alone (T5).
    assert reserved(estimate, 1) == pytest.approx(direct_peak(task, 1), rel=0.01)


def test_pairwise_similarities_grow_with_the_square_of_the_batch() -> None:
    def contrastive(model: nn.Module, batch: Any) -> torch.Tensor:
        z = model(batch[0])
        return CROSS_ENTROPY(z @ z.T, torch.arange(len(z), device=z.device))

    task = mlp_task(loss_fn=None, training_step=contrastive)
    estimate = estimate_memory(task, "8 GB")
    assert reserved(estimate, 64) == pytest.approx(direct_peak(task, 64), rel=1e-3)
    growth = estimate.breakdown(8192)["activations"] / estimate.breakdown(4096)["activations"]
    assert growth > 3


# --- what is left alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capacity", ["8 GB", None])
def test_an_estimate_leaves_everything_as_it_was(capacity: str | None) -> None:
    task = hard_task()
    before = everything(task)
    estimate = estimate_memory(task, capacity)
    estimate.largest_batch_size()
    estimate.evaluation_peak_bytes(4)
    estimate.layers(4), estimate.modules(4)
    assert everything(task) == before


def test_an_estimate_leaves_everything_as_it_was_when_the_step_fails() -> None:
    def failing(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise KeyError("the user's own mistake")

    task = hard_task().with_(loss_fn=failing)
    before = everything(task)
    with pytest.raises(KeyError, match="own mistake"):
        estimate_memory(task, "8 GB")
    assert everything(task) == before


def test_the_model_is_not_run_on_numbers() -> None:
    calls: list[str] = []

    class Counting(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(x.device.type)
            return super().forward(x)

    estimate_memory(task_of(Counting(4, 2), (torch.randn(4), torch.tensor(1))), "8 GB").peak_bytes(64)
    assert calls and set(calls) == {"meta"}


def test_no_number_of_the_model_is_copied() -> None:
    task = plain_task()
    with torch.no_grad():
        task.model.weight.fill_(float("nan"))
    assert estimate_memory(task, "8 GB").peak_bytes(1) > 0


# --- what is counted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "states"), list(zip(OPTIMIZERS, (0, 1, 2, 2, 1, 0.0058), strict=True)))
def test_each_optimizer_keeps_its_number_of_copies_of_the_parameters(name: str, states: float) -> None:
    parts = estimate_memory(mlp_task(1024), "8 GB", optimizer=name).breakdown(256)
    assert parts["parameters"] == pytest.approx(4 * (64 * 1024 + 1024 * 1024 + 10 * 1024 + 2058), rel=0.01)
    assert parts["optimizer"] == pytest.approx(states * parts["parameters"], rel=0.02, abs=1)


def test_a_planned_optimizer_takes_what_the_own_one_would() -> None:
    own = estimate_memory(mlp_task(optimizer="Adam"), "8 GB")
    planned = estimate_memory(mlp_task(optimizer="SGD"), "8 GB", optimizer="Adam")
    assert own.parts(64) == planned.parts(64)


def test_optimizer_state_that_is_there_before_is_not_counted_twice() -> None:
    fresh, used = mlp_task(optimizer="Adam"), mlp_task(optimizer="Adam")
    used.model(torch.randn(2, 64)).sum().backward()
    used.optimizer.step()
    assert estimate_memory(used, "8 GB").parts(8) == estimate_memory(fresh, "8 GB").parts(8)


@pytest.mark.parametrize("k", [1, 3, 64, 512])
def test_the_parts_add_up_to_the_peak(k: int) -> None:
    estimate = estimate_memory(blocks_task(), "8 GB")
    assert tuple(name for name, _ in estimate.parts(k)) == PARTS
    assert sum(size for _, size in estimate.parts(k)) == estimate.peak_bytes(k)
    assert all(size >= 0 for _, size in estimate.parts(k))


@cache
def estimate_of(name: str, *size: int) -> tuple[MemoryEstimate, int]:
    """With AdamW, and the bytes of the model's parameters."""
    model, sample = ZOO[name](*size)
    estimate = estimate_memory(task_of(model, sample, "AdamW"), "8 GB")
    return estimate, sum(p.nbytes for p in model.parameters())


@pytest.mark.parametrize("of", [("densenet121", 64), ("mlp",)])
def test_layers_and_modules_add_up_to_the_activations_and_the_parameters(of: Any) -> None:
    estimate, own = estimate_of(*of)
    for shares in (estimate.layers(32), estimate.modules(32)):
        # At their own fullest moment there are at least as many as when everything together takes most.
        assert sum(share.activation_bytes for share in shares) >= 0.95 * estimate.breakdown(32)["activations"]
        assert sum(share.parameter_bytes for share in shares) == own
    sums = [sum(share.activation_bytes for share in shares) for shares in (estimate.layers(32), estimate.modules(32))]
    assert sums[0] == sums[1]


def test_densenet_spends_most_on_normalisation_and_names_its_layers() -> None:
    layers = {s.kind: s for s in estimate_of("densenet121", 64)[0].layers(64)}
    assert (layers["convolution"].count, layers["convolution"].example) == (120, "Conv2d")
    assert (layers["normalisation"].count, layers["dense"].count) == (121, 1)
    assert layers["dense"].parameter_bytes == 4 * (1024 * 1000 + 1000)
    assert layers["convolution"].parameter_bytes > layers["dense"].parameter_bytes
    assert layers["normalisation"].activation_bytes > layers["dense"].activation_bytes


def test_frozen_layers_have_neither_gradients_nor_optimizer_state() -> None:
    whole = estimate_memory(mlp_task(1024, optimizer="Adam"), "8 GB").breakdown(4)
    task = mlp_task(1024, optimizer="Adam")
    task.model[2].requires_grad_(False)
    frozen = estimate_memory(task, "8 GB").breakdown(4)
    assert frozen["parameters"] == whole["parameters"]
    assert frozen["optimizer"] < 0.1 * whole["optimizer"]
    assert frozen["gradients"] + frozen["temporary"] < 0.3 * (whole["gradients"] + whole["temporary"])


def test_adapters_beside_frozen_weights_are_all_that_is_updated() -> None:
    class Adapter(nn.Module):
        def __init__(self, inner: nn.Linear) -> None:
            super().__init__()
            self.inner = inner.requires_grad_(False)
            self.down = nn.Linear(inner.in_features, 4, bias=False)
            self.up = nn.Linear(4, inner.out_features, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) + self.up(self.down(x))

    model = nn.Sequential(Adapter(nn.Linear(1024, 1024)), nn.ReLU(), Adapter(nn.Linear(1024, 1024)))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    task = Task(model, optimizer, CROSS_ENTROPY, (torch.randn(8, 1024), torch.zeros(8).long()))
    parts, adapters = estimate_memory(task, "8 GB").breakdown(4), 4 * 4 * 1024 * 4
    assert parts["optimizer"] == 2 * adapters
    assert parts["gradients"] <= adapters < parts["parameters"] / 30


def test_tied_weights_are_counted_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(1000, 256)
            self.head = nn.Linear(256, 1000, bias=False)
            self.head.weight = self.words.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.words(tokens).mean(1))

    estimate = estimate_memory(task_of(Tied(), (torch.arange(8), torch.tensor(1)), "Adam"), "8 GB")
    once = 4 * 1000 * 256
    assert estimate.breakdown(1)["parameters"] == once
    assert estimate.breakdown(1)["optimizer"] == 2 * once
    assert sum(layer.parameter_bytes for layer in estimate.layers(1)) == once


def test_accumulation_does_not_multiply_the_activations() -> None:
    one, four = (estimate_memory(blocks_task(accumulate=n), "8 GB") for n in (1, 4))
    assert four.breakdown(LARGE)["activations"] == pytest.approx(one.breakdown(LARGE)["activations"], rel=0.01)
    assert one.peak_bytes(LARGE) <= four.peak_bytes(LARGE) < one.peak_bytes(2 * LARGE)


def test_mixed_precision_lowers_the_activations_and_keeps_the_parameters() -> None:
    plain = estimate_memory(blocks_task(), "8 GB").breakdown(LARGE)
    for dtype in (torch.bfloat16, torch.float16):
        mixed = estimate_memory(blocks_task(), "8 GB", amp=dtype).breakdown(LARGE)
        assert mixed["activations"] < 0.7 * plain["activations"]
        assert mixed["parameters"] == plain["parameters"]


def test_amp_false_plans_without_the_tasks_own() -> None:
    half = blocks_task(amp=torch.bfloat16)
    assert estimate_memory(half, "8 GB", amp=False).parts(64) == estimate_memory(blocks_task(), "8 GB").parts(64)
    asked = estimate_memory(blocks_task(), "8 GB", amp=torch.bfloat16)
    assert estimate_memory(half, "8 GB").parts(64) == asked.parts(64)


def test_checkpointing_lowers_the_activations_of_plain_blocks_and_says_what_it_assumed() -> None:
    plain, saving = (estimate_memory(blocks_task(), "8 GB", checkpointing=c) for c in (None, True))
    assert saving.breakdown(LARGE)["activations"] < 0.6 * plain.breakdown(LARGE)["activations"]
    assert saving.peak_bytes(LARGE) < plain.peak_bytes(LARGE)
    assert any("heckpointing" in caveat for caveat in saving.caveats) and not plain.caveats


@pytest.mark.slow
def test_checkpointing_uses_the_models_own_switch_and_leaves_it_as_it_was() -> None:
    model, sample = tiny_bert()
    task = task_of(model, sample)
    plain, saving = (estimate_memory(task, "8 GB", checkpointing=c) for c in (None, True))
    assert saving.breakdown(256)["activations"] < 0.6 * plain.breakdown(256)["activations"]
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    switch = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
    switch()
    assert estimate_memory(task, "8 GB").parts(256) == saving.parts(256)
    assert estimate_memory(task, "8 GB", checkpointing=False).parts(256) == plain.parts(256)


def test_fused_attention_keeps_no_matrix_of_scores() -> None:
    fused, plain = (
        estimate_memory(task_of(*tiny_bert(attn_implementation=kind)), "8 GB").breakdown(64)["activations"]
        for kind in ("sdpa", "eager")
    )
    scores = 4 * 64 * 4 * 64 * 64 * 4  # layers × samples × heads × tokens² × bytes
    assert plain - fused > scores


def test_evaluation_takes_less_than_training() -> None:
    estimate = estimate_memory(blocks_task(optimizer="Adam"), "8 GB")
    kept = estimate.breakdown(LARGE)["parameters"] + estimate.breakdown(LARGE)["optimizer"]
    assert kept < estimate.evaluation_peak_bytes(LARGE) - estimate.context_bytes
    assert estimate.evaluation_peak_bytes(LARGE) < estimate.peak_bytes(LARGE)


def test_evaluation_has_a_curve_and_a_largest_size_of_its_own() -> None:
    training = estimate_memory(blocks_task(optimizer="Adam"), "1 GB")
    evaluation = training.evaluation()
    assert evaluation.largest_batch_size() > training.largest_batch_size() > 0
    sizes = evaluation.breakdown(64)
    parameters = training.breakdown(64)["parameters"]
    assert sizes["parameters"] == parameters
    assert sizes["gradients"] == pytest.approx(parameters, rel=0.01)
    assert sizes["optimizer"] == pytest.approx(2 * parameters, rel=0.01)
    assert [name for name, *_ in evaluation.timeline(64).phases] == ["forward"]
    assert sum(size for _, size in evaluation.parts(64)) == evaluation.peak_bytes(64)


@pytest.mark.slow
def test_activations_grow_with_the_square_of_the_image_side() -> None:
    model, sample = ZOO["densenet121"](64)
    task = task_of(model, sample)
    own, half, same = (estimate_memory(task, "8 GB", image_size=side) for side in (None, 32, 64))
    assert same.parts(64) == own.parts(64) and (own.image_size, half.image_size) == (64, 32)
    assert own.breakdown(64)["inputs"] == pytest.approx(4 * half.breakdown(64)["inputs"], rel=0.01)
    assert own.breakdown(64)["activations"] / half.breakdown(64)["activations"] == pytest.approx(4, rel=0.1)
    with pytest.raises(ValueError, match="no images"):
        estimate_memory(plain_task(), "8 GB", image_size=32)


def test_the_loss_may_have_parameters_of_its_own() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1024, 1024))

        def forward(self, output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return CROSS_ENTROPY(output, targets) + self.scale.mean()

    model, loss = nn.Linear(4, 2), Weighted()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()])
    data = (torch.randn(8, 4), torch.zeros(8).long())
    parts = estimate_memory(Task(model, optimizer, loss, data), "8 GB").breakdown(2)
    assert parts["parameters"] >= 4 * MIB and parts["optimizer"] >= 8 * MIB


# --- capacity and answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [("8 GB", 8 * GIB), ("8gb", 8 * GIB), ("9.5 GiB", 9.5 * GIB), ("512 MB", 512 * MIB), ("t4", 14.74 * GIB),
     ("A100  80", 79.25 * GIB), (2**33, 8 * GIB)],
)  # fmt: skip
def test_capacities_are_read_as_people_write_them(text: Any, size: float) -> None:
    assert parse_capacity(text) == int(size)


@pytest.mark.parametrize(("wrong", "error"), [("big", ValueError), ("8", ValueError), (0, ValueError), (-1, ValueError),
                                              (True, TypeError), (8.5, TypeError), ("0 GB", ValueError)])  # fmt: skip
def test_capacities_that_cannot_be_are_refused(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_capacity(wrong)


def test_the_largest_batch_size_fits_and_the_next_one_does_not() -> None:
    estimate = estimate_memory(blocks_task(optimizer="Adam"), "1 GB")
    largest = estimate.largest_batch_size(power_of_two=False)
    assert estimate.fits(largest) and not estimate.fits(largest + 1)
    power = estimate.largest_batch_size()
    assert power <= largest < 2 * power and power.bit_count() == 1
    assert estimate.headroom_bytes(power) == GIB - estimate.peak_bytes(power)


def test_nothing_fits_a_card_smaller_than_its_context() -> None:
    estimate = estimate_memory(mlp_task(), "100 MB")
    assert estimate.largest_batch_size() == 0 and not estimate.fits(1)
    assert estimate.headroom_bytes(1) < 0


def test_another_card_judges_the_same_estimate() -> None:
    small = estimate_memory(blocks_task(), "1 GB")
    large = small.with_capacity("80 GB")
    assert large.peak_bytes(64) == small.peak_bytes(64)
    assert large.largest_batch_size() > small.largest_batch_size()
    assert large.capacity_name == "80 GB card"


def test_without_card_or_capacity_the_host_is_meant() -> None:
    estimate = estimate_memory(mlp_task())
    assert (estimate.device, estimate.capacity_name) == ("cpu", "this machine's memory")
    assert estimate.breakdown(8)["parameters"] == sum(p.nbytes for p in mlp_task().model.parameters())
    assert dict(estimate.parts(8))["reserved"] == 0
    with pytest.raises(ValueError, match="host"):
        estimate.with_capacity("8 GB")


def test_on_the_host_the_loaded_model_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task = mlp_task(2048, optimizer="Adam")
    own = sum(p.nbytes for p in task.parameters)
    monkeypatch.setattr("nbtune.engine.memory.surroundings.resident_bytes", lambda: 300 * MIB + own)
    monkeypatch.setattr("nbtune.engine.memory.surroundings.free_bytes", lambda device: int(5.4 * own))
    estimate = estimate_memory(task)
    assert estimate.context_bytes == 300 * MIB
    assert estimate.fits(1)  # gradients, two moments and a temporary one beside what is there
    task.model(torch.randn(2, 64)).sum().backward()
    task.optimizer.step()  # now these are there too
    monkeypatch.setattr("nbtune.engine.memory.surroundings.resident_bytes", lambda: 300 * MIB + 4 * own)
    assert estimate_memory(task).context_bytes == pytest.approx(300 * MIB, abs=MIB)


def test_weights_that_were_never_written_to_do_not_lower_what_the_process_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = mlp_task(2048)
    monkeypatch.setattr("nbtune.engine.memory.surroundings.resident_bytes", lambda: 130 * MIB)
    assert estimate_memory(task).context_bytes == 128 * MIB


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"amp": torch.float64}, "amp must be"), ({"amp": True}, "amp must be"),
        ({"checkpointing": 2}, "checkpointing"),
        ({"device": "tpu"}, "device must be"), ({"optimizer": "Adamm"}, "optimizer must be one of"),
    ],
)  # fmt: skip
def test_a_plan_that_is_none_is_refused_in_words(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimate_memory(plain_task(), "8 GB", **wrong)


def test_what_is_no_task_and_what_has_no_shape_yet_is_told() -> None:
    with pytest.raises(TypeError, match="not Linear"):
        estimate_memory(nn.Linear(2, 2), "8 GB")  # type: ignore[arg-type]
    model = nn.LazyLinear(2)
    task = Task(
        model, torch.optim.SGD(model.parameters(), 0.1), CROSS_ENTROPY, (torch.randn(8, 4), torch.zeros(8).long())
    )
    with pytest.raises(ValueError, match="call it once with a batch first"):
        estimate_memory(task, "8 GB")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "8"])
def test_a_batch_size_is_a_whole_number_from_one(wrong: Any) -> None:
    with pytest.raises(ValueError, match="batch size"):
        estimate_memory(plain_task(), "8 GB").peak_bytes(wrong)


def test_the_repr_is_a_table_that_says_it_is_a_prediction() -> None:
    text = repr(estimate_memory(blocks_task(), "1 GB"))
    assert "1 GB card (predicted)" in text and "\n    512 " in text
