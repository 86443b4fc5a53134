"""Several batch sizes trained side by side, as a run of events."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

from ...formats import format_lr
from ..checks import made_of
from ..device import out_of_memory
from ..learning_rate.curve import LRCurve
from ..learning_rate.events import LRStep
from ..learning_rate.settings import LRSettings
from ..learning_rate.sweep.run import sweep_lr
from ..memory.estimate import NotPredictableError, estimate_memory
from ..run import GeneratorRun
from ..task.loaders import samples_in
from ..task.order import cut_of, exceeds_own, reordered
from ..task.task import Task, checked_task
from ..training.loader_state import LoaderState
from ..training.notes import Notes, told
from ..training.trainer import LOADING
from ..training.workpiece import Backups, copies_at_once, held
from .budget import Budget
from .curves import RunFold
from .events import LossStep, Run
from .plan import caveats_of, held_out_loader, rates, sizes
from .result import Comparison
from .settings import ComparisonSettings
from .training_run import TrainingRun, interleaved, reason_to_end

SWEEP_SAMPLES = 16
"""Behind each loss of a sweep for one k, at least: those of single samples are too noisy to see a rise in."""

RAISED_BY_ALL = "nbtune: every run raised, after some steps that went well: if a lower η does not, give lr="


def train_batch_sizes(task: Task, settings: ComparisonSettings | None = None) -> ComparisonRun:
    """A comparison, not yet begun: iterating over it trains.

    Each run (k, η, seed) trains a copy from the task's present state; slices of all runs take turns, and each run is
    charged its own steps' time. Whoever iterates closes it, in the same thread; then everything is put back.

    Raises:
        ValueError: For batch sizes the data do not hold, a loader that cannot be rebuilt, or settings that exclude
            each other.
        ModelBusyError: At the first step, while another run works on the same parameters.
    """
    return ComparisonRun(task, made_of(ComparisonSettings, settings, {}, taker="train_batch_sizes"))


class ComparisonRun(GeneratorRun[LRStep | LossStep]):
    """A run of ``LRStep`` (while η is looked for) and ``LossStep``; its length is known as a share alone.

    Attributes:
        batch_sizes: The k that are compared, rising.
        budget: What every run may spend.
        dataset_size: Samples in the data; None where they do not tell.
        finding: The k whose η is being looked for; None at other times.
        runs: How many training runs there are.
    """

    def __init__(self, task: Task, settings: ComparisonSettings) -> None:
        checked_task(task, "a comparison")
        if settings.validation is not None and task.update is not None:
            raise ValueError("validation needs a loss_fn or a training_step; update= has no loss without a step")
        self._task, self._settings = task, settings
        self.dataset_size = samples_in(task.loader)
        self.budget = Budget.parse(settings.budget).for_data(self.dataset_size)
        self.batch_sizes = sizes(task, settings)
        self.runs = len(self.batch_sizes) * settings.seeds
        self.finding: int | None = None
        self._held_out = held_out_loader(task, settings.validation)
        self._rates = rates(task, settings, self.batch_sizes)
        self._cuts = {k: cut_of(task, k) for k in self.batch_sizes}
        for cut in self._cuts.values():
            reordered(task.loader, cut.samples, 0)  # a loader that cannot be rebuilt is told now
        self._caveats = caveats_of(task, settings)
        self._memory: dict[int, int] = {}
        self._open: list[TrainingRun] = []
        self._backups = Backups()
        self._errors: list[Exception] = []
        self._noted: list[Notes] = []
        self._ended = 0
        self._is_predicting = False
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is being done, in words; readable from any thread."""
        if self._is_predicting:
            return "the prediction of memory"
        if self.finding is not None:
            return f"a step of the sweep at k = {self.finding}"
        return LOADING if self._at_work is None else self._at_work.trainer.waiting_for

    @property
    def at_work(self) -> int | None:
        """The k under way, in its training or in the search for its η."""
        return self.finding or (None if self._at_work is None else self._at_work.run.batch_size)

    @property
    def _at_work(self) -> TrainingRun | None:
        return min(self._open, key=lambda run: run.share_done, default=None)

    @property
    def notes(self) -> set[str]:
        """What is to be said of the steps besides, in sentences; readable from any thread."""
        return told(self._noted)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of its result should know besides, in sentences, as far as it is known now."""
        return (*self._caveats, *super().caveats, *sorted(self.notes))

    @property
    def share_done(self) -> float:
        """The part of all runs' budgets that is spent, 0 to 1."""
        return (self._ended + sum(run.share_done for run in self._open)) / self.runs

    def comparison(self, steps: RunFold | Iterable[LossStep]) -> Comparison:
        """What is known after these events."""
        fold = steps if isinstance(steps, RunFold) else RunFold()
        for step in () if isinstance(steps, RunFold) else steps:
            fold.add(step)
        settings = replace(self._settings, batch_sizes=self.batch_sizes)
        return Comparison.from_curves(
            fold.curves(), settings=settings, dataset_size=self.dataset_size, memory=self._memory,
            caveats=self.caveats, data_form=self._task.data_form, sign=self._task.sign_of(),
        )  # fmt: skip

    def _events(self) -> Generator[LRStep | LossStep, None, None]:
        self._predict_memory()
        if self._settings.lr == "found":
            for k in self.batch_sizes:
                self.finding = k
                yield from self._find_rate(k)
            self.finding = None
        waiting = [Run(k, self._rates[k], seed) for seed in range(self._settings.seeds) for k in self.batch_sizes]
        loader_state = LoaderState(self._task.loader)
        with held(self._task), closing(self._backups):
            try:
                while waiting:
                    yield from self._wave(waiting, loader_state)
                if len(self._errors) == self.runs:
                    self._errors[0].add_note(RAISED_BY_ALL)
                    raise self._errors[0]  # at every k and η: the user's own, as far as anybody can tell
            finally:
                loader_state.put_back()

    def _wave(self, waiting: list[Run], loader_state: LoaderState) -> Iterator[LossStep]:
        """As many runs as there is room for copies of the model; one, where it is trained in place."""
        with ExitStack() as undo:
            most = copies_at_once(self._task)
            while waiting and len(self._open) < most:
                run = undo.enter_context(closing(self._begun(waiting.pop(0), loader_state)))
                self._open.append(run)
                if not run.is_copy:
                    break
            self._share_held_out()
            yield from interleaved(list(self._open))
            self._errors += [run.error for run in self._open if run.error is not None]
            self._ended, self._open = self._ended + len(self._open), []

    def _begun(self, run: Run, loader_state: LoaderState) -> TrainingRun:
        cut = self._cuts[run.batch_size]
        data = reordered(self._task.loader, cut.samples, run.seed)
        task = self._task.with_(data=data, collate_fn=None, accumulate=cut.accumulate)
        is_fenced = exceeds_own(self._task, run.batch_size)
        begun = TrainingRun(run, task, self.budget, loader_state, backups=self._backups, is_fenced=is_fenced)
        self._noted.append(begun.trainer.notes)
        return begun

    def _share_held_out(self) -> None:
        if self._held_out is not None:
            kept = self._open[0].trainer.fixed_batches(*self._held_out)
            for run in self._open:
                run.held_out = kept

    def _find_rate(self, k: int) -> Iterator[LRStep]:
        task = self._task.with_(data=reordered(self._task.loader, self._cuts[k].samples, 0), collate_fn=None)
        task = task.with_(accumulate=self._cuts[k].accumulate)
        settings = LRSettings(mode="quick", updates_per_step=-(-SWEEP_SAMPLES // k))
        steps: list[LRStep] = []
        failure: Exception | None = None
        with closing(sweep_lr(task, settings, is_fenced=exceeds_own(self._task, k))) as sweep:
            try:
                for step in sweep:
                    steps.append(step)
                    yield step
            except Exception as error:
                if reason_to_end(error) is None:
                    raise
                failure = error  # the training at this k will say so itself
            finally:
                self._noted += sweep.noted
        if failure is not None:
            out_of_memory.released(task.device, 0, failure)
            return
        found = LRCurve.from_steps(steps, settings=settings, batch_size=k).suggestion
        if found is None:
            own = format_lr(self._rates[k])
            self._caveats.append(f"The sweep gave no clear η for k = {k}: it trains at the optimizer's own, {own}.")
        else:
            self._rates[k] = float(f"{found:.2g}")  # what is shown is what is used

    def _predict_memory(self) -> None:
        if self._settings.capacity is None:
            return
        self._is_predicting = True
        try:
            estimate = estimate_memory(self._task, self._settings.capacity)
            self._memory = {k: estimate.peak_bytes(cut.samples) for k, cut in self._cuts.items()}
        except NotPredictableError as error:
            self._caveats.append(f"Memory is not predictable here: {error}")
        finally:
            self._is_predicting = False
