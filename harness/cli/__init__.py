"""The command line's way in: it wires the commands."""
