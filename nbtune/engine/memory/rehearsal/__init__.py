"""Two training steps on tensors without storage: which allocations happen, and in which order.

Changed where PyTorch gains an operation or a card other kernels; what an allocation costs is ``replay``'s business.
"""
