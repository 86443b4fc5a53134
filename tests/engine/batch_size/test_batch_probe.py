"""The search for a batch size: its strategies, its words, and that it leaves nothing behind."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tasks import everything, hard_task, plain_task
from torch import nn

from nbtune.engine import ModelBusyError, Task, sweep_lr
from nbtune.engine.batch_size.find import find_batch_size
from nbtune.engine.batch_size.limit import BatchLimit
from nbtune.engine.batch_size.probe import probe_batch_sizes
from nbtune.engine.batch_size.real_steps import RealSteps
from nbtune.engine.batch_size.rules import is_still_rising, knee
from nbtune.engine.batch_size.settings import BatchSettings
from nbtune.engine.batch_size.strategies import Attempt, PlayedCard, Search, doubling, estimating, halving, tried
from nbtune.engine.batch_size.trial import MemoryTrial
from nbtune.engine.batch_size.what_fits.search import WhatFitsSearch
from nbtune.engine.device.capacity import free_bytes
from nbtune.engine.memory import MemoryEstimate, estimate_memory

GIB = 2**30
CARD = BatchSettings(capacity="8 GB", max_batch_size=16, measure_seconds=60)


@dataclass(frozen=True)
class Line:
    """A prediction that is a straight line in k, with a margin of 5 %."""

    capacity_bytes: int = 1000
    at_zero: int = 100
    per_sample: int = 10

    def peak_bytes(self, k: int) -> int:
        return self.at_zero + self.per_sample * k

    def fits(self, k: int) -> bool:
        return self.peak_bytes(k) * 1.05 <= self.capacity_bytes


def searched(search: Search, true_peak: Callable[[int], float], capacity: int = 1000) -> tuple[int, list[int], int]:
    """(answer, sizes tried, errors) on a card where k takes ``true_peak(k)``."""
    card = PlayedCard(lambda k: true_peak(k) <= capacity, lambda k: int(true_peak(k)))
    run, attempts = tried(search, card), []
    try:
        while True:
            attempts.append(next(run))
    except StopIteration as end:
        return end.value, [k for k, _ in attempts], sum(a.is_error for _, a in attempts)


def test_halving_goes_down_from_the_largest_to_the_first_that_fits() -> None:
    assert searched(halving(512), Line().peak_bytes) == (64, [512, 256, 128, 64], 3)
    assert searched(halving(8), lambda k: 2000) == (0, [8, 4, 2, 1], 4)


def test_doubling_goes_up_to_the_first_error() -> None:
    assert searched(doubling(512), Line().peak_bytes) == (64, [1, 2, 4, 8, 16, 32, 64, 128], 1)
    assert searched(doubling(8), Line().peak_bytes) == (8, [1, 2, 4, 8], 0)


def test_a_right_estimate_needs_one_trial_and_no_error() -> None:
    assert searched(estimating(Line(), 512), Line().peak_bytes) == (64, [64], 0)


def test_an_estimate_that_was_too_high_is_corrected_by_what_was_measured() -> None:
    assert searched(estimating(Line(), 512), lambda k: 0.6 * Line().peak_bytes(k)) == (128, [64, 128], 0)


def test_an_estimate_that_was_too_low_costs_one_error_and_never_two() -> None:
    assert searched(estimating(Line(per_sample=13), 512), lambda k: 1.12 * Line(per_sample=13).peak_bytes(k)) == (
        32, [64, 32], 1,
    )  # fmt: skip
    steep = Line(at_zero=700, per_sample=3)
    assert searched(estimating(steep, 512), lambda k: 1.2 * steep.peak_bytes(k)) == (32, [64, 32], 1)


def test_where_not_even_one_sample_is_predicted_to_fit_it_is_tried_only_if_it_nearly_would() -> None:
    assert searched(estimating(Line(at_zero=1090), 512), lambda k: 900 + k) == (16, [1, 2, 4, 8, 16], 0)
    assert searched(estimating(Line(at_zero=2000), 512), lambda k: 900) == (0, [], 0)


def test_giving_back_cached_memory_counts_as_not_fitting() -> None:
    search = estimating(Line(), 512)
    assert next(search) == 64
    assert search.send(Attempt(fits=False, peak_bytes=1000)) == 32
    with pytest.raises(StopIteration) as end:
        search.send(Attempt(fits=True, peak_bytes=420))
    assert end.value.value == 32


@pytest.mark.parametrize("strategy", ["estimate", "halve", "double"])
def test_a_probe_leaves_everything_as_it_was(strategy: str) -> None:
    task = hard_task()
    before = everything(task)
    limit = find_batch_size(task, replace(CARD, strategy=strategy), progress=False)
    assert everything(task) == before
    assert any(t.is_measured for t in limit.trials)


def test_a_probe_in_place_leaves_everything_as_it_was() -> None:
    task = hard_task()
    task.parameters[-1].register_hook(lambda grad: grad)
    before = everything(task)
    find_batch_size(task, CARD, progress=False)
    assert everything(task) == before


def test_a_closed_probe_leaves_everything_as_it_was() -> None:
    task = hard_task()
    before = everything(task)
    probe = probe_batch_sizes(task, CARD)
    trials = []
    for trial in probe:
        trials.append(trial)
        if trial.is_measured:
            break
    assert everything(task) == before  # also between two events
    probe.close()
    assert everything(task) == before
    assert probe.limit(trials, "stopped").batch_size == 16


class Failing:
    """A loss that raises for batches of at least ``size``, once real numbers are computed."""

    def __init__(self, error: BaseException, size: int) -> None:
        self.error, self.size = error, size

    def __call__(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if type(output) is torch.Tensor and output.device.type != "meta" and len(output) >= self.size:
            raise self.error
        return nn.functional.cross_entropy(output, target)


def test_a_users_error_is_raised_untouched_and_everything_put_back() -> None:
    error = KeyError("boom")
    task = hard_task(update=None)
    task.loss_fn = Failing(error, 4)
    before = everything(task)
    with pytest.raises(KeyError, match="boom") as caught:
        find_batch_size(task, CARD, progress=False)
    assert caught.value is error and everything(task) == before


def test_an_interrupt_puts_everything_back_and_brings_what_was_found() -> None:
    task = hard_task(update=None)
    task.loss_fn = Failing(KeyboardInterrupt("boom"), 4)
    before = everything(task)
    with pytest.raises(KeyboardInterrupt, match="everything is put back") as caught:
        find_batch_size(task, CARD, progress=False)
    assert everything(task) == before
    assert caught.value.result.outcome == "stopped" and caught.value.result.trials  # type: ignore[attr-defined]


def test_an_out_of_memory_error_on_the_host_ends_the_real_steps_and_everything_is_put_back() -> None:
    task = hard_task()
    task.loss_fn = Failing(torch.OutOfMemoryError("CUDA out of memory"), 8)
    before = everything(task)
    limit = find_batch_size(task, CARD, progress=False)
    assert everything(task) == before
    assert [(t.batch_size, t.fits, t.why) for t in limit.trials if t.is_measured] == [
        (2, True, "ran"), (4, True, "ran"), (8, False, "out of memory"),
    ]  # fmt: skip
    assert limit.batch_size == 4 and "measured on this CPU" in limit.reason


def test_later_training_is_the_same_bit_for_bit() -> None:
    def later(task: Task) -> list[float]:
        losses = []
        for inputs, targets in task.loader:
            loss = nn.functional.cross_entropy(task.model(inputs), targets)
            task.optimizer.zero_grad()
            loss.backward()
            task.optimizer.step()
            losses.append(loss.item())
        return losses

    untouched, probed = hard_task(), hard_task()
    torch.manual_seed(5)
    expected = later(untouched)
    torch.manual_seed(5)
    find_batch_size(probed, CARD, progress=False)
    assert later(probed) == expected


def test_batch_norm_that_refuses_one_sample_is_told_in_words() -> None:
    limit = find_batch_size(hard_task(), CARD, progress=False)
    first = limit.latest[0]
    assert first.fits and not first.is_measured and first.why == "BatchNorm needs more than one value per channel"
    assert limit.latest[1].is_measured


def test_every_size_is_predicted_before_anything_is_run() -> None:
    trials = list(probe_batch_sizes(plain_task(), CARD))
    assert [t.batch_size for t in trials[:5]] == [1, 2, 4, 8, 16]
    assert all(t.why == "predicted" and t.predicted_bytes == sum(b for _, b in t.parts) for t in trials[:5])
    measured = [t for t in trials if t.is_measured]
    assert [t.batch_size for t in measured] == [1, 2, 4, 8, 16]
    assert all(t.peak_bytes == sum(size for _, size in t.parts) for t in measured)
    assert all(t.samples_per_second and t.device == "cpu" for t in measured)


def test_strategies_are_played_on_the_named_card() -> None:
    settings = BatchSettings(capacity="1 GB", strategy="halve", measure_seconds=0, max_batch_size=2**20)
    limit = find_batch_size(wide_task(), settings, progress=False)
    played = [t for t in limit.trials if t.why.startswith("played")]
    assert [t.fits for t in played] == [False] * (len(played) - 1) + [True]
    assert played[-1].batch_size == limit.batch_size == limit.estimate.largest_batch_size(power_of_two=True)
    assert "played" in limit.reason and limit.batch_size <= limit.largest < 2 * limit.batch_size


def wide_task(samples: int = 2**20) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 2))
    data = (torch.randn(1, 4).expand(samples, 4), torch.zeros(1).long().expand(samples))
    return Task(model, torch.optim.SGD(model.parameters(), 0.1), nn.functional.cross_entropy, data)


def test_real_steps_stay_under_half_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = BatchSettings(capacity="80 GB", max_batch_size=2**16, measure_seconds=60)
    monkeypatch.setattr("nbtune.engine.batch_size.real_steps.free_bytes", lambda device: 300 * 2**20)
    limit = find_batch_size(wide_task(), settings, progress=False)
    context = dict(limit.trials[0].parts)["context"]
    ran = [t for t in limit.trials if t.is_measured]
    assert ran and all(t.predicted_bytes - context <= 150 * 2**20 for t in ran)
    assert ran[-1].batch_size < limit.batch_size


def test_no_time_means_predictions_alone() -> None:
    assert not any(t.is_measured for t in probe_batch_sizes(plain_task(), replace(CARD, measure_seconds=0)))


def test_nothing_is_run_for_what_the_task_is_not() -> None:
    limit = find_batch_size(plain_task(), replace(CARD, optimizer="AdamW"), progress=False)
    assert not any(t.is_measured for t in limit.trials)
    assert any("Nothing was run" in caveat for caveat in limit.caveats)
    assert any(t.is_measured for t in probe_batch_sizes(plain_task(), replace(CARD, optimizer="SGD")))


class Ambiguous(RealSteps):
    """Real steps that fail for large sizes with an error that may be memory or not."""

    def __init__(self, *, fails_from: int) -> None:
        super().__init__(plain_task())
        self.fails_from = fails_from

    def _run(self, k: int, max_seconds: float) -> Attempt:
        if k >= self.fails_from:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED")
        return Attempt(fits=True)


def test_an_ambiguous_error_is_memory_only_if_a_smaller_size_ran() -> None:
    some, none = Ambiguous(fails_from=4), Ambiguous(fails_from=1)
    assert [k for k, _ in tried(halving(8), some)] == [8, 4, 2]
    some.settle()
    assert [k for k, _ in tried(halving(2), none)] == [2, 1]
    with pytest.raises(RuntimeError, match="NOT_SUPPORTED"):
        none.settle()


def trial(k: int, peak: float, *, fits: bool = True, **changes: Any) -> MemoryTrial:
    return MemoryTrial(batch_size=k, fits=fits, peak_bytes=None, predicted_bytes=int(peak * GIB), **changes)


def limit_of(*trials: MemoryTrial, **settings: Any) -> BatchLimit:
    return BatchLimit.from_trials(
        trials, settings=BatchSettings(**settings), capacity_bytes=8 * GIB, capacity_name="8 GB card"
    )


def measured(k: int, speed: float) -> MemoryTrial:
    made = trial(k, 1, samples_per_second=speed, seconds=k / speed, why="ran", is_measured=True, device="cpu")
    return replace(made, peak_bytes=made.predicted_bytes)


SPEEDS = {1: 5.4, 2: 6.3, 4: 7.9, 8: 8.7, 16: 8.7, 32: 9.4, 64: 7.5}


def test_the_answer_is_one_sentence_with_its_evidence_and_its_limit() -> None:
    limit = limit_of(*(measured(k, s) for k, s in SPEEDS.items()), trial(128, 6.3), trial(256, 11.9, fits=False))
    assert limit.verdict == "k = 128 is the largest power of two that fits"
    assert limit.reason == "(predicted, 1.7 GiB free)."
    assert limit.limit == "Speed on this CPU stops growing at k = 8."
    assert (limit.batch_size, limit.largest, limit.knee) == (128, 128, 8)


def test_the_knee_is_the_smallest_size_with_nine_tenths_of_the_best_speed() -> None:
    assert knee(SPEEDS) == 8 and not is_still_rising(SPEEDS)
    assert knee({}) is None and is_still_rising({1: 5, 2: 9, 4: 17})
    rising = limit_of(measured(1, 5), measured(2, 9), trial(4, 9, fits=False))
    assert rising.knee is None and rising.limit == "Speed on this CPU is still rising at k = 2."


def test_where_nothing_fits_no_advice_is_given_that_no_estimate_has_confirmed() -> None:
    limit = limit_of(trial(1, 9.2, fits=False), trial(2, 12, fits=False), image_size=512)
    assert f"{limit.verdict} {limit.reason} {limit.limit}" == "Not even k = 1 fits: it needs 9.2 GiB. "
    assert limit.batch_size is None and limit.largest == 0
    with pytest.raises(ValueError, match="no batch size to apply"):
        limit.apply(plain_task())


class Deep(nn.Sequential):
    """Blocks that checkpointing helps: wide inside, and large images."""

    def __init__(self, width: int = 32, count: int = 4) -> None:
        blocks = [nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))]
        blocks += [copy.deepcopy(blocks[0]) for _ in range(count - 1)]
        super().__init__(nn.Sequential(*blocks), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))


def advised(model: nn.Module, data: Any, capacity: str, **settings: Any) -> tuple[str, MemoryEstimate]:
    task = Task(model, torch.optim.AdamW(model.parameters()), nn.functional.cross_entropy, data)
    chosen = BatchSettings(capacity=capacity, measure_seconds=0, max_batch_size=1, **settings)
    limit = find_batch_size(task, chosen, progress=False)
    assert limit.batch_size is None
    return limit.limit, limit.estimate


def test_advice_on_images_and_checkpointing_is_what_estimates_say() -> None:
    data = (torch.zeros(1, 3, 256, 256).expand(4, 3, 256, 256), torch.zeros(4).long())
    sentence, estimate = advised(Deep(), data, "840 MB")
    assert "images of 128 pixels" in sentence and "checkpointing" in sentence and "plain SGD" not in sentence
    for changes in ({"image_size": 128}, {"checkpointing": True}):
        assert estimate_memory(estimate._source.task, "840 MB", **changes).fits(1)


def test_where_the_weights_are_too_large_checkpointing_is_not_advised() -> None:
    sentence, estimate = advised(nn.Linear(8, 2**23, bias=False), (torch.zeros(4, 8), torch.zeros(4).long()), "2 GB")
    assert "plain SGD" in sentence and "checkpointing" not in sentence
    assert estimate_memory(estimate._source.task, "2 GB", optimizer="SGD").fits(1)


def test_where_no_change_is_enough_that_is_said() -> None:
    sentence, _ = advised(nn.Linear(4, 2), (torch.zeros(4, 4), torch.zeros(4).long()), "100 MB")
    assert sentence.startswith("None of these is predicted to make it fit: checkpointing, mixed precision")


def test_no_larger_batch_is_looked_at_than_there_are_samples_and_it_says_so() -> None:
    limit = find_batch_size(wide_task(442), BatchSettings(capacity="8 GB", measure_seconds=0), progress=False)
    assert limit.batch_size == limit.largest == max(t.batch_size for t in limit.trials) == 256
    assert limit.limit == "There are only 442 samples."
    assert any("only 442 samples" in caveat for caveat in limit.caveats)
    assert limit.estimate.largest_batch_size() > 512  # what the card holds
    enough = find_batch_size(wide_task(512), BatchSettings(capacity="8 GB", measure_seconds=0), progress=False)
    assert enough.batch_size == 512 and "only" not in enough.limit and not enough.caveats


def test_a_step_that_names_cuda_is_predicted_and_not_run_on_the_host() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(model(batch[0].cuda()), batch[1].cuda())

    task = plain_task(loss_fn=None, training_step=step)
    limit = find_batch_size(task, replace(CARD, max_batch_size=4), progress=False)
    assert limit.batch_size == 4 and not any(t.is_measured for t in limit.trials)
    assert any("asks for CUDA" in caveat for caveat in limit.caveats)


@pytest.mark.filterwarnings("ignore:The data are an iterator")
@pytest.mark.parametrize("find", [estimate_memory, find_batch_size])
def test_data_that_are_used_up_are_an_error_at_once(find: Callable[[Task], Any]) -> None:
    used_up = iter([(torch.randn(8, 4), torch.zeros(8).long())])
    list(used_up)
    with pytest.raises(ValueError, match="used up"):
        find(plain_task(data=used_up))


def test_after_an_error_only_sizes_that_ran_count() -> None:
    ran = replace(trial(16, 2), peak_bytes=2 * GIB, is_measured=True, why="ran", device="cuda")
    failed = replace(trial(64, 7, fits=False), is_measured=True, why="out of memory", device="cuda")
    limit = limit_of(trial(16, 2), trial(32, 4), trial(64, 7), failed, ran)
    assert limit.batch_size == 16 and limit.reason == "(measured on this GPU, 6.0 GiB free)."


def test_accumulation_makes_the_wanted_effective_batch() -> None:
    fitting = limit_of(trial(64, 4), trial(128, 9, fits=False), target_batch_size=300)
    assert fitting.accumulate == 5 and fitting.limit == "For an effective batch of 300, accumulate 5 of 60."
    assert limit_of(trial(64, 4), target_batch_size=32).limit == "An effective batch of 32 fits at once."


def test_no_trial_is_a_valid_result() -> None:
    unknown = BatchLimit.from_trials((), caveats=["this model's sizes depend on the data."])
    assert f"{unknown.verdict} {unknown.reason}" == (
        "Not predictable: this model's sizes depend on the data. Measure it instead."
    )
    assert BatchLimit.from_trials((), outcome="stopped").verdict == "Stopped before anything was known."


def test_a_result_is_plain_data_and_its_repr_a_table() -> None:
    limit = limit_of(*(measured(k, s) for k, s in SPEEDS.items()), trial(128, 9, fits=False), amp=torch.bfloat16)
    plain = json.loads(json.dumps(limit.to_dict()))
    assert (plain["kind"], plain["schema"], plain["settings"]["amp"]) == ("batch_limit", 1, "bfloat16")
    lines = repr(limit).splitlines()
    assert lines[0] == "BatchLimit(batch_size=64, largest=64, 8 GB card = 8.0 GiB, finished)"
    assert lines[2].split() == ["k", "MiB", "free", "samples/s"]
    assert lines[-1].endswith("128  9\u202f216  too big             predicted")


def test_apply_gives_a_task_with_that_batch_size() -> None:
    task = plain_task()
    assert limit_of(trial(16, 1), trial(32, 9, fits=False)).apply(task).batch_size == 16
    assert task.batch_size == 32


@pytest.mark.parametrize("changes", [
    {"strategy": "guess"}, {"max_batch_size": 0}, {"image_size": 1.5}, {"optimizer": "Lion"}, {"amp": torch.float32},
    {"measure_seconds": -1}, {"target_batch_size": 0}, {"checkpointing": "yes"}, {"capacity": "a big one"},
])  # fmt: skip
def test_wrong_settings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        BatchSettings(**changes)


def test_the_hubs_limit_counts_as_the_hosts_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEM_LIMIT", "1000")
    assert free_bytes(torch.device("cpu")) == 0
    monkeypatch.setenv("MEM_LIMIT", str(2**60))
    assert free_bytes(torch.device("cpu")) > 0


def test_data_that_are_used_up_are_told_before() -> None:
    task = plain_task(data=iter([(torch.randn(8, 4), torch.zeros(8).long())] * 30))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        find_batch_size(task, replace(CARD, max_batch_size=2), progress=False)
    assert any("iterator" in str(w.message) for w in caught)


def test_a_model_that_another_run_works_on_is_not_probed() -> None:
    task = plain_task()
    sweep = sweep_lr(task)
    next(sweep)
    with pytest.raises(ModelBusyError):
        find_batch_size(task, CARD, progress=False)
    sweep.close()


def test_a_task_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="takes an nbtune"):
        find_batch_size(nn.Linear(2, 2), progress=False)  # type: ignore[arg-type]


def test_what_gets_through_with_retries_is_a_second_limit_and_never_the_answer() -> None:
    limit = limit_of(
        trial(16, 6), trial(32, 8.1, fits=False, fits_with_retries=True),
        trial(64, 12, fits=False, fits_with_retries=False),
    )  # fmt: skip
    assert (limit.batch_size, limit.largest_with_retries) == (16, 32)
    assert limit.limit == "k = 32 may get through, slower, as the allocator gives back its cache and tries again."
    assert [line.split()[-2:] for line in repr(limit).splitlines()[4:6]] == [
        ["retries", "predicted"],
        ["big", "predicted"],
    ]
    assert limit.to_dict()["trials"][1]["fits_with_retries"] is True


def test_a_second_limit_is_neither_told_where_there_is_none_nor_where_nobody_knows() -> None:
    assert limit_of(trial(16, 6)).largest_with_retries is None
    none = limit_of(trial(16, 6, fits_with_retries=True), trial(32, 9, fits=False, fits_with_retries=False))
    assert none.largest_with_retries == 16 and none.limit == ""


def test_a_size_that_ran_out_of_memory_is_not_said_to_get_through() -> None:
    failed = trial(32, 8.1, fits=False, fits_with_retries=True, is_measured=True, why="out of memory", device="cuda")
    limit = limit_of(trial(16, 6, fits_with_retries=True), failed)
    assert not failed.is_slower and limit.largest_with_retries == 16 and limit.limit == ""


def test_a_search_predicts_both_limits() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2)
    )
    data = (torch.zeros(1, 3, 64, 64).expand(1024, 3, 64, 64), torch.zeros(1024).long())
    task = Task(model, torch.optim.AdamW(model.parameters()), nn.functional.cross_entropy, data)
    limit = find_batch_size(task, BatchSettings(capacity="1139 MB", measure_seconds=0), progress=False)
    for made in limit.trials:
        assert made.fits_with_retries is limit.estimate.fits_with_retries(made.batch_size)
    assert limit.largest_with_retries == max(t.batch_size for t in limit.trials if t.fits_with_retries)


def test_an_evaluation_is_searched_as_its_estimate_says_and_never_run_or_applied() -> None:
    task = plain_task()
    limit = find_batch_size(task, replace(CARD, evaluation=True), progress=False)
    evaluation = estimate_memory(task, "8 GB").evaluation()
    assert [t.predicted_bytes for t in limit.trials] == [evaluation.peak_bytes(t.batch_size) for t in limit.trials]
    assert not any(t.is_measured for t in limit.trials) and limit.reason.startswith("(an evaluation, predicted")
    assert any("an evaluation is predicted alone" in caveat for caveat in limit.caveats)
    with pytest.raises(ValueError, match="an evaluation's: give it to the loader"):
        limit.apply(task)
    with pytest.raises(ValueError, match="changes are to training"):
        WhatFitsSearch(evaluation, 4)
    with pytest.raises((TypeError, ValueError), match="evaluation"):
        BatchSettings(evaluation=1)  # type: ignore[arg-type]


def test_sequences_of_another_length_are_planned_and_run() -> None:
    model = nn.Sequential(nn.Embedding(50, 16), nn.Flatten(0, 1), nn.Linear(16, 50))
    words, seen = torch.zeros(64, 32).long(), set[int]()

    def loss(scores: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        seen.add(words.shape[1])
        return nn.functional.cross_entropy(scores, words.flatten())

    task = Task(model, torch.optim.AdamW(model.parameters()), loss, (words, words))
    limit = find_batch_size(task, replace(CARD, sequence_length=16), progress=False)
    assert limit.estimate.sequence_length == 16 and any(t.is_measured for t in limit.trials) and seen == {16}


def test_nothing_is_said_to_get_through_above_a_size_that_really_failed() -> None:
    ran = replace(trial(8, 2, fits_with_retries=True), peak_bytes=2 * GIB, is_measured=True, why="ran", device="cuda")
    failed = trial(16, 7, fits=False, fits_with_retries=True, is_measured=True, why="out of memory", device="cuda")
    limit = limit_of(ran, failed, trial(32, 8.1, fits=False, fits_with_retries=True))
    assert limit.largest_with_retries == 8 and "may get through" not in limit.limit


def test_an_evaluation_is_not_accumulated() -> None:
    limit = limit_of(trial(8, 6), trial(16, 9, fits=False), evaluation=True, target_batch_size=64)
    assert limit.accumulate is None and "accumulate" not in limit.limit


def test_a_pickled_estimate_gives_no_advice() -> None:
    estimate = pickle.loads(pickle.dumps(estimate_memory(plain_task(), "100 MB")))
    limit = BatchLimit.from_trials(
        [trial(1, 9, fits=False)], capacity_bytes=GIB, capacity_name="1 GB", estimate=estimate
    )
    assert limit.verdict == "Not even k = 1 fits:" and limit.limit == ""
