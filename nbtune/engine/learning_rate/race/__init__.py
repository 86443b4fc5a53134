"""Constant rates on the same batches: who stays (``standings``), how they are trained (``runner``, ``run``), what the
scores say (``rules``).
"""
