"""What a card's generation decides about memory: the workspace of its matrix products, and its attention kernels."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20

_GENERATIONS = {
    "5": "Maxwell", "6": "Pascal", "7": "Volta", "7.5": "Turing", "8": "Ampere", "8.9": "Ada", "9": "Hopper",
    "10": "Blackwell", "11": "Blackwell", "12": "Blackwell",
    "gfx906": "GCN", "gfx908": "CDNA", "gfx90a": "CDNA 2", "gfx942": "CDNA 3", "gfx950": "CDNA 4",
    "gfx10": "RDNA 2", "gfx11": "RDNA 3", "gfx12": "RDNA 4", "metal": "Apple",
}  # fmt: skip
_WITH_AOTRITON = ("gfx90a", "gfx942", "gfx950", "gfx11", "gfx12")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A generation of cards, as far as memory depends on it.

    Attributes:
        code: CUDA's compute capability ("8.6"), AMD's gfx name ("gfx942"), "metal"; "" for a card that nobody named,
            which is taken for one of Hopper's.

    Examples:
        >>> turing = Architecture("7.5")
        >>> turing.generation, turing.attention("float16"), turing.attention("bfloat16")
        ('Turing', 'efficient', 'math')
        >>> Architecture("8.0").attention("bfloat16"), Architecture("8.0").workspace_bytes // 1024
        ('flash', 9344)
    """

    code: str = ""

    @property
    def generation(self) -> str:
        """Its name, such as "Ampere"; "" where it is not known."""
        major = self.code.split(".")[0]
        found = next((_GENERATIONS[key] for key in (self.code, major) if key in _GENERATIONS), "")
        return found or next((name for key, name in _GENERATIONS.items() if self.code.startswith(key)), "")

    @property
    def capability(self) -> tuple[int, int] | None:
        """CUDA's compute capability; None for other makers' cards, and where it is not known."""
        major, _, minor = self.code.partition(".")
        return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None

    @property
    def workspace_bytes(self) -> int:
        """What cuBLAS and cuBLASLt hold for each thread that multiplies matrices; or hipBLAS and hipBLASLt.

        Source: parseChosenWorkspaceSize in aten/src/ATen/cuda/CublasHandlePool.cpp. That the two of CUDA's do not share
        theirs was measured on an H100 with PyTorch 2.11: 33 MiB.
        """
        if self.code == "metal":
            return 0
        if self.code.startswith("gfx"):
            return (128 if self.code.startswith(("gfx94", "gfx95")) else 32) * MIB + 76 * MIB
        has_large = self.capability is None or self.capability[0] in (9, 10, 12)
        return (32 * MIB if has_large else 2 * 4096 * 1024 + 8 * 16 * 1024) + MIB

    @property
    def has_bfloat16(self) -> bool:
        """Whether it computes in bfloat16 itself; older cards of NVIDIA's emulate it, slowly."""
        return self.capability is None or self.capability >= (8, 0)

    def attention(self, dtype: str) -> str:
        """The best fused attention kernel for "float32", "float16" or "bfloat16": "flash", "efficient" or "math".

        Source: check_flash_attention_hardware_support, check_mem_efficient_hardware_support and their lists of types in
        aten/src/ATen/native/transformers/cuda/sdp_utils.cpp. On AMD's cards both are AOTriton's. PyTorch on Metal
        trains with the plain products.
        """
        is_half = dtype in ("float16", "bfloat16")
        if self.code == "metal" or (self.code.startswith("gfx") and not self.code.startswith(_WITH_AOTRITON)):
            return "math"
        if self.capability is None or self.capability >= (8, 0):
            return "flash" if is_half else "efficient"
        return "math" if dtype == "bfloat16" else "efficient"

    def trains_flash(self, width: int, dropout_p: float) -> bool:
        """Whether flash attention's backward pass has room for heads of this width.

        Source: check_requires_grad_and_head_dim_gt192_constraints_on_sm86_89_or_120 in the same file.
        """
        is_small = self.capability is not None and ((8, 6) <= self.capability <= (8, 9) or self.capability[0] == 12)
        return not is_small or width <= 192 or (width > 224 and dropout_p == 0)


UNNAMED = Architecture()
