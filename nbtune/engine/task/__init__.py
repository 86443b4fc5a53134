"""What a user brings: models, optimizers, loss and data as one ``Task``, its batches, and the order they come in.

Stands below the other rooms of the engine and imports none of them but ``device``.
"""
