"""What a step reaches beside the model: it is counted, and a rehearsal writes to none of it."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, NotPredictableError, estimate_memory
from nbtune.engine.memory.rehearsal.outside import Outside

MIB = 2**20
X = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))


class Schedule:
    """Keeps its numbers where they were asked for last, as noise schedules do."""

    def __init__(self) -> None:
        self.alphas = torch.linspace(1, 0, 100)
        self.written: list[tuple[int, str]] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor) and hasattr(self, "written"):
            self.written.append((id(self), value.device.type))
        super().__setattr__(name, value)

    def noise(self, x: torch.Tensor) -> torch.Tensor:
        self.alphas = self.alphas.to(x.device)
        at = torch.randint(0, 100, (len(x),), device=x.device)
        return self.alphas[at][:, None].sqrt() * x


class Lazy:
    """Makes its tensor when it is first needed; a module's attribute, a cache by length, a queue of the last ones."""

    def __init__(self) -> None:
        self.weights: torch.Tensor | None = None
        self.by_length: dict[int, torch.Tensor] = {}
        self.latest: deque[torch.Tensor] = deque(maxlen=4)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.weights is None:
            self.weights = torch.ones(x.shape[1], device=x.device)
        self.by_length.setdefault(len(x), x.new_ones(1))
        self.latest.append(x.mean())
        return x * self.weights * self.by_length[len(x)]


class Centred(nn.Module):
    """A loss with a buffer that moves."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(16))

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.centre = 0.9 * self.centre + 0.1 * output.detach().mean(0)
        return F.mse_loss(output - self.centre, target)


schedule, lazy = Schedule(), Lazy()
CACHE: dict[Any, torch.Tensor] = {}
KEPT: list[torch.Tensor] = []
latest: torch.Tensor | None = None
running = torch.zeros(3)


@functools.lru_cache
def positions(length: int, device: torch.device) -> torch.Tensor:
    return torch.arange(length, device=device).float()


@functools.cache
def weights(length: int) -> torch.Tensor:
    return torch.ones(length, device=X.device)


class Rotary(nn.Module):
    """Its forward writes to globals, and to what belongs to its class."""

    shared: dict[int, torch.Tensor] = {}  # noqa: RUF012
    last: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        global latest
        latest = x
        CACHE.setdefault(len(x), x.new_ones(16))
        self.shared[len(x)] = Rotary.last = self.linear(x) * CACHE[len(x)] * positions(16, x.device)
        KEPT.append(x)
        return self.shared[len(x)]


def task_of(step: Callable[..., Any] | None = None, model: nn.Module | None = None, **changes: Any) -> Task:
    model = nn.Linear(16, 16) if model is None else model
    arguments = {"training_step": step} if step is not None else {}
    return Task(model, torch.optim.SGD(model.parameters(), 0.1), data=(X, X), **{**arguments, **changes})


def estimated(*args: Any, **changes: Any) -> MemoryEstimate:
    return estimate_memory(task_of(*args, **changes), "8 GB")


def devices(value: Any) -> set[str]:
    found: list[str] = []
    items = (
        list(value.values())
        if isinstance(value, dict)
        else list(value)
        if isinstance(value, (list, deque))
        else [value]
    )
    found += [x.device.type for x in items if isinstance(x, torch.Tensor)]
    return set(found)


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    global latest
    yield
    CACHE.clear(), KEPT.clear(), positions.cache_clear(), weights.cache_clear(), Rotary.shared.clear()
    latest, Rotary.last = None, None


# --- nothing is written to --------------------------------------------------------------------------------------------


def test_a_schedule_that_follows_its_argument_stays_where_it_is() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return F.mse_loss(model(schedule.noise(batch[0])), batch[1])

    before, numbers = schedule.alphas, schedule.alphas.clone()
    estimate = estimated(step)
    assert estimate.method == "meta" and not estimate.caveats
    assert schedule.alphas is before and torch.equal(before, numbers)
    assert (id(schedule), "meta") not in schedule.written  # not even for a moment
    step(nn.Linear(16, 16), (X, X)).backward()


def test_an_object_of_a_closure_that_makes_its_tensors_late_makes_none() -> None:
    held = Lazy()
    estimated(lambda model, batch: F.mse_loss(model(held(batch[0])), batch[1]))
    assert held.weights is None and held.by_length == {} and len(held.latest) == 0


@pytest.mark.parametrize("make", [
    lambda held: functools.partial(lambda held, model, batch: F.mse_loss(model(held(batch[0])), batch[1]), held),
    lambda held: (lambda model, batch, held=held: F.mse_loss(model(held(batch[0])), batch[1])),
    lambda held: type("Step", (), {"__call__": lambda self, m, b: plain(m, (self.held(b[0]), b[1])), "held": held})(),
    lambda held: type("Trainer", (), {"loss": lambda self, m, b: plain(m, (held(b[0]), b[1]))})().loss,
], ids=["partial", "default", "class attribute", "method"])  # fmt: skip
def test_it_does_not_matter_how_a_step_comes_to_its_objects(make: Callable[..., Any]) -> None:
    held = Lazy()
    held.weights = torch.ones(16)
    before = held.weights
    estimated(make(held))
    assert held.weights is before and devices(held.by_length) <= {"cpu"} and devices(held.latest) <= {"cpu"}


def test_a_loss_with_a_buffer_keeps_it() -> None:
    loss = Centred()
    before = loss.centre
    assert estimated(loss_fn=loss).method == "meta"
    assert loss.centre is before and torch.equal(before, torch.zeros(16))
    free = Centred()  # a loss that is no part of the task
    estimated(lambda model, batch: free(model(batch[0]), batch[1]))
    assert devices(free.centre) == {"cpu"} and torch.equal(free.centre, torch.zeros(16))


def test_a_tokenizer_that_caches_tensors_caches_none_without_numbers() -> None:
    class Tokenizer:
        def __init__(self) -> None:
            self.cache: dict[str, torch.Tensor] = {"b": torch.ones(16)}

        def __call__(self, text: str, device: torch.device) -> torch.Tensor:
            if text not in self.cache:
                self.cache[text] = torch.full((16,), float(len(text)), device=device)
            return self.cache[text]

    tokenizer = Tokenizer()
    before = dict(tokenizer.cache)
    estimated(lambda model, batch: F.mse_loss(model(batch[0]) + tokenizer("a", batch[0].device), batch[1]))
    assert tokenizer.cache == before


def test_globals_class_attributes_and_caches_that_a_models_forward_writes_to_hold_what_they_held() -> None:
    positions(16, torch.device("cpu"))
    kept = torch.ones(2)
    KEPT.append(kept)
    estimate = estimated(lambda model, batch: F.mse_loss(model(batch[0]), batch[1]), Rotary())
    assert estimate.peak_bytes(64) > 0
    assert latest is None and Rotary.last is None and Rotary.shared == {} and CACHE == {}
    assert len(KEPT) == 1 and KEPT[0] is kept
    assert devices([positions(16, torch.device("cpu")), *(weights(n) for n in (1, 2))]) == {"cpu"}


def test_a_cached_function_is_not_filled_by_a_rehearsal() -> None:
    weights(3)
    before = weights.cache_info()
    estimated(lambda model, batch: F.mse_loss(model(batch[0]) * weights(16), batch[1]))
    assert weights.cache_info() == before


def test_numbers_that_are_counted_up_in_place_stay() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        running.add_(1.0)
        return F.mse_loss(model(batch[0]), batch[1]) + running.sum()

    estimated(step)
    assert torch.equal(running, torch.zeros(3))


def test_a_generator_of_the_users_own_is_not_drawn_from() -> None:
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state()
    estimated(lambda m, b: F.mse_loss(m(b[0] + torch.randn(16, generator=generator)), b[1]))
    assert torch.equal(generator.get_state(), before)


def test_the_gradients_of_a_second_model_stay_away() -> None:
    second = nn.Linear(16, 16)
    estimated(lambda model, batch: F.mse_loss(second(model(batch[0])), batch[1]))
    assert all(p.grad is None for p in second.parameters())


def test_what_cannot_be_copied_is_shared_and_put_back() -> None:
    class Locked:
        def __init__(self) -> None:
            self.kept: Any = None

        def __del__(self) -> None:
            pass

    held = Locked()

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        held.kept = {"x": [batch[0]]}
        return F.mse_loss(model(batch[0]), batch[1])

    estimated(step)
    assert held.kept is None


def test_an_accelerator_that_the_step_names_is_no_hindrance() -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    model = nn.Linear(16, 16)
    model, optimizer = accelerator.prepare(model, torch.optim.Adam(model.parameters()))

    def update(model: nn.Module, optimizer: Any, batch: Any) -> dict[str, torch.Tensor]:
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[1])
        accelerator.backward(loss)
        optimizer.step()
        return {"loss": loss}

    estimate = estimate_memory(Task(model, optimizer, data=(X, X), update=update), "8 GB")
    assert estimate.method == "meta"
    assert estimate.breakdown(4)["optimizer"] >= 2 * sum(p.nbytes for p in model.parameters())


def test_a_copied_function_is_the_same_function_over_other_objects() -> None:
    held, log = Lazy(), list[str]()

    def helper(x: torch.Tensor) -> torch.Tensor:
        log.append("called")
        return held(x)

    def step(x: torch.Tensor, times: int = 1, *, more: int = 2) -> torch.Tensor:
        return helper(x) * times * more

    outside = Outside({}, lambda t: torch.empty_like(t, device="meta"), torch.device("cpu"))
    made = outside.of(step)
    assert torch.equal(made(X), step(X)) and made.__name__ == "step" and made is not step
    assert log == ["called"] * 2  # lists of plain values are the user's own
    assert len(held.latest) == 1


# --- what lies on the card is counted ---------------------------------------------------------------------------------


def teacher() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(1024, 1024, bias=False)  # 4 MiB


wide = nn.Sequential(nn.Linear(16, 1024), nn.Linear(1024, 16))
the_teacher = teacher()


def distil(model: nn.Module, batch: Any, of: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        y = of(model[0](batch[0]))
    return F.mse_loss(model[0](batch[0]), y)


class Distiller:
    def __init__(self) -> None:
        self.parts = {"teacher": [teacher()]}

    def step(self, model: nn.Module, batch: Any) -> torch.Tensor:
        return distil(model, batch, self.parts["teacher"][0])


def _closure() -> Callable[..., Any]:
    held = teacher()
    return lambda model, batch: distil(model, batch, held)


PLACES: dict[str, Callable[[], Callable[..., Any]]] = {
    "a closure": _closure,
    "a global": lambda: lambda model, batch: distil(model, batch, the_teacher),
    "a default": lambda: lambda model, batch, held=the_teacher: distil(model, batch, held),
    "a partial": lambda: functools.partial(distil, of=teacher()),
    "an attribute": lambda: Distiller().step,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_teacher_is_counted_wherever_it_is_held_and_named(place: str) -> None:
    plain = estimated(lambda m, b: distil(m, b, nn.Identity()), copy.deepcopy(wide))
    estimate = estimated(PLACES[place](), copy.deepcopy(wide))
    assert estimate.breakdown(4)["parameters"] - plain.breakdown(4)["parameters"] == 4 * MIB
    assert any("Counted beside the model" in caveat and "4 MiB" in caveat for caveat in estimate.caveats)


def test_an_encoder_hidden_in_a_list_of_the_model_is_counted() -> None:
    class Hides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.encoder = nn.Linear(1024, 4), [teacher()]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                x = self.encoder[0](F.pad(x, (0, 1008)))
            return self.head(x)

    model = Hides()
    estimate = estimated(lambda m, b: m(b[0]).mean(), model)
    assert estimate.method == "meta"
    assert estimate.breakdown(4)["parameters"] >= 4 * MIB + 4 * 1024 * 4


def test_a_moving_average_in_preserve_is_counted() -> None:
    model = copy.deepcopy(wide)
    average = torch.optim.swa_utils.AveragedModel(model)
    own = sum(p.nbytes for p in model.parameters())
    step = lambda m, b: F.mse_loss(m(b[0]), b[1])  # noqa: E731
    with_it = estimated(step, model, preserve=average).breakdown(4)["parameters"]
    assert with_it - estimated(step, model).breakdown(4)["parameters"] == pytest.approx(own, rel=0.05)


def test_a_second_reference_to_the_model_is_not_counted_twice() -> None:
    model = copy.deepcopy(wide)
    plain = estimated(lambda m, b: F.mse_loss(m(b[0]), b[1]), model)
    inner = model[0]
    held = {"model": model, "weight": model[1].weight}
    estimate = estimated(lambda m, b: F.mse_loss(m[1](inner(b[0])), b[1]) + 0 * held["weight"].sum(), model)
    assert estimate.breakdown(4)["parameters"] == plain.breakdown(4)["parameters"] and not estimate.caveats


def test_numbers_of_small_tensors_beside_the_model_can_be_read() -> None:
    limits = torch.tensor([0.5, 2.0])

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        loss = F.mse_loss(model(batch[0]), batch[1])
        return loss if float(limits[1] * 2) == 4.0 else loss.reshape(1, 1)[5]

    estimate = estimated(step)
    assert estimate.method == "meta" and not estimate.caveats


def test_an_optimizer_that_steps_in_the_backward_pass_is_counted_with_its_state() -> None:
    model = net()
    frozen = torch.optim.SGD(model.parameters(), 0.0)
    before = estimate_memory(Task(model, frozen, F.mse_loss, (X, X)), "8 GB").breakdown(4)
    inside = {p: torch.optim.Adam([p], foreach=False) for p in model.parameters()}

    def step_now(parameter: torch.Tensor) -> None:
        inside[parameter].step()
        inside[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step_now)
    estimate = estimate_memory(Task(model, frozen, F.mse_loss, (X, X)), "8 GB")
    assert estimate.method == "meta"
    assert estimate.breakdown(4)["optimizer"] == pytest.approx(2 * before["parameters"], rel=0.1)
    assert estimate.breakdown(4)["gradients"] < before["gradients"]
    assert all(not optimizer.state for optimizer in inside.values()) and all(p.grad is None for p in inside)


@pytest.mark.parametrize("what", ["save_on_cpu", "autocast"])
def test_what_is_seen_and_not_modelled_is_named(what: str) -> None:
    with pytest.warns(UserWarning, match="CUDA") if not torch.cuda.is_available() else contextlib.nullcontext():
        made_before = torch.autocast("cuda", dtype=torch.bfloat16)

    def saving(model: nn.Module, batch: Any) -> torch.Tensor:
        with torch.autograd.graph.save_on_cpu():
            return plain(model, batch)

    def casting(model: nn.Module, batch: Any) -> torch.Tensor:
        with made_before:
            return plain(model, batch)

    caveats = estimated(saving if what == "save_on_cpu" else casting, net()).caveats
    assert any(what in caveat for caveat in caveats)


# --- CUDA in the user's own step --------------------------------------------------------------------------------------


def net(width: int = 256) -> nn.Sequential:
    torch.manual_seed(0)
    inner = [layer for _ in range(4) for layer in (nn.Linear(width, width), nn.GELU())]
    return nn.Sequential(nn.Linear(16, width), *inner, nn.Linear(width, 16))


def plain(model: nn.Module, batch: Any) -> torch.Tensor:
    return F.mse_loss(model(batch[0]), batch[1])


def in_autocast(model: nn.Module, batch: Any) -> torch.Tensor:
    with torch.autocast("cuda", dtype=torch.bfloat16):
        return plain(model, batch)


def in_old_autocast(model: nn.Module, batch: Any) -> torch.Tensor:
    with torch.autocast(device_type="cuda", dtype=torch.bfloat16, enabled=True, cache_enabled=True):
        return plain(model, batch)


@pytest.mark.parametrize("step", [in_autocast, in_old_autocast])
def test_autocast_in_the_step_takes_what_amp_does(step: Callable[..., Any]) -> None:
    own = estimated(step, net())
    planned = estimate_memory(task_of(plain, net()), "8 GB", amp=torch.bfloat16)
    assert own.breakdown(2**15)["activations"] == planned.breakdown(2**15)["activations"]
    assert own.peak_bytes(2**15) == planned.peak_bytes(2**15) < estimated(plain, net()).peak_bytes(2**15)
    assert own.asks_for_cuda and not planned.asks_for_cuda


def test_autocast_that_the_user_switched_off_is_off() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=False):
            return plain(model, batch)

    assert estimated(step, net()).peak_bytes(2**15) == estimated(plain, net()).peak_bytes(2**15)


def test_afterwards_autocast_is_what_it_was() -> None:
    from torch.cuda.amp import common

    before = common.amp_definitely_not_available, torch.cuda.is_bf16_supported
    estimated(in_autocast, net())
    assert (common.amp_definitely_not_available, torch.cuda.is_bf16_supported) == before


MOVES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "cuda()": lambda x: x.cuda(),
    "cuda(non_blocking)": lambda x: x.cuda(non_blocking=True),
    "to": lambda x: x.to("cuda"),
    "to(device)": lambda x: x.to(torch.device("cuda:0"), non_blocking=True),
    "to(device=)": lambda x: x.to(device="cuda"),
    "zeros": lambda x: x + torch.zeros(len(x), 16, device="cuda"),
    "new_zeros": lambda x: x + x.new_zeros(len(x), 16, device="cuda"),
    "tensor": lambda x: x + torch.tensor([1.0] * 16, device="cuda"),
    "zeros_like": lambda x: x + torch.zeros_like(x, device="cuda"),
    "host": lambda x: x + torch.zeros(len(x), 16),
    "from the host": lambda x: x + torch.ones(16).to(x.device),
}


@pytest.mark.parametrize("how", MOVES)
def test_a_step_that_names_its_device_is_predicted_as_on_the_card(how: str) -> None:
    estimate = estimated(lambda m, b: F.mse_loss(m(MOVES[how](b[0])), b[1]), net())
    assert estimate.method == "meta"
    assert estimate.peak_bytes(2**16) >= estimated(plain, net()).peak_bytes(2**16)
    assert estimate.asks_for_cuda == ("host" not in how)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("what", "capacity"), [
    (lambda x: torch.cuda.synchronize() or x, "8 GB"), (lambda x: x.cuda(), None),
])  # fmt: skip
def test_what_cannot_be_played_without_cuda_is_refused_in_words(what: Callable[..., Any], capacity: Any) -> None:
    task = task_of(lambda m, b: plain(m, (what(b[0]), b[1])), net())
    with pytest.raises(NotPredictableError, match=r"Not predictable: the step needs CUDA, which this machine does not"):
        estimate_memory(task, capacity)


def test_an_assertion_in_a_forward_is_traced_and_still_asserts() -> None:
    class Checked(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch._assert(x.shape[1] == self.in_features, "width")
            torch._assert((x == x).all(), "numbers")
            return super().forward(x)

    for amp in (None, torch.bfloat16):
        estimate = estimate_memory(task_of(plain, Checked(16, 16)), "8 GB", amp=amp)
        assert estimate.method == "meta" and not estimate.caveats
    with pytest.raises(AssertionError, match="width"):
        estimated(lambda m, b: m(b[0][:, :8]).mean(), Checked(16, 16))


def test_attention_without_fused_kernels_keeps_its_scores() -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def attend(x: torch.Tensor) -> torch.Tensor:
        x = x[:, None, :, None].expand(-1, 4, -1, 8)
        return F.scaled_dot_product_attention(x, x, x).mean((1, 3))

    def by_math(model: nn.Module, batch: Any) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return attend(model(batch[0])).mean()

    fused = estimated(lambda m, b: attend(m(b[0])).mean(), net()).breakdown(2**15)["activations"]
    scores = 2**15 * 4 * 16 * 16 * 4
    assert estimated(by_math, net()).breakdown(2**15)["activations"] >= fused + scores


def test_a_dict_that_makes_what_it_is_asked_for_is_not_asked() -> None:
    made: list[str] = []

    class Maker(OrderedDict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            made.append(name)
            return super().__getitem__(name)()

    makers = Maker(prelu=nn.PReLU, relu=nn.ReLU)
    step = lambda model, batch: plain(model, (makers["relu"](batch[0]), batch[1]))  # noqa: E731
    assert estimated(step, net()).method == "meta"
    assert set(made) == {"relu"}
