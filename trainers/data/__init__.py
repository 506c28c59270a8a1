"""Training examples: reading, checks against the task, splitting, tokenizing."""
