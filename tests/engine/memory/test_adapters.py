"""Plans with smaller weights, against models that really have them: PEFT's adapters, weights in bfloat16."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch
import transformers as t
from tasks import everything
from torch import nn
from zoo import optimizer_of

from nbtune.engine import Task
from nbtune.engine.batch_size.what_fits.changes import single_changes
from nbtune.engine.memory.estimate import MemoryEstimate, NotPredictableError, estimate_memory

KIB, MIB = 2**10, 2**20
pytestmark = [
    pytest.mark.slow,  # PEFT and transformers
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of PEFT, about names in transformers
]


def llama(**changes: Any) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 688, "num_attention_heads": 4, **changes}
    return t.LlamaForCausalLM(t.LlamaConfig(**sizes, vocab_size=2000, use_cache=False))


def bert() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"num_hidden_layers": 3, "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2}
    return t.BertForMaskedLM(t.BertConfig(**sizes, vocab_size=500))


def words_task(model: nn.Module) -> Task:
    words = torch.zeros(2, 128).long()
    trained = [p for p in model.parameters() if p.requires_grad]
    return Task(model, torch.optim.AdamW(trained), None, [{"input_ids": words, "labels": words}])


@pytest.mark.parametrize("make", [llama, bert])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_take_what_those_of_peft_take(make: Any, dtype: torch.dtype) -> None:
    wrapped = peft.get_peft_model(make().to(dtype), peft.LoraConfig(r=8, target_modules="all-linear", lora_dropout=0.0))
    really = estimate_memory(words_task(wrapped), "8 GB")
    weights = {} if dtype == torch.float32 else {"weights": dtype}
    planned = estimate_memory(words_task(make()), "8 GB").changed(adapters="LoRA", **weights)
    for k in (1, 4, 32):
        for part, size in really.breakdown(k).items():
            assert abs(planned.breakdown(k)[part] - size) <= 0.003 * size, part
        assert abs(planned.peak_bytes(k) - really.peak_bytes(k)) <= 4 * MIB
    assert any("as PEFT makes them" in caveat for caveat in planned.traced_caveats)


def test_weights_in_sixteen_bits_take_what_such_a_model_takes() -> None:
    really = estimate_memory(words_task(llama().to(torch.bfloat16)), "8 GB")
    planned = estimate_memory(words_task(llama()), "8 GB").changed(weights=torch.bfloat16)
    for k in (1, 32):
        assert planned.breakdown(k) == really.breakdown(k)


def test_images_are_counted_in_the_dtype_of_the_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def task_of(dtype: torch.dtype) -> Task:
        data = [(torch.zeros(2, 3, 64, 64, dtype=dtype), torch.zeros(2).long())]
        return Task(model.to(dtype), optimizer_of("AdamW", model), nn.functional.cross_entropy, data)

    planned = estimate_memory(task_of(torch.float32), "8 GB").changed(weights=torch.bfloat16)
    sizes = planned.breakdown(32)  # before the model itself is changed
    really = estimate_memory(task_of(torch.bfloat16), "8 GB").breakdown(32)
    assert all(abs(sizes[part] - size) <= 2 * KIB for part, size in really.items())


def planned_in_four_bits(model: nn.Module) -> MemoryEstimate:
    return estimate_memory(words_task(model), "8 GB").changed(adapters="QLoRA", weights=torch.bfloat16)


def test_four_bits_are_half_a_byte_and_a_scale_for_each_block() -> None:
    model = llama()
    linear = sum(m.weight.numel() for m in model.modules() if type(m) is nn.Linear and m is not model.lm_head)
    others = sum(p.numel() for p in model.parameters()) - linear
    adapters = sum(
        8 * (m.in_features + m.out_features) for m in model.modules() if type(m) is nn.Linear and m is not model.lm_head
    )
    expected = linear // 2 + 4 * (linear // 64) + 2 * others + 4 * adapters
    found = planned_in_four_bits(model).breakdown(4)
    assert abs(found["parameters"] - expected) <= 0.01 * expected
    assert abs(found["optimizer"] - 8 * adapters) <= 64 * KIB


def test_one_weight_at_a_time_is_unpacked() -> None:
    """What is in use beside the parameters grows by one layer's weight, however many layers there are."""
    few, many = (planned_in_four_bits(llama(num_hidden_layers=n)).breakdown(1) for n in (3, 9))
    largest = 2 * 256 * 2000  # bytes of the head, the largest product's weight
    assert many["temporary"] <= few["temporary"] + largest


def test_adapters_train_and_the_rest_keeps_no_gradient() -> None:
    whole = estimate_memory(words_task(llama()), "8 GB")
    planned = whole.changed(adapters="LoRA")
    assert planned.breakdown(4)["optimizer"] < 0.1 * whole.breakdown(4)["optimizer"]
    assert planned.accumulating().breakdown(4)["gradients"] < 0.1 * whole.breakdown(4)["parameters"]


def test_nothing_of_the_users_is_changed() -> None:
    task = words_task(llama())
    before, modules = everything(task), [id(m) for m in task.model.modules()]
    estimate_memory(task, "8 GB").changed(adapters="QLoRA", weights=torch.bfloat16).peak_bytes(4)
    assert everything(task) == before and [id(m) for m in task.model.modules()] == modules
    assert all(p.requires_grad and p.dtype == torch.float32 for p in task.parameters)


def test_smaller_weights_are_among_the_changes_where_they_can_be() -> None:
    names = [change.name for change in single_changes(estimate_memory(words_task(llama()), "8 GB"), 4)]
    assert names[-3:] == ["weights in bfloat16", "adapters (LoRA)", "4-bit weights and adapters (QLoRA)"]
    old = [change.name for change in single_changes(estimate_memory(words_task(llama()), "T4"), 4)]
    assert "adapters (LoRA)" in old and not any("bfloat16" in name or "QLoRA" in name for name in old)
    few = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    task = Task(few, optimizer_of("SGD", few), nn.functional.cross_entropy, (torch.zeros(8, 4), torch.zeros(8).long()))
    assert not any("adapters" in change.name for change in single_changes(estimate_memory(task, "8 GB"), 4))


def test_what_cannot_be_planned_says_so() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())
    data = [(torch.zeros(2, 3, 8, 8), torch.zeros(2).long())]
    estimate = estimate_memory(Task(model, optimizer_of("SGD", model), nn.functional.cross_entropy, data), "8 GB")
    with pytest.raises((ValueError, NotPredictableError), match="several linear layers"):
        estimate.changed(adapters="LoRA").peak_bytes(2)
    for wrong in ({"adapters": "lora"}, {"weights": "bfloat16"}, {"weights": torch.int8}):
        with pytest.raises(ValueError, match=r"adapters must be|weights must be"):
            estimate.changed(**wrong)
