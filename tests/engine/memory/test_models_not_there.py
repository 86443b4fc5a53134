"""Models on the meta device: what predicts takes them like any other, what trains says that they hold no numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from zoo import DenseNet, UNet, optimizer_of, stacked

import nbtune as nt
from nbtune.engine import Task

Built = tuple[nn.Module, Any]


def llama() -> Built:
    import transformers as t

    small = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = t.LlamaConfig(**small, vocab_size=200, use_cache=False)
    return t.LlamaForCausalLM(config), {"input_ids": torch.arange(32), "labels": torch.arange(32)}


def gpt2() -> Built:
    import transformers as t

    config = t.GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=50, n_positions=16, use_cache=False)
    return t.GPT2LMHeadModel(config), {"input_ids": torch.arange(16), "labels": torch.arange(16)}


def densenet() -> Built:
    return DenseNet(blocks=(2, 1)), (torch.randn(3, 64, 64), torch.tensor(1))


def unet() -> Built:
    return UNet(8), (torch.randn(3, 32, 32), torch.ones(32, 32).long())


def task_of(model: nn.Module, sample: Any, **changes: Any) -> Task:
    loss_fn = None if isinstance(sample, dict) else nn.functional.cross_entropy
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return Task(model, optimizer_of("AdamW", model), loss_fn, [stacked(sample, 2)], **changes)


def not_there(make: Callable[[], Built]) -> Task:
    with torch.device("meta"):
        model = make()[0]
    return task_of(model, make()[1])


@pytest.mark.parametrize("make", [llama, gpt2, densenet, unet])
def test_a_model_that_is_not_there_is_predicted_like_the_one_that_is(make: Callable[[], Built]) -> None:
    there, absent = (nt.estimate_memory(task, "8 GB") for task in (task_of(*make()), not_there(make)))
    assert absent.method == there.method == "meta"
    for k in (1, 2, 16, 128):
        assert absent.peak_bytes(k) == there.peak_bytes(k)
        assert absent.breakdown(k) == there.breakdown(k)


def test_accelerates_empty_weights_keep_their_buffers_and_are_taken_too() -> None:
    accelerate = pytest.importorskip("accelerate")
    with accelerate.init_empty_weights():
        model, sample = gpt2()
    assert nt.estimate_memory(task_of(model, sample), "8 GB").fits(8)


def test_what_only_predicts_works() -> None:
    task = not_there(lambda: (DenseNet(blocks=(1, 1)), (torch.randn(3, 64, 64), torch.tensor(1))))
    limit = nt.find_batch_size(task, capacity="1 GB", progress=False)
    assert limit.batch_size and not any(trial.is_measured for trial in limit.latest)
    assert nt.what_fits(task, "1 GB", batch_size=1024, progress=False).changes
    assert nt.largest_image_size(task, "1 GB", batch_size=8) > 0
    assert all(parameter.is_meta for parameter in task.model.parameters())


def test_making_a_task_says_what_works_with_it() -> None:
    with torch.device("meta"):
        model = nn.Linear(4, 2)
    data = torch.randn(8, 4), torch.zeros(8).long()
    with pytest.warns(UserWarning, match=r"holds no numbers.*estimate_memory, what_fits"):
        task = Task(model, torch.optim.SGD(model.parameters()), nn.functional.cross_entropy, data)
    for train in (
        lambda: nt.find_lr(task, progress=False),
        lambda: nt.find_lr(task, mode="quick", progress=False),
        lambda: nt.compare_batch_sizes(task, batch_sizes=(2, 4), progress=False),
        lambda: nt.estimate_curvature(task),
    ):
        with pytest.raises(ValueError, match="holds no numbers, so it cannot be trained"):
            train()
    with pytest.raises(ValueError, match="leave device out"):
        Task(model, torch.optim.SGD(model.parameters()), nn.functional.cross_entropy, data, device="cpu")


@pytest.mark.slow
def test_eight_billion_parameters_take_no_memory() -> None:
    import transformers as t

    sizes = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
    config = t.LlamaConfig(**sizes, num_key_value_heads=8, vocab_size=128256, use_cache=False)
    with torch.device("meta"):
        model = t.LlamaForCausalLM(config).to(torch.bfloat16)
    words = torch.arange(512)
    estimate = nt.estimate_memory(task_of(model, {"input_ids": words, "labels": words}), "A100 80")
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == 8_030_261_248
    assert estimate.breakdown(1)["parameters"] == pytest.approx(2 * parameters, rel=0.001)
    assert estimate.breakdown(1)["optimizer"] == pytest.approx(4 * parameters, rel=0.001)
