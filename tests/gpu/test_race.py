"""A race of learning rates on a real card: left as it was, its cost, and what it does where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from test_gpu import CE, card_task, overhead, state, trained

from nbtune.engine import LRSettings, Task, estimate_curvature, find_lr
from nbtune.engine.batch_size.fence import reserved_at_most
from nbtune.engine.learning_rate.race import run as lr_race

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


@pytest.mark.parametrize("amp", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("where", ["side by side", "replayed", "in place"])
def test_a_race_leaves_the_task_bit_for_bit(
    table: Callable[..., None], monkeypatch: pytest.MonkeyPatch, amp: torch.dtype | None, where: str
) -> None:
    if where == "replayed":
        monkeypatch.setattr(lr_race, "copies_at_once", lambda task: 1)
    task = trained(card_task(amp=amp))
    if where == "in place":
        task.parameters[-1].register_hook(lambda grad: grad)
    before = state(task)
    curve = find_lr(task, progress=False)
    same = state(task) == before
    table(f"race {where}, amp {amp}: state bit for bit, η", [same, curve.suggestion])
    assert same and curve.outcome == "finished" and any(step.is_replayed for step in curve.steps) == (where[0] != "s")


def test_side_by_side_and_replayed_give_about_the_same_answer(
    table: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = find_lr(learnable(), progress=False)
    monkeypatch.setattr(lr_race, "copies_at_once", lambda task: 1)
    replayed = find_lr(learnable(), progress=False)
    table("race: η side by side and replayed", [together.suggestion, replayed.suggestion])
    assert together.suggestion is not None
    assert replayed.suggestion == pytest.approx(together.suggestion, rel=0.5)


@pytest.mark.parametrize("margin_mib", [64, 512])
def test_a_nearly_full_card_is_raced_on_without_running_out(table: Callable[..., None], margin_mib: int) -> None:
    """Room for a step of the user's own and a little more: not for 13 copies, which need 4 GiB here."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1024, 8192), torch.nn.ReLU(), torch.nn.Linear(8192, 1024)).cuda()
    data = torch.randn(4096, 1024), torch.randint(0, 1024, (4096,))
    task = Task(model, torch.optim.AdamW(model.parameters(), 1e-3), CE, data).with_(batch_size=2048)
    trained(task)
    before = state(task)
    with spare_mib(margin_mib):
        curve = find_lr(task, progress=False)
    replayed = any(step.is_replayed for step in curve.steps)
    table(f"race with {margin_mib} MiB to spare: outcome, replayed, η", [curve.outcome, replayed, curve.suggestion])
    assert curve.outcome == "finished" and replayed and state(task) == before


@pytest.mark.parametrize(("name", "width", "depth", "batch_size"), [("1 ms", 256, 4, 64), ("10 ms", 2048, 16, 1024)])
def test_overhead_of_a_race_over_the_bare_loop(
    table: Callable[..., None], name: str, width: int, depth: int, batch_size: int
) -> None:
    steps, step_ms, ratio = overhead(card_task(width, depth, batch_size), LRSettings())
    table(f"race, overhead at {name} steps (steps, bare step in ms, ratio)", [steps, step_ms, ratio])
    assert ratio < 2


@pytest.mark.parametrize("changes", [{"repeats": 2}, {"batch_sizes": (32, 256)}, {"curvature": True}])
@pytest.mark.parametrize("mode", ["race", "quick"])
def test_the_longer_searches_leave_the_task_bit_for_bit(
    table: Callable[..., None], mode: str, changes: dict[str, Any]
) -> None:
    task = trained(card_task())
    before = state(task)
    result = find_lr(task, progress=False, mode=mode, **changes)
    same = state(task) == before
    table(f"{mode} with {changes}: state bit for bit, verdict", [same, result.verdict])
    assert same


@pytest.mark.parametrize("amp", [None, torch.float16])
def test_the_curvature_of_a_model_on_the_card(table: Callable[..., None], amp: torch.dtype | None) -> None:
    task = learnable().with_(amp=amp)
    before = state(task)
    found = estimate_curvature(task)
    table(f"curvature, amp {amp}: limit, error, products, s", [
        found.limit_lr, found.relative_error, found.products, round(found.seconds, 3)
    ])  # fmt: skip
    assert state(task) == before and found.limit_lr is not None and found.method == "double backward"


def test_a_curvature_that_does_not_fit_takes_differences(table: Callable[..., None]) -> None:
    torch.manual_seed(0)
    layers = [layer for _ in range(24) for layer in (torch.nn.Linear(512, 512), torch.nn.Tanh())]
    model = torch.nn.Sequential(*layers).cuda()
    data = torch.randn(8192, 512), torch.randint(0, 512, (8192,))
    task = Task(model, torch.optim.SGD(model.parameters(), 1e-3), CE, data).with_(batch_size=8192)
    trained(task)
    before = state(task)
    with spare_mib(256):
        found = estimate_curvature(task)
    table("curvature with little memory: method, limit", [found.method, found.limit_lr])
    assert found.method == "central differences" and state(task) == before


@contextmanager
def spare_mib(margin: int) -> Iterator[None]:
    """As much memory as the process has had at most, and ``margin`` MiB more."""
    device = torch.device("cuda", torch.cuda.current_device())
    torch.cuda.empty_cache()
    with reserved_at_most(torch.cuda.max_memory_allocated(device) + margin * 2**20, device):
        yield


def learnable() -> Task:
    torch.manual_seed(0)
    inputs = torch.randn(2048, 32)
    targets = (inputs @ torch.randn(32, 10)).argmax(1)
    model = torch.nn.Sequential(torch.nn.Linear(32, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)).cuda()
    return Task(model, torch.optim.Adam(model.parameters(), 1e-3), CE, (inputs, targets))
