"""What the comparison of batch sizes says while it runs and at its end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...engine import LRSettings, Task
from ...engine.comparison.budget import Budget
from ...formats import format_count, format_loss, format_lr, format_remaining
from ..panel.view import Sentence

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison
    from ...engine.comparison.run import ComparisonRun

SWEEP_STEPS = LRSettings().steps
LARGER_BUDGET = 4
SMALLER_RATE = 10


def spent(run: ComparisonRun) -> str:
    """Such as "1 200 of 20 000 samples"."""
    budget = run.budget
    write = format_loss if budget.unit == "seconds" else format_count
    return f"{write(run.share_done * budget.amount)} of {budget.text}"


def runs_text(run: ComparisonRun, amount: str) -> str:
    """Such as "9 runs · 20 000 samples each"."""
    return f"1 run · {amount}" if run.runs == 1 else f"{run.runs} runs · {amount} each"


def remaining(elapsed_seconds: float, share_done: float) -> str:
    """The time left; nothing before it can be told."""
    if share_done < 0.01 or elapsed_seconds < 0.5:
        return ""
    return format_remaining(elapsed_seconds * (1 - share_done) / share_done)


def broken_off_text(how: str, run: ComparisonRun) -> str:
    """Such as "stopped after 2 300 of 20 000 samples each"; ``how`` is "stopped" or "failed"."""
    if run.finding is not None:
        return f"{how} while finding η for k = {run.finding}"
    return f"{how} after {spent(run)}{' each' if run.runs > 1 else ''}"


def finding_text(batch_size: int, index: int) -> str:
    """How far the search for one k's η is."""
    return f"finding η for k = {batch_size}: step {index + 1} of {SWEEP_STEPS}"


def finding_sentence(batch_size: int, index: int) -> Sentence:
    text = finding_text(batch_size, index)
    return [[f"{text[0].upper()}{text[1:]}.", "muted"]]


def running_sentence(run: ComparisonRun, comparison: Comparison) -> Sentence:
    """Who is ahead so far."""
    known = [(curve.final_loss, curve.batch_size) for curve in comparison.by_batch_size if curve.final_loss is not None]
    if not known:
        return [["Training copies of your model side by side.", "muted"]]
    loss, k = min(known)
    text, best = format_loss(comparison.sign * loss), "lowest" if comparison.sign > 0 else "highest"
    ahead = f"the loss is {text}" if len(known) == 1 else f"k = {k} is {best} ({text})"
    return [[f"After {spent(run)} {ahead}.", "muted"]]


def result_sentence(comparison: Comparison) -> Sentence:
    """Verdict in bold with the answer in its colour, the evidence, in muted ink the limit."""
    verdict = [[comparison.verdict, "strong"]]
    found = comparison.batch_size
    at = None if found is None else re.search(rf"k = {found}(?!\d)", comparison.verdict)
    if at is not None:
        parts = [(comparison.verdict[: at.start()], "strong"), (at[0], "answer")]
        verdict = [[text, style] for text, style in (*parts, (comparison.verdict[at.end() :], "strong")) if text]
    reason = [[f"{_mark_between(comparison)} {comparison.reason}", ""]] if comparison.reason else []
    return [*verdict, *reason, *([[f" {comparison.limit}", "muted"]] if comparison.limit else [])]


def _mark_between(comparison: Comparison) -> str:
    if comparison.verdict.endswith((".", ":")):
        return ""
    return "." if comparison.reason[0].isupper() else ":"


def apply_label(comparison: Comparison, task: Task) -> str:
    """What the button will set; nothing without an answer."""
    if comparison.batch_size is None or comparison.lr is None:
        return ""
    rate = "" if comparison.lr == task.lr else f", η = {format_lr(comparison.lr)}"
    return f"Apply k = {comparison.batch_size}{rate}"


def applied_sentence(name: str, task: Task, caught: list[str]) -> Sentence:
    """How to use the new task in code.

    Args:
        name: What the notebook calls the widget.
        task: The new one.
        caught: Warnings that came with it.
    """
    k, rate = task.samples_per_update, format_lr(task.lr)
    used = f" {name}.task now has batch_size={k}, its optimizer η = {rate}; train on {name}.task.loader."
    return [["Applied:", "strong"], [used, ""], *([f" Note: {text}.", "muted"] for text in caught)]


def next_try(comparison: Comparison, texts: Mapping[str, str]) -> dict[str, Any] | None:
    """What to start next where there is no answer: its label and the fields' values.

    Args:
        comparison: Ended.
        texts: What stands in the fields.
    """
    if comparison.batch_size is not None or comparison.outcome == "stopped" or not comparison.by_batch_size:
        return None
    if all(curve.is_too_fast for curve in comparison.by_batch_size):
        rate = format_lr(min(curve.lr for curve in comparison.by_batch_size) / SMALLER_RATE)
        return {"label": f"Try η = {rate}", "values": {"lr": rate}}
    if comparison.start_loss is None:
        return None
    budget = Budget.parse(texts["budget"])
    larger = Budget(LARGER_BUDGET * budget.amount, budget.unit).text
    return {"label": f"Try {larger}", "values": {"budget": larger}}
