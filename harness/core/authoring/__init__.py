"""Authored files: strict YAML with line numbers, and mistakes as expected and found."""
