"""Cards since 2017, and what PyTorch sees of their memory, which is less than what they are sold with.

What is seen is ``total_memory`` of ``torch.cuda.get_device_properties``, which out-of-memory messages name as the total
capacity, on Linux and with ECC where a card comes with it. Windows shows up to 3 % more; drivers from 570 on hold back
about 0.1 GiB more than older ones. Where several sizes were seen, it is one of the smaller. The last column says where:

- ``log``: the first lines of a public training log ("CUDA:0 (NVIDIA A30, 24164MiB)"), ``props``: the properties as
  PyTorch prints them, ``llama``: llama.cpp's list of devices; each found in a public repository;
- ``oom``: an out-of-memory message that comes with the card's name, ``owner/name#n`` where it was an issue's;
- ``derived``: nowhere found. The size sold × what is seen of its nearest relative.
"""

from __future__ import annotations

from dataclasses import dataclass

from .architecture import Architecture

GIB = 2**30
DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it is sold and as PyTorch sees it.

    Attributes:
        name: As people call it; a model that is sold in several sizes has the size behind it ("A100 80").
        sold_gib: What stands on the box.
        seen_gib: What PyTorch sees; for Apple's, what Metal recommends to stay within.
        architecture: Its generation.
        source: Where the size was seen; see the module.
    """

    name: str
    sold_gib: int
    seen_gib: float
    architecture: Architecture
    source: str

    @property
    def is_derived(self) -> bool:
        """Whether nobody was found who had seen this size."""
        return self.source == DERIVED

    @property
    def size_bytes(self) -> int:
        """What PyTorch sees, in bytes."""
        return int(self.seen_gib * GIB)

    @property
    def model(self) -> str:
        """The name without the size."""
        rest, _, last = self.name.rpartition(" ")
        return rest if rest and last == str(self.sold_gib) else self.name


_ROWS: list[tuple[str, int, float, str, str]] = [
    # Of one model, the first is meant where nobody says which.
    # Pascal
    ("GTX 1050", 2, 1.94, "6.1", DERIVED),
    ("GTX 1050 Ti", 4, 3.94, "6.1", "llama"),
    ("GTX 1060 6", 6, 5.92, "6.1", "llama"),
    ("GTX 1060 3", 3, 2.95, "6.1", DERIVED),
    ("GTX 1070", 8, 7.92, "6.1", DERIVED),
    ("GTX 1070 Ti", 8, 7.92, "6.1", DERIVED),
    ("GTX 1080", 8, 7.92, "6.1", "llama"),
    ("GTX 1080 Ti", 11, 10.91, "6.1", "log"),
    ("Titan Xp", 12, 11.90, "6.1", "log"),
    ("P4", 8, 7.43, "6.1", DERIVED),
    ("P40", 24, 22.3, "6.1", DERIVED),
    ("P100 16", 16, 15.89, "6.0", "log"),
    ("P100 12", 12, 11.91, "6.0", DERIVED),
    # Volta
    ("Titan V", 12, 11.78, "7.0", "log"),
    ("V100 16", 16, 15.78, "7.0", "log"),
    ("V100 32", 32, 31.73, "7.0", "llama; 31.74 in haotian-liu/LLaVA#812"),
    # Turing
    ("GTX 1650", 4, 3.63, "7.5", "llama"),
    ("GTX 1650 Ti", 4, 3.63, "7.5", DERIVED),
    ("GTX 1650 Super", 4, 3.63, "7.5", DERIVED),
    ("GTX 1660", 6, 5.61, "7.5", DERIVED),
    ("GTX 1660 Super", 6, 5.61, "7.5", DERIVED),
    ("GTX 1660 Ti", 6, 5.61, "7.5", "llama"),
    ("RTX 2050", 4, 3.63, "8.6", DERIVED),
    ("RTX 2060 6", 6, 5.78, "7.5", "log"),
    ("RTX 2060 12", 12, 11.56, "7.5", "llama"),
    ("RTX 2060 Super", 8, 7.76, "7.5", DERIVED),
    ("RTX 2070", 8, 7.76, "7.5", "props"),
    ("RTX 2070 Super", 8, 7.76, "7.5", DERIVED),
    ("RTX 2080", 8, 7.76, "7.5", DERIVED),
    ("RTX 2080 Super", 8, 7.79, "7.5", "log"),
    ("RTX 2080 Ti", 11, 10.76, "7.5", "props"),
    ("Titan RTX", 24, 23.64, "7.5", "log"),
    ("Quadro RTX 4000", 8, 7.76, "7.5", DERIVED),
    ("Quadro RTX 5000", 16, 15.55, "7.5", "llama"),
    ("Quadro RTX 6000", 24, 22.1, "7.5", DERIVED),
    ("Quadro RTX 8000", 48, 47.25, "7.5", "log"),
    ("T4", 16, 14.74, "7.5", "log (Colab); 14.75 in hpcaitech/Open-Sora#697, 14.56 by llama"),
    # Ampere
    ("RTX 3050 8", 8, 7.65, "8.6", DERIVED),
    ("RTX 3050 6", 6, 5.74, "8.6", DERIVED),
    ("RTX 3050 laptop 4", 4, 3.81, "8.6", "log"),
    ("RTX 3050 laptop 6", 6, 5.74, "8.6", DERIVED),
    ("RTX 3050 Ti laptop", 4, 3.81, "8.6", "log"),
    ("RTX 3060", 12, 11.63, "8.6", "log"),
    ("RTX 3060 8", 8, 7.65, "8.6", DERIVED),
    ("RTX 3060 laptop", 6, 5.74, "8.6", DERIVED),
    ("RTX 3060 Ti", 8, 7.65, "8.6", "log"),
    ("RTX 3070", 8, 7.66, "8.6", "log; 7.78 in akshitac8/OW-DETR#46"),
    ("RTX 3070 Ti", 8, 7.65, "8.6", DERIVED),
    ("RTX 3080 10", 10, 9.77, "8.6", "log"),
    ("RTX 3080 12", 12, 11.63, "8.6", DERIVED),
    ("RTX 3080 laptop 8", 8, 7.65, "8.6", DERIVED),
    ("RTX 3080 laptop 16", 16, 15.73, "8.6", "log"),
    ("RTX 3080 Ti", 12, 11.63, "8.6", "log"),
    ("RTX 3080 Ti laptop", 16, 15.73, "8.6", DERIVED),
    ("RTX 3090", 24, 23.69, "8.6", "log; 23.56 by llama with a newer driver"),
    ("RTX 3090 Ti", 24, 23.54, "8.6", "log"),
    ("RTX A2000 6", 6, 5.74, "8.6", DERIVED),
    ("RTX A2000 12", 12, 11.73, "8.6", "log"),
    ("RTX A3000", 6, 5.74, "8.6", DERIVED),
    ("RTX A4000", 16, 15.61, "8.6", "oom DengKaiCQ/VGGT-Long#6"),
    ("RTX A4500", 20, 19.6, "8.6", DERIVED),
    ("RTX A5000", 24, 23.68, "8.6", "log"),
    ("RTX A5500", 24, 23.6, "8.6", DERIVED),
    ("RTX A6000", 48, 47.53, "8.6", "props"),
    ("A2", 16, 14.56, "8.6", DERIVED),
    ("A10", 24, 21.99, "8.6", "oom zai-org/CogVLM#236"),
    ("A10G", 24, 22.06, "8.6", "props"),
    ("A16", 16, 14.56, "8.6", DERIVED),
    ("A30", 24, 23.60, "8.0", "log"),
    ("A40", 48, 44.35, "8.6", "props"),
    ("A100 40", 40, 39.49, "8.0", "log; 39.50 in TianheWu/CoSeR#10"),
    ("A100 80", 80, 79.25, "8.0", "oom HiDream-ai/VAREdit#6, levihsu/OOTDiffusion#235"),
    ("A800", 80, 79.25, "8.0", DERIVED),
    # Ada
    ("RTX 4050 laptop", 6, 5.72, "8.9", DERIVED),
    ("RTX 4060", 8, 7.62, "8.9", DERIVED),
    ("RTX 4060 Ti 8", 8, 7.62, "8.9", "log"),
    ("RTX 4060 Ti 16", 16, 15.57, "8.9", "llama"),
    ("RTX 4070", 12, 11.71, "8.9", "log"),
    ("RTX 4070 Super", 12, 11.6, "8.9", DERIVED),
    ("RTX 4070 Ti", 12, 11.6, "8.9", DERIVED),
    ("RTX 4070 Ti Super", 16, 15.57, "8.9", DERIVED),
    ("RTX 4070 laptop", 8, 7.62, "8.9", "log"),
    ("RTX 4080", 16, 15.57, "8.9", DERIVED),
    ("RTX 4080 Super", 16, 15.57, "8.9", "log"),
    ("RTX 4080 laptop", 12, 11.6, "8.9", DERIVED),
    ("RTX 4090", 24, 23.52, "8.9", "oom; 23.61 in pinokiofactory/flux-webui#11, 23.65 in mahmoodlab/Patch-GCN#28"),
    ("RTX 4090 laptop", 16, 15.57, "8.9", DERIVED),
    ("RTX 2000 Ada", 16, 15.57, "8.9", DERIVED),
    ("RTX 4000 Ada", 20, 19.5, "8.9", DERIVED),
    ("RTX 4500 Ada", 24, 23.5, "8.9", DERIVED),
    ("RTX 5000 Ada", 32, 31.5, "8.9", DERIVED),
    ("RTX 6000 Ada", 48, 47.36, "8.9", "log"),
    ("L4", 24, 22.03, "8.9", "oom; 22.16 by log (Colab)"),
    ("L20", 48, 44.39, "8.9", "llama"),
    ("L40", 48, 44.40, "8.9", "log"),
    ("L40S", 48, 44.40, "8.9", "llama"),
    # Hopper
    ("H100 80", 80, 79.18, "9.0", "props; 79.11 in vllm-project/vllm#27508"),
    ("H100 94", 94, 93.10, "9.0", "oom"),
    ("H800", 80, 79.18, "9.0", DERIVED),
    ("H20", 96, 95.1, "9.0", DERIVED),
    ("H200", 141, 139.80, "9.0", "props"),
    ("GH200", 96, 94.5, "9.0", DERIVED),
    # Blackwell
    ("B200", 180, 178.35, "10.0", "props"),
    ("GB200", 186, 184.31, "10.0", "oom"),
    ("RTX 5050", 8, 7.7, "12.0", DERIVED),
    ("RTX 5060", 8, 7.7, "12.0", DERIVED),
    ("RTX 5060 Ti 8", 8, 7.7, "12.0", DERIVED),
    ("RTX 5060 Ti 16", 16, 15.45, "12.0", "llama"),
    ("RTX 5070", 12, 11.6, "12.0", DERIVED),
    ("RTX 5070 laptop", 8, 7.7, "12.0", DERIVED),
    ("RTX 5070 Ti", 16, 15.44, "12.0", "llama"),
    ("RTX 5070 Ti laptop", 12, 11.6, "12.0", DERIVED),
    ("RTX 5080", 16, 15.47, "12.0", "log"),
    ("RTX 5090", 32, 31.36, "12.0", "log"),
    ("RTX 5090 laptop", 24, 23.4, "12.0", DERIVED),
    ("RTX PRO 2000", 16, 15.4, "12.0", DERIVED),
    ("RTX PRO 4000", 24, 23.4, "12.0", DERIVED),
    ("RTX PRO 4500", 32, 31.3, "12.0", DERIVED),
    ("RTX PRO 5000", 48, 47.2, "12.0", DERIVED),
    ("RTX PRO 6000", 96, 94.97, "12.0", "log"),
    ("DGX Spark", 128, 119.61, "12.1", "oom"),
    # Jetson, whose memory is the system's too
    ("Jetson Nano", 4, 3.6, "5.3", DERIVED),
    ("Jetson TX2", 8, 7.4, "6.2", DERIVED),
    ("Jetson Xavier 8", 8, 7.4, "7.2", DERIVED),
    ("Jetson Xavier 16", 16, 14.9, "7.2", DERIVED),
    ("Jetson Xavier 32", 32, 29.9, "7.2", DERIVED),
    ("Jetson Xavier 64", 64, 61.3, "7.2", DERIVED),
    ("Jetson Orin 8", 8, 7.44, "8.7", "log"),
    ("Jetson Orin 4", 4, 3.7, "8.7", DERIVED),
    ("Jetson Orin 16", 16, 14.9, "8.7", DERIVED),
    ("Jetson Orin 32", 32, 29.90, "8.7", "props"),
    ("Jetson Orin 64", 64, 61.35, "8.7", "llama"),
    ("Jetson Thor", 128, 119.6, "11.0", DERIVED),
    # AMD; MI250 and MI250X are two devices of 64 GB each
    ("MI50 16", 16, 15.98, "gfx906", "llama"),
    ("MI50 32", 32, 31.98, "gfx906", "llama"),
    ("MI60", 32, 31.98, "gfx906", "llama"),
    ("MI100", 32, 31.98, "gfx908", DERIVED),
    ("MI210", 64, 63.98, "gfx90a", "llama"),
    ("MI250", 64, 63.98, "gfx90a", "props"),
    ("MI250X", 64, 63.98, "gfx90a", "props"),
    ("MI300X", 192, 191.69, "gfx942", "oom"),
    ("MI325X", 256, 255.98, "gfx942", "oom"),
    ("MI350X", 288, 287.98, "gfx950", DERIVED),
    ("MI355X", 288, 287.98, "gfx950", "oom (MI350X or this one: the message names none)"),
    ("RX 6700 XT", 12, 11.98, "gfx1031", "llama"),
    ("RX 6800", 16, 15.98, "gfx1030", "llama"),
    ("RX 6800 XT", 16, 15.98, "gfx1030", "oom"),
    ("RX 6900 XT", 16, 15.98, "gfx1030", DERIVED),
    ("RX 7600", 8, 7.9, "gfx1102", DERIVED),
    ("RX 7700 XT", 12, 11.9, "gfx1101", DERIVED),
    ("RX 7800 XT", 16, 15.80, "gfx1101", "log"),
    ("RX 7900 XT", 20, 19.98, "gfx1100", "oom"),
    ("RX 7900 XTX", 24, 23.98, "gfx1100", "oom"),
    ("RX 9060 XT", 16, 15.9, "gfx1200", DERIVED),
    ("RX 9070", 16, 15.9, "gfx1201", DERIVED),
    ("RX 9070 XT", 16, 15.92, "gfx1201", "log"),
    ("AI PRO R9700", 32, 31.86, "gfx1201", "llama"),
]  # fmt: skip

_APPLE = {
    "M1": (8, 16), "M1 Pro": (16, 32), "M1 Max": (32, 64), "M1 Ultra": (64, 128),
    "M2": (8, 16, 24), "M2 Pro": (16, 32), "M2 Max": (32, 64, 96), "M2 Ultra": (64, 128, 192),
    "M3": (8, 16, 24), "M3 Pro": (18, 36), "M3 Max": (36, 48, 64, 96, 128), "M3 Ultra": (96, 256, 512),
    "M4": (16, 24, 32), "M4 Pro": (24, 48, 64), "M4 Max": (36, 48, 64, 128),
}  # fmt: skip
_SEEN_ON_APPLE = {16, 24, 32, 36, 48, 64, 128}
"""Sizes whose recommendation llama.cpp's logs show: 10.67, 16, 21.33, 27, 36, 48 and 96 GiB."""


def _apple() -> list[Card]:
    """Metal recommends two thirds of up to 32 GB and three quarters of more."""
    return [
        Card(
            f"{chip} {sold}", sold, round(sold * (2 / 3 if sold <= 32 else 3 / 4), 2), Architecture("metal"),
            "llama (recommendedMaxWorkingSetSize)" if sold in _SEEN_ON_APPLE else DERIVED,
        )
        for chip, sizes in _APPLE.items() for sold in sizes
    ]  # fmt: skip


TABLE: tuple[Card, ...] = (
    *(Card(name, sold, seen, Architecture(code), source) for name, sold, seen, code, source in _ROWS),
    *_apple(),
)
