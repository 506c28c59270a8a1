"""JSON that satisfies a JSON Schema and is what the case expects, within bounded time."""
