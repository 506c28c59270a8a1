"""Outputs to results: options of a run, scoring, records, latency."""
