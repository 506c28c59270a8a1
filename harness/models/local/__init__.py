"""Models that are computed here: transformers in this process, or in workers of it."""
