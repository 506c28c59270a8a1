"""The schema suite: JSON that satisfies a JSON Schema and matches the case, checked in bounded time."""
