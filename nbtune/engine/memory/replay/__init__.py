"""A model of CUDA's caching allocator, and the tape of allocations that is played through it for every batch size.

Compared with recordings of real cards (``tests/benchmarks/results``); knows no model and no operation.
"""
