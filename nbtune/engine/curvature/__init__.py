"""The η above which an optimizer overshoots: the largest eigenvalue of the Hessian, from products with it.

Theory beside the answers of ``learning_rate``, never an answer itself.
"""
