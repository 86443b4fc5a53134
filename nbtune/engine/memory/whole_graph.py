"""Data that are one graph, trained on as a whole: there k has no meaning."""

from __future__ import annotations

from typing import Any

import torch

from .batch_law import Measure, lengths_of

ENDS = 2


def told_of_graph(loader: Any, measure: Measure) -> tuple[str, ...]:
    """A sentence if the only batch of a loader looks like one whole graph, by its list of edges; else nothing."""
    try:
        is_only = len(loader) == 1
    except TypeError:
        is_only = False
    found = _graph_in(measure) if is_only else None
    if found is None:
        return ()
    nodes, edges = found
    return (
        f"The only batch looks like one whole graph ({nodes:,} nodes, {edges:,} edges), where k has no meaning: what "
        f"is trained is k = {nodes:,}, with any other k the edges stay.",
    )


def _graph_in(measure: Measure) -> tuple[int, int] | None:
    """(nodes, edges): pairs of whole numbers, each of which names a row of something else in the batch."""
    shapes = [lengths_of(leaf) for leaf in measure.leaves]
    rows = max((shape[0] for shape in shapes if len(shape) > 1 and shape[0] > ENDS), default=0)
    pairs = (
        leaf
        for leaf, shape in zip(measure.leaves, shapes, strict=True)
        if isinstance(leaf, torch.Tensor) and leaf.dtype in (torch.int64, torch.int32)
        if len(shape) == ENDS and shape[0] == ENDS and shape[1]
    )
    found = next((leaf for leaf in pairs if int(leaf.min()) >= 0 and int(leaf.max()) < rows), None)
    return None if found is None else (rows, found.shape[1])
