"""Lint: valid but suspicious fixtures."""
