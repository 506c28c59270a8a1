"""A prompt is optimised on training rows: GEPA proposes, the task's own checks score, no case is read."""
