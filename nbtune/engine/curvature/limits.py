"""From a curvature to a limit on η: what each optimizer does to a quadratic loss."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, RMSprop

PLAIN = "above this, plain gradient descent overshoots"
_KINDS = {"SGD": (SGD,), "Adam": (Adam, AdamW), "RMSprop": (RMSprop,), "Adagrad": (Adagrad,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an optimizer's limit follows from λmax: η = ``factor`` / λmax.

    Attributes:
        kind: "SGD", "Adam" (also AdamW), "RMSprop" or "Adagrad".
        factor: > 0.
        text: The limit as a formula.
        momentum: β; 0.0 for none.
        meaning: One sentence for the screen.
    """

    kind: str
    factor: float
    text: str
    momentum: float
    meaning: str

    @property
    def is_preconditioned(self) -> bool:
        """Whether λmax is that of the Hessian as scaled by the optimizer."""
        return self.kind != "SGD"


def rule_of(optimizer: Any, groups: Sequence[Mapping[str, Any]]) -> Rule | str:
    """The rule for an optimizer; a reason where there is none.

    Along an eigenvector of the Hessian with eigenvalue λ the step is linear. It overshoots further each time from
    where its greatest root leaves the unit circle; for the rules below that happens at −1, at

    - heavy ball with momentum β and dampening τ: ηλ(1 − τ) = 2 + 2β
    - Nesterov's, as torch writes it: ηλ(1 + 2β) = 2 + 2β
    - Adam, whose first moment is a heavy ball with τ = β₁: ηλ(1 − β₁) = 2 + 2β₁, λ of P^-½ H P^-½ with a fixed P

    Sources: Cohen et al. 2021 (arXiv 2103.00065), appendix B; 2022 (arXiv 2207.14484), section 2. Dampening is ours, by
    the same computation. Adam's bias correction and the change of P from step to step are left out, as there.

    Args:
        optimizer: One of torch's, or a wrapper with it as ``optimizer``.
        groups: Its parameter groups that train.
    """
    kind = _kind_of(optimizer)
    if kind is None:
        return f"no limit is known for {type(optimizer).__name__}"
    rules = [_rule_of_group(kind, type(optimizer).__name__, group) for group in groups]
    if any(rule != rules[0] for rule in rules):
        return "the parameter groups differ in momentum, so no one limit holds for all"
    return rules[0]


def weight_decay_of(optimizer: Any, group: Mapping[str, Any]) -> float:
    """What weight decay adds to the Hessian's diagonal: 0 where it is decoupled from the gradient (AdamW)."""
    is_decoupled = isinstance(optimizer, AdamW) or group.get("decoupled_weight_decay", False)
    return 0.0 if is_decoupled else float(group["weight_decay"])


def is_warm(state: Mapping[str, Any]) -> bool:
    """Whether an optimizer's state for a parameter holds squared gradients of at least one step."""
    return float(state.get("step", 0)) > 0


def preconditioner(
    kind: str, group: Mapping[str, Any], state: Mapping[str, Any], squares: torch.Tensor | None
) -> torch.Tensor:
    """P of one parameter, by which the optimizer divides: √v + ε; 0 where no gradient has come so far.

    Args:
        kind: See ``Rule``.
        group: Its parameter group.
        state: The optimizer's state of it.
        squares: Where the state is not warm: mean squared gradients in place of v. So Adam's v̂ is after as many
            steps, as long as the weights hardly move; RMSprop's tends to it (without its centre); Adagrad's is it
            after the first step, and its limit grows with the root of the steps from there.
    """
    eps = float(group["eps"])
    if kind == "Adagrad":
        taken = float(state.get("step", 0))
        seen = state["sum"] if squares is None else squares + float(group["initial_accumulator_value"])
        return _rooted(seen, eps) * (1 + taken * float(group["lr_decay"]))
    if squares is not None:
        return _rooted(squares, eps)
    if kind == "RMSprop":
        mean = state["grad_avg"] if group["centered"] else None
        seen = state["square_avg"] if mean is None else (state["square_avg"] - mean.square()).clamp_(min=0)
        return _rooted(seen, eps)
    seen = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    return _rooted(seen / (1 - float(group["betas"][1]) ** float(state["step"])), eps)


def _rooted(squares: torch.Tensor, eps: float) -> torch.Tensor:
    return torch.where(squares > 0, squares.sqrt() + eps, torch.zeros_like(squares))


def _kind_of(optimizer: Any) -> str | None:
    # By what a step does: a subclass with its own is something else. torch wraps the step for its profiler.
    step = inspect.unwrap(type(optimizer).step)
    return next((k for k, types in _KINDS.items() if any(step is inspect.unwrap(t.step) for t in types)), None)


def _rule_of_group(kind: str, name: str, group: Mapping[str, Any]) -> Rule | str:
    beta = float(group["betas"][0] if kind == "Adam" else group.get("momentum", 0.0))
    kept = 1 - (beta if kind == "Adam" else float(group.get("dampening", 0.0)) if beta else 0.0)
    if not -1 < beta < 1:
        return f"with a momentum of {beta:g} no η converges"
    if kept <= 0:
        return "dampening lets no gradient through, so no η converges"
    top = 2 + 2 * beta
    if kind == "SGD" and group["nesterov"]:
        factor, text = top / (1 + 2 * beta), "(2+2β)/((1+2β)λmax)"
    elif not beta:
        factor, text = 2.0, "2/λmax"
    elif kind == "Adam":
        factor, text = top / kept, "(2+2β₁)/((1−β₁)λmax)"
    else:
        factor, text = top / kept, "(2+2β)/λmax" if kept == 1 else "(2+2β)/((1−τ)λmax)"
    meaning = PLAIN if not beta else "above this, gradient descent with this momentum overshoots"
    if kind != "SGD":
        meaning = f"above this, {name} overshoots (its scaling of the weights held fixed)"
    return Rule(kind=kind, factor=factor, text=text, momentum=beta, meaning=meaning)
