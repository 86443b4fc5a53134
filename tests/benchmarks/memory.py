"""How far predicted memory is off, and how long predicting takes. Prints tables; no GPU is needed.

    python tests/benchmarks/memory.py                     # all of them, but for devices and the ladder
    python tests/benchmarks/memory.py host replay         # some, by the names below
    python tests/benchmarks/memory.py ladder              # needs timm: pip install --no-deps timm

host        the tracer, with the emulation of CUDA off, against every allocation that PyTorch's profiler sees in two
            real steps on the CPU; no statement about a GPU
replay      a tape made at k = 2 and 3 against a rehearsal at that very k
published   against figures that others measured on a V100; nothing here was fitted to them
card        against peaks recorded on an H100 (results/memory_h100.json, by tests/gpu); rules were read off that card
curve       the whole curve of DenseNet121 at 512 × 512 pixels in a fresh process with one thread
changes     what makes k = 32 of DenseNet121 at 512 × 512 pixels fit on 8 GB, and the largest images: time and answers
laptop      what makes a model of 7 billion parameters train on 8 GB: the table, and its time
absent      language models of 8 and 70 billion parameters on the meta device: time and memory
devices     one of several devices beside real processes (gloo, on the CPU), and beside the ZeRO paper: five minutes
ladder      the largest batch sizes that trained on an RTX 3090, as timm published them (torch 1.12, mixed precision)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))
import host_zoo
from host_truth import peak_of_steps
from memory_devices import devices
from zoo import ZOO, optimizer_of, stacked, switch_checkpointing_on, task_of_case

from nbtune.engine import Task
from nbtune.engine.batch_size.image_size import largest_image_size
from nbtune.engine.batch_size.what_fits.find import what_fits
from nbtune.engine.memory import MemoryEstimate, estimate_memory
from nbtune.engine.memory.rehearsal.rehearse import Plan, Stage, rehearse
from nbtune.engine.memory.replay.tape import Tape, replay
from nbtune.engine.memory.samples import Samples

MIB = 2**20
SIZES = (1, 2, 8, 32, 128, 512)
Built = tuple[nn.Module, Any]


def main() -> None:
    parts: dict[str, Callable[[], None]] = {
        "host": host, "replay": replayed, "published": published, "card": card, "curve": curve,
        "changes": changes, "laptop": laptop, "absent": absent, "devices": devices, "ladder": ladder,
    }  # fmt: skip
    parser = argparse.ArgumentParser()
    parser.add_argument("which", nargs="*", help=", ".join(parts))
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if unknown := set(asked.which) - set(parts):
        parser.error(f"unknown: {', '.join(sorted(unknown))} (there are {', '.join(parts)})")
    warnings.simplefilter("ignore")
    if asked.in_this_process:
        curve_here()
        return
    for name, part in parts.items():
        if name in asked.which or (not asked.which and name not in ("devices", "ladder")):
            part()
            print()


# --- the tracer against every real allocation -------------------------------------------------------------------------


def host() -> None:
    """Per model: the peak of two steps under AdamW, the real one and the predicted one."""
    print(f"{'model':16} {'k':>3} {'real':>11} {'predicted':>11} {'error':>8}   activations' share")
    errors = [_host_error(name, *case) for name, case in (host_zoo.seen() | host_zoo.others()).items()]
    print("kept back, while the rules were made:")
    apart = [_host_error(name, *case) for name, case in host_zoo.kept_back().items()]
    for what, found in (("all", errors + apart), ("kept back", apart)):
        sizes = sorted(map(abs, found))
        print(f"{what}: {len(sizes)} models, error without its sign: median {statistics.median(sizes):.2%}", end="")
        print(f" (wanted ≤ 0.1 %), worst {sizes[-1]:.2%} (≤ 2 %)")


def _host_error(name: str, make: Callable[[], Built], k: int) -> float:
    torch.manual_seed(0)
    model, sample = make()
    optimizer = optimizer_of("AdamW", model.train())
    estimate = estimate_memory(task_of(model, optimizer, sample), device="cpu")
    predicted = estimate.peak_bytes(k) - estimate.context_bytes
    real = peak_of_steps(model, optimizer, sample, k)
    share = estimate.breakdown(k)["activations"] / predicted
    print(f"{name:16} {k:3} {mib(real)} {mib(predicted)} {predicted / real - 1:8.2%}   {share:.0%}", flush=True)
    return predicted / real - 1


def task_of(model: nn.Module, optimizer: Any, sample: Any) -> Task:
    loss_fn = None if isinstance(sample, dict) else nn.functional.cross_entropy
    return Task(model, optimizer, loss_fn, [stacked(sample, 2)])


# --- replay against direct rehearsal ----------------------------------------------------------------------------------


def replayed() -> None:
    """Per model of the zoo in its usual size: the largest error over ``SIZES``."""
    print(f"{'model':16} {'largest error of the reserved bytes, k = ' + ', '.join(map(str, SIZES))}")
    largest = 0.0
    for name, make in ZOO.items():
        model, sample = make()
        task = task_of(model, optimizer_of("AdamW", model), sample)
        samples, plan, stage = Samples(task), Plan(), Stage("meta")
        recorded = {k: rehearse(task, samples, k, plan, stage)[0] for k in SIZES}
        estimate = estimate_memory(task, "8 GB")
        predicted = [estimate.peak_bytes(k) - estimate.context_bytes for k in SIZES]
        direct = [replay(Tape.fixed(recorded[k]), k).reserved_bytes for k in SIZES]
        errors = [one / other - 1 for one, other in zip(predicted, direct, strict=True)]
        worst = max(errors, key=abs)
        largest = max(largest, abs(worst))
        where = [str(k) for k, error in zip(SIZES, errors, strict=True) if abs(error) > 5e-5]
        print(f"{name:16} {worst:.2%}{' at k = ' + ', '.join(where) if where else ''}", flush=True)
    print(f"largest of all {largest:.2%} (wanted ≤ 0.1 %)")


# --- published figures ------------------------------------------------------------------------------------------------

PUBLISHED_CONTEXT = 1343
PUBLISHED = (
    # batch size, micro-batches, checkpointing, MB on the card
    (4, 1, False, 14949),
    (1, 4, False, 8681),
    (1, 4, True, 6775),
)
"""BERT-large, 512 tokens, float32, on a V100: what the driver says is taken. Source: "Efficient training on a single
GPU", documentation of transformers 4.2x."""


def published() -> None:
    """Predicted with their context, as PyTorch and transformers are today and as they were then."""
    print(f"BERT-large, 512 tokens, float32, AdamW; context {PUBLISHED_CONTEXT:,} MB as they measured it")
    print(f"{'':44} {'published':>11} {'today':>11} {'error':>8} {'as then':>11} {'error':>8}")
    for k, micro_batches, checkpointing, real in PUBLISHED:
        cells = ""
        for is_then in (False, True):
            predicted = PUBLISHED_CONTEXT + bert_large_bytes(k, micro_batches, checkpointing, is_then=is_then) / MIB
            cells += f" {predicted:8,.0f} MB {predicted / real - 1:8.1%}"
        title = f"k = {k}, {micro_batches} micro-batch(es){', checkpointing' if checkpointing else ''}"
        print(f"{title:44} {real:8,} MB{cells}", flush=True)
    print("today: fused attention, the optimizer updates lists of tensors, gradients None between steps;")
    print("as then: plain attention, one tensor after the other, gradients zeroed and kept.")


def bert_large_bytes(k: int, micro_batches: int, checkpointing: bool, *, is_then: bool) -> int:
    import transformers as t

    t.logging.set_verbosity_error()
    config = t.BertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096, num_labels=2,
        attn_implementation="eager" if is_then else "sdpa",
    )  # fmt: skip
    model = t.BertForSequenceClassification(config)
    if checkpointing:
        switch_checkpointing_on(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-5, foreach=False if is_then else None)
    sample = {"input_ids": torch.arange(512), "labels": torch.tensor(1)}

    def update(model: Any, optimizer: Any, batch: Any) -> dict[str, Any]:
        for _ in range(micro_batches):
            loss = model(**batch).loss / micro_batches
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=not is_then)
        return {"loss": loss.detach()}

    estimate = estimate_memory(Task(model, optimizer, data=[stacked(sample, 2)], update=update), "80 GB")
    return estimate.peak_bytes(k) - estimate.context_bytes


# --- what a card recorded --------------------------------------------------------------------------------------------


def card() -> None:
    """Per case: k, and how far the predicted reserved bytes are from the recorded peak."""
    errors, with_margin = [], []
    for case in json.loads((Path(__file__).parent / "results" / "memory_h100.json").read_text())["cases"]:
        estimate = estimate_memory(task_of_case(case), "H100 80")
        row = []
        for run in case["runs"]:
            predicted, reserved = estimate.peak_bytes(run["k"]) - estimate.context_bytes, run["peaks"][-1][0]
            errors.append(predicted / reserved - 1)
            with_margin.append(predicted * (1 + estimate.margin) / reserved - 1)
            row.append(f"k = {run['k']} {errors[-1]:+.1%}")
        changes = [str(value) for name, value in case.items() if name not in ("ks", "traced", "runs", "model")]
        print(f"{case['model']:16} {' '.join(changes):24} {', '.join(row)}", flush=True)
    sizes = sorted(map(abs, errors))
    p95 = statistics.quantiles(sizes, n=20, method="inclusive")[-1]
    print(f"{len(errors)} peaks: median {statistics.median(sizes):.2%} (wanted ≤ 3 %), p95 {p95:.1%} (≤ 8 %)")
    print(f"from {min(errors):+.1%} to {max(errors):+.1%}; with the margin at least {min(with_margin):+.1%} (−5 %)")
    too_small = sum(spare < 0 for spare in with_margin)
    unused = statistics.mean(max(0.0, spare) / (1 + spare) for spare in with_margin)
    print("as xMem (2025) judges estimators: the run gets what the estimate with its margin says, beside the context")
    print(
        f"median relative error {statistics.median(sizes):.2%}, out of memory {too_small} of {len(errors)} "
        f"({too_small / len(errors):.1%}), left unused {unused:.1%} of what was given"
    )


# --- the whole curve --------------------------------------------------------------------------------------------------


def curve() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, __file__, "--in-this-process"], check=True, env=environment)


def curve_here() -> None:
    """Seconds and memory of the call with which a widget begins; PyTorch and the model are there before."""
    torch.set_num_threads(1)
    model, sample = ZOO["densenet121"](512)
    task = task_of(model, optimizer_of("AdamW", model), sample)
    before = resident("VmRSS")
    begun, used = time.perf_counter(), time.process_time()
    estimate = estimate_memory(task, "8 GB")
    traced = time.perf_counter()
    parts = [estimate.parts(2**i) for i in range(10)]
    ended, busy = time.perf_counter(), time.process_time()
    grown = (resident("VmHWM") - before) / MIB
    print(f"DenseNet121, 512 × 512, AdamW; k = 1, 2, 4 … 512 with all parts ({len(parts)} points); one thread")
    print(f"{ended - begun:.1f} s (wanted ≤ 5), of it tracing {traced - begun:.1f} s; processor {busy - used:.1f} s")
    print(f"{grown:.0f} MiB more RAM (wanted ≤ 1,024)")
    largest, power = estimate.largest_batch_size(power_of_two=False), estimate.largest_batch_size()
    print(f"on an 8 GB card the largest k is {largest}, the largest power of two {power}")


# --- what makes it fit ------------------------------------------------------------------------------------------------


def changes() -> None:
    torch.set_num_threads(1)
    model, sample = ZOO["densenet121"](512)
    task = task_of(model, optimizer_of("AdamW", model), sample)
    used = time.process_time()
    found = what_fits(task, "8 GB", batch_size=32, progress=False)
    print(found)
    print(f"{len(found.changes)} estimates, processor {time.process_time() - used:.1f} s (wanted ≤ 20)")
    for capacity, k in (("8 GB", 16), ("24 GB", 8), ("2 GB", 1)):
        used = time.process_time()
        side = largest_image_size(task, capacity, batch_size=k)
        print(f"k = {k} on {capacity}: images of {side}², processor {time.process_time() - used:.1f} s")


# --- models that are not there ----------------------------------------------------------------------------------------

LLAMAS: dict[str, tuple[float, dict[str, int]]] = {
    "8B": (15, {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}),
    "70B": (60, {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64}),
}
"""Processor seconds wanted, and the sizes of Llama 3's models; each has 8 key-value heads and 128,256 tokens."""


def absent() -> None:
    import transformers as t

    torch.set_num_threads(1)
    for name, (wanted, sizes) in LLAMAS.items():
        config = t.LlamaConfig(**sizes, num_key_value_heads=8, vocab_size=128256, use_cache=False)
        with torch.device("meta"):
            model = t.LlamaForCausalLM(config).to(torch.bfloat16)
        words = torch.zeros(2048).long()
        used, before = time.process_time(), resident("VmHWM")
        estimate = estimate_memory(
            task_of(model, optimizer_of("AdamW", model), {"input_ids": words, "labels": words}), "80 GB"
        )
        peaks = ", ".join(f"k = {k}: {estimate.peak_bytes(k) / 2**30:,.0f} GiB" for k in (1, 8))
        grown = (resident("VmHWM") - before) / MIB
        print(f"{name}: {peaks}; processor {time.process_time() - used:.1f} s (wanted ≤ {wanted:.0f}), {grown:.0f} MiB")


def laptop() -> None:
    """What makes a model of 7 billion parameters train on a laptop's card, with one sequence of 1,024 tokens."""
    import transformers as t

    torch.set_num_threads(1)
    config = t.LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, vocab_size=32000)
    config.use_cache = False
    with torch.device("meta"):
        model = t.LlamaForCausalLM(config)
    words = torch.zeros(1024).long()
    used = time.process_time()
    task = task_of(model, optimizer_of("AdamW", model), {"input_ids": words, "labels": words})
    found = what_fits(task, "8 GB", batch_size=1, progress=False)
    print(found)
    print(f"{len(found.changes)} estimates, processor {time.process_time() - used:.1f} s (wanted ≤ 30)")


# --- the ladder of an RTX 3090 ----------------------------------------------------------------------------------------

LADDER = (512, 384, 256, 192, 128, 96, 64, 48, 32)
TRAINED = {
    "resnet50": (224, 512), "vgg16": (224, 384), "efficientnet_b4": (320, 96), "nfnet_l0": (224, 384),
    "vit_base_patch16_224": (224, 192), "densenet121": (224, 256), "convnext_tiny": (224, 256),
    "resnet101": (224, 256), "seresnext50_32x4d": (224, 256), "swin_base_patch4_window7_224": (224, 128),
    "mixer_b16_224": (224, 256), "convnext_base": (224, 128),
}  # fmt: skip
"""Model → pixels, and the largest of ``LADDER`` that trained (512: at least)."""
SEEN_BYTES = int(23.69 * 2**30)


def ladder() -> None:
    from timm_models import absent as model_of

    torch.set_num_threads(1)
    ways = ("fits", "with retries", "fits today", "with retries today")
    right = dict.fromkeys(ways, 0)
    print(f"{'model':30} {'trained':>7} " + " ".join(ways))
    for name, (side, trained) in TRAINED.items():
        images = torch.zeros(1, 3, side, side).expand(2, 3, side, side), torch.zeros(2).long()
        then, today = (_estimated(model_of(name, fused_attention=fused), images) for fused in (False, True))
        checks = (then.fits, then.fits_with_retries, today.fits, today.fits_with_retries)
        found = [next((k for k in LADDER if does_fit(k)), 0) for does_fit in checks]
        for way, k in zip(ways, found, strict=True):
            right[way] += k == trained
        cells = " ".join(f"{k:{len(way)}}" for way, k in zip(ways, found, strict=True))
        print(f"{name:30} {trained:7} {cells}", flush=True)
    print("; ".join(f"{way}: {count} of {len(TRAINED)}" for way, count in right.items()), "(wanted ≥ 11, 12)")
    print("today: attention fused, as the models have it now")


def _estimated(model: nn.Module, batch: Any) -> MemoryEstimate:
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    task = Task(model, optimizer, nn.functional.cross_entropy, [batch], amp=torch.float16)
    return estimate_memory(task, SEEN_BYTES)


def resident(field: str) -> int:
    """VmRSS, now, or VmHWM, the highest so far. (``ru_maxrss`` of a child begins with its parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def mib(size: int) -> str:
    return f"{size / MIB:7,.1f} MiB"


if __name__ == "__main__":
    main()
