"""What a step may return, which way is up, and errors that say what to write."""

from __future__ import annotations

import math
import re
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tasks import adversaries, blobs, everything, plain_task
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nbtune import compare_batch_sizes, estimate_curvature
from nbtune.engine import LRCurve, LRSettings, Task, find_lr
from nbtune.engine.learning_rate.by_batch_size import LRByBatchSize
from nbtune.engine.learning_rate.find import lr_result
from nbtune.engine.learning_rate.search import search_lr
from nbtune.engine.training.trainer import trainer

CE = nn.functional.cross_entropy
X, Y = blobs()
QUICK = LRSettings(mode="quick", steps=12)


def loss_of(model: nn.Module, batch: Any) -> torch.Tensor:
    return CE(model(batch[0]), batch[1])


def stepping(training_step: Any, **changes: Any) -> Task:
    return plain_task(loss_fn=None, training_step=training_step, **changes)


def notes_of(task: Task, settings: LRSettings = QUICK) -> set[str]:
    run = search_lr(task, settings)
    for _ in run:
        pass
    return run.notes


class Skipping:
    """Skips batches by what is in them, as steps do that guard themselves."""

    def __init__(self, every: int) -> None:
        self.every, self.calls, self.seen = every, 0, list[int]()

    def __call__(self, model: nn.Module, batch: Any) -> torch.Tensor | None:
        self.calls += 1
        if self.calls % self.every == 0:
            return None
        return loss_of(model, batch)


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_a_step_that_returns_none_skips_its_batch_and_another_one_is_drawn(mode: Any) -> None:
    task = stepping(Skipping(5))
    before = everything(task)
    settings = LRSettings(mode=mode, steps=30)
    curve = find_lr(task, settings, progress=False)
    assert curve.suggestion is not None and all(map(math.isfinite, (s.loss for s in curve.steps[:20])))
    assert re.fullmatch(
        r"Batches for which your training_step returned None were skipped: \d+ of \d+\.", *curve.caveats
    )
    assert notes_of(stepping(Skipping(5)), settings) == {curve.caveats[0]}
    assert everything(task) == before


def test_skipped_batches_are_counted_and_count_neither_as_steps_nor_in_a_mean() -> None:
    seen: list[float] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor | None:
        seen.append(float(batch[0][0, 0]))
        return loss_of(model, batch) if len(seen) % 3 else None

    task = stepping(step, accumulate=2)
    with trainer(task) as made:
        losses = [made.step(0.0001) for _ in range(4)]
        assert made.notes.skipped == 3 and len(seen) == 11 and len(losses) == 4
    with trainer(task) as made, made.stretch(0.1):
        assert math.isfinite(made.look())


def test_rates_that_skip_other_batches_go_on_with_others() -> None:
    """A batch that some rate skips is drawn anew for it alone; the race's other batches stay shared."""

    def step(model: nn.Module, batch: Any) -> torch.Tensor | None:
        loss = loss_of(model, batch)
        return None if not torch.isfinite(loss) or loss > 50 else loss

    curve = find_lr(stepping(step), progress=False)
    assert curve.suggestion is not None


@pytest.mark.parametrize("returns", [lambda model, batch: None, Skipping(1)])
def test_a_step_that_always_returns_none_is_told(returns: Any) -> None:
    with pytest.raises(ValueError, match=r"returned None for 8 of 8 batches.*`return loss`"):
        find_lr(stepping(returns), QUICK, progress=False)


def test_an_update_may_skip_too() -> None:
    calls: list[int] = []

    def update(model: nn.Module, optimizer: Any, batch: Any) -> dict[str, torch.Tensor] | None:
        calls.append(1)
        if len(calls) % 4 == 0:
            return None
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    curve = find_lr(plain_task(loss_fn=None, update=update), QUICK, progress=False)
    assert len(curve.steps) == 12 and len(calls) == 15


def test_a_comparison_counts_only_what_was_trained_on() -> None:
    duel = compare_batch_sizes(stepping(Skipping(7)), [8, 32], budget="20 updates", progress=False)
    assert [curve.updates[-1] for curve in duel.curves] == [20, 20]


PLAIN = find_lr(stepping(loss_of), QUICK, progress=False).losses


@pytest.mark.parametrize(
    "form",
    [
        lambda loss: {"loss": loss, "accuracy": 0.5, "logits": X},
        lambda loss: SimpleNamespace(loss=loss),
        lambda loss: (loss, X),
        lambda loss: {"part": 0.25 * loss, "rest": 0.75 * loss.reshape(1)},
        lambda loss: loss.reshape(1, 1),
    ],
    ids=["dict", "object", "tuple", "losses by name", "shape (1, 1)"],
)
def test_a_loss_may_come_in_these_forms(form: Any) -> None:
    curve = find_lr(stepping(lambda model, batch: form(loss_of(model, batch))), QUICK, progress=False)
    assert curve.losses == pytest.approx(PLAIN, rel=1e-5)
    by_loss_fn = find_lr(plain_task(loss_fn=lambda o, y: form(CE(o, y))), QUICK, progress=False)
    assert by_loss_fn.losses == pytest.approx(PLAIN, rel=1e-5)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda loss: {"nll": loss, "accuracy": 0.5}, "'accuracy', which is no loss"),
        (lambda loss: {"nll": loss, "accuracy": loss.detach()}, "'accuracy', which is no loss"),
        (lambda loss: {}, "nothing"),
        (lambda loss: (loss, loss), "return the loss alone, or a dict"),
        (lambda loss: [X, loss], "return the loss alone, or a dict"),
        (lambda loss: "loss", "not str; leave .item"),
    ],
)
def test_what_may_be_no_loss_is_asked(form: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        find_lr(stepping(lambda model, batch: form(loss_of(model, batch))), QUICK, progress=False)


def test_that_losses_were_summed_is_said() -> None:
    def by_name(model: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
        loss = loss_of(model, batch)
        return {"loss_box": loss, "loss_cls": loss}

    said = {"The losses that your training_step returns (loss_box, loss_cls) are summed."}
    assert notes_of(stepping(by_name)) == said == notes_of(stepping(by_name), LRSettings())
    assert notes_of(adversaries()) == {"The losses that your update returns (made, judge) are summed."}
    assert notes_of(adversaries(), LRSettings(mode="quick", steps=12, optimizer="made")) == set()


def test_a_model_that_returns_losses_by_name_needs_nothing_else() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, images: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
            scores = self.linear(images)
            return {"loss_classifier": CE(scores, targets), "loss_box_reg": scores.square().mean()}

    model = Detector()
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), data=blobs())
    assert find_lr(task, progress=False).suggestion is not None


def maximizing(sign: float, **changes: Any) -> Task:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, maximize=sign < 0)
    return Task(model, optimizer, lambda o, t: sign * nn.functional.mse_loss(o, t), (X, X[:, :1]), **changes)


@pytest.mark.parametrize(
    "changes",
    [{}, {"mode": "quick"}, {"repeats": 2}, {"validation": (X, X[:, :1])}, {"batch_sizes": [8, 32]}],
    ids=["race", "sweep", "repeats", "held out", "batch sizes"],
)
def test_an_optimizer_that_goes_up_gives_the_answer_of_one_that_goes_down(changes: Any) -> None:
    down, up = (find_lr(maximizing(sign), progress=False, **changes) for sign in (1, -1))
    if "batch_sizes" in changes:
        assert down.suggestions == up.suggestions
    else:
        assert down.suggestion == up.suggestion is not None and down.losses == up.losses


def test_a_comparison_and_a_curvature_go_up_as_well() -> None:
    down, up = (compare_batch_sizes(maximizing(s), [8, 32], budget="40 updates", progress=False) for s in (1, -1))
    assert [curve.losses for curve in down.curves] == [curve.losses for curve in up.curves]
    eigenvalues = [estimate_curvature(maximizing(sign)).largest_eigenvalue for sign in (1, -1)]
    assert eigenvalues[0] == pytest.approx(eigenvalues[1])


def test_that_losses_are_reversed_is_said() -> None:
    said = "maximize=True: of what your loss_fn returns, higher is better."
    assert notes_of(maximizing(-1)) == {said} and notes_of(maximizing(1)) == set()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("changes", [{}, {"mode": "quick"}, {"repeats": 2}], ids=["race", "sweep", "repeats"])
def test_a_curve_folded_again_from_its_steps_is_the_same_whichever_way_is_up(sign: int, changes: Any) -> None:
    curve = find_lr(maximizing(sign), progress=False, **changes)
    again = LRCurve.from_steps(curve.steps, settings=curve.settings, batch_size=curve.batch_size, sign=sign)
    assert again == curve and again.sign == sign and all(order.sign == sign for order in again.orders)
    assert "sign" in curve.to_dict() and again.to_dict()["sign"] == sign


@pytest.mark.parametrize("sign", [1, -1])
def test_a_result_by_batch_size_folded_again_is_the_same_too(sign: int) -> None:
    task, settings = maximizing(sign), LRSettings(mode="quick", steps=12, batch_sizes=(8, 16))
    with closing(search_lr(task, settings)) as run:
        events = list(run)
    again = LRByBatchSize.from_steps(events, settings=settings, sign=sign)
    assert again == lr_result(events, task, settings) and [c.sign for c in again.curves.values()] == [sign, sign]


@pytest.mark.parametrize("sign", [0, 2, "up", None])
def test_a_wrong_sign_is_told(sign: Any) -> None:
    with pytest.raises(ValueError, match="sign must be 1 or -1"):
        LRCurve.from_steps([], sign=sign)
    with pytest.raises(ValueError, match="sign must be 1 or -1"):
        LRByBatchSize.from_steps([], settings=LRSettings(batch_sizes=(8,)), sign=sign)


def test_a_forgotten_loss_is_called_that() -> None:
    with pytest.raises(TypeError, match=r"no loss_fn given, and Linear\.forward does not take the whole batch"):
        find_lr(plain_task(loss_fn=None), progress=False)
    with pytest.raises(TypeError, match=r"no loss_fn given, and the model returned Tensor without a \.loss"):
        find_lr(plain_task(loss_fn=None, data=[X]), progress=False)


def test_a_type_error_inside_the_model_stays_its_own() -> None:
    class Faulty(nn.Linear):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
            return len(3)  # type: ignore[arg-type]

    model = Faulty(4, 2)
    with pytest.raises(TypeError, match="has no len"):
        find_lr(Task(model, torch.optim.SGD(model.parameters(), 0.1), data=blobs()), progress=False)


WIDE = X.double()


def on_rates(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy(output.sigmoid(), targets)


@pytest.mark.parametrize("mode", ["race", "quick"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": (WIDE, Y)}, r"holds float64, int64, and the weights are float32: .*\.float\(\)"),
        ({"data": (WIDE.numpy(), Y.numpy())}, r"\.float\(\)"),
        ({"data": (X, WIDE[:, :2].sigmoid()), "loss_fn": on_rates}, r"float targets\) with \.float\(\)"),
        ({"data": (X, Y.int())}, r"convert labels and indices with \.long\(\)"),
        ({"data": (Y[:, None].expand(-1, 4), Y)}, r"holds int64, .*\.float\(\)"),
        ({"data": (X, Y.float())}, r"\.long\(\)"),
    ],
    ids=["inputs", "arrays", "targets", "labels", "whole numbers", "float labels"],
)
def test_types_that_differ_say_how_to_convert_them(mode: Any, changes: Any, message: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=message):
        find_lr(plain_task(**changes), mode=mode, progress=False)


def test_arrays_in_a_step_of_ones_own_say_how_to_convert_them() -> None:
    batches = [(X.numpy(), Y)] * 3
    with pytest.raises(TypeError, match=r"holds NumPy arrays: .*\.float\(\)"):
        find_lr(stepping(lambda model, batch: CE(model(batch[0]), batch[1]), data=batches), progress=False)


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_data_that_are_not_finite_are_called_that(mode: Any) -> None:
    for bad in (math.nan, math.inf):
        inputs = X.clone()
        inputs[:, 1] = bad
        task = plain_task(data=(inputs, Y))
        curve = find_lr(task, mode=mode, progress=False)
        assert curve.verdict == "No clear answer: the loss is not finite."
        assert curve.reason == "It is inf or NaN before any step."
        assert notes_of(task, LRSettings(mode=mode)) == {"The first batch itself holds NaN or inf."}
    own = plain_task(loss_fn=lambda o, y: CE(o, y) * math.nan)
    assert find_lr(own, mode=mode, progress=False).reason == "It is inf or NaN before any step."
    assert notes_of(own) == set()


def test_a_loader_of_arrays_trains() -> None:
    def together(rows: Any) -> Any:
        return np.stack([x for x, _ in rows]), np.array([int(y) for _, y in rows])

    loader = DataLoader(TensorDataset(X, Y), 32, collate_fn=together)
    assert find_lr(plain_task(data=loader), progress=False).suggestion is not None
