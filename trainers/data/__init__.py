"""Training examples: read, checked against the task, split, turned into tokens."""
