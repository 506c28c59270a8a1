"""Decontamination: no training example repeats a fixture."""
