"""One of several devices: what it holds, what it gathers and sends, and that nothing is traced for it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import MasterAdam, bare_blocks, perceptron
from torch import nn
from zoo import DenseNet, optimizer_of, stacked

import nbtune as nt
from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, NotPredictableError, estimate_memory
from nbtune.engine.memory.blocks import blocks_of
from nbtune.engine.memory.rehearsal.recording import Allocation
from nbtune.engine.memory.sharding.plan import KINDS
from nbtune.engine.memory.sharding.shares import bucket_sizes, held_by_fullest, share_bytes

GATHERED = ("zero2", "full")
LARGE = 2**14
MIB = 2**20


def cross_entropy(output: Any, wanted: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(output, wanted)


def blocks_task(width: int = 256, optimizer: str = "AdamW", **changes: Any) -> Task:
    torch.manual_seed(0)
    model, sample, _ = perceptron(width)
    return Task(model, optimizer_of(optimizer, model), cross_entropy, [stacked(sample, 2)], **changes)


@cache
def alone(width: int = 256, device: str = "cuda") -> MemoryEstimate:
    return estimate_memory(blocks_task(width), "8 GB" if device == "cuda" else None, device=device)


def peak(estimate: MemoryEstimate, k: int = 4) -> int:
    return estimate.peak_bytes(k) - estimate.context_bytes


def numel(estimate: MemoryEstimate) -> int:
    return sum(p.numel() for p in estimate.task.parameters)


# --- what is held -----------------------------------------------------------------------------------------------------


@cache
def of_the_paper(count: int, width: int) -> MemoryEstimate:
    model = bare_blocks(count, width)
    data = tuple(torch.zeros(4, width, dtype=torch.bfloat16) for _ in range(2))
    with pytest.warns(UserWarning, match="meta"):
        task = Task(model, MasterAdam(model.parameters()), nn.functional.mse_loss, data)
    return estimate_memory(task, "A100 80")


@pytest.mark.parametrize(
    ("kind", "per_parameter"),
    [("none", 2 + 2 + 12), ("zero1", 2 + 2 + 12 / 8), ("full", 16 / 8)],
)  # fmt: skip
def test_each_stage_divides_what_the_paper_says(kind: str, per_parameter: float) -> None:
    estimate = of_the_paper(16, 256)
    sizes = estimate.among(8, kind).breakdown(1)
    kept = sizes["parameters"] + sizes["gradients"] + sizes["optimizer"]
    # The last gradients of all come back only when the peak is over.
    assert kept == pytest.approx(per_parameter * numel(estimate), rel=0.02 if kind == "full" else 1e-6)


def test_the_second_stage_keeps_all_parameters_while_it_computes() -> None:
    estimate = of_the_paper(16, 256)
    sizes = estimate.among(8, "zero2").breakdown(LARGE)
    assert sizes["parameters"] == (2 + 2 / 8) * numel(estimate) and sizes["optimizer"] == 12 / 8 * numel(estimate)
    assert sizes["gradients"] <= 2 / 8 * numel(estimate)


@pytest.mark.slow
def test_the_papers_own_figures_of_seven_and_a_half_billion_parameters() -> None:
    estimate = of_the_paper(224, 2048)
    told = {"none": 120, "zero1": 31.4, "zero2": 16.6, "full": 1.9}
    for kind, size in told.items():
        sizes = estimate.among(64, kind).breakdown(1)
        kept = sizes["parameters"] + sizes["gradients"] + sizes["optimizer"]
        assert kept / 1e9 == pytest.approx(size, rel=0.02), kind
    assert not estimate.among(64).fits(1) and estimate.among(64, "full").largest_batch_size() >= 1024


@pytest.mark.parametrize("devices", [2, 3, 7, 1000])
def test_rows_that_cannot_be_divided_evenly_are_filled_up(devices: int) -> None:
    estimate = alone(255, "cpu")
    rows = sum(-(-p.shape[0] // devices) * p[0].numel() for p in estimate.task.parameters)
    sizes = estimate.among(devices, "full").breakdown(1)
    assert sizes["parameters"] == 4 * rows and sizes["optimizer"] == 8 * rows


def test_a_number_stays_whole() -> None:
    assert share_bytes(Allocation((), 4, "parameters", "forward", -1, ""), 8) == 4


@pytest.mark.parametrize("k", [1, 4, LARGE])
def test_the_more_is_divided_the_less_one_device_takes(k: int) -> None:
    peaks = [peak(alone().among(8, kind), k) for kind in KINDS]
    assert peaks == sorted(peaks, reverse=True) and peaks[0] > peaks[3]
    assert peaks[0] > peak(alone(), k)


def test_what_is_not_divided_is_as_on_one_device() -> None:
    one, many = alone().breakdown(4), alone().among(8).breakdown(4)
    assert {**many, "temporary": 0} == {**one, "temporary": 0}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changes", [{}, {"accumulate": 3}, {"amp": torch.bfloat16}])
def test_after_a_step_only_its_own_parts_are_left(kind: str, changes: dict[str, Any]) -> None:
    task = blocks_task(**changes)
    estimate = estimate_memory(task, device="cpu", devices=4, sharding=kind)
    size = 4 * sum(p.numel() for p in task.parameters)
    held = {"none": 5 * size, "zero1": 3 * size + 2 * size / 4, "zero2": size, "full": size}[kind]
    timeline = estimate.timeline(8)
    assert timeline.allocated_bytes[-1] - timeline.context_bytes == pytest.approx(held, rel=0.01)


# --- what is gathered and sent ----------------------------------------------------------------------------------------


def test_a_block_is_gathered_twice_forward_and_its_copy_goes() -> None:
    estimate = alone(device="cpu").among(4, "full")
    block = sum(p.nbytes for p in estimate.task.model.blocks[0].parameters())
    rest = sum(p.nbytes for p in estimate.task.parameters) - 6 * block
    timeline = estimate.timeline(1)
    forward = max(timeline.allocated_bytes[slice(*timeline.phases[0][1:])]) - timeline.context_bytes
    kept = sum(estimate.breakdown(1)[part] for part in ("parameters", "optimizer"))
    # Two buffers and the copied-out parameters of one block, beside the root, which stays.
    assert forward - kept == pytest.approx(3 * block + rest, rel=0.02)


def test_without_blocks_the_model_is_gathered_whole_and_that_is_said() -> None:
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10))
    task = Task(model, optimizer_of("SGD", model), cross_entropy, (torch.randn(8, 64), torch.zeros(8).long()))
    estimate = estimate_memory(task, device="cpu", devices=2, sharding="full")
    assert any("no list of blocks" in caveat for caveat in estimate.caveats)
    assert estimate.breakdown(1)["temporary"] >= 2 * sum(p.nbytes for p in model.parameters())


@pytest.mark.parametrize(("make", "paths"), [
    (lambda: DenseNet((2, 2, 1, 1)), ["features.4", "features.9", "features.14", "features.19"]),
    (lambda: perceptron()[0], [f"blocks.{i}" for i in range(6)]),
    (lambda: nn.Sequential(*perceptron()[0].blocks), [str(i) for i in range(6)]),
    (lambda: nn.Transformer(32, 2, 1, 2, 64, batch_first=True), ["encoder.layers.0", "decoder.layers.0",
                                                                 "decoder.layers.1"]),
])  # fmt: skip
def test_blocks_are_found_by_their_paths(make: Any, paths: list[str]) -> None:
    model = make()
    assert list(blocks_of(model)) == paths
    assert all(model.get_submodule(path) is block for path, block in blocks_of(model).items())


def test_buckets_are_those_of_pytorch() -> None:
    torch.manual_seed(0)
    lengths = [int(n) for n in torch.randint(1, 3_000_000, (60,))]
    tensors = [torch.empty(n, dtype=torch.bfloat16 if n % 3 == 0 else torch.float32) for n in lengths]
    allocations = [Allocation(tuple(t.shape), t.element_size(), "gradients", "backward", -1, "") for t in tensors]
    found, _ = torch.distributed._compute_bucket_assignment_by_size(tensors, [MIB, 25 * MIB])
    real = [sum(tensors[i].nbytes for i in bucket) for bucket in found]
    assert sorted(bucket_sizes(allocations, MIB, 25 * MIB)) == sorted(real)


def test_the_state_goes_to_devices_by_whole_parameters() -> None:
    assert held_by_fullest({0: 100, 1: 10, 2: 10, 3: 10}, 2) == {0}
    assert held_by_fullest(dict.fromkeys(range(8), 5), 4) in [{i, i + 4} for i in range(4)]


# --- everything else works with it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_all_questions_are_answered(kind: str) -> None:
    estimate = estimate_memory(blocks_task(), "1 GB", devices=8, sharding=kind)
    assert (estimate.devices, estimate.sharding) == (8, kind)
    largest = estimate.largest_batch_size(power_of_two=False)
    assert estimate.fits(largest) and not estimate.fits(largest + 1)
    assert estimate.fits_with_retries(largest) and not estimate.fits_with_retries(4 * largest)
    assert max(estimate.timeline(8).reserved_bytes) == estimate.peak_bytes(8) == sum(s for _, s in estimate.parts(8))
    assert estimate.layers(8) and estimate.modules(8)
    assert "8 devices" in repr(estimate)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_finds_only_the_parts_that_training_left(kind: str) -> None:
    one, many = alone(device="cpu").evaluation(), alone(device="cpu").among(4, kind).evaluation()
    before = sum(one.breakdown(1)[part] for part in ("gradients", "optimizer"))
    kept = sum(many.breakdown(1)[part] for part in ("gradients", "optimizer"))
    share = {"none": 1, "zero1": 1.5 / 3}.get(kind, 1 / 4)
    assert kept == pytest.approx(share * before, rel=0.02)
    assert many.timeline(1).peak_phase == "forward"


@pytest.mark.parametrize("kind", GATHERED)
def test_checkpointing_and_division_go_together(kind: str) -> None:
    task = blocks_task()
    plain, again = (
        estimate_memory(task, "8 GB", checkpointing=on, devices=4, sharding=kind) for on in (None, True)
    )  # fmt: skip
    assert peak(again, LARGE) < peak(plain, LARGE)
    assert again.breakdown(1)["optimizer"] == plain.breakdown(1)["optimizer"]


@pytest.mark.parametrize("kind", KINDS)
def test_accumulation_and_division_may_be_asked_for_in_any_order(kind: str) -> None:
    accumulated = alone().accumulating().among(4, kind)
    assert peak(alone().among(4, kind).accumulating(), 512) == peak(accumulated, 512)
    assert peak(accumulated, 512) >= peak(alone().among(4, kind), 512)


def test_a_changed_plan_stays_divided() -> None:
    changed = alone().among(4, "full").changed(optimizer="SGD")
    assert (changed.devices, changed.sharding) == (4, "full")
    assert changed.breakdown(1)["optimizer"] == 0
    assert changed.breakdown(1)["parameters"] == alone().among(4, "full").breakdown(1)["parameters"]


def test_nothing_is_traced_for_it() -> None:
    estimate = alone()
    kept = pickle.loads(pickle.dumps(estimate))  # without its task, nothing can be traced
    for kind in KINDS:
        assert peak(kept.among(8, kind)) == peak(estimate.among(8, kind))
    assert peak(pickle.loads(pickle.dumps(estimate.among(8, "full")))) == peak(estimate.among(8, "full"))
    assert peak(estimate.among(8, "full").among(1)) == peak(estimate)


def test_models_of_a_dictionary_are_divided_each_by_itself() -> None:
    models = {"one": perceptron(64)[0], "two": perceptron(128)[0]}
    optimizers = {name: optimizer_of("Adam", model) for name, model in models.items()}

    def update(models: Any, optimizers: Any, batch: Any) -> dict[str, Any]:
        losses = {name: nn.functional.cross_entropy(model(batch[0]), batch[1]) for name, model in models.items()}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        return {name: loss.detach() for name, loss in losses.items()}

    task = Task(models, optimizers, data=(torch.randn(8, 64), torch.zeros(8).long()), update=update)
    estimate = estimate_memory(task, device="cpu", devices=4, sharding="full")
    size = 4 * sum(p.numel() for p in task.parameters)
    assert estimate.breakdown(2)["parameters"] == pytest.approx(size / 4, rel=0.01)
    assert estimate.breakdown(2)["optimizer"] == pytest.approx(2 * size / 4, rel=0.01)


# --- words and errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "words"), [
    ("none", "25 MB"), ("none", "gradient_as_bucket_view"), ("zero1", "whole parameters"),
    ("zero2", "reshard_after_forward=False"), ("full", "6 blocks, such as blocks.0"), ("full", "NCCL"),
])  # fmt: skip
def test_what_is_assumed_is_said(kind: str, words: str) -> None:
    assert any(words in caveat for caveat in alone().among(8, kind).caveats)
    assert not any(words in caveat for caveat in alone().caveats)


def test_precision_and_accumulation_are_said_where_they_matter() -> None:
    task = blocks_task(amp=torch.bfloat16, accumulate=2)
    caveats = estimate_memory(task, "8 GB", devices=2, sharding="full").caveats
    assert any("MixedPrecisionPolicy" in caveat for caveat in caveats) and any(
        "no_sync" in caveat for caveat in caveats
    )


@pytest.mark.parametrize(("asked", "words"), [
    ({"devices": 0}, "devices must be a whole number from 1 up, not 0"),
    ({"devices": -2, "sharding": "full"}, "devices must be"), ({"devices": 2.0}, "devices must be"),
    ({"devices": True}, "devices must be"), ({"devices": "2"}, "devices must be"), ({"devices": 10**6}, "at most"),
    ({"sharding": "full"}, "say how many"), ({"sharding": "zero1", "devices": 1}, "say how many"),
    ({"devices": 4, "sharding": "zero3"}, "sharding must be"), ({"devices": 4, "sharding": True}, "sharding must be"),
    ({"capacity": "2x A100", "devices": 4}, "names 2 cards"), ({"capacity": "0x A100"}, "no card at all"),
])  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_traced(asked: dict[str, Any], words: str) -> None:
    def never(model: Any, batch: Any) -> None:
        raise AssertionError("it was traced")

    task = blocks_task()
    stuck = Task(task.model, task.optimizer, data=task.loader, training_step=never)
    with pytest.raises(ValueError, match=words):
        estimate_memory(stuck, **{"capacity": "8 GB", **asked})


def test_a_capacity_below_the_context_is_said_for_each_device() -> None:
    estimate = estimate_memory(blocks_task(), "2x 500 MB", sharding="full")
    assert estimate.devices == 2 and estimate.largest_batch_size() == 0
    assert any("Nothing fits" in caveat for caveat in estimate.caveats)


def test_cards_that_are_named_together_train_together() -> None:
    pair = estimate_memory(blocks_task(), "2x A100")
    assert (pair.devices, pair.sharding, pair.capacity_name) == (2, "none", "A100 40")
    assert estimate_memory(blocks_task(), "2x A100", devices=2, sharding="full").sharding == "full"
    four = pair.with_capacity("4x T4")
    assert four.devices == 4 and pair.with_capacity("T4").devices == 1
    assert alone().among(8, "full").with_capacity("T4").devices == 8


# --- tasks that are wrapped -------------------------------------------------------------------------------------------


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A group of one process."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def wrapped_task(wrap: Any, optimizer: Any = torch.optim.AdamW) -> Task:
    model, sample, _ = perceptron()
    model = wrap(model)
    return Task(model, optimizer(model.parameters()), cross_entropy, [stacked(sample, 2)])


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrapped_model_is_estimated_as_what_it_wraps(kind: str) -> None:
    wrapped = estimate_memory(wrapped_task(nn.parallel.DistributedDataParallel), "8 GB", devices=4, sharding=kind)
    assert wrapped.method == "meta" and peak(wrapped) == peak(alone().among(4, kind))


@pytest.mark.usefixtures("group")
def test_the_buckets_of_a_wrapper_are_there_in_a_group_of_one() -> None:
    estimate = estimate_memory(wrapped_task(nn.parallel.DistributedDataParallel), "8 GB")
    assert estimate.devices == 1 and peak(estimate) == peak(alone().among(2))


@pytest.mark.usefixtures("group")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_an_optimizer_of_zero_redundancy_is_one_whose_state_is_divided() -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    def divided(parameters: Any) -> Any:
        return ZeroRedundancyOptimizer(parameters, torch.optim.AdamW, lr=1e-3)

    estimate = estimate_memory(wrapped_task(nn.parallel.DistributedDataParallel, divided), "8 GB", devices=4)
    assert estimate.sharding == "zero1" and estimate.method == "meta"
    assert estimate.breakdown(4)["optimizer"] == alone().among(4, "zero1").breakdown(4)["optimizer"]


@pytest.mark.usefixtures("group")
def test_a_sharded_model_is_refused_in_a_sentence() -> None:
    from torch.distributed.fsdp import fully_shard

    with pytest.raises(NotPredictableError, match=r"sharded already \(fully_shard\).*sharding=\"full\""):
        nt.estimate_memory(wrapped_task(fully_shard), "8 GB")


def test_a_name_alone_says_nothing() -> None:
    class FSDPParallelThing(nn.Sequential):
        pass

    model = FSDPParallelThing(nn.Linear(8, 8))
    task = Task(model, optimizer_of("SGD", model), nn.functional.mse_loss, (torch.zeros(8, 8), torch.zeros(8, 8)))
    assert estimate_memory(task, "8 GB").caveats == () and estimate_memory(task, "8 GB").devices == 1


def test_data_parallel_is_named() -> None:
    estimate = estimate_memory(wrapped_task(nn.DataParallel), "8 GB")
    assert estimate.devices == 1 and any(caveat.startswith("DataParallel") for caveat in estimate.caveats)
