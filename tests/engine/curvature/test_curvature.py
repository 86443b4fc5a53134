"""The curvature of the loss and the limit it sets to η: against dense Hessians, and against real steps."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tasks import blobs, everything, hard_task, plain_task
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

import nbtune
from nbtune.engine import Curvature, Task, estimate_curvature
from nbtune.engine.curvature.hessian import Hessian
from nbtune.engine.curvature.lanczos import Eigenvalue, largest_eigenvalue
from nbtune.engine.training import workpiece as preserve

Pair = tuple[torch.Tensor, torch.Tensor]
FROZEN = 1 - 1e-12
"""A β₂ with which the squared gradients of an optimizer stay what they are."""


def regression(seed: int = 0) -> Pair:
    """Inputs of very different sizes, so that the Hessian 2 XᵀX / n has a clear largest eigenvalue."""
    inputs = torch.randn(40, 5, generator=torch.Generator().manual_seed(seed)) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5])
    return inputs, inputs.sum(1, keepdim=True)


def linear_task(make_optimizer: Callable[[Any], Any], samples: list[Pair] | None = None) -> Task:
    torch.manual_seed(0)
    model = nn.Linear(5, 1, bias=False)
    return Task(model, make_optimizer(model.parameters()), functional.mse_loss, samples or [regression()])


def sgd(**settings: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda parameters: SGD(parameters, lr=0.1, **settings)


def regression_hessian(pair: Pair) -> torch.Tensor:
    return 2 * pair[0].T @ pair[0] / len(pair[0])


def top(matrix: torch.Tensor) -> float:
    return float(torch.linalg.eigvalsh(matrix.double())[-1])


def tanh_model(**changes: Any) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2, **changes))


def dense(model: nn.Module, pair: Pair) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient and the Hessian of the cross entropy over all parameters, flat, in float64."""
    named = {name: p.detach().double() for name, p in model.named_parameters()}
    inputs, targets = pair[0].double(), pair[1]

    def loss_at(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([p.numel() for p in named.values()])
        weights = {name: part.view(p.shape) for (name, p), part in zip(named.items(), parts, strict=True)}
        return functional.cross_entropy(torch.func.functional_call(model, weights, (inputs,)), targets)

    flat = torch.cat([p.reshape(-1) for p in named.values()])
    return torch.func.grad(loss_at)(flat), torch.func.jacrev(torch.func.grad(loss_at))(flat)


def classifier(model: nn.Module, optimizer: torch.optim.Optimizer, samples: list[Pair] | None = None) -> Task:
    return Task(model, optimizer, functional.cross_entropy, samples or [blobs()])


def scaled(hessian: torch.Tensor, divisor: torch.Tensor) -> torch.Tensor:
    return hessian / divisor.sqrt()[:, None] / divisor.sqrt()


def limit_of(task: Task) -> float:
    found = estimate_curvature(task, products=60)
    assert found.limit_lr is not None and found.reason == "" and found.is_converged
    return found.limit_lr


# What is computed


def test_a_quadratic_loss_has_the_limit_of_its_known_hessian() -> None:
    task = linear_task(sgd())
    found, largest = estimate_curvature(task), top(regression_hessian(regression()))
    assert found.largest_eigenvalue == pytest.approx(largest, rel=1e-3)
    assert found.limit_lr == pytest.approx(2 / largest, rel=1e-3)
    assert (found.rule, found.momentum, found.is_preconditioned) == ("2/λmax", 0.0, False)
    assert found.is_converged and found.products <= 5 and found.method == "double backward" and found.reason == ""
    with torch.no_grad():
        assert found.loss == pytest.approx(float(functional.mse_loss(task.model(regression()[0]), regression()[1])))


def test_several_batches_have_the_mean_of_their_hessians() -> None:
    pairs = [regression(), regression(1)]
    found = estimate_curvature(linear_task(sgd(), pairs), batches=2)
    mean = (regression_hessian(pairs[0]) + regression_hessian(pairs[1])) / 2
    assert found.largest_eigenvalue == pytest.approx(top(mean), rel=1e-3)
    assert found.batches == 2


def test_a_network_has_the_largest_eigenvalue_of_its_dense_hessian() -> None:
    model = tanh_model()
    found = estimate_curvature(classifier(model, SGD(model.parameters(), lr=0.1)), products=30)
    assert found.largest_eigenvalue == pytest.approx(top(dense(model, blobs())[1]), rel=1e-3)
    assert found.relative_error is not None and found.relative_error <= 0.02


@pytest.mark.parametrize(
    ("make_optimizer", "factor"),
    [
        (lambda p: Adam(p, eps=1e-3), 38.0),
        (lambda p: AdamW(p, eps=1e-3, betas=(0.5, 0.999)), 6.0),
        (lambda p: RMSprop(p, eps=1e-3), 2.0),
        (lambda p: RMSprop(p, eps=1e-3, momentum=0.5), 3.0),
        (lambda p: Adagrad(p, eps=1e-3), 2.0),
    ],
)
def test_before_its_first_step_an_optimizer_scales_by_the_gradients_of_eight_batches(
    make_optimizer: Callable[[Any], torch.optim.Optimizer], factor: float
) -> None:
    model, pairs = tanh_model(), [blobs(seed=seed) for seed in range(9)]
    found = estimate_curvature(classifier(model, make_optimizer(model.parameters()), pairs), products=40)
    squares = torch.stack([dense(model, pair)[0].square() for pair in pairs[:8]]).mean(0)
    largest = top(scaled(dense(model, pairs[0])[1], squares.sqrt() + 1e-3))
    assert found.largest_eigenvalue == pytest.approx(largest, rel=2e-3)
    assert found.limit_lr == pytest.approx(factor / largest, rel=2e-3)
    assert found.is_preconditioned and found.scaling_batches == 8


@pytest.mark.parametrize("is_amsgrad", [False, True])
def test_after_steps_adams_own_state_scales(is_amsgrad: bool) -> None:
    model = tanh_model()
    optimizer = Adam(model.parameters(), lr=0.01, amsgrad=is_amsgrad)
    task = classifier(model, optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        functional.cross_entropy(model(blobs()[0]), blobs()[1]).backward()
        optimizer.step()
    if is_amsgrad:
        for state in optimizer.state.values():
            state["max_exp_avg_sq"] *= 4
    name = "max_exp_avg_sq" if is_amsgrad else "exp_avg_sq"
    seen = torch.cat([optimizer.state[p][name].reshape(-1) for p in model.parameters()]).double() / (1 - 0.999**5)
    found = estimate_curvature(task, products=40)
    assert found.largest_eigenvalue == pytest.approx(
        top(scaled(dense(model, blobs())[1], seen.sqrt() + 1e-8)), rel=2e-3
    )
    assert found.scaling_batches == 0


def test_groups_weigh_in_with_the_ratio_of_their_rates() -> None:
    model = tanh_model()
    groups = [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters(), "lr": 0.2}]
    found = estimate_curvature(classifier(model, SGD(groups)), products=40)
    rates = torch.cat([torch.full((30,), 1.0), torch.full((14,), 10.0)]).double()
    assert found.largest_eigenvalue == pytest.approx(top(scaled(dense(model, blobs())[1], 1 / rates)), rel=1e-3)


def test_only_weights_that_train_count() -> None:
    model = tanh_model()
    model[2].bias.requires_grad_(False)
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters(), "lr": 0.1}]
    found = estimate_curvature(classifier(model, SGD(groups)), products=40)
    assert found.largest_eigenvalue == pytest.approx(top(dense(model, blobs())[1][30:42, 30:42]), rel=1e-3)


def test_weight_decay_counts_where_it_goes_through_the_gradient() -> None:
    plain = estimate_curvature(linear_task(sgd())).largest_eigenvalue
    decayed = estimate_curvature(linear_task(sgd(weight_decay=3.0))).largest_eigenvalue
    assert plain is not None and decayed == pytest.approx(plain + 3, rel=1e-3)
    adam = estimate_curvature(linear_task(lambda p: Adam(p, weight_decay=0.5)))
    decoupled = estimate_curvature(linear_task(lambda p: AdamW(p, weight_decay=0.5)))
    assert adam.largest_eigenvalue != pytest.approx(decoupled.largest_eigenvalue, rel=1e-2)
    bare = estimate_curvature(linear_task(lambda p: AdamW(p, weight_decay=0.0)))
    assert decoupled.largest_eigenvalue == pytest.approx(bare.largest_eigenvalue)


def test_weight_decay_is_in_the_gradients_that_adam_scales_by() -> None:
    model = tanh_model()
    found = estimate_curvature(classifier(model, Adam(model.parameters(), eps=1e-3, weight_decay=0.1)), products=40)
    gradient, hessian = dense(model, blobs())
    weights = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).double()
    divisor = (gradient + 0.1 * weights).abs() + 1e-3
    largest = top(scaled(hessian + 0.1 * torch.eye(len(weights)), divisor))
    assert found.largest_eigenvalue == pytest.approx(largest, rel=2e-3)


def test_adagrads_own_decay_of_the_rate_raises_the_limit() -> None:
    def made(lr_decay: float) -> Task:
        return linear_task(warm(lambda p: Adagrad(p, lr_decay=lr_decay), step=10.0, sum=None))

    assert limit_of(made(0.1)) == pytest.approx(2 * limit_of(made(0.0)), rel=1e-3)


def test_maximizing_the_negative_loss_is_the_same() -> None:
    task = linear_task(sgd(maximize=True))
    turned = task.with_(loss_fn=lambda output, target: -functional.mse_loss(output, target))
    assert limit_of(turned) == pytest.approx(limit_of(linear_task(sgd())))
    assert estimate_curvature(task).limit_lr is None


# What it means: steps just below the limit converge, just above they do not


def loss_after(make_optimizer: Callable[[Any], Any], lr: float, steps: int = 600) -> float:
    """Relative to the start, of real steps on the regression."""
    task = linear_task(make_optimizer)
    task.set_lr(lr)
    inputs, targets = regression()
    first = loss = math.nan
    for index in range(steps):
        task.optimizer.zero_grad()
        error = functional.mse_loss(task.model(inputs), targets)
        error.backward()
        task.optimizer.step()
        loss = error.item()
        first = first if index else loss
        if not loss < 2e3 * first:  # Adagrad would find its way back from there, as its divisor grows
            break
    return loss / first


def warm(make_optimizer: Callable[[Any], Any], **state: Any) -> Callable[[Any], Any]:
    """The optimizer with squared gradients that stay what they are."""

    def made(parameters: Any) -> Any:
        optimizer = make_optimizer(parameters)
        for parameter in optimizer.param_groups[0]["params"]:
            squares = torch.tensor([[4.0, 1.0, 9.0, 1.0, 16.0]])
            optimizer.state[parameter] = {
                name: squares.clone() if value is None else torch.as_tensor(value) for name, value in state.items()
            }
            if "exp_avg" in state or "momentum_buffer" in state:
                optimizer.state[parameter].update(
                    {name: torch.zeros(1, 5) for name in ("exp_avg", "momentum_buffer") if name in state}
                )
        return optimizer

    return made


@pytest.mark.parametrize(
    "make_optimizer",
    [
        pytest.param(sgd(), id="plain"),
        pytest.param(sgd(momentum=0.9), id="momentum"),
        pytest.param(sgd(momentum=0.5, dampening=0.3), id="dampening"),
        pytest.param(sgd(momentum=0.9, nesterov=True), id="nesterov"),
        pytest.param(sgd(momentum=0.3, nesterov=True), id="little nesterov"),
        pytest.param(sgd(momentum=0.9, weight_decay=2.0), id="weight decay"),
        pytest.param(warm(lambda p: Adam(p, betas=(0.9, FROZEN)), step=1e15, exp_avg=0.0, exp_avg_sq=None), id="adam"),
        pytest.param(
            warm(lambda p: RMSprop(p, alpha=FROZEN, momentum=0.5), step=9.0, square_avg=None, momentum_buffer=0.0),
            id="rmsprop",
        ),
        pytest.param(lambda p: Adagrad(p, initial_accumulator_value=1e12), id="adagrad"),
    ],
)
def test_real_steps_diverge_above_the_limit_and_not_below(make_optimizer: Callable[[Any], Any]) -> None:
    limit = limit_of(linear_task(make_optimizer))
    assert loss_after(make_optimizer, 0.98 * limit) < 1
    assert loss_after(make_optimizer, 1.02 * limit) > 1e3


def test_real_steps_of_groups_diverge_above_the_limit_and_not_below() -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(2, 1, bias=False), nn.Linear(3, 1, bias=False)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.one(inputs[:, :2]) + self.other(inputs[:, 2:])

    def ends(share: float) -> float:
        torch.manual_seed(0)
        model = Halves()
        optimizer = SGD(
            [{"params": model.one.parameters(), "lr": 0.1}, {"params": model.other.parameters(), "lr": 2.0}]
        )
        task = Task(model, optimizer, functional.mse_loss, [regression()])
        task.set_lr(share * limit_of(task))
        losses = []
        for _ in range(400):
            optimizer.zero_grad()
            loss = functional.mse_loss(model(regression()[0]), regression()[1])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses[-1] / losses[0]

    assert ends(0.98) < 1 and ends(1.02) > 1e3


def test_the_sentence_fits_the_screen() -> None:
    assert estimate_curvature(linear_task(sgd())).meaning == "above this, plain gradient descent overshoots"
    for make in (sgd(momentum=0.9), Adam, AdamW, RMSprop, Adagrad):
        found = estimate_curvature(linear_task(make))
        assert "overshoots" in found.meaning and "plain" not in found.meaning and len(found.meaning) <= 100


# Where there is no limit


class Hidden(torch.autograd.Function):
    """tanh with a backward pass that does not show what its gradient depends on, as those of fused kernels."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor) -> torch.Tensor:
        output = inputs.tanh()
        ctx.slope = (1 - output.square()).detach()
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * ctx.slope


class HiddenTanh(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return Hidden.apply(inputs)


def reason(task: Task) -> str:
    found = estimate_curvature(task)
    assert found.limit_lr is None and json.dumps(found.to_dict(), allow_nan=False) and found.reason in repr(found)
    return found.reason


def test_a_loss_that_curves_nowhere_upwards_has_no_limit() -> None:
    assert "curves nowhere upwards" in reason(plain_task(loss_fn=lambda output, _: -output.square().mean()))
    assert "curves nowhere upwards" in reason(plain_task(loss_fn=lambda output, _: output.mean()))


def test_an_optimizer_of_another_kind_has_no_limit() -> None:
    class MySGD(SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            """Nothing like SGD."""

    class Renamed(SGD):
        pass

    assert reason(linear_task(lambda p: torch.optim.Rprop(p))) == "no limit is known for Rprop"
    assert reason(linear_task(lambda p: MySGD(p, lr=0.1))) == "no limit is known for MySGD"
    assert limit_of(linear_task(lambda p: Renamed(p, lr=0.1))) == limit_of(linear_task(sgd()))


def test_groups_of_different_momentum_have_no_common_limit() -> None:
    model = tanh_model()
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "momentum": 0.5}]
    assert "differ in momentum" in reason(classifier(model, SGD(groups, lr=0.1)))


def test_momentum_that_never_settles_has_no_limit() -> None:
    assert "no η converges" in reason(linear_task(sgd(momentum=1.0)))
    assert "no η converges" in reason(linear_task(sgd(momentum=0.5, dampening=1.0)))


def test_a_loss_that_is_no_number_has_no_limit() -> None:
    assert reason(plain_task(loss_fn=lambda output, _: output.sum() * math.nan)) == "the loss is nan at these weights"
    assert "not finite" in reason(plain_task(loss_fn=lambda output, _: (output - output).abs().pow(1.5).sum()))


def test_an_update_of_the_users_own_has_no_limit() -> None:
    assert "update=" in reason(plain_task(loss_fn=None, update=lambda model, optimizer, batch: {"loss": 1.0}))


def test_gradients_that_are_all_zero_scale_nothing() -> None:
    model = nn.Linear(4, 2)
    task = Task(model, Adam(model.parameters()), lambda output, _: 0 * output.sum(), blobs())
    assert "every gradient is 0" in reason(task)


def test_half_precision_without_a_second_derivative_has_no_limit() -> None:
    model = nn.Sequential(nn.Linear(4, 6), HiddenTanh(), nn.Linear(6, 2)).bfloat16()
    pairs = [(blobs()[0].bfloat16(), blobs()[1])]
    assert "half-precision" in reason(classifier(model, SGD(model.parameters(), lr=0.1), pairs))


# Where the second derivative is not easily had


def twin_limits(model: nn.Module, twin: nn.Module, samples: list[Any]) -> tuple[Curvature, Curvature]:
    """Of the same weights in both; the second has no graph of its gradient."""
    twin.load_state_dict(model.state_dict())
    tasks = [classifier(m, SGD(m.parameters(), lr=0.1), samples) for m in (model, twin)]
    first, second = (estimate_curvature(task, products=30) for task in tasks)
    assert (first.method, second.method) == ("double backward", "central differences")
    return first, second


def test_a_backward_pass_that_hides_its_derivative_is_differenced() -> None:
    twin = nn.Sequential(nn.Linear(4, 6), HiddenTanh(), nn.Linear(6, 2))
    exact, differenced = twin_limits(tanh_model(), twin, [blobs()])
    assert differenced.limit_lr == pytest.approx(exact.limit_lr, rel=5e-3)


def test_differences_put_the_weights_back_after_each_product() -> None:
    model = nn.Sequential(nn.Linear(4, 6), HiddenTanh(), nn.Linear(6, 2))
    task = classifier(model, SGD(model.parameters(), lr=0.1))
    with preserve.borrowed(task) as workpiece:
        hessian = Hessian(task, workpiece, list(workpiece.model.parameters()), [blobs()])
        hessian.times(torch.ones(44))
        assert hessian.method == "central differences"
        assert all(map(torch.equal, workpiece.model.parameters(), model.parameters()))


def test_a_step_may_use_up_its_batch() -> None:
    def training_step(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        targets = batch.pop("targets")
        batch["inputs"].mul_(0.5)
        return functional.cross_entropy(model(batch["inputs"]), targets)

    model, (inputs, targets) = tanh_model(), blobs()
    optimizer = SGD(model.parameters(), lr=0.1)
    kept = inputs.clone()
    used = Task(model, optimizer, data=[{"inputs": inputs, "targets": targets}], training_step=training_step)
    assert limit_of(used) == limit_of(classifier(model, optimizer, [(kept / 2, targets)]))
    assert torch.equal(inputs, kept)


@pytest.mark.parametrize(
    "error", [RuntimeError("derivative not implemented"), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_a_second_derivative_that_fails_is_replaced_by_differences(error: RuntimeError) -> None:
    class Fails(nn.Tanh):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            output = super().forward(inputs)
            output.register_hook(fail)
            return output

    def fail(gradient: torch.Tensor) -> None:
        if torch.is_grad_enabled():  # only while a graph of the backward pass is made
            raise error

    twin = nn.Sequential(nn.Linear(4, 6), Fails(), nn.Linear(6, 2))
    exact, differenced = twin_limits(tanh_model(), twin, [blobs()])
    assert differenced.limit_lr == pytest.approx(exact.limit_lr, rel=5e-3)


def test_attention_has_a_second_derivative() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
            self.head = nn.Linear(8, 2)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(inputs).mean(1))

    torch.manual_seed(0)
    model, pair = Attends(), (torch.randn(16, 5, 8), torch.randint(2, (16,)))
    found = estimate_curvature(classifier(model, SGD(model.parameters(), lr=0.1), [pair]))
    assert found.method == "double backward" and found.is_converged


def test_a_recurrent_network_has_a_second_derivative() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(inputs)[0][:, -1])

    torch.manual_seed(0)
    model, pair = Reads(), (torch.randn(16, 5, 4), torch.randint(2, (16,)))
    found = estimate_curvature(classifier(model, Adam(model.parameters()), [pair]))
    assert found.method == "double backward" and found.limit_lr is not None


def test_reentrant_checkpoints_are_differenced() -> None:
    class Checkpointed(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.utils.checkpoint.checkpoint(super().forward, inputs.requires_grad_(), use_reentrant=True)

    exact, differenced = twin_limits(tanh_model(), Checkpointed(*tanh_model()), [blobs()])
    assert differenced.limit_lr == pytest.approx(exact.limit_lr, rel=5e-3)


def test_autocast_plays_no_part() -> None:
    model = tanh_model()
    task = classifier(model, SGD(model.parameters(), lr=0.1))
    expected = limit_of(task)
    assert limit_of(task.with_(amp=torch.bfloat16)) == expected
    with torch.autocast("cpu", torch.bfloat16), pytest.warns(UserWarning, match="surrounding torch.autocast"):
        assert limit_of(task) == expected


def test_a_lazy_model_gets_its_weights_first() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.LazyLinear(6), nn.Tanh(), nn.Linear(6, 2))
    assert limit_of(classifier(model, SGD(model.parameters(), lr=0.1))) > 0


# What is left behind, and what it costs


def in_place(task: Task) -> Task:
    """The same task, which cannot be copied: a parameter has a hook."""
    task.parameters[-1].register_hook(lambda grad: grad)
    return task


@pytest.fixture(params=["copy", "in place"])
def task(request: pytest.FixtureRequest) -> Task:
    return hard_task() if request.param == "copy" else in_place(hard_task())


@pytest.mark.parametrize("batches", [1, 2])
def test_it_leaves_everything_as_it_was(task: Task, batches: int) -> None:
    before = everything(task)
    assert estimate_curvature(task, batches=batches).limit_lr is not None
    assert everything(task) == before


def test_fresh_adam_and_differences_leave_everything_as_it_was(task: Task) -> None:
    task.optimizer.state.clear()
    task.model[2] = HiddenTanh()
    before = everything(task)
    found = estimate_curvature(task)
    assert found.method == "central differences" and found.scaling_batches == 8
    assert everything(task) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_an_error_leaves_everything_as_it_was(task: Task, call: int, error: type[BaseException]) -> None:
    calls = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == call:
            raise error("boom")
        return functional.cross_entropy(Hidden.apply(output), target)

    task.loss_fn = loss_fn
    before = everything(task)
    with pytest.raises(error, match="boom"):
        estimate_curvature(task)
    assert everything(task) == before


def test_a_training_step_on_the_global_model_is_told() -> None:
    task = hard_task()
    stray = task.with_(loss_fn=None, training_step=lambda model, batch: task.loss_fn(task.model(batch[0]), batch[1]))
    before = everything(task)
    with pytest.raises(RuntimeError, match="uses the global model, not the one it is given"):
        estimate_curvature(stray)
    assert everything(task) == before


def test_it_works_where_gradients_are_off_and_leaves_them_off() -> None:
    task = plain_task()
    expected = limit_of(task)
    with torch.no_grad():
        assert limit_of(task) == expected and not torch.is_grad_enabled()
    with torch.inference_mode():
        assert limit_of(task) == expected and torch.is_inference_mode_enabled()


def test_dropout_is_the_same_in_every_product() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 2))
    task = classifier(model, SGD(model.parameters(), lr=0.1))
    with preserve.borrowed(task) as workpiece:
        parameters = list(workpiece.model.parameters())
        hessian = Hessian(task, workpiece, parameters, [blobs(), blobs(seed=1)])
        one, other = torch.randn(2, sum(p.numel() for p in parameters)).double().float()
        # Symmetric, as it would not be if each product had a Hessian of its own.
        assert float(one @ hessian.times(other)) == pytest.approx(float(other @ hessian.times(one)), rel=1e-4)
        assert torch.equal(hessian.times(one), hessian.times(one))


def test_a_model_in_eval_mode_is_taken_as_it_trains() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 2))
    task = classifier(model, SGD(model.parameters(), lr=0.1))
    trained = limit_of(task)
    model.eval()
    assert limit_of(task) == trained and not model.training


def test_one_graph_serves_all_products() -> None:
    forwards = []
    model = tanh_model()

    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        forwards.append(1)
        return functional.cross_entropy(output, targets)

    task = Task(model, SGD(model.parameters(), lr=0.1), loss_fn, [blobs()])
    found = estimate_curvature(task)
    assert found.products > 2 and len(forwards) == 2  # the loss, and the graph


def test_the_clock_ends_it_with_what_is_known() -> None:
    task = linear_task(sgd())
    cut, whole = estimate_curvature(task, max_seconds=0), estimate_curvature(task)
    assert cut.products == 1 < whole.products and not cut.is_converged and "±" in repr(cut)
    assert cut.limit_lr is not None and whole.limit_lr is not None and cut.limit_lr > whole.limit_lr


def test_too_few_products_do_not_say_that_nothing_curves_upwards() -> None:
    model = tanh_model()
    task = classifier(model, SGD(model.parameters(), lr=0.1))
    assert estimate_curvature(task, products=1).reason == "λmax is not known: 1 product was not enough"


def test_products_are_a_limit_and_the_seed_repeats() -> None:
    model = tanh_model()
    task = classifier(model, SGD(model.parameters(), lr=0.1))
    one, again, other = (estimate_curvature(task, products=3, seed=seed) for seed in (0, 0, 1))
    assert one.products == 3 and one.largest_eigenvalue == again.largest_eigenvalue != other.largest_eigenvalue


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(TypeError, match=r"takes an nbtune\.Task, not Linear"):
        estimate_curvature(nn.Linear(2, 2))  # type: ignore[arg-type]
    for name in ("products", "batches"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 up, not 0"):
            estimate_curvature(plain_task(), **{name: 0})


def test_the_result_is_plain_data() -> None:
    found = nbtune.estimate_curvature(linear_task(sgd()))
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["kind"] == "curvature" and plain["schema"] == 1 and plain["limit_lr"] == found.limit_lr
    assert isinstance(found, nbtune.Curvature)


# Lanczos


def symmetric(eigenvalues: torch.Tensor) -> torch.Tensor:
    basis = torch.linalg.qr(
        torch.randn(len(eigenvalues), len(eigenvalues), generator=torch.Generator().manual_seed(0))
    )[0]
    return basis @ torch.diag(eigenvalues) @ basis.T


def lanczos(matrix: torch.Tensor, products: int, tolerance: float = 0.0) -> Eigenvalue:
    start = torch.randn(len(matrix), generator=torch.Generator().manual_seed(1))
    return largest_eigenvalue(
        lambda v: matrix @ v, start, products=products, is_enough=lambda found: found.relative_error <= tolerance
    )


def test_the_largest_eigenvalue_is_found_beside_a_larger_negative_one() -> None:
    found = lanczos(symmetric(torch.cat([torch.tensor([-50.0, 7.0]), torch.linspace(-1, 5, 60)])), 40, 1e-3)
    assert found.value == pytest.approx(7, rel=1e-4) and found.products < 40


def test_an_eigenvalue_lies_within_the_error() -> None:
    eigenvalues = torch.linspace(0, 10, 80) ** 2
    for products in range(1, 12):
        found = lanczos(symmetric(eigenvalues), products)
        assert float((eigenvalues - found.value).abs().min()) <= found.error + 1e-3
        assert found.value <= 100.001 and found.products == products


def test_a_space_that_is_used_up_ends_it() -> None:
    assert lanczos(3 * torch.eye(20), 10) == Eigenvalue(pytest.approx(3), 0.0, 1)
    assert lanczos(torch.zeros(20, 20), 10) == Eigenvalue(0.0, 0.0, 1)
    assert lanczos(symmetric(torch.tensor([1.0, 2.0, 3.0])), 10).products == 3


def test_a_product_that_is_no_number_ends_it() -> None:
    assert math.isnan(lanczos(torch.full((4, 4), math.nan), 10).value)


def test_an_estimate_leaves_no_graph_behind() -> None:
    def parameters() -> int:
        gc.collect()
        return sum(type(thing) is nn.Parameter for thing in gc.get_objects())

    task = plain_task()
    estimate_curvature(task)
    before = parameters()
    for _ in range(3):
        estimate_curvature(task)
    assert parameters() == before
