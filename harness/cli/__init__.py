"""The command line: its commands and their wiring."""
