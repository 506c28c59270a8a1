"""Errors, files, progress and number formats, without domain knowledge."""
