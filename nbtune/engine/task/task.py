"""What is to be tuned: a model, its optimizer, its loss and its data, checked once and never changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ..checks import choice, number, whole_number
from ..small_print import collected, warn_of
from .batches import batch_size_of, what_cannot_be_rewound
from .form import form_of
from .ingredients import check_choices, check_functions, check_kinds, check_ownership, device_of, parameters_of
from .loaders import as_loader, past_data, takes_collate_fn
from .rates import does_maximize, lr_setter, reference_lr

NO_NUMBERS = (
    "the model is on the meta device and holds no numbers, so it cannot be trained: what predicts works with it "
    "(estimate_memory, what_fits, largest_image_size, and find_batch_size for a named card), the rest once it is loaded"
)


class Task:
    """A model, its optimizer, its loss and its data: what every tool of nbtune takes.

    Nothing is run and nothing is changed by making one.

    Args:
        model: The module to train; with ``update`` also a dict of modules. One on the meta device, of any size, is
            taken by whatever only predicts.
        optimizer: Its optimizer; with ``update`` also a dict of optimizers. The ratios between the rates of its
            parameter groups are kept by every tool.
        loss_fn: ``loss_fn(output, targets) -> scalar tensor`` for batches ``(inputs, targets)``. None: the loss is
            the ``.loss`` of what the model returns, as with Hugging Face models, or that itself, where it is a single
            number; a dict batch is then passed as keywords, a tuple as positional arguments.
        data: A DataLoader; a Dataset, a list of samples, or a tuple (inputs, targets) of tensors or arrays, which are
            shuffled in batches of 32 (see ``with_``); or an iterable of batches. ``data_form`` says how they were
            taken. A tuple of another number of arrays, such as (x1, x2, y), and a dict of them give batches of the same
            form, for ``training_step`` or a model with a loss of its own. Shorter data than a run needs begin again.
        training_step: ``training_step(model, batch) -> scalar tensor`` for batches of any other form. It must use the
            model it is given, since tools train a copy. The batch is on the device.
        update: ``update(model, optimizer, batch) -> {name: loss}``: the user's own backward and step, for GANs, LBFGS,
            gradient clipping and the like. It gets what was given as ``model`` and ``optimizer`` (dicts, if they were
            dicts), or copies of them. nbtune sets the rates and reads the losses: the one named "loss", else their sum.
        device: Where the batches go; None for where the parameters are.
        amp: ``torch.bfloat16`` or ``torch.float16`` for autocast (float16 with a GradScaler); None for neither.
        accumulate: Micro-batches whose mean gradient makes one update.
        collate_fn: For a Dataset or a list of samples: how some of them become a batch.
        longest: A sample as large as the data have; kept for the memory tools, unused by the learning-rate finder.
        preserve: Other objects with ``state_dict`` and ``load_state_dict`` that a step changes (schedulers, EMA,
            GradScaler); put back after every run.

    Raises:
        TypeError: For an argument of the wrong kind.
        ValueError: For empty data, an optimizer that holds none of the model's parameters, parameters on several
            devices, or arguments that exclude each other.

    Examples:
        >>> model = torch.nn.Linear(4, 2)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> data = (torch.randn(100, 4), torch.randint(0, 2, (100,)))
        >>> Task(model, optimizer, torch.nn.functional.cross_entropy, data).with_(batch_size=10)
        Task(Linear, 10 parameters, SGD, batch_size=10, device=cpu)
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss_fn: Callable[..., Any] | None = None,
        data: Any = None,
        *,
        training_step: Callable[..., Any] | None = None,
        update: Callable[..., Any] | None = None,
        device: torch.device | str | None = None,
        amp: torch.dtype | None = None,
        accumulate: int = 1,
        collate_fn: Callable[..., Any] | None = None,
        longest: Any = None,
        preserve: Iterable[Any] | Any = (),
    ) -> None:
        self.model, self.optimizer, self.loss_fn = model, optimizer, loss_fn
        self.training_step, self.update = training_step, update
        self.amp, self.longest = amp, longest
        self._data, self._collate_fn = data, collate_fn
        self.preserve = tuple(preserve) if isinstance(preserve, (list, tuple, set)) else (preserve,)
        check_kinds(self)
        check_functions(
            {"loss_fn": loss_fn, "training_step": training_step, "update": update, "collate_fn": collate_fn}
        )
        self.accumulate = whole_number("accumulate", accumulate, most=10**6)
        check_choices(self)
        if data is None:
            raise TypeError("data is missing: give a DataLoader, a Dataset or (inputs, targets)")
        self.device = device_of(self, device)
        warn_of([NO_NUMBERS] if self.is_meta else [])
        check_ownership(self)
        self.loader = as_loader(data, collate_fn)

    @property
    def models(self) -> dict[str, nn.Module]:
        """The modules by name; a single one is named ""."""
        return dict(self.model) if isinstance(self.model, Mapping) else {"": self.model}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers by name; a single one is named ""."""
        return dict(self.optimizer) if isinstance(self.optimizer, Mapping) else {"": self.optimizer}

    @property
    def is_meta(self) -> bool:
        """Whether the model holds no numbers, only their shapes."""
        return self.device.type == "meta"

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Every parameter of the models, the loss and the optimizers once, trainable or not."""
        return list({id(p): p for p in parameters_of(self)}.values())

    @property
    def batch_size(self) -> int | None:
        """Samples in one batch of the loader; None where it does not tell."""
        return batch_size_of(self.loader)

    @property
    def samples_per_update(self) -> int | None:
        """``batch_size`` times ``accumulate``: the k that belongs to η."""
        return None if self.batch_size is None else self.batch_size * self.accumulate

    @property
    def data_form(self) -> str:
        """How the data were taken, such as "1 797 samples, batches of 32, shuffled"; nothing is drawn to say it."""
        return form_of(self.loader)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a run cannot put back, in sentences; empty when everything is put back."""
        return what_cannot_be_rewound(self.loader)

    @property
    def lr(self) -> float:
        """η now: the rate of the first parameter group whose rate is not 0."""
        return reference_lr(self.optimizers.values())

    def sign_of(self, optimizer: str | None = None) -> int:
        """−1 where the optimizer goes up (``maximize=True`` in all its groups), else 1.

        Args:
            optimizer: The name of the one that is asked about; None for all.
        """
        asked = self.optimizers.values() if optimizer is None else [self.optimizers[optimizer]]
        return -1 if does_maximize(asked) else 1

    def set_lr(self, lr: float, *, optimizer: str | None = None) -> None:
        """Set η; the other groups keep their ratio to it.

        Args:
            lr: The new rate of the first group (whose rate is not 0), > 0; a tensor of one number too.
            optimizer: The name of the only one to be set; None for all.
        Raises:
            ValueError: For a rate that is no finite number above 0, or an optimizer that the task does not have.
        Warns:
            UserWarning: When a scheduler already holds the old rates.
        """
        lr = number("lr", _number_in(lr), above=0)
        if optimizer is not None:
            names = [name for name in self.optimizers if name]
            optimizer = choice("optimizer", optimizer, (*names, None))
        if any("initial_lr" in group for o in self.optimizers.values() for group in o.param_groups):
            warn_of(["a scheduler holds the rates the optimizer had when it was made: make it anew, after this"])
        lr_setter(self.optimizers.values() if optimizer is None else [self.optimizers[optimizer]])(lr)

    def with_(self, *, batch_size: int | None = None, **changes: Any) -> Task:
        """A new task with some arguments changed; the model and the optimizer are the same objects.

        Args:
            batch_size: Samples in a batch, ≥ 1; the loader is rebuilt around the same dataset and sampler. Above the
                number of samples every batch holds all of them.
            **changes: Any argument of ``Task``.
        Raises:
            ValueError: Where the loader cannot be rebuilt, saying why.
            TypeError: For an unknown argument.
        Warns:
            UserWarning: When the data have fewer samples than ``batch_size``.
        """
        arguments: dict[str, Any] = {
            "model": self.model, "optimizer": self.optimizer, "loss_fn": self.loss_fn, "data": self._data,
            "training_step": self.training_step, "update": self.update, "device": self.device, "amp": self.amp,
            "accumulate": self.accumulate, "collate_fn": self._collate_fn, "longest": self.longest,
            "preserve": self.preserve,
        }  # fmt: skip
        if "model" in changes or self.is_meta:  # of one without numbers no device may be named
            arguments["device"] = None
        with collected() as doubts:
            task = Task(**{**arguments, **changes})
        warn_of(doubt for doubt in doubts if doubt != NO_NUMBERS or not self.is_meta)  # once is enough
        if batch_size is not None:
            batch_size = whole_number("batch_size", batch_size)
            task.loader = as_loader(task._data, task._collate_fn, batch_size)
            task._data, task._collate_fn = task.loader, None
            too_large = past_data(batch_size, task.loader, name="batch_size")
            if too_large:
                warn_of([f"{too_large}; each batch holds them all"])
        elif "data" not in changes:
            task.loader = self.loader
        return task

    def loader_of(self, data: Any) -> Iterable[Any]:
        """Held-out data, in batches made as this task's are.

        Args:
            data: In the forms of ``data``.
        Raises:
            TypeError, ValueError: As for ``data``.
        """
        try:
            return as_loader(data, self._collate_fn if takes_collate_fn(data) else None)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"validation: {error}") from None

    def __repr__(self) -> str:
        names = " + ".join(type(m).__name__ for m in self.models.values())
        optimizers = " + ".join(type(o).__name__ for o in self.optimizers.values())
        lazy = any(isinstance(p, UninitializedParameter) for p in self.parameters)
        count = "lazy" if lazy else f"{sum(p.numel() for p in self.parameters):,}"
        return f"Task({names}, {count} parameters, {optimizers}, batch_size={self.batch_size}, device={self.device})"


def _number_in(lr: Any) -> Any:
    """A tensor's only number; anything else as it is."""
    is_one = isinstance(lr, torch.Tensor) and lr.numel() == 1 and not lr.is_meta and lr.layout == torch.strided
    return lr.item() if is_one else lr


def checked_task(task: Any, taker: str) -> Task:
    """The task, where it is one.

    Args:
        task: Given by the user.
        taker: What takes it.
    Raises:
        TypeError: For anything else.
    """
    if not isinstance(task, Task):
        raise TypeError(
            f"{taker} takes an nbtune.Task, not {type(task).__name__}: Task(model, optimizer, loss_fn, data) makes one"
        )
    return task
