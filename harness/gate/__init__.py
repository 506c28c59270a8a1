"""The decision: pairs, tests, verdicts, and their sentences."""
