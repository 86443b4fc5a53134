"""Which η: settings, the search over batch sizes and data orders, and its result, ``LRCurve``.

The two ways to look are rooms of their own: ``race`` (constant rates side by side) and ``sweep`` (one rising rate).
"""
