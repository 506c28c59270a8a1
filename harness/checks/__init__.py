"""Checks: they take an output and return findings. Kinds of check do not depend on each other."""
