"""Tasks: every form of data and step, and wrong use told at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tasks import blobs, everything, hard_task, plain_task
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from nbtune.engine import LRCurve, LRSettings, Task, find_lr

CE = nn.functional.cross_entropy


def swept(task: Task, **changes: Any) -> LRCurve:
    return find_lr(task, LRSettings(mode="quick", steps=12), progress=False, **changes)


def test_a_pair_of_arrays_a_dataset_and_a_loader_give_batches_of_the_same_shape() -> None:
    inputs, targets = blobs()
    for data in (
        (inputs.numpy(), targets.numpy()),
        TensorDataset(inputs, targets),
        DataLoader(TensorDataset(inputs, targets), 32),
    ):
        task = plain_task(data=data)
        assert task.batch_size == 32 and next(iter(task.loader))[0].shape == (32, 4)


def test_a_dataset_is_shuffled_without_drawing_global_numbers() -> None:
    task = plain_task(data=TensorDataset(*blobs()))
    before = torch.get_rng_state()
    list(task.loader)
    assert torch.equal(before, torch.get_rng_state())


def test_data_shorter_than_the_sweep_begin_again() -> None:
    task = plain_task(data=blobs(samples=10))
    assert len(swept(task).steps) >= 10 and task.batch_size == 10


def test_with_batch_size_rebuilds_the_loader_around_the_same_dataset() -> None:
    task = hard_task()
    other = task.with_(batch_size=8)
    assert (other.batch_size, task.batch_size) == (8, 16)
    assert other.loader.dataset is task.loader.dataset and other.loader.sampler is task.loader.sampler
    assert other.with_(accumulate=4).samples_per_update == 32
    assert plain_task().with_(batch_size=8).with_(batch_size=4).batch_size == 4


def test_with_batch_size_says_why_a_loader_of_ones_own_cannot_be_rebuilt() -> None:
    loader = DataLoader(TensorDataset(*blobs()), batch_sampler=[[0, 1], [2, 3]])
    with pytest.raises(ValueError, match="batch_sampler of its own"):
        plain_task(data=loader).with_(batch_size=8)
    with pytest.raises(ValueError, match="made elsewhere"):
        plain_task(data=[blobs()]).with_(batch_size=8)


def test_dict_batches_go_through_training_step() -> None:
    batches = [{"x": x, "y": y} for x, y in [blobs(seed=s) for s in range(4)]]
    task = plain_task(loss_fn=None, data=batches, training_step=lambda model, batch: CE(model(batch["x"]), batch["y"]))
    assert swept(task).losses[0] == pytest.approx(CE(task.model(batches[0]["x"]), batches[0]["y"]).item())


def test_a_model_whose_output_carries_the_loss_needs_no_loss_fn() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(loss=CE(self.linear(x), labels))

    model = Wrapped()
    x, y = blobs()
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), data=[{"x": x, "labels": y}])
    assert swept(task).losses[0] == pytest.approx(model(x, y).loss.item())


def test_a_gan_updates_through_its_own_function_and_keeps_its_ratio_of_rates() -> None:
    models = {"g": nn.Linear(2, 4), "d": nn.Linear(4, 1)}
    optimizers = {
        "g": torch.optim.Adam(models["g"].parameters(), 1e-3),
        "d": torch.optim.Adam(models["d"].parameters(), 4e-3),
    }
    rates = []

    def update(models: Any, optimizers: Any, batch: Any) -> dict[str, torch.Tensor]:
        rates.append((optimizers["g"].param_groups[0]["lr"], optimizers["d"].param_groups[0]["lr"]))
        real, fake = batch[0], models["g"](torch.randn(len(batch[0]), 2))
        optimizers["d"].zero_grad()
        d_loss = (models["d"](fake.detach()) - models["d"](real)).mean()
        d_loss.backward()
        optimizers["d"].step()
        optimizers["g"].zero_grad()
        g_loss = -models["d"](fake).mean()
        g_loss.backward()
        optimizers["g"].step()
        return {"d": d_loss, "g": g_loss}

    task = Task(models, optimizers, data=blobs(), update=update)
    before = everything(task)
    curve = swept(task)
    assert all(d == pytest.approx(4 * g) for g, d in rates) and rates[0][0] == pytest.approx(1e-5)
    assert everything(task) == before and curve.steps


def test_lbfgs_steps_through_update() -> None:
    model = nn.Linear(4, 2)

    def update(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> dict[str, Any]:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = CE(model(batch[0]), batch[1])
            loss.backward()
            return loss

        return {"loss": optimizer.step(closure)}

    task = Task(model, torch.optim.LBFGS(model.parameters(), 0.1), data=blobs(), update=update)
    before = everything(task)
    assert swept(task).steps and everything(task) == before


def test_groups_keep_their_ratios_in_the_sweep_and_in_apply() -> None:
    task = hard_task()
    task.set_lr(0.05)
    assert [g["lr"] for g in task.optimizer.param_groups] == pytest.approx([0.05, 0.5])
    assert task.lr == pytest.approx(0.05)


def test_amp_and_accumulation_give_nearly_the_losses_of_the_plain_step() -> None:
    plain = swept(plain_task())
    for amp in (torch.bfloat16, torch.float16):
        assert swept(plain_task(amp=amp)).losses[0] == pytest.approx(plain.losses[0], rel=0.02)
    halves = swept(plain_task().with_(batch_size=16, accumulate=2))
    assert halves.losses[:5] == pytest.approx(plain.losses[:5], rel=1e-4) and halves.batch_size == 32


def test_a_loss_module_with_parameters_is_copied_with_the_model() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return CE(output * self.scale, target)

    model, loss_fn = nn.Linear(4, 2), Scaled()
    task = Task(model, torch.optim.SGD([*model.parameters(), *loss_fn.parameters()], 0.1), loss_fn, blobs())
    before = loss_fn.scale.item()
    assert swept(task, lr_max=1.0).steps and loss_fn.scale.item() == before


def test_an_iterable_dataset_says_that_it_cannot_be_rewound() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Any:
            return iter(zip(*blobs(), strict=True))

    task = plain_task(data=Stream())
    assert "IterableDataset" in task.caveats[0]
    with pytest.warns(UserWarning, match="cannot rewind"):
        swept(task)


def test_the_default_device_of_the_caller_holds_in_the_step() -> None:
    task = plain_task(loss_fn=lambda output, target: CE(output, target) + torch.zeros(()).to("cpu"))
    assert swept(task).steps


class Empty(Dataset):
    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": None}, TypeError, "data is missing"),
        ({"data": Empty()}, ValueError, "0 samples"),
        ({"data": (torch.zeros(0, 4), torch.zeros(0))}, ValueError, "empty"),
        ({"data": (torch.zeros(3, 4), torch.zeros(2))}, ValueError, "as many samples"),
        ({"data": []}, ValueError, "yields no batch"),
        ({"data": 3}, TypeError, "must be a DataLoader"),
        ({"data": DataLoader(TensorDataset(torch.zeros(3, 4)), 8, drop_last=True)}, ValueError, "drop_last=False"),
        ({"loss_fn": blobs()}, TypeError, "data is the fourth argument"),
        ({"loss_fn": nn.CrossEntropyLoss}, TypeError, r"write CrossEntropyLoss\(\)"),
        ({"training_step": CE}, ValueError, "give one of"),
        ({"amp": torch.float64}, ValueError, "bfloat16"),
        ({"accumulate": 0}, ValueError, "accumulate"),
        ({"preserve": [3]}, TypeError, "state_dict"),
        ({"device": "cuda"}, ValueError, "the model is on cpu"),
        ({"device": "x"}, ValueError, "one that torch knows"),
        ({"device": 2.5}, ValueError, "one that torch knows"),
    ],
)
def test_wrong_arguments_are_told_at_once(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plain_task(**changes)


def test_arguments_in_each_others_place_are_told_with_their_order() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    order = r"the order is Task\(model, optimizer, loss_fn, data\)"
    for arguments in (
        (model, nn.CrossEntropyLoss(), optimizer, blobs()), (optimizer, model, CE, blobs()),
        (model, optimizer, blobs(), CE), (model, model.parameters(), CE, blobs()),
        (model, blobs(), optimizer, CE),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=order):
            Task(*arguments)
    with pytest.raises(TypeError, match=f"loss_fn must be callable, not SGD.*{order}"):
        Task(model, optimizer, optimizer, blobs())


def test_an_optimizer_of_another_model_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="holds none of the model's trainable parameters"):
        Task(nn.Linear(4, 2), torch.optim.SGD(nn.Linear(4, 2).parameters(), 0.1), CE, blobs())


def test_a_layer_replaced_after_the_optimizer_was_built_is_warned_of() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[1] = nn.Linear(4, 2)
    with pytest.warns(UserWarning, match="was a layer replaced"):
        Task(model, optimizer, CE, blobs())


def test_a_model_without_anything_to_train_is_told_at_once() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="frozen"):
        Task(model, optimizer, CE, blobs())


def test_lbfgs_without_update_and_parameters_on_meta_are_told_at_once() -> None:
    model = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="closure"):
        Task(model, torch.optim.LBFGS(model.parameters()), CE, blobs())
    with pytest.warns(UserWarning, match="meta"):
        Task(model.to("meta"), torch.optim.SGD(model.parameters(), 0.1), CE, blobs())
    mixed = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2, device="meta"))
    with pytest.raises(ValueError, match="several devices"):
        Task(mixed, torch.optim.SGD(mixed.parameters(), 0.1), CE, blobs())


@pytest.mark.parametrize(
    ("loss_fn", "error", "message"),
    [
        (lambda o, y: CE(o, y, reduction="none"), ValueError, r"shape \(32,\)"),
        (lambda o, y: CE(o.detach(), y), ValueError, "no graph"),
        (lambda o, y: CE(o, y).item(), TypeError, "leave .item"),
    ],
)
def test_a_wrong_loss_is_told_at_the_first_step(loss_fn: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        swept(plain_task(loss_fn=loss_fn))


def test_shapes_that_do_not_fit_keep_their_own_error_with_the_batch_in_a_note() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2") as caught:
        swept(plain_task(data=(torch.zeros(64, 5), torch.zeros(64).long())))
    assert caught.value.__notes__ == ["nbtune: the batch was (32, 5) float32, (32,) int64"]


def test_batches_of_another_form_than_loss_fn_needs_are_told() -> None:
    with pytest.raises(TypeError, match="give training_step"):
        swept(plain_task(data=[{"x": blobs()[0]}]))


def test_what_is_no_task_or_no_settings_is_told_by_name() -> None:
    with pytest.raises(TypeError, match=r"nbtune\.Task"):
        find_lr(nn.Linear(4, 2))
    with pytest.raises(TypeError, match="LRSettings"):
        find_lr(plain_task(), 1e-5)


def test_a_warm_up_that_begins_at_zero_keeps_the_groups_ratios() -> None:
    task = hard_task()
    torch.optim.lr_scheduler.LambdaLR(task.optimizer, lambda step: min(1.0, step / 10))
    with pytest.warns(UserWarning, match="a scheduler holds"):
        task.set_lr(0.05)
    assert [g["lr"] for g in task.optimizer.param_groups] == pytest.approx([0.05, 0.5])


def test_validation_data_without_a_batch_are_told() -> None:
    with pytest.raises(ValueError, match="no batch"):
        swept(plain_task(), validation=iter(()))


def test_a_smaller_batch_size_does_not_stand_in_the_way_of_a_larger_one() -> None:
    with pytest.warns(UserWarning, match="batch_size = 128 is .* 16 samples; each batch holds them all"):
        task = plain_task(data=blobs(16)).with_(batch_size=8).with_(batch_size=128)
    assert [len(targets) for _, targets in task.loader] == [16]
    with pytest.warns(UserWarning, match="batch_size = 5000 is more than the data have: 442 samples"):
        assert plain_task(data=blobs(442)).with_(batch_size=5000).batch_size == 442
