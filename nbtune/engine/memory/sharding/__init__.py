"""One device's memory where several train together: other lifetimes and sizes on the tape of one device alone.

Knows PyTorch's own ways to do it (DistributedDataParallel, ZeroRedundancyOptimizer, fully_shard) and what they allocate
when; compared with real processes in ``tests/benchmarks/memory.py devices``. Nothing is traced here.
"""
