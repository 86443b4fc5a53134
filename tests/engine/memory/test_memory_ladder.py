"""Estimates of tasks of every form: which rung of the ladder holds, and what is said where none does."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from tasks import everything
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset
from zoo import stacked

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, NotPredictableError, estimate_memory
from nbtune.engine.memory.rehearsal.rehearse import Plan, Stage, rehearse
from nbtune.engine.memory.replay.tape import Tape, replay
from nbtune.engine.memory.samples import Samples, batch_of

CROSS_ENTROPY = nn.functional.cross_entropy


def estimated(model: nn.Module, data: Any, **changes: Any) -> MemoryEstimate:
    """The estimate of a task under Adam on an 8 GB card."""
    return estimate_memory(task_of(model, data, **changes), "8 GB")


def task_of(model: nn.Module, data: Any, **changes: Any) -> Task:
    arguments = {"loss_fn": CROSS_ENTROPY, "data": data, **changes}
    return Task(model, torch.optim.Adam(model.parameters()), **arguments)


def points(samples: int = 8, width: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(0)), torch.zeros(samples).long()


class Masked(nn.Module):
    """Embeds tokens, and averages those of the mask unless it is full, which is a cheaper way."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 256)
        self.head = nn.Linear(256, 2)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        x = self.words(tokens)
        if mask.all():
            x = x.mean(1)
        else:
            x = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return Output(loss=CROSS_ENTROPY(self.head(x), labels))


class Output(dict[str, Any]):
    @property
    def loss(self) -> Any:
        return self["loss"]


# --- forms of tasks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 3])
def test_a_mask_that_is_asked_for_its_values_answers_with_the_datas_own(padding: int) -> None:
    mask = torch.ones(8).long()
    mask[8 - padding :] = 0
    batch = stacked({"tokens": torch.arange(8), "mask": mask, "labels": torch.tensor(1)}, 2)
    estimate = estimated(Masked(), [batch], loss_fn=None)
    assert estimate.method == "meta" and not estimate.caveats
    # Only a full mask takes the plain mean.
    assert ("aten.mean" in estimate._source.tape(2).recording.operators) == (padding == 0)


def test_a_training_step_gets_the_models_stand_in() -> None:
    seen: list[str] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        seen.append(batch["x"].device.type)
        return CROSS_ENTROPY(model(batch["x"]), batch["y"])

    x, y = points()
    estimate = estimated(nn.Linear(16, 2), [{"x": x, "y": y}], loss_fn=None, training_step=step)
    assert set(seen) == {"meta"} and estimate.breakdown(64)["inputs"] >= 64 * 16 * 4


def test_a_gan_with_two_optimizers_is_predicted_through_its_own_update() -> None:
    torch.manual_seed(0)
    models = {"g": nn.Sequential(nn.Linear(8, 512), nn.ReLU(), nn.Linear(512, 16)), "d": nn.Linear(16, 1)}
    optimizers = {name: torch.optim.Adam(m.parameters()) for name, m in models.items()}
    score = nn.functional.binary_cross_entropy_with_logits

    def update(models: Any, optimizers: Any, batch: Any) -> dict[str, torch.Tensor]:
        x = batch[0]
        fake = models["g"](torch.randn(len(x), 8, device=x.device))
        real, made = models["d"](x), models["d"](fake.detach())
        d = score(real, torch.ones_like(real)) + score(made, torch.zeros_like(made))
        optimizers["d"].zero_grad()
        d.backward()
        optimizers["d"].step()
        verdict = models["d"](fake)
        g = score(verdict, torch.ones_like(verdict))
        optimizers["g"].zero_grad()
        g.backward()
        optimizers["g"].step()
        return {"d": d.detach(), "g": g.detach()}

    task = Task(models, optimizers, data=points(), update=update)
    before = everything(task)
    estimate = estimate_memory(task, "8 GB")
    weights = sum(p.nbytes for m in models.values() for p in m.parameters())
    assert estimate.method == "meta"
    assert estimate.breakdown(4)["parameters"] == pytest.approx(weights, rel=0.15)  # blocks are rounded up
    assert estimate.breakdown(4)["optimizer"] == pytest.approx(2 * weights, rel=0.15)
    assert estimate.breakdown(2**14)["activations"] > 100 * estimate.breakdown(4)["activations"]
    assert everything(task) == before
    with pytest.raises((ValueError, NotPredictableError), match="update="):
        estimate_memory(task, "8 GB", optimizer="SGD")


def test_batchnorm_is_predicted_for_one_sample_too_though_it_cannot_train_on_it() -> None:
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Linear(32, 2))
    estimate = estimated(model, points())
    assert estimate.method == "meta"
    assert estimate.context_bytes < estimate.peak_bytes(1) <= estimate.peak_bytes(64)


def test_data_smaller_than_the_batch_are_repeated() -> None:
    few, many = estimated(nn.Linear(16, 2), points(3)), estimated(nn.Linear(16, 2), points(64))
    assert few.parts(512) == many.parts(512)


def test_volumes_through_convolutions_in_three_dimensions_are_predicted() -> None:
    class Residual(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.norm, self.act = nn.InstanceNorm3d(channels), nn.PReLU()
            self.conv = nn.Conv3d(channels, channels, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.conv(self.act(self.norm(x)))

    up = nn.Sequential(nn.Upsample(scale_factor=2, mode="trilinear"), nn.Conv3d(8, 3, 1))
    model = nn.Sequential(nn.Conv3d(1, 8, 3, 2, 1), Residual(8), nn.ConvTranspose3d(8, 8, 2, 2), nn.MaxPool3d(2), up)
    data = [(torch.randn(2, 1, 16, 16, 16), torch.zeros(2, 16, 16, 16).long())]
    task = task_of(model, data)
    estimate = estimate_memory(task, "8 GB")
    assert estimate.method == "meta"
    direct = rehearse(task, Samples(task), 64, Plan(), Stage("meta"))[0]
    reserved = replay(Tape.fixed(direct), 64).reserved_bytes
    assert estimate.peak_bytes(64) - estimate.context_bytes == pytest.approx(reserved, rel=1e-3)
    assert {layer.kind for layer in estimate.layers(64)} >= {"convolution", "normalisation", "pooling"}


# --- the worst sample -------------------------------------------------------------------------------------------------


class Sentences(Dataset[Any]):
    """Sequences of 4 to 40 tokens, the longest in the middle."""

    lengths = (4, 12, 40, 8, 20)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.arange(self.lengths[index]), index % 2


def padded(samples: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = nn.utils.rnn.pad_sequence([x for x, _ in samples], batch_first=True)
    return tokens, torch.tensor([y for _, y in samples])


def reader() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 64), nn.Flatten(0, 1), nn.Linear(64, 2))


def per_token(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return output.mean() + 0 * targets.sum()


def test_a_batch_is_made_of_the_longest_sample_and_it_says_so() -> None:
    task = task_of(reader(), Sentences(), loss_fn=per_token, collate_fn=padded)
    assert batch_of(task, 3)[0].shape == (3, 40)
    estimate = estimate_memory(task, "8 GB")
    assert any("largest of the first 5 samples" in caveat for caveat in estimate.caveats)


def test_the_users_longest_sample_is_taken_without_looking_at_the_data() -> None:
    class Closed(Sentences):
        def __getitem__(self, index: int) -> Any:
            raise AssertionError("looked at the data")

    task = task_of(reader(), Closed(), loss_fn=per_token, collate_fn=padded, longest=(torch.arange(70), 1))
    assert batch_of(task, 2)[0].shape == (2, 70)
    long, short = (
        estimate_memory(task.with_(longest=(torch.arange(n), 1)), "8 GB").breakdown(64)["activations"] for n in (70, 7)
    )
    assert long > 5 * short
    assert not estimate_memory(task, "8 GB").caveats


def test_of_a_list_of_batches_the_largest_is_taken() -> None:
    batches = [(torch.randn(4, n), torch.zeros(4).long()) for n in (3, 30, 10)]
    model = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 1)), nn.Linear(1, 2))
    assert batch_of(task_of(model, batches, loss_fn=per_token), 6)[0].shape == (6, 30)


def test_a_stream_is_told_to_stand_by_its_first_batch() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([(torch.randn(16), torch.tensor(0))] * 8)

    estimate = estimated(nn.Linear(16, 2), DataLoader(Stream(), 4))
    assert any("stream" in caveat for caveat in estimate.caveats)
    assert estimate.peak_bytes(64) >= estimate.peak_bytes(1)


def test_a_shuffled_loader_is_not_drawn_from() -> None:
    loader = DataLoader(
        torch.utils.data.TensorDataset(*points(32)), 4, shuffle=True, generator=torch.Generator().manual_seed(1)
    )
    task = task_of(nn.Linear(16, 2), loader)
    before = everything(task)
    estimate_memory(task, "8 GB")
    assert everything(task) == before


# --- down the ladder --------------------------------------------------------------------------------------------------


class AsksANumber(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        return y * 2 if y.abs().max().item() > 100 else y


class PicksRows(AsksANumber):
    """Keeps those rows whose first number is positive: how many depends on computed numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        return self.linear(x[(y[:, 0] * 0 == 0).nonzero().squeeze(1)])


class WorksOnNumpy(AsksANumber):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x + torch.from_numpy(x.detach().numpy().copy()))


def test_a_computed_number_that_is_asked_for_is_said_to_be_guessed() -> None:
    estimate = estimated(AsksANumber(), points())
    assert estimate.method != "meta" or any(".item()" in caveat for caveat in estimate.caveats)
    assert estimate.peak_bytes(64) > estimate.context_bytes


@pytest.mark.parametrize("model", [PicksRows, WorksOnNumpy])
def test_a_model_that_needs_numbers_is_traced_in_small_real_steps_and_it_says_so(model: type[AsksANumber]) -> None:
    task = task_of(model(), points())
    before = everything(task)
    estimate = estimate_memory(task, "8 GB")
    assert estimate.method == "real steps"
    assert any("real steps" in caveat for caveat in estimate.caveats)
    assert everything(task) == before
    assert estimate.breakdown(2**14)["inputs"] >= 2**14 * 16 * 4
    assert estimate.margin > estimated(nn.Linear(16, 2), points()).margin


def test_where_numbers_are_needed_a_plan_for_other_settings_is_not_predictable() -> None:
    task = task_of(WorksOnNumpy(), points())
    for changes in ({"optimizer": "SGD"}, {"checkpointing": True}, {"amp": torch.bfloat16}):
        with pytest.raises(NotPredictableError, match="Measure it"):
            estimate_memory(task, "8 GB", **changes)


class Wanders(AsksANumber):
    """Takes another course with every step."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Wanders.calls += 1
        for _ in range(Wanders.calls):
            x = x + x.detach().numpy().mean()
        return self.linear(x)


def test_nothing_is_predicted_where_every_step_is_another() -> None:
    with pytest.raises(NotPredictableError, match="another course"):
        estimated(Wanders(), points())


def test_a_course_that_depends_on_the_batch_size_is_traced_for_each_size() -> None:
    class Halves(AsksANumber):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = x.chunk(2) if len(x) % 2 == 0 else (x,)
            return torch.cat([self.linear(torch.tanh(part)) for part in parts])

    estimate = estimated(Halves(), points())
    assert any("by itself" in caveat for caveat in estimate.caveats)
    assert estimate.breakdown(4096)["inputs"] > estimate.breakdown(512)["inputs"]


def test_a_compiled_forward_is_not_rehearsed_and_the_reason_is_told() -> None:
    model = nn.Sequential(nn.Linear(16, 2))
    model.forward = torch.compile(model.forward, backend="eager")  # type: ignore[method-assign]
    task = task_of(model, points())
    before = everything(task)
    estimate = estimate_memory(task, "8 GB")
    assert estimate.method == "real steps" and any("torch.compile" in caveat for caveat in estimate.caveats)
    assert everything(task) == before
    with pytest.raises(NotPredictableError, match=r"torch\.compile"):
        estimate_memory(task, "8 GB", optimizer="SGD")


def test_a_compiled_model_has_a_caveat() -> None:
    model = nn.Sequential(nn.Linear(16, 2))
    model.compile(backend="eager")
    assert any("torch.compile" in caveat for caveat in estimated(model, points()).caveats)


@pytest.mark.parametrize("capacity", ["8 GB", None])
def test_recurrent_layers_are_told_to_be_uncertain(capacity: str | None) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(x)[0][:, -1])

    data = [(torch.randn(2, 10, 16), torch.zeros(2).long())]
    estimate = estimate_memory(task_of(Tagger(), data), capacity)
    assert any("ecurrent" in caveat for caveat in estimate.caveats)
    assert estimate.margin == 0.10


def test_data_without_a_tensor_are_not_predictable() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return model(torch.ones(1, 16)).sum()

    with pytest.raises(NotPredictableError, match="no tensors"):
        estimated(nn.Linear(16, 2), [["a", "b"]], loss_fn=None, training_step=step)


def test_a_users_own_error_is_raised_as_it_is() -> None:
    model = nn.Linear(17, 2)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        estimated(model, points())
    assert not isinstance(caught.value, NotPredictableError)


# --- results that travel ----------------------------------------------------------------------------------------------


def test_a_pickled_estimate_answers_without_the_model_and_the_data() -> None:
    estimate = estimated(nn.Linear(1000, 1000), points(width=1000), loss_fn=lambda output, target: output.mean())
    kept = pickle.dumps(estimate)
    assert len(kept) < 200_000  # the model alone has 4 MB
    again = pickle.loads(kept)
    assert [again.peak_bytes(k) for k in (2, 64)] == [estimate.peak_bytes(k) for k in (2, 64)]
    assert again.layers(8) == estimate.layers(8) and again.with_capacity("T4").fits(8)


def test_datasets_that_are_asked_by_names_are_read_through_their_loader() -> None:
    class Named(torch.utils.data.Dataset[Any]):
        def __getitem__(self, name: str) -> Any:
            return {"a": (torch.zeros(4), 0), "b": (torch.zeros(4), 1)}[name]

        def __len__(self) -> int:
            return 2

    loader = torch.utils.data.DataLoader(Named(), batch_size=2, sampler=["a", "b"])
    assert estimated(nn.Linear(4, 2), loader).largest_batch_size() > 1


def test_a_fused_optimizer_takes_no_temporary_memory_and_a_plain_one_does() -> None:
    def peak(**how: Any) -> int:
        model = nn.Linear(1000, 1000)
        task = Task(model, torch.optim.AdamW(model.parameters(), **how), CROSS_ENTROPY, points(width=1000))
        return estimate_memory(task, "8 GB").breakdown(2)["temporary"]

    assert peak(fused=True) < 4_000_000 < peak()
