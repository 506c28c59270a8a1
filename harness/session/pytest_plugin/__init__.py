"""The pytest plugin: it wires a session to pytest's hooks."""
