"""Images in a batch: how large they are, and the same batch with smaller ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .batch_law import Measure, has_lengths, with_leaves

SMALLEST_IMAGE = 8


def image_size_of_batch(batch: Any) -> tuple[int, int] | None:
    """Height and width in pixels of the first leaf that holds images, channels in front; None where there is none."""
    for x in filter(has_lengths, Measure.of(batch).leaves):
        if x.ndim == 4 and x.shape[1] <= 16 and _holds_pixels(x):
            return (x.shape[2], x.shape[3]) if min(x.shape[2:]) >= SMALLEST_IMAGE else None
    return None


def _holds_pixels(x: Any) -> bool:
    if isinstance(x, torch.Tensor):
        return x.is_floating_point() or x.dtype == torch.uint8
    return bool(np.issubdtype(x.dtype, np.floating) or x.dtype == np.uint8)


def with_image_size(batch: Any, side: int) -> Any:
    """The same batch with images of ``side`` pixels in height, which hold no pictures.

    Raises:
        ValueError: When it holds no images.
    """
    found = image_size_of_batch(batch)
    if found is None:
        raise ValueError("image_size was given, and the data are no images (k, channels, height, width)")
    target = (side, max(1, round(found[1] * side / found[0])))

    def scaled(x: Any) -> Any:
        if not has_lengths(x) or x.ndim < 3 or tuple(x.shape[-2:]) != found:
            return x
        shape = (*x.shape[:-2], *target)
        if isinstance(x, torch.Tensor):
            return x.new_zeros(()).expand(shape)
        return np.broadcast_to(np.zeros((), x.dtype), shape)

    return with_leaves(batch, scaled)
