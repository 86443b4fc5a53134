"""Random generators that somebody keeps: torch's, numpy's and python's, read and set alike."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import torch

NUMPY_OR_PYTHON = (np.random.Generator, np.random.RandomState, random.Random)
KINDS = (torch.Generator, *NUMPY_OR_PYTHON)


def state_of(generator: Any) -> Any:
    """Where it stands, in a form of its own that no later draw changes."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return copy.deepcopy(generator.get_state())


def set_state(generator: Any, state: Any) -> None:
    """Put it where ``state_of`` found it."""
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)
