"""What convolutions take on the host beside their results, against what they really allocate there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from host_truth import bytes_of, peak_of

from nbtune.engine.memory.rehearsal.host_kernels import host_workspaces
from nbtune.engine.memory.rehearsal.shortcuts import shortcut

# The rules are those of one kind of CPU; on others oneDNN takes other kernels.
pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available(),
    reason="the rules were read off a CPU with AVX-512",
)

LAST = torch.channels_last
# (channels in, out, groups), side, kernel, stride, padding
CONVOLUTIONS = {
    "depth-wise": ((112, 112, 112), 18, 3, 1, 1),
    "depth-wise, strided": ((80, 80, 80), 21, 3, 2, 1),
    "depth-wise, wide": ((48, 48, 48), 16, 5, 1, 2),
    "depth-wise, odd channels": ((56, 56, 56), 17, 3, 1, 1),
    "depth-wise, all in the padding": ((128, 128, 128), 2, 3, 1, 1),
    "groups": ((96, 96, 4), 15, 3, 1, 1),
    "plain": ((32, 96, 1), 13, 3, 1, 1),
    "strided": ((128, 128, 1), 20, 3, 2, 1),
}


@pytest.mark.parametrize("gradient", [torch.contiguous_format, LAST], ids=["", "gradient last"])
@pytest.mark.parametrize("order", [torch.contiguous_format, LAST], ids=["", "channels last"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_takes_what_is_said(name: str, order: Any, gradient: Any) -> None:
    if name in ("groups", "strided") and order == LAST:
        pytest.skip("not modelled to the byte")
    (inward, outward, groups), side, width, stride, padding = CONVOLUTIONS[name]
    x = torch.randn(5, inward, side, side).contiguous(memory_format=order)
    weight = torch.randn(outward, inward // groups, width, width)
    settings = ([stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups)
    forward = (x, weight, None, *settings)
    y = torch.ops.aten.convolution(*forward)
    grad = torch.randn_like(y).contiguous(memory_format=gradient)
    backward = (grad, x, weight, [outward], *settings, [True, True, True])
    for operator, arguments in (("convolution", forward), ("convolution_backward", backward)):
        run = getattr(torch.ops.aten, operator)
        result = run(*arguments)
        beside = [size(shape) for shape, size in host_workspaces(f"aten.{operator}", arguments, result)]
        real = peak_of(lambda run=run, arguments=arguments: run(*arguments))
        assert bytes_of(result) + max(beside) == pytest.approx(real, rel=0.02, abs=2**14), operator


@pytest.mark.parametrize("is_last", [(True, False), (False, True), (False, False)], ids=["input", "filter", "neither"])
def test_without_numbers_a_convolution_gives_the_order_of_dimensions_that_a_device_gives(is_last: Any) -> None:
    x, weight = torch.randn(2, 8, 6, 6), torch.randn(4, 8, 3, 3)
    if is_last[0]:
        x = x.contiguous(memory_format=LAST)
    if is_last[1]:
        weight = weight.contiguous(memory_format=LAST)
    settings = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    real = torch.ops.aten.convolution(x, weight, *settings)
    rule = shortcut(torch.ops.aten.convolution.default)
    assert rule is not None
    made = rule(x.to("meta"), weight.to("meta"), *settings)
    assert made.stride() == real.stride() and made.shape == real.shape
