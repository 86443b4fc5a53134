"""The form of the data is looked at, not guessed: samples and batches told apart, or one sentence what to write."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from tasks import blobs, plain_task
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, TensorDataset, default_collate

from nbtune.engine import LRSettings, Task, find_lr
from nbtune.engine.task import batches
from nbtune.engine.task.items import kind_of

CE = nn.functional.cross_entropy
X, Y = blobs()
Pair = namedtuple("Pair", "x y")


@dataclass
class Record:
    x: torch.Tensor
    y: torch.Tensor


class Graph:
    """As of a graph library: nodes, edges, one label."""

    def __init__(self, nodes: int = 5) -> None:
        self.x, self.edge_index = torch.randn(nodes, 3), torch.zeros(2, 9, dtype=torch.long)
        self.y = torch.zeros(1)


class GraphBatch(Graph):
    """Several of them in one."""


class Asked:
    """Samples by index and nothing else, as other libraries' datasets are."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": X[index], "y": Y[index]}


class Stream(IterableDataset[Any]):
    def __init__(self, items: Any) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


class SizedStream(Stream):
    def __init__(self, count: int) -> None:
        super().__init__([(x, y) for x, y in zip(X[:count], Y[:count], strict=True)])

    def __len__(self) -> int:
        return len(self.items)


class Endless(Sampler[int]):
    def __init__(self) -> None:
        """Nothing is kept."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 0


class Unsized:
    def __iter__(self) -> Iterator[Any]:
        return iter([(X, Y)])


def first_loss(task: Task) -> float:
    curve = find_lr(task, LRSettings(mode="quick", steps=10, lr_max=1e-3), progress=False)
    return curve.steps[0].loss


def of_named(model: nn.Module, batch: Any) -> torch.Tensor:
    return CE(model(batch["x"]), batch["y"])


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ((X[0], Y[0]), "sample"),
        ((X[0].numpy(), 1), "sample"),
        ((X[0], Y[:1]), "sample"),
        ({"image": torch.zeros(3, 32, 32), "label": 7}, "sample"),
        ((torch.zeros(1, 28, 28), torch.zeros(10)), "sample"),
        ((torch.zeros(3, 32, 32), torch.zeros(3, 32, 32)), "sample"),
        ((torch.zeros(3, 32, 40), {"boxes": torch.zeros(2, 4), "labels": torch.zeros(2)}), "sample"),
        (((X[0], X[1, :2]), 1), "sample"),
        ("a sentence", "sample"),
        (Graph(), "sample"),
        (Record(X[0], Y[0]), "sample"),
        ((X, Y), "batch"),
        ([X.numpy(), Y.numpy()], "batch"),
        (Pair(X, Y), "batch"),
        ({"x": X, "mask": X, "y": Y}, "batch"),
        (((X, X[:, :2]), Y), "batch"),
        ((X[:1], Y[:1]), "batch"),
        (torch.zeros(8, 3, 32, 32), "batch"),
        (Record(X, Y), "batch"),
        (GraphBatch(), "batch"),
        ({"x": torch.zeros(9, 3), "edge_index": torch.zeros(2, 4), "batch": torch.zeros(9)}, "batch"),
        ((pack_sequence([X[:3], X[:2]]), Y[:2]), "batch"),
        ((tuple(torch.zeros(3, 32 + i, 40) for i in range(4)), ({"boxes": X},) * 4), "batch"),
        (X, "unclear"),
        ((Y, Y), "unclear"),
        ((torch.zeros(7, 32, 4), torch.zeros(32)), "unclear"),
    ],
)  # fmt: skip
def test_shapes_tell_samples_from_batches(item: Any, kind: str) -> None:
    assert kind_of(item) == kind


@pytest.mark.parametrize(
    "data",
    [
        [(x, y) for x, y in zip(X, Y, strict=True)],
        [(x, int(y)) for x, y in zip(X.numpy(), Y, strict=True)],
        tuple(zip(X, Y, strict=True)),
        [Pair(x, y) for x, y in zip(X, Y, strict=True)],
    ],
    ids=["tuples", "arrays and numbers", "tuple of tuples", "named tuples"],
)
def test_a_list_of_samples_is_a_dataset(data: Any) -> None:
    task = plain_task(data=data)
    assert task.data_form == "96 samples, batches of 32, shuffled"
    inputs, targets = next(iter(task.loader))
    assert inputs.shape == (32, 4) and targets.shape == (32,)
    assert not torch.equal(inputs, X[:32])
    assert task.with_(batch_size=8).batch_size == 8 and first_loss(task) < 3


def test_whatever_is_asked_by_index_is_a_dataset() -> None:
    task = plain_task(data=Asked(), loss_fn=None, training_step=of_named)
    assert task.data_form == "96 samples, batches of 32, shuffled" and first_loss(task) < 3


def test_a_dataset_of_hugging_face_is_one() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"x": X.tolist(), "y": Y.tolist()}).with_format("torch")
    task = plain_task(data=data, loss_fn=None, training_step=of_named)
    assert task.data_form == "96 samples, batches of 32, shuffled" and first_loss(task) < 3
    assert task.with_(batch_size=64).batch_size == 64
    with pytest.raises(TypeError, match=r"data\['train'\]"):
        plain_task(data=datasets.DatasetDict(train=data))


def test_a_list_of_batches_is_taken_as_it_is() -> None:
    batches = [(X[i : i + 40], Y[i : i + 40]) for i in range(0, 96, 40)]
    task = plain_task(data=batches)
    assert task.loader is batches and task.data_form == "3 batches of 40, in order"
    assert plain_task(data=[(X, Y)]).data_form == "1 batch of 96, in order"
    assert plain_task(data=list(X.split(40))).loader[0].shape == (40, 4)


def test_arrays_of_any_number_are_sliced_alike() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        x1, x2, y = batch
        return CE(model(torch.cat([x1, x2], 1)), y)

    data = (X[:, :1], X[:, 1:].numpy(), Y)
    task = plain_task(data=data, loss_fn=None, training_step=step)
    assert task.data_form == "96 samples, batches of 32, shuffled" and first_loss(task) < 3
    with pytest.raises(TypeError, match="of 3: give training_step"):
        first_loss(plain_task(data=data))
    alone = plain_task(data=(X,), loss_fn=None, training_step=lambda model, batch: model(batch[0]).square().mean())
    assert alone.batch_size == 32 and first_loss(alone) > 0


def test_arrays_by_name_give_batches_by_name() -> None:
    task = plain_task(data={"x": X.numpy(), "y": Y}, loss_fn=None, training_step=of_named)
    assert task.data_form == "96 samples, batches of 32, shuffled" and first_loss(task) < 3
    assert set(next(iter(task.with_(batch_size=8).loader))) == {"x", "y"}


def test_arrays_are_taken_as_they_are_without_a_copy() -> None:
    inputs, targets = X.numpy(), Y.numpy()
    tensors = plain_task(data=(inputs, targets)).loader.dataset.tensors
    assert all(t.data_ptr() == a.ctypes.data for t, a in zip(tensors, (inputs, targets), strict=True))
    inputs = inputs.copy()
    inputs.flags.writeable = False  # such as one that is mapped from a file
    assert first_loss(plain_task(data=(inputs[::-1], targets.tolist()))) < 3
    with pytest.raises(TypeError, match="not numbers"):
        plain_task(data=(np.array(["a", "b"]), np.zeros(2)))


def test_batches_of_arrays_become_tensors_for_loss_fn_and_stay_arrays_for_a_step() -> None:
    batches = [(X.numpy(), Y.numpy())] * 3
    assert first_loss(plain_task(data=batches)) == pytest.approx(CE(plain_task().model(X), Y).item())

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return CE(model(torch.from_numpy(batch[0])), torch.from_numpy(batch[1]))

    assert first_loss(plain_task(data=batches, loss_fn=None, training_step=step)) < 3


@pytest.mark.parametrize(
    "data",
    [
        [X[i : i + 8] for i in range(0, 96, 8)],
        [(Y[i : i + 8], Y[i : i + 8]) for i in range(0, 96, 8)],
        [(X[: 4 + i], Y[: 4 + i]) for i in range(8)],
    ],
    ids=["one array", "labels alone", "lengths that differ"],
)
def test_what_may_be_either_is_asked(data: Any) -> None:
    with pytest.raises(TypeError, match=r"DataLoader\(data, batch_size=None\) if each is a batch"):
        plain_task(data=data)
    for size, count in ((None, len(data)), (1, len(data))):
        assert len(plain_task(data=DataLoader(data, batch_size=size)).loader) == count


def test_samples_that_torch_cannot_put_together_need_a_collate_fn() -> None:
    graphs = [Graph(n) for n in range(3, 9)]
    with pytest.raises(TypeError, match=r"Graph\(x: \(3, 3\) float32.*give collate_fn="):
        plain_task(data=graphs)

    def together(graphs: list[Graph]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.stack([torch.zeros(4) + len(g.x) for g in graphs]), torch.zeros(len(graphs), dtype=torch.long)

    assert first_loss(plain_task(data=graphs, collate_fn=together)) > 0
    assert len(plain_task(data=[GraphBatch()] * 3).loader) == 3
    ragged = [(torch.zeros(n, 4), 1) for n in (3, 5, 4)]
    with pytest.raises(TypeError, match="give collate_fn="):
        plain_task(data=ragged)


def test_a_stream_of_samples_is_put_together_and_one_of_batches_is_not() -> None:
    samples = Stream(list(zip(X, Y, strict=True)))
    task = plain_task(data=samples)
    assert task.data_form == "a stream of batches of 32, in its own order" and task.batch_size == 32
    with pytest.warns(UserWarning, match="IterableDataset"):
        assert first_loss(task) < 3
    batches = Stream([(X[:8], Y[:8])] * 12)
    told = pytest.raises(TypeError, match=r"whole batch.*DataLoader\(data, batch_size=None\)")
    with pytest.warns(UserWarning, match="IterableDataset"), told:
        first_loss(plain_task(data=batches))
    with pytest.warns(UserWarning, match="IterableDataset"):
        assert first_loss(plain_task(data=DataLoader(batches, batch_size=None))) < 3


def test_a_dataset_of_batches_is_told_too() -> None:
    class Whole(Dataset[Any]):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> Any:
            return X[8 * index : 8 * index + 8], Y[8 * index : 8 * index + 8]

    with pytest.raises(TypeError, match=r"DataLoader\(data, batch_size=None\)"):
        first_loss(plain_task(data=Whole()))


def test_an_iterator_is_not_drawn_from_before_a_run_and_loses_nothing_to_the_look() -> None:
    drawn: list[int] = []

    def batches() -> Iterator[Any]:
        for index in range(60):
            drawn.append(index)
            yield X + index, Y

    task = plain_task(data=batches())
    assert task.data_form == "an iterator of batches, which cannot be rewound" and not drawn
    with pytest.warns(UserWarning, match="iterator"):
        assert first_loss(task) == pytest.approx(CE(task.model(X), Y).item())
    assert drawn == list(range(10))


def test_an_iterator_of_single_samples_is_told() -> None:
    told = pytest.raises(TypeError, match=r"is one sample.*a list of samples instead")
    with pytest.warns(UserWarning, match="iterator"), told:
        first_loss(plain_task(data=zip(X, Y, strict=True)))


def test_a_used_up_iterator_is_told_by_every_tool() -> None:
    used = iter([(X, Y)])
    next(used)
    with pytest.warns(UserWarning, match="iterator"), pytest.raises(ValueError, match="no batch"):
        first_loss(plain_task(data=used))


@pytest.mark.parametrize(
    ("data", "form"),
    [
        ((torch.zeros(1797, 4), torch.zeros(1797)), "1\u202f797 samples, batches of 32, shuffled"),
        (TensorDataset(X, Y), "96 samples, batches of 32, shuffled"),
        (DataLoader(TensorDataset(X, Y), 10), "96 samples, batches of 10, in order"),
        (DataLoader(TensorDataset(X, Y), batch_sampler=[[0, 1], [2]]), "2 batches of a batch_sampler of its own"),
        (DataLoader([(X, Y)] * 4, batch_size=None), "4 batches, in order"),
        (DataLoader(Stream([]), batch_size=None), "a stream of batches, in its own order"),
        ({1: 2}.values(), "1 batch, in order"),
        (SizedStream(50), "a stream of 50 samples, in batches of 32, in its own order"),
        (DataLoader(SizedStream(50), 16), "a stream of 50 samples, in batches of 16, in its own order"),
        (DataLoader(SizedStream(50), batch_size=None), "a stream of 50 batches, in its own order"),
        (DataLoader(TensorDataset(X, Y), 8, sampler=Endless()), "batches of 8, in the order of an Endless"),
        (Unsized(), "batches of an Unsized, in its own order"),
    ],
)
def test_the_form_is_said(data: Any, form: str) -> None:
    assert plain_task(data=data).data_form == form


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, r"not Tensor: give \(inputs, targets\)"),
        ("text", "not str"),
        ({"train": [1], "test": [2]}, r"data\['train'\]"),
        ((X, Y[:4], X), "as many samples"),
    ],
)
def test_data_of_another_kind_are_told_at_once(data: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        plain_task(data=data)


def test_a_collate_fn_says_that_the_items_are_samples() -> None:
    def together(rows: list[Any]) -> Any:
        return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows]).squeeze(1)

    rows = [(X[i], Y[i : i + 1]) for i in range(96)]
    assert plain_task(data=rows, collate_fn=together).batch_size == 32
    with pytest.raises(ValueError, match="has its batches already"):
        plain_task(data=DataLoader(rows), collate_fn=together)


def test_a_batch_sampler_of_torch_is_rebuilt() -> None:
    data = TensorDataset(X, Y)
    sampler = torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(data), 32, drop_last=False)
    task = plain_task(data=DataLoader(data, batch_sampler=sampler))
    assert task.batch_size == 32 and task.data_form == "96 samples, batches of 32, shuffled"
    assert task.with_(batch_size=8).batch_size == 8


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_an_iterator_that_is_too_short_is_told_how_far_it_went(mode: Any) -> None:
    batches = ((X[at : at + 32], Y[at : at + 32]) for at in range(0, 96, 32))
    said = pytest.raises(
        ValueError, match=r"ended after 3 batches and cannot begin again, since a generator is used up"
    )
    with pytest.warns(UserWarning, match="iterator"), said:
        find_lr(plain_task(data=batches), LRSettings(mode=mode), progress=False)


def test_data_without_numbers_and_samples_that_are_none_are_told() -> None:
    with pytest.raises(ValueError, match="meta device, so they hold no numbers"):
        plain_task(data=(X.to("meta"), Y))
    holes = WithHoles()
    with pytest.raises(TypeError, match=r"a sample of the data is None: give collate_fn="):
        first_loss(plain_task(data=holes))
    filled = plain_task(data=holes, collate_fn=lambda some: default_collate([s for s in some if s is not None]))
    assert first_loss(filled) < 3


class WithHoles(Dataset[Any]):
    def __len__(self) -> int:
        return 96

    def __getitem__(self, index: int) -> Any:
        return (X[index], Y[index]) if index % 7 else None


def test_inputs_that_take_gradients_give_every_step_its_own_and_keep_none_of_the_users() -> None:
    inputs = X[:, :1].clone().requires_grad_()

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        slope = torch.autograd.grad(model(batch[0]).sum(), batch[0], create_graph=True)[0]
        return ((slope - 1) ** 2).mean() + model(batch[0]).square().mean()

    for mode in ("race", "quick"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        task = Task(model, optimizer, data=(inputs, Y), training_step=step)
        assert find_lr(task, LRSettings(mode=mode), progress=False).losses  # type: ignore[arg-type]
    assert inputs.grad is None


def test_a_model_may_return_its_loss_itself() -> None:
    class Own(nn.Linear):
        def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return CE(super().forward(inputs), targets)

    torch.manual_seed(0)
    model = Own(4, 2)
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), data=(X, Y))
    assert first_loss(task) == pytest.approx(first_loss(plain_task(data=(X, Y))))


def test_a_batch_that_holds_itself_is_refused_in_words() -> None:
    inside: list[Any] = [torch.zeros(2)]
    inside.append(inside)
    with pytest.raises(ValueError, match="holds itself"):
        batches.to_device(inside, torch.device("cpu"))
    with pytest.raises(ValueError, match="holds itself"):
        find_lr(plain_task(), validation=iter([inside]), progress=False)
