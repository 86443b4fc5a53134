"""A quick sweep: loss against η."""
