"""What a real card did (an H100, recorded by tests/gpu) against the models of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from allocator_truth import check_allocator
from zoo import task_of_case

from nbtune.engine.memory import estimate_memory

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
TRACES = json.loads(gzip.decompress((RESULTS / "allocator_traces_h100.json.gz").read_bytes()))["traces"]
CASES = json.loads((RESULTS / "memory_h100.json").read_text())["cases"]


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: f"{trace['model']} {trace.get('amp', 'float32')}")
def test_the_allocator_model_reserves_what_the_card_did_at_every_event(trace: dict[str, Any]) -> None:
    events = [{"action": action, "addr": address, "size": size} for action, address, size in trace["events"]]
    check = check_allocator(events)
    assert check.events > 1000
    assert check.differing == 0


def test_a_model_that_rounds_otherwise_would_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbtune.engine.memory.replay import allocator

    monkeypatch.setattr(allocator, "_LARGE_SEGMENT", 18 * allocator.MIB)
    events = [{"action": action, "addr": address, "size": size} for action, address, size in TRACES[0]["events"]]
    assert check_allocator(events).differing > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_base", "gpt2", "t5_small", "resnet50", "unet"])
def test_estimates_are_within_five_per_cent_of_the_cards_peak(name: str) -> None:
    case = next(c for c in CASES if c["model"] == name and "amp" not in c)
    estimate = estimate_memory(task_of_case(case), "H100 80")
    for run in case["runs"][1:]:
        reserved = run["peaks"][-1][0]
        predicted = estimate.peak_bytes(run["k"]) - estimate.context_bytes
        assert abs(predicted / reserved - 1) < 0.05, (run["k"], predicted, reserved)
