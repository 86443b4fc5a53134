"""Copies and backups are counted before they are made: what is done where the memory is short, and what is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tasks import blobs, everything, hard_task, plain_task
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from nbtune.engine import Task, estimate_curvature, find_lr
from nbtune.engine.comparison.compare import compare_batch_sizes
from nbtune.engine.device import host_fence
from nbtune.engine.learning_rate.race import run as race
from nbtune.engine.training import feeds, kept, room, workpiece
from nbtune.engine.training import trainer as trainer_module
from nbtune.engine.training.backup import Backup
from nbtune.engine.training.feeds import LoaderFeed
from nbtune.engine.training.holdings import state_bytes, training_bytes
from nbtune.engine.training.kept import InMemory, OnDisk
from nbtune.engine.training.loader_state import LoaderState
from nbtune.engine.training.room import HOST, Ledger, NotEnoughMemoryError
from nbtune.engine.training.trainer import Trainer

CARD = torch.device("cuda")
MIB = 2**20


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where files would be left behind: afterwards there is none. Pieces are small, so that there are several."""
    monkeypatch.setattr(kept.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(kept, "PIECE_BYTES", 48)
    monkeypatch.setattr(room, "LAST_BYTES", 0)
    yield tmp_path
    assert not [place for place in tmp_path.iterdir() if place.is_file()]


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little memory is free that a training step fits beside what is there, but no second model."""
    monkeypatch.setattr(room, "free_bytes", lambda device: 4000)


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.shutil, "disk_usage", full)


def full(folder: Any) -> Any:
    return type("Usage", (), {"free": 10})


def way_of(task: Task) -> str:
    with workpiece.borrowed(task) as lent:
        return "copy" if lent.is_copy else "disk" if lent.note else "memory"


@pytest.mark.parametrize(("times", "way"), [(None, "copy"), (100, "copy"), (5.5, "copy"), (4.5, "disk"), (1.0, "disk")])
def test_free_memory_decides_what_is_trained(monkeypatch: pytest.MonkeyPatch, times: float | None, way: str) -> None:
    task = plain_task()
    free = None if times is None else int(times * max(state_bytes(task), training_bytes(task)))
    monkeypatch.setattr(room, "free_bytes", lambda device: free)
    before = everything(task)
    assert way_of(task) == way and everything(task) == before


def test_a_model_that_cannot_be_copied_has_its_backup_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plain_task()
    task.parameters[0].register_hook(lambda grad: grad)
    assert way_of(task) == "memory"
    monkeypatch.setattr(room, "free_bytes", lambda device: 4 * state_bytes(task))
    assert way_of(task) == "disk"


@pytest.mark.parametrize("how", ["quick", "race", "repeats", "compare", "curvature"])
def test_where_neither_memory_nor_disk_has_room_the_tool_refuses_in_one_sentence(
    little: None, no_disk: None, how: str
) -> None:
    task = hard_task()
    before = everything(task)
    with pytest.raises(
        NotEnoughMemoryError, match=r"backup of your model's state takes .* free some memory, or set TMPD"
    ):
        run(how, task)
    assert everything(task) == before


def test_a_model_whose_gradients_alone_do_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plain_task()
    before = everything(task)
    monkeypatch.setattr(room, "free_bytes", lambda device: 39)
    with pytest.raises(NotEnoughMemoryError, match=r"a training step of this model takes .* alone, and .* are free: "):
        run("quick", task)
    assert everything(task) == before


def test_on_a_card_half_of_what_is_free_may_be_held_and_backups_count_on_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = {"cuda": 1000, "cpu": 1000}
    monkeypatch.setattr(room, "free_bytes", lambda device: free[device.type])
    ledger = Ledger()
    assert ledger.has_room(CARD, 500) and not ledger.has_room(CARD, 501)
    assert ledger.has_room(HOST, 200) and not ledger.has_room(HOST, 201)
    with ledger.holding(CARD, 300):
        free["cuda"] = 700
        assert ledger.spare_bytes(CARD) == 200 and ledger.spare_bytes(HOST) == 200
    free["cpu"] = 100
    assert room.keeper_for(20, ledger, "it").is_on_disk is False
    kept_there = room.keeper_for(21, ledger, "it")
    assert kept_there.is_on_disk
    kept_there.close()


def test_each_copy_counts_with_gradients_and_moments_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plain_task()
    state, training = state_bytes(task), training_bytes(task)
    assert state == training == 40
    task = plain_task()
    adam = Task(task.model, torch.optim.Adam(task.model.parameters()), task.loss_fn, blobs())
    assert training_bytes(adam) == 3 * training
    monkeypatch.setattr(room, "free_bytes", lambda device: 5 * 14 * (state + training) - 5 * training)
    assert workpiece.copies_at_once(task) == 14 and workpiece.copies_at_once(adam) == 7


def test_a_step_of_the_users_own_has_a_backup_beside_the_copy_that_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch over the first step keeps the user's model, and where two do not fit, it does so on disk."""
    begun: list[OnDisk] = []
    task = plain_task(loss_fn=None, training_step=lambda model, batch: model(batch[0]).square().mean())
    monkeypatch.setattr(room, "free_bytes", lambda device: 6 * state_bytes(task))
    monkeypatch.setattr(room, "OnDisk", lambda folder: begun.append(OnDisk(folder)) or begun[-1])
    before = everything(task)
    find_lr(task, mode="quick", steps=10, progress=False)
    assert len(begun) == 1 and everything(task) == before


def run(how: str, task: Task) -> Any:
    if how == "compare":
        return compare_batch_sizes(task, [8, 16], budget="64 samples", progress=False)
    if how == "curvature":
        return estimate_curvature(task, products=2)
    if how == "race":
        return find_lr(task, rates=4, progress=False)
    return find_lr(task, mode="quick", steps=12, repeats=2 if how == "repeats" else 1, progress=False)


@pytest.mark.parametrize("how", ["quick", "race", "repeats", "compare"])
def test_every_tool_leaves_all_as_it_was_with_a_backup_on_disk_and_says_so(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    task = hard_task()
    gradients = [p.grad for p in task.parameters]
    before = everything(task)
    monkeypatch.setattr(room, "free_bytes", lambda device: 4000)
    result = run(how, task)
    assert everything(task) == before
    assert all(p.grad is g for p, g in zip(task.parameters, gradients, strict=True))
    assert sum("with a backup on disk: " in caveat for caveat in result.caveats) == 1
    assert repr(result).count("with a backup on disk: ") == 1


def test_a_race_with_a_backup_on_disk_gives_the_same_losses_and_writes_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[OnDisk] = []
    together = find_lr(plain_task(), rates=4, progress=False)
    monkeypatch.setattr(room, "free_bytes", lambda device: 100)
    monkeypatch.setattr(room, "OnDisk", lambda folder: begun.append(OnDisk(folder)) or begun[-1])
    in_place = find_lr(plain_task(), rates=4, progress=False)
    assert [c.losses for c in in_place.candidates] == [c.losses for c in together.candidates] and len(begun) == 1
    assert in_place.suggestion == together.suggestion and "on disk" not in " ".join([*together.caveats, together.limit])


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("how", ["quick", "race", "compare"])
def test_an_error_or_an_interrupt_in_a_step_is_put_back_from_disk(
    little: None, how: str, fault: type[BaseException]
) -> None:
    steps = []

    def loss_fn(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 7:
            raise fault("here")
        return nn.functional.cross_entropy(outputs, targets)

    task = hard_task()
    task = Task(task.model, task.optimizer, loss_fn, task.loader)
    before = everything(task)
    with suppress(fault):
        run(how, task)
    assert len(steps) >= 7 and everything(task) == before


def test_an_interrupt_while_the_backup_is_written_or_read_waits_for_its_end(
    little: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("keep", "_write"):
        once = iter([True])
        original: Callable[..., Any] = getattr(OnDisk, name)

        def interrupted(self: Any, tensor: Any, once: Any = once, original: Any = original) -> Any:
            if next(once, False):
                signal.raise_signal(signal.SIGINT)
            return original(self, tensor)

        task = hard_task()
        before = everything(task)
        with monkeypatch.context() as patch:
            patch.setattr(OnDisk, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                run("quick", task)
        assert everything(task) == before


def test_an_interrupt_while_it_is_put_back_changes_nothing(little: None, monkeypatch: pytest.MonkeyPatch) -> None:
    task = hard_task()
    before = everything(task)
    original, once = kept._DiskCopy.into, iter([True])

    def interrupted(self: Any, tensor: torch.Tensor) -> None:
        if next(once, False):
            signal.raise_signal(signal.SIGINT)
        original(self, tensor)

    monkeypatch.setattr(kept._DiskCopy, "into", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("quick", task)
    assert everything(task) == before


def test_a_disk_that_is_full_after_all_is_told_as_such(little: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Any, piece: Any) -> None:
        raise OSError(28, "No space left on device")

    task = hard_task()
    before = everything(task)
    monkeypatch.setattr(OnDisk, "_write", refused)
    with pytest.raises(NotEnoughMemoryError, match=r"could not be written to disk: .* No space left"):
        run("race", task)
    assert everything(task) == before


@pytest.mark.filterwarnings("ignore:The data are an IterableDataset")
def test_a_disk_that_fills_up_ends_a_race_on_data_that_come_once_with_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tape of the batches grows while the race goes on."""
    monkeypatch.setattr(race, "copies_at_once", lambda task: 1)
    monkeypatch.setattr(feeds, "COUNTED_BYTES", 400)
    monkeypatch.setattr(room, "free_bytes", lambda device: 1500)
    written, original = [0], OnDisk._write

    def limited(self: OnDisk, piece: torch.Tensor) -> None:
        written[0] += piece.numel()
        if written[0] > 1500:
            raise OSError(28, "No space left on device")
        original(self, piece)

    monkeypatch.setattr(OnDisk, "_write", limited)
    task = plain_task(data=DataLoader(Stream(), 8))
    before = everything(task)
    found = find_lr(task, rates=4, progress=False)
    assert everything(task) == before and found.outcome == "stopped" and found.updates
    assert re.search(r"Ended early: .* could not be written to disk: .* No space left", " ".join(found.caveats))
    assert "Ended early: " in repr(found)


@pytest.mark.parametrize("fails", ["_write", "TemporaryFile"])
@pytest.mark.parametrize("how", ["quick", "race", "compare"])
def test_a_disk_that_is_full_is_told_as_such_of_what_preserve_names_too(
    little: None, monkeypatch: pytest.MonkeyPatch, how: str, fails: str
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    task = hard_task()
    average = Average(task.model)
    average.kept["more"] = torch.randn(2000)
    task = Task(task.model, task.optimizer, task.loss_fn, task.loader, preserve=average)
    before = everything(task)
    monkeypatch.setattr(*((OnDisk, fails) if fails == "_write" else (kept.tempfile, fails)), refused)
    with pytest.raises(NotEnoughMemoryError, match=r"could not be written to disk: .* No space left"):
        run(how, task)
    assert everything(task) == before


TENSORS = {
    "float32": torch.randn(7, 5), "float64": torch.randn(3, dtype=torch.float64), "half": torch.randn(40).half(),
    "bfloat16": torch.randn(5, 5).bfloat16(), "bool": torch.rand(99) > 0.5, "int64": torch.arange(20),
    "complex": torch.randn(9, dtype=torch.complex64), "one number": torch.tensor(3.5), "none": torch.empty(0, 3),
    "not finite": torch.tensor([float("nan"), float("inf"), -0.0, 0.0]), "transposed": torch.randn(6, 31).t(),
    "every other": torch.randn(40, 6)[::2, ::3],
    "channels last": torch.randn(2, 3, 5, 5).to(memory_format=torch.channels_last),
    "wide rows": torch.randn(2, 3, 50).permute(2, 1, 0), "expanded": torch.randn(3, 1).expand(3, 8),
    "conjugate": torch.randn(4, dtype=torch.complex64).conj(), "sparse": torch.eye(4).to_sparse(),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("is_changed", [True, False])
def test_what_is_kept_on_disk_comes_back_bit_for_bit(folder: Path, name: str, is_changed: bool) -> None:
    tensor = TENSORS[name]
    before = tensor.clone()
    keeper = OnDisk(folder)
    others = [keeper.keep(torch.randn(13)), keeper.keep(tensor), keeper.keep(torch.randn(100))]
    assert not list(folder.iterdir())  # it has no name
    if is_changed and name != "expanded":
        tensor.zero_()
    version = tensor._version
    others[1].into(tensor)
    made = others[1].made()
    for found in (tensor, made):
        assert found.dtype == before.dtype and torch.equal(bits_of(found), bits_of(before))
    if not is_changed and tensor.layout == torch.strided and name != "not finite":
        assert tensor._version == version
    keeper.close()


def bits_of(tensor: torch.Tensor) -> torch.Tensor:
    dense = tensor.to_dense().resolve_conj().contiguous().reshape(-1)
    return dense.view(torch.uint8) if dense.numel() else dense


@pytest.mark.parametrize("make", [InMemory, None])
def test_a_backup_puts_back_the_same_wherever_it_is(folder: Path, make: Any) -> None:
    task = hard_task()
    before = everything(task)
    keeper = InMemory() if make else OnDisk(folder)
    backup = Backup(task, keeper)
    backup.set_gradients_aside()
    for inputs, targets in task.loader:
        nn.functional.cross_entropy(task.model(inputs), targets).backward()
        task.optimizer.step()
    backup.put_back()
    backup.put_back()
    keeper.close()
    for name in ("model weights", " weights", " grads", " optimizer"):
        assert everything(task).get(name) == before.get(name)


class Average:
    """An EMA, as it may be named in ``preserve``."""

    def __init__(self, model: nn.Module) -> None:
        self.kept = {name: value.clone() for name, value in model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self.kept, "steps": [1, (2.5, "a")]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert state["steps"] == [1, (2.5, "a")]
        self.kept = {name: value.clone() for name, value in state["kept"].items()}


def test_what_preserve_names_is_counted_and_goes_to_disk_as_well(little: None) -> None:
    averages: list[Average] = []

    def training_step(model: nn.Module, batch: Any) -> torch.Tensor:
        for value in averages[0].kept.values():
            value.mul_(0)
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    task = hard_task()
    averages.append(Average(task.model))
    averages[0].kept["more"] = torch.randn(2000)
    task = Task(task.model, task.optimizer, None, task.loader, training_step=training_step, preserve=averages[0])
    before = everything(task)
    run("quick", task)
    assert everything(task) == before


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from zip(*blobs(), strict=True)


@pytest.mark.filterwarnings("ignore:The data are an IterableDataset")
def test_data_that_come_once_are_kept_on_disk_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[OnDisk] = []
    monkeypatch.setattr(race, "copies_at_once", lambda task: 1)
    expected = find_lr(plain_task(data=DataLoader(Stream(), 8)), rates=4, progress=False)
    monkeypatch.setattr(feeds, "COUNTED_BYTES", 400)
    monkeypatch.setattr(room, "free_bytes", lambda device: 1500)
    monkeypatch.setattr(room, "OnDisk", lambda folder: begun.append(OnDisk(folder)) or begun[-1])
    found = find_lr(plain_task(data=DataLoader(Stream(), 8)), rates=4, progress=False)
    assert begun and [c.losses for c in found.candidates] == [c.losses for c in expected.candidates]


def test_larger_batches_than_the_users_own_end_before_they_take_the_last_of_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The user's model with k = 8 is known to fit; with k = 64 its step would make 64 MiB in one operation."""
    monkeypatch.setattr(host_fence, "free_bytes", lambda device: 64 * MIB)

    def widened(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        wide = (outputs[:, None] * torch.ones(2**17, 1)).mean(1)
        return nn.functional.cross_entropy(wide, targets)

    def task() -> Task:
        return plain_task(loss_fn=widened).with_(batch_size=8)

    duel = compare_batch_sizes(task(), [8, 64], budget="64 samples", progress=False)
    assert [(row["batch_size"], row["outcome"]) for row in duel.table()] == [(8, "finished"), (64, "failed")]
    assert duel.curves[1].why == "out of memory."
    found = find_lr(task(), mode="quick", steps=10, batch_sizes=[8, 64], progress=False)
    assert found.ended == {64: "out of memory"} and list(found.curves) == [8]


def test_the_fence_works_out_what_an_operation_makes_before_it_is_made() -> None:
    layer, inputs = nn.Linear(8, 2**14), torch.randn(2**12, 8)
    made: list[int] = []
    layer.register_forward_hook(lambda *_: made.append(1))
    with pytest.raises(host_fence.HostFenceError), host_fence.HostFence(128 * MIB):
        layer(inputs)
    assert not made
    with host_fence.HostFence(128 * MIB):
        assert layer(inputs[:8]).sum().backward() is None


@pytest.mark.parametrize("how", ["quick", "race"])
def test_a_run_that_comes_near_the_limit_ends_with_what_it_has_and_says_so(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    left = [10**9]

    def loss_fn(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        left[0] -= 2 * 10**7  # somebody else takes it
        return nn.functional.cross_entropy(outputs, targets)

    monkeypatch.setattr(room, "free_bytes", lambda device: max(0, left[0]))
    monkeypatch.setattr(room, "LAST_BYTES", 2**24)
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(race, "SLICE_SECONDS", 0.0)
    task = hard_task()
    task = Task(task.model, task.optimizer, loss_fn, task.loader)
    before = everything(task)
    found = run(how, task) if how == "race" else find_lr(task, mode="quick", steps=100, progress=False)
    assert everything(task) == before
    assert found.outcome == "stopped" and 10 < found.updates <= 52
    said = [note for note in found.caveats if "Ended early: only " in note and "the system ends a kernel" in note]
    assert len(said) == 1 and f"Note: {said[0]}" in repr(found)


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_all_trainers_of_a_run_look_together_at_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A race has many, and where memory is short each begins anew for every round."""
    looks: list[int] = []
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    task = plain_task()
    with workpiece.held(task):
        for _ in range(5):
            with workpiece.lent(task) as lent:
                made = Trainer(task, lent, LoaderFeed(task.loader, LoaderState(task.loader)))
                with monkeypatch.context() as patch:
                    patch.setattr(room, "free_bytes", lambda device: looks.append(1) or 10**9)
                    made.step(0.1)
                    made.step(0.1)
                made.close()
        assert len(looks) == 1
        clock.now += room.LOOK_SECONDS
        with monkeypatch.context() as patch, workpiece.lent(task) as lent:
            made = Trainer(task, lent, LoaderFeed(task.loader, LoaderState(task.loader)))
            patch.setattr(room, "free_bytes", lambda device: looks.append(1) or 10**9)
            made.step(0.1)
            made.close()
    assert len(looks) == 2


def test_the_next_run_looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "time", Clock())
    for _ in range(2):
        looks: list[int] = []
        with trainer_module.trainer(plain_task()) as made, monkeypatch.context() as patch:
            patch.setattr(room, "free_bytes", lambda device, looks=looks: looks.append(1) or 10**9)
            made.step(0.1)
        assert len(looks) == 1


@pytest.mark.parametrize("most", [100, 1])
def test_the_fence_goes_around_the_first_step_of_a_race_alone(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Also where each rate begins anew for every round: it looks before each operation, which doubles a race."""
    entered: list[int] = []

    @contextmanager
    def fenced(device: torch.device) -> Iterator[None]:
        entered.append(1)
        yield

    monkeypatch.setattr(trainer_module, "fenced", fenced)
    monkeypatch.setattr(race, "copies_at_once", lambda task: most)
    found = find_lr(plain_task().with_(batch_size=8), rates=4, batch_sizes=[8, 64], progress=False)
    assert set(found.curves) == {8, 64} and len(entered) == 1
    assert any(step.is_replayed for step in found.curves[64].steps) == (most == 1)


class Layered(nn.Sequential):
    """Counts how many of its parameters somebody has asked for."""

    asked = 0

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        for parameter in super().parameters(recurse):
            type(self).asked += 1
            yield parameter


def test_what_a_run_holds_is_found_without_a_walk_through_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Layered(nn.Linear(4, 4), *(nn.Linear(4, 4) for _ in range(9)), nn.Linear(4, 2))
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, blobs())
    with workpiece.held(task):
        Layered.asked = 0
        ledger = workpiece.ledger_of(task)
        assert Layered.asked == 1 and ledger is workpiece.ledger_of(task)
        tied = Task(model[3], torch.optim.SGD(model[3].parameters(), 0.1), nn.functional.cross_entropy, blobs())
        assert workpiece.ledger_of(tied) is ledger
    assert workpiece.ledger_of(task) is not ledger


def test_what_a_copy_takes_is_counted_once_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    monkeypatch.setattr(workpiece, "gradient_bytes", lambda task: counted.append(1) or 40)
    task = plain_task()
    with workpiece.held(task), workpiece.lent(task) as lent:
        assert lent.is_copy and len(counted) == 1
        assert workpiece.ledger_of(task).held_bytes(HOST) == state_bytes(task) + 40


def test_an_estimate_of_the_curvature_without_room_for_its_vectors_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plain_task()
    assert estimate_curvature(task).limit_lr is not None
    monkeypatch.setattr(room, "free_bytes", lambda device: 30 * state_bytes(task))
    found = estimate_curvature(task)
    assert found.limit_lr is None and "11 vectors of" in found.reason and "of memory are free" in found.reason
    monkeypatch.setattr(room, "free_bytes", lambda device: 58 * state_bytes(task))
    assert estimate_curvature(task, products=12).products <= 4


def test_a_temporary_folder_in_memory_is_no_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert kept.folder_with(1000) == folder
    monkeypatch.setattr(kept, "is_in_memory", lambda place: place == folder)
    elsewhere = kept.folder_with(1000)
    assert elsewhere != folder and elsewhere in (Path("/var/tmp"), Path(os.getcwd()))
    monkeypatch.setattr(kept.shutil, "disk_usage", full)
    assert kept.folder_with(1000) is None


UNDER_A_LIMIT = """
import resource, sys, threading, torch, nbtune as nt
from pathlib import Path
from torch import nn
how, extra = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
model = nn.Sequential(nn.Linear(4, 3000), nn.ReLU(), nn.Linear(3000, 3000), nn.ReLU(), nn.Linear(3000, 2))
if how.endswith("in place"):
    model.lock = threading.Lock()
task = nt.Task(model, torch.optim.SGD(model.parameters(), 0.01), nn.functional.cross_entropy,
               (torch.randn(64, 4), torch.randint(2, (64,)))).with_(batch_size=4)
nn.functional.cross_entropy(model(torch.randn(4, 4)), torch.zeros(4).long()).backward()  # what is loaded late is loaded
task.optimizer.zero_grad()
before = [p.sum().item() for p in model.parameters()]
size = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize"))
limit = int(size.split()[1]) * 1024 + extra * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    if how.startswith("compare"):
        said = " ".join(nt.compare_batch_sizes(task, [4], budget="8 samples", progress=False).caveats)
    else:
        mode = "race" if how.startswith("race") else "quick"
        said = " ".join(nt.find_lr(task, mode=mode, steps=10, rates=4, max_seconds=2, progress=False).caveats)
    print("answered:", said)
except MemoryError as error:
    print("refused:", error)
assert before == [p.sum().item() for p in model.parameters()]
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="address space is counted on Linux alone")
@pytest.mark.slow
@pytest.mark.parametrize("how", ["race in place", "compare"])
@pytest.mark.parametrize(("extra", "expected"), [(75, "answered: .*backup on disk"), (20, "refused: a training step")])
def test_under_a_real_limit_of_the_address_space_tools_answer_or_refuse(how: str, extra: int, expected: str) -> None:
    """A model of 36 MB, whose training takes another 36 MB."""
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, how, str(extra)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(expected, done.stdout), done.stdout
