"""A recogniser of refusals, which missed its promise: labels of people decide instead (refusals.py)."""
