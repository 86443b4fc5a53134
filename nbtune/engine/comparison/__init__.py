"""Training at several k from the same weights, side by side: runs, their curves, and the result, ``Comparison``."""
