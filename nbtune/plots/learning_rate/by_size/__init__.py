"""η for several batch sizes: one curve per k, and how the suggestion moves."""
