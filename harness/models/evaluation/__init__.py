"""Evaluation: from outputs to results, records, noise and latency."""
