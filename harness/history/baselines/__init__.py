"""Stored references: recorded baselines, last releases, and their differences from a run."""
