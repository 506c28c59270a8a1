"""Errors, files, progress, number formats: no domain."""
