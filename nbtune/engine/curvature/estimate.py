"""The theory beside practice: the curvature of the loss at the start, and the η above which steps overshoot."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn.parameter import UninitializedParameter

from ...formats import format_loss, format_lr, format_memory
from ..checks import number, whole_number
from ..device.capacity import free_bytes
from ..interrupts import held_back
from ..plain_data import json_ready
from ..small_print import warn_of
from ..task.rates import set_lr
from ..task.task import Task, checked_task
from ..torch_modes import CallersModes
from ..training.copies import Workpiece
from ..training.feeds import SharedBatches
from ..training.holdings import training_bytes
from ..training.loader_state import LoaderState
from ..training.modes import put_in_training
from ..training.room import free_text
from ..training.workpiece import borrowed, ledger_of
from .hessian import Hessian, Method, NoSecondDerivativeError
from .lanczos import Eigenvalue, largest_eigenvalue
from .limits import Rule, rule_of
from .scaled_hessian import ScaledHessian

CONVERGED = 0.02
"""Relative error of λmax from which on no further product is needed."""

MOST_PRODUCTS, MOST_BATCHES = 1000, 1000
"""Each product's vector is kept, and each batch on the device."""

ROUGH = 0.1
"""Above this one it is not told as a number, but as a bound."""


VECTORS, FEWEST_PRODUCTS = 8, 3
"""Of the weights' size, that an estimate holds beside one for each product; and products that tell anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curvature:
    """The largest curvature of the loss at the task's weights, and what it says of η.

    Attributes:
        limit_lr: η of the first parameter group above which the optimizer overshoots further with each step on these
            batches' quadratic model; the groups keep their ratios. None with ``reason`` saying why.
        largest_eigenvalue: λmax of the Hessian, weighted by the groups' ratios, of the preconditioned one where
            ``is_preconditioned``; coupled weight decay included. None where it could not be computed.
        is_preconditioned: Whether the Hessian is scaled as the optimizer scales the weights (Adam and the like).
        momentum: β, or Adam's β₁; 0.0 for none.
        rule: The limit as a formula, such as "2/λmax".
        meaning: One sentence for the screen.
        reason: Why there is no limit; "" where there is one.
        products: Hessian-vector products taken.
        relative_error: Of λmax, by the residual of its eigenvector: an eigenvalue lies within it. What was found is
            never above the largest, so ``limit_lr`` is rather too high. None without an eigenvalue.
        is_converged: Whether that error is at most 2 %.
        method: "double backward", or "central differences" of gradients where an operation has no second derivative.
        loss: Mean loss of the batches, at the task's weights, in training mode; None where it was not computed.
        batches: Whose Hessian it is.
        scaling_batches: Whose squared gradients made the scaling; 0 where it is the optimizer's own, or there is none.
        seconds: It took.
    """

    limit_lr: float | None = None
    largest_eigenvalue: float | None = None
    is_preconditioned: bool = False
    momentum: float = 0.0
    rule: str = ""
    meaning: str = ""
    reason: str = ""
    products: int = 0
    relative_error: float | None = None
    is_converged: bool = False
    method: Method = "double backward"
    loss: float | None = None
    batches: int = 1
    scaling_batches: int = 0
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """The limit with its meaning, or why there is none."""
        if self.limit_lr is None:
            return f"No 2/λmax: {self.reason}."
        limit = f"{self.rule} {self.sign} {format_lr(self.limit_lr)}"
        how = "" if self.method == "double backward" else ", by differences of gradients"
        return f"Theory: {limit}{how}; {self.meaning}."

    @property
    def sign(self) -> str:
        """ "≈", or "≤" where the estimate was cut short: the limit is then rather too high."""
        return "≈" if self.relative_error is not None and self.relative_error <= ROUGH else "≤"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields; inf and NaN become None."""
        return {"kind": "curvature", "schema": 1, **json_ready(asdict(self))}

    def __repr__(self) -> str:
        if self.limit_lr is None:
            return f"Curvature(limit_lr=None)\n  {self.reason}"
        error = "" if self.is_converged else f", ± {self.relative_error:.0%}"
        return (
            f"Curvature(limit_lr={format_lr(self.limit_lr)} = {self.rule}{error}, {self.products} products)\n"
            f"  {self.meaning}"
        )


def estimate_curvature(
    task: Task, *, products: int = 12, batches: int = 1, seed: int = 0, max_seconds: float | None = None
) -> Curvature:
    """The η above which ``task``'s optimizer overshoots, from a few Hessian-vector products.

    λmax, the largest eigenvalue of the Hessian of the mean loss of the loader's next ``batches``, by Lanczos' method
    with full reorthogonalization, from a random vector; at the task's weights, in training mode, with the same dropout
    in every product, without autocast (``accumulate`` plays no part). The parameters are those of the optimizer that
    train, weighted by their groups' ratios. A product costs two to three forward and backward passes, its graph about
    four times a training step's memory; where there is too little, differences of gradients take its place.

    An adaptive optimizer's Hessian is scaled by what it divides by: its own state, or, before its first step, the root
    mean square of the gradients of 8 batches. A single batch would do what Adam does at its very first step, but then
    the few weights whose gradient happens to be near 0 make the limit.

    It is a local limit at the start: later the curvature settles where the limit is near the η in use, so the best η
    may be on either side of it.

    Model, optimizer, random state and data order are afterwards as they were, also after an error or an interrupt.

    Args:
        task: What is to be tuned.
        products: At most, from 1 to 1,000; fewer when λmax is known to 2 %.
        batches: Whose mean loss it is, from 1 to 1,000. Of one, the graph is kept for all products; of more, made anew
            in each.
        seed: Of the random vector and the dropout.
        max_seconds: Begin no product after this time.
    Returns:
        The limit; None with a reason where the loss curves nowhere upwards or is not finite, for optimizers whose
        limit is not known, and with ``update=``.
    Raises:
        TypeError, ValueError: For wrong arguments or a task that cannot be trained.
        ModelBusyError: While another run works on the same parameters.
        Exception: Whatever the user's model, loss or data raise.

    Examples:
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> inputs = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> task = Task(model, optimizer, torch.nn.functional.mse_loss, [(inputs, inputs.sum(1, keepdim=True))])
        >>> estimate_curvature(task)  # its Hessian has the eigenvalues 4 and 1
        Curvature(limit_lr=0.5 = 2/λmax, 2 products)
          above this, plain gradient descent overshoots

    Sources: Cohen et al. 2021 (arXiv 2103.00065) and 2022 (arXiv 2207.14484); products by double backward: Pearlmutter
    1994.
    """
    checked_task(task, "estimate_curvature")
    products = whole_number("products", products, most=MOST_PRODUCTS)
    batches = whole_number("batches", batches, most=MOST_BATCHES)
    seed = whole_number("seed", seed, least=0)
    limit = None if max_seconds is None else number("max_seconds", max_seconds, least=0)
    warn_of([*task.caveats, *CallersModes().left_out])
    return measured(task, products=products, batches=batches, seed=seed, max_seconds=limit)


def measured(
    task: Task, *, products: int = 12, batches: int = 1, seed: int = 0, max_seconds: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Curvature:  # fmt: skip
    """As ``estimate_curvature``, without checks and warnings; no product begins once ``is_stopped()``."""
    begun = time.perf_counter()
    deadline = math.inf if max_seconds is None else begun + max_seconds
    with held_back(), CallersModes().in_force():
        found = _found(task, products, batches, seed, lambda: is_stopped() or time.perf_counter() > deadline)
    return Curvature(batches=batches, seconds=time.perf_counter() - begun, **found)


def _found(task: Task, products: int, count: int, seed: int, is_over: Callable[[], bool]) -> dict[str, Any]:
    if task.update is not None:
        return {"reason": "update= takes steps of its own, so there is no one loss to take the curvature of"}
    with borrowed(task) as workpiece, _drawn(task) as draw:
        optimizer, groups = _training_groups(workpiece)
        if not groups:
            return {"reason": "every weight that could train has the rate 0"}
        rule = rule_of(optimizer, groups)
        if isinstance(rule, str):
            return {"reason": rule}
        samples = [draw() for _ in range(count)]
        parameters = [p for group in groups for p in group["params"] if p.requires_grad]
        known: dict[str, Any] = {
            "is_preconditioned": rule.is_preconditioned, "momentum": rule.momentum, "rule": rule.text,
            "meaning": rule.meaning,
        }  # fmt: skip
        vector_bytes = _vector_bytes(parameters)
        most = min(products, _products_with_room(task, vector_bytes))
        if most < min(products, FEWEST_PRODUCTS):
            return {**known, "reason": _no_room(vector_bytes)}
        with closing(Hessian(task, workpiece, parameters, samples, seed=seed)) as hessian:
            known["loss"] = hessian.loss()
            if not math.isfinite(known["loss"]):
                return {**known, "reason": f"the loss is {known['loss']} at these weights"}
            scaled = ScaledHessian(hessian, optimizer, groups, rule)
            if rule.is_preconditioned:
                known["scaling_batches"] = scaled.precondition(samples, draw)
            try:
                found = _largest(scaled, most, seed, is_over)
            except NoSecondDerivativeError as error:
                return {**known, "reason": str(error)}
            return {**known, "method": hessian.method, **_answer(found, rule)}


def _vector_bytes(parameters: list[Any]) -> int:
    """Of one number for each weight; lazy ones are not known yet."""
    known = [p for p in parameters if not isinstance(p, UninitializedParameter)]
    return (8 if any(p.dtype == torch.float64 for p in known) else 4) * sum(int(p.numel()) for p in known)


def _products_with_room(task: Task, vector_bytes: int) -> int:
    """For so many products there is room on the host, beside a training step: each keeps a vector."""
    spare = ledger_of(task).spare_bytes(task.device) if task.device.type == "cpu" else None
    if spare is None:
        return sys.maxsize
    # Gradients are among the vectors.
    return (spare + training_bytes(task)) // max(1, vector_bytes) - VECTORS


def _no_room(vector_bytes: int) -> str:
    each = format_memory(vector_bytes)
    return f"it takes {VECTORS + FEWEST_PRODUCTS} vectors of {each} at least, and {free_text()} of memory are free"


def _answer(found: Eigenvalue, rule: Rule) -> dict[str, Any]:
    if not found.products:
        return {"reason": "every gradient is 0 here, so there is no scaling to go by"}
    if not math.isfinite(found.value):
        return {"products": found.products, "reason": "the loss has a second derivative that is not finite"}
    known = {
        "largest_eigenvalue": found.value, "products": found.products, "relative_error": found.relative_error,
        "is_converged": found.relative_error <= CONVERGED,
    }  # fmt: skip
    if found.value <= 0 and not known["is_converged"]:
        taken = "1 product was" if found.products == 1 else f"{found.products} products were"
        return {**known, "reason": f"λmax is not known: {taken} not enough"}
    if found.value <= 0:
        return {**known, "reason": f"the loss curves nowhere upwards here (λmax is {format_loss(found.value)})"}
    return {**known, "limit_lr": rule.factor / found.value}


def _training_groups(workpiece: Workpiece) -> tuple[Any, list[dict[str, Any]]]:
    """The optimizer and its groups that train, with the rate of each as a ratio to the first."""
    set_lr(workpiece.optimizers, 1.0)
    for model in workpiece.models:
        put_in_training(model)
    optimizer = getattr(workpiece.optimizer, "optimizer", workpiece.optimizer)  # Accelerate wraps it
    groups = [g for g in optimizer.param_groups if float(g["lr"]) > 0 and any(p.requires_grad for p in g["params"])]
    return optimizer, groups


@contextmanager
def _drawn(task: Task) -> Iterator[Callable[[], Any]]:
    """A function that gives the loader's next batch on the device; afterwards the loader is as it was."""
    state = LoaderState(task.loader)
    try:
        with closing(SharedBatches(task, state)) as shared:

            def draw() -> Any:
                shared.advance(1)
                return shared.window[0]

            yield draw
    finally:
        state.put_back()


def _largest(scaled: ScaledHessian, products: int, seed: int, is_over: Callable[[], bool]) -> Eigenvalue:
    scale = scaled.scale
    # Drawn on the host, so that every device begins alike.
    start = torch.randn(len(scale), generator=torch.Generator().manual_seed(seed)).to(scale)
    start[scale == 0] = 0
    if not start.any():
        return Eigenvalue(0.0, 0.0, 0)
    free, needed = free_bytes(scale.device), products * scale.nbytes
    store = None if free is None or 2 * needed <= free else torch.device("cpu")
    return largest_eigenvalue(
        scaled.times, start, products=products, store=store,
        is_enough=lambda found: found.relative_error <= CONVERGED or is_over(),
    )  # fmt: skip
