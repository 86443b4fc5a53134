"""Which k fits: strategies that try sizes, real steps behind a fence, and the result, ``BatchLimit``.

What a size needs is predicted by ``memory``; here sizes are chosen, run and judged.
"""
