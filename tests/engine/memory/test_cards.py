"""Cards by the names people type, what PyTorch sees of them, and what their generation decides."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from tasks import plain_task
from torch import nn
from torch.nn import functional as F

from nbtune.engine import Task
from nbtune.engine.memory import CARDS, estimate_memory, parse_capacity
from nbtune.engine.memory.architecture import UNNAMED, Architecture
from nbtune.engine.memory.card_table import TABLE, Card
from nbtune.engine.memory.cards import COMMON, CONTEXT_BYTES, capacity_name, read_capacity

MIB, GIB = 2**20, 2**30
NVIDIA = [card for card in TABLE if card.architecture.capability is not None]


class Attends(nn.Module):
    """One layer of attention over 1,000 tokens, in the dtype of autocast."""

    def __init__(self, length: int = 1000, heads: int = 4, width: int = 16) -> None:
        super().__init__()
        self.inner, self.heads = nn.Linear(8, 3 * heads * width), heads
        self.out = nn.Linear(heads * width, 1)
        self.length = length

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.inner(x).reshape(len(x), self.length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)).mean((1, 2))


def attention_task(amp: torch.dtype | None = torch.float16) -> Task:
    model = Attends()
    data = torch.randn(4, model.length, 8), torch.randn(4)
    return Task(model, torch.optim.SGD(model.parameters(), 0.1), F.mse_loss, data, amp=amp)


def operators(estimate: Any) -> set[str]:
    return set(estimate._source.tape(2).recording.operators)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [("A100 80GB", "A100 80"), ("a100-80g", "A100 80"), ("NVIDIA A100-SXM4-40GB", "A100 40"), ("rtx4090", "RTX 4090"),
     ("RTX 4090 24GB", "RTX 4090"), ("4090", "RTX 4090"), ("24GB 3090", "RTX 3090"), ("tesla t4", "T4"),
     ("NVIDIA GeForce RTX 3080 Laptop GPU", "RTX 3080 laptop 8"), ("3080 laptop 16gb", "RTX 3080 laptop 16"),
     ("geforce 3060", "RTX 3060"), ("3060ti", "RTX 3060 Ti"), ("RTX 4060 Ti 16 GB", "RTX 4060 Ti 16"),
     ("RTX 3070 Mobile", "RTX 3070"), ("rtx 4050", "RTX 4050 laptop"), ("1080 ti", "GTX 1080 Ti"),
     ("GTX 1060 3GB", "GTX 1060 3"), ("RTX 2070 with Max-Q Design", "RTX 2070"), ("titan rtx", "Titan RTX"),
     ("Quadro RTX 8000", "Quadro RTX 8000"), ("NVIDIA RTX A6000", "RTX A6000"), ("a2000 12gb", "RTX A2000 12"),
     ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"), ("T4 16GB", "T4"), ("T4 15 GB", "T4"),
     ("RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000"), ("NVIDIA H100 80GB HBM3", "H100 80"),
     ("h100 nvl", "H100 94"), ("Tesla V100-SXM2-32GB", "V100 32"), ("H200 141GB", "H200"), ("B200 192GB", "B200"),
     ("AMD Instinct MI300X", "MI300X"), ("7900 xtx", "RX 7900 XTX"), ("Radeon RX 9070XT", "RX 9070 XT"),
     ("M2 Max 64GB", "M2 Max 64"), ("Apple M1 Pro", "M1 Pro 16"), ("m4_max 128g", "M4 Max 128"),
     ("Jetson Orin 16GB", "Jetson Orin 16"), ("Jetson AGX Orin 64GB", "Jetson Orin 64"), ("DGX Spark", "DGX Spark"),
     ("Jetson Orin Nano Super", "Jetson Orin 8"), ("Colab T4", "T4"), ("Google Colab", "T4"), ("colab l4", "L4"),
     ("Colab Pro A100", "A100 40"), ("kaggle", "T4"), ("Kaggle P100", "P100 16"), ("A100", "A100 40")],
)  # fmt: skip
def test_a_card_is_known_by_every_usual_spelling(text: str, name: str) -> None:
    found = read_capacity(text)
    assert found.name == name and found.count == 1
    assert found.size_bytes == CARDS[name]


@pytest.mark.parametrize("name", sorted(CARDS))
def test_every_name_of_the_table_means_its_own_card(name: str) -> None:
    assert parse_capacity(name) == parse_capacity(f"  {name.lower()} ") == CARDS[name]


@pytest.mark.parametrize(
    ("text", "size"),
    [("8 gigabytes", 8 * GIB), ("8 GB", 8 * GIB), ("8GiB", 8 * GIB), ("8gb vram", 8 * GIB), ("8 gigas", 8 * GIB),
     ("tarjeta de 8 gigas", 8 * GIB), ("8,5 GB", 8.5 * GIB), ("8.5g", 8.5 * GIB), ("8-GB card", 8 * GIB),
     ("8 Go", 8 * GIB), ("10,240 MB", 10 * GIB), ("8192 MiB", 8 * GIB), ("a GPU with 12 GB", 12 * GIB)],
)  # fmt: skip
def test_a_size_is_read_with_its_unit_in_words_and_other_languages(text: str, size: float) -> None:
    found = read_capacity(text)
    assert found.size_bytes == size and found.card is None and found.architecture == UNNAMED


@pytest.mark.parametrize(
    ("text", "count", "name"),
    [("2x A100", 2, "A100 40"), ("4 x H100 80GB", 4, "H100 80"), ("8×H200", 8, "H200"), ("T4 x2", 2, "T4"),
     ("Kaggle T4 x2", 2, "T4"), ("dual 3090", 2, "RTX 3090"), ("2x4090", 2, "RTX 4090"), ("2 RTX 4090", 2, "RTX 4090"),
     ("2x 24 GB", 2, "24 GB card"), ("RX 7900 XTX", 1, "RX 7900 XTX")],
)  # fmt: skip
def test_several_cards_are_counted_and_one_is_judged(text: str, count: int, name: str) -> None:
    found = read_capacity(text)
    assert (found.count, found.name) == (count, name)
    assert any(f"{count} cards" in caveat for caveat in found.caveats) == (count > 1)


def test_a_card_sold_in_several_sizes_says_which_is_taken() -> None:
    assert "A100 is sold with 40 and 80 GB: 40 GB is taken." in read_capacity("A100").caveats
    assert not read_capacity("A100 80GB").caveats and not read_capacity("A100 40").caveats


@pytest.mark.parametrize(
    ("text", "near"),
    [("RTX 4099", "RTX 4090"), ("rtx 6000", "RTX 6000 Ada"), ("H1000", "H100 80"), ("V10", "V100 16"),
     ("Jetson Orion", "Jetson Orin"), ("M9 Max", "M4 Max"), ("MI300Z", "MI300X"), ("2x A1000", "A100")],
)  # fmt: skip
def test_a_name_that_is_no_cards_gets_the_nearest_and_the_way_out(text: str, near: str) -> None:
    with pytest.raises(ValueError, match="or write its size, such as") as told:
        parse_capacity(text)
    assert near in str(told.value)


@pytest.mark.parametrize(
    "wrong", ["banana", "big", "8", "", "  ", "0 GB", "-8 GB", "nan GB", "inf GB", "nan", 0, -1, "0x A100", "8 apples",
              "RTX 4090 16GB", "A100 60GB", "RTX", "x", "GB", "colab TPU", "3x banana"],
)  # fmt: skip
def test_what_is_neither_card_nor_size_is_refused_in_a_sentence(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"write .*'\d+ GB'"):
        parse_capacity(wrong)


@pytest.mark.parametrize("wrong", [8.5, float("nan"), True, None, [8]])
def test_other_kinds_of_objects_are_no_capacity(wrong: Any) -> None:
    with pytest.raises(TypeError, match="capacity must be"):
        parse_capacity(wrong)


# --- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", TABLE, ids=lambda card: card.name)
def test_pytorch_sees_a_little_less_than_what_is_sold(card: Card) -> None:
    low, high = (0.66, 0.75) if card.architecture.code == "metal" else (0.9, 1.0)
    assert low <= card.seen_gib / card.sold_gib <= high
    assert card.architecture.generation and card.source
    assert card.is_derived == (card.source == "derived")


def test_names_are_there_once_and_the_short_list_is_part_of_them() -> None:
    names = [card.name for card in TABLE]
    assert len(names) == len(set(names)) and set(COMMON) <= set(CARDS) and len(COMMON) <= 20
    old = {"4 GB", "6 GB", "8 GB", "RTX 3060", "T4", "16 GB", "L4", "RTX 4090", "A100 40", "A100 80", "H100 80"}
    assert old <= set(CARDS)


@pytest.mark.parametrize(
    ("name", "gib"),
    [("RTX 4090", 23.5), ("A100 80", 79.25), ("H100 80", 79.18), ("RTX 3090", 23.69), ("T4", 14.74), ("V100 16", 15.78),
     ("L4", 22.03), ("RTX 5090", 31.36), ("H200", 139.80)],
)  # fmt: skip
def test_sizes_are_those_that_out_of_memory_messages_name(name: str, gib: float) -> None:
    assert CARDS[name] / GIB == pytest.approx(gib, abs=0.05)


def test_a_derived_size_is_said_to_be_one() -> None:
    derived = next(card for card in NVIDIA if card.is_derived)
    assert any("derived" in caveat for caveat in read_capacity(derived.name).caveats)
    assert not any("derived" in caveat for caveat in read_capacity("RTX 4090").caveats)


def test_other_makers_and_shared_memory_are_told() -> None:
    assert any("Metal" in caveat for caveat in read_capacity("M2 Max 64GB").caveats)
    assert any("AMD" in caveat for caveat in read_capacity("MI300X").caveats)
    assert any("system" in caveat for caveat in read_capacity("Jetson Orin 16GB").caveats)


# --- what the generation decides --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kib"),
    [("T4", 9344), ("RTX 4090", 9344), ("A100 80", 9344), ("H100 80", 33 * 1024), ("B200", 33 * 1024),
     ("RTX 5090", 33 * 1024), ("MI300X", 204 * 1024), ("M1", 0)],
)  # fmt: skip
def test_each_matrix_product_holds_the_workspace_of_its_generation(name: str, kib: int) -> None:
    assert read_capacity(name).architecture.workspace_bytes == kib * 1024


def test_a_turing_card_attends_without_flash_and_an_ampere_with() -> None:
    turing, ampere = (estimate_memory(attention_task(), card) for card in ("T4", "RTX 3090"))
    assert "aten._scaled_dot_product_flash_attention" not in operators(turing)
    assert "aten._scaled_dot_product_efficient_attention" in operators(turing)
    assert "aten._scaled_dot_product_flash_attention" in operators(ampere)


def test_attention_in_bfloat16_takes_another_share_on_turing_than_on_ampere() -> None:
    turing, ampere = (estimate_memory(attention_task(torch.bfloat16), card) for card in ("T4", "RTX 3090"))
    assert turing.context_bytes == ampere.context_bytes
    assert turing.peak_bytes(64) > 1.5 * ampere.peak_bytes(64)


def test_bfloat16_on_turing_holds_every_weight_of_attention_and_is_said_to_be_emulated() -> None:
    half, bfloat = (estimate_memory(attention_task(amp), "T4") for amp in (torch.float16, torch.bfloat16))
    weights = 4 * 4 * 1000**2 * 32  # float32 of four heads and 32 samples
    assert bfloat.peak_bytes(32) - half.peak_bytes(32) > weights
    assert any("float16" in caveat for caveat in bfloat.caveats) and bfloat.half_dtype is torch.float16
    assert not any("float16" in caveat for caveat in half.caveats)


@pytest.mark.parametrize("amp", [torch.float16, None])
def test_another_card_gives_what_its_own_estimate_would(amp: torch.dtype | None) -> None:
    own = estimate_memory(attention_task(amp), "T4")
    judged = estimate_memory(attention_task(amp), "H100").with_capacity("T4")
    assert [judged.parts(k) for k in (1, 2, 64)] == [own.parts(k) for k in (1, 2, 64)]
    assert judged.caveats == own.caveats and judged.capacity_bytes == CARDS["T4"]


@pytest.mark.parametrize("amp", [torch.bfloat16, None])
def test_accumulation_and_evaluation_go_to_another_card_as_well(amp: torch.dtype | None) -> None:
    own, other = (estimate_memory(attention_task(amp), card) for card in ("T4", "H100"))
    assert other.accumulating().with_capacity("T4").parts(8) == own.accumulating().parts(8)
    assert other.evaluation().with_capacity("T4").parts(8) == own.evaluation().parts(8)
    other.evaluation_peak_bytes(8)
    assert other.with_capacity("T4").evaluation_peak_bytes(8) == own.evaluation_peak_bytes(8)


def test_only_other_attention_is_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = estimate_memory(attention_task(), "A100 80")
    monkeypatch.setattr("nbtune.engine.memory.source.rehearse", lambda *_: pytest.fail("traced again"))
    assert estimate.serves("RTX 4090") and estimate.with_capacity("RTX 4090").peak_bytes(64) > 0
    assert not estimate.serves("T4")


def test_an_estimate_that_was_pickled_says_that_attention_is_as_before() -> None:
    again = pickle.loads(pickle.dumps(estimate_memory(attention_task(), "A100 80")))
    assert again.with_capacity("T4").peak_bytes(64) > 0
    assert any("pickled" in caveat for caveat in again.with_capacity("T4").caveats)
    assert not any("pickled" in caveat for caveat in again.with_capacity("T4").with_capacity("A100 80").caveats)


def test_flash_attention_leaves_wide_heads_to_the_efficient_kernel_on_small_cards() -> None:
    assert Architecture("9.0").trains_flash(224, 0.1) and Architecture("8.6").trains_flash(192, 0.1)
    assert not Architecture("8.9").trains_flash(224, 0.0) and not Architecture("12.0").trains_flash(256, 0.1)


def test_a_bare_size_stands_for_the_card_that_was_measured() -> None:
    assert UNNAMED.workspace_bytes == Architecture("9.0").workspace_bytes == 33 * MIB
    assert UNNAMED.attention("float16") == Architecture("9.0").attention("float16") == "flash"


# --- context ----------------------------------------------------------------------------------------------------------


def test_the_context_is_the_middle_of_what_was_found_and_that_of_hopper_as_measured() -> None:
    contexts = {card: estimate_memory(plain_task(), card).context_bytes for card in ("8 GB", "T4", "H100", "H200")}
    assert contexts == {"8 GB": CONTEXT_BYTES, "T4": CONTEXT_BYTES, "H100": 800 * MIB, "H200": 800 * MIB}
    assert CONTEXT_BYTES == (620 + 800) // 2 * MIB


def test_a_card_below_its_context_says_that_nothing_fits() -> None:
    estimate = estimate_memory(plain_task(), "100 MB")
    assert not estimate.fits(1) and any("CUDA itself takes" in caveat for caveat in estimate.caveats)
    assert not any("CUDA itself takes" in caveat for caveat in estimate.with_capacity("2 GB").caveats)


def test_the_name_of_a_card_is_told_as_it_is_sold() -> None:
    assert [capacity_name(text) for text in ("a100-80g", "8gb", 2**33)] == ["A100 80", "8 GB card", "8 GB card"]


@pytest.mark.parametrize("size", [10**400, -(10**400), 10**60])
def test_a_size_beyond_any_card_is_refused_however_large(size: Any) -> None:
    with pytest.raises(ValueError, match="capacity must be"):
        parse_capacity(size)
