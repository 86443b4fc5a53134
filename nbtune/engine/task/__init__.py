"""What a user brings: models, optimizers, loss and data as one ``Task``, its batches, and the order they come in.

Stands below everything else in the engine and imports nothing of it but ``device``.
"""
