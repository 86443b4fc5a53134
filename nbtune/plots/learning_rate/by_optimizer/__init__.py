"""Several optimizers: loss against η for each, and the courses of their best rates."""
