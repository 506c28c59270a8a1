"""The options of pytest and of the commands: their table, what pyproject.toml sets, and those of a run."""
