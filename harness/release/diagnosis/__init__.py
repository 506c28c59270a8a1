"""Diagnosis: the remedy that closes a gap, and a task's eligibility for fine-tuning."""
