"""Random numbers of a run's own, so that the caller's streams never advance."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import torch

from ..interrupts import held_back, to_the_end

_numpy_random: Any = np.random  # numpy's stubs leave get_bit_generator out


class RandomStreams:
    """Random numbers of a run's own, swapped in for each step and out again, ``with streams: step()``.

    The caller's global streams (torch on the host and the task's device, numpy, python) never advance, so there is
    nothing to rewind at the end, and numbers another thread draws between two steps come from its own stream. Numbers
    it draws during a step come from the run's stream and are not repeated later. A ``torch.manual_seed`` or
    ``random.seed`` during a step is noticed and left in force. While several runs are in a step at once, the last one
    out puts the caller's streams back.
    """

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        seed += _SEED
        self._streams: list[_Stream] = [_TorchStream(g, seed) for g in _torch_generators(device)]
        self._streams += [_NumpyStream(seed), _PythonStream(seed)]

    @held_back()
    def __enter__(self) -> None:
        with _callers_lock:
            for stream in self._streams:
                stream.swap_in()

    def __exit__(self, *_: object) -> None:
        self.put_back()

    def put_back(self) -> None:
        """Swap out what is swapped in; also after an interrupt in the middle of either."""
        to_the_end(self._swap_out)

    def _swap_out(self) -> None:
        with _callers_lock:
            for stream in self._streams:
                stream.swap_out()


_SEED = 0x6E6274756E65  # "nbtune" in ASCII: nobody else seeds near it, so a changed seed tells of somebody else
_SEEDS = 2**20
"""As many above it are ours."""

_callers_lock = threading.RLock()
_callers: dict[int, tuple[Any, set[int]]] = {}  # global stream → its state at the caller's, and the runs inside


class _Stream:
    """One global stream and this run's own state for it."""

    own: Any
    key: int

    def get(self) -> Any:
        raise NotImplementedError

    def set(self, state: Any) -> None:
        raise NotImplementedError

    def is_own(self, now: Any) -> bool:
        """Whether the global stream is still the run's, not one that somebody has seeded."""
        raise NotImplementedError

    def keep(self, now: Any) -> None:
        self.own = now

    # An interrupt may come between any two lines: whatever was done until then, swap_out undoes it, and may be
    # interrupted and called again.

    def swap_in(self) -> None:
        if not _callers.get(self.key, (None, ()))[1]:
            _callers[self.key] = self.get(), set()
        _callers[self.key][1].add(id(self))
        self.set(self.own)

    def swap_out(self) -> None:
        callers_state, runs = _callers.get(self.key, (None, set()))
        if id(self) not in runs:
            return
        now = self.get()
        if self.is_own(now):
            self.keep(now)
            if len(runs) == 1:
                self.set(callers_state)
        runs.discard(id(self))


class _TorchStream(_Stream):
    def __init__(self, generator: torch.Generator, seed: int) -> None:
        self.generator, self.key, self.seed = generator, id(generator), seed
        self.own = torch.Generator(generator.device).manual_seed(seed).get_state()

    def get(self) -> Any:
        return self.generator.get_state()

    def set(self, state: Any) -> None:
        self.generator.set_state(state)

    def is_own(self, now: Any) -> bool:
        # Another run of ours, with a seed of its own, may have come and gone while this one was in a step.
        return 0 <= self.generator.initial_seed() - _SEED < _SEEDS

    def keep(self, now: Any) -> None:
        if self.generator.initial_seed() == self.seed:
            self.own = now


class _NumpyStream(_Stream):
    """Swaps the bit generator as a whole: 100 times faster than its state."""

    key = id(np.random)

    def __init__(self, seed: int) -> None:
        self.own = np.random.MT19937(seed)

    def get(self) -> Any:
        return _numpy_random.get_bit_generator()

    def set(self, state: Any) -> None:
        _numpy_random.set_bit_generator(state)

    def is_own(self, now: Any) -> bool:
        return True  # seeding it changes it in place, and cannot be told from drawing

    def keep(self, now: Any) -> None:
        """Nothing to keep: the bit generator itself has moved on. (``now`` may be another run's.)"""


class _PythonStream(_Stream):
    key = id(random)

    def __init__(self, seed: int) -> None:
        self.own = random.Random(seed).getstate()
        _fresh_keys.add(self.own[1][1])

    def get(self) -> Any:
        return random.getstate()

    def set(self, state: Any) -> None:
        random.setstate(state)

    def is_own(self, now: Any) -> bool:
        return not _was_reseeded(now, self.own)


_fresh_keys: set[int] = set()
"""By which the states are known that runs of ours begin with: one of them may be in force when another run goes."""


def _was_reseeded(now: Any, before: Any) -> bool:
    # A Mersenne twister's index is 624 right after seeding; reached by drawing, it comes with the key it had before.
    # (Not the key's first word: every seed makes it 2³¹.)
    return bool(now[1][-1] == 624 and now[1][1] not in {before[1][1], *_fresh_keys})


def _torch_generators(device: torch.device) -> list[torch.Generator]:
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    if device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    return generators
