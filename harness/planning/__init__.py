"""How many cases it takes, and what earlier runs tell of it."""
