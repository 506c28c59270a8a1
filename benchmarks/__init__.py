"""Repeatable measurements, each with the command that made it."""
