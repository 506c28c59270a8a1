"""Pytest's way in: it wires a session to the hooks."""
