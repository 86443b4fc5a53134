"""Real objects of other libraries: Hugging Face models and batches, Accelerate's wrapped optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tasks import blobs, everything
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbtune import estimate_memory
from nbtune.engine import LRSettings, Task, find_lr

SHORT = LRSettings(mode="quick", steps=15, lr_min=1e-5, lr_max=1e-2)


@pytest.fixture(scope="module")
def bert() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=2
    )
    return transformers.BertForSequenceClassification(config)


def test_a_hugging_face_model_gives_its_own_loss_for_batch_encodings(bert: Any) -> None:
    from transformers import BatchEncoding

    tokens = torch.randint(0, 50, (8, 4, 6), generator=torch.Generator().manual_seed(0))
    batches = [
        BatchEncoding({"input_ids": t, "attention_mask": torch.ones_like(t), "labels": t[:, 0] % 2}) for t in tokens
    ]
    task = Task(bert, torch.optim.AdamW(bert.parameters(), 1e-4), data=batches)
    before = everything(task)
    curve = find_lr(task, SHORT, progress=False)
    assert 0.3 < curve.losses[0] < 1.5
    assert everything(task) == before


def test_an_accelerate_loop_runs_through_update() -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    loader = DataLoader(TensorDataset(*blobs()), 16)
    model, optimizer, loader = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.1), loader)

    def update(model: nn.Module, optimizer: Any, batch: Any) -> dict[str, torch.Tensor]:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        accelerator.backward(loss)
        optimizer.step()
        return {"loss": loss}

    task = Task(model, optimizer, data=loader, update=update)
    before = everything(task)
    curve = find_lr(task, LRSettings(mode="quick", steps=15, lr_min=1e-3, lr_max=1), progress=False)
    assert curve.losses[-1] < curve.losses[0]  # it did train
    assert everything(task) == before


def prepared(shuffle: bool = True) -> tuple[Any, Any, Any]:
    accelerate = pytest.importorskip("accelerate")
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    loader = DataLoader(TensorDataset(*blobs()), 16, shuffle=shuffle)
    return accelerate.Accelerator(cpu=True).prepare(model, torch.optim.AdamW(model.parameters(), 1e-3), loader)


CE = nn.functional.cross_entropy


def test_a_scheduler_on_a_prepared_optimizer_changes_no_answer() -> None:
    model, optimizer, loader = prepared()
    task = Task(model, optimizer, CE, loader)
    before = find_lr(task, progress=False)
    torch.optim.lr_scheduler.StepLR(optimizer, 10)
    state = everything(task)
    after = find_lr(task, progress=False)
    assert after.suggestion == before.suggestion is not None
    assert everything(task) == state


def test_a_prepared_loader_is_shuffled_and_cut_anew() -> None:
    model, optimizer, loader = prepared()
    task = Task(model, optimizer, CE, loader)
    assert task.data_form == "96 samples, batches of 16, shuffled"
    curve = find_lr(task, LRSettings(mode="quick", steps=30, repeats=3), progress=False)
    first = [{step.repeat: step.loss for step in curve.steps if step.index == index} for index in range(3)]
    assert all(len(set(losses.values())) == 3 for losses in first)  # three orders, not one
    assert task.with_(batch_size=8).batch_size == 8
    in_order = Task(model, optimizer, CE, prepared(shuffle=False)[2])
    assert in_order.data_form == "96 samples, batches of 16, in order"
    with pytest.raises(ValueError, match="repeats needs data that are shuffled"):
        find_lr(in_order, repeats=2, progress=False)


def test_a_run_leaves_the_order_of_a_prepared_loader_alone() -> None:
    orders = []
    for does_tune in (False, True):
        model, optimizer, loader = prepared()
        next(iter(loader))
        if does_tune:
            find_lr(Task(model, optimizer, CE, loader), progress=False)
        orders.append(torch.cat([inputs for inputs, _ in loader]))
    assert torch.equal(*orders)


# Deprecated is not gone: such models are brought all the same.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("form", ["script", "trace", "a part"])
def test_a_torchscript_model_is_tuned_and_estimated_as_its_source_is(form: str) -> None:
    def net() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def task_of(model: nn.Module) -> Task:
        return Task(model, torch.optim.SGD(model.parameters(), 0.1), CE, blobs())

    made: dict[str, Any] = {
        "script": torch.jit.script, "trace": lambda model: torch.jit.trace(model, blobs()[0]),
        "a part": lambda model: nn.Sequential(torch.jit.script(model)),
    }  # fmt: skip
    own = made[form](net())
    task = task_of(own)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    assert find_lr(task, progress=False).suggestion == find_lr(task_of(net()), progress=False).suggestion
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert estimate_memory(task, "8 GB").largest_batch_size() is not None


def test_a_rate_in_a_tensor_is_estimated() -> None:
    model = nn.Linear(4, 2)
    task = Task(model, torch.optim.Adam(model.parameters(), lr=torch.tensor(1e-3)), CE, blobs())
    assert estimate_memory(task, "8 GB").largest_batch_size() is not None
    assert find_lr(task, progress=False).suggestion is not None
