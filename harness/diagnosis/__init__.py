"""Which remedy closes a gap, and whether a task may be fine-tuned."""
