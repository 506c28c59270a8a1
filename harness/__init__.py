"""Tunegate: an evaluation-first regression harness for fine-tuning."""
