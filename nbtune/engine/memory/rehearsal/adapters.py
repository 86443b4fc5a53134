"""Plans with smaller weights: in 16 bits, low-rank adapters beside frozen ones, or adapters beside weights in 4 bits.

Adapters as PEFT makes them (Hu et al. 2021, LoRA): two thin matrices beside every linear layer but the last one, in
float32 beside 16-bit weights, which the input is cast for. Four bits as bitsandbytes packs them (Dettmers et al. 2023,
QLoRA): a byte for two weights and a float32 for every 64, unpacked for one product at a time, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from .replica import Replica

RANK, BLOCK = 8, 64
ADAPTERS = ("LoRA", "QLoRA")
ASSUMED = {
    "LoRA": f"Adapters are counted as PEFT makes them: rank {RANK}, float32, beside every linear layer but the last.",
    "QLoRA": f"Adapters are counted as PEFT makes them: rank {RANK}, float32, beside every linear layer but the last; "
    "and 4-bit weights as bitsandbytes packs them, blocks of 64.",
}
WEIGHTS = "Batches of floating-point numbers are counted in the dtype of the weights."


def plan_weights(replica: Replica, dtype: torch.dtype) -> tuple[str, ...]:
    """All floating-point parameters and buffers of the models in another dtype.

    Returns:
        What was assumed, in sentences.
    """
    for module in replica.modules:
        module.to(dtype)
    return (WEIGHTS,)


def plan_adapters(replica: Replica, kind: str) -> tuple[str, ...]:
    """Freeze the models, put adapters beside their linear layers, and have the optimizers train these alone.

    Args:
        kind: "LoRA" or "QLoRA".
    Returns:
        What was assumed, in sentences.
    Raises:
        ValueError: For models with fewer than two linear layers.
    """
    made: list[nn.Parameter] = []
    for model in replica.models.values():
        model.requires_grad_(False)
        for layer in adapted_layers(model):
            made += _adapt(layer, in_four_bits=kind == "QLoRA")
    if not made:
        raise ValueError("adapters need a model with several linear layers")
    for optimizer in replica.optimizers:
        optimizer.param_groups[:] = [{**optimizer.param_groups[0], "params": made}]
    return (ASSUMED[kind],)


def adapted_layers(model: nn.Module) -> list[nn.Linear]:
    """Its linear layers but the last, which gives the output."""
    layers = [module for module in model.modules() if type(module) is nn.Linear]
    own: Any = getattr(model, "get_output_embeddings", None)
    head = None if own is None else own()
    return [layer for layer in layers if layer is not (layers[-1] if head is None else head)]


def _adapt(layer: nn.Linear, *, in_four_bits: bool) -> list[nn.Parameter]:
    place = layer.weight.device
    dtype = torch.float32 if layer.weight.dtype in (torch.bfloat16, torch.float16) else layer.weight.dtype
    down = nn.Linear(layer.in_features, RANK, bias=False, device=place, dtype=dtype)
    up = nn.Linear(RANK, layer.out_features, bias=False, device=place, dtype=dtype)
    base: Callable[[torch.Tensor], torch.Tensor] = _packed(layer) if in_four_bits else layer.forward

    def forward(x: torch.Tensor) -> torch.Tensor:
        result = base(x)
        beside: torch.Tensor = up(down(x.to(dtype))) * 2.0
        return (result + beside).to(result.dtype)

    layer.add_module("adapter_down", down)  # so that they count as the model's
    layer.add_module("adapter_up", up)
    vars(layer)["forward"] = forward
    return [*down.parameters(), *up.parameters()]


def _packed(layer: nn.Linear) -> Callable[[torch.Tensor], torch.Tensor]:
    """The layer's product with its weight in 4 bits, which takes the weight's place."""
    shape, count, place = layer.weight.shape, layer.weight.numel(), layer.weight.device
    packed = torch.empty(-(-count // 2), dtype=torch.uint8, device=place)
    scales = torch.empty(-(-count // BLOCK), dtype=torch.float32, device=place)
    del layer.weight
    for name, tensor in (("packed", packed), ("scales", scales)):  # no buffers, which are those of the user's model
        layer.register_parameter(name, nn.Parameter(tensor, requires_grad=False))

    def product(x: torch.Tensor) -> torch.Tensor:
        made: Any = _FourBits.apply(x, shape)
        return cast(torch.Tensor, made if layer.bias is None else made + layer.bias.to(made.dtype))

    return product


class _FourBits(torch.autograd.Function):
    """x · Wᵀ with a W that is unpacked where it is needed, and kept for no longer."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        ctx.shape = shape
        return functional.linear(x, x.new_empty(shape))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gradient,) = gradients
        return gradient @ gradient.new_empty(ctx.shape), None
