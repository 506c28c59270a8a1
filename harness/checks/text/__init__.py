"""Normalize text for comparison: visible characters, words and their forms, and their places in the original."""
