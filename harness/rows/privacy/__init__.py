"""Secrets and personal data in a text, and training text that a model reproduces verbatim."""
