"""A run leaves nothing behind, however it ends, on a copy and in place."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tasks import blobs, everything, hard_task, plain_task
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbtune.engine import LRSettings, ModelBusyError, Task, find_lr, sweep_lr
from nbtune.engine.training.backup import _owns_memory, _put_back_gradient
from nbtune.engine.training.kept import InMemory
from nbtune.engine.training.random_streams import RandomStreams

SHORT = LRSettings(mode="quick", steps=20)


@pytest.fixture(params=[SHORT, LRSettings(rates=5)], ids=["sweep", "race"], autouse=True)
def _short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here once with a sweep and once with a race in its place."""
    monkeypatch.setitem(globals(), "SHORT", request.param)


def in_place(task: Task) -> Task:
    """The same task, which cannot be copied: a parameter has a hook."""
    task.parameters[-1].register_hook(lambda grad: grad)
    return task


@pytest.fixture(params=["copy", "in place"])
def task(request: pytest.FixtureRequest) -> Task:
    made = hard_task()
    return in_place(made) if request.param == "in place" else made


def test_a_finished_sweep_leaves_everything_as_it_was(task: Task) -> None:
    before = everything(task)
    find_lr(task, SHORT, progress=False)
    assert everything(task) == before


def test_a_closed_sweep_leaves_everything_as_it_was(task: Task) -> None:
    before = everything(task)
    sweep = sweep_lr(task, SHORT)
    for _ in range(5):
        next(sweep)
    sweep.close()
    assert everything(task) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_loss_leaves_everything_as_it_was(task: Task, error: type[BaseException]) -> None:
    calls = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 7:
            raise error("boom")
        return nn.functional.cross_entropy(output, target)

    task.loss_fn = loss_fn
    before = everything(task)
    # An interrupt is told in one line of nbtune's own, with what was found by then.
    with pytest.raises(error, match="boom" if error is ValueError else "everything is put back"):
        find_lr(task, SHORT, progress=False)
    assert everything(task) == before


def test_later_training_is_the_same_bit_for_bit(task: Task) -> None:
    def later(tuned: Task) -> list[float]:
        losses = []
        for inputs, targets in tuned.loader:
            loss = nn.functional.cross_entropy(tuned.model(inputs), targets)
            tuned.optimizer.zero_grad()
            loss.backward()
            tuned.optimizer.step()
            losses.append(loss.item())
        return losses

    untouched = hard_task()
    torch.manual_seed(5)
    expected = later(untouched)
    torch.manual_seed(5)
    find_lr(task, SHORT, progress=False)
    assert later(task) == expected


def test_in_place_runs_really_train_the_users_model_and_put_it_back() -> None:
    task = in_place(hard_task())
    before = everything(task)
    sweep = sweep_lr(task, LRSettings(mode="quick", lr_min=0.1, lr_max=1, steps=10))
    next(sweep)
    assert everything(task)[" weights"] != before[" weights"]
    sweep.close()
    assert everything(task) == before


def test_tensors_and_gradients_stay_the_same_objects() -> None:
    task = in_place(hard_task())
    objects = [(p, p.grad, task.optimizer.state.get(p, {}).get("exp_avg")) for p in task.parameters]
    find_lr(task, SHORT, progress=False)
    assert all(p.grad is g and task.optimizer.state.get(p, {}).get("exp_avg") is s for p, g, s in objects)


def test_steps_that_draw_numpy_and_python_numbers_do_not_advance_the_global_streams() -> None:
    def noisy_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, target) + 1e-3 * (np.random.rand() + random.random())

    task = plain_task(loss_fn=noisy_loss)
    before = everything(task)
    find_lr(task, SHORT, progress=False)
    assert everything(task) == before


def test_two_sweeps_of_one_task_give_the_same_losses() -> None:
    task = hard_task()
    assert find_lr(task, SHORT, progress=False).losses == find_lr(task, SHORT, progress=False).losses


def test_numbers_drawn_between_two_steps_are_not_drawn_again_afterwards() -> None:
    task = hard_task()
    sweep = sweep_lr(task, SHORT)
    next(sweep)
    drawn = torch.rand(3)
    next(sweep)
    sweep.close()
    assert not torch.equal(torch.rand(3), drawn)


def test_a_seed_set_during_a_step_stays_in_force() -> None:
    def reseeding_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(11)
        random.seed(11)
        return nn.functional.cross_entropy(output, target)

    find_lr(plain_task(loss_fn=reseeding_loss), SHORT, progress=False)
    drawn = torch.rand(1).item(), random.random()
    torch.manual_seed(11)
    random.seed(11)
    assert drawn == (torch.rand(1).item(), random.random())


def test_the_users_model_can_be_trained_while_a_copy_is_swept() -> None:
    task = plain_task()
    sweep = sweep_lr(task, SHORT)
    next(sweep)
    nn.functional.cross_entropy(task.model(blobs()[0]), blobs()[1]).backward()
    task.optimizer.step()
    trained = everything(task)[" weights"]
    for _ in sweep:
        pass
    assert everything(task)[" weights"] == trained


def test_a_second_run_on_the_same_parameters_says_so() -> None:
    task = plain_task()
    first = sweep_lr(task, SHORT)
    next(first)
    with pytest.raises(ModelBusyError, match="another nbtune run"):
        find_lr(task.with_(batch_size=8), SHORT, progress=False)
    first.close()
    assert find_lr(task, SHORT, progress=False).steps


def test_a_training_step_on_the_global_model_is_told_and_nothing_is_changed() -> None:
    task = hard_task()
    stray = task.with_(loss_fn=None, training_step=lambda model, batch: task.loss_fn(task.model(batch[0]), batch[1]))
    before = everything(task)
    with pytest.raises(RuntimeError, match="uses the global model, not the one it is given"):
        find_lr(stray, SHORT, progress=False)
    assert everything(task) == before


def test_an_update_on_the_global_model_is_told_and_put_back() -> None:
    task = plain_task()

    def update(
        model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, torch.Tensor]
    ) -> dict[str, float]:
        loss = nn.functional.cross_entropy(task.model(batch[0]), batch[1])
        loss.backward()
        task.optimizer.step()
        return {"loss": loss.item()}

    before = everything(task)
    with pytest.raises(RuntimeError, match="your update uses the global model"):
        find_lr(task.with_(loss_fn=None, update=update), SHORT, progress=False)
    assert everything(task) == before


def test_schedulers_and_their_wrapped_step_are_untouched() -> None:
    task = hard_task()
    scheduler = torch.optim.lr_scheduler.StepLR(task.optimizer, 2)
    task = task.with_(preserve=scheduler)
    before = everything(task)
    find_lr(task, SHORT, progress=False)
    assert everything(task) == before and not getattr(task.optimizer, "_opt_called", False)


def test_what_preserve_names_is_put_back_though_the_update_changes_it() -> None:
    task = plain_task()
    ema = torch.optim.swa_utils.AveragedModel(task.model)

    def update(
        model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        ema.update_parameters(model)
        return {"loss": loss}

    task = task.with_(loss_fn=None, update=update, preserve=[ema])
    before = everything(task)
    find_lr(task, SHORT, progress=False)
    assert everything(task) == before


def test_a_sweep_in_a_thread_leaves_the_callers_grad_mode_and_seed_alone() -> None:
    task = hard_task()
    before = everything(task)
    thread = threading.Thread(target=lambda: find_lr(task, SHORT, progress=False))
    with torch.no_grad():
        thread.start()
        thread.join()
        assert not torch.is_grad_enabled()
    assert everything(task) == before


def test_a_model_that_cannot_be_copied_is_trained_in_place() -> None:
    task = plain_task()
    task.model.lock = threading.Lock()
    before = everything(task)
    assert find_lr(task, SHORT, progress=False).steps and everything(task) == before


def test_two_runs_at_once_leave_the_callers_streams_as_they_were() -> None:
    def slow_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        barrier.wait(120)  # both are inside a step
        return nn.functional.cross_entropy(output, target)

    barrier = threading.Barrier(2)
    tasks = [plain_task(loss_fn=slow_loss), plain_task(loss_fn=slow_loss)]
    before, generator = everything(tasks[0]), np.random.get_bit_generator()
    threads = [threading.Thread(target=find_lr, args=(task, SHORT), kwargs={"progress": False}) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything(tasks[0]) == before
    assert np.random.get_bit_generator() is generator


@pytest.mark.parametrize("seeds", [(0, 1), (1, 0), (0, 0)])
def test_a_run_that_comes_and_goes_during_anothers_step_leaves_the_callers_streams(seeds: tuple[int, int]) -> None:
    """As the drawing of one race's batches, whose seed is another, during a step of another race."""
    before = torch.get_rng_state(), random.getstate()
    first, second = (RandomStreams(torch.device("cpu"), seed) for seed in seeds)
    with first, second:
        pass
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    with first:
        torch.manual_seed(7)
        random.seed(7)
        expected = torch.get_rng_state(), random.getstate()
        with second:
            pass
        torch.manual_seed(7)
        random.seed(7)
    assert torch.equal(torch.get_rng_state(), expected[0]) and random.getstate() == expected[1]
    torch.set_rng_state(before[0])
    random.setstate(before[1])


def test_an_interrupt_while_the_streams_are_swapped_leaves_them_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    task = plain_task()
    before = everything(task)
    set_state, calls = random.setstate, []

    def interrupted(state: Any) -> None:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        set_state(state)

    monkeypatch.setattr(random, "setstate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find_lr(task, SHORT, progress=False)
    assert everything(task) == before


def test_a_scheduler_stepped_in_the_update_leaves_the_users_rate_alone() -> None:
    task = plain_task()
    scheduler = torch.optim.lr_scheduler.StepLR(task.optimizer, 1, 0.5)
    scheduled = task.with_(loss_fn=None, update=stepping(after=scheduler.step), preserve=[scheduler])
    before = everything(scheduled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch sees the scheduler step before the user's own optimizer
        find_lr(scheduled, SHORT, progress=False)
    assert everything(scheduled) == before


def test_an_update_that_steps_the_global_optimizer_is_told_and_put_back() -> None:
    task = hard_task()
    stray = task.with_(loss_fn=None, update=stepping(optimizer=task.optimizer))
    before = everything(task)
    with pytest.raises(RuntimeError, match="optimizer from outside"):
        find_lr(stray, SHORT, progress=False)
    assert everything(task) == before


def stepping(optimizer: Any = None, after: Callable[[], None] = lambda: None) -> Callable[..., dict[str, Any]]:
    """An update that steps the optimizer it is given, or another one."""

    def update(model: nn.Module, given: Any, batch: Any) -> dict[str, Any]:
        (optimizer or given).zero_grad()
        loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward()
        (optimizer or given).step()
        after()
        return {"loss": loss}

    return update


@pytest.mark.parametrize("kind", ["expanded buffer", "loose tensor", "closure", "wrapped forward"])
def test_models_that_are_hard_to_copy_are_left_as_they_were(kind: str) -> None:
    task = hard_task()
    model, forward = task.model, task.model.forward
    if kind == "expanded buffer":
        model.register_buffer("mask", torch.ones(1, 2).expand(3, 2))
        model.lock = threading.Lock()
    elif kind == "loose tensor":
        model.lock, model.hidden = threading.Lock(), torch.zeros(2)
        model.register_forward_hook(lambda module, args, output: (module.hidden.add_(1), None)[1])
    elif kind == "closure":
        model[2].act = lambda x: model[1](x)
    else:
        model.forward = lambda x: forward(x) * 2
    hidden, before = getattr(model, "hidden", torch.zeros(2)).clone(), everything(task)
    assert find_lr(task, SHORT, progress=False).steps
    assert everything(task) == before
    assert torch.equal(getattr(model, "hidden", hidden), hidden)


def test_optimizer_hooks_take_part_in_every_step() -> None:
    task, calls = plain_task(), []
    task.optimizer.register_step_pre_hook(lambda *_: calls.append(1))
    before = everything(task)
    curve = find_lr(task, SHORT, progress=False)
    assert len(calls) >= curve.updates >= 20
    assert everything(task) == before


def test_the_validation_loaders_generator_is_put_back() -> None:
    generator = torch.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(*blobs(seed=1)), 16, shuffle=True, generator=generator)
    before = generator.get_state()
    find_lr(plain_task(), SHORT, progress=False, validation=loader)
    assert torch.equal(generator.get_state(), before)


def test_gradients_whose_memory_was_given_back_are_the_same_objects_and_values_again() -> None:
    layer = nn.Linear(4, 4)
    layer(torch.randn(2, 4)).sum().backward()
    gradient = layer.weight.grad
    assert gradient is not None and _owns_memory(gradient) and not _owns_memory(gradient[:2])
    values, kept = gradient.clone(), InMemory().keep(gradient)
    gradient.untyped_storage().resize_(0)  # what is done on an accelerator
    _put_back_gradient(layer.weight, True, gradient, kept)
    assert layer.weight.grad is gradient and torch.equal(gradient, values)
