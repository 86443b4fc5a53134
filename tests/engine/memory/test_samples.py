"""Batches of every form: what grows with k is measured, and what cannot be measured is not predicted."""

from __future__ import annotations

from collections import UserDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from nbtune.engine import Task
from nbtune.engine.memory import NotPredictableError, estimate_memory
from nbtune.engine.memory.batch_law import Measure
from nbtune.engine.memory.rehearsal.rehearse import Plan, Stage, rehearse
from nbtune.engine.memory.samples import Samples, batch_of


class Given(Dataset[Any]):
    """Samples of any kind, as they are."""

    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


class Graph:
    """A sample of somebody else's class: as many rows as there are nodes."""

    def __init__(self, nodes: int) -> None:
        self.x, self.nodes = torch.randn(nodes, 10), nodes


@dataclass(frozen=True)
class Frozen:
    x: torch.Tensor
    y: torch.Tensor


class Slotted:
    __slots__ = ("_hidden", "x")

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self._hidden = x, {"y": y}


Named = namedtuple("Named", "x y")
X, Y = torch.randn(64, 10), torch.zeros(64, 1)


def task_of(data: Any, step: Callable[..., Any] | None = None, **changes: Any) -> Task:
    model = nn.Sequential(nn.Linear(10, 256), nn.ReLU(), nn.Linear(256, 1))
    how = {"loss_fn": F.mse_loss} if step is None else {"training_step": step}
    return Task(model, torch.optim.Adam(model.parameters()), data=data, **how, **changes)


def stacked(samples: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([x for x, _ in samples]), torch.stack([y for _, y in samples])


# --- the form of a batch ----------------------------------------------------------------------------------------------

FORMS: dict[str, tuple[Callable[..., Any], Callable[[Any], tuple[Any, Any]]]] = {
    "tuple": (lambda x, y: (x, y), lambda b: (b[0], b[1])),
    "namedtuple": (Named, lambda b: (b.x, b.y)),
    "frozen dataclass": (Frozen, lambda b: (b.x, b.y)),
    "slots": (Slotted, lambda b: (b.x, b._hidden["y"])),
    "mapping": (lambda x, y: UserDict(x=x, y=y), lambda b: (b["x"], b["y"])),
    "arrays": (lambda x, y: [x.numpy(), y.numpy()], lambda b: (torch.from_numpy(b[0]), torch.from_numpy(b[1]))),
    "arrays moved": (
        lambda x, y: {"x": x.numpy(), "y": y.numpy()},
        lambda b: (torch.as_tensor(b["x"], device="cuda"), torch.from_numpy(b["y"]).cuda()),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_of_any_form_takes_what_a_tuple_does(form: str) -> None:
    make, take = FORMS[form]

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        x, y = take(batch)
        return F.mse_loss(model(x), y)

    loader = DataLoader(TensorDataset(X, Y), 8, collate_fn=lambda samples: make(*stacked(samples)))
    plain = DataLoader(TensorDataset(X, Y), 8)
    estimate, expected = estimate_memory(task_of(loader, step), "8 GB"), estimate_memory(task_of(plain), "8 GB")
    assert estimate.method == "meta" and not estimate.caveats
    for k in (64, 4096):
        assert estimate.peak_bytes(k) == expected.peak_bytes(k)


def test_a_list_of_graphs_grows_by_the_nodes_of_the_largest() -> None:
    def joined(graphs: list[Graph]) -> Any:
        batch = Graph(0)
        batch.x = torch.cat([graph.x for graph in graphs])
        batch.nodes = len(batch.x)
        return batch

    loader = DataLoader(Given([Graph(3), Graph(50), Graph(7)]), 2, collate_fn=joined)
    estimate = estimate_memory(task_of(loader, lambda m, b: (m(b.x) / b.nodes).sum()), "8 GB")
    rows = estimate_memory(task_of((torch.randn(64, 50, 10), torch.zeros(64, 50, 1))), "8 GB")
    assert estimate.breakdown(64)["inputs"] == 64 * 50 * 10 * 4
    assert estimate.breakdown(4096)["activations"] == pytest.approx(rows.breakdown(4096)["activations"], rel=0.02)


def test_ready_made_batches_of_objects_grow_too() -> None:
    batches = [Frozen(torch.randn(4, 10), torch.zeros(4, 1)) for _ in range(3)]
    made = batch_of(task_of(batches, lambda m, b: F.mse_loss(m(b.x), b.y)), 6)
    assert (made.x.shape, made.y.shape) == ((6, 10), (6, 1))


def test_in_ready_made_batches_lists_with_an_entry_a_sample_grow_and_others_stay() -> None:
    images, texts = [torch.randn(3, n, n) for n in (8, 9, 16, 8)], ["a", "b", "c", "dd"]
    made = batch_of(task_of([(images, texts, torch.zeros(4, 1))], lambda m, b: m(b[2]).sum()), 6)
    assert [x.shape for x in made[0]] == [(3, 16, 16)] * 6
    assert len(made[1]) == 6 and made[2].shape == (6, 1)


def test_time_may_stand_before_the_samples_in_a_ready_made_batch() -> None:
    made = batch_of(task_of([(torch.randn(50, 4, 10), torch.zeros(4, 1))], lambda m, b: m(b[0]).sum()), 6)
    assert (made[0].shape, made[1].shape) == ((50, 6, 10), (6, 1))


def test_datasets_that_yield_whole_batches_are_not_put_together_again() -> None:
    loader = DataLoader(Given([(torch.randn(4, 10), torch.zeros(4, 1))] * 3), batch_size=None)
    assert batch_of(task_of(loader), 6)[0].shape == (6, 10)


@pytest.mark.parametrize("form", ["sparse", "nested"])
def test_tensors_without_plain_lengths_grow_in_real_steps(form: str) -> None:
    def joined(samples: list[Any]) -> torch.Tensor:
        if form == "nested":
            return torch.nested.nested_tensor(samples, layout=torch.jagged)
        return torch.stack([x[0] for x in samples]).to_sparse()

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return model(batch.values() if form == "nested" else batch.to_dense()).mean()

    loader = DataLoader(Given([torch.randn(n, 10) for n in (3, 90, 5)]), 2, collate_fn=joined)
    estimate = estimate_memory(task_of(loader, step), "8 GB")
    assert estimate.method == "real steps" and any("sparse or nested" in caveat for caveat in estimate.caveats)
    rows = 90 if form == "nested" else 1
    assert estimate.peak_bytes(2**14) - estimate.peak_bytes(2) >= rows * 2**14 * 256 * 4 - 2**21


def test_inputs_grow_on_every_rung_of_the_ladder() -> None:
    task = task_of((X, Y))
    samples = Samples(task)
    sizes = [
        sum(
            a.size_bytes()
            for a in rehearse(task, samples, 64, Plan(), Stage(kind))[0].allocations
            if a.part == "inputs"
        )
        for kind in ("meta", "fake")
    ]
    assert sizes[0] == sizes[1] == 2 * 64 * 11 * 4  # in both of two steps


# --- the largest sample -----------------------------------------------------------------------------------------------


class Text:
    """Tokens of a class of its own, which has no length."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens


KINDS: dict[str, tuple[Callable[[int], Any], Callable[[Any], list[int]]]] = {
    "list": (lambda n: [1] * n, list),
    "string": (lambda n: "a" * n, lambda s: [ord(c) for c in s]),
    "words": (lambda n: " ".join(["a"] * n), lambda s: [1] * len(s.split())),
    "object": (lambda n: Text([1] * n), lambda s: s.tokens),
    "array": (lambda n: np.ones(n, dtype=np.int64), list),
    "dict": (lambda n: {"ids": [1] * n}, lambda s: s["ids"]),
    "compressed": (lambda n: str(n), lambda s: [1] * int(s)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_sample_is_found_by_what_its_batch_holds(kind: str) -> None:
    make, tokens = KINDS[kind]

    def padded(samples: list[Any]) -> torch.Tensor:
        found = [tokens(x) for x, _ in samples]
        return torch.tensor([ids + [0] * (max(map(len, found)) - len(ids)) for ids in found])

    data = Given([(make(n), 0) for n in (5, 7, 90, 30)])
    made = batch_of(task_of(DataLoader(data, 2, collate_fn=padded), lambda m, b: m(b).sum()), 3)
    assert made.shape == (3, 90)


def test_a_tensor_dataset_whose_padding_is_cut_by_the_collate_function_is_looked_through() -> None:
    ids = torch.zeros(6, 40, dtype=torch.long)
    for row, length in enumerate((5, 7, 33, 2, 9, 9)):
        ids[row, :length] = 1

    def cut(samples: list[Any]) -> torch.Tensor:
        rows = torch.stack([x for (x,) in samples])
        return rows[:, : int(rows.sum(1).max())]

    loader = DataLoader(TensorDataset(ids), 2, collate_fn=cut)
    assert batch_of(task_of(loader, lambda m, b: m(b).sum()), 3).shape == (3, 33)


def test_samples_that_are_longest_in_different_dimensions_fill_the_batch_together() -> None:
    def padded(samples: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        pad = torch.nn.utils.rnn.pad_sequence
        return pad([x for x, _ in samples], batch_first=True), pad([y for _, y in samples], batch_first=True)

    pairs = [(3, 4), (50, 5), (6, 40), (8, 8), (2, 2), (3, 3)]
    data = Given([(torch.ones(a), torch.ones(b)) for a, b in pairs])
    made = batch_of(task_of(DataLoader(data, 2, collate_fn=padded), lambda m, b: m(b[0]).sum()), 4)
    assert (made[0].shape, made[1].shape) == ((4, 50), (4, 40))


def test_of_a_stream_the_first_samples_are_looked_at_and_it_says_so() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter([torch.ones(n) for n in (3, 20, 5, 7, 7, 7, 90)])

    loader = DataLoader(Stream(), 6, collate_fn=lambda s: torch.nn.utils.rnn.pad_sequence(s, batch_first=True))
    samples = Samples(task_of(loader, lambda m, b: m(b).sum()))
    assert samples.batch_of(9).shape == (9, 20)
    assert any("stream" in caveat and "first 6" in caveat for caveat in samples.caveats)


# --- what is not known is said ----------------------------------------------------------------------------------------


def test_where_nothing_that_is_seen_grows_nothing_is_predicted() -> None:
    class Opaque:
        def __init__(self, x: torch.Tensor) -> None:
            self._take, self.scale = (lambda: x), torch.ones(3)

    loader = DataLoader(TensorDataset(X, Y), 8, collate_fn=lambda samples: Opaque(stacked(samples)[0]))
    with pytest.raises(NotPredictableError, match=r"Not predictable: nothing .*Opaque.* grows"):
        estimate_memory(task_of(loader, lambda m, b: m(b._take()).sum()), "8 GB")


def test_where_equal_samples_are_merged_nothing_is_predicted() -> None:
    def unique(samples: list[Any]) -> torch.Tensor:
        return torch.unique(torch.cat(samples))

    loader = DataLoader(Given([torch.arange(n, n + 10) for n in range(0, 200, 10)]), 2, collate_fn=unique)
    with pytest.raises(NotPredictableError, match="does not follow from k"):
        estimate_memory(task_of(loader, lambda m, b: m(b.float()).sum()), "8 GB")


def test_a_batch_of_strings_alone_is_not_predictable() -> None:
    loader = DataLoader(Given(["a", "bb", "ccc"]), 2)
    with pytest.raises(NotPredictableError, match="no tensors"):
        estimate_memory(task_of(loader, lambda m, b: m(torch.ones(1, 10)).sum()), "8 GB")


def test_types_that_cannot_be_opened_are_named() -> None:
    class Closed:
        def __init__(self) -> None:
            self.x = 1

        def __del__(self) -> None:
            pass

    loader = DataLoader(
        TensorDataset(X), 8, collate_fn=lambda s: (torch.stack([x for (x,) in s]), [Closed() for _ in s])
    )
    samples = Samples(task_of(loader, lambda m, b: m(b[0]).sum()))
    assert any("Closed" in caveat for caveat in samples.caveats)


def test_text_beside_tensors_of_one_size_decides_and_that_is_said() -> None:
    data = Given([{"text": "a" * n, "label": 0} for n in (3, 90, 5)])
    samples = Samples(task_of(DataLoader(data, 2), lambda m, b: m(b["label"]).sum()))
    assert samples.batch_of(2)["text"] == ["a" * 90] * 2
    assert any("longest text" in caveat for caveat in samples.caveats)


@pytest.mark.parametrize("used_up", [True, False])
def test_data_that_yield_nothing_are_an_error_at_once(used_up: bool) -> None:
    iterator = iter([(X, Y)])
    list(iterator) if used_up else None
    task = task_of(iterator)
    if not used_up:
        assert estimate_memory(task, "8 GB").peak_bytes(1) > 0
    with pytest.raises(ValueError, match="yield no batch"):
        estimate_memory(task, "8 GB")


def test_an_error_of_the_users_own_collate_function_is_raised() -> None:
    def failing(samples: list[Any]) -> Any:
        raise KeyError("the user's own mistake")

    with pytest.raises(KeyError, match="own mistake"):
        estimate_memory(task_of(DataLoader(TensorDataset(X, Y), 8, collate_fn=failing)), "8 GB")


def test_every_tensor_is_counted_once_wherever_it_lies() -> None:
    x = torch.ones(10)
    held = {"a": [x, (x,)], "b": Frozen(x, torch.ones(4)), "c": np.ones(3, dtype=np.float32)}
    assert Measure.of(held).nbytes == 40 + 16 + 12
