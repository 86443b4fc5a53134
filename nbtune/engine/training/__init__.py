"""Training steps that leave nothing behind: trainer, copies and backups, loaders, random streams.

Every tool trains through this room alone; how a model is put back is decided here and nowhere else.
"""
