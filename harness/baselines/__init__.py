"""Stored references: recorded baselines, last releases, what differs between them and a run."""
