"""Real objects of other libraries: Hugging Face models and batches, Accelerate's wrapped optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tasks import blobs, everything
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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
