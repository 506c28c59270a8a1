"""Training examples: checks against the task, splitting, tokenizing."""
